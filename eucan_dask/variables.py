"""Names, kinds and vocabularies of what a store holds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ASSEMBLIES",
    "DATA_CLASSES",
    "NON_SILENT",
    "VARIANT_CLASSIFICATIONS",
    "VARIANT_TYPES",
    "Field",
]

ASSEMBLIES = ("NCBI36", "GRCh37", "GRCh38", "CHM13")
DATA_CLASSES = ("personal", "public", "synthetic")

# Classes that change the protein or its making, as maftools counts them; the rest are silent.
NON_SILENT = (
    "Frame_Shift_Del",
    "Frame_Shift_Ins",
    "In_Frame_Del",
    "In_Frame_Ins",
    "Missense_Mutation",
    "Nonsense_Mutation",
    "Nonstop_Mutation",
    "Splice_Site",
    "Translation_Start_Site",
)
VARIANT_CLASSIFICATIONS = (
    *NON_SILENT,
    "3'Flank",
    "3'UTR",
    "5'Flank",
    "5'UTR",
    "Fusion",
    "IGR",
    "Intron",
    "RNA",
    "Silent",
    "Splice_Region",
    "Targeted_Region",
)
VARIANT_TYPES = ("SNP", "DNP", "TNP", "ONP", "INS", "DEL")


@dataclass(frozen=True)
class Field:
    """A clinical field as the catalogue shows it.

    Parameters
    ----------
    name
        `individual_<name>` or `sample_<name>` in the store.
    kind
        "number" (float64, NaN missing), "category" (int16 code, -1 missing) or
        "boolean" (int8, -1 missing).
    unit
        Of a number: "days", "years", ...; empty otherwise.
    categories
        The vocabulary of a category. An `open` one is taken from the data and is not published.
    """

    name: str
    kind: str
    unit: str = ""
    categories: tuple[str, ...] = ()
    open: bool = False
    dim: str = "individuals"
