"""Four diploid calls in a byte: packing and unpacking whole arrays at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from eucan_dask.store.records import Int8Array, UInt8Array

Values = np.ndarray[Any, Any]

__all__ = ["MISSING", "pack_calls", "pack_codes", "packed_bytes", "unpack"]

MISSING = 3

# Packing works through blocks of rows that stay in the processor's cache.
_BLOCK_BYTES = 1 << 19


def packed_bytes(n_samples: int) -> int:
    """Bytes a variant takes: the length of `sample_bytes`."""
    return -(-n_samples // 4)


def pack_calls(genotype: Int8Array) -> UInt8Array:
    """Copies of ALT of calls of two alleles, four calls a byte.

    An allele is 0 (REF), 1 (ALT), -1 (missing) or, the second one only, -2 (haploid). A haploid ALT
    counts as two copies, as PLINK has it; a call with a missing allele is missing.

    Parameters
    ----------
    genotype
        (V, N, 2).

    Returns
    -------
    (V, ceil(N / 4)); sample i in byte i // 4, bits 2 * (i % 4); 0, 1, 2 copies, 3 missing or
    padding.
    """
    alleles = genotype.reshape(len(genotype), 2 * genotype.shape[1])
    out = np.empty((len(genotype), packed_bytes(genotype.shape[1])), dtype=np.uint8)
    for block in _blocks(len(out), 8 * out.shape[1]):
        # Eight alleles lie in a word, of each of which two bits matter: gather those 16 bits.
        words = _padded(alleles[block], 8, -1).view("<u8")
        words = words & 0x0303030303030303
        words |= words >> np.uint64(6)
        words &= 0x000F000F000F000F
        words |= words >> np.uint64(12)
        words &= 0x000000FF000000FF
        words |= words >> np.uint64(24)
        np.take(_TABLE, words & 0xFFFF, out=out[block], mode="clip")
    return out


def pack_codes(codes: UInt8Array) -> UInt8Array:
    """Codes 0 to 3 of (V, N), four a byte; padding is 3."""
    out = np.empty((len(codes), packed_bytes(codes.shape[1])), dtype=np.uint8)
    for block in _blocks(len(out), 4 * out.shape[1]):
        words = _padded(codes[block], 4, MISSING).view("<u4") & np.uint32(0x03030303)
        words |= words >> np.uint32(6)
        words &= np.uint32(0x000F000F)
        words |= words >> np.uint32(12)
        out[block] = words.astype(np.uint8)
    return out


def unpack(packed: UInt8Array, n_samples: int) -> UInt8Array:
    """The codes (V, N) of packed calls."""
    out = np.empty((*packed.shape, 4), dtype=np.uint8)
    for i in range(4):
        np.bitwise_and(packed >> np.uint8(2 * i), np.uint8(3), out=out[..., i])
    return out.reshape(len(packed), 4 * packed.shape[1])[:, :n_samples]


def _blocks(n_rows: int, row_bytes: int) -> list[slice]:
    if not row_bytes:
        return []
    step = max(1, _BLOCK_BYTES // row_bytes)
    return [slice(start, start + step) for start in range(0, n_rows, step)]


def _padded(rows: Values, multiple: int, value: int) -> Values:
    """The rows, contiguous, with their length made a multiple."""
    lacking = -rows.shape[1] % multiple
    if not lacking:
        return np.ascontiguousarray(rows)
    out = np.full((len(rows), rows.shape[1] + lacking), value, dtype=rows.dtype)
    out[:, : rows.shape[1]] = rows
    return out


def _table() -> UInt8Array:
    """The packed byte of each 16 bits: four calls of two alleles of two bits each.

    In two bits 0 is REF, 1 ALT, 2 padding of a lower ploidy (-2), 3 missing (-1).
    """
    pairs = np.full((4, 4), MISSING, dtype=np.uint8)  # second allele, first allele
    pairs[:2, :2] = [[0, 1], [1, 2]]
    pairs[2, :2] = [0, 2]
    call = pairs.ravel().astype(np.uint16)
    two = call[:, None] << 2 | call[None, :]
    four: UInt8Array = (two.ravel()[:, None] << 4 | two.ravel()[None, :]).ravel().astype(np.uint8)
    return four


_TABLE = _table()
