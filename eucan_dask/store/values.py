"""The values of a clinical table, checked and coded."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from eucan_dask.errors import Invalid, unknown
from eucan_dask.store.arrays import Array
from eucan_dask.store.mapping import DAYS, Endpoint, Mapping, Source
from eucan_dask.store.table import Table

__all__ = ["read_columns"]

_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{4}")


def read_columns(table: Table, mapping: Mapping) -> tuple[dict[str, Array], list[str]]:
    """Every field and endpoint the table has, one value a row, and remarks.

    Raises
    ------
    Invalid
        If a value is not one the mapping knows; names file, line, field and value.
    """
    out: dict[str, Array] = {}
    notes = []
    for source in mapping.fields:
        if source.column in table.header:
            name = f"{source.field.dim[:-1]}_{source.field.name}"
            out[name] = _field(table, source)
    for endpoint in mapping.endpoints:
        there = [column in table.header for column in (endpoint.time, endpoint.event)]
        if all(there):
            arrays, n_lost = _endpoint(table, endpoint)
            out |= arrays
            if n_lost:
                notes.append(
                    f"{endpoint.name}: {n_lost} rows have only one of time and status; missing"
                )
        elif any(there):
            raise Invalid(
                f"{endpoint.name} needs both its columns",
                where=table.path,
                expected=f"{endpoint.time} and {endpoint.event}",
            )
    return out, notes


def _field(table: Table, source: Source) -> Array:
    field = source.field
    attrs: dict[str, Any] = {"kind": field.kind}
    convert = {"number": _number, "category": _category, "boolean": _code}[field.kind]
    missing = math.nan if field.kind == "number" else -1
    values = table.read(
        source.column, field.name, lambda value: convert(_matched(value, source), source), missing
    )
    dtype = {"number": "float64", "category": "int16", "boolean": "int8"}[field.kind]
    if field.kind == "number":
        limits = {"minimum": source.minimum, "maximum": source.maximum}
        attrs |= {"unit": field.unit, **{k: v for k, v in limits.items() if v is not None}}
    if field.kind == "category":
        words = list(field.categories) or sorted({v for v in values if v != -1})
        attrs |= {"categories": words, "open": field.open}
        index = {word: code for code, word in enumerate(words)}
        values = [index.get(value, -1) for value in values]
    return Array((field.dim,), np.array(values, dtype=dtype), attrs)


def _matched(value: str, source: Source) -> str:
    if source.pattern is None:
        return value
    match = source.pattern.search(value)
    if match is None or match[1] is None:
        raise Invalid("does not match the mapping's pattern", found=repr(value))
    return match[1]


def _number(value: str, source: Source) -> float:
    number = _float(value) * source.scale
    low, high = source.minimum, source.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        limits = [str(limit) if limit is not None else "any" for limit in (low, high)]
        raise Invalid(
            "out of range",
            expected=f"{' to '.join(limits)} {source.field.unit}".rstrip(),
            found=repr(value),
            remedy="correct the value, or list it under missing in the mapping",
        )
    return number


def _float(value: str) -> float:
    try:
        number = float(value) if "_" not in value else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Invalid(
            "not a number",
            found=repr(value),
            remedy="correct the value, or list it under missing in the mapping",
        )
    return number


def _category(value: str, source: Source) -> str:
    if not source.field.open:
        return str(_code(value, source))
    if _DATE.fullmatch(value):
        raise Invalid(
            "a date", found=repr(value), remedy="stores hold no dates: map a time in days"
        )
    return str(source.codes.get(value, value))


def _code(value: str, source: Source) -> str | bool:
    if value not in source.codes:
        raise unknown(
            "value",
            value,
            source.codes,
            remedy="add it to the field's codes in the mapping, or to missing",
        )
    return source.codes[value]


def _endpoint(table: Table, endpoint: Endpoint) -> tuple[dict[str, Array], int]:
    """Days and event, and how many rows have only one of them."""

    def days(value: str) -> float:
        number = _float(value) * DAYS[endpoint.unit]
        if number < 0:
            raise Invalid(
                "negative survival time",
                found=repr(value),
                remedy="correct the value, or list it under missing in the mapping",
            )
        return number

    def happened(value: str) -> bool:
        if value not in endpoint.events:
            raise unknown(
                "status", value, endpoint.events, remedy="add it to the endpoint's events"
            )
        return endpoint.events[value]

    times = np.array(table.read(endpoint.time, f"{endpoint.name}_days", days, math.nan))
    events = np.array(table.read(endpoint.event, f"{endpoint.name}_event", happened, -1))
    known = ~np.isnan(times) & (events >= 0)
    n_lost = int((np.isnan(times) != (events < 0)).sum())
    name = f"individual_{endpoint.name}"
    dims = ("individuals",)
    days_ = np.where(known, times, np.nan).astype("float64")
    event = np.where(known, events, -1).astype("int8")
    unit = {"kind": "number", "unit": "days", "minimum": 0}
    return {
        f"{name}_days": Array(dims, days_, unit),
        f"{name}_event": Array(dims, event, {"kind": "boolean"}),
    }, n_lost
