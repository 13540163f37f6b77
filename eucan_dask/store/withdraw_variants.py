"""Shards of variants without some people: without their calls and what only they carried."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zarr  # type: ignore[import-untyped, unused-ignore]

from eucan_dask.store.arrays import open_group, read_array
from eucan_dask.store.freeze import Building
from eucan_dask.store.manifest import Shard
from eucan_dask.store.pack import unpack
from eucan_dask.store.pool import cores, pool
from eucan_dask.store.records import BoolArray, Int32Array
from eucan_dask.store.variant_rows import Index, VariantRows
from eucan_dask.store.variants import CallBlock, Cohort, chunk_rows, write_empty, write_variants

if TYPE_CHECKING:  # workers start sooner without what it brings
    from eucan_dask.store.shards import Progress

__all__ = ["without_samples"]

_SMALL = 1 << 22

# The ALTs, from 1, that a record loses; a record is its contig, position and alleles.
Lost = dict[tuple[str, int, str], frozenset[int]]


def without_samples(
    building: Building, gone: Collection[str], *, progress: Progress | None = None
) -> tuple[Shard, ...] | None:
    """Write the shards of the present freeze again, without these samples.

    A variant that only they carried goes, and its ALT goes from the record it came from. None if
    none of them has genotypes: then the shards can be carried.
    """
    shards = building.manifest.variants if building.manifest else ()
    paths = [building.store / "freezes" / _digest(building) / shard.path for shard in shards]
    if not paths or not set(_Present.open(paths[0]).cohort.sample_id) & set(gone):
        return None
    many = len(shards) > 1 and sum(shard.bytes for shard in shards) > _SMALL
    with pool(min(len(shards), cores()) if many else 1) as executor:
        written = _written(executor, building.path, paths, frozenset(gone), progress)
    cohort = _Present.open(paths[0]).cohort
    kept = _kept(cohort, gone)
    return written or (write_empty(building.path, _smaller(cohort, kept)),)


def _digest(building: Building) -> str:
    return building.manifest.digest if building.manifest else ""


def _written(
    executor: Executor,
    root: Path,
    paths: Sequence[Path],
    gone: frozenset[str],
    progress: Progress | None,
) -> tuple[Shard, ...]:
    # Records of several ALTs may lie in two shards: first find what goes, everywhere.
    found = [executor.submit(_carried_by, path, gone) for path in paths]
    lost: Lost = {}
    only = []
    for future in found:
        alone, alts = future.result()
        only.append(alone)
        for record, numbers in alts.items():
            lost[record] = lost.get(record, frozenset()) | numbers
    tasks = [
        executor.submit(_rewrite, path, root, gone, alone, lost)
        for path, alone in zip(paths, only, strict=True)
    ]
    out = []
    for done, task in enumerate(tasks, 1):
        if shard := task.result():
            out.append(shard)
        if progress:
            progress(done, len(tasks), "shards of variants")
    return tuple(out)


@dataclass(frozen=True)
class _Present:
    """A shard as it is."""

    group: zarr.Group
    rows: VariantRows
    split: Int32Array | None
    cohort: Cohort

    @classmethod
    def open(cls, path: Path) -> _Present:
        group = open_group(path)
        arrays = {n: read_array(a, path) for n, a in group.arrays() if not n.startswith("call_")}
        ploidy = group["call_genotype"].shape[2] if "call_genotype" in group else 0
        attrs = group.attrs.asdict()
        cohort = Cohort(
            attrs["assembly"],
            tuple(map(str, arrays["sample_id"].values)),
            arrays["sample_sex"].values,
            ploidy,
            reference_checked=attrs["reference_checked"],
        )
        rows = VariantRows.from_arrays(arrays)
        split = arrays["variant_split"].values if "variant_split" in arrays else None
        return cls(group, rows, split, cohort)


def _kept(cohort: Cohort, gone: Collection[str]) -> Index:
    return np.flatnonzero([name not in set(gone) for name in cohort.sample_id])


def _smaller(cohort: Cohort, kept: Index) -> Cohort:
    ids = tuple(cohort.sample_id[i] for i in kept)
    return replace(cohort, sample_id=ids, sample_sex=cohort.sample_sex[kept])


def _carried_by(path: Path, gone: frozenset[str]) -> tuple[BoolArray, Lost]:
    """Which variants nobody else carries, and what that takes from records of several ALTs."""
    shard = _Present.open(path)
    kept = _kept(shard.cohort, gone)
    rows, genotype = shard.rows, shard.group["call_genotype"]
    alone = np.zeros(len(rows), dtype=bool)
    step = chunk_rows(len(shard.cohort.sample_id))
    for first in range(0, len(rows), step):
        here = slice(first, first + step)
        carried = (genotype[here] == 1).any(axis=2)
        alone[here] = carried.any(axis=1) & ~carried[:, kept].any(axis=1)
    lost: Lost = {}
    for i in np.flatnonzero(alone & rows.split):
        key = _record(rows, int(rows.record[i]))
        lost[key] = lost.get(key, frozenset()) | {int(rows.record_alt[i])}
    return alone, lost


def _record(rows: VariantRows, record: int) -> tuple[str, int, str]:
    return rows.contig, int(rows.record_position[record]), str(rows.record_allele[record])


def _rewrite(
    path: Path, root: Path, gone: frozenset[str], alone: BoolArray, lost: Lost
) -> Shard | None:
    shard = _Present.open(path)
    index = np.flatnonzero(~alone)
    if not len(index):
        return None
    kept = _kept(shard.cohort, gone)
    rows = _without_alts(shard.rows.take(index), lost)

    def calls(part: slice) -> CallBlock:
        wanted = index[part]
        first, last = int(wanted[0]), int(wanted[-1]) + 1
        genotype, phased = (
            shard.group[name][first:last][wanted - first][:, kept]
            for name in ("call_genotype", "call_genotype_phased")
        )
        alt, other = (
            _copies(shard, name, wanted[rows.split[part]])[:, kept] for name in ("alt", "other")
        )
        return CallBlock(genotype, phased, alt, other)

    return write_variants(root, rows, _smaller(shard.cohort, kept), calls)


def _copies(shard: _Present, name: str, wanted: Index) -> np.ndarray:  # type: ignore[type-arg]
    n_samples = len(shard.cohort.sample_id)
    if not len(wanted) or shard.split is None:
        return np.empty((0, n_samples), dtype=np.uint8)
    at = shard.split[wanted]
    packed = shard.group[f"call_{name}_packed"][int(at[0]) : int(at[-1]) + 1]
    return unpack(packed[at - at[0]], n_samples)


def _without_alts(rows: VariantRows, lost: Lost) -> VariantRows:
    """The rows with records that lost an ALT told as if they had never had it.

    Where one ALT is left the record is the variant itself; its siblings gave it its longer alleles.
    """
    position, allele = rows.record_position.copy(), rows.record_allele.copy()
    split, record_alt = rows.split.copy(), rows.record_alt.copy()
    for i in np.flatnonzero(rows.split):
        record = int(rows.record[i])
        key = _record(rows, record)
        gone = lost.get(key, frozenset())
        if not gone:
            continue
        names = key[2].split(",")
        left = [name for alt, name in enumerate(names) if alt not in gone]
        position[record], allele[record] = key[1], ",".join(left)
        record_alt[i] -= sum(alt < rows.record_alt[i] for alt in gone)
        if len(left) == 2:
            position[record], allele[record] = rows.position[i], ",".join(rows.allele[i])
            split[i] = False
    return replace(
        rows,
        record_position=position,
        record_allele=allele,
        split=split,
        record_alt=record_alt,
    )
