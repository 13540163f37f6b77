"""Small VCF files and PLINK filesets, written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pysam

Row = tuple[str, int, str, str, str, str]  # contig, position, id, ref, alts, genotypes

ROWS: list[Row] = [
    ("1", 100, "rs1", "A", "G", "0/0 0/1 1/1 ./."),
    ("1", 200, ".", "C", "T,G", "0|1 1/2 2/2 0/2"),
    ("1", 300, ".", "G", "T", "./1 0/0 0/0 0/0"),
    ("2", 50, "rs4", "T", "C", "0/0 0/0 0/0 0/1"),
    ("X", 5_000_000, ".", "A", "C", "0 0/1 1 0/0"),
]
SAMPLES = ("A-1", "B-1", "B-2", "C-1")


def vcf(
    path: Path,
    rows: Sequence[Row] = ROWS,
    samples: Sequence[str] = SAMPLES,
    *,
    filters: str = "PASS",
) -> Path:
    """A VCF of calls separated by spaces; bgzip where the name ends in `.gz`."""
    contigs = "".join(f"##contig=<ID={c}>\n" for c in dict.fromkeys(row[0] for row in rows))
    head = (
        "##fileformat=VCFv4.2\n"
        '##FILTER=<ID=q10,Description="low quality">\n'
        f'{contigs}##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    )
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
    lines = ["\t".join([*columns, *(["FORMAT", *samples] if samples else [])])]
    for contig, position, name, ref, alt, calls in rows:
        fields = [contig, str(position), name, ref, alt, "30", filters, "."]
        lines.append("\t".join([*fields, *(["GT", *calls.split()] if samples else [])]))
    data = (head + "\n".join(lines) + "\n").encode()
    if path.suffix == ".gz":
        with pysam.BGZFile(str(path), "wb") as out:
            out.write(data)
    else:
        path.write_bytes(data)
    return path


def simulated(n_variants: int, n_samples: int, *, seed: int = 1) -> tuple[list[Row], np.ndarray]:
    """Rows of two contigs, and the alleles (V, N, 2) they were made of; -1 is missing."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0, 0.9, size=(n_variants, 1, 1)) ** 3
    alleles = (rng.random((n_variants, n_samples, 2)) < frequency).astype(np.int8)
    alleles[rng.random((n_variants, n_samples)) < 0.03] = -1
    words = np.array(["0", "1", "."])
    rows = []
    for i, calls in enumerate(words[alleles]):
        contig = "21" if i < n_variants // 3 else "22"
        text = " ".join("/".join(pair) for pair in calls)
        rows.append((contig, 1000 + 7 * i, ".", "ACGT"[i % 4], "CGTA"[i % 4], text))
    return rows, alleles


def plink(
    prefix: Path,
    copies: np.ndarray,
    samples: Sequence[str],
    sex: Sequence[int],
    *,
    contig: str = "1",
) -> Path:
    """A fileset of copies of allele 1 (V, N), -1 missing, as the PLINK 1.9 manual has it."""
    codes = np.array([3, 2, 0, 1], dtype=np.uint8)[copies]  # 0 1 2 copies, missing
    lacking = -codes.shape[1] % 4
    codes = np.pad(codes, ((0, 0), (0, lacking))).reshape(len(codes), -1, 4)
    packed = (codes << np.array([0, 2, 4, 6], dtype=np.uint8)).sum(axis=2).astype(np.uint8)
    prefix.with_suffix(".bed").write_bytes(b"\x6c\x1b\x01" + packed.tobytes())
    prefix.with_suffix(".bim").write_text(
        "".join(f"{contig}\tv{i}\t0\t{100 + 10 * i}\tG\tA\n" for i in range(len(copies)))
    )
    prefix.with_suffix(".fam").write_text(
        "".join(f"{s}\t{s}\t0\t0\t{x}\t-9\n" for s, x in zip(samples, sex, strict=True))
    )
    return prefix
