"""A run directory is read strictly: every defect is named with its place and a remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eucan_dask.errors import Invalid
from eucan_dask.report import run_directory as reader
from eucan_dask.report import tables

Change = Callable[[dict[str, Any]], Any]


def changed(directory: Path, change: Change) -> None:
    """Apply `change` to the provenance."""
    path = directory / "provenance.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    change(record)
    path.write_text(json.dumps(record), encoding="utf-8")


def test_read__whole_run(run_directory: Path) -> None:
    run = reader.read(run_directory)
    assert [analysis.name for analysis in run.analyses] == [
        "cohort_summary",
        "mutation_frequency",
        "survival",
        "cox_regression",
    ]
    assert run.analyses[0].views[0].facet == "field"
    assert run.analyses[2].views[0].option("at_risk") == "n_at_risk"
    assert run.analyses[1].tables["genes"].n_hidden() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(format=2), "newer version.*update eucan-dask"),
        (lambda r: r.update(format=True), "not the provenance of a run"),
        (lambda r: r.pop("format"), "not the provenance of a run"),
        (lambda r: r.update(purpos="x"), "did you mean 'purpose'"),
        (lambda r: r.pop("tier") and r.pop("name"), "missing key 'name'"),
        (lambda r: r.update(data_class="secret"), "unknown value of data_class"),
        (lambda r: r["sites"][0].update(status="late"), "unknown value of status"),
        (lambda r: r["analyses"][0]["views"][0].update(lo="low"), "unknown key 'lo'"),
        (lambda r: r["analyses"][0]["views"][0].update(table="summaryy"), "did you mean 'summary'"),
        (lambda r: r["analyses"][0]["tables"].update(summary="../x.tsv"), "a plain file name"),
        (
            lambda r: r["analyses"][0]["tables"].update(summary="gone.tsv"),
            "gone.tsv: cannot be read",
        ),
    ],
)
def test_read__refuses(run_directory: Path, change: Change, message: str) -> None:
    changed(run_directory, change)
    with pytest.raises(Invalid, match=message) as caught:
        reader.read(run_directory)
    assert str(run_directory) in str(caught.value)


def test_read__missing_directory_and_file(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is not a directory.*eucan-dask run --out"):
        reader.read(tmp_path / "none")
    with pytest.raises(Invalid, match=r"provenance\.json: cannot be read.*eucan-dask run --out"):
        reader.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not valid JSON"), ("[1]", "not the provenance of a run")]
)
def test_read__foreign_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "provenance.json").write_text(text, encoding="utf-8")
    with pytest.raises(Invalid, match=message):
        reader.read(tmp_path)


TAIL = "n_sites\tcoverage\tsuppressed\treason"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a result table"),
        ("a\tb\n1\t2\n", "is not a result table"),
        (f"a\ta\t{TAIL}\n", "is not a result table"),
        (f"a\t{TAIL}\n1\t2\t1\ttrue\n", "line 2: has a row of another length"),
        (f"a\t{TAIL}\n1\t2\t1\tyes\t\n", "must say true or false"),
        ("\ud800", "is not a UTF-8 table"),
    ],
)
def test_read__broken_table(run_directory: Path, text: str, message: str) -> None:
    path = run_directory / "1-cohort_summary.summary.tsv"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(Invalid, match=message):
        reader.read(run_directory)


def test_table__hidden_undefined_and_zero_differ(run_directory: Path) -> None:
    path = run_directory / "1-cohort_summary.summary.tsv"
    rows = ["x\t\t2\t1\ttrue\tfew", "y\tNA\t2\t1\tfalse\t", "z\t0\t2\t1\tfalse\t"]
    path.write_text("\n".join([f"cohort\tcount\t{TAIL}", *rows]), encoding="utf-8")
    table = tables.read(path)
    assert table.hidden("count").tolist() == [True, False, False]
    assert table.undefined("count").tolist() == [False, True, False]
    assert table.number("count")[2] == 0
    assert len(table) == 3
