"""Sites-only VCF files are read by bcftools without a word, and hold what the tables hold."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pysam
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.formats import FORMATS, sites_vcf
from eucan_dask.formats.sites_vcf import write_sites_vcf
from eucan_dask.report import long_table

COLUMNS = (
    "variant contig position ref alt cohort allele_count allele_number frequency n_missing "
    "hwe_p_value n_sites coverage suppressed reason"
).split()
KNOWN = ["3", "400", "0.0075", "2", "0.5"]


def row(label: str, cells: Sequence[str] = KNOWN, *, cohort: str = "all") -> list[str]:
    """A variant of a cohort; empty cells are hidden."""
    end = ["true", "few"] if "" in cells else ["false", ""]
    return [label, *label.split(":"), cohort, *cells, "3", "1.0", *end]


def written(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """The rows as a table."""
    lines = ["\t".join(cells) for cells in (COLUMNS, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def query(bcftools: str, path: Path, fields: str, *options: str) -> list[str]:
    """What bcftools reads; it must not complain."""
    command = [bcftools, "query", "-f", f"{fields}\n", *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture(params=[1, 100], ids=["in pieces", "held"])
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A name for the VCF; tables are read by the row, or at once."""
    monkeypatch.setattr(long_table, "LONG", request.param)
    return tmp_path / "out.vcf.gz"


def test_write_sites_vcf__one_cohort(tmp_path: Path, out: Path, bcftools: str) -> None:
    rows = [
        row("2:5:A:G"),
        row("2:5:A:T", ["", "", "", "", ""]),
        row("10:7:CAT:C", ["0", "398.0", "0.0", "3", "NA"]),
        row("X:9:A:<DEL>", ["1.0", "2", "0.5", "0", "1e-05"]),
    ]
    assert write_sites_vcf(written(tmp_path / "t.tsv", rows), out, assembly="GRCh37") == out
    info = "%INFO/AC %INFO/AN %INFO/AF %INFO/NMISS %INFO/HWE"
    assert query(bcftools, out, f"%CHROM %POS %ID %REF %ALT %QUAL %FILTER {info}") == [
        "2 5 . A G . . 3 400 0.0075 2 0.5",
        "2 5 . A T . . . . . . .",
        "10 7 . CAT C . . 0 398 0 3 .",
        "X 9 . A <DEL> . . 1 2 0.5 0 1e-05",
    ]
    assert query(bcftools, out, "%POS", "-r", "10:1-100") == ["7"]
    assert query(bcftools, out, "%POS", "-i", "INFO/AC==0") == ["7"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.vcf.gz", "out.vcf.gz.tbi", "t.tsv"]
    with pysam.VariantFile(str(out)) as file:
        assert file.header.version == "VCFv4.3"
        assert list(file.header.samples) == []
        assert list(file.header.contigs) == ["2", "10", "X"]
        assert dict(file.header.contigs["2"].header_record.items())["assembly"] == "GRCh37"


def test_write_sites_vcf__several_cohorts_have_their_own_keys(
    tmp_path: Path, out: Path, bcftools: str
) -> None:
    cohorts = ["IDH mutant, 1p", "IDH-mutant 1p", '"wild\\type"']
    cells = {c: [str(i), "100", str(i / 100), "0", "1.0"] for i, c in enumerate(cohorts)}
    rows = [row("1:5:A:G", cells[c], cohort=c) for c in cohorts]
    rows += [row("1:6:A:G", cells[c], cohort=c) for c in cohorts[1:]]
    write_sites_vcf(written(tmp_path / "t.tsv", quoted(rows)), out, assembly="GRCh38")
    names = ["IDH_mutant_1p", "IDH_mutant_1p_2", "wild_type"]
    fields = " ".join(f"%INFO/AC_{n} %INFO/AF_{n}" for n in names)
    assert query(bcftools, out, fields) == ["0 0 1 0.01 2 0.02", ". . 1 0.01 2 0.02"]
    with pysam.VariantFile(str(out)) as file:
        about = file.header.info["AC_IDH_mutant_1p"].description
        assert about == "Alleles counted in IDH mutant, 1p"
        assert "wild" in file.header.info["HWE_wild_type"].description
        assert len(file.header.info) == 15


def quoted(rows: list[list[str]]) -> list[list[str]]:
    """As a CSV writer quotes cells."""
    return [['"' + c.replace('"', '""') + '"' if '"' in c else c for c in r] for r in rows]


def test_write_sites_vcf__a_panel_in_any_order_is_sorted(
    tmp_path: Path, out: Path, bcftools: str
) -> None:
    labels = ["X:9:A:G", "2:7:A:G", "10:1:A:G", "2:5:A:G", "2:5:A:C"]
    rows = [row(label, cohort=c) for c in ("A", "B") for label in labels]
    write_sites_vcf(written(tmp_path / "t.tsv", rows), out, assembly="GRCh38")
    assert query(bcftools, out, "%CHROM:%POS:%REF:%ALT %INFO/AC_A %INFO/AC_B") == [
        "2:5:A:G 3 3",
        "2:5:A:C 3 3",
        "2:7:A:G 3 3",
        "10:1:A:G 3 3",
        "X:9:A:G 3 3",
    ]


def test_write_sites_vcf__a_site_without_an_alternate_allele(
    tmp_path: Path, out: Path, bcftools: str
) -> None:
    tsv = written(tmp_path / "t.tsv", [row("1:5:A:.", ["0", "400", "0.0", "2", "NA"])])
    write_sites_vcf(tsv, out, assembly="GRCh38")
    assert query(bcftools, out, "%ALT %INFO/AC %INFO/AN") == [". . 400"]


def test_write_sites_vcf__survives_bcftools_norm(tmp_path: Path, out: Path, bcftools: str) -> None:
    rows = [row("1:5:A:G"), row("1:5:A:T", [""] * 5), row("1:9:AC:A")]
    write_sites_vcf(written(tmp_path / "t.tsv", rows), out, assembly="GRCh38")
    command = [bcftools, "norm", "-m", "+any", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "arning" not in done.stderr
    joined = [line.split("\t")[3:5] for line in done.stdout.splitlines() if line[0] != "#"]
    assert joined == [["A", "G,T"], ["AC", "A"]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("1:5:A:G"), row("1:5:A:G")], "1:5:A:G: a variant stands twice for one cohort"),
        ([row("1:5:A:G", ["1.5", *KNOWN[1:]])], "a count that is not whole"),
        ([row("1:5:A:G", ["x", *KNOWN[1:]])], "is no number"),
    ],
)
def test_write_sites_vcf__refuses(
    tmp_path: Path, out: Path, rows: list[list[str]], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        write_sites_vcf(written(tmp_path / "t.tsv", rows), out, assembly="GRCh38")
    assert not out.exists()


def test_write_sites_vcf__refuses_other_tables_and_names(tmp_path: Path, out: Path) -> None:
    tsv = tmp_path / "t.tsv"
    tsv.write_text("a\tn_sites\tcoverage\tsuppressed\treason\n")
    with pytest.raises(Invalid, match="is no table of frequencies"):
        write_sites_vcf(tsv, out, assembly="GRCh38")
    with pytest.raises(Invalid, match=r"a name in \.vcf\.gz"):
        write_sites_vcf(tsv, tmp_path / "out.vcf", assembly="GRCh38")


def test_write_sites_vcf__too_long_to_sort(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites_vcf, "_SORTED_HERE", 1)
    rows = [row("2:5:A:G"), row("1:5:A:G")]
    with pytest.raises(Invalid, match="by contig and position"):
        write_sites_vcf(written(tmp_path / "t.tsv", rows), out, assembly="GRCh38")
    write_sites_vcf(written(tmp_path / "t.tsv", rows[::-1]), out, assembly="GRCh38")
    assert out.exists()


def test_formats__files_and_header(tmp_path: Path, bcftools: str) -> None:
    about = {"assembly": "CHM13", "data_class": "public", "job": "a\nb", "cohorts": ("all",)}
    tsv = written(tmp_path / "t.tsv", [row("1:5:A:G")])
    files = FORMATS["sites_vcf"](tsv, tmp_path, "1-allele_frequency", about)
    assert [p.name for p in files] == [
        "1-allele_frequency.sites.vcf.gz",
        "1-allele_frequency.sites.vcf.gz.tbi",
    ]
    header = subprocess.run(
        [bcftools, "view", "-h", str(files[0])], capture_output=True, text=True, check=True
    )
    assert header.stderr == ""
    assert "Federated analysis of public data: job a b in all." in header.stdout
    assert "##contig=<ID=1,assembly=CHM13>" in header.stdout


def test_formats__an_empty_table_and_no_assembly(tmp_path: Path, bcftools: str) -> None:
    about = {"assembly": "", "data_class": "public", "job": "x"}
    for rows, found in (([], []), ([row("1:5:A:G")], ["5"])):
        tsv = written(tmp_path / "t.tsv", rows)
        files = FORMATS["sites_vcf"](tsv, tmp_path, "1", about)
        assert query(bcftools, files[0], "%POS") == found
