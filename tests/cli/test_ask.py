"""`analyses`, `catalogue`, `explain`, `run` and `report` against the demo's three centres."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from eucan_dask.clusters import Cluster
from eucan_dask.exposure import genes, numbers
from eucan_dask.job import read_job
from eucan_dask.registry import registry
from eucan_dask.request import AGGREGATORS
from eucan_dask.rules import ON_POOL, at_site
from eucan_dask.site import Site
from eucan_dask.structural import STRUCTURAL
from tests.cli.commands import CENTRES, JOBS, Cli, console, refusal, tree

HEAD = """
format = 1
name = "question"
purpose = "DUO:0000006"
"""
PANEL = """
[panel]
genes = ["TP53", "KRAS"]
times = { start = 0, stop = 1800, step = 30 }
"""
COHORTS = """
[[cohorts]]
label = "men"
criteria = { field = "sex", equals = "male" }
[[cohorts]]
label = "women"
criteria = { field = "sex", equals = "female" }
"""
COX = """
[[analyses]]
name = "cox_regression"
[analyses.parameters]
terms = ["age_at_diagnosis", { gene = "TP53" }]
"""
SURVIVAL = """
[[analyses]]
name = "survival"
[analyses.parameters]
horizons = [900]
"""
FREQUENCY = """
[[analyses]]
name = "mutation_frequency"
"""
SUMMARY = """
[[analyses]]
name = "cohort_summary"
[analyses.parameters]
fields = [{ field = "sex", levels = ["female", "male"] }]
"""


def job(path: Path, *parts: str) -> Path:
    path.write_text(HEAD + "".join(parts), encoding="utf-8")
    return path


def sites(federation: Path) -> list[Path]:
    return [federation.parent / centre / "site" for centre in CENTRES]


def centres(federation: Path) -> list[Path]:
    return [federation.parent / centre for centre in CENTRES]


# --- what can be asked -------------------------------------------------------------------------


def test_analyses__lists_every_one(cli: Cli) -> None:
    answer = cli("analyses")
    assert answer.code == 0
    assert [line.split()[0] for line in answer.out.splitlines()] == list(registry())
    assert all(len(line.split(maxsplit=1)[1]) > 20 for line in answer.out.splitlines())


@pytest.mark.parametrize("name", sorted(registry()))
def test_analyses__describes_one(name: str, cli: Cli) -> None:
    answer = cli("analyses", name)
    assert answer.code == 0
    kind = registry()[name]
    for word in ("Parameters", "Disclosure", "References", "What leaves a site", "Equals: "):
        assert word in answer.out
    leaving = answer.out[answer.out.index("What leaves a site") :]
    for spec in kind.yields:
        assert (f"\n{spec.name}: " in leaving) == spec.leaves, spec.name


def test_analyses__unknown_name(cli: Cli) -> None:
    refusal(cli("analyses", "cox_regresion"), "did you mean 'cox_regression'?")


@pytest.mark.parametrize("name", sorted(registry()))
def test_template__is_a_runnable_job(name: str, demo: Path, tmp_path: Path, cli: Cli) -> None:
    template = cli("analyses", name, "--template")
    assert template.code == 0
    path = tmp_path / "job.toml"
    path.write_text(template.out, encoding="utf-8")
    checked = cli("run", path, "--federation", demo, "--check")
    assert checked.code == 0, checked.err
    assert checked.out == f"{path}: every field, level and gene is known\n"
    answer = cli("run", path, "--federation", demo, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    for table in registry()[name].tables:
        frame = pd.read_csv(tmp_path / "out" / f"1-{name}.{table.name}.tsv", sep="\t")
        assert len(frame) > 0
        assert not frame["suppressed"].any()


def test_catalogue__what_each_site_holds(demo: Path, cli: Cli, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    answer = cli("catalogue", "--federation", demo)
    assert answer.code == 0
    for word in (*CENTRES, "GRCh38", "synthetic", "age_at_diagnosis", "years", "exome, panel"):
        assert word in answer.out


# --- explain computes nothing ------------------------------------------------------------------


def _ledgers(federation: Path) -> list[Any]:
    return [Site(site).ledger.summary() for site in sites(federation)]


@pytest.fixture
def no_tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks that were asked of any cluster."""
    asked: list[str] = []
    real = Cluster.sum

    def watched(self: Cluster, *arguments: Any) -> Any:
        asked.append("sum")
        return real(self, *arguments)

    monkeypatch.setattr(Cluster, "sum", watched)
    return asked


@pytest.mark.parametrize("path", sorted(JOBS.glob("*.toml")), ids=lambda path: path.stem)
def test_explain__computes_nothing(
    path: Path, own_demo: Path, cli: Cli, no_tasks: list[str]
) -> None:
    released = _ledgers(own_demo)
    before = tree(own_demo.parent)
    answer = cli("explain", path, "--federation", own_demo)
    assert answer.code == 0, answer.err
    assert no_tasks == []
    assert tree(own_demo.parent) == before
    assert _ledgers(own_demo) == released
    kind = registry()[path.stem]
    for spec in kind.yields:
        assert (f"leaves: {spec.name} " in answer.out) == spec.leaves, spec.name
        assert (f"tested: {spec.name} " in answer.out) == (not spec.leaves), spec.name
    rules = [rule.__name__ for rule in (*STRUCTURAL, *at_site("none"), *ON_POOL)]
    for word in (*rules, *CENTRES, "purpose DUO:0000006", "bytes", kind.name):
        assert word in answer.out
    (question,) = read_job(path).questions
    asked = question.analysis, question.panel
    assert ("for each variant and cohort: from" in answer.out) == bool(numbers(*asked))
    assert ("people assayed" in answer.out) == bool(genes(*asked))


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_explain__under_another_aggregator(
    demo: Path, tmp_path: Path, cli: Cli, aggregator: str
) -> None:
    path = job(tmp_path / "a.toml", SUMMARY)
    answer = cli("explain", path, "--federation", demo, "--aggregator", aggregator)
    assert f"aggregator {aggregator}, overlap excluded" in answer.out
    at_sites = next(line for line in answer.out.splitlines() if line.startswith("Rules at each"))
    assert ("min_cell," in at_sites) == (aggregator == "none")
    assert ("pool_thresholds" in answer.out) == (aggregator != "none")


def test_explain__cost_is_what_travels(demo: Path, tmp_path: Path, cli: Cli) -> None:
    """The size told is that of the arrays that leave, and it follows from the request alone."""
    answer = cli(
        "explain", job(tmp_path / "a.toml", PANEL, COHORTS, FREQUENCY), "--federation", demo
    )
    assert "gene_n_mutated (count, 2 genes x 1 classes x 2 cohorts)" in answer.out
    assert "cost: up to 1 round(s) x 3 sites x 72 bytes = 216 bytes" in answer.out
    assert "exposure of each person, for each cohort: up to 2 / people assayed" in answer.out


def test_explain__then_run_leaves_what_was_told(
    own_demo: Path, tmp_path: Path, cli: Cli, no_tasks: list[str]
) -> None:
    """The check above can fail: running does compute, and the ledger grows."""
    path = job(tmp_path / "a.toml", SUMMARY)
    released = _ledgers(own_demo)
    assert cli("run", path, "--federation", own_demo, "--out", tmp_path / "out").code == 0
    assert len(no_tasks) == 3
    assert all(len(new) > len(old) for new, old in zip(_ledgers(own_demo), released, strict=True))


# --- run, report, resume, ledger ---------------------------------------------------------------


def test_run__leaves_a_whole_directory(demo: Path, tmp_path: Path, cli: Cli) -> None:
    path = job(tmp_path / "a.toml", PANEL, COHORTS, SUMMARY, SURVIVAL)
    before = tree(*(centre / "store" for centre in centres(demo)))
    answer = cli("run", path, "--federation", demo, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "1-cohort_summary.individuals.tsv",
        "1-cohort_summary.summary.tsv",
        "2-survival.curve.tsv",
        "2-survival.logrank.tsv",
        "2-survival.rmst.tsv",
        "provenance.json",
        "report.html",
        "result.zarr",
    ]
    assert f"report: {tmp_path / 'out' / 'report.html'}" in answer.out
    assert "Result: Survival, 3 of 3 sites" in answer.out
    assert "Survival, round 1" in answer.err
    assert tree(*(centre / "store" for centre in centres(demo))) == before


def test_run__records_the_aggregator_that_was_used(demo: Path, tmp_path: Path, cli: Cli) -> None:
    path = job(tmp_path / "a.toml", SUMMARY)
    path.write_text(path.read_text().replace("[[", 'aggregator = "masked"\n[[', 1))
    where = ("--federation", demo, "--out", tmp_path / "out")
    answer = cli("run", path, *where, "--aggregator", "none")
    assert answer.code == 0, answer.err
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["aggregator"] == "none"


def test_run_check__asks_no_site(own_demo: Path, tmp_path: Path, cli: Cli, no_tasks: Any) -> None:
    before = tree(own_demo.parent)
    path = job(tmp_path / "a.toml", PANEL, COHORTS, SURVIVAL)
    assert cli("run", path, "--federation", own_demo, "--check").code == 0
    assert no_tasks == []
    assert tree(own_demo.parent) == before


def test_report__of_two_runs(demo: Path, tmp_path: Path, cli: Cli) -> None:
    outs = []
    for name, part in (("one", SUMMARY), ("two", FREQUENCY)):
        path = job(tmp_path / f"{name}.toml", PANEL, part)
        path.write_text(path.read_text().replace('"question"', f'"the {name} question"'))
        outs.append(tmp_path / name)
        assert cli("run", path, "--federation", demo, "--out", outs[-1]).code == 0
    both = tmp_path / "both.html"
    answer = cli("report", *outs, "--out", both)
    assert (answer.code, answer.out) == (0, f"report: {both}\n")
    text = both.read_text(encoding="utf-8")
    for word in ("the one question", "the two question", "Cohort summary", "Mutation frequency"):
        assert word in text
    single = (outs[0] / "report.html").read_text(encoding="utf-8")
    assert "the two question" not in single


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), ("nowhere: is not a directory", "eucan-dask run --out")),
        ((".",), ("provenance.json: cannot be read", "eucan-dask run --out")),
    ],
)
def test_report__of_no_run(
    arguments: tuple[str, ...], words: tuple[str, ...], tmp_path: Path, cli: Cli, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    refusal(cli("report", *arguments), *words)
    assert list(tmp_path.iterdir()) == []


def test_site_ledger__tells_what_was_released(
    own_demo: Path, tmp_path: Path, cli: Cli, monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    site = sites(own_demo)[0]
    shutil.rmtree(site / "node", ignore_errors=True)
    empty = cli("site", "ledger", site)
    assert empty.code == 0
    assert "cohort_summary" not in empty.out
    path = job(tmp_path / "a.toml", COHORTS, SUMMARY)
    out = tmp_path / "out"
    assert cli("run", path, "--federation", own_demo, "--out", out).code == 0
    told = cli("site", "ledger", site).out
    run = json.loads((out / "provenance.json").read_text())["analyses"][0]["run"]
    assert told.count("cohort_summary") == told.count(run) == 2
    rows = pd.read_csv(out / "1-cohort_summary.individuals.tsv", sep="\t")
    shown = [int(line.split("│")[-2]) for line in told.splitlines() if run in line]
    assert 0 < sum(shown) < rows["n"].sum()
    assert "largest leverage" in told
    assert "exposure of the people" in told


def test_site_ledger__of_a_person_and_of_refusals(
    own_demo: Path, tmp_path: Path, cli: Cli, monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    site = sites(own_demo)[0]
    shutil.rmtree(site / "node", ignore_errors=True)
    path = job(tmp_path / "a.toml", SUMMARY)
    assert cli("run", path, "--federation", own_demo, "--out", tmp_path / "out").code == 0
    opened = Site(site)
    someone = str(opened.store.dataset()["individual_id"].values[0])
    assert cli("site", "ledger", site, "--person", someone).out.count("cohort_summary") == 1
    assert "cohort_summary" not in cli("site", "ledger", site, "--person", "nobody").out
    assert "no refusals of Ada" in cli("site", "ledger", site, "--clear-refusals", "Ada").out
    opened.ledger.count_refusal("Ada")
    assert "Ada" in cli("site", "ledger", site).out
    assert (
        "cleared the refusals of Ada" in cli("site", "ledger", site, "--clear-refusals", "Ada").out
    )
    assert opened.ledger.refusals("Ada") == 0
    copy = tmp_path / "record.jsonl"
    assert f"wrote 1 lines to {copy}" in cli("site", "ledger", site, "--record", copy).out
    assert "holds all 1 lines" in cli("site", "ledger", site, "--check", copy).out
    refusal(cli("site", "ledger", site, "--record", copy), "exists already")


@pytest.fixture
def stopped(own_demo: Path, tmp_path: Path, cli: Cli, monkeypatch: Any) -> Iterator[Path]:
    """The directory of a two-question run that was stopped in its second question."""
    path = job(tmp_path / "two.toml", PANEL, COHORTS, SUMMARY, SURVIVAL)
    real = Cluster.sum
    calls = []

    def stops(self: Cluster, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Cluster, "sum", stops)
        answer = cli("run", path, "--federation", own_demo, "--out", tmp_path / "out")
    assert answer.code == 130
    assert answer.err.endswith("eucan-dask: stopped; add --resume to go on\n")
    return tmp_path / "out"


def test_resume__goes_on_where_it_stopped(
    stopped: Path, own_demo: Path, tmp_path: Path, cli: Cli, no_tasks: list[str]
) -> None:
    assert not (stopped / "provenance.json").exists()
    options = ("--federation", own_demo, "--out", stopped)
    before = tree(tmp_path)
    refusal(cli("run", tmp_path / "two.toml", *options), "unfinished run", "add --resume")
    assert tree(tmp_path) == before
    first = (stopped / "1-cohort_summary.summary.tsv").read_bytes()
    answer = cli("run", tmp_path / "two.toml", *options, "--resume")
    assert answer.code == 0, answer.err
    assert len(no_tasks) == 3
    assert (stopped / "1-cohort_summary.summary.tsv").read_bytes() == first
    entries = json.loads((stopped / "provenance.json").read_text())["analyses"]
    assert [entry["id"] for entry in entries] == ["1-cohort_summary", "2-survival"]
    assert not (stopped / "finished.json").exists()
    fresh = cli("run", tmp_path / "two.toml", *options[:2], "--out", tmp_path / "fresh")
    assert fresh.code == 0
    for table in (tmp_path / "fresh").glob("*.tsv"):
        assert (stopped / table.name).read_bytes() == table.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        ('label = "men"', 'label = "people"'),
        ("step = 30", "step = 60"),
        ('levels = ["female", "male"]', 'levels = ["male", "female"]'),
    ],
    ids=["cohort", "panel", "parameter"],
)
def test_resume__not_with_another_job(
    change: tuple[str, str], stopped: Path, own_demo: Path, tmp_path: Path, cli: Cli
) -> None:
    path = tmp_path / "two.toml"
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    options = ("--federation", own_demo, "--out", stopped, "--resume")
    refusal(cli("run", path, *options), "a run of another job", "choose another directory")


# --- through the console script ----------------------------------------------------------------


def test_console__run_and_its_exit_codes(demo: Path, tmp_path: Path) -> None:
    path = job(tmp_path / "a.toml", PANEL, COHORTS, SUMMARY)
    out = tmp_path / "out"
    done = console("run", path, "--federation", demo, "--out", out)
    assert done.code == 0, done.err
    assert done.err.splitlines() == ["Cohort summary, round 1"]
    assert (out / "report.html").exists()
    again = console("run", path, "--federation", demo, "--out", out)
    refusal(again, "holds a finished run", "choose another directory")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "COMMAND"),
        (("rum",), "invalid choice: 'rum'"),
        (("run", "job.toml"), "--federation"),
        (("store",), "VERB"),
        (("ingest", "maf", "x", "--store", "s", "--assembly", "hg19"), "invalid choice: 'hg19'"),
        (("site", "init", "d", "--name", "n", "--store", "s", "--public", "--recommended"), "not"),
    ],
)
def test_usage__exit_code_2(arguments: tuple[str, ...], words: str, cli: Cli) -> None:
    answer = cli(*arguments)
    assert answer.code == 2
    assert "usage: eucan-dask" in answer.err
    assert words in answer.err


def test_help__of_every_command_is_written(cli: Cli) -> None:
    answer = cli("--help")
    assert answer.code == 0
    for name in ("demo", "ingest", "store", "site", "federation", "analyses", "catalogue"):
        assert f"\n    {name}" in answer.out
