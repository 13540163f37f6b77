"""The seam between reading genotypes and storing them: batches of records, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BoolArray",
    "Float32Array",
    "Int16Array",
    "Int32Array",
    "Int64Array",
    "Int8Array",
    "Records",
    "Source",
    "UInt8Array",
    "Unit",
    "batch_rows",
]

Int8Array: TypeAlias = NDArray[np.int8]
Int16Array: TypeAlias = NDArray[np.int16]
Int32Array: TypeAlias = NDArray[np.int32]
Int64Array: TypeAlias = NDArray[np.int64]
UInt8Array: TypeAlias = NDArray[np.uint8]
Float32Array: TypeAlias = NDArray[np.float32]
BoolArray: TypeAlias = NDArray[np.bool_]

BATCH_BYTES = 1 << 26
BATCH_ROWS = 8_192


@dataclass(frozen=True)
class Records:
    """Consecutive source records of one contig, as they were read; `R` records, `N` samples.

    Parameters
    ----------
    contig
        By our name: no `chr`, X, Y, MT.
    position
        (R,) from 1, never decreasing along a contig.
    end
        (R,) the last base: INFO/END, else position + length of REF - 1.
    identifier
        (R,) "." where there is none.
    allele
        (R,) (REF, ALT1, ...), bases in capitals; (REF,) where ALT is ".".
    quality
        (R,) NaN where there is none.
    filters
        (R,) () for ".", ("PASS",), ("q10", "s50").
    genotype
        (R, N, ploidy) allele numbers, -1 missing, -2 padding of a lower ploidy; None without GT.
    phased
        (R, N); None without GT.
    number
        (R,) the record's number in its file, from 1, for messages.
    source
        The file, for messages.
    """

    contig: str
    position: Int32Array
    end: Int32Array
    identifier: tuple[str, ...]
    allele: tuple[tuple[str, ...], ...]
    quality: Float32Array
    filters: tuple[tuple[str, ...], ...]
    genotype: Int8Array | None
    phased: BoolArray | None
    number: Int64Array
    source: str

    def where(self, row: int) -> str:
        """The file and the record, for a message."""
        return f"{self.source}, record {int(self.number[row])}"


class Unit(Protocol):
    """A piece of the work of reading: a range of one contig. Can be pickled."""

    @property
    def contig(self) -> str:
        """The contig it is about, by our name."""
        ...

    def records(self) -> Iterator[Records]:
        """Batches of at most about 64 MB of calls, in order of position."""
        ...


class Source(Protocol):
    """One ingest's input. Cheap to make, can be pickled."""

    @property
    def samples(self) -> tuple[str, ...]:
        """One order for all files."""
        ...

    @property
    def sex(self) -> Int8Array:
        """(N,) 0 unknown, 1 male, 2 female."""
        ...

    @property
    def contigs(self) -> tuple[str, ...]:
        """Those that have records, in `variant.contig_order`."""
        ...

    @property
    def ploidy(self) -> int:
        """The largest number of alleles in a call; 2 at least."""
        ...

    @property
    def has_genotypes(self) -> bool:
        """Whether the files have samples and a GT field."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the person at the terminal."""
        ...

    def units(self, n: int) -> tuple[Unit, ...]:
        """About `n` pieces of work or more, in genome order."""
        ...


def batch_rows(n_samples: int, ploidy: int) -> int:
    """Records a batch may hold."""
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, n_samples * ploidy)))
