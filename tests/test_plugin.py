"""A hospital's own package: found, checked, run and drawn with nothing else edited."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.simulated import make_federation

EXAMPLE = Path(__file__).parent / "plugin_example"
ROOT = Path(__file__).parent.parent

JOB = """format = 1
name = "late-stage"
purpose = "DUO:0000006"

[[cohorts]]
label = "up to 60"
[cohorts.criteria]
field = "age_at_diagnosis"
max = 60

[[cohorts]]
label = "over 60"
[cohorts.criteria]
not = { field = "age_at_diagnosis", max = 60 }

[[analyses]]
name = "late_stage"
"""

SCRIPT = """
import sys
from pathlib import Path
from eucan_dask.registry import registry
from eucan_dask.federation import Federation
from eucan_dask.job import read_job
from eucan_dask.report.page import write
from eucan_dask.run import run_job
from eucan_dask.testing.checks import check_analysis

kind = registry()["late_stage"]
assert kind.__module__ == "stmary_dask.late_stage", kind
assert "survival" in registry()
for seed in range(2):
    check_analysis(kind, seed=seed)
job, federation, out = map(Path, sys.argv[1:])
with Federation.open(federation) as opened:
    run_job(read_job(job), opened, out)
write([out])
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has put the example."""
    directory = tmp_path_factory.mktemp("plugin")
    source = directory / "source"
    shutil.copytree(EXAMPLE, source)  # building writes beside the source
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation", "--no-index", "--target"),
            *(str(directory / "site"), str(source)),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return directory / "site"


def python(path: Path, code: str, *arguments: object) -> str:
    """What a new interpreter prints that sees a folder of packages besides ours."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(ROOT)])}
    found = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout


@pytest.fixture(scope="module")
def out(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a federation of three that asked the hospital's question."""
    directory = tmp_path_factory.mktemp("run")
    federation = make_federation(directory, (240, 200, 220), min_sites=2)
    (directory / "job.toml").write_text(JOB, encoding="utf-8")
    python(installed, SCRIPT, directory / "job.toml", federation, directory / "out")
    return directory / "out"


def test_plugin__its_table_is_right(out: Path) -> None:
    table = pd.read_csv(out / "1-late_stage.share.tsv", sep="\t")
    assert table.columns.tolist()[-4:] == ["n_sites", "coverage", "suppressed", "reason"]
    frames = [
        pd.read_csv(out.parent / site / "tables" / "clinical.tsv", sep="\t") for site in "abc"
    ]
    people = pd.concat(frames).drop_duplicates("individual_id")
    people = people[people["stage"].notna() & people["age_at_diagnosis"].notna()]
    assert len(table) == 4
    for row in table.itertuples():
        young = people["age_at_diagnosis"] <= 60
        held = people[(young if row.cohort == "up to 60" else ~young) & (people["sex"] == row.sex)]
        late = int(held["stage"].isin(["III", "IV"]).sum())
        assert row.n_staged == len(held)
        if not row.suppressed:
            assert row.n_late == late
            assert row.share == pytest.approx(late / len(held))
        assert row.low <= late / len(held) <= row.high
    assert not table["suppressed"].all()


def test_plugin__the_provenance_names_it(out: Path) -> None:
    (entry,) = json.loads((out / "provenance.json").read_text())["analyses"]
    assert entry["name"] == "late_stage"
    assert entry["views"][0]["kind"] == "bar_interval"
    assert entry["parameters"] == {"stages": ["III", "IV"]}


def test_plugin__the_report_draws_it(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Late stage at St Mary" in page
    assert "Share at a late stage" in page
    assert re.search(r"data-root-id|root_ids", page), "no figure was drawn"


@pytest.mark.parametrize("module", ["late_stage.py", "__init__.py", "kernels.py"])
def test_plugin__other_code_gives_another_digest(
    installed: Path, tmp_path: Path, module: str
) -> None:
    """Sites compare code before they add up: every module of a hospital's package is code."""
    other = tmp_path / "other"
    shutil.copytree(installed, other)
    with (other / "stmary_dask" / module).open("a", encoding="utf-8") as file:
        file.write("\nTWICE = 2\n")
    show = "from eucan_dask.versions import code_digest; print(code_digest())"
    assert python(installed, show) == python(installed, show)
    assert python(installed, show) != python(other, show)


def test_plugin__without_it_nothing_is_known() -> None:
    show = "from eucan_dask.registry import registry; print(*registry())"
    assert "late_stage" not in python(ROOT, show)
