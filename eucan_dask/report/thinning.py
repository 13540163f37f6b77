"""Points of a scan, thinned: the highest are kept one by one, the rest counted on a grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eucan_dask.report.tables import Mask, Number, Table, stacked

__all__ = ["Boxes", "Thinned"]

ROWS = 110  # of the grid: about three pixels each
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Boxes:
    """Runs of filled cells of one column of the grid, and how many points each holds."""

    left: Number
    right: Number
    bottom: Number
    top: Number
    count: NDArray[np.int64]


@dataclass
class Thinned:
    """The points of one plot, taken in piece by piece.

    Parameters
    ----------
    most
        Points kept one by one; the highest ones.
    left, width
        The range of x that the grid divides.
    height
        The highest y on the grid.
    columns
        Of the grid.
    """

    most: int
    left: float
    width: float
    height: float
    columns: int
    parts: list[tuple[Table, Number, Number, Index]] = field(default_factory=list)
    n_kept: int = 0

    def __post_init__(self) -> None:
        # One grid for each of two colours, so that a contig never takes its neighbour's.
        self.cells = np.zeros((2, self.columns, ROWS), dtype=np.int64)

    def add(self, rows: Table, x: Number, y: Number, contig: Index, single: Mask) -> None:
        """Take in points; those not `single` go to the grid at once. Rows are kept for words."""
        self._count(x[~single], y[~single], contig[~single])
        if single.any():
            self.parts.append((rows.rows(single), x[single], y[single], contig[single]))
            self.n_kept += int(single.sum())
        if self.n_kept > 2 * self.most:  # not each time: a trim sorts
            self._trim()

    def _trim(self) -> None:
        """Keep the `most` highest points; the others go to the grid."""
        if self.n_kept <= self.most:
            return
        rows, x, y, contig = self._joined()
        order = np.argsort(-y, kind="stable")
        rest, keep = order[self.most :], np.sort(order[: self.most])
        self._count(x[rest], y[rest], contig[rest])
        self.parts = [(rows.rows(keep), x[keep], y[keep], contig[keep])]
        self.n_kept = len(keep)

    def _count(self, x: Number, y: Number, contig: Index) -> None:
        column = ((x - self.left) / self.width * self.columns).astype(np.intp)
        row = (np.minimum(y, self.height) / self.height * ROWS).astype(np.intp)
        column, row = np.clip(column, 0, self.columns - 1), np.clip(row, 0, ROWS - 1)
        np.add.at(self.cells, (contig % 2, column, row), 1)

    def _joined(self) -> tuple[Table, Number, Number, Index]:
        rows, x, y, contig = zip(*self.parts, strict=True)
        return stacked(rows), np.concatenate(x), np.concatenate(y), np.concatenate(contig)

    def points(self) -> tuple[Table, Number, Number, Index] | None:
        """The points kept: their rows, x, y and contig's number; None without any."""
        self._trim()
        return self._joined() if self.parts else None

    def boxes(self, colour: int) -> Boxes:
        """The filled cells of a colour (0 or 1), merged upwards along each column."""
        self._trim()
        cells = self.cells[colour]
        edge = np.diff((cells > 0).astype(np.int8), axis=1, prepend=0, append=0)
        column, first = np.nonzero(edge == 1)
        last = np.nonzero(edge == -1)[1]
        sums = np.concatenate([np.zeros((len(cells), 1), np.int64), cells.cumsum(axis=1)], axis=1)
        step, rise = self.width / self.columns, self.height / ROWS
        return Boxes(
            left=self.left + column * step,
            right=self.left + (column + 1) * step,
            bottom=first * rise,
            top=last * rise,
            count=sums[column, last] - sums[column, first],
        )
