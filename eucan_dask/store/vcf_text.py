"""Records from VCF lines: every field that is kept is checked, nothing is guessed or passed over.

Lines are read here and not by htslib, which takes a quality of `abc` for 0, passes over columns
that are too many and ends the program at an empty line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from eucan_dask.errors import Invalid
from eucan_dask.store.records import BoolArray, Int8Array, Records
from eucan_dask.store.vcf_batch import Batch
from eucan_dask.store.vcf_calls import Columns, parse_calls
from eucan_dask.store.vcf_check import alleles, check_order, last_base, word
from eucan_dask.store.vcf_scan import Stretch, position, text_lines

__all__ = ["read_text"]

_END = re.compile(rb"(?:^|;)END=([^;]*)")
_QUALITY = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.I)
_LINE_BYTES = 1 << 26


def read_text(stretch: Stretch) -> Iterator[Records]:
    """The records of a stretch in batches.

    Raises
    ------
    Invalid
        Naming file and record.
    """
    number, before = stretch.number, 0
    batch, columns, size = Batch(stretch, number), list[Columns](), 0
    for _, text, _ in text_lines(stretch.path, stretch.first, stretch.last, name=stretch.name):
        for line in text[:-1].split(b"\n"):
            where = f"{stretch.name}, record {number}"
            found, at = position(line, where=where)
            check_order(found, stretch.raw_contig, at, before, where=where)
            samples = _add(batch, line, at, stretch.n_samples, where=where)
            if stretch.n_samples:
                columns.append(samples)
                size += len(samples.samples)
            before, number = at, number + 1
            if len(batch) >= stretch.rows or size > _LINE_BYTES:
                yield batch.to_records(_calls(columns, stretch))
                batch, columns, size = Batch(stretch, number), [], 0
    if len(batch):
        yield batch.to_records(_calls(columns, stretch))


def _add(batch: Batch, line: bytes, at: int, n_samples: int, *, where: str) -> Columns:
    """Check a line and take up its fields; its sample columns are read later, many at once."""
    fields = line.rstrip(b"\r").split(b"\t", 9)
    wanted = 10 if n_samples else 8
    if len(fields) < wanted or (not n_samples and len(fields) > 9):
        raise Invalid(
            "columns are too few or too many", where=where, expected=wanted, found=len(fields)
        )
    allele = alleles(fields[3], fields[4], where=where)
    batch.add(
        at,
        last_base(_end(fields[7], where), at, allele, where=where),
        word(fields[2], "ID", where=where),
        allele,
        _quality(fields[5], where),
        _filters(fields[6], where),
    )
    return Columns(fields[8], fields[9], where) if n_samples else Columns(b"", b"", where)


def _calls(columns: list[Columns], stretch: Stretch) -> tuple[Int8Array, BoolArray] | None:
    if not stretch.has_genotypes:
        return None
    return parse_calls(columns, stretch.n_samples, stretch.ploidy)


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
