"""Genotypes of source records from their variants' calls, as VCF text."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from eucan_dask.store.records import BoolArray, Int8Array, UInt8Array

__all__ = ["join_calls", "write_calls"]

_MISSING, _PADDING = -1, -2
_SMALL = 32  # below this many alleles one call at a time is faster than arrays
_LETTER: UInt8Array = np.frombuffer(b".0123456789", dtype=np.uint8)


def join_calls(rows: list[Int8Array], which: list[int]) -> Int8Array:
    """The allele numbers of a record, (N, ploidy), from the calls of its variants.

    Parameters
    ----------
    rows
        (N, ploidy) for each: 0 REF, 1 its ALT, -1 missing or another ALT, -2 padding.
    which
        The ALT of each, from 1; 0 for a record without one.
    """
    if which == [1]:
        return rows[0]
    out = rows[0].copy()
    for row, alt in zip(rows, which, strict=True):
        out[row == 1] = alt
    return out


def write_calls(genotype: Int8Array, phased: BoolArray) -> bytes:
    r"""The sample columns of a record: calls with tabs between them.

    Examples
    --------
    >>> write_calls(np.array([[0, 1], [1, -2], [-1, -1]], np.int8), np.array([True, False, False]))
    b'0|1\t1\t./.'
    """
    if genotype.size <= _SMALL:
        calls = zip(genotype.tolist(), phased.tolist(), strict=True)
        return b"\t".join([_word(tuple(call), is_phased) for call, is_phased in calls])
    if genotype.shape[1] == 2 and genotype.min() >= _MISSING and genotype.max() < 10:
        text = np.empty((len(genotype), 4), dtype=np.uint8)
        text[:, 0] = _LETTER[genotype[:, 0] + 1]
        text[:, 1] = np.where(phased, ord("|"), ord("/"))
        text[:, 2] = _LETTER[genotype[:, 1] + 1]
        text[:, 3] = ord("\t")
        return text.tobytes()[:-1]
    columns = np.concatenate([genotype, phased[:, np.newaxis].astype(np.int8)], axis=1)
    kinds, index = np.unique(columns, axis=0, return_inverse=True)
    words = [_word(tuple(kind[:-1].tolist()), bool(kind[-1])) for kind in kinds]
    return b"\t".join([words[i] for i in index.ravel().tolist()])


@lru_cache(maxsize=4096)
def _word(alleles: tuple[int, ...], phased: bool) -> bytes:  # noqa: FBT001
    known = ["." if a == _MISSING else str(a) for a in alleles if a != _PADDING]
    return ("|" if phased else "/").join(known).encode() or b"."
