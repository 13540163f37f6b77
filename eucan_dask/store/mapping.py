"""How a clinical table becomes fields: a mapping is a small TOML file.

Keys: `format`, `name`, `individual_id` (a column), and as needed

- `sample_id`: a column; with `sample_id_optional` a table may lack it (one row a person);
- `sample_pattern`: where the table has no samples, a pattern whose group finds the individual's id
  in a tumour sample's id; without it sample and individual share one id;
- `comment`: what lines above the column names begin with; `separator`: tab where nothing is said;
- `missing`: values that mean nothing is known, beside the empty one;
- `[[fields]]` and `[[endpoints]]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Table
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import NoneType
from typing import Any

from eucan_dask.config import Key, check, read
from eucan_dask.errors import Invalid, unknown
from eucan_dask.variables import Field

__all__ = ["DAYS", "Endpoint", "Mapping", "Source", "read_mapping", "shipped"]

DAYS = {"days": 1.0, "months": 365.25 / 12, "years": 365.25}

_TEXT = Key(str | NoneType, default=None)
_MAPPING = {
    "format": Key(int, choices=(1,)),
    "name": Key(str),
    "individual_id": Key(str),
    "sample_id": _TEXT,
    "sample_id_optional": Key(bool, default=False),
    "sample_pattern": _TEXT,
    "comment": Key(str, default=""),
    "separator": Key(str, default="\t", choices=("\t", ",", ";")),
    "missing": Key(list, default=()),
    "fields": Key(list, default=()),
    "endpoints": Key(list, default=()),
}
_FIELD = {
    "name": Key(str),
    "column": Key(str),
    "kind": Key(str, choices=("number", "category", "boolean")),
    "unit": Key(str, default=""),
    "minimum": Key(int | float | NoneType, default=None),
    "maximum": Key(int | float | NoneType, default=None),
    "codes": Key(dict, default={}),
    "open": Key(bool, default=False),
    "pattern": _TEXT,
    "level": Key(str, default="individual", choices=("individual", "sample")),
    "scale": Key(int | float, default=1.0),
    "optional": Key(bool, default=False),
}
_ENDPOINT = {
    "name": Key(str),
    "time": Key(str),
    "unit": Key(str, choices=tuple(DAYS)),
    "event": Key(str),
    "events": Key(dict),
    "optional": Key(bool, default=False),
}
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# individual_id, sample_id, sample_individual and sample_assay are the store's own.
_RESERVED = ("id", "individual", "assay")


@dataclass(frozen=True)
class Source:
    """A field and the column it comes from.

    Parameters
    ----------
    field
        What the store will hold.
    column
        The table's column.
    codes
        What the table's values become; those of an open category stand for themselves.
    pattern
        Its group is taken from the column's value first.
    scale
        Multiplies a number, into the field's unit.
    minimum, maximum
        The allowed range of a number, in the field's unit.
    optional
        True if a table may lack the column.
    """

    field: Field
    column: str
    codes: Table[str, str | bool]
    pattern: re.Pattern[str] | None
    scale: float
    minimum: float | None
    maximum: float | None
    optional: bool


@dataclass(frozen=True)
class Endpoint:
    """A time to an event: `<name>_days` and `<name>_event`, known together or missing together."""

    name: str
    time: str
    unit: str
    event: str
    events: Table[str, bool]
    optional: bool


@dataclass(frozen=True)
class Mapping:
    """A checked mapping; `path` is the file it was read from."""

    path: Path
    name: str
    individual_id: str
    sample_id: str | None
    sample_id_optional: bool
    sample_pattern: str
    comment: str
    separator: str
    missing: frozenset[str]
    fields: tuple[Source, ...]
    endpoints: tuple[Endpoint, ...]


def shipped() -> tuple[str, ...]:
    """The names of the mappings that come with the package."""
    folder = files("eucan_dask.store") / "mappings"
    return tuple(sorted(p.name.removesuffix(".toml") for p in folder.iterdir()))


def read_mapping(name_or_path: str | Path) -> Mapping:
    """A shipped mapping by its name, or the mapping in a TOML file.

    Anything that ends in `.toml` or has a slash is a path.

    Raises
    ------
    Invalid
        If there is no such mapping, or it has an unknown key, a name that is not lower_snake_case,
        a name that stands twice, or a closed category or boolean without codes.
    """
    text = str(name_or_path)
    if text.endswith(".toml") or "/" in text:
        return _mapping(Path(text))
    if text not in shipped():
        raise unknown(
            "mapping", text, shipped(), remedy="or give the path of a mapping that ends in .toml"
        )
    return _mapping(Path(str(files("eucan_dask.store") / "mappings" / f"{text}.toml")))


def _mapping(path: Path) -> Mapping:
    table = check(read(path), _MAPPING, where=str(path))
    _pattern(table["sample_pattern"], str(path))
    sources = tuple(
        _source(entry, f"{path}, fields[{i}]") for i, entry in enumerate(table["fields"])
    )
    endpoints = tuple(
        _endpoint(entry, f"{path}, endpoints[{i}]") for i, entry in enumerate(table["endpoints"])
    )
    _check_names(sources, endpoints, path)
    if table["sample_id"] is None and any(s.field.dim == "samples" for s in sources):
        raise Invalid("a field of level sample needs sample_id", where=path)
    if table["sample_id"] is not None and table["sample_pattern"] is not None:
        raise Invalid("has both sample_id and sample_pattern", where=path, remedy="keep one")
    return Mapping(
        path,
        table["name"],
        table["individual_id"],
        table["sample_id"],
        table["sample_id_optional"],
        table["sample_pattern"] or "",
        table["comment"],
        table["separator"],
        frozenset(("", *map(str, table["missing"]))),
        sources,
        endpoints,
    )


def _source(entry: object, where: str) -> Source:
    values = check(entry, _FIELD, where=where)
    kind, codes = values["kind"], values["codes"]
    wanted = bool if kind == "boolean" else str
    if kind == "number" and (codes or values["open"]):
        raise Invalid("a number has neither codes nor open", where=where)
    if kind != "number" and any(values[k] is not None for k in ("minimum", "maximum")):
        raise Invalid("only a number has a minimum and a maximum", where=where)
    if kind == "boolean" and values["open"]:
        raise Invalid("a boolean is not open", where=where)
    if kind != "number" and not values["open"] and not codes:
        raise Invalid(
            "has no codes", where=where, remedy="list the values in codes, or set open = true"
        )
    if not all(isinstance(code, wanted) for code in codes.values()):
        raise Invalid("codes have the wrong type", where=where, expected=wanted.__name__)
    return Source(
        _field(values),
        values["column"],
        codes,
        _pattern(values["pattern"], where),
        float(values["scale"]),
        values["minimum"],
        values["maximum"],
        values["optional"],
    )


def _field(values: Table[str, Any]) -> Field:
    closed = values["kind"] == "category" and not values["open"]
    categories = tuple(dict.fromkeys(values["codes"].values())) if closed else ()
    dim = f"{values['level']}s"
    return Field(values["name"], values["kind"], values["unit"], categories, values["open"], dim)


def _endpoint(entry: object, where: str) -> Endpoint:
    values = check(entry, _ENDPOINT, where=where)
    if not values["events"] or not all(isinstance(v, bool) for v in values["events"].values()):
        raise Invalid("events says which statuses are an event: true or false", where=where)
    return Endpoint(**values)


def _pattern(text: str | None, where: str) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise Invalid("pattern is no regular expression", where=where, found=error) from error
    if pattern.groups != 1:
        raise Invalid("pattern needs one group", where=where, found=pattern.groups)
    return pattern


def _check_names(sources: tuple[Source, ...], endpoints: tuple[Endpoint, ...], path: Path) -> None:
    names = [source.field.name for source in sources]
    names += [f"{e.name}_{part}" for e in endpoints for part in ("days", "event")]
    for name in names:
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise Invalid(
                f"{name!r} cannot be a field's name", where=path, expected="lower_snake_case"
            )
        if names.count(name) > 1:
            raise Invalid(f"{name!r} stands twice", where=path, remedy="one name a field")
