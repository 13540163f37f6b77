"""Small handmade tables, and ways to write them."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

Row = Mapping[str, str]

_MAF = (
    "Hugo_Symbol",
    "NCBI_Build",
    "Chromosome",
    "Start_Position",
    "End_Position",
    "Variant_Classification",
    "Variant_Type",
    "Reference_Allele",
    "Tumor_Seq_Allele1",
    "Tumor_Seq_Allele2",
    "Tumor_Sample_Barcode",
)
_FIRST = "TP53 GRCh37 17 7577120 7577120 Missense_Mutation SNP C C T A-1"


def mutation(text: str = _FIRST, **changes: str) -> dict[str, str]:
    """A MAF row from its values in the order of the header, with some of them changed."""
    row = dict(zip(_MAF, text.split(" "), strict=True))
    return row | changes


MAF = [
    mutation(),
    mutation("IDH1 GRCh37 2 209113112 209113112 Missense_Mutation SNP C C T B-2"),
    mutation("TTN GRCh37 chr2 179400000 179400001 Frame_Shift_Del DEL AT AT - B-1"),
    mutation("TP53 GRCh37 17 7577539 7577539 Silent SNP G G A B-1"),
    mutation("Unknown GRCh37 X 100 101 IGR INS - - A C-1"),
    mutation("DNMT3A GRCh37 10 5 5 Intron SNP A A G C-1"),
]

CLINICAL = [
    {
        "individual_id": person,
        "sample_id": sample,
        "age_at_diagnosis": age,
        "sex": sex,
        "stage": stage,
        "tissue_source_site": site,
        "overall_survival_days": days,
        "overall_survival_event": event,
    }
    for person, sample, age, sex, stage, site, days, event in (
        ("A", "A-1", "60", "female", "I", "S1", "100", "1"),
        ("B", "B-2", "45.5", "male", "II", "S2", "2000", "0"),
        ("B", "B-1", "45.5", "male", "II", "S2", "2000", "0"),
        ("C", "C-1", "", "female", "NA", "S1", "NA", "1"),
        ("D", "D-1", "81", "male", "IV", "NA", "0", "0"),
    )
]


def text_of(rows: Sequence[Row], separator: str = "\t") -> str:
    """A header and rows; a row's columns are those of the first."""
    header = list(rows[0])
    lines = [header, *([row[name] for name in header] for row in rows)]
    return "".join(separator.join(line) + "\n" for line in lines)


def table(path: Path, rows: Sequence[Row], *, separator: str = "\t", top: str = "") -> Path:
    """Write rows as a table, compressed where the name ends in `.gz`."""
    data = (top + text_of(rows, separator)).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def without(rows: Sequence[Row], *names: str) -> list[dict[str, str]]:
    """The rows without some columns."""
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def changed(rows: Sequence[Row], index: int, **values: str) -> list[dict[str, str]]:
    """The rows with some values of one of them changed."""
    return [{**row, **(values if i == index else {})} for i, row in enumerate(rows)]
