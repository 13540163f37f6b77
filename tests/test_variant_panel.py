"""The variants a run asks for: lists, text files, VCF files, regions, order, digests."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pysam
import pytest

from eucan_dask import variant_panel
from eucan_dask.errors import Invalid
from eucan_dask.variant_panel import Region, VariantPanel

LABELS = ("1:100:A:G", "1:100:A:T", "1:2000:C:CT", "2:5:G:A", "10:5:G:A", "X:7:T:C", "MT:3:A:G")
HEAD = "##fileformat=VCFv4.2\n" + "".join(
    f"##contig=<ID={name}>\n" for name in ("chr1", "chr2", "chr10", "chrX", "chrM", "1", "2")
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def vcf(path: Path, *rows: str) -> Path:
    """A VCF of `contig pos ref alt` rows."""
    lines = ["\t".join([c, p, ".", r, a, ".", ".", "."]) for c, p, r, a in map(str.split, rows)]
    path.write_text(HEAD + COLUMNS + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def text(path: Path, *lines: str) -> VariantPanel:
    path.write_text("\n".join(lines), encoding="utf-8")
    return VariantPanel(path=path)


def test_of__puts_a_list_in_genome_order() -> None:
    panel = VariantPanel.of([*LABELS[::-1], "chr1:50:ga:g"])
    assert tuple(panel) == ("1:50:GA:G", *LABELS)
    assert len(panel) == 8
    assert tuple(panel) == ("1:50:GA:G", *LABELS)  # again


def test_digest__is_of_the_labels_wherever_they_come_from(tmp_path: Path) -> None:
    expected = hashlib.sha256("".join(f"{label}\n" for label in LABELS).encode()).hexdigest()
    rows = ["chr1 100 A G,T", "chr1 2000 C CT", "chr2 5 G A", "chr10 5 G A", "chrX 7 T C"]
    panels = [
        VariantPanel.of(LABELS),
        text(tmp_path / "a.txt", *LABELS, ""),
        text(tmp_path / "b.txt", "# a comment", "", *(f"  chr{label.lower()}" for label in LABELS)),
        VariantPanel(path=vcf(tmp_path / "c.vcf", *rows, "chrM 3 A G")),
    ]
    assert [panel.digest for panel in panels] == [expected] * 4
    assert VariantPanel.of(LABELS[1:]).digest != expected


@pytest.mark.parametrize("kind", ["vcf.gz", "vcf.bgz", "bcf", "plain.vcf.gz"])
def test_iter__packed_files(tmp_path: Path, kind: str) -> None:
    plain, path = vcf(tmp_path / "a.vcf", "1 5 A G", "1 9 AC A"), tmp_path / f"b.{kind}"
    if kind == "bcf":
        with (
            pysam.VariantFile(str(plain)) as source,
            pysam.VariantFile(str(path), "wb", header=source.header) as out,
        ):
            for record in source:
                out.write(record)
    elif kind == "plain.vcf.gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))
    else:
        pysam.tabix_compress(str(plain), str(path))
    assert tuple(VariantPanel(path=path)) == ("1:5:A:G", "1:9:AC:A")


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("1", LABELS[:3]),
        ("chr1", LABELS[:3]),
        ("1:100-100", LABELS[:2]),
        ("1:101-1,999", ()),
        ("1:101-2,000", LABELS[2:3]),
        (" chrX:1-7 ", LABELS[5:6]),
        ("10:5-5", LABELS[4:5]),
        ("23", LABELS[5:6]),
    ],
)
def test_region__first_and_last_base_are_in_it(region: str, expected: tuple[str, ...]) -> None:
    parsed = Region.parse(region, where="job")
    assert tuple(VariantPanel(labels=LABELS, region=parsed)) == expected
    assert Region.parse(str(parsed), where="job") == parsed
    assert "1:100:A:G" not in parsed


@pytest.mark.parametrize(
    "region", ["", ":", "1:", "1:5", "1:5-", "1:9-5", "1:0-5", "1:,-5", "1:5-9:3", "1:-5-9",
               "1:5-99999999999", f"1:1-{'9' * 5000}", "26", "chr", "1:a-b"],
    ids=lambda x: x[:15],
)  # fmt: skip
def test_region__what_is_none(region: str) -> None:
    with pytest.raises(Invalid):
        Region.parse(region, where="job.toml [panel]")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["2:5:A:G", "1:5:A:G"], "not in genome order"),
        (["X:5:A:G", "22:5:A:G"], "not in genome order"),
        (["1:5000:A:G", "1:3999:A:G"], "not in genome order"),
        (["1:5:A:G", "1:5:A:C", "chr1:5:A:G"], "stands twice"),
        (["1:5:A:G", "1:900:A:G", "1:5:A:G"], "stands twice"),
        (["1:5:A:G", "1:1005:C:T", "1:5:A:G"], "stands twice"),
        (["1:5:A:G", "rs7"], "line 2: no variant"),
        (["1:5:A:G", "1:6:A:<DEL>"], "line 2: no pair of alleles"),
        (["1:5:A:G 0.3"], "no pair of alleles"),
        (["1:5:A:G", "99:5:A:G"], "line 2: no contig"),
    ],
    ids=str,
)
def test_iter__a_list_that_is_none(tmp_path: Path, lines: list[str], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        tuple(text(tmp_path / "a.txt", *lines))


def test_iter__trimming_may_move_a_variant_a_little() -> None:
    """In a VCF sorted by POS, what is trimmed can lie behind what follows it."""
    labels = ("1:100:CTTTTA:CTTTTG", "1:101:T:C")
    panel = VariantPanel(labels=labels)
    assert tuple(panel) == ("1:105:A:G", "1:101:T:C")


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["1 5 A <DEL>"], "record 1: no pair of alleles"),
        (["1 5 A G", "1 6 A *"], "record 2: no pair of alleles"),
        (["1 9 A G", "2 5 A T", "1 9 A C"], "not in genome order"),
    ],
    ids=str,
)
def test_iter__a_vcf_that_is_no_panel(tmp_path: Path, rows: list[str], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        tuple(VariantPanel(path=vcf(tmp_path / "a.vcf", *rows)))


def test_iter__a_vcf_that_has_a_variant_twice(tmp_path: Path) -> None:
    """Genotype files do, and stores keep such records: it is asked for once."""
    rows = ["1 5 A G", "1 5 A T,G", "1 5 AC GC", "1 6 A G"]
    found = tuple(VariantPanel(path=vcf(tmp_path / "a.vcf", *rows)))
    assert found == ("1:5:A:G", "1:5:A:T", "1:6:A:G")


def test_iter__a_vcf_record_without_an_alternate_allele(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="record 2"):
        tuple(VariantPanel(path=vcf(tmp_path / "a.vcf", "1 5 A G", "1 6 A .")))


BAD = {
    "empty.vcf": b"",
    "text.vcf": b"not a VCF at all\n",
    "binary.vcf.gz": bytes(range(256)) * 10,
    "header only.vcf": (HEAD).encode(),
    "latin.txt": "1:5:A:G\n\xe9\n".encode("latin-1"),
    "short row.vcf": (HEAD + COLUMNS + "1\t5\t.\tA\n").encode(),
    "bad position.vcf": (HEAD + COLUMNS + "1\tfive\t.\tA\tG\t.\t.\t.\n").encode(),
}


@pytest.mark.parametrize("name", BAD)
def test_iter__a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BAD[name])
    with pytest.raises(Invalid, match=name.split(".")[0]):
        tuple(VariantPanel(path=tmp_path / name))


@pytest.mark.parametrize("name", ["a.txt", "a.vcf", "a.vcf.gz"])
def test_iter__a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        tuple(VariantPanel(path=tmp_path / name))
    (tmp_path / name).mkdir()
    with pytest.raises(Invalid, match="cannot be read"):
        tuple(VariantPanel(path=tmp_path / name))


@pytest.mark.parametrize("cut", ["end block", "block", "middle"])
def test_iter__a_truncated_vcf(tmp_path: Path, cut: str) -> None:
    """Cut at a block's boundary, a BGZF file reads short without a word."""
    rows = [f"1 {10 * i + 1} {'ACGT'[i % 4] * 30}C {'ACGT'[i % 4] * 30}G" for i in range(4000)]
    whole = tmp_path / "whole.vcf.gz"
    pysam.tabix_compress(str(vcf(tmp_path / "a.vcf", *rows)), str(whole))
    data = whole.read_bytes()
    size = int.from_bytes(data[16:18], "little") + 1  # of the first block
    assert size < len(data) - 28
    ends = {"end block": len(data) - 28, "block": size, "middle": len(data) // 2}
    (tmp_path / "cut.vcf.gz").write_bytes(data[: ends[cut]])
    with pytest.raises(Invalid, match="is cut off"):
        tuple(VariantPanel(path=tmp_path / "cut.vcf.gz"))


def test_blocks__in_order_the_last_one_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant_panel, "BLOCK_VARIANTS", 3)
    panel = VariantPanel.of(LABELS)
    assert [len(block) for block in panel.blocks(3)] == [3, 3, 1]
    assert sum(panel.blocks(3), ()) == LABELS
    assert panel.n_blocks == 3
    assert VariantPanel.of(LABELS[:3]).n_blocks == 1
    assert list(VariantPanel().blocks()) == []


def test_iter__keeps_few_labels_in_mind() -> None:
    """Neighbours alone can stand twice: the rest of a contig is forgotten as it goes by."""
    labels = tuple(f"1:{10 * i + 1}:A:G" for i in range(20_000))
    panel = VariantPanel(labels=labels)
    going = iter(panel)
    for _ in range(19_000):
        next(going)
    near = going.gi_frame.f_locals["near"]  # type: ignore[attr-defined]
    assert len(near) < 1_000
