"""Rows as the page prints them: shortened numbers, hidden cells by name, the first 200 only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eucan_dask.report.long_table import AnyTable
from eucan_dask.report.look import HIDDEN
from eucan_dask.report.tables import TAIL, UNDEFINED, Table
from eucan_dask.report.wording import shortened, significant

__all__ = ["Cell", "Grid", "of_records", "of_table"]


@dataclass(frozen=True)
class Cell:
    """One printed cell: its text, its CSS classes and what shows on hovering."""

    text: str
    kind: str = ""
    title: str = ""


@dataclass(frozen=True)
class Head:
    """The head of a column and whether it holds numbers."""

    name: str
    number: bool


@dataclass(frozen=True)
class Grid:
    """A table ready to print; `n_rows` counts those left out too."""

    heads: tuple[Head, ...]
    lines: tuple[tuple[Cell, ...], ...]
    n_rows: int
    file: str = ""

    @property
    def left_out(self) -> int:
        """How many rows are not printed."""
        return self.n_rows - len(self.lines)


def of_table(table: AnyTable) -> Grid:
    """The first rows (`tables.HEAD`) of a result table.

    The column `suppressed` is not printed: a hidden cell says "hidden", with the reason on
    hovering and, for paper, in the last column.
    """
    part = table.head
    reasons = part.text("reason")
    columns = [c for c in part.columns if c not in ("suppressed", "reason")]
    if any(reasons):
        columns.append("reason")
    heads, cells = [], []
    for name in columns:
        number = _holds_numbers(part, name)
        heads.append(Head(name.replace("_", " "), number))
        hidden = part.hidden(name) if name not in TAIL else [False] * len(part)
        cells.append(
            [
                _cell(str(text), reason if gone else None, name, number=number)
                for text, gone, reason in zip(part.text(name), hidden, reasons, strict=True)
            ]
        )
    lines = tuple(zip(*cells, strict=True))
    return Grid(tuple(heads), lines, len(table), table.path.name)


def of_records(heads: Sequence[str], records: Iterable[Sequence[object]]) -> Grid:
    """Rows of plain values: numbers to the right, None as a dash."""
    rows = [list(record) for record in records]
    numeric = [
        bool(rows) and all(isinstance(row[i], int | float | None) for row in rows)
        for i in range(len(heads))
    ]
    lines = tuple(
        tuple(
            Cell(_plain(value), "num" if number else "")
            for value, number in zip(row, numeric, strict=True)
        )
        for row in rows
    )
    return Grid(tuple(map(Head, heads, numeric)), lines, len(rows))


def _cell(text: str, reason: str | None, column: str, *, number: bool) -> Cell:
    align = "num" if number else ""
    if reason is not None:
        return Cell(HIDDEN, f"{align} hidden".strip(), reason or "hidden by a rule")
    if text == UNDEFINED:
        return Cell(text, f"{align} na".strip(), "not defined here")
    brief = shortened(text) if number else text
    return Cell(brief, column if column == "reason" else align, text if brief != text else "")


def _holds_numbers(table: Table, column: str) -> bool:
    """Whether every cell with a text is a number, and a cell with one exists or is hidden."""
    told = {str(cell) for cell in table.text(column)} - {"", UNDEFINED}
    return all(map(_is_number, told)) and (bool(told) or column not in TAIL)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _plain(value: object) -> str:
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else significant(value)
    return str(value)
