"""Variants of one contig in memory, without their calls, and the records they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from eucan_dask.store.arrays import Array, strings
from eucan_dask.store.records import BoolArray, Float32Array, Int16Array, Int32Array
from eucan_dask.variant import PAR

__all__ = ["VariantRows", "join"]

Strings = np.ndarray[Any, np.dtype[np.object_]]
Index = np.ndarray[Any, np.dtype[np.int64]]

_PASS = "PASS"  # noqa: S105


@dataclass(frozen=True)
class VariantRows:
    """`V` variants, `R` source records.

    Parameters
    ----------
    contig
        The contig they all lie on; "" where there are none.
    position, length, allele, identifier, quality
        (V,), alleles (V, 2): REF and ALT.
    filter_id, filters
        The filters named, and (V, F) which of them each variant has.
    record, record_alt
        (V,) the source record, as an index, and which of its ALTs from 1; 0 where it has none.
    split
        (V,) whether the record has several ALTs.
    record_position, record_allele
        (R,) the source record: position, and "REF,ALT1,ALT2".
    """

    contig: str
    position: Int32Array
    length: Int32Array
    allele: Strings
    identifier: Strings
    quality: Float32Array
    filter_id: tuple[str, ...]
    filters: BoolArray
    record: Int32Array
    record_alt: Int16Array
    split: BoolArray
    record_position: Int32Array
    record_allele: Strings

    def __len__(self) -> int:
        return len(self.position)

    def take(self, index: Index) -> VariantRows:
        """These rows in this order; records and filters nobody has any more go."""
        rows = {name: getattr(self, name)[index] for name in _OF_VARIANTS}
        records, rows["record"] = np.unique(rows["record"], return_inverse=True)
        rows["record"] = rows["record"].astype(np.int32)
        used = np.flatnonzero(rows["filters"].any(axis=0))
        rows["filters"] = rows["filters"][:, used]
        return replace(
            self,
            **rows,
            filter_id=tuple(self.filter_id[i] for i in used),
            record_position=self.record_position[records],
            record_allele=self.record_allele[records],
        )

    def to_arrays(self, *, assembly: str, genotyped: bool) -> dict[str, Array]:
        """The arrays as the store's layout has them; `variant_split` if there are packed calls."""
        rows = "variants"
        names = [_PASS, *sorted(set(self.filter_id) - {_PASS})]
        out = {
            "contig_id": Array(("contigs",), strings([self.contig] if self.contig else [])),
            "variant_contig": Array((rows,), np.zeros(len(self), dtype=np.int16)),
            "variant_position": Array((rows,), self.position),
            "variant_allele": Array((rows, "alleles"), self.allele),
            "variant_id": Array((rows,), self.identifier),
            "variant_quality": Array((rows,), self.quality),
            "filter_id": Array(("filters",), strings(names)),
            "variant_filter": Array((rows, "filters"), _spread(self, names)),
            "variant_length": Array((rows,), self.length),
            "variant_par": Array((rows,), _in_par(assembly, self.contig, self.position)),
            "variant_record": Array((rows,), self.record),
            "variant_record_alt": Array((rows,), self.record_alt),
            "record_position": Array(("records",), self.record_position),
            "record_allele": Array(("records",), self.record_allele),
        }
        if genotyped:
            numbers = np.where(self.split, np.cumsum(self.split) - 1, -1).astype(np.int32)
            out["variant_split"] = Array((rows,), numbers)
        return out

    @classmethod
    def none(cls) -> VariantRows:
        """No variants."""
        numbers, words = np.empty(0, dtype=np.int32), np.empty(0, dtype=object)
        return cls(
            "",
            numbers,
            numbers,
            words.reshape(0, 2),
            words,
            numbers.astype(np.float32),
            (),
            np.empty((0, 0), dtype=bool),
            numbers,
            numbers.astype(np.int16),
            numbers.astype(bool),
            numbers,
            words,
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> VariantRows:
        """The rows from the arrays of a shard."""
        values = {name: array.values for name, array in arrays.items()}
        size = len(values["variant_position"])
        return cls(
            "".join(map(str, values["contig_id"])),
            values["variant_position"],
            values["variant_length"],
            values["variant_allele"],
            values["variant_id"],
            values["variant_quality"],
            tuple(map(str, values["filter_id"])),
            values["variant_filter"],
            values["variant_record"],
            values["variant_record_alt"],
            values.get("variant_split", np.full(size, -1)) >= 0,
            values["record_position"],
            values["record_allele"],
        )


_OF_VARIANTS = tuple(
    f.name
    for f in fields(VariantRows)
    if f.name not in ("contig", "filter_id", "record_position", "record_allele")
)


def join(parts: Sequence[VariantRows]) -> VariantRows:
    """The rows of several, one after the other; all of one contig."""
    if len(parts) == 1:
        return parts[0]
    names = sorted({name for part in parts for name in part.filter_id})
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (*_OF_VARIANTS, "record_position", "record_allele")
        if name not in ("filters", "record")
    }
    starts = np.cumsum([0, *(len(part.record_position) for part in parts)])
    columns["record"] = np.concatenate(
        [part.record + start for part, start in zip(parts, starts[:-1], strict=True)]
    )
    columns["filters"] = np.concatenate([_spread(part, names) for part in parts])
    return replace(parts[0], filter_id=tuple(names), **columns)


def _spread(rows: VariantRows, names: Sequence[str]) -> BoolArray:
    out = np.zeros((len(rows), len(names)), dtype=bool)
    for i, name in enumerate(rows.filter_id):
        out[:, names.index(name)] = rows.filters[:, i]
    return out


def _in_par(assembly: str, contig: str, position: Int32Array) -> BoolArray:
    out = np.zeros(len(position), dtype=bool)
    for first, last in PAR[assembly].get(contig, ()):
        out |= (position >= first) & (position <= last)
    return out
