"""Which centre a person of a public cohort belongs to: one answer for tests and golden tables."""

from __future__ import annotations

import hashlib
import math
import tomllib
from functools import cache
from pathlib import Path

__all__ = [
    "GBSG2_SPLIT",
    "LAML_SPLIT",
    "gbsg2_centre",
    "gbsg2_id",
    "laml_centre",
    "lung_centre",
    "seeded_centre",
    "sites_of",
    "tcga_centre",
]

TABLE = Path(__file__).with_name("centres.toml")
LAML_SPLIT = (3, 1)  # centres, seed
GBSG2_SPLIT = (3, 1)


@cache
def sites_of(cohort: str) -> dict[str, str]:
    """Centre of each site of a cohort (`kirc`, `lgg`: tissue source sites; `lung`: institutions).

    Raises
    ------
    KeyError
        The cohort is not in `centres.toml`.
    ValueError
        A site is listed twice.
    """
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    if cohort not in table:
        raise KeyError(f"{cohort!r} is not in {TABLE.name}; it has {sorted(table)}")
    centres: dict[str, str] = {}
    for centre, sites in table[cohort].items():
        for site in sites:
            if site in centres:
                raise ValueError(f"{TABLE.name}: {cohort} lists site {site!r} twice")
            centres[site] = centre
    return centres


def tcga_centre(barcode: str, cohort: str) -> str:
    """Centre (north, south, east, west) of a TCGA person or sample of `kirc` or `lgg`.

    Raises
    ------
    KeyError
        The tissue source site, characters 6-7 of the barcode, is not in `centres.toml`.
    """
    return sites_of(cohort)[barcode[5:7]]


def lung_centre(inst: float | None) -> str | None:
    """Centre (first, second, third) of an institution of lung; None where `inst` is missing."""
    if inst is None or math.isnan(inst):
        return None
    return sites_of("lung")[str(int(inst))]


def seeded_centre(person: str, n: int, seed: int) -> int:
    """Centre 0 .. n-1 of a person: SHA-256 of "<seed>:<id>" as one big-endian integer, modulo n."""
    digest = hashlib.sha256(f"{seed}:{person}".encode()).digest()
    return int.from_bytes(digest, "big") % n


def laml_centre(barcode: str) -> int:
    """Centre 0, 1 or 2 of an LAML person, by the first twelve characters of the barcode."""
    return seeded_centre(barcode[:12], *LAML_SPLIT)


def gbsg2_id(row: int) -> str:
    """Id of a gbsg2 person: the 1-based row of the file, `gbsg2-0001` onwards."""
    return f"gbsg2-{row:04d}"


def gbsg2_centre(person: str) -> int:
    """Centre 0, 1 or 2 of a gbsg2 person, by its id (`gbsg2_id`)."""
    return seeded_centre(person, *GBSG2_SPLIT)
