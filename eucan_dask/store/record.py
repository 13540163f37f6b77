"""Single values of a mutation record: build, contig, gene, sample, allele, class, type."""

from __future__ import annotations

import re

from eucan_dask.errors import Invalid, unknown
from eucan_dask.variables import VARIANT_CLASSIFICATIONS, VARIANT_TYPES

__all__ = [
    "allele",
    "build",
    "classification",
    "gene",
    "sample",
    "variant_type",
]

_ASSEMBLIES = {
    **dict.fromkeys(("36", "36.1", "hg18", "ncbi36", "b36"), "NCBI36"),
    **dict.fromkeys(("37", "hg19", "grch37", "b37", "grch37-lite", "hs37d5"), "GRCh37"),
    **dict.fromkeys(("38", "hg38", "grch38", "b38"), "GRCh38"),
    **dict.fromkeys(("chm13", "hs1", "t2t-chm13", "t2t-chm13v2.0", "chm13v2.0"), "CHM13"),
}
_NO_GENE = ("", ".", "unknown", "na", "-")
_ALLELE = re.compile(r"[ACGTN]+|-")
_CLASSES = {name.casefold(): code for code, name in enumerate(VARIANT_CLASSIFICATIONS)}
_TYPES = {name: code for code, name in enumerate(VARIANT_TYPES)}
_BY_LENGTH = {1: "SNP", 2: "DNP", 3: "TNP"}


def build(value: str, assembly: str) -> int:
    """Zero where a build's name, of whatever kind, is that of `assembly`."""
    found = _ASSEMBLIES.get(value.casefold().split(".p")[0])
    if found is None:
        raise unknown("build", value, _ASSEMBLIES)
    if found != assembly:
        raise Invalid(
            "another assembly",
            expected=assembly,
            found=f"{value} ({found})",
            remedy="a store holds one assembly: lift the file over, or make another store",
        )
    return 0


def gene(value: str) -> str:
    """The symbol; empty where no gene is named."""
    return "" if value.casefold() in _NO_GENE else value


def sample(value: str) -> str:
    """The sample's id, which must be there."""
    if not value or value.casefold() == "na":
        raise Invalid("no sample is named", found=repr(value))
    return value


def allele(value: str) -> str:
    """The allele in upper case; `-` is the empty one."""
    bases = value.upper()
    if bases == "NA" or not _ALLELE.fullmatch(bases):
        raise Invalid("no allele", expected="bases, or - for none", found=repr(value[:40]))
    return bases


def classification(value: str) -> int:
    """The code of a Variant_Classification, in whatever case."""
    code = _CLASSES.get(value.casefold())
    if code is None:
        raise unknown("class", value, VARIANT_CLASSIFICATIONS)
    return code


def variant_type(value: str, reference: str, alternate: str) -> int:
    """The code of a Variant_Type, else from the alleles; -1 without either."""
    if value.upper() in _TYPES:
        return _TYPES[value.upper()]
    if value and value.casefold() != "na":
        raise unknown("variant type", value, VARIANT_TYPES)
    if not reference or not alternate:
        return -1
    lengths = [0 if bases == "-" else len(bases) for bases in (reference, alternate)]
    if lengths[0] == lengths[1]:
        return _TYPES[_BY_LENGTH.get(lengths[0], "ONP")]
    return _TYPES["INS" if lengths[0] < lengths[1] else "DEL"]
