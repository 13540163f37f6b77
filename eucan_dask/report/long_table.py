"""A result table too long to hold: counted and checked once, then read in pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd

from eucan_dask.errors import Invalid, unknown
from eucan_dask.report.tables import HEAD, Table, rows_of, table_of

__all__ = ["LONG", "AnyTable", "LongTable", "open_table"]

LONG = 50_000  # rows: a table with more is read in pieces of so many


@dataclass(frozen=True)
class LongTable:
    """A table of which only the first rows and a few sums are in memory.

    Parameters
    ----------
    path
        The TSV, or TSV.gz.
    columns
        Their names, in the order of the file.
    head
        The first `HEAD` rows.
    n_rows, n_cells_hidden, n_reasons
        As `len`, `n_hidden` and `reasons` of a `Table`.
    """

    path: Path
    columns: tuple[str, ...]
    head: Table
    n_rows: int
    n_cells_hidden: int
    n_reasons: Counter[str]

    def __len__(self) -> int:
        """The number of rows."""
        return self.n_rows

    def n_hidden(self) -> int:
        """The count of hidden cells in the columns before the last four."""
        return self.n_cells_hidden

    def reasons(self) -> Counter[str]:
        """How many suppressed rows give each reason."""
        return self.n_reasons

    def pieces(self, columns: Sequence[str] | None = None) -> Iterator[Table]:
        """Tables of at most `LONG` rows with these `columns` (and `suppressed`), in file order.

        Raises
        ------
        Invalid
            If there is no such column, or the file is no longer what it was.
        """
        wanted = list(dict.fromkeys([*(self.columns if columns is None else columns)]))
        for name in wanted:
            if name not in self.columns:
                raise unknown("column", name, self.columns, where=self.path)
        if "suppressed" not in wanted:
            wanted.append("suppressed")
        try:
            with pd.read_csv(
                self.path,
                sep="\t",
                usecols=wanted,
                dtype=str,
                na_filter=False,
                chunksize=LONG,
                encoding="utf-8",
            ) as chunks:
                for chunk in chunks:
                    yield Table(self.path, {c: chunk[c].to_numpy(dtype=object) for c in wanted})
        except (OSError, EOFError, ValueError) as error:
            raise Invalid(
                "changed while it was read", where=self.path, remedy="report again"
            ) from error


AnyTable = Table | LongTable


def open_table(path: Path, *, most: int | None = None) -> AnyTable:
    """The table of a file: whole if it has `most` rows (`LONG`) or fewer, else in pieces.

    Either way every row is read and checked once.

    Raises
    ------
    Invalid
        As `eucan_dask.report.tables.read`.
    """
    most = LONG if most is None else most
    rows = rows_of(path)
    header = next(rows)
    batch = list(islice(rows, most + 1))
    if len(batch) <= most:
        return table_of(path, header, batch)
    head = table_of(path, header, batch[:HEAD])
    n_rows, n_hidden, reasons = 0, 0, Counter[str]()
    while batch:
        part = table_of(path, header, batch)
        n_rows, n_hidden = n_rows + len(part), n_hidden + part.n_hidden()
        reasons.update(part.reasons())
        batch = list(islice(rows, LONG))
    return LongTable(path, tuple(header), head, n_rows, n_hidden, reasons)
