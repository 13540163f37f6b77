"""The demo whole: every file, the planted truth, and tables that say what CONTRACTS.md says."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from eucan_dask.cli import main
from eucan_dask.demo import planted_beside_estimate, run_demo
from eucan_dask.errors import Invalid
from eucan_dask.growing import write_table
from eucan_dask.registry import registry
from eucan_dask.report import tables
from eucan_dask.result import Result
from tests.cli.commands import CENTRES, console, tree

LAST = ("n_sites", "coverage", "suppressed", "reason")
# The table "Results" of CONTRACTS.md: names and order of the columns before the last four.
CONTRACT: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("cohort_summary", "summary"): ("cohort", "field", "level", "count"),
    ("mutation_frequency", "genes"): (
        *("gene", "class", "cohort", "n_mutated", "n_assayed", "frequency", "low", "high"),
    ),
    ("survival", "curve"): (
        *("cohort", "time", "n_at_risk", "n_event", "n_censored", "survival", "low", "high"),
    ),
    ("survival", "logrank"): ("contrast", "strata", "statistic", "df", "p_value"),
    ("survival", "rmst"): ("cohort", "horizon", "rmst", "se"),
    ("cox_regression", "terms"): ("term", "coef", "se", "hr", "low", "high", "p_value"),
    ("cox_regression", "fit"): ("n", "n_event", "log_likelihood", "concordance", "equals"),
    ("logistic_regression", "terms"): ("term", "coef", "se", "or", "low", "high", "p_value"),
    ("allele_frequency", "frequency"): (
        *("variant", "contig", "position", "ref", "alt", "cohort", "allele_count"),
        *("allele_number", "frequency", "n_missing", "hwe_p_value"),
    ),
    ("linear_association", "association"): (
        *("variant", "contig", "position", "ref", "alt", "trait"),
        *("beta", "se", "statistic", "p_value", "n", "frequency"),
    ),
}
IDS = (
    *("1-cohort_summary", "2-mutation_frequency", "3-survival"),
    *("4-cox_regression", "5-logistic_regression", "6-allele_frequency", "7-linear_association"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Result]]:
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, run_demo(out)


@pytest.fixture(scope="module")
def out(made: tuple[Path, dict[str, Result]]) -> Path:
    return made[0]


@pytest.fixture(scope="module")
def results(made: tuple[Path, dict[str, Result]]) -> dict[str, Result]:
    return made[1]


@pytest.fixture(scope="module")
def provenance(out: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((out / "run" / "provenance.json").read_text())
    return record


def _read(path: Path) -> pd.DataFrame:
    """A table with suppressed cells as "" and undefined ones as "NA", all as text."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def test_demo__every_table_is_there(out: Path, results: dict[str, Result]) -> None:
    assert tuple(results) == IDS
    expected = {
        f"{identifier}.{table.name}.tsv"
        for identifier, result in results.items()
        for table in result.analysis.tables
    }
    assert {path.name for path in (out / "run").glob("*.tsv")} == expected
    named = {f"{i}.{table}.tsv" for i in IDS for a, table in CONTRACT if i.endswith(a)}
    assert named <= expected
    rest = {path.name for path in (out / "run").iterdir()} - expected
    rest -= {
        name
        for entry in json.loads((out / "run" / "provenance.json").read_text())["analyses"]
        for name in entry["files"]
    }
    assert rest - {"report.html"} == {"provenance.json", "result.zarr"}


def test_demo__every_analysis_of_the_package_is_asked(results: dict[str, Result]) -> None:
    assert sorted(r.analysis.name for r in results.values()) == sorted(registry())


def test_demo__provenance(out: Path, provenance: dict[str, Any]) -> None:
    assert provenance["data_class"] == "synthetic"
    assert provenance["public_policy"] is True
    assert provenance["min_sites"] == 3
    assert [site["site"] for site in provenance["sites"]] == list(CENTRES)
    assert {site["status"] for site in provenance["sites"]} == {"answered"}
    assert tuple(entry["id"] for entry in provenance["analyses"]) == IDS
    for entry in provenance["analyses"]:
        assert entry["roster"] == list(CENTRES)
        assert entry["truth"]
        for site in entry["sites"]:
            assert min(site["n_tasks"], site["bytes_in"], site["bytes_out"]) > 0
    rounds = [entry["rounds"] for entry in provenance["analyses"]]
    assert rounds[:3] == [1, 1, 1]
    assert min(rounds[3:5]) > 2
    assert rounds[5:] == [1, 2]


def test_demo__no_person_is_in_what_it_wrote(out: Path) -> None:
    marks = [f"{centre}-p0".encode() for centre in CENTRES]  # what every id begins with
    for centre, mark in zip(CENTRES, marks, strict=True):
        assert mark in (out / "federation" / centre / "tables" / "clinical.tsv").read_bytes()
    for path in (out / "run").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(mark in data for mark in marks), path.name


def _z(row: Mapping[str, Any]) -> float:
    """Standard errors between planted and estimated, on the scale the interval is symmetric on."""
    scale = np.log if row["quantity"].startswith(("HR", "OR", "survival")) else np.asarray
    planted, estimate, low, high = (
        float(scale(row[name])) for name in ("planted", "estimate", "low", "high")
    )
    return (estimate - planted) / ((high - low) / (2 * 1.959963984540054))


def test_demo__planted_truth_is_found(results: dict[str, Result]) -> None:
    rows = [row for i, r in results.items() for row in planted_beside_estimate(i, r)]
    assert len(rows) == 1 + 9 + 2 + 3 + 2 + 9 + 1
    far = {row["quantity"]: _z(row) for row in rows if not abs(_z(row)) < 3.5}
    assert far == {}
    spread = math.sqrt(sum(_z(row) ** 2 for row in rows) / len(rows))
    assert 0.4 < spread < 1.7  # intervals are neither much too wide nor much too narrow


def test_demo__truth_can_be_missed(results: dict[str, Result]) -> None:
    """The test above can fail: another truth lies far from the estimates."""
    rows = planted_beside_estimate(IDS[3], results[IDS[3]])
    moved = {**rows[2], "planted": 1.0}
    assert abs(_z(moved)) > 3.5


def test_demo__truth_stands_in_the_provenance(
    results: dict[str, Result], provenance: dict[str, Any]
) -> None:
    for entry in provenance["analyses"]:
        assert entry["truth"] == list(planted_beside_estimate(entry["id"], results[entry["id"]]))


def test_demo__report(out: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert main(["report", str(out / "run"), "--out", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    for word in (*CENTRES, "Cox regression", "Survival", "synthetic", "TP53 not mutated"):
        assert word in text


@pytest.mark.parametrize("identifier", IDS)
def test_tables__columns_are_those_of_the_contract(identifier: str, out: Path) -> None:
    name = identifier.split("-", 1)[1]
    for path in (out / "run").glob(f"{identifier}.*.tsv"):
        table = path.name.split(".")[1]
        header = tuple(path.read_text().splitlines()[0].split("\t"))
        assert header[-4:] == LAST, path.name
        if (name, table) in CONTRACT:
            assert header[:-4] == CONTRACT[name, table], path.name


@pytest.mark.parametrize("identifier", IDS)
def test_zarr__has_the_numbers_of_the_tables(
    identifier: str, out: Path, results: dict[str, Result]
) -> None:
    with xr.open_zarr(out / "run" / "result.zarr", group=identifier) as dataset:
        dataset.load()
    analysis = results[identifier].analysis
    for table in analysis.tables:
        frame = _read(out / "run" / f"{identifier}.{table.name}.tsv")
        shape = tuple(dataset.sizes[dim] for dim in table.dims)
        assert len(frame) == math.prod(shape), table.name
        like = xr.DataArray(np.zeros(shape), dims=table.dims)
        for column in table.columns:
            held = dataset[column.variable or column.name].drop_vars(
                list(dataset[column.variable or column.name].coords)
            )
            values = held.broadcast_like(like).transpose(*table.dims).values.reshape(-1)
            shown = frame[column.name]
            if values.dtype.kind == "f":
                text = [("NA" if math.isnan(v) else repr(float(v))) for v in values]
            elif values.dtype.kind == "b":
                text = [str(v).lower() for v in values.tolist()]
            else:
                text = [str(v) for v in values]
            assert shown.tolist() == text, f"{table.name}.{column.name}"
        for key in table.keys:
            column_name, _, coord = key.partition("=")
            labels = dataset[coord or f"{column_name}s"]
            kept = labels.drop_vars(list(labels.coords))
            spread = kept.broadcast_like(like).transpose(*table.dims).values.reshape(-1)
            if spread.dtype.kind == "f":
                assert frame[column_name].astype(float).tolist() == spread.tolist()
            else:
                assert frame[column_name].tolist() == [str(v) for v in spread]


def test_zarr__opens_as_a_whole(out: Path) -> None:
    """A reader who does not know the groups finds them."""
    import zarr

    root = zarr.open_group(out / "run" / "result.zarr", mode="r")
    assert sorted(root.group_keys()) == list(IDS)


def test_run_demo__not_into_a_used_directory(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(Invalid, match="is not empty; choose another directory with --out"):
        run_demo(tmp_path)
    assert tree(tmp_path) == before


def test_write_table__hidden_and_undefined_round_trip(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "gene": ["A", "B", "C", "NA"],
            "n": pd.array([1, None, None, 0], dtype="Int64"),
            "share": [0.1 + 0.2, np.nan, np.nan, 1e-300],
            "note": ["x", None, None, "y"],
            "n_sites": [3, 0, 3, 3],
            "coverage": [1.0, 0.0, 1.0, 1 / 3],
            "suppressed": [False, True, False, False],
            "reason": ["", "too few people", "", ""],
        }
    )
    path = tmp_path / "t.tsv"
    write_table(frame, path)
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    assert rows[0] == list(frame.columns)
    assert rows[1] == ["A", "1", "0.30000000000000004", "x", "3", "1.0", "false", ""]
    assert rows[2] == ["B", "", "", "", "0", "0.0", "true", "too few people"]
    assert rows[3] == ["C", "NA", "NA", "NA", "3", "1.0", "false", ""]
    back = tables.read(path)
    assert back.hidden("share").tolist() == [False, True, False, False]
    assert back.number("share")[[0, 3]].tolist() == [0.1 + 0.2, 1e-300]
    assert np.isnan(back.number("share")[[1, 2]]).all()
    assert back.text("share").tolist()[1:3] == ["", "NA"]
    assert [p.name for p in tmp_path.iterdir()] == ["t.tsv"]


def test_console__demo_leaves_a_report_and_no_noise(tmp_path: Path) -> None:
    answer = console("demo", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert (tmp_path / "out" / "run" / "report.html").stat().st_size > 100_000
    assert f"report: {tmp_path / 'out' / 'run' / 'report.html'}" in answer.out
    assert "Cox regression: planted truth beside the estimate" in answer.out
    noise = [line for line in answer.err.splitlines() if "Warning" in line or "Error" in line]
    assert noise == []
    assert "Traceback" not in answer.err
