"""One result table: which cells are values, which are undefined and which are hidden."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from eucan_dask.errors import Invalid, unknown

__all__ = ["HEAD", "TAIL", "Table", "read", "rows_of", "stacked", "table_of"]

HEAD = 200  # rows of a table that the page prints
TAIL = ("n_sites", "coverage", "suppressed", "reason")
UNDEFINED = "NA"

Text = NDArray[np.object_]
Number = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Table:
    """A tidy table as the run wrote it; every cell is kept as text.

    Parameters
    ----------
    path
        The TSV it was read from, named where the page shows a part only.
    cells
        Column name to its cells (rows), in the order of the file.
    """

    path: Path
    cells: dict[str, Text]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.cells["suppressed"])

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in the order of the file."""
        return tuple(self.cells)

    def text(self, column: str) -> Text:
        """The cells of `column` (rows) as written.

        Raises
        ------
        Invalid
            If there is no such column.
        """
        if column not in self.cells:
            raise unknown("column", column, self.cells, where=self.path)
        return self.cells[column]

    def number(self, column: str) -> Number:
        """The cells of `column` (rows) as numbers; hidden and undefined ones are NaN.

        Raises
        ------
        Invalid
            If there is no such column, or a cell is neither a number, empty nor NA.
        """
        cells = self.text(column)
        absent = np.asarray(cells == "") | np.asarray(cells == UNDEFINED)
        try:
            return np.where(absent, "nan", cells).astype(np.float64)
        except ValueError:
            return self._checked(column, cells)

    def _checked(self, column: str, cells: Text) -> Number:
        """As `number`, cell by cell, to name the first that is none."""
        values = np.full(len(cells), np.nan)
        for row, cell in enumerate(cells):
            if cell in ("", UNDEFINED):
                continue
            try:
                values[row] = float(cell)
            except ValueError as error:
                raise Invalid(
                    f"column {column!r} holds a cell that is no number",
                    where=f"{self.path}, data row {row + 1}",
                    expected="a number, NA or an empty cell",
                    remedy="run the job again, or mend the analysis that writes the table",
                ) from error
        return values

    @property
    def suppressed(self) -> Mask:
        """The rows in which at least one cell is hidden."""
        return np.asarray(self.cells["suppressed"] == "true")

    def hidden(self, column: str) -> Mask:
        """The cells of `column` (rows) that a rule hides: empty, in a suppressed row."""
        return np.asarray(self.text(column) == "") & self.suppressed

    def undefined(self, column: str) -> Mask:
        """The cells of `column` (rows) that have no value by definition: NA."""
        return np.asarray(self.text(column) == UNDEFINED)

    def n_hidden(self) -> int:
        """The count of hidden cells in the columns before the last four."""
        return sum(int(self.hidden(c).sum()) for c in self.columns if c not in TAIL)

    def reasons(self) -> Counter[str]:
        """How many suppressed rows give each reason."""
        return Counter(str(r) for r in self.text("reason")[self.suppressed] if r)

    @property
    def head(self) -> Table:
        """The first `HEAD` rows."""
        return self.rows(slice(HEAD))

    def pieces(self, columns: Sequence[str] | None = None) -> Iterator[Table]:  # noqa: ARG002
        """The table itself, at once: a longer one comes in pieces with these `columns`."""
        yield self

    def rows(self, wanted: Mask | NDArray[np.intp] | slice) -> Table:
        """The table of the `wanted` rows: a mask, positions or a slice."""
        return Table(self.path, {name: cells[wanted] for name, cells in self.cells.items()})

    def groups(self, column: str | None) -> Iterator[tuple[str, Table]]:
        """Each level of `column` in order of appearance with its rows; all rows without one."""
        if column is None:
            yield "", self
            return
        cells = self.text(column)
        for level in dict.fromkeys(cells):
            yield str(level), self.rows(cells == level)


def read(path: Path) -> Table:
    """Read one result table; a name that ends in `.gz` is unpacked.

    Raises
    ------
    Invalid
        If the file is missing, is no UTF-8 TSV, has rows of another length than its header, or
        lacks the columns every result table ends with.
    """
    rows = rows_of(path)
    header = next(rows)
    return table_of(path, header, list(rows))


def rows_of(path: Path) -> Iterator[list[str]]:
    """The checked header of a result table, then its rows, one by one.

    Raises
    ------
    Invalid
        As `read`, when the place is reached.
    """
    try:
        with _text(path) as lines:
            reader = csv.reader(lines, delimiter="\t", strict=True)
            header = next(reader, [])
            _check_header(path, header)
            yield header
            for line, row in enumerate(reader, start=2):
                if len(row) != len(header):
                    raise Invalid(
                        "has a row of another length",
                        where=f"{path}, line {line}",
                        expected=f"{len(header)} cells",
                        found=len(row),
                        remedy="the file was cut or edited: run the job again",
                    )
                yield row
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Invalid(
            "is no whole gzip file", where=path, remedy="the file was cut: run the job again"
        ) from error
    except OSError as error:
        raise Invalid(
            "cannot be read",
            where=path,
            found=error.strerror,
            remedy="the run directory is incomplete: run the job again",
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise Invalid("is not a UTF-8 table with tabs", where=path, found=str(error)) from error


def _text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _check_header(path: Path, header: Sequence[str]) -> None:
    if tuple(header[-len(TAIL) :]) != TAIL or len(set(header)) != len(header):
        raise Invalid(
            "is not a result table",
            where=path,
            expected=f"distinct columns that end with {', '.join(TAIL)}",
            remedy="give a directory written by `eucan-dask run --out`",
        )


def table_of(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """The table of rows that `rows_of` gave.

    Raises
    ------
    Invalid
        If `suppressed` says anything but true or false.
    """
    cells = np.array(rows, dtype=object).reshape(len(rows), len(header))
    table = Table(path, {name: cells[:, i] for i, name in enumerate(header)})
    if not set(table.cells["suppressed"]) <= {"true", "false"}:
        raise Invalid("column 'suppressed' must say true or false", where=path)
    return table


def stacked(tables: Sequence[Table]) -> Table:
    """The rows of several tables with the same columns, one after the other; one at least."""
    first = tables[0]
    cells = {c: np.concatenate([t.cells[c] for t in tables]) for c in first.columns}
    return Table(first.path, cells)
