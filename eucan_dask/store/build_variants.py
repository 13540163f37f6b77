"""From a source of records to shards: reading and writing over a pool, sorting in between."""

from __future__ import annotations

import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eucan_dask.store.cutting import Cut, Cutter
from eucan_dask.store.manifest import Shard
from eucan_dask.store.normalise import normalise
from eucan_dask.store.pool import pool
from eucan_dask.store.records import Unit
from eucan_dask.store.reference import Reference
from eucan_dask.store.segments import Gathered, Segment, write_segment
from eucan_dask.store.variants import Cohort, write_empty, write_variants

if TYPE_CHECKING:  # workers start sooner without what it brings
    from eucan_dask.store.shards import Progress

__all__ = ["build"]

_TICK = 0.5  # seconds between two looks at how far the reading is


def build(
    units: Sequence[Unit],
    cohort: Cohort,
    *,
    root: Path,
    scratch: Path,
    fasta: Reference | None,
    workers: int,
    progress: Progress | None,
) -> tuple[tuple[Shard, ...], int]:
    """Write the shards of a freeze that is built in `root`; say how many variants are there twice.

    A contig's variants are cut into shards by number, in sorted order: neither units nor workers
    show in what is written. Reading leaves segments in `scratch`; each goes once its variants are
    in a shard. Without any variant there is one shard that holds the samples alone.
    """
    with pool(workers) as executor:
        work = _Build(executor, deque(enumerate(units)), cohort, root, scratch, fasta)
        work.run(ahead=2 * workers, progress=progress)
    shards = tuple(sorted(work.shards, key=lambda s: s.order)) or (write_empty(root, cohort),)
    return shards, work.n_again


@dataclass
class _Build:
    """What is still to be read, what waits to be written, and what runs now."""

    executor: Executor
    units: deque[tuple[int, Unit]]
    cohort: Cohort
    root: Path
    scratch: Path
    fasta: Reference | None
    shards: list[Shard] = field(default_factory=list)
    n_again: int = 0
    _running: dict[Future[Any], Callable[[Any], None]] = field(default_factory=dict)
    _read: dict[int, tuple[Segment, ...]] = field(default_factory=dict)
    _n_taken: int = 0
    _cutter: Cutter = field(default_factory=Cutter)
    _cuts: deque[Cut] = field(default_factory=deque)
    _left: Counter[Path] = field(default_factory=Counter)
    _seen: set[str] = field(default_factory=set)
    _n_read: int = 0

    def run(self, *, ahead: int, progress: Progress | None) -> None:
        """Work until everything is written, never reading more than some units ahead."""
        n_units = len(self.units)
        while True:
            while len(self._running) < ahead and self._submit(ahead):
                pass
            if not self._running:
                return
            done, _ = wait(self._running, timeout=_TICK, return_when=FIRST_COMPLETED)
            for future in done:
                self._running.pop(future)(future.result())
            if self._n_taken == n_units:
                self._cuts += self._cutter.finish()
            if progress:
                progress(*self._count(), "variants")

    def _submit(self, ahead: int) -> bool:
        """Start what is next, if anything: a shard to write, or else a unit to read."""
        if self._cuts:
            cut = self._cuts.popleft()
            future: Future[Any] = self.executor.submit(_write, self.root, self.cohort, cut)
            self._running[future] = lambda written: self._written(written, cut)
        elif self.units and self.units[0][0] < self._n_taken + 2 * ahead:
            number, unit = self.units.popleft()
            where = self.scratch / f"{number:06d}"
            future = self.executor.submit(_read, unit, where, self.fasta)
            self._running[future] = lambda segments: self._received(number, segments)
        else:
            return False
        return True

    def _received(self, number: int, segments: tuple[Segment, ...]) -> None:
        """Sort in what was read, as soon as everything before it is here too."""
        self._read[number] = segments
        while self._n_taken in self._read:
            for segment in self._read.pop(self._n_taken):
                self._left[segment.path] = segment.n_variants
                self._cuts += self._cutter.add(segment)
            self._n_taken += 1

    def _written(self, written: tuple[Shard, int], cut: Cut) -> None:
        """Keep the shard; segments all of whose variants are written go."""
        shard, n_again = written
        self.shards.append(shard)
        self.n_again += n_again
        for segment, count in zip(cut.segments, np.bincount(cut.which), strict=True):
            self._left[segment.path] -= int(count)
            if not self._left[segment.path]:
                del self._left[segment.path]
                shutil.rmtree(segment.path)

    def _count(self) -> tuple[int, int]:
        """Variants written, and those read; what a unit being read has left so far counts."""
        for path in self.scratch.glob("*/*"):
            if path.name not in self._seen:
                self._seen.add(path.name)
                self._n_read += int(path.name.split("-")[1])
        written = sum(shard.n_variants for shard in self.shards)
        return written, max(self._n_read, written)


def _read(unit: Unit, where: Path, fasta: Reference | None) -> tuple[Segment, ...]:
    """Read, normalise and keep a unit, batch by batch."""

    def segments() -> Iterable[Segment]:
        for number, records in enumerate(unit.records()):
            if len(records.position):
                variants = normalise(records, fasta=fasta)
                name = f"{where.name}.{number:06d}-{len(variants.position)}"
                yield write_segment(where / name, variants, records)

    return tuple(segments())


def _write(root: Path, cohort: Cohort, cut: Cut) -> tuple[Shard, int]:
    gathered = Gathered(cut.segments, cut.which, cut.row)
    return write_variants(root, gathered.rows, cohort, gathered.calls), gathered.n_again
