"""Records from VCF lines: every field that is kept is checked, nothing is guessed or passed over.

Lines are read here and not by htslib, which takes a quality of `abc` for 0, passes over columns
that are too many and ends the program at an empty line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.records import Records
from eucan_dask.store.vcf_calls import Columns, parse_calls
from eucan_dask.store.vcf_check import alleles, check_alleles_called, check_order, last_base, word
from eucan_dask.store.vcf_scan import Stretch, position, text_lines

__all__ = ["read_text"]

_END = re.compile(rb"(?:^|;)END=([^;]*)")
_QUALITY = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.I)
_LINE_BYTES = 1 << 26


class _Batch:
    """Lists that one batch of lines fills."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.position: list[int] = []
        self.end: list[int] = []
        self.identifier: list[str] = []
        self.allele: list[tuple[str, ...]] = []
        self.quality: list[float] = []
        self.filters: list[tuple[str, ...]] = []
        self.columns: list[Columns] = []
        self.size = 0


def read_text(stretch: Stretch) -> Iterator[Records]:
    """The records of a stretch in batches.

    Raises
    ------
    Invalid
        Naming file and record.
    """
    number, before = stretch.number, 0
    batch = _Batch(number)
    for _, text, _ in text_lines(stretch.path, stretch.first, stretch.last, name=stretch.name):
        for line in text[:-1].split(b"\n"):
            where = f"{stretch.name}, record {number}"
            found, at = position(line, where=where)
            check_order(found, stretch.raw_contig, at, before, where=where)
            _read_line(batch, line, at, stretch.n_samples, where=where)
            before, number = at, number + 1
            if len(batch.position) >= stretch.rows or batch.size > _LINE_BYTES:
                yield _records(batch, stretch)
                batch = _Batch(number)
    if batch.position:
        yield _records(batch, stretch)


def _read_line(batch: _Batch, line: bytes, at: int, n_samples: int, *, where: str) -> None:
    fields = line.rstrip(b"\r").split(b"\t", 9)
    wanted = 10 if n_samples else 8
    if len(fields) < wanted or (not n_samples and len(fields) > 9):
        raise Invalid(
            "columns are too few or too many", where=where, expected=wanted, found=len(fields)
        )
    allele = alleles(fields[3], fields[4], where=where)
    batch.position.append(at)
    batch.end.append(last_base(_end(fields[7], where), at, allele, where=where))
    batch.identifier.append(word(fields[2], "ID", where=where))
    batch.allele.append(allele)
    batch.quality.append(_quality(fields[5], where))
    batch.filters.append(_filters(fields[6], where))
    if n_samples:
        batch.columns.append(Columns(fields[8], fields[9], where))
        batch.size += len(fields[9])


def _records(batch: _Batch, stretch: Stretch) -> Records:
    genotype = phased = None
    if stretch.has_genotypes:
        genotype, phased = parse_calls(batch.columns, stretch.n_samples, stretch.ploidy)
    records = Records(
        contig=stretch.contig,
        position=np.array(batch.position, dtype=np.int32),
        end=np.array(batch.end, dtype=np.int32),
        identifier=tuple(batch.identifier),
        allele=tuple(batch.allele),
        quality=np.array(batch.quality, dtype=np.float32),
        filters=tuple(batch.filters),
        genotype=genotype,
        phased=phased,
        number=np.arange(batch.number, batch.number + len(batch.position), dtype=np.int64),
        source=str(stretch.name),
    )
    check_alleles_called(records)
    return records


def _quality(text: bytes, where: str) -> float:
    if text == b".":
        return math.nan
    if not _QUALITY.fullmatch(text):
        raise Invalid("no quality", where=where, expected="a number or '.'", found=_shown(text))
    return float(text)


def _filters(text: bytes, where: str) -> tuple[str, ...]:
    if text == b"PASS":
        return ("PASS",)
    return () if text == b"." else tuple(word(text, "FILTER", where=where).split(";"))


def _end(info: bytes, where: str) -> int | None:
    match = _END.search(info) if b"END=" in info else None
    if match is None or match[1] == b".":
        return None
    if not match[1].isdigit() or len(match[1]) > 10:
        raise Invalid("no END", where=where, expected="a position", found=_shown(match[1]))
    return int(match[1])


def _shown(text: bytes) -> str:
    return repr(text[:20].decode("utf-8", "replace"))
