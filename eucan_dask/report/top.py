"""The rows of a table with the smallest values of a column: its top hits."""

from __future__ import annotations

import numpy as np

from eucan_dask.report.long_table import AnyTable
from eucan_dask.report.tables import Table, stacked

__all__ = ["smallest"]


def smallest(table: AnyTable, column: str, most: int) -> Table:
    """The `most` rows with the smallest known values of `column`, smallest first.

    Rows whose value is hidden or undefined are left out; equal values stay in file order.

    Raises
    ------
    Invalid
        If there is no such column, or it holds a cell that is no number.
    """
    best = table.head.rows(slice(0))
    for piece in table.pieces():
        value = piece.number(column)
        known = np.flatnonzero(np.isfinite(value))
        known = known[np.argsort(value[known], kind="stable")[:most]]
        both = stacked([best, piece.rows(known)])
        order = np.argsort(both.number(column), kind="stable")[:most]
        best = both.rows(order)
    return best
