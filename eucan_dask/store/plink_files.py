"""The three files of a PLINK fileset, checked line by line and against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.records import BoolArray, Int8Array, Int32Array
from eucan_dask.store.reference import Reference
from eucan_dask.store.text import lines
from eucan_dask.store.vcf_check import PLAIN, word
from eucan_dask.variant import MAX_POSITION, contig_name

__all__ = ["Fileset", "fileset", "read_fileset"]

_MAGIC, _VARIANT_MAJOR = b"\x6c\x1b", b"\x01"
_FAM = ("family", "individual", "father", "mother", "sex", "phenotype")
_BIM = ("contig", "identifier", "centimorgans", "position", "allele 1", "allele 2")
# What PLINK calls the pseudo-autosomal regions, which lie on X, and the mitochondrial genome.
_CODES = {"25": "X", "XY": "X", "PAR1": "X", "PAR2": "X", "26": "MT"}
_NONE = ("0", ".")
_NUMBERED = {"1": "A", "2": "C", "3": "G", "4": "T"}  # as plink --alleleACGT has it
_UNPLACED = "leave unplaced variants out: plink2 --chr 1-26 --make-bed"


@dataclass(frozen=True)
class Fileset:
    """A fileset's people and variants; `V` variants in the order of the .bim.

    Parameters
    ----------
    bed
        The path of the genotypes.
    samples, sex
        (N,) individual ids, and 0 unknown, 1 male, 2 female.
    code, contig
        (V,) the contig as the file has it, and by our name.
    position, identifier
        (V,)
    allele
        (V,) (REF, ALT), or (REF,) where allele 1 is `0`.
    swapped
        (V,) whether allele 1 is REF.
    numbered
        Whether the .bim has 1, 2, 3, 4 for A, C, G, T.
    """

    bed: Path
    samples: tuple[str, ...]
    sex: Int8Array
    code: tuple[str, ...]
    contig: tuple[str, ...]
    position: Int32Array
    identifier: tuple[str, ...]
    allele: tuple[tuple[str, ...], ...]
    swapped: BoolArray
    numbered: bool = False


def fileset(prefix: Path) -> tuple[Path, Path, Path]:
    """The .bed, .bim and .fam of a prefix, or of the path of its .bed."""
    base = str(prefix).removesuffix(".bed")
    return Path(f"{base}.bed"), Path(f"{base}.bim"), Path(f"{base}.fam")


def read_fileset(prefix: Path, fasta: Reference | None) -> Fileset:
    """Read the text files and check that the .bed fits them.

    Raises
    ------
    Invalid
        Naming file and line.
    """
    bed, bim, fam = fileset(prefix)
    samples, sex = _read_fam(fam)
    rows = _table(bim, _BIM)
    _check_bed(bed, len(samples), len(rows))
    contig, position, identifier = [], [], []
    allele: list[tuple[str, ...]] = []
    swapped = np.zeros(len(rows), dtype=np.bool_)
    numbered = _is_numbered(rows)
    for row, (number, fields) in enumerate(rows):
        where = f"{bim}, line {number}"
        contig.append(_contig(fields[0], where))
        identifier.append(word(fields[1].encode(), "the identifier", where=where))
        position.append(_position(fields[3], where))
        bases = (_NUMBERED.get(a, a) if numbered else a for a in fields[4:])
        one, two = _alleles(*bases, where=where)
        if fasta is not None and one is not None:
            swapped[row] = _is_swapped(fasta, contig[-1], position[-1], two, one)
        ref, alt = (one, two) if swapped[row] and one else (two, one)
        allele.append((ref, alt) if alt else (ref,))
    return Fileset(
        bed,
        samples,
        sex,
        tuple(fields[0] for _, fields in rows),
        tuple(contig),
        np.array(position, dtype=np.int32),
        tuple(identifier),
        tuple(allele),
        swapped,
        numbered,
    )


def _table(path: Path, names: Sequence[str]) -> list[tuple[int, list[str]]]:
    """The fields of each line with its number; an empty last line is none."""
    rows = []
    for number, line in lines(path):
        fields = line.split()
        if len(fields) != len(names):
            raise Invalid(
                "the line has too few or too many fields",
                where=f"{path}, line {number}",
                expected=f"{len(names)} ({', '.join(names)})",
                found=len(fields),
            )
        rows.append((number, fields))
    return rows


def _read_fam(path: Path) -> tuple[tuple[str, ...], Int8Array]:
    rows = _table(path, _FAM)
    if not rows:
        raise Invalid("names nobody", where=path)
    seen: dict[str, int] = {}
    for number, fields in rows:
        name = word(
            fields[1].encode("utf-8", "surrogateescape"), "the id", where=f"{path}, line {number}"
        )
        if name in seen:
            raise Invalid(
                f"individual {name!r} stands on lines {seen[name]} and {number}",
                where=path,
                remedy="make the second column unique across families: plink2 --update-ids",
            )
        seen[name] = number
    sex = [int(fields[4]) if fields[4] in ("1", "2") else 0 for _, fields in rows]
    return tuple(seen), np.array(sex, dtype=np.int8)


def _check_bed(path: Path, n_samples: int, n_variants: int) -> None:
    """Magic bytes, order and size."""
    head, size = _head(path)
    if head[:2] != _MAGIC:
        raise Invalid("is no .bed file", where=path, expected="6c 1b first", found=head.hex(" "))
    if head[2:] != _VARIANT_MAJOR:
        raise Invalid(
            "lies person by person, not variant by variant",
            where=path,
            remedy="write it again with plink --make-bed",
        )
    expected = 3 + math.ceil(n_samples / 4) * n_variants
    if size != expected:
        raise Invalid(
            f"does not fit the {n_samples} people of the .fam and the {n_variants} variants of the "
            ".bim",
            where=path,
            expected=f"{expected} bytes",
            found=f"{size} bytes",
            remedy="the three files must come from one run of PLINK",
        )


def _head(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as stream:
            return stream.read(3), stream.seek(0, 2)
    except OSError as error:
        raise Invalid(
            "cannot be read",
            where=path,
            found=error.strerror or error,
            remedy="give the prefix of a .bed, a .bim and a .fam, or the path of the .bed",
        ) from error


def _contig(value: str, where: str) -> str:
    if value == "0":
        raise Invalid("the variant is on no contig", where=where, remedy=_UNPLACED)
    try:
        return _CODES.get(value.upper().removeprefix("CHR")) or contig_name(value)
    except Invalid as error:
        raise Invalid(
            "no contig", where=where, expected="1 to 26, X, Y, XY, MT or a name", found=repr(value)
        ) from error


def _position(value: str, where: str) -> int:
    digits = value.isascii() and value.isdigit() and len(value) <= 10
    if not digits or not 1 <= int(value) <= MAX_POSITION:
        raise Invalid(
            "no position",
            where=where,
            expected=f"1 to {MAX_POSITION}",
            found=repr(value[:20]),
            remedy=_UNPLACED,
        )
    return int(value)


def _is_numbered(rows: Sequence[tuple[int, list[str]]]) -> bool:
    """Whether alleles are numbers throughout; beside letters a number is a mistake."""
    found = {allele for _, fields in rows for allele in fields[4:]}
    return bool(found & set(_NUMBERED)) and found <= {*_NUMBERED, *_NONE}


def _alleles(one: str, two: str, *, where: str) -> tuple[str | None, str]:
    """Alleles 1 (None: nobody has it) and 2 in capitals."""
    first, second = one.upper(), two.upper()
    if second in _NONE:
        raise Invalid(
            "allele 2, which is REF, is not known",
            where=where,
            found=repr(two),
            remedy="leave variants without it out: plink2 --mac 1 --make-bed",
        )
    for allele in (first, second):
        if not PLAIN.fullmatch(allele) and not (allele is first and first in _NONE):
            raise Invalid(
                "an allele is not made of bases",
                where=where,
                found=repr(allele[:20]),
                remedy="write alleles as bases: plink --update-alleles",
            )
    if first == second:
        raise Invalid("both alleles are the same", where=where, found=repr(one[:20]))
    return (None if first in _NONE else first), second


def _is_swapped(fasta: Reference, contig: str, position: int, two: str, one: str) -> bool:
    """Whether allele 1 is what the genome has; where neither is, normalising refuses allele 2."""

    def holds(bases: str) -> bool:
        return fasta.bases(contig, position, position + len(bases) - 1) == bases

    return not holds(two) and holds(one)
