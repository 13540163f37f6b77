"""Records from BCF: a walk over their lengths to find places to cut, then htslib on the pieces."""

from __future__ import annotations

import ctypes
import math
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cyvcf2
import numpy as np
from cyvcf2 import cyvcf2 as library

from eucan_dask.errors import Invalid
from eucan_dask.store.bgzf import Offset, damaged, pieces, read_range
from eucan_dask.store.records import BoolArray, Int8Array, Records
from eucan_dask.store.vcf_batch import Batch
from eucan_dask.store.vcf_calls import MISSING, PADDING
from eucan_dask.store.vcf_check import alleles, check_order, last_base, word
from eucan_dask.store.vcf_header import Header, dictionary
from eucan_dask.store.vcf_scan import Cut, Scan, Stretch

__all__ = ["read_bcf", "scan_bcf"]

_FIXED = struct.Struct("<IIiiifII")  # lengths, contig, position, rlen, quality, counts
_SIZES = {1: 1, 2: 2, 3: 4, 5: 4, 7: 1}
_INTEGERS = {1: "<b", 2: "<h", 3: "<i"}
_LIMIT = 2**31 - 2

Calls = tuple[Int8Array, BoolArray]


def scan_bcf(scan: Scan, path: Path, header: Header, *, name: Path) -> None:
    """The pass over a BCF file's records.

    Raises
    ------
    Invalid
        If the file is cut off, damaged or unsorted; names the record.
    """
    genotype_key = dictionary(header).get("GT", -1)
    for offset, record, stop in _walk(path, header.body, name):
        where = f"{name}, record {scan.count + 1}"
        shared, _, contig, position, _, _, _, n_fmt_sample = _FIXED.unpack_from(record)
        if contig not in header.numbers or n_fmt_sample & 0xFFFFFF != len(header.samples):
            raise damaged_record(where)
        if not 0 <= position < _LIMIT:
            raise Invalid("no position", where=where, expected=f"1 to {_LIMIT}", found=position + 1)
        cut = Cut(offset, scan.count + 1, position + 1)
        scan.add(header.numbers[contig], cut, position + 1, 1, len(record), where=where)
        scan.runs[-1].stop = stop
        alleles_in_call = _ploidy(record, 8 + shared, n_fmt_sample, genotype_key, where)
        scan.has_genotypes |= alleles_in_call > 0
        scan.ploidy = max(scan.ploidy, alleles_in_call)
    scan.has_genotypes &= bool(header.samples)


def damaged_record(where: str) -> Invalid:
    """The error for a record that contradicts itself or its header."""
    return Invalid("the record is damaged", where=where, remedy="write the file again")


def _walk(path: Path, body: Offset, name: Path) -> Iterator[tuple[Offset, bytes, Offset]]:
    """Each record with its offset, its bytes, and the offset after it."""
    held, begin, count = b"", body, 0
    for piece in pieces(path, body[0], name=name):
        skip = body[1] if piece.start == body[0] else 0
        before, at = len(held) - skip, 0
        held += piece.data[skip:]
        while len(held) - at >= 8:
            size = 8 + sum(struct.unpack_from("<II", held, at))
            if size < _FIXED.size:
                raise damaged_record(f"{name}, record {count + 1}")
            if len(held) - at < size:
                break
            stop = (piece.start, at + size - before)
            yield begin, held[at : at + size], stop
            begin, at, count = stop, at + size, count + 1
        held = held[at:]
    if held:
        raise damaged(name, f"the file ends within record {count + 1}")


def _ploidy(record: bytes, at: int, n_fmt_sample: int, key: int, where: str) -> int:
    """Alleles a call of this record has room for; 0 without GT."""
    n_samples = n_fmt_sample & 0xFFFFFF
    try:
        for _ in range(n_fmt_sample >> 24):
            found, at = _integer(record, at)
            code, at = record[at], at + 1
            length = code >> 4
            if length == 15:
                length, at = _integer(record, at)
            if found == key:
                return length
            at += n_samples * length * _SIZES.get(code & 15, 0)
    except (IndexError, KeyError, struct.error) as error:
        raise damaged_record(where) from error
    return 0


def _integer(record: bytes, at: int) -> tuple[int, int]:
    kind = record[at] & 15
    value: int = struct.unpack_from(_INTEGERS[kind], record, at + 1)[0]
    return value, at + 1 + _SIZES[kind]


def read_bcf(stretch: Stretch, header: Header) -> Iterator[Records]:
    """The records of a stretch in batches.

    Raises
    ------
    Invalid
        Naming file and record.
    """
    number, before = stretch.number, 0
    batch, calls = Batch(stretch, number), list[Calls]()
    with _opened(stretch, header) as variants:
        for variant in _each(variants, stretch):
            where = f"{stretch.name}, record {number}"
            with _understood(where):
                check_order(variant.CHROM, stretch.raw_contig, variant.POS, before, where=where)
                _add(batch, variant, where)
                if stretch.has_genotypes:
                    calls.append(_calls(variant, stretch, where))
            before, number = variant.POS, number + 1
            if len(batch) >= stretch.rows:
                yield batch.to_records(_stacked(calls, stretch))
                batch, calls = Batch(stretch, number), []
    if len(batch):
        yield batch.to_records(_stacked(calls, stretch))


@contextmanager
def _opened(stretch: Stretch, header: Header) -> Iterator[cyvcf2.VCF]:
    """The range as a file of its own, for htslib; its remarks are not for the terminal."""
    text = ("\n".join(header.lines) + "\n\0").encode()
    with tempfile.TemporaryFile() as copy, _quiet():
        copy.write(b"BCF\x02\x02" + struct.pack("<I", len(text)) + text)
        for data in read_range(stretch.path, stretch.first, stretch.last, name=stretch.name):
            copy.write(data)
        copy.seek(0)
        try:
            variants = cyvcf2.VCF(os.dup(copy.fileno()))
        except Exception as error:  # cyvcf2 raises nothing narrower
            raise Invalid(
                "the header cannot be read", where=stretch.name, remedy="write the file again"
            ) from error
        yield variants
        variants.close()


def _each(variants: cyvcf2.VCF, stretch: Stretch) -> Iterator[Any]:
    where = f"{stretch.name}, record {stretch.number} or later"
    while True:
        with _understood(where):
            variant = next(variants, None)
        if variant is None:
            return
        yield variant


@contextmanager
def _understood(where: str) -> Iterator[None]:
    """Say in our words what cyvcf2 could not read."""
    try:
        yield
    except Invalid:
        raise
    except UnicodeDecodeError as error:
        raise Invalid("the record is not UTF-8", where=where) from error
    except Exception as error:  # cyvcf2 raises nothing narrower
        raise damaged_record(where) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep htslib's remarks off the terminal: whatever matters comes back as an error."""
    log = ctypes.CDLL(library.__file__)
    before = log.hts_get_log_level()
    log.hts_set_log_level(0)
    try:
        yield
    finally:
        log.hts_set_log_level(before)


def _add(batch: Batch, variant: Any, where: str) -> None:
    allele = alleles(variant.REF.encode(), ",".join(variant.ALT).encode() or b".", where=where)
    end = variant.INFO.get("END")
    try:
        end = None if end is None else int(end)
    except (TypeError, ValueError) as error:
        raise Invalid("no END", where=where, expected="a position") from error
    batch.add(
        variant.POS,
        last_base(end, variant.POS, allele, where=where),
        word((variant.ID or ".").encode(), "ID", where=where),
        allele,
        math.nan if variant.QUAL is None else variant.QUAL,
        tuple(variant.FILTERS),
    )


def _calls(variant: Any, stretch: Stretch, where: str) -> Calls:
    """One record's calls: cyvcf2 gives allele numbers, -1, -2, and whether phased."""
    genotype = np.full((stretch.n_samples, stretch.ploidy), PADDING, dtype=np.int8)
    if "GT" not in variant.FORMAT:
        genotype[:, :2] = MISSING
        return genotype, np.zeros(len(genotype), dtype=np.bool_)
    found = variant.genotype.array()
    width = found.shape[1] - 1
    if width > stretch.ploidy:
        raise damaged_record(where)
    if found.max() > 127:
        raise Invalid("allele numbers beyond 127 are not read", where=where, found=found.max())
    genotype[:, :width] = found[:, :width]
    return genotype, (found[:, width] == 1) & (genotype[:, 1] != PADDING)


def _stacked(calls: list[Calls], stretch: Stretch) -> Calls | None:
    if not stretch.has_genotypes:
        return None
    return np.stack([g for g, _ in calls]), np.stack([p for _, p in calls])
