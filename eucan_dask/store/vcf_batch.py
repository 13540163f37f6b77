"""A batch of records while it is being read."""

from __future__ import annotations

import numpy as np

from eucan_dask.store.records import BoolArray, Int8Array, Records
from eucan_dask.store.vcf_check import check_alleles_called
from eucan_dask.store.vcf_scan import Stretch

__all__ = ["Batch"]


class Batch:
    """The fields of consecutive records, from the one numbered `number` on."""

    def __init__(self, stretch: Stretch, number: int) -> None:
        self._stretch = stretch
        self._number = number
        self._position: list[int] = []
        self._end: list[int] = []
        self._identifier: list[str] = []
        self._allele: list[tuple[str, ...]] = []
        self._quality: list[float] = []
        self._filters: list[tuple[str, ...]] = []

    def __len__(self) -> int:
        return len(self._position)

    def add(
        self,
        position: int,
        end: int,
        identifier: str,
        allele: tuple[str, ...],
        quality: float,
        filters: tuple[str, ...],
    ) -> None:
        """Take up a record's fields, checked."""
        self._position.append(position)
        self._end.append(end)
        self._identifier.append(identifier)
        self._allele.append(allele)
        self._quality.append(quality)
        self._filters.append(filters)

    def to_records(self, calls: tuple[Int8Array, BoolArray] | None) -> Records:
        """All of them with their calls.

        Raises
        ------
        Invalid
            If a call has an allele that its record lacks.
        """
        records = Records(
            contig=self._stretch.contig,
            position=np.array(self._position, dtype=np.int32),
            end=np.array(self._end, dtype=np.int32),
            identifier=tuple(self._identifier),
            allele=tuple(self._allele),
            quality=np.array(self._quality, dtype=np.float32),
            filters=tuple(self._filters),
            genotype=calls[0] if calls else None,
            phased=calls[1] if calls else None,
            number=np.arange(self._number, self._number + len(self), dtype=np.int64),
            source=str(self._stretch.name),
        )
        check_alleles_called(records)
        return records
