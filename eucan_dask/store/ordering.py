"""Putting variants in order while they are read: a few wait for what may still come before them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.normalise import WINDOW
from eucan_dask.store.records import Int32Array
from eucan_dask.store.segments import Segment
from eucan_dask.store.variant_rows import Index

__all__ = ["Ordering", "Ready"]

_Key = tuple[int, str, str]
_Row = tuple[_Key, int, int]  # and where to find it: segment, row


@dataclass(frozen=True)
class Ready:
    """Variants whose turn has come: positions, the number of the segment and the row in it."""

    position: Int32Array
    which: Index
    row: Index

    def __len__(self) -> int:
        return len(self.row)


@dataclass
class Ordering:
    """One contig's variants, sorted by position, REF and ALT, from segments in order of reading.

    A variant is given out once no later record can come before it.
    """

    _waiting: list[_Row] = field(default_factory=list)
    _floor: int = 0
    _last: int = 0

    def add(self, number: int, segment: Segment) -> Ready:
        """Take the next segment, and give out what is ready.

        Raises
        ------
        Invalid
            If records overlap those read before.
        """
        position, allele = segment.keys()
        if len(position) and int(position[0]) < self._floor:
            raise Invalid(
                f"has records of contig {segment.contig} before position {self._last}, up to which "
                "other input was read",
                where=segment.source,
                remedy="name files whose ranges do not overlap, or merge them first "
                "(bcftools concat --allow-overlaps)",
            )
        self._last = max(self._last, segment.last)
        self._floor = self._last - WINDOW

        def row(i: int) -> _Row:
            key = (int(position[i]), str(allele[i, 0]), str(allele[i, 1]))
            return (key, number, i)

        # Only what lies where others wait has to be sorted in; the rest is in order already.
        end = self._waiting[-1][0][0] if self._waiting else 0
        among = int(np.searchsorted(position, end, side="right"))
        mixed = sorted([*self._waiting, *map(row, range(among))])
        ready = int(np.searchsorted(position, self._floor, side="left"))
        done = [one for one in mixed if one[0][0] < self._floor]
        self._waiting = mixed[len(done) :]
        self._waiting += map(row, range(max(among, ready), len(position)))
        return _ready(done, number, among, position[among : max(among, ready)])

    def rest(self) -> Ready:
        """What waits when the contig is read."""
        done, self._waiting = self._waiting, []
        return _ready(done, 0, 0, np.empty(0, dtype=np.int32))


def _ready(rows: list[_Row], number: int, first: int, position: Int32Array) -> Ready:
    """Those rows, then those of segment `number` from `first` on."""
    n, n_rows = len(rows) + len(position), len(rows)
    which, row = np.full(n, number, dtype=np.int64), np.empty(n, dtype=np.int64)
    which[:n_rows] = [one[1] for one in rows]
    row[:n_rows] = [one[2] for one in rows]
    row[n_rows:] = np.arange(first, first + len(position))
    before = np.array([one[0][0] for one in rows], dtype=np.int32)
    return Ready(np.concatenate([before, position]), which, row)
