"""Genotypes from the sample columns of VCF lines: whole batches at once where they are plain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.records import BoolArray, Int8Array, Int64Array, UInt8Array

__all__ = ["Columns", "parse_calls"]

MISSING, PADDING = -1, -2
_BAD = 100
_TAB, _COLON = ord("\t"), ord(":")
_GENOTYPE = re.compile(rb"[/|]?(\.|\d{1,4})([/|](\.|\d{1,4}))*")
_SMALL = 32  # below this many samples one call at a time is faster than arrays

_ALLELE = np.full(256, _BAD, dtype=np.int8)
_ALLELE[[*b"0123456789"]] = range(10)
_ALLELE[ord(".")] = MISSING
_SEPARATOR = np.full(256, _BAD, dtype=np.int8)  # 0 unphased, 1 phased
_SEPARATOR[ord("/")], _SEPARATOR[ord("|")] = 0, 1
_DELIMITER = np.zeros(256, dtype=np.bool_)
_DELIMITER[[_TAB, _COLON]] = True


@dataclass(frozen=True)
class Columns:
    """One line's FORMAT and sample columns as they stand, and its place."""

    format: bytes
    samples: bytes
    where: str


def parse_calls(
    lines: Sequence[Columns], n_samples: int, ploidy: int
) -> tuple[Int8Array, BoolArray]:
    """Allele numbers and phase of `lines`, (R, N, ploidy) and (R, N).

    Missing data: `.` is -1; a record without GT has every call missing; the places that a call of
    lower ploidy lacks are -2. A call is phased if every separator in it is `|`.

    Raises
    ------
    Invalid
        Naming the record: a column too few or too many, a genotype that is none.
    """
    genotype = np.full((len(lines), n_samples, ploidy), PADDING, dtype=np.int8)
    phased = np.zeros((len(lines), n_samples), dtype=np.bool_)
    plain = [
        row
        for row, line in enumerate(lines)
        if line.format == b"GT" and len(line.samples) == 4 * n_samples - 1
    ]
    rest = set(range(len(lines))) - set(plain)
    if plain:
        good = _plain(lines, np.array(plain), genotype, phased)
        rest |= {row for row, fine in zip(plain, good, strict=True) if not fine}
    for row in sorted(rest):
        _line(lines[row], genotype[row], phased[row])
    return genotype, phased


def _plain(
    lines: Sequence[Columns], rows: Int64Array, genotype: Int8Array, phased: BoolArray
) -> BoolArray:
    """Lines of nothing but calls such as `0|1`; tells which of them were just that."""
    n_samples = genotype.shape[1]
    text = np.frombuffer(b"\t".join([*(lines[row].samples for row in rows), b""]), dtype=np.uint8)
    cells = text.reshape(len(rows), n_samples, 4)
    first, second = _ALLELE[cells[:, :, 0]], _ALLELE[cells[:, :, 2]]
    separator = _SEPARATOR[cells[:, :, 1]]
    bad = (first == _BAD) | (second == _BAD) | (separator == _BAD) | (cells[:, :, 3] != _TAB)
    good: BoolArray = ~bad.any(axis=1)
    genotype[rows[good], :, 0] = first[good]
    genotype[rows[good], :, 1] = second[good]
    phased[rows[good]] = separator[good] == 1
    return good


def _line(line: Columns, genotype: Int8Array, phased: BoolArray) -> None:
    """One line of any kind."""
    n_samples = len(genotype)
    names = line.format.split(b":")
    count = line.samples.count(b"\t") + 1
    if count != n_samples:
        raise Invalid(
            "sample columns are too few or too many",
            where=line.where,
            expected=n_samples,
            found=count,
        )
    if b"GT" not in names:
        genotype[:, :2] = MISSING
        return
    at = names.index(b"GT")
    left = np.arange(n_samples)
    if at == 0 and n_samples >= _SMALL:
        left = _usual(line.samples, genotype, phased)
    columns = line.samples.split(b"\t") if len(left) else []
    for i in left.tolist():
        fields = columns[i].split(b":", at + 1)
        if len(fields) > len(names):
            raise Invalid("a sample has more fields than FORMAT", where=line.where)
        alleles, is_phased = _call(fields[at] if at < len(fields) else b".", line.where)
        if len(alleles) > genotype.shape[1]:
            raise Invalid(
                "a call has too many alleles",
                where=line.where,
                expected=f"{genotype.shape[1]} at most",
                found=len(alleles),
            )
        genotype[i, : len(alleles)] = alleles
        phased[i] = is_phased


def _usual(samples: bytes, genotype: Int8Array, phased: BoolArray) -> Int64Array:
    """Calls of one or two alleles below ten, wherever they stand; tells which are left."""
    text: UInt8Array = np.frombuffer(samples + b"\t\t\t\t", dtype=np.uint8)
    starts = np.concatenate(([0], np.flatnonzero(text[: len(samples)] == _TAB) + 1))
    first, second = _ALLELE[text[starts]], _ALLELE[text[starts + 2]]
    separator = _SEPARATOR[text[starts + 1]]
    known = first != _BAD
    haploid = known & _DELIMITER[text[starts + 1]]
    diploid = known & (second != _BAD) & (separator != _BAD) & _DELIMITER[text[starts + 3]]
    genotype[haploid, 0] = first[haploid]
    genotype[diploid, 0] = first[diploid]
    genotype[diploid, 1] = second[diploid]
    phased[diploid] = separator[diploid] == 1
    return np.flatnonzero(~(haploid | diploid))


@lru_cache(maxsize=4096)
def _alleles(text: bytes) -> tuple[tuple[int, ...], bool] | None:
    if not _GENOTYPE.fullmatch(text):
        return None
    bare = text.lstrip(b"/|")
    values = tuple(
        MISSING if allele == b"." else int(allele)
        for allele in bare.replace(b"|", b"/").split(b"/")
    )
    return values, b"|" in bare and b"/" not in bare


def _call(text: bytes, where: str) -> tuple[tuple[int, ...], bool]:
    found = _alleles(text)
    if found is None:
        raise Invalid(
            "no genotype",
            where=where,
            expected="such as 0/1, 1|1, ./.",
            found=repr(text[:20].decode("utf-8", "replace")),
        )
    if max(found[0]) > 127:
        raise Invalid("allele numbers beyond 127 are not read", where=where, found=max(found[0]))
    return found
