"""A variant: contig, position, reference and alternate allele; its label, trimming and ploidy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucan_dask.errors import Invalid

__all__ = ["KEYS", "PAR", "Variant", "columns_of", "contig_name", "contig_order", "in_par", "trim"]

_CONTIGS = {"23": "X", "24": "Y", "m": "MT", "mt": "MT", "x": "X", "y": "Y"}
_NUMBERED = re.compile(r"0*([1-9]|1\d|2[0-2])")
_OTHER = re.compile(r"[A-Za-z0-9_.*-]+")
_BASES = re.compile(r"[ACGTN]+")
MAX_POSITION = 2**31 - 2

# Pseudo-autosomal regions, first and last base from 1: there everybody is diploid.
# NCBI36, GRCh37, GRCh38: as the Genome Reference Consortium and UCSC give them; CHM13: the T2T
# Consortium's chm13v2.0.
PAR: dict[str, dict[str, tuple[tuple[int, int], ...]]] = {
    "NCBI36": {
        "X": ((1, 2_709_520), (154_584_238, 154_913_754)),
        "Y": ((1, 2_709_520), (57_443_438, 57_772_954)),
    },
    "GRCh37": {
        "X": ((60_001, 2_699_520), (154_931_044, 155_260_560)),
        "Y": ((10_001, 2_649_520), (59_034_050, 59_363_566)),
    },
    "GRCh38": {
        "X": ((10_001, 2_781_479), (155_701_383, 156_030_895)),
        "Y": ((10_001, 2_781_479), (56_887_903, 57_217_415)),
    },
    "CHM13": {
        "X": ((1, 2_394_410), (153_925_835, 154_259_566)),
        "Y": ((1, 2_458_320), (62_122_810, 62_460_029)),
    },
}


# Key columns of a table with rows by variant, from what `columns_of` gives.
KEYS = (
    "variant",
    "contig=variant_contig",
    "position=variant_position",
    "ref=variant_ref",
    "alt=variant_alt",
)


@dataclass(frozen=True, order=True)
class Variant:
    """A biallelic variant of an assembly.

    Parameters
    ----------
    contig
        Without `chr`: 1 to 22, X, Y, MT, or another name.
    position
        Of the first base of `ref`, from 1.
    ref, alt
        Alleles in capitals, trimmed: they share no last base and, unless one of them is a single
        base, no first one.
    """

    contig: str
    position: int
    ref: str
    alt: str

    @property
    def label(self) -> str:
        """`contig:position:ref:alt`."""
        return f"{self.contig}:{self.position}:{self.ref}:{self.alt}"

    @classmethod
    def parse(cls, label: str) -> Variant:
        """The variant of a label, its contig named and its alleles trimmed our way.

        Raises
        ------
        Invalid
            If it is no variant.
        """
        parts = label.split(":")
        digits = parts[1] if len(parts) == 4 else ""
        number = int(digits) if re.fullmatch("[0-9]{1,10}", digits) else 0
        if not 1 <= number <= MAX_POSITION:
            raise Invalid("no variant", expected="contig:position:ref:alt", found=label[:60])
        contig, ref, alt = contig_name(parts[0]), parts[2].upper(), parts[3].upper()
        if not (_BASES.fullmatch(ref) and _BASES.fullmatch(alt)) or ref == alt:
            raise Invalid("no pair of alleles", expected="two of bases", found=label[:60])
        return cls(contig, *trim(number, ref, alt))


def contig_name(value: str) -> str:
    """The contig's name without `chr`, with X, Y and MT in letters.

    Raises
    ------
    Invalid
        If it is none.
    """
    bare = value[3:] if value[:3].casefold() == "chr" else value
    name = _CONTIGS.get(bare.casefold(), bare)
    if match := _NUMBERED.fullmatch(name):
        return match[1]
    known = name.isdigit() or name.casefold() in ("", "na") or name[:3].casefold() == "chr"
    if known or not _OTHER.fullmatch(name):
        raise Invalid("no contig", expected="1 to 22, X, Y, MT or a name", found=repr(value))
    return name


def contig_order(name: str) -> tuple[int, int, str]:
    """Sorts contigs as people do: 1 to 22, X, Y, MT, then the others by name."""
    if name.isdigit():
        return (0, int(name), "")
    return (1, {"X": 0, "Y": 1, "MT": 2}.get(name, 3), name)


def trim(position: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Position and alleles without the bases both have at the end, then at the beginning.

    Each allele keeps a base at least. Without a reference genome this is all that can be done.

    Examples
    --------
    >>> trim(100, "GCAC", "GC")
    (100, 'GCA', 'G')
    >>> trim(100, "CTT", "CAT")
    (101, 'T', 'A')
    """
    while len(ref) > 1 and len(alt) > 1 and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while len(ref) > 1 and len(alt) > 1 and ref[0] == alt[0]:
        position, ref, alt = position + 1, ref[1:], alt[1:]
    return position, ref, alt


def in_par(assembly: str, contig: str, positions: Sequence[int]) -> list[bool]:
    """Whether each position lies in a pseudo-autosomal region of X or Y."""
    regions = PAR[assembly].get(contig, ())
    return [any(first <= p <= last for first, last in regions) for p in positions]


def columns_of(labels: Iterable[object]) -> dict[str, tuple[tuple[str, ...], NDArray[Any]]]:
    """`variant_contig`, `_position`, `_ref` and `_alt` (variants,) of labels, for a Dataset."""
    parts = [str(label).split(":") for label in labels]
    dims = ("variants",)
    text = {
        name: (dims, np.array([part[i] for part in parts], dtype=object))
        for name, i in (("variant_contig", 0), ("variant_ref", 2), ("variant_alt", 3))
    }
    return {**text, "variant_position": (dims, np.array([int(p[1]) for p in parts], np.int64))}
