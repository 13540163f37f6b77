"""GWAS-SSF files hold what the tables hold, in the order and words of the standard."""

from __future__ import annotations

import gzip
import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import t as student

from eucan_dask.errors import Invalid
from eucan_dask.formats import FORMATS
from eucan_dask.formats.about import software
from eucan_dask.formats.deep_p import deep_log10
from eucan_dask.formats.gwas_ssf import write_gwas_ssf
from eucan_dask.report import long_table

ABOUT = {"assembly": "GRCh38", "data_class": "synthetic", "job": "lipids", "cohorts": ["all"]}
COLUMNS = "variant contig position ref alt trait beta se statistic p_value n frequency".split()
TAIL = "n_sites coverage suppressed reason".split()
ORDER = (
    "chromosome base_pair_location effect_allele other_allele beta standard_error "
    "effect_allele_frequency p_value variant_id ref_allele n"
).split()


def row(
    label: str, p: float = 0.25, *, trait: str = "LDL", t: float = 1.5, n: str = "900"
) -> list[str]:
    """A variant with an estimate."""
    return [label, *label.split(":"), trait, "0.125", "0.0625", repr(t), repr(p), n, "0.21",
            "3", "1.0", "false", ""]  # fmt: skip


def without(label: str, cell: str, *, trait: str = "LDL") -> list[str]:
    """A hidden ("") or undefined ("NA") variant."""
    hidden = cell == ""
    end = ["true", "fewer than 5 carriers"] if hidden else ["false", ""]
    return [label, *label.split(":"), trait, *[cell] * 6, "3", "1.0", *end]


def written(path: Path, rows: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS) -> Path:
    """The rows as a table."""
    lines = ["\t".join(cells) for cells in ([*columns, *TAIL], *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def described(path: Path) -> dict[str, Any]:
    """The file beside a data file, as a YAML parser reads it."""
    text = path.with_name(f"{path.name}-meta.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


@pytest.fixture(params=[1, 100], ids=["in pieces", "held"])
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A name for the data file; tables are read by the row, or at once."""
    monkeypatch.setattr(long_table, "LONG", request.param)
    return tmp_path / "out.tsv.gz"


def test_write_gwas_ssf__rows_in_the_words_of_the_standard(tmp_path: Path, out: Path) -> None:
    labels = ["1:100:A:G", "1:100:A:T", "22:5:CAT:C", "X:7:G:GA", "Y:8:A:G", "MT:9:C:T"]
    tsv = written(tmp_path / "t.tsv", [row(label) for label in labels])
    data, meta = write_gwas_ssf(tsv, out, meta={"genome_assembly": "GRCh37"})
    frame = read(data)
    assert list(frame) == ORDER
    assert frame["chromosome"].tolist() == ["1", "1", "22", "23", "24", "25"]
    assert frame["base_pair_location"].tolist() == ["100", "100", "5", "7", "8", "9"]
    assert frame["effect_allele"].tolist() == ["G", "T", "C", "GA", "G", "T"]
    assert frame["other_allele"].tolist() == ["A", "A", "CAT", "G", "A", "C"]
    assert frame["variant_id"][2:4].tolist() == ["22_5_CAT_C", "23_7_G_GA"]
    constant = frame.iloc[:, 4:8].drop_duplicates().to_numpy().tolist()
    assert constant == [["0.125", "0.0625", "0.21", "0.25"]]
    assert set(frame["ref_allele"]) == {"OA"}
    assert set(frame["n"]) == {"900"}
    assert meta == out.with_name("out.tsv.gz-meta.yaml")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.tsv.gz", meta.name, "t.tsv"]


def test_write_gwas_ssf__the_description(tmp_path: Path, out: Path) -> None:
    tsv = written(tmp_path / "t.tsv", [row("1:1:A:G"), row("1:2:A:G", n="950.0")])
    meta = {
        "genome_assembly": "GRCh37",
        "trait_description": ['LDL: "direct" # mg\\dl', "é"],
        "adjusted_covariates": ["age", "yes"],
        "minor_allele_freq_lower_limit": 0.00001,
        "sex": "combined",
    }
    data, _ = write_gwas_ssf(tsv, out, meta=meta)
    found = described(data)
    assert found.pop("date_metadata_last_modified").year >= 2025
    assert found == {
        **meta,
        "genotyping_technology": ["NR"],
        "coordinate_system": "1-based",
        "samples": [
            {"sample_ancestry_category": ["NR"], "sample_size": 950, "case_control_study": False}
        ],
        "data_file_name": "out.tsv.gz",
        "file_type": "GWAS-SSF v1.0",
        "data_file_md5sum": hashlib.md5(data.read_bytes(), usedforsecurity=False).hexdigest(),
        "analysis_software": software(),
        "is_harmonised": False,
        "is_sorted": True,
    }
    assert read(data)["n"].tolist() == ["900", "950"]


def test_write_gwas_ssf__what_cannot_stand_there_is_counted(tmp_path: Path, out: Path) -> None:
    rows = [
        row("1:1:A:G"),
        without("1:2:A:G", ""),
        without("1:3:A:G", "NA"),
        row("GL000191:4:A:G"),
        row("2:5:A:<DEL>"),
        row("2:6:N:A"),
        row("2:7:A:G"),
    ]
    data, _ = write_gwas_ssf(written(tmp_path / "t.tsv", rows), out, meta={"genome_assembly": "x"})
    assert read(data)["variant_id"].tolist() == ["1_1_A_G", "2_7_A_G"]
    assert described(data)["author_notes"] == (
        "Variants left out: 1 hidden by a rule; 1 without an estimate; 1 on another contig; "
        "2 with an allele that is no plain bases."
    )


def test_write_gwas_ssf__missing_frequency_and_long_alleles(tmp_path: Path, out: Path) -> None:
    columns = [c for c in COLUMNS if c not in ("frequency", "n")]
    rows = [row("1:1:A:G"), row(f"1:2:A:{'ACGT' * 40}")]
    cut = [[*r[:10], *r[12:]] for r in rows]
    tsv = written(tmp_path / "t.tsv", cut, columns)
    data, _ = write_gwas_ssf(tsv, out, meta={"genome_assembly": "x"})
    frame = read(data)
    assert set(frame["effect_allele_frequency"]) == set(frame["n"]) == {"#NA"}
    assert frame["variant_id"].tolist() == ["1_1_A_G", "1_2_LONG_STRING"]
    assert frame["effect_allele"][1] == "ACGT" * 40
    assert "frequencies were not computed" in described(data)["author_notes"]


def test_write_gwas_ssf__vanishing_p_are_worked_out(tmp_path: Path, out: Path) -> None:
    rows = [
        row("1:1:A:G", 0.01),
        row("1:2:A:G", 0.0, t=-40.0, n="10002"),
        row("1:3:A:G", 0.0, t=float("nan")),
        row("1:4:A:G", 1.0),
    ]
    data, _ = write_gwas_ssf(written(tmp_path / "t.tsv", rows), out, meta={"genome_assembly": "x"})
    frame = read(data)
    assert list(frame) == [c.replace("p_value", "neg_log_10_p_value") for c in ORDER]
    # The second from mpmath 1.3, 60 digits: betainc of t = 40 with 10,000 degrees of freedom.
    expected = [2.0, 323.958118884415, 323.3, 0.0]
    np.testing.assert_allclose(frame["neg_log_10_p_value"].astype(float), expected, rtol=1e-12)
    assert "from t with n - 2 degrees" in described(data)["author_notes"]


@pytest.mark.parametrize(
    ("labels", "in_order"),
    [
        (["9:5:A:G", "10:1:A:G", "X:1:A:G"], True),
        (["10:1:A:G", "9:5:A:G"], False),
        (["1:6:A:G", "1:5:A:G"], False),
    ],
)
def test_write_gwas_ssf__says_whether_it_is_sorted(
    tmp_path: Path, out: Path, labels: list[str], in_order: object
) -> None:
    tsv = written(tmp_path / "t.tsv", [row(label) for label in labels])
    data, _ = write_gwas_ssf(tsv, out, meta={"genome_assembly": "x"})
    assert described(data)["is_sorted"] is in_order


def test_write_gwas_ssf__the_same_bytes_again(tmp_path: Path, out: Path) -> None:
    tsv = written(tmp_path / "t.tsv", [row("1:1:A:G")])
    other = tmp_path / "other.tsv.gz"
    for path in (out, other):
        write_gwas_ssf(tsv, path, meta={"genome_assembly": "x"})
    assert out.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("out.tsv.gz", {"meta": {}}, "missing key 'genome_assembly'"),
        ("out.tsv.gz", {"meta": {"genome_assembly": "x", "sx": "M"}}, "unknown key 'sx'"),
        ("out.tsv", {"meta": {"genome_assembly": "x"}, "trait": "LDL"}, "a name in .tsv.gz"),
        ("out.tsv.gz", {"meta": {"genome_assembly": "x"}}, "holds several traits"),
        ("out.tsv.gz", {"meta": {"genome_assembly": "x"}, "trait": "LDI"}, "did you mean 'LDL'"),
    ],
)
def test_write_gwas_ssf__refuses(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    tsv = written(tmp_path / "t.tsv", [row("1:1:A:G"), row("1:1:A:G", trait="HDL")])
    with pytest.raises(Invalid, match=message):
        write_gwas_ssf(tsv, tmp_path / name, **options)
    assert not (tmp_path / name).exists()


def test_formats__a_pair_of_files_a_trait(tmp_path: Path) -> None:
    traits = ["LDL (mg/dl)", "LDL [mg/dl]", "HDL"]
    rows = [
        row(label, p, trait=trait)
        for p, (label, trait) in enumerate(
            itertools.product(["1:1:A:G", "1:2:A:G"], traits), start=1
        )
    ]
    rows = [[*r[:9], str(float(r[9]) / 16), *r[10:]] for r in rows]
    tsv = written(tmp_path / "t.tsv", rows)
    files = FORMATS["gwas_ssf"](tsv, tmp_path, "2-linear_association", ABOUT)
    names = [
        f"2-linear_association.{s}.gwas-ssf.tsv.gz" for s in ("LDL-mg-dl", "LDL-mg-dl-2", "HDL")
    ]
    assert [p.name for p in files[::2]] == names
    assert [p.name for p in files[1::2]] == [f"{name}-meta.yaml" for name in names]
    for i, data in enumerate(files[::2]):
        assert read(data)["p_value"].tolist() == [str((1 + i) / 16), str((4 + i) / 16)]
        found = described(data)
        assert found["trait_description"] == [traits[i]]
        assert found["genome_assembly"] == "GRCh38"
        assert "job lipids in all" in found["author_notes"]
        assert found["samples"][0]["sample_size"] == 900


def test_formats__refuses_unknown_facts(tmp_path: Path) -> None:
    tsv = written(tmp_path / "t.tsv", [row("1:1:A:G")])
    with pytest.raises(Invalid, match="unknown key 'assembled'"):
        FORMATS["gwas_ssf"](tsv, tmp_path, "1", {**ABOUT, "assembled": "x"})


def test_formats__reads_packed_tables(tmp_path: Path) -> None:
    tsv = written(tmp_path / "t.tsv", [row("1:1:A:G")])
    packed = tmp_path / "t.tsv.gz"
    packed.write_bytes(gzip.compress(tsv.read_bytes()))
    plain, same = (
        FORMATS["gwas_ssf"](p, tmp_path, "1", ABOUT)[0].read_bytes() for p in (tsv, packed)
    )
    assert plain == same


def test_deep_log10__equals_scipy_where_that_has_an_answer() -> None:
    t = np.array([20.0, -25.0, 36.0, 30.0, 22.0])
    freedom = np.array([1e4, 1e5, 1e6, 500.0, 1e7])
    expected = -np.log10(2 * student.sf(np.abs(t), freedom))
    np.testing.assert_allclose(deep_log10(t, freedom), expected, rtol=1e-11)


def test_deep_log10__equals_mpmath_beyond() -> None:
    """By mpmath 1.3 with 60 digits."""
    t = np.array([50.0, 300.0, 200.0, 45.0, 1000.0])
    freedom = np.array([3000.0, 1000.0, 1e5, 5e7, 1e4])
    expected = [396.527771007593, 981.116470046953, 7308.72782177044, 441.465736635853,
                10023.7027794564]  # fmt: skip
    np.testing.assert_allclose(deep_log10(t, freedom), expected, rtol=1e-13)
    assert np.isnan(deep_log10(np.array([3.0, np.nan, 50.0]), np.array([9.0, 9.0, 0.0]))).all()
