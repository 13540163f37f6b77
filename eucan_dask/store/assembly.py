"""Which genome assembly a file belongs to, by the lengths of its chromosomes and by its words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from eucan_dask.errors import Invalid
from eucan_dask.variant import contig_name

__all__ = ["LENGTHS", "check_inside", "check_lengths", "check_words"]

_NAMES = (*(str(n) for n in range(1, 23)), "X", "Y")


def _table(lengths: str) -> dict[str, int]:
    return dict(zip(_NAMES, map(int, lengths.split()), strict=True))


# Lengths of chromosomes 1 to 22, X and Y.
LENGTHS: dict[str, dict[str, int]] = {
    "NCBI36": _table(
        "247249719 242951149 199501827 191273063 180857866 170899992 158821424 146274826 "
        "140273252 135374737 134452384 132349534 114142980 106368585 100338915 88827254 "
        "78774742 76117153 63811651 62435964 46944323 49691432 154913754 57772954"
    ),
    "GRCh37": _table(
        "249250621 243199373 198022430 191154276 180915260 171115067 159138663 146364022 "
        "141213431 135534747 135006516 133851895 115169878 107349540 102531392 90354753 "
        "81195210 78077248 59128983 63025520 48129895 51304566 155270560 59373566"
    ),
    "GRCh38": _table(
        "248956422 242193529 198295559 190214555 181538259 170805979 159345973 145138636 "
        "138394717 133797422 135086622 133275309 114364328 107043718 101991189 90338345 "
        "83257441 80373285 58617616 64444167 46709983 50818468 156040895 57227415"
    ),
    "CHM13": _table(
        "248387328 242696752 201105948 193574945 182045439 172126628 160567428 146259331 "
        "150617247 134758134 135127769 133324548 113566686 101161492 99753195 96330374 "
        "84276897 80542538 61707364 66210255 45090682 51324926 154259566 62460029"
    ),
}
_WORDS = {
    "NCBI36": r"ncbi_?36|b36|hg18",
    "GRCh37": r"grch_?37|hg19|b37|hs37d5|g1k_v37|assembly19",
    "GRCh38": r"grch_?38|hg38|b38|hs38(d1|dh)?|assembly38",
    "CHM13": r"(t2t-?)?chm13(v[\d.]+)?|hs1",
}
_PATTERNS = {
    name: re.compile(rf"(?<![a-z0-9])(homo_sapiens_)?({words})(?![a-z0-9])", re.IGNORECASE)
    for name, words in _WORDS.items()
}
_REMEDY = "give the file's own --assembly, or lift the file over first"


def check_lengths(lengths: Mapping[str, int], assembly: str, *, where: object) -> tuple[str, ...]:
    """Refuse chromosome lengths of another assembly; name the chromosomes of no known one.

    Parameters
    ----------
    lengths
        Of contigs, by the file's own names.
    assembly
        The one that is meant.
    where
        The file, for the message.

    Raises
    ------
    Invalid
        If a chromosome has the length it has in another assembly; names both.
    """
    strange = []
    for raw, length in lengths.items():
        name = _plain(raw)
        right = LENGTHS[assembly].get(name)
        if right is None or length == right:
            continue
        if others := [a for a, table in LENGTHS.items() if table[name] == length]:
            raise Invalid(
                "is of another assembly",
                where=where,
                expected=f"{assembly}, where contig {name} has {right:,} bases",
                found=f"{others[0]}, {length:,} bases",
                remedy=_REMEDY,
            )
        strange.append(name)
    return tuple(strange)


def check_words(text: str, assembly: str, *, where: object) -> None:
    """Refuse a header entry that names another assembly and not this one.

    Raises
    ------
    Invalid
        Naming both.
    """
    named = [name for name, pattern in _PATTERNS.items() if pattern.search(text)]
    if named and assembly not in named:
        raise Invalid(
            "is of another assembly", where=where, expected=assembly, found=named[0], remedy=_REMEDY
        )


def check_inside(assembly: str, contig: str, position: int, *, where: object) -> None:
    """Refuse a position beyond the end that a chromosome has in the assembly.

    Raises
    ------
    Invalid
        Naming the length and the position.
    """
    length = LENGTHS[assembly].get(contig)
    if length is not None and position > length + 1:  # VCF calls the telomere length + 1
        raise Invalid(
            f"a position beyond the end of contig {contig}",
            where=where,
            expected=f"{length} at most in {assembly}",
            found=position,
            remedy=_REMEDY,
        )


def _plain(raw: str) -> str:
    try:
        return contig_name(raw)
    except Invalid:
        return ""
