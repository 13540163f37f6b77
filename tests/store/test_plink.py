"""Reading PLINK filesets: beside plink2 and the fixtures' own VCF, and what must be refused."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cyvcf2
import numpy as np
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.store.ingest_variants import ingest_plink
from eucan_dask.store.plink import PlinkSource, open_plink
from tests.store.genotypes import plink
from tests.store.test_normalise import START, fasta, genome

COPIES = np.array([[0, 1, 2, -1, 0], [2, 2, 0, 1, -1], [0, 0, 0, 0, 1], [1, -1, 2, 0, 0]])
PEOPLE = ("p1", "p2", "p3", "p4", "p5")
SEX = (1, 2, 0, 2, 1)
ALLELES = {0: [0, 0], 1: [0, 1], 2: [1, 1], -1: [-1, -1]}


def fileset(tmp_path: Path, name: str = "f", copies: np.ndarray = COPIES, **options: str) -> Path:
    return plink(tmp_path / name, copies, PEOPLE, SEX, **options)


def bim(prefix: Path, *rows: str) -> Path:
    """Give a fileset other variants."""
    prefix.with_suffix(".bim").write_text("".join(row.replace(" ", "\t") + "\n" for row in rows))
    return prefix


def calls(source: PlinkSource, n: int = 1) -> list[list[list[int]]]:
    parts = [r.genotype for unit in source.units(n) for r in unit.records()]
    return [row.tolist() for part in parts if part is not None for row in part]


def places(source: PlinkSource) -> list[tuple[object, ...]]:
    return [
        (r.contig, *row)
        for unit in source.units(1)
        for r in unit.records()
        for row in zip(r.position.tolist(), r.identifier, r.allele, r.number.tolist(), strict=True)
    ]


def test_open_plink__what_is_read(tmp_path: Path) -> None:
    source = open_plink([fileset(tmp_path)], assembly="GRCh37")
    assert (source.samples, source.sex.tolist(), source.contigs) == (PEOPLE, [*SEX], ("1",))
    expected = [[ALLELES[c] for c in row] for row in COPIES.tolist()]
    for n in (1, 2, 9):
        assert calls(source, n) == expected
    assert places(source)[0] == ("1", 100, "v0", ("A", "G"), 1)
    assert len(source.units(9)) == 4
    assert calls(open_plink([tmp_path / "f.bed"], assembly="GRCh37")) == expected


def test_open_plink__as_plink2_exports_it(tmp_path: Path, plink2: str) -> None:
    rng = np.random.default_rng(5)
    copies = rng.integers(-1, 3, size=(60, 5))
    prefix = fileset(tmp_path, copies=copies)
    command = [plink2, "--bfile", prefix, "--export", "vcf", "--out", tmp_path / "peer"]
    subprocess.run(command, check=True, capture_output=True)
    found = places(open_plink([prefix], assembly="GRCh37"))
    for row, call, variant in zip(
        found,
        calls(open_plink([prefix], assembly="GRCh37")),
        cyvcf2.VCF(str(tmp_path / "peer.vcf")),
        strict=True,
    ):
        assert row[:4] == (variant.CHROM, variant.POS, variant.ID, (variant.REF, *variant.ALT))
        assert call == variant.genotype.array()[:, :2].tolist()


@pytest.mark.parametrize("name", ["example", "example_with_fam", "plink_sim_10s_100v_10pmiss"])
def test_open_plink__fixtures_against_their_vcf(shared: Path, name: str) -> None:
    """The VCFs were written by PLINK 1.9, whose REF is allele 2 too."""
    prefix = shared / "vcf_zarr_conformance" / "plink" / name
    source = open_plink([prefix], assembly="GRCh37")
    peer = {v.ID: v for v in cyvcf2.VCF(f"{prefix}.vcf")}
    found = places(source)
    assert len(found) == len(peer)
    assert len(source.samples) == len(cyvcf2.VCF(f"{prefix}.vcf").samples)
    for (_, position, identifier, allele, _), call in zip(found, calls(source), strict=True):
        variant = peer[identifier]
        assert (position, allele) == (variant.POS, (variant.REF, *variant.ALT))
        assert call == variant.genotype.array()[:, :2].tolist()


def test_open_plink__contig_codes(tmp_path: Path) -> None:
    """The pseudo-autosomal variants of 25 are sorted in with those of 23."""
    copies = np.arange(6).reshape(6, 1) % 3 + np.zeros((1, 5), dtype=int)
    rows = ["26 m 0 9 G A", "23 x1 0 100 G A", "23 x2 0 300 G A", "24 y 0 7 G A"]
    prefix = bim(fileset(tmp_path, copies=copies), *rows, "25 p1 0 50 G A", "25 p2 0 200 G A")
    source = open_plink([prefix], assembly="GRCh37")
    assert source.contigs == ("X", "Y", "MT")
    assert [(row[0], row[2], row[4]) for row in places(source)] == [
        ("X", "p1", 5),
        ("X", "x1", 2),
        ("X", "p2", 6),
        ("X", "x2", 3),
        ("Y", "y", 4),
        ("MT", "m", 1),
    ]
    assert [row[0] for row in calls(source)] == [ALLELES[c] for c in (1, 1, 2, 2, 0, 0)]


def test_open_plink__several_filesets(tmp_path: Path) -> None:
    """One a contig, or a contig in two parts; people in any order."""
    whole = open_plink([fileset(tmp_path, "whole")], assembly="GRCh37")
    first = bim(fileset(tmp_path, "one", COPIES[:2]), "1 v0 0 100 G A", "1 v1 0 110 G A")
    back = plink(tmp_path / "two", COPIES[2:, ::-1], PEOPLE[::-1], SEX[::-1])
    bim(back, "1 v2 0 120 G A", "1 v3 0 130 G A")
    source = open_plink([first, back], assembly="GRCh37")
    assert calls(source) == calls(whole)
    assert [row[:4] for row in places(source)] == [row[:4] for row in places(whole)]
    with pytest.raises(Invalid, match=r"f\.bed|whole\.bed|overlaps"):
        open_plink([tmp_path / "whole", first], assembly="GRCh37")
    other = plink(tmp_path / "other", COPIES, (*PEOPLE[:4], "zz"), SEX, contig="2")
    with pytest.raises(Invalid, match=r"other\.fam: has other people than one\.fam.*1 more and 1"):
        open_plink([first, other], assembly="GRCh37")
    other = plink(tmp_path / "other", COPIES, PEOPLE, (2, *SEX[1:]), contig="2")
    with pytest.raises(Invalid, match=r"1 people have another sex.*p1"):
        open_plink([first, other], assembly="GRCh37")


def test_open_plink__swaps_what_the_genome_has(tmp_path: Path) -> None:
    """START has AAAAAAAACGT: allele 1 of the first is its base, allele 2 of the second."""
    prefix = bim(
        fileset(tmp_path),
        "1 a 0 2 A G",
        "1 b 0 3 G A",
        "1 c 0 8 ACG A",
        "1 d 0 9 T CG",
    )
    source = open_plink([prefix], assembly="GRCh37", fasta=fasta(tmp_path))
    assert [row[3] for row in places(source)] == [("A", "G"), ("A", "G"), ("A", "ACG"), ("CG", "T")]
    turned = {0: 2, 1: 1, 2: 0, -1: -1}
    expected = [[ALLELES[c] for c in row] for row in COPIES.tolist()]
    expected[0] = [ALLELES[turned[c]] for c in COPIES[0].tolist()]
    assert calls(source) == expected
    assert source.notes == ("f.bed: the genome has allele 1 of 1 variants, which were swapped",)


def test_ingest_plink__neither_allele_is_the_genomes(tmp_path: Path) -> None:
    prefix = bim(fileset(tmp_path, copies=COPIES[:1]), "1 a 0 2 C G")
    path = genome(tmp_path / "genome.fa", chr1=START)
    with pytest.raises(
        Invalid, match=r"f\.bed, record 1 \(1:2\): REF is not .* expected A; found G"
    ):
        ingest_plink(prefix, store=tmp_path / "s", assembly="GRCh37", reference=path, workers=1)
    assert not (tmp_path / "s" / "eucan.json").exists()


def test_open_plink__numbers_for_bases(tmp_path: Path) -> None:
    """1, 2, 3, 4 are A, C, G, T as in plink 1.9 --alleleACGT; beside letters they are a mistake."""
    prefix = bim(fileset(tmp_path), "1 a 0 2 1 2", "1 b 0 3 4 3", "1 c 0 4 2 1", "1 d 0 5 3 4")
    source = open_plink([prefix], assembly="GRCh37")
    assert [row[3] for row in places(source)] == [("C", "A"), ("G", "T"), ("A", "C"), ("T", "G")]
    assert calls(source) == [[ALLELES[c] for c in row] for row in COPIES.tolist()]
    (note,) = source.notes
    assert note.startswith("f.bim: alleles 1, 2, 3, 4 were read as A, C, G, T")
    alone = bim(fileset(tmp_path, copies=np.array([[0, 0, -1, 0, 0]])), "1 a 0 2 0 3")
    assert places(open_plink([alone], assembly="GRCh37")) == [("1", 2, "a", ("G",), 1)]
    mixed = bim(fileset(tmp_path, copies=COPIES[:2]), "1 a 0 2 1 2", "1 b 0 3 A C")
    with pytest.raises(Invalid, match=r"line 1: an allele is not made of bases; found '1'"):
        open_plink([mixed], assembly="GRCh37")


def test_open_plink__nobody_has_allele_1(tmp_path: Path) -> None:
    prefix = bim(fileset(tmp_path, copies=np.array([[0, 0, -1, 0, 0]])), "1 a 0 2 0 G")
    source = open_plink([prefix], assembly="GRCh37")
    assert places(source) == [("1", 2, "a", ("G",), 1)]
    assert calls(source) == [[[0, 0], [0, 0], [-1, -1], [0, 0], [0, 0]]]
    prefix = bim(fileset(tmp_path, copies=np.array([[0, 0, 1, 0, 0]])), "1 a 0 2 0 G")
    with pytest.raises(Invalid, match=r"f\.bed, record 1: a call has an allele"):
        calls(open_plink([prefix], assembly="GRCh37"))


def edit(suffix: str, old: str, new: str) -> Callable[[Path], None]:
    def change(prefix: Path) -> None:
        path = prefix.with_suffix(suffix)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


def bed(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(prefix: Path) -> None:
        path = prefix.with_suffix(".bed")
        path.write_bytes(change(path.read_bytes()))

    return apply


SIZES = r"the 5 people of the \.fam and the 4 variants of the \.bim"
BAD = {
    "bed cut": (bed(lambda b: b[:-1]), rf"f\.bed: does not fit {SIZES}.*11 bytes; found 10 bytes"),
    "bed long": (bed(lambda b: b + b"\0"), r"expected 11 bytes; found 12 bytes"),
    "bed magic": (bed(lambda b: b"\x6c\x1c" + b[2:]), r"f\.bed: is no \.bed file"),
    "bed empty": (bed(lambda b: b""), r"f\.bed: is no \.bed file"),
    "bed mode": (bed(lambda b: b[:2] + b"\0" + b[3:]), r"person by person.*--make-bed"),
    "bim short": (edit(".bim", "1\tv3\t0\t130\tG\tA\n", ""), r"f\.bed: does not fit.*3 variants"),
    "fam short": (edit(".fam", "p5\tp5\t0\t0\t1\t-9\n", ""), r"f\.bed: does not fit the 4 people"),
    "fam columns": (edit(".fam", "\t-9", ""), r"f\.fam, line 1: .* expected 6 .*; found 5"),
    "fam empty": (
        lambda prefix: prefix.with_suffix(".fam").write_text(""),
        r"f\.fam: names nobody",
    ),
    "ids repeat": (
        edit(".fam", "q\tp2".replace("q", "p2"), "p2\tp1"),
        r"'p1' stands on lines 1 and 2",
    ),
    "bim columns": (edit(".bim", "\tv1\t0", "\tv1"), r"f\.bim, line 2: .* expected 6"),
    "blank line": (edit(".bim", "1\tv1", "\n1\tv1"), r"f\.bim, line 2: .* found 0"),
    "unsorted": (edit(".bim", "\t130\t", "\t90\t"), r"f\.bim, line 4: unsorted.*--sort-vars"),
    "contig back": (edit(".bim", "1\tv1", "2\tv1"), r"f\.bim, line 3: contig 1 comes back"),
    "contig 0": (edit(".bim", "1\tv0", "0\tv0"), r"f\.bim, line 1: .* on no contig.*--chr 1-26"),
    "contig none": (edit(".bim", "1\tv0", "77\tv0"), r"f\.bim, line 1: no contig.*'77'"),
    "position 0": (edit(".bim", "\t100\t", "\t0\t"), r"f\.bim, line 1: no position.*'0'"),
    "position negative": (edit(".bim", "\t100\t", "\t-5\t"), r"f\.bim, line 1: no position"),
    "position float": (edit(".bim", "\t100\t", "\t1e2\t"), r"f\.bim, line 1: no position"),
    "beyond the contig": (
        edit(".bim", "\t130\t", "\t249250623\t"),
        r"f\.bim: a position beyond the end of contig 1; expected 249250621 at most in GRCh37",
    ),
    "position huge": (edit(".bim", "\t130\t", "\t3000000000\t"), r"f\.bim, line 4: no position"),
    "allele 2 none": (edit(".bim", "G\tA", "G\t0"), r"f\.bim, line 1: allele 2.*not known"),
    "allele letters": (edit(".bim", "G\tA", "I\tD"), r"f\.bim, line 1: an allele is not.*'I'"),
    "allele number": (edit(".bim", "G\tA", "1\t2"), r"f\.bim, line 1: an allele is not made"),
    "alleles alike": (edit(".bim", "G\tA", "A\tA"), r"f\.bim, line 1: both alleles are the same"),
    "no bim": (lambda prefix: prefix.with_suffix(".bim").unlink(), r"f\.bim"),
    "no bed": (lambda prefix: prefix.with_suffix(".bed").unlink(), r"f\.bed"),
}


@pytest.mark.parametrize("case", BAD)
def test_ingest_plink__bad(tmp_path: Path, case: str) -> None:
    change, message = BAD[case]
    prefix = fileset(tmp_path)
    change(prefix)
    with pytest.raises(Invalid, match=message):
        ingest_plink(prefix, store=tmp_path / "store", assembly="GRCh37", workers=1)
    assert not (tmp_path / "store" / "eucan.json").exists()


def test_open_plink__nothing_given(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no fileset was given"):
        open_plink([], assembly="GRCh37")
    with pytest.raises(Invalid, match=r"none\.fam: cannot be read"):
        open_plink([tmp_path / "none"], assembly="GRCh37")


def test_open_plink__a_name_with_dots(tmp_path: Path) -> None:
    """`cohort.chr1` is a prefix, not a name with a suffix."""
    prefix = fileset(tmp_path)
    for suffix in (".bed", ".bim", ".fam"):
        shutil.copy(prefix.with_suffix(suffix), f"{tmp_path}/cohort.chr1{suffix}")
    assert len(places(open_plink([tmp_path / "cohort.chr1"], assembly="GRCh37"))) == 4
