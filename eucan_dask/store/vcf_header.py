"""The header of a VCF or BCF file: samples, contig lengths, and what cannot be right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eucan_dask.errors import Invalid
from eucan_dask.store.assembly import check_lengths, check_words
from eucan_dask.store.bgzf import Offset, pieces

__all__ = ["Header", "check_assembly", "dictionary", "read_header"]

_COLUMNS = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
_VERSION = re.compile(r"##fileformat=VCFv4\.\d+\s*")
_CONTIG = re.compile(r"##contig=<(.*)>\s*", re.IGNORECASE)
_DEFINED = re.compile(r"##(?:FILTER|INFO|FORMAT)=<(.*)>")
_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^,]*)')
_RECORD = re.compile(rb"\n([^#]|#[^#C])")
_LIMIT = 1 << 28
_BCF, _VCF = b"BCF\x02", b"##fileformat="


@dataclass(frozen=True)
class Header:
    """What a header says.

    Parameters
    ----------
    samples
        In the file's order.
    lines
        All of it as text.
    contigs
        Lengths by the file's own names; -1 where none is given.
    numbers
        Names by the numbers BCF calls contigs by.
    body
        Where the records begin.
    binary
        Whether it is BCF.
    """

    samples: tuple[str, ...]
    lines: tuple[str, ...]
    contigs: dict[str, int]
    numbers: dict[int, str]
    body: Offset
    binary: bool


def read_header(path: Path, *, name: Path) -> Header:
    """Read the header of `path`, called `name` in messages.

    Raises
    ------
    Invalid
        If the file is neither VCF nor BCF, its `#CHROM` line is missing or wrong, or a sample is
        named twice.
    """
    data, body, binary = _header_bytes(path, name)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Invalid("the header is not UTF-8", where=name) from error
    lines = tuple(line.rstrip("\r") for line in text.rstrip("\n\0").split("\n"))
    if not lines[0].startswith("##fileformat="):
        raise _no_vcf(name, lines[0])
    if not _VERSION.fullmatch(lines[0]):
        raise Invalid(
            "is of an unknown version of VCF", where=name, expected="4.x", found=lines[0][13:40]
        )
    lengths, numbers = _contigs(lines)
    samples = _samples(lines[-1], len(lines), name)
    return Header(samples, lines, lengths, numbers, body, binary)


def check_assembly(header: Header, assembly: str, *, name: Path) -> tuple[str, ...]:
    """Refuse a header of another assembly; contigs whose length is of no assembly are returned.

    Raises
    ------
    Invalid
        Naming both assemblies.
    """
    lengths = {contig: length for contig, length in header.contigs.items() if length > 0}
    strange = check_lengths(lengths, assembly, where=name)
    for number, line in enumerate(header.lines, 1):
        where = f"{name}, line {number}"
        if line.startswith(("##reference=", "##assembly=")):
            check_words(line.split("=", 1)[1], assembly, where=where)
        elif match := _CONTIG.fullmatch(line):
            check_words(_fields(match[1]).get("assembly", ""), assembly, where=where)
    return strange


def _header_bytes(path: Path, name: Path) -> tuple[bytes, Offset, bool]:
    """The header, where the body begins, and whether it is BCF."""
    held, stop, binary = bytearray(), 0, False
    for piece in pieces(path, name=name):
        before = len(held)
        held += piece.data
        if before < len(_VCF):
            binary = held[:4] == _BCF
            if not binary and not (_VCF.startswith(held[:13]) or _BCF.startswith(held[:4])):
                raise _no_vcf(name, held[:20].decode("ascii", "backslashreplace"))
        if binary and len(held) >= 9:
            stop = 9 + int.from_bytes(held[5:9], "little")
        elif not binary:
            stop = _end_of_text(held, max(0, held.rfind(b"\n", 0, before)), name)
        if max(stop, before) > _LIMIT:
            break
        if 0 < stop <= len(held):
            return bytes(held[9 if binary else 0 : stop]), (piece.start, stop - before), binary
    raise _no_chrom(name) if held else Invalid("is empty", where=name, expected="a VCF file")


def _end_of_text(held: bytearray, since: int, name: Path) -> int:
    """One beyond the line `#CHROM`, 0 if it has not come yet; `since` is a line's end."""
    other = _RECORD.search(held, since)
    at = held.find(b"\n#CHROM", since, other.start() if other else len(held))
    if at >= 0:
        return held.find(b"\n", at + 1) + 1
    if other:
        raise _no_chrom(name, held.count(b"\n", 0, other.start() + 1) + 1)
    return 0


def _no_vcf(name: Path, found: str) -> Invalid:
    return Invalid(
        "is neither VCF nor BCF",
        where=name,
        expected="##fileformat=VCFv4.x",
        found=repr(found[:20]),
    )


def _no_chrom(name: Path, line: int | None = None) -> Invalid:
    place = name if line is None else f"{name}, line {line}"
    return Invalid(
        "the header does not end with a line #CHROM",
        where=place,
        remedy="the file is cut off, or its header was edited",
    )


def _samples(line: str, number: int, name: Path) -> tuple[str, ...]:
    fields = line.split("\t")
    where = f"{name}, line {number}"
    if fields[:8] != _COLUMNS or fields[8:9] not in ([], ["FORMAT"]):
        raise Invalid(
            "the columns are not those of VCF",
            where=where,
            expected="#CHROM POS ID REF ALT QUAL FILTER INFO [FORMAT samples], tabs between",
            found=repr(" ".join(fields[:9])[:80]),
        )
    samples = fields[9:]
    seen: set[str] = set()
    for sample in samples:
        if not sample.strip() or sample in seen:
            problem = (
                f"names sample {sample!r} twice" if sample.strip() else "has an unnamed sample"
            )
            raise Invalid(problem, where=where, remedy="rename it with bcftools reheader --samples")
        seen.add(sample)
    return tuple(samples)


def _contigs(lines: tuple[str, ...]) -> tuple[dict[str, int], dict[int, str]]:
    """Lengths by name, and names by the number that BCF calls them by."""
    lengths: dict[str, int] = {}
    numbers: dict[int, str] = {}
    for line in lines:
        fields = _fields(match[1]) if (match := _CONTIG.fullmatch(line)) else {}
        if (name := fields.get("ID")) and name not in lengths:
            length, number = fields.get("length", ""), fields.get("IDX", "")
            numbers[int(number) if number.isdigit() else len(numbers)] = name
            lengths[name] = int(length) if length.isdigit() else -1
    return lengths, numbers


def _fields(text: str) -> dict[str, str]:
    return dict(_pairs(text))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for match in _FIELD.finditer(text):
        yield match[1], match[2].strip('"')


def dictionary(header: Header) -> dict[str, int]:
    """The numbers BCF calls FILTERs, INFO and FORMAT fields by."""
    found = {"PASS": 0}
    for line in header.lines:
        if match := _DEFINED.match(line):
            fields = _fields(match[1])
            number = fields.get("IDX", "")
            name = fields.get("ID", "")
            if name not in found:
                found[name] = int(number) if number.isdigit() else max(found.values()) + 1
    return found
