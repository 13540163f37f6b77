"""Finding an analysis by name, here or in another package, and making one from parameters."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from eucan_dask.analysis import Analysis
from eucan_dask.errors import Invalid, unknown
from eucan_dask.versions import PLUGINS

__all__ = ["find", "load", "registry"]


def load(name: str, table: Mapping[str, Any], *, where: str = "analysis") -> Analysis:
    """An analysis by name, from parameters as JSON or TOML has them.

    Raises
    ------
    Invalid
        If the analysis or a parameter is unknown, or a value does not fit.
    """
    kind = find(name, where=where)
    hints = typing.get_type_hints(kind)
    names = {f.name for f in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in names:
            raise unknown("parameter", key, names, where=f"{where}, {name}")
        values[key] = _fit(value, hints[key], f"{where}, {name}.{key}")
    try:
        return kind(**values)
    except TypeError as error:
        lacking = [
            f.name
            for f in dataclasses.fields(kind)
            if f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
            and f.name not in values
        ]
        raise Invalid(
            "parameters are missing", where=f"{where}, {name}", expected=lacking
        ) from error


def _fit(value: Any, hint: Any, where: str) -> Any:
    """`value` as the annotated type: lists become tuples, tables become tuples of pairs."""
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        options = typing.get_args(hint)
        for option in options:
            try:
                return _fit(value, option, where)
            except Invalid:
                continue
        raise Invalid("has the wrong type", where=where, expected=str(hint), found=value)
    if origin is tuple:
        inner = typing.get_args(hint)
        if not isinstance(value, list | tuple):
            raise Invalid("must be a list", where=where, found=type(value).__name__)
        if inner[-1] is Ellipsis:
            return tuple(_fit(v, inner[0], where) for v in value)
        if len(value) != len(inner):
            raise Invalid(f"must have {len(inner)} entries", where=where, found=len(value))
        return tuple(_fit(v, t, where) for v, t in zip(value, inner, strict=True))
    if dataclasses.is_dataclass(hint):
        return _fit_dataclass(value, hint, where)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(hint, type) or type(value) is not hint:
        raise Invalid("has the wrong type", where=where, expected=str(hint), found=repr(value))
    return value


def _fit_dataclass(value: Any, hint: Any, where: str) -> Any:
    if isinstance(value, str):  # shorthand: a string is the first field
        value = {dataclasses.fields(hint)[0].name: value}
    if not isinstance(value, Mapping):
        raise Invalid("must be a name or a table", where=where, found=type(value).__name__)
    hints = typing.get_type_hints(hint)
    for key in value:
        if key not in hints:
            raise unknown("key", key, hints, where=where)
    for part in dataclasses.fields(hint):
        if part.default is dataclasses.MISSING and part.name not in value:
            raise Invalid(f"needs {part.name!r}", where=where)
    return hint(**{k: _fit(v, hints[k], f"{where}.{k}") for k, v in value.items()})


@lru_cache(maxsize=1)
def registry() -> dict[str, type[Analysis]]:
    """Every analysis: the modules of `eucan_dask.analyses` and the entry points of other packages.

    Raises
    ------
    Invalid
        If two analyses share a name, or an entry point is no analysis.
    """
    found: dict[str, type[Analysis]] = {}
    package = importlib.import_module("eucan_dask.analyses")
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"eucan_dask.analyses.{info.name}")
        for _, kind in inspect.getmembers(module, _is_analysis):
            if kind.__module__ == module.__name__:
                _add(found, kind)
    for point in entry_points(group=PLUGINS):
        kind = point.load()
        if not _is_analysis(kind):
            raise Invalid("entry point is no Analysis", where=f"{PLUGINS}:{point.name}")
        _add(found, kind)
    return dict(sorted(found.items()))


def _is_analysis(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Analysis) and hasattr(value, "name")


def _add(found: dict[str, type[Analysis]], kind: type[Analysis]) -> None:
    if kind.name in found and found[kind.name] is not kind:
        raise Invalid("two analyses share a name", where=kind.name, remedy="rename one")
    found[kind.name] = kind


def find(name: str, *, where: str = "analysis") -> type[Analysis]:
    """The analysis class called `name`.

    Raises
    ------
    Invalid
        If there is none; the nearest name is suggested.
    """
    known = registry()
    if name not in known:
        raise unknown("analysis", name, known, where=where)
    return known[name]
