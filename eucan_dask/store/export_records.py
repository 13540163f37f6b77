"""The source records of a contig, found again from the variants they were split into."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from eucan_dask.store.arrays import open_group, read_array
from eucan_dask.store.export_calls import join_calls, write_calls
from eucan_dask.store.records import BoolArray, Int8Array
from eucan_dask.store.variant_rows import VariantRows
from eucan_dask.store.vcf_check import PLAIN

__all__ = ["Contig", "Line"]

_HELD = 3  # chunks of calls kept in memory: a record's variants lie close
_SYMBOLIC = re.compile(r"<[^,]*>(,<[^,]*>)*")


@dataclass(frozen=True)
class Line:
    """A line of VCF without its contig."""

    position: int
    identifier: str
    ref: str
    alt: str
    quality: float
    filters: tuple[str, ...]
    end: int | None
    calls: bytes = b""


class Contig:
    """The shards of one contig, without their calls in memory.

    Parameters
    ----------
    paths
        Of the shards, in genome order.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._shards = [_Shard(path) for path in paths]

    def records(self) -> Iterator[Line]:
        """The source records in order of position, with their own alleles and calls."""
        found: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for s, shard in enumerate(self._shards):
            for row in np.argsort(shard.record, kind="stable").tolist():
                found.setdefault(shard.key(row), []).append((s, row))
        for key in sorted(found, key=lambda key: key[0]):
            for rows in self._copies(found[key]):
                yield self._line(*key, rows)

    def _copies(self, rows: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
        """The rows of each record, where a record stands there more than once."""
        of_alt: dict[int, list[tuple[int, int]]] = {}
        for s, row in rows:
            of_alt.setdefault(self._shards[s].record_alt[row], []).append((s, row))
        copies = zip_longest(*of_alt.values())
        return [[place for place in copy if place is not None] for copy in copies]

    def variants(self) -> Iterator[Line]:
        """The variants of plain bases as they were split and normalised, without calls."""
        for shard in self._shards:
            for row, (ref, alt) in enumerate(shard.allele):
                if PLAIN.fullmatch(ref) and PLAIN.fullmatch(alt):
                    yield shard.line(row, shard.position[row], ref, alt, b"")

    def _line(self, position: int, alleles: str, rows: list[tuple[int, int]]) -> Line:
        ref, _, alt = alleles.partition(",")
        # A row that was neither trimmed nor moved knows the record's END.
        whole = ((s, row) for s, row in rows if self._shards[s].is_whole(row, position, ref))
        s, row = next(whole, rows[0])
        return self._shards[s].line(row, position, ref, alt, self._calls(rows))

    def _calls(self, rows: list[tuple[int, int]]) -> bytes:
        parts = [self._shards[s].calls(row) for s, row in rows]
        which = [self._shards[s].record_alt[row] for s, row in rows]
        known = [(part, alt) for part, alt in zip(parts, which, strict=True) if part]
        if not known:
            return b""
        genotype = join_calls([part[0] for part, _ in known], [alt for _, alt in known])
        return write_calls(genotype, known[0][0][1])


class _Shard:
    """A shard: its variants in memory, its calls read as they are asked for."""

    def __init__(self, path: Path) -> None:
        group = open_group(path)
        arrays = {
            name: read_array(array, path)
            for name, array in group.arrays()
            if not name.startswith("call_")
        }
        rows = VariantRows.from_arrays(arrays)
        self.record: list[int] = rows.record.tolist()
        self.record_alt: list[int] = rows.record_alt.tolist()
        self.position: list[int] = rows.position.tolist()
        self.allele: list[tuple[str, str]] = [(str(r), str(a)) for r, a in rows.allele.tolist()]
        self._length: list[int] = rows.length.tolist()
        self._identifier: list[str] = rows.identifier.tolist()
        self._quality: list[float] = rows.quality.tolist()
        self._record_position: list[int] = rows.record_position.tolist()
        self._record_allele: list[str] = rows.record_allele.tolist()
        names = np.array([*rows.filter_id, ""], dtype=object)
        kinds, kind = np.unique(rows.filters, axis=0, return_inverse=True)
        self._filters = [tuple(names[:-1][some]) for some in kinds]
        self._filter: list[int] = kind.ravel().tolist()
        has_calls = "call_genotype" in group and group["call_genotype"].shape[1] > 0
        self._arrays = (
            (group["call_genotype"], group["call_genotype_phased"]) if has_calls else None
        )
        self._blocks: dict[int, tuple[Int8Array, BoolArray]] = {}

    def key(self, row: int) -> tuple[int, str]:
        """The position and the alleles of a row's record."""
        record = self.record[row]
        return self._record_position[record], self._record_allele[record]

    def is_whole(self, row: int, position: int, ref: str) -> bool:
        """Whether the row has its record's own position and REF."""
        return self.position[row] == position and self.allele[row][0] == ref

    def line(self, row: int, position: int, ref: str, alt: str, calls: bytes) -> Line:
        """A line with the row's ID, QUAL, FILTER, and END where the alleles do not say it."""
        length, end = self._length[row], None
        if self.is_whole(row, position, ref) and (length != len(ref) or _SYMBOLIC.fullmatch(alt)):
            end = position + length - 1
        return Line(
            position,
            self._identifier[row],
            ref,
            alt,
            self._quality[row],
            self._filters[self._filter[row]],
            end,
            calls,
        )

    def calls(self, row: int) -> tuple[Int8Array, BoolArray] | None:
        """Genotype (N, ploidy) and phase (N,) of a row; None where nobody has calls."""
        if self._arrays is None:
            return None
        genotype, phased = self._arrays
        block, at = divmod(row, genotype.chunks[0])
        if block not in self._blocks:
            part = slice(row - at, row - at + genotype.chunks[0])
            if len(self._blocks) >= _HELD:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[block] = (genotype[part], phased[part])
        genotypes, phases = self._blocks[block]
        return genotypes[at], phases[at]
