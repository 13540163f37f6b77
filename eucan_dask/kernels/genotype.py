"""Counting and unpacking genotypes of two bits: 0, 1, 2 copies of ALT, 3 missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FIELDS", "lane_mask", "tally", "tiles", "unpack"]

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Ints = NDArray[np.int64]

MISSING = 3
FIELDS = (
    "n_called",
    "allele_number",
    "allele_count",
    "n_carriers",
    "hom_ref",
    "het",
    "hom_alt",
    "n_single",
    "n_single_alt",
)
_LOW = np.uint64(0x5555_5555_5555_5555)
_TILE_WORDS = 1 << 19
_CODES = np.array([[byte >> shift & 3 for shift in (0, 2, 4, 6)] for byte in range(256)], np.uint8)


def tiles(n: int, width: int, *, words: int = _TILE_WORDS) -> Iterator[slice]:
    """Slices of `n` rows, of about `words` items each where a row has `width`."""
    step = max(16, words // max(width, 1))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def unpack(packed: Bytes, columns: NDArray[np.integer[Any]]) -> Bytes:
    """Codes (V, N) of the samples in `columns` from packed rows (V, bytes)."""
    wanted = np.asarray(columns, dtype=np.int64)
    if wanted.size and (np.diff(wanted) == 1).all():  # neighbours: by table
        whole = _CODES[packed].reshape(packed.shape[0], 4 * packed.shape[1])
        return whole[:, wanted[0] : wanted[-1] + 1]
    byte, lane = np.divmod(wanted, 4)
    codes: Bytes = packed[:, byte] >> (2 * lane).astype(np.uint8) & np.uint8(3)
    return codes


def lane_mask(columns: NDArray[np.integer[Any]], n_bytes: int) -> Words:
    """A bit in the lane of each sample in `columns`, as words (W,)."""
    flags = np.zeros((n_bytes + 7) // 8 * 8, dtype=np.uint8)
    byte, lane = np.divmod(np.asarray(columns, dtype=np.int64), 4)
    np.bitwise_or.at(flags, byte, (1 << (2 * lane)).astype(np.uint8))
    return flags.view(np.uint64)


def _words(packed: Bytes) -> Words:
    short = -packed.shape[1] % 8
    padded = np.pad(packed, ((0, 0), (0, short))) if short else packed
    return np.ascontiguousarray(padded).view(np.uint64)


def _split(words: Words) -> tuple[Words, Words, Words]:
    """Lanes where the code is 1, 2 and 3."""
    low, high = words & _LOW, words >> np.uint64(1) & _LOW
    return low & ~high, high & ~low, low & high


def _count(lanes: Words, mask: Words) -> Ints:
    counts: Ints = np.bitwise_count(lanes & mask).sum(axis=1, dtype=np.int64)
    return counts


def tally(
    packed: Bytes,
    *,
    diploid: Words,
    haploid: Words,
    alleles: tuple[Bytes, Bytes] | None = None,
) -> Ints:
    """What `FIELDS` names, for each variant: (V, 9).

    Parameters
    ----------
    packed
        Calls (V, bytes).
    diploid, haploid
        `lane_mask` of the people who carry two copies, and of those who carry one. A haploid
        person's ALT is code 2; code 1 is no call there.
    alleles
        For variants of multi-allelic records: copies of this ALT and of other ALTs (each like
        `packed`), so that a person with another ALT is counted among the alleles.

    Notes
    -----
    Genotypes (`hom_ref`, `het`, `hom_alt`) are those of diploid people whose alleles are REF and
    this ALT. `allele_number` counts two copies of a diploid and one of a haploid person called;
    `n_single` of those called carry one copy, `n_single_alt` one of ALT.
    """
    out = np.zeros((packed.shape[0], len(FIELDS)), dtype=np.int64)
    n_diploid, n_haploid = (int(np.bitwise_count(m).sum()) for m in (diploid, haploid))
    for rows in tiles(packed.shape[0], packed.shape[1] // 8 + 1):
        het, hom, missing = _split(_words(packed[rows]))
        n_het, n_hom, n_missing = (_count(x, diploid) for x in (het, hom, missing))
        genotypes = (n_diploid - n_het - n_hom - n_missing, n_het, n_hom)
        uncalled = missing | het
        if alleles is not None:
            one, two, missing = _split(_words(alleles[0][rows]))
            other = _split(_words(alleles[1][rows]))[0]
            uncalled, hom = missing | one | other, two
            n_het, n_hom, n_missing = (_count(x, diploid) for x in (one, two, missing))
        called, single = n_diploid - n_missing, n_haploid - _count(uncalled, haploid)
        n_single = _count(hom & ~uncalled, haploid)
        carriers = n_het + n_hom + n_single
        alt = n_het + 2 * n_hom + n_single
        counts = (called + single, 2 * called + single, alt, carriers, *genotypes, single, n_single)
        out[rows] = np.stack(counts, axis=1)
    return out
