"""Strict reading of TOML: every key is known, has its type, and every error names its place."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any

from eucan_dask.errors import Invalid, unknown

__all__ = ["Key", "check", "read", "read_format"]

_MISSING = object()


class Key:
    """One allowed key of a table: its type and, if it may be left out, its default.

    Parameters
    ----------
    type
        A type or union of types; `bool` never passes for `int`.
    default
        The value of an absent key; without one the key is required.
    choices
        The allowed values, where they are few.
    """

    def __init__(
        self,
        type: type | UnionType,  # noqa: A002
        *,
        default: Any = _MISSING,
        choices: tuple[object, ...] = (),
    ) -> None:
        self.type, self.default, self.choices = type, default, choices

    def value(self, table: Mapping[str, Any], name: str, where: str) -> Any:
        """The checked value of `name` in `table`, or the default."""
        if name not in table:
            if self.default is _MISSING:
                raise Invalid(f"missing key {name!r}", where=where, remedy="add it")
            return self.default
        value = table[name]
        wrong_bool = isinstance(value, bool) and not _admits_bool(self.type)
        if wrong_bool or not isinstance(value, self.type):
            wanted = getattr(self.type, "__name__", str(self.type))
            raise Invalid(
                f"key {name!r} has the wrong type",
                where=where,
                expected=wanted,
                found=type(value).__name__,
            )
        if self.choices and value not in self.choices:
            raise unknown(f"value of {name}", value, map(str, self.choices), where=where)
        return value


def _admits_bool(kind: type | UnionType) -> bool:
    return kind is object or kind is bool or bool in getattr(kind, "__args__", ())


def check(table: object, keys: Mapping[str, Key], *, where: str) -> dict[str, Any]:
    """The values of `table`, with defaults filled in.

    Raises
    ------
    Invalid
        If `table` is no table, holds a key that is not in `keys`, lacks one that is required,
        or holds a value of the wrong type.
    """
    if not isinstance(table, Mapping):
        raise Invalid("not a table", where=where, expected="keys and values")
    for name in table:
        if name not in keys:
            raise unknown("key", name, keys, where=where)
    return {name: key.value(table, name, where) for name, key in keys.items()}


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises
    ------
    Invalid
        If the file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Invalid(
            "cannot be read", where=path, found=error.strerror, remedy="check the path"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid("is not valid TOML", where=path, found=str(error)) from error


def read_format(path: Path, number: int, *, remedy: str) -> dict[str, Any]:
    """The tables of a TOML file that says to be of a format, before anything else is looked at.

    Raises
    ------
    Invalid
        If it cannot be read, or is of another format.
    """
    table = read(path)
    found = table.get("format")
    if found != number or isinstance(found, bool):
        raise Invalid("unknown format", where=path, expected=number, found=found, remedy=remedy)
    return table
