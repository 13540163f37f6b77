"""Cutting a contig's sorted variants into shards, wherever the batches they came in end."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.ordering import Ordering, Ready
from eucan_dask.store.records import Int32Array
from eucan_dask.store.segments import Segment
from eucan_dask.store.variant_rows import Index
from eucan_dask.store.variants import SHARD_VARIANTS

__all__ = ["Cut", "Cutter"]


@dataclass(frozen=True)
class Cut:
    """A shard to write: segments, and for each variant which of them and which row."""

    segments: tuple[Segment, ...]
    which: Index
    row: Index


@dataclass
class Cutter:
    """Takes segments in order of reading; gives shards of `SHARD_VARIANTS` at most.

    Variants of one position are in one shard, however many they are.
    """

    _contig: str = ""
    _past: set[str] = field(default_factory=set)
    _segments: list[Segment] = field(default_factory=list)
    _ordering: Ordering = field(default_factory=Ordering)
    _held: list[Ready] = field(default_factory=list)

    def add(self, segment: Segment) -> list[Cut]:
        """Take one segment, and give the shards that are complete."""
        done = self.finish() if segment.contig != self._contig else []
        if segment.contig in self._past:
            raise Invalid(
                f"contig {segment.contig} comes back after other contigs",
                remedy="sort the input (bcftools sort)",
            )
        self._contig = segment.contig
        self._segments.append(segment)
        self._held.append(self._ordering.add(len(self._segments) - 1, segment))
        return done + self._cut(more_than=SHARD_VARIANTS)

    def finish(self) -> list[Cut]:
        """The contig is read: everything that is left."""
        self._held.append(self._ordering.rest())
        done = self._cut(more_than=0)
        self._past.add(self._contig)
        self._segments, self._ordering = [], Ordering()
        return done

    def _cut(self, *, more_than: int) -> list[Cut]:
        if sum(map(len, self._held)) <= more_than:
            return []
        position = np.concatenate([ready.position for ready in self._held])
        which = np.concatenate([ready.which for ready in self._held])
        row = np.concatenate([ready.row for ready in self._held])
        done = []
        while len(row) > more_than:
            end = _end(position)
            used, index = np.unique(which[:end], return_inverse=True)
            done.append(Cut(tuple(self._segments[i] for i in used), index, row[:end]))
            position, which, row = position[end:], which[end:], row[end:]
        self._held = [Ready(position, which, row)]
        return done


def _end(position: Int32Array) -> int:
    """How many variants the next shard takes."""
    if len(position) <= SHARD_VARIANTS:
        return len(position)
    first = int(np.searchsorted(position, position[SHARD_VARIANTS], side="left"))
    return first or int(np.searchsorted(position, position[0], side="right"))
