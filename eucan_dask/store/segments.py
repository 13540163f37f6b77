"""What reading leaves on disk until it is sorted into shards: one segment for each batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr  # type: ignore[import-untyped, unused-ignore]
from numcodecs import Blosc  # type: ignore[import-untyped, unused-ignore]

from eucan_dask.errors import Invalid
from eucan_dask.store.arrays import (
    Array,
    open_group,
    read_array,
    read_arrays,
    strings,
    write_arrays,
)
from eucan_dask.store.normalise import Variants
from eucan_dask.store.records import BoolArray, Int8Array, Int32Array, Records
from eucan_dask.store.variant_rows import Index, Strings, VariantRows, join
from eucan_dask.store.variants import CallBlock, one_thread

__all__ = ["Gathered", "Segment", "write_segment"]

_FAST = Blosc(cname="lz4", clevel=1, shuffle=Blosc.BITSHUFFLE)
_BASES = frozenset("ACGTN")
_ROWS, _CALLS = "rows.zarr", "calls.zarr"


@dataclass(frozen=True)
class Segment:
    """A batch on disk, sorted; `last` is the position of the last record read from `source`."""

    path: Path
    contig: str
    n_variants: int
    last: int
    source: str

    def keys(self) -> tuple[Int32Array, Strings]:
        """Positions, and alleles (V, 2)."""
        group = open_group(self.path / _ROWS)
        names = ("variant_position", "variant_allele")
        position, allele = (read_array(group[name], self.path).values for name in names)
        return position, allele

    def where(self, row: int) -> str:
        """The file and the record a variant comes from, for a message."""
        arrays = read_arrays(self.path / _ROWS)[0]
        number = arrays["record_number"].values[arrays["variant_record"].values[row]]
        return f"{self.source}, record {int(number)}"

    def rows(self) -> VariantRows:
        """The variants."""
        return VariantRows.from_arrays(read_arrays(self.path / _ROWS)[0])

    def calls(self) -> CallBlock:
        """Their calls."""
        group = zarr.open_group(str(self.path / _CALLS), mode="r", zarr_version=2)
        return CallBlock(*(group[name][...] for name in CallBlock.__dataclass_fields__))


def write_segment(path: Path, variants: Variants, records: Records) -> Segment:
    """Keep a normalised batch and what messages need of its records."""
    names = sorted({name for filters in variants.filters for name in filters})
    rows = VariantRows(
        variants.contig,
        variants.position,
        (variants.end - variants.position + 1).astype(np.int32),
        np.stack([strings(variants.ref), strings(variants.alt)], axis=1),
        strings(variants.identifier),
        variants.quality,
        tuple(names),
        _filters(variants, names),
        variants.record.astype(np.int32),
        variants.record_alt,
        variants.split,
        variants.record_position,
        strings(variants.record_allele),
    )
    arrays = rows.to_arrays(assembly=_NO_MATTER, genotyped=True)
    arrays["record_number"] = Array(("records",), records.number)
    write_arrays(path / _ROWS, arrays, {})
    if variants.genotype is not None and variants.phased is not None:
        _write_calls(path / _CALLS, variants, variants.genotype, variants.phased)
    return Segment(path, variants.contig, len(rows), int(records.position[-1]), records.source)


_NO_MATTER = "GRCh38"  # the regions of X and Y are looked up when the shard is written


def _filters(variants: Variants, names: list[str]) -> np.ndarray:  # type: ignore[type-arg]
    index = {name: i for i, name in enumerate(names)}
    out = np.zeros((len(variants.position), len(names)), dtype=bool)
    for row, filters in enumerate(variants.filters):
        for name in filters:
            out[row, index[name]] = True
    return out


def _write_calls(path: Path, variants: Variants, genotype: Int8Array, phased: BoolArray) -> None:
    none = np.empty((0, genotype.shape[1]), dtype=np.uint8)
    arrays = {
        "genotype": genotype,
        "phased": phased,
        "alt": none if variants.alt_copies is None else variants.alt_copies,
        "other": none if variants.other_copies is None else variants.other_copies,
    }
    group = zarr.open_group(str(path), mode="w", zarr_version=2)
    with one_thread():
        for name, values in arrays.items():
            chunks = tuple(max(1, length) for length in values.shape)
            group.create_dataset(
                name, data=values, chunks=chunks, compressor=_FAST, fill_value=None
            )


class Gathered:
    """Rows of several segments in a given order.

    Parameters
    ----------
    segments
        All of one contig.
    which, row
        For each variant wanted: the segment, as an index, and its row in it.
    """

    def __init__(self, segments: Sequence[Segment], which: Index, row: Index) -> None:
        self._segments, self._which, self._row = segments, which, row
        self._open: dict[int, CallBlock] = {}
        parts = [segment.rows() for segment in segments]
        starts = np.cumsum([0, *(len(part) for part in parts)])
        self._split = np.concatenate([part.split for part in parts])[starts[which] + row]
        # Where among the split variants of its segment each variant is.
        numbers = np.concatenate([np.cumsum(part.split) - 1 for part in parts])
        self._split_row = numbers[starts[which] + row]
        self.rows = join(parts).take(starts[which] + row)
        self._again = _again(self.rows)
        self._before: Int8Array | None = None

    @property
    def n_again(self) -> int:
        """How many variants are the one before them once more."""
        return int(self._again.sum())

    def calls(self, part: slice) -> CallBlock:
        """The calls of some of the variants; asked for in order, a segment is read once.

        Raises
        ------
        Invalid
            If a variant is there twice with different calls: nobody could tell which are right.
        """
        which, row, split = self._which[part], self._row[part], self._split[part]
        # Where in the answer each split variant goes, and which row of its segment it is.
        place, split_row = np.cumsum(split) - 1, self._split_row[part]
        needed = np.unique(which).tolist()
        self._open = {
            i: self._open[i] if i in self._open else self._segments[i].calls() for i in needed
        }
        first = self._open[needed[0]]
        out = CallBlock(
            np.empty((len(which), *first.genotype.shape[1:]), dtype=np.int8),
            np.empty((len(which), *first.phased.shape[1:]), dtype=bool),
            *(np.empty((int(split.sum()), first.alt.shape[1]), dtype=np.uint8) for _ in range(2)),
        )
        for i in needed:
            here, block = which == i, self._open[i]
            out.genotype[here] = block.genotype[row[here]]
            out.phased[here] = block.phased[row[here]]
            here &= split
            out.alt[place[here]] = block.alt[split_row[here]]
            out.other[place[here]] = block.other[split_row[here]]
        self._check_again(part, out.genotype)
        return out

    def _check_again(self, part: slice, genotype: Int8Array) -> None:
        for i in np.flatnonzero(self._again[part]):
            before = genotype[i - 1] if i else self._before
            if before is not None and not _same_calls(before, genotype[i]):
                row = part.start + int(i)
                first, second = (
                    self._segments[self._which[j]].where(int(self._row[j])) for j in (row - 1, row)
                )
                raise Invalid(
                    f"holds a variant with other calls than those of {first}",
                    where=second,
                    found=f"{self.rows.contig}:{self.rows.position[row]} "
                    + ">".join(str(allele)[:20] for allele in self.rows.allele[row]),
                    remedy="remove one of them (bcftools norm -d exact)",
                )
        self._before = genotype[-1] if len(genotype) else None


def _again(rows: VariantRows) -> BoolArray:
    """Which variants are the one before them once more; alleles that are no bases never are."""
    out = np.zeros(len(rows), dtype=bool)
    for i in np.flatnonzero(np.diff(rows.position) == 0) + 1:
        same = (rows.allele[i] == rows.allele[i - 1]).all()
        out[i] = same and not set(rows.allele[i, 1]) - _BASES
    return out


def _same_calls(one: Int8Array, other: Int8Array) -> bool:
    """Whether every call has the same alleles, in whatever phase."""
    return bool((np.sort(one, axis=-1) == np.sort(other, axis=-1)).all())
