"""Reading VCF and BCF in every form, beside cyvcf2 and bcftools."""

from __future__ import annotations

import gzip
import pickle
import re
import subprocess
from pathlib import Path

import cyvcf2
import numpy as np
import pysam
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.store import bgzf, vcf_scan
from eucan_dask.store.records import Records
from eucan_dask.store.vcf import VcfSource, open_vcf
from tests.store.genotypes import ROWS, SAMPLES, vcf
from tests.store.test_normalise import START, fasta

HEAD = """##fileformat=VCFv4.2
##FILTER=<ID=q10,Description="low">
##INFO=<ID=END,Number=1,Type=Integer,Description="end">
##INFO=<ID=AF,Number=A,Type=Float,Description="frequency">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
##contig=<ID=chr2>
##contig=<ID=chr1>
##contig=<ID=chrM>
##ALT=<ID=DEL,Description="deletion">
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO	FORMAT	a	b	c
"""
BODY = """chr2	5	.	a	c	.	.	.	GT	0/0	0|1	./.
chr2	5	rs1;rs2	AC	A,<DEL>,*	30.5	q10;s5	AF=0.1;END=90	DP:GT	3:0/3	.:1|2	7:.
chr2	90	.	N	.	1e-3	PASS	AF=.	GT:DP	0/0	./.	0
chr1	1	.	G	]chr2:5]G	99	PASS	.	GT	1	0|.	|0|1
chr1	7	.	T	C	0	PASS	.	DP	1	2	3
chrM	16000	.	T	G	Inf	.	END=16000	GT	1	.	0
"""


def opened(path: Path | list[Path], scratch: Path, assembly: str = "GRCh38") -> VcfSource:
    paths = [path] if isinstance(path, Path) else path
    return open_vcf(paths, assembly=assembly, scratch=scratch)


def batches(source: VcfSource, n: int = 1) -> list[Records]:
    units = pickle.loads(pickle.dumps(source.units(n)))  # noqa: S301
    return [records for unit in units for records in unit.records()]


def rows(source: VcfSource, n: int = 1) -> list[tuple[object, ...]]:
    """Everything of every record, however it came in batches."""
    out: list[tuple[object, ...]] = []
    for b in batches(source, n):
        quality = [None if np.isnan(q) else float(q) for q in b.quality]
        calls = b.genotype.tolist() if b.genotype is not None else [None] * len(quality)
        phased = b.phased.tolist() if b.phased is not None else [None] * len(quality)
        columns = (b.position.tolist(), b.end.tolist(), b.identifier, b.allele, quality, b.filters)
        out += [
            (b.contig, *row) for row in zip(*columns, calls, phased, b.number.tolist(), strict=True)
        ]
    return out


@pytest.fixture
def every_form(tmp_path: Path, bcftools: str) -> dict[str, Path]:
    """The same records plain, gzip, bgzip, with CRLF, and as BCF, compressed and not."""
    known = '##FILTER=<ID=s5,Description="">\n##INFO'  # else bcftools would not write it
    text = (HEAD.replace("##INFO", known, 1) + BODY.replace("|0|1", "0|1")).encode()
    paths = {name: tmp_path / f"{name}.x" for name in ("plain", "gzip", "bgzip", "crlf")}
    paths["plain"].write_bytes(text)
    paths["crlf"].write_bytes(text.replace(b"\n", b"\r\n"))
    paths["gzip"].write_bytes(gzip.compress(text))
    with pysam.BGZFile(str(paths["bgzip"]), "wb") as out:
        out.write(text)
    for name, kind in (("bcf", "-Ob"), ("plain_bcf", "-Ou")):
        paths[name] = tmp_path / f"{name}.x"
        command = [bcftools, "view", kind, "-o", str(paths[name]), str(paths["plain"])]
        subprocess.run(command, check=True, capture_output=True)
    return paths


def test_records__what_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text(HEAD + BODY)
    source = opened(tmp_path / "a.vcf", tmp_path)
    assert source.samples == ("a", "b", "c")
    assert source.contigs == ("1", "2", "MT")
    assert (source.ploidy, source.has_genotypes, source.count) == (2, True, 6)
    none = [-1, -1]
    found = rows(source)
    assert [row[:8] for row in found] == [
        ("1", 1, 1, ".", ("G", "]chr2:5]G"), 99.0, ("PASS",), [[1, -2], [0, -1], [0, 1]]),
        ("1", 7, 7, ".", ("T", "C"), 0.0, ("PASS",), [none, none, none]),
        ("2", 5, 5, ".", ("A", "C"), None, (), [[0, 0], [0, 1], none]),
        (
            "2",
            5,
            90,
            "rs1;rs2",
            ("AC", "A", "<DEL>", "*"),
            30.5,
            ("q10", "s5"),
            [[0, 3], [1, 2], [-1, -2]],
        ),
        ("2", 90, 90, ".", ("N",), float(np.float32(1e-3)), ("PASS",), [[0, 0], none, [0, -2]]),
        ("MT", 16000, 16000, ".", ("T", "G"), np.inf, (), [[1, -2], [-1, -2], [0, -2]]),
    ]
    assert [row[8] for row in found] == [
        [False, True, True],
        [False] * 3,
        [False, True, False],
        [False, True, False],
        [False] * 3,
        [False] * 3,
    ]
    assert [row[9] for row in found] == [4, 5, 1, 2, 3, 6]


def test_records__every_form_alike(every_form: dict[str, Path], tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    expected = rows(opened(every_form["plain"], scratch))
    for name in ("gzip", "bgzip", "crlf", "bcf", "plain_bcf"):
        assert rows(opened(every_form[name], scratch)) == expected, name
    assert [path.suffix for path in scratch.iterdir()] == [".bgz"]


@pytest.mark.parametrize("n_samples", [3, 40])
def test_records__calls_as_cyvcf2_reads_them(tmp_path: Path, n_samples: int) -> None:
    """Calls of every shape, few samples and many: two ways through the reader."""
    rng = np.random.default_rng(n_samples)
    words = ["0/0", "0|1", "1/1", "./.", ".", "1", "./1", "2|10", "11/3", ".|.", "0"]
    lines = []
    for i in range(60):
        calls = rng.choice(words[:4] if i % 3 == 0 else words, size=n_samples).tolist()
        if i % 4 == 1:
            calls = [f"{call}:{rng.integers(99)}" for call in calls]
        kind = "GT:DP" if i % 4 == 1 else "GT"
        alts = ",".join(f"A{'C' * k}" for k in range(1, 12))
        lines.append("\t".join(["chr1", str(i + 1), ".", "A", alts, ".", ".", ".", kind, *calls]))
    samples = "\t".join(f"S{i}" for i in range(n_samples))
    path = tmp_path / "a.vcf"
    path.write_text(HEAD.replace("a\tb\tc", samples) + "\n".join(lines) + "\n")
    found = np.concatenate(
        [b.genotype for b in batches(opened(path, tmp_path)) if b.genotype is not None]
    )
    phased = np.concatenate(
        [b.phased for b in batches(opened(path, tmp_path)) if b.phased is not None]
    )
    for row, variant in enumerate(cyvcf2.VCF(str(path))):
        expected = variant.genotype.array()
        full = np.full((n_samples, 2), -2)
        full[:, : expected.shape[1] - 1] = expected[:, :-1]
        assert found[row].tolist() == full.tolist()
        diploid = full[:, 1] != -2
        assert phased[row][diploid].tolist() == (expected[:, -1] == 1)[diploid].tolist()
        assert not phased[row][~diploid].any()


def test_records__triploid(tmp_path: Path) -> None:
    body = BODY.replace("0/0\t0|1\t./.", "0/0\t0|1|1\t0/1|1")
    (tmp_path / "a.vcf").write_text(HEAD + body)
    source = opened(tmp_path / "a.vcf", tmp_path)
    assert source.ploidy == 3
    found = rows(source)[2]
    assert found[7] == [[0, 0, -2], [0, 1, 1], [0, 1, 1]]
    assert found[8] == [False, True, False]


@pytest.mark.parametrize("form", ["plain", "bgzip", "bcf"])
def test_units__cover_the_file_once(
    every_form: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """However small the pieces: nothing twice, nothing lost, numbers as in the file."""
    path = every_form[form]
    expected = rows(opened(path, tmp_path))
    monkeypatch.setattr(vcf_scan, "CUT_BYTES", 1)
    for step in (1, 60, 300, 5000):
        monkeypatch.setattr(bgzf, "_STEP", step)
        if form == "bgzip":
            text = every_form["plain"].read_bytes()
            blocks = [text[i : i + step] for i in range(0, len(text), step)]
            path.write_bytes(b"".join(bgzf.compress(b, level=6) for b in blocks) + bgzf.END)
        source = opened(path, tmp_path)
        for n in (1, 3, 100):
            assert rows(source, n) == expected
        assert len(source.units(100)) >= (6 if step == 1 else 3)


def test_open_vcf__no_genotypes(tmp_path: Path) -> None:
    (tmp_path / "sites.vcf").write_text(
        re.sub(r"\tFORMAT.*", "", HEAD) + "chr1\t1\t.\tA\tC\t.\t.\t.\n"
    )
    (tmp_path / "depth.vcf").write_text(HEAD + "chr1\t7\t.\tT\tC\t0\tPASS\t.\tDP\t1\t2\t3\n")
    for name in ("sites.vcf", "depth.vcf"):
        source = opened(tmp_path / name, tmp_path)
        assert (source.samples, source.has_genotypes) == ((), False)
        assert any("no genotypes" in note for note in source.notes)
        assert [row[7] for row in rows(source)] == [None]


def test_open_vcf__progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vcf_scan, "_TICK", 2)
    monkeypatch.setattr(bgzf, "_STEP", 40)
    (tmp_path / "a.vcf").write_text(HEAD + BODY)
    told: list[tuple[int, int, str]] = []
    open_vcf(
        [tmp_path / "a.vcf"],
        assembly="GRCh38",
        scratch=tmp_path,
        progress=lambda *report: told.append(report),
    )
    assert told == [(0, 1, f"a.vcf: {count} records seen") for count in (2, 4, 6)]


def test_open_vcf__header_alone(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text(HEAD)
    source = opened(tmp_path / "a.vcf", tmp_path)
    assert (source.samples, source.contigs, source.units(4)) == (("a", "b", "c"), (), ())


def test_open_vcf__several_files(tmp_path: Path) -> None:
    """One a contig, one contig in two parts, samples in other orders."""
    first = vcf(tmp_path / "a.vcf", ROWS[3:])
    back = [(*row[:5], " ".join(row[5].split()[::-1])) for row in ROWS[:3]]
    second = vcf(tmp_path / "b.vcf.gz", back[1:], SAMPLES[::-1])
    third = vcf(tmp_path / "c.vcf", back[:1], SAMPLES[::-1])
    whole = vcf(tmp_path / "whole.vcf", ROWS)
    found = rows(opened([first, second, third], tmp_path))
    expected = rows(opened(whole, tmp_path))
    assert [row[:9] for row in found] == [row[:9] for row in expected]


def test_open_vcf__files_that_do_not_fit_together(tmp_path: Path) -> None:
    whole = vcf(tmp_path / "whole.vcf", ROWS)
    other = vcf(tmp_path / "other.vcf", ROWS[3:4], ("A-1", "B-1", "B-2", "Z-9"))
    with pytest.raises(Invalid, match=r"other samples than whole\.vcf.*1 more and 1 fewer.*merge"):
        opened([whole, other], tmp_path)
    part = vcf(tmp_path / "part.vcf", ROWS[1:2])
    with pytest.raises(Invalid, match=r"overlaps whole\.vcf on contig 1.*concat"):
        opened([whole, part], tmp_path)
    with pytest.raises(Invalid, match="overlaps"):
        opened([whole, whole], tmp_path)


def test_open_vcf__unknown_lengths_are_remarked_on(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text(HEAD.replace("<ID=chr1>", "<ID=chr1,length=9>") + BODY)
    source = opened(tmp_path / "a.vcf", tmp_path)
    assert source.notes == (
        "a.vcf: contig 1 has a length that no known assembly has; taken as GRCh38",
    )
    reference = fasta(tmp_path)
    assert reference.lengths["1"] == len(START)
