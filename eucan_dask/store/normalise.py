"""Records of one or several ALTs as variants of one: split, checked, trimmed, left-aligned."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.records import (
    BoolArray,
    Float32Array,
    Int8Array,
    Int16Array,
    Int32Array,
    Int64Array,
    Records,
    UInt8Array,
)
from eucan_dask.store.reference import Reference
from eucan_dask.variant import trim

__all__ = ["WINDOW", "Variants", "normalise"]

WINDOW = 1000  # bases a variant may move to the left, as in bcftools norm
MISSING = 3
_BASES = re.compile(r"[ACGTN]+")
# What an ambiguity code of the genome may stand for in a REF.
_CODES = dict(R="AG", Y="CT", S="CG", W="AT", K="GT", M="AC", B="CGT", D="AGT", H="ACT", V="ACG")


@dataclass(frozen=True)
class Variants:
    """Variants of one contig, sorted by position and alleles; `V` variants of `R` records.

    Parameters
    ----------
    contig, position, end, identifier, ref, alt, quality, filters
        (V,) as in `Records`, with one ALT each; "." where a record has none.
    record, record_alt
        (V,) the index of the variant's record, and which of its ALTs it is, from 1; 0 for ".".
    record_position, record_allele
        (R,) as in the file; alleles with commas between them.
    genotype, phased
        (V, N, ploidy) and (V, N): 0 REF, 1 this ALT, -1 missing or another ALT, -2 padding.
    split
        (V,) whether the record has several ALTs.
    alt_copies, other_copies
        For the split ones (S, N): copies of this ALT and of others, 3 where the call is missing.
    """

    contig: str
    position: Int32Array
    end: Int32Array
    identifier: tuple[str, ...]
    ref: tuple[str, ...]
    alt: tuple[str, ...]
    quality: Float32Array
    filters: tuple[tuple[str, ...], ...]
    record: Int64Array
    record_alt: Int16Array
    record_position: Int32Array
    record_allele: tuple[str, ...]
    genotype: Int8Array | None
    phased: BoolArray | None
    split: BoolArray
    alt_copies: UInt8Array | None
    other_copies: UInt8Array | None


def normalise(records: Records, *, fasta: Reference | None) -> Variants:
    """The variants of a batch of records.

    Parameters
    ----------
    fasta
        The genome: REF is compared with it, and plain indels are moved as far left as they go.

    Raises
    ------
    Invalid
        If a REF is not what the genome has there, or the genome lacks the contig.

    References
    ----------
    Tan, Abecasis & Kang, Bioinformatics 2015;31:2202 (left alignment).
    """
    rows: list[tuple[int, str, str, int, int]] = []
    for r, alleles in enumerate(records.allele):
        start = int(records.position[r])
        if fasta is not None:
            _check(records, r, fasta)
        for a, alt in enumerate(alleles[1:] or (".",), start=min(len(alleles) - 1, 1)):
            rows.append((*_tidy(records.contig, start, alleles[0], alt, fasta), r, a))
    rows.sort(key=lambda row: row[:3])
    position, ref, alt_, record, which = zip(*rows, strict=True) if rows else ((),) * 5
    at = np.array(record, dtype=np.int64)
    split = np.array([len(records.allele[r]) > 2 for r in record], dtype=np.bool_)
    genotype, alt_copies, other_copies = _split_calls(records, at, np.array(which, np.int16), split)
    return Variants(
        contig=records.contig,
        position=np.array(position, dtype=np.int32),
        end=_ends(records, at, np.array(position, dtype=np.int32), ref),
        identifier=tuple(records.identifier[r] for r in record),
        ref=ref,
        alt=alt_,
        quality=records.quality[at],
        filters=tuple(records.filters[r] for r in record),
        record=at,
        record_alt=np.array(which, dtype=np.int16),
        record_position=records.position,
        record_allele=tuple(",".join(a if len(a) > 1 else (*a, ".")) for a in records.allele),
        genotype=genotype,
        phased=None if records.phased is None else records.phased[at],
        split=split,
        alt_copies=alt_copies,
        other_copies=other_copies,
    )


def _ends(
    records: Records, record: Int64Array, position: Int32Array, ref: tuple[str, ...]
) -> Int32Array:
    """A variant that was trimmed or moved ends where its REF does, the others as their record."""
    own = position + np.array([len(bases) for bases in ref], dtype=np.int32) - 1
    whole = np.array(
        [records.allele[r][0] == b for r, b in zip(record, ref, strict=True)], np.bool_
    )
    whole &= position == records.position[record]
    return np.where(whole, records.end[record], own).astype(np.int32)


def _check(records: Records, row: int, fasta: Reference) -> None:
    first, ref = int(records.position[row]), records.allele[row][0]
    found = fasta.bases(records.contig, first, first + len(ref) - 1)
    same = found == ref or (
        len(found) == len(ref)
        and all(a in (b, "N") or a in _CODES.get(b, "") for a, b in zip(ref, found, strict=True))
    )
    if not same:
        raise Invalid(
            "REF is not what the reference has there",
            where=f"{records.where(row)} ({records.contig}:{first})",
            expected=found[:60] or "a position on the contig",
            found=ref[:60],
            remedy="use the FASTA the file was called with, or correct the file",
        )


def _tidy(
    contig: str, position: int, ref: str, alt: str, fasta: Reference | None
) -> tuple[int, str, str]:
    if not (_BASES.fullmatch(ref) and _BASES.fullmatch(alt)) or ref == alt:
        return position, ref, alt  # symbolic, breakend, *, or monomorphic: as it is
    if fasta is None or len(ref) == len(alt):
        return trim(position, ref, alt)
    least = max(1, position - WINDOW)
    while True:
        if (
            ref
            and alt
            and ref[-1] == alt[-1]
            and (len(ref) > 1 and len(alt) > 1 or position > least)
        ):
            ref, alt = ref[:-1], alt[:-1]
        elif ref and alt:
            break
        if not ref or not alt:
            position -= 1
            before = fasta.bases(contig, position, position)
            ref, alt = before + ref, before + alt
    while len(ref) > 1 and len(alt) > 1 and ref[0] == alt[0]:
        position, ref, alt = position + 1, ref[1:], alt[1:]
    return position, ref, alt


def _split_calls(
    records: Records, record: Int64Array, which: Int16Array, split: BoolArray
) -> tuple[Int8Array | None, UInt8Array | None, UInt8Array | None]:
    calls = records.genotype
    if calls is None:
        return None, None, None
    straight = np.array_equal(record, np.arange(len(calls)))
    genotype = calls if straight else calls[record]
    if straight and not split.any() and (which == 1).all():
        return genotype, None, None
    genotype = genotype.copy() if straight else genotype
    alts: list[UInt8Array] = []
    others: list[UInt8Array] = []
    for v in np.flatnonzero(split | (which != 1)):
        own = calls[record[v]]
        mine = (own == which[v]) & (which[v] > 0)
        genotype[v] = np.where(mine, 1, np.where(own > 0, -1, own))
        if split[v]:
            once = 1 + (own[:, 1:] == -2).all(axis=1).astype(np.uint8)  # haploid: all copies
            missing = (own == -1).any(axis=1)
            for copies, hit in ((alts, mine), (others, (own > 0) & ~mine)):
                n = hit.sum(axis=1, dtype=np.uint8) * once
                copies.append(np.where(missing, np.uint8(MISSING), np.minimum(n, 2)))
    shape = (0, calls.shape[1])
    stacked = [np.array(c, np.uint8) if c else np.empty(shape, np.uint8) for c in (alts, others)]
    return genotype, stacked[0], stacked[1]
