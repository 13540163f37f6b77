"""A clinical table as text: rows with their line numbers, every error naming its line."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eucan_dask.errors import Invalid, unknown
from eucan_dask.store.mapping import Mapping
from eucan_dask.store.text import lines

__all__ = ["Table", "read_table"]

# Control characters, and the surrogates that stand for bytes that could not be decoded.
_UNUSABLE = re.compile("[\x00-\x1f\x7f\udc80-\udcff]")


@dataclass(frozen=True)
class Table:
    """Rows of text with their line numbers."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    missing: frozenset[str]

    def line(self, row: int) -> str:
        """Where a row stands, in words."""
        return f"{self.path}, line {self.numbers[row]}"

    def column(self, name: str) -> list[str | None]:
        """The column's values without surrounding spaces; None where nothing is known."""
        index = self.header.index(name)
        values = [row[index].strip() for row in self.rows]
        for row, value in enumerate(values):
            if found := _UNUSABLE.search(value):
                text = "control characters" if found[0] < " " else "bytes that are no UTF-8"
                raise Invalid(
                    f"{name} holds {text}",
                    where=self.line(row),
                    remedy="convert the file to UTF-8 text",
                )
        return [None if value in self.missing else value for value in values]

    def read(
        self, name: str, field: str, convert: Callable[[str], Any], missing: float
    ) -> list[Any]:
        """Each distinct value of a column read once; `missing` where nothing is known."""
        known: dict[str, Any] = {}
        out = []
        for row, value in enumerate(self.column(name)):
            if value is not None and value not in known:
                try:
                    known[value] = convert(value)
                except Invalid as error:
                    raise Invalid(
                        f"{field}: {error.problem}",
                        where=self.line(row),
                        expected=error.expected,
                        found=error.found,
                        remedy=error.remedy,
                    ) from error
            out.append(missing if value is None else known[value])
        return out


def read_table(path: Path, mapping: Mapping) -> Table:
    """The rows of a file, each with a value for every column of the header.

    Raises
    ------
    Invalid
        If the file cannot be read, lacks a column the mapping needs, or a row has too few or too
        many fields.
    """
    header: tuple[str, ...] = ()
    rows, numbers = [], []
    for number, row in _rows(path, mapping):
        if not header:
            header = tuple(_printable(name).strip().strip("\ufeff") for name in row)
            _check_header(header, mapping, f"{path}, line {number}")
        elif len(row) != len(header):
            few = len(row) < len(header)
            raise Invalid(
                f"the row has too {'few' if few else 'many'} fields",
                where=f"{path}, line {number}",
                expected=len(header),
                found=len(row),
                remedy="the file may be cut off: copy it again" if few else None,
            )
        else:
            rows.append(tuple(row))
            numbers.append(number)
    if not rows:
        raise Invalid("has no rows", where=path, expected="a header and one row a person or sample")
    return Table(path, header, tuple(rows), tuple(numbers), mapping.missing)


def _rows(path: Path, mapping: Mapping) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of the line they end in; leading comments and empty lines left out."""
    stream = (f"{line}\n" for _, line in lines(path))
    # In tab-separated exports a quotation mark is text; in CSV it may hold a separator.
    tabs = mapping.separator == "\t"
    reader = csv.reader(
        stream,
        delimiter=mapping.separator,
        quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
        strict=True,
    )
    top = True
    try:
        for row in reader:
            comment = bool(mapping.comment) and bool(row) and row[0].startswith(mapping.comment)
            if any(value.strip() for value in row) and not (top and comment):
                top = False
                yield reader.line_num, row
    except csv.Error as error:
        raise Invalid(
            "the row cannot be read", where=f"{path}, line {reader.line_num}", found=error
        ) from error


def _printable(name: str) -> str:
    """A column's name with question marks for bytes that are no UTF-8: they may not be ours."""
    return name.encode("utf-8", "replace").decode()


def _check_header(header: Sequence[str], mapping: Mapping, where: str) -> None:
    """Refuse a header in which a column stands twice or one that is not optional is lacking."""
    needed = {mapping.individual_id: "individual_id"}
    if mapping.sample_id and not mapping.sample_id_optional:
        needed[mapping.sample_id] = "sample_id"
    needed |= {s.column: s.field.name for s in mapping.fields if not s.optional}
    needed |= {c: e.name for e in mapping.endpoints if not e.optional for c in (e.time, e.event)}
    for column, field in needed.items():
        if header.count(column) > 1:
            raise Invalid(f"column {column!r} stands twice", where=where)
        if column not in header:
            raise unknown(
                "column",
                column,
                header,
                where=where,
                remedy=f"mapping {mapping.name!r} takes {field} from it: "
                "correct the column, or give the field optional = true",
            )
