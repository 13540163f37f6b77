"""JSON from elsewhere: nothing repeated, nothing that is no number or text, and not too much."""

from __future__ import annotations

import json
import math
from typing import Any

from eucan_dask.errors import Invalid

__all__ = ["parse", "table_of"]

# A genome-wide block names 8,192 variants, an exome 20,000 genes. One value takes up to some
# 250 bytes of memory, whatever few bytes say so: headers of brackets alone are refused unread.
MAX_VALUES = 2**18
MAX_DIGITS = 18
MARKS = (b",", b":", b"[", b"{")


def parse(text: bytes, *, most: int = MAX_VALUES) -> object:
    """The value that `text` holds.

    Raises
    ------
    ValueError
        If it is not JSON, repeats a key, holds NaN, an infinity, a number of many digits or what
        is no text, is very deep, or holds more than `most` values.
    """
    if sum(text.count(mark) for mark in MARKS) > most:
        raise ValueError("there are too many values")
    hooks: dict[str, Any] = {"parse_constant": _no_constant, "parse_int": _int}
    try:
        found = json.loads(text, object_pairs_hook=_no_repeats, parse_float=_float, **hooks)
        json.dumps(found, ensure_ascii=False).encode()  # fails for a lone surrogate
    except RecursionError as error:
        raise ValueError("it is too deep") from error
    return found


def table_of(text: bytes, *, where: str) -> dict[str, Any]:
    """The table that `text` holds.

    Raises
    ------
    Invalid
        If it is none, or nothing that we would send.
    """
    try:
        found = parse(text)
    except ValueError as error:
        raise Invalid("has a header that is not JSON", where=where) from error
    if not isinstance(found, dict):
        raise Invalid("has a header that is no table", where=where)
    return found


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key is repeated")
    return table


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError("a number is too large")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):  # 1e999
        raise ValueError("a number is too large")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not allowed")
