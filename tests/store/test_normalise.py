"""Splitting, trimming and left-aligning, beside bcftools norm; REF against the genome."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.store.normalise import Variants, normalise
from eucan_dask.store.reference import Reference, open_reference
from eucan_dask.store.vcf import open_vcf
from tests.store.genotypes import Row, vcf

# A homopolymer at the contig's beginning, repeats of two and three bases, and plain sequence.
START = "AAAAAAAACGT" + "CA" * 20 + "GGT" + "CAG" * 15 + "TTTTTTTTTTGCATGC"


def genome(path: Path, **contigs: str) -> Path:
    text = "".join(
        f">{name}\n" + "\n".join(bases[i : i + 60] for i in range(0, len(bases), 60)) + "\n"
        for name, bases in contigs.items()
    )
    path.write_text(text)
    return path


def fasta(tmp_path: Path, **contigs: str) -> Reference:
    path = genome(tmp_path / "genome.fa", **(contigs or {"chr1": START}))
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return open_reference(path, assembly="GRCh38", scratch=scratch)


def normalised(tmp_path: Path, rows: list[Row], reference: Reference | None) -> list[Variants]:
    n_samples = len(rows[0][5].split())
    path = vcf(tmp_path / "a.vcf", rows, [f"S{i}" for i in range(n_samples)])
    source = open_vcf([path], assembly="GRCh38", scratch=tmp_path)
    return [normalise(r, fasta=reference) for unit in source.units(1) for r in unit.records()]


def one(tmp_path: Path, row: Row, reference: Reference | None = None) -> Variants:
    (found,) = normalised(tmp_path, [row], reference)
    return found


def random_rows(rng: np.random.Generator, bases: str, n: int) -> list[Row]:
    """Records with one to three ALTs that insert, delete or change a few bases."""
    rows = []
    for position in sorted(rng.integers(1, len(bases) - 12, size=n).tolist()):
        ref = bases[position - 1 : position - 1 + int(rng.integers(1, 8))]
        alts: list[str] = []
        for _ in range(int(rng.integers(1, 4))):
            cut, stop = sorted(rng.integers(0, len(ref) + 1, size=2).tolist())
            unit = ref[cut:stop] if rng.random() < 0.5 else "".join(rng.choice(list("ACGT"), 2))
            alt = ref[:cut] + unit * int(rng.integers(0, 3)) + ref[stop:]
            if alt and alt != ref and alt not in alts:
                alts.append(alt)
        if alts:
            rows.append(("chr1", position, ".", ref, ",".join(alts), "0/1 1/1"))
    return rows


@pytest.mark.parametrize("seed", range(6))
def test_normalise__as_bcftools(tmp_path: Path, bcftools: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    filler = "".join(rng.choice(list("ACGT"), size=40))
    bases = START + filler + "AT" * 30 + filler[:7] * 4 + "N" * 5 + START[::-1]
    reference = fasta(tmp_path, chr1=bases)
    rows = [row for row in random_rows(rng, bases, 250) if "N" not in row[3] + row[4]]
    found = [
        (int(position), ref, alt)
        for variants in normalised(tmp_path, rows, reference)
        for position, ref, alt in zip(variants.position, variants.ref, variants.alt, strict=True)
    ]
    command = [bcftools, "norm", "-m-", "-f", str(reference.path), str(tmp_path / "a.vcf")]
    split = subprocess.run(command, capture_output=True, check=True).stdout
    command = [bcftools, "query", "-f", "%POS\t%REF\t%ALT\n"]
    text = subprocess.run(command, input=split, capture_output=True, check=True).stdout.decode()
    expected = [(int(p), r, a) for p, r, a in (line.split("\t") for line in text.splitlines())]
    assert len(found) > 250
    assert sorted(found) == sorted(expected)


def test_normalise__to_the_first_base(tmp_path: Path) -> None:
    found = one(tmp_path, ("1", 7, ".", "AA", "A", "0/1"), fasta(tmp_path))
    assert (found.position.tolist(), found.ref, found.alt) == ([1], ("AA",), ("A",))
    assert found.end.tolist() == [2]


def test_normalise__moves_no_further_than_the_window(tmp_path: Path) -> None:
    reference = fasta(tmp_path, chr1="C" + "A" * 3000 + "G")
    found = one(tmp_path, ("1", 2500, ".", "AA", "A", "0/1"), reference)
    assert found.position.tolist() == [1500]


def test_normalise__without_a_genome_trims_only(tmp_path: Path) -> None:
    found = one(tmp_path, ("1", 20, ".", "CACA", "CA,CACG", "1/2"))
    assert [*zip(found.position.tolist(), found.ref, found.alt, strict=True)] == [
        (20, "CAC", "C"),
        (23, "A", "G"),
    ]
    assert found.record_position.tolist() == [20]
    assert found.record_allele == ("CACA,CA,CACG",)
    assert found.record_alt.tolist() == [1, 2]


def test_normalise__leaves_other_alleles_alone(tmp_path: Path) -> None:
    alts = "C,*,<DEL>,A[2:30[,.A,<NON_REF>"
    found = one(tmp_path, ("1", 8, ".", "A", alts, "1/6"), fasta(tmp_path))
    assert set(found.alt) == set(alts.split(","))
    assert set(found.ref) == {"A"}
    assert set(found.position.tolist()) == {8}


def test_normalise__record_without_an_alt(tmp_path: Path) -> None:
    found = one(tmp_path, ("1", 8, ".", "A", ".", "0/0 ./."))
    assert (found.alt, found.record_alt.tolist(), found.record_allele) == ((".",), [0], ("A,.",))
    assert found.genotype is not None
    assert found.genotype.tolist() == [[[0, 0], [-1, -1]]]


def test_normalise__calls_of_a_split_record(tmp_path: Path) -> None:
    calls = "0/0 0/1 1/2 2|2 ./1 1 2 . ./."
    found = one(tmp_path, ("X", 9, ".", "A", "C,G", calls))
    assert found.alt == ("C", "G")
    assert found.genotype is not None
    assert found.alt_copies is not None
    assert found.other_copies is not None
    one_, two = found.genotype.tolist()
    missing = [-1, -1]
    assert one_ == [[0, 0], [0, 1], [1, -1], missing, [-1, 1], [1, -2], [-1, -2], [-1, -2], missing]
    assert two == [[0, 0], [0, -1], [-1, 1], [1, 1], missing, [-1, -2], [1, -2], [-1, -2], missing]
    assert found.alt_copies.tolist() == [[0, 1, 1, 0, 3, 2, 0, 3, 3], [0, 0, 1, 2, 3, 0, 2, 3, 3]]
    assert found.other_copies.tolist() == found.alt_copies.tolist()[::-1]


def test_normalise__sorted_after_moving(tmp_path: Path) -> None:
    rows: list[Row] = [("1", 30, ".", "C", "T", "0/1"), ("1", 40, ".", "CAC", "C", "1/1")]
    (found,) = normalised(tmp_path, rows, fasta(tmp_path))
    assert [*zip(found.position.tolist(), found.ref, found.alt, strict=True)] == [
        (11, "TCA", "T"),
        (30, "C", "T"),
    ]
    assert found.record.tolist() == [1, 0]
    assert found.record_position.tolist() == [30, 40]
    assert found.genotype is not None
    assert found.genotype.tolist() == [[[1, 1]], [[0, 1]]]


def test_normalise__ref_is_not_the_genomes(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"a\.vcf, record 1 \(1:9\): REF .* expected C; found T"):
        one(tmp_path, ("1", 9, ".", "T", "G", "0/1"), fasta(tmp_path))
    with pytest.raises(Invalid, match="expected a position on the contig"):
        one(tmp_path, ("1", 9_999, ".", "T", "G", "0/1"), fasta(tmp_path))


def test_normalise__ambiguity_codes_of_the_genome(tmp_path: Path) -> None:
    reference = fasta(tmp_path, chr1="ACMTN")
    assert one(tmp_path, ("1", 3, ".", "A", "G", "0/1"), reference).ref == ("A",)
    for position, ref in ((3, "G"), (5, "A")):
        with pytest.raises(Invalid, match="REF is not"):
            one(tmp_path, ("1", position, ".", ref, "T", "0/1"), reference)


def test_open_reference__what_is_no_genome(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        open_reference(tmp_path / "none.fa", assembly="GRCh38", scratch=tmp_path)
    (tmp_path / "a.fa").write_text("ACGT\n")
    with pytest.raises(Invalid, match="no FASTA"):
        open_reference(tmp_path / "a.fa", assembly="GRCh38", scratch=tmp_path)


def test_open_reference__builds_its_index_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    path = genome(tmp_path / "genome.fa", chr1=START, chrM="ACGT")
    reference = open_reference(path, assembly="GRCh38", scratch=tmp_path / "scratch")
    assert reference.lengths == {"1": len(START), "MT": 4}
    assert reference.bases("MT", 2, 9) == "CGT"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["genome.fa", "scratch"]


def test_open_reference__bgzip(tmp_path: Path) -> None:
    import gzip

    import pysam

    path = genome(tmp_path / "genome.fa", chr1=START)
    pysam.tabix_compress(str(path), str(tmp_path / "genome.fa.gz"))
    (tmp_path / "scratch").mkdir()
    reference = open_reference(
        tmp_path / "genome.fa.gz", assembly="GRCh38", scratch=tmp_path / "scratch"
    )
    assert reference.bases("1", 1, 20) == START[:20]
    with gzip.open(tmp_path / "plain.fa.gz", "wb") as out:
        out.write(path.read_bytes())
    with pytest.raises(Invalid, match="gzip, not bgzip"):
        open_reference(tmp_path / "plain.fa.gz", assembly="GRCh38", scratch=tmp_path)


def test_open_reference__of_another_assembly(tmp_path: Path) -> None:
    (tmp_path / "genome.fa").write_text(">21\nACGT\n")
    (tmp_path / "genome.fa.fai").write_text("21\t48129895\t4\t4\t5\n")
    with pytest.raises(Invalid, match=r"expected GRCh38.*; found GRCh37"):
        open_reference(tmp_path / "genome.fa", assembly="GRCh38", scratch=tmp_path)
