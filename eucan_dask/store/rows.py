"""Tab-separated rows as bytes: every row has all its fields, and is text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eucan_dask.errors import Invalid

__all__ = ["check_text", "whole_rows"]

Ints = np.ndarray[Any, np.dtype[np.integer[Any]]]


def check_text(block: bytes, first: int, path: Path) -> None:
    """Refuse a block, whose first line has the number `first`, that is no UTF-8."""
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first + block[: error.start].count(b"\n")
        raise Invalid(
            "is not UTF-8 text", where=f"{path}, line {line}", remedy="convert the file to UTF-8"
        ) from error


def whole_rows(block: bytes, first: int, width: int, path: Path) -> tuple[Ints, bytes]:
    """Line numbers and the rows, each with all its fields; empty lines are left out."""
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    tabs = np.searchsorted(np.flatnonzero(data == ord("\t")), ends)
    fields = np.diff(tabs, prepend=0) + 1
    lines = first + np.arange(len(ends))
    wrong = np.flatnonzero(fields != width)
    if not len(wrong):
        return lines, block
    rows = block.split(b"\n")
    for row in wrong:
        if rows[row].strip():
            few = fields[row] < width
            raise Invalid(
                f"the row has too {'few' if few else 'many'} fields",
                where=f"{path}, line {lines[row]}",
                expected=width,
                found=int(fields[row]),
                remedy="the file may be cut off: copy it again" if few else None,
            )
    kept = np.setdiff1d(np.arange(len(ends)), wrong)
    return lines[kept], b"".join(rows[row] + b"\n" for row in kept)
