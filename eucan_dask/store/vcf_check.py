"""What a record's fields must be, whichever format it stands in."""

from __future__ import annotations

import re

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.records import Records
from eucan_dask.store.vcf_scan import unsorted_records

__all__ = ["PLAIN", "alleles", "check_alleles_called", "check_order", "last_base", "word"]

PLAIN = re.compile(r"[ACGTN]+")
_BASES = re.compile(rb"[ACGTN]+")
_AMBIGUOUS = re.compile(r"[ACGTNRYMKSWBDHV]+")
_SYMBOLIC = re.compile(r"<[^<>\s]+>|\*")
_BREAKEND = re.compile(r"[ACGTN]*([\[\]])[^\[\]\s]+\1[ACGTN]*|\.[ACGTN]+|[ACGTN]+\.", re.IGNORECASE)
_SPACE = re.compile(r"\s")
_LIMIT = 2**31 - 2


def alleles(ref: bytes, alt: bytes, *, where: str) -> tuple[str, ...]:
    """REF and the ALTs, bases in capitals; (REF,) where ALT is `.`.

    Raises
    ------
    Invalid
        If one is no allele, or stands there twice.
    """
    if _BASES.fullmatch(ref) and _BASES.fullmatch(alt) and ref != alt:
        return ref.decode(), alt.decode()
    try:
        first = ref.decode("ascii").upper()
        others = () if alt == b"." else tuple(alt.decode("ascii").split(","))
    except UnicodeDecodeError as error:
        raise Invalid("no allele", where=where, found="bytes that are not ASCII") from error
    if not _AMBIGUOUS.fullmatch(first):
        raise Invalid("no REF", where=where, expected="bases", found=repr(first[:20]))
    found = (first, *(_alternate(allele, where) for allele in others))
    if len(set(found)) < len(found):
        twice = next(allele for i, allele in enumerate(found) if allele in found[:i])
        raise Invalid(
            "an allele stands there twice",
            where=where,
            found=repr(twice[:20]),
            remedy="remove the record or correct it",
        )
    return found


def _alternate(allele: str, where: str) -> str:
    if PLAIN.fullmatch(allele.upper()):
        return allele.upper()
    if _SYMBOLIC.fullmatch(allele) or _BREAKEND.fullmatch(allele):
        return allele
    raise Invalid(
        "no ALT", where=where, expected="bases, '*', '<...>' or a breakend", found=repr(allele[:20])
    )


def word(text: bytes, column: str, *, where: str) -> str:
    """A field without white space, "." where there is nothing in it to say.

    Raises
    ------
    Invalid
        If it is empty, no UTF-8 or holds white space.
    """
    try:
        found = text.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{column} is not UTF-8", where=where) from error
    if not found or (_SPACE.search(found)):
        raise Invalid(f"{column} is empty or holds white space", where=where)
    return found


def check_order(found: str, contig: str, position: int, before: int, *, where: str) -> None:
    """The record is on the contig and not before the one before it.

    Raises
    ------
    Invalid
        If it is not.
    """
    if found != contig:
        raise Invalid(
            f"contig {contig} comes back after {found}",
            where=where,
            remedy="sort the file with bcftools sort",
        )
    if position < before:
        raise unsorted_records(position, before, where=where)


def last_base(end: int | None, position: int, allele: tuple[str, ...], *, where: str) -> int:
    """INFO/END, or the last base of REF where there is none.

    The END of a breakend or a symbolic allele may lie on another contig: before the record it
    says nothing about this one.

    Raises
    ------
    Invalid
        If END is before a record of plain alleles, or beyond every genome.
    """
    if end is not None and position <= end <= _LIMIT:
        return end
    if end is None or (end < position and not all(map(PLAIN.fullmatch, allele))):
        return position + len(allele[0]) - 1
    raise Invalid(
        "END is before the record or no position", where=where, expected=position, found=end
    )


def check_alleles_called(records: Records) -> None:
    """No call has an allele that its record lacks.

    Raises
    ------
    Invalid
        Naming the first record where one has.
    """
    if records.genotype is None or not records.genotype.size:
        return
    most = np.array([len(allele) for allele in records.allele]) - 1
    called = records.genotype.max(axis=(1, 2))
    if (wrong := np.flatnonzero(called > most)).size:
        row = int(wrong[0])
        raise Invalid(
            "a call has an allele that the record lacks",
            where=records.where(row),
            expected=f"{int(most[row])} at most",
            found=int(called[row]),
        )
