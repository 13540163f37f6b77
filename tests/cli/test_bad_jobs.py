"""Bad jobs: exit code 2, what and where and what to do, no output, and every store as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.commands import CENTRES, Answer, Cli, refusal, tree
from tests.cli.test_ask import COHORTS, COX, FREQUENCY, HEAD, PANEL, SUMMARY, SURVIVAL, job

ALL = HEAD + PANEL + COHORTS + FREQUENCY + SUMMARY + SURVIVAL
ONE = HEAD + PANEL + COX

# Found on reading the job or the catalogue: `explain` and `run --check` tell, too.
BEFORE_ASKING: dict[str, tuple[str, tuple[str, ...]]] = {
    "key": (
        ALL.replace("purpose =", "purposes ="),
        ("job.toml", "unknown key 'purposes'", "did you mean 'purpose'?"),
    ),
    "key of a table": (
        ALL.replace("times =", "time ="),
        ("job.toml [panel]", "unknown key 'time'", "did you mean 'times'?"),
    ),
    "key of an analysis": (
        ALL.replace("[analyses.parameters]", "[analyses.parameter]"),
        ("job.toml [[analyses]]", "unknown key 'parameter'", "did you mean 'parameters'?"),
    ),
    "lacking key": (
        ALL.replace('purpose = "DUO:0000006"', ""),
        ("job.toml", "missing key 'purpose'", "add it"),
    ),
    "wrong type": (
        ALL.replace('name = "question"', "name = 3"),
        ("job.toml", "'name' has the wrong type", "expected str", "found int"),
    ),
    "format": (ALL.replace("format = 1", "format = 2"), ("job.toml", "unknown format", "found 2")),
    "purpose": (
        ALL.replace("DUO:0000006", "DUO:0000066"),
        ("job.toml", "unknown purpose 'DUO:0000066'", "did you mean 'DUO:0000006'?"),
    ),
    "tier": (
        ALL.replace("[panel]", 'tier = "opan"\n[panel]'),
        ("job.toml", "unknown value of tier 'opan'", "did you mean 'open'?"),
    ),
    "analysis": (
        ONE.replace("cox_regression", "cox_regresion"),
        ("job.toml", "unknown analysis 'cox_regresion'", "did you mean 'cox_regression'?"),
    ),
    "parameter": (
        ALL.replace("horizons", "horizon"),
        ("job.toml, survival", "unknown parameter 'horizon'", "did you mean 'horizons'?"),
    ),
    "field of a term": (
        ONE.replace("age_at_diagnosis", "age_at_diagnoses"),
        ("unknown field 'age_at_diagnoses'", "did you mean 'age_at_diagnosis'?"),
    ),
    "field of a criterion": (
        ALL.replace('field = "sex", equals = "male"', 'field = "sexx", equals = "male"'),
        ("unknown field 'sexx'", "did you mean 'sex'?"),
    ),
    "field that must be known": (
        ALL.replace('name = "survival"', 'name = "survival"\ncomplete = ["stag"]'),
        ("unknown field 'stag'", "did you mean 'stage'?"),
    ),
    "endpoint": (
        ALL.replace("horizons =", 'endpoint = "overal_survival"\nhorizons ='),
        ("unknown field 'overal_survival_days'", "did you mean 'overall_survival_days'?"),
    ),
    "level": (
        ALL.replace('["female", "male"]', '["femal", "male"]'),
        ("field 'sex'", "unknown level 'femal'", "did you mean 'female'?"),
    ),
    "level of a criterion": (
        ALL.replace('equals = "male"', 'equals = "mael"'),
        ("field 'sex'", "unknown level 'mael'", "did you mean 'male'?"),
    ),
    "gene of the panel": (
        ALL.replace('"KRAS"]', '"KRASS"]'),
        ("panel", "unknown gene 'KRASS'", "did you mean 'KRAS'?", "unlisted_genes = true"),
    ),
    "gene of a term": (
        ONE.replace('gene = "TP53"', 'gene = "TP35"'),
        ("unknown gene 'TP35'", "did you mean 'TP53'?"),
    ),
    "gene of a criterion": (
        ALL.replace('field = "sex", equals = "male"', 'gene = "KRSA", mutated = true'),
        ("unknown gene 'KRSA'", "did you mean 'KRAS'?"),
    ),
    "variant class": (
        ALL.replace(
            'name = "mutation_frequency"',
            'name = "mutation_frequency"\nparameters = { classes = ["Mis_sense_Mutation"] }',
        ),
        ("unknown variant class", "did you mean 'Missense_Mutation'?"),
    ),
    "cohort label": (
        ALL.replace('name = "survival"', 'name = "survival"\ncohorts = ["man"]'),
        ("job.toml, survival", "unknown cohort 'man'", "did you mean 'men'?"),
    ),
    "two cohorts of one label": (
        ALL.replace('label = "women"', 'label = "men"'),
        ("two cohorts share a label", "men"),
    ),
    "two cohorts for a regression": (
        HEAD + COHORTS + COX,
        ("cox_regression cannot take 2 cohorts", "expected 1", 'cohorts = ["label", ...]'),
    ),
    "criterion": (
        ALL.replace("equals", "equal", 1),
        ("cohort 'men'", "unknown criterion 'equal'", "did you mean 'equals'?"),
    ),
    "two operators": (
        ALL.replace('equals = "male"', 'equals = "male", min = 3'),
        ("cohort 'men'", "one operator a table"),
    ),
    "horizon off the grid": (
        ALL.replace("horizons = [900]", "horizons = [900, 905]"),
        ("survival.horizons", "horizons must be points of the grid", "905"),
    ),
    "no grid": (
        HEAD + SURVIVAL,
        ("panel", "needs a time grid", "add times = {"),
    ),
    "grid that falls": (
        ALL.replace("step = 30", "step = -30"),
        ("[panel].times", "not a grid", "step > 0"),
    ),
    "no genes": (HEAD + FREQUENCY, ("panel", "needs genes", "add genes")),
    "genes file": (
        ALL.replace('genes = ["TP53", "KRAS"]', 'genes_file = "drivers.txt"'),
        ("drivers.txt", "genes file cannot be read"),
    ),
    "no question": (HEAD + "analyses = []\n", ("job.toml", "asks nothing", "add an [[analyses]]")),
    "TOML": (
        ALL.replace('name = "question"', 'name = "question'),
        ("job.toml", "is not valid TOML", "line 3"),
    ),
}

# Only a site can tell.
AT_THE_SITE: dict[str, tuple[str, tuple[str, ...]]] = {
    "category without levels": (
        ONE.replace('"age_at_diagnosis"', '"stage"'),
        ("term 'stage'", "a category needs its levels", "levels = [...]", "'I', 'II'"),
    ),
    "number with levels": (
        ONE.replace(
            '"age_at_diagnosis"', '{ field = "age_at_diagnosis", levels = ["young", "old"] }'
        ),
        ("age_at_diagnosis", "level"),
    ),
    "range of a category": (
        ALL.replace('equals = "male"', "min = 3"),
        ("cohort 'men', field 'sex'", "min and max need a number", "category"),
    ),
    "bins of a category": (
        ALL.replace('levels = ["female", "male"]', "edges = [1, 2]"),
        ("field 'sex'", "is a category", "give levels"),
    ),
    "outcome that is a number": (
        HEAD
        + '[[analyses]]\nname = "logistic_regression"\n[analyses.parameters]\n'
        + 'outcome = "age_at_diagnosis"\nterms = [{ gene = "TP53" }]\n',
        ("age_at_diagnosis", "the outcome must be yes or no"),
    ),
}


def _stores(federation: Path) -> dict[str, str]:
    return tree(*(federation.parent / centre / "store" for centre in CENTRES))


@pytest.mark.parametrize("name", BEFORE_ASKING)
def test_job__refused_before_asking(name: str, demo: Path, tmp_path: Path, cli: Cli) -> None:
    text, words = BEFORE_ASKING[name]
    path = tmp_path / "job.toml"
    path.write_text(text, encoding="utf-8")
    before = tree(demo.parent)
    out = ("--out", tmp_path / "out")
    for command in (("explain", path), ("run", path, "--check"), ("run", path, *out)):
        refusal(cli(*command, "--federation", demo), *words)
    assert tree(demo.parent) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", AT_THE_SITE)
def test_job__refused_by_the_sites(name: str, demo: Path, tmp_path: Path, cli: Cli) -> None:
    text, words = AT_THE_SITE[name]
    path = tmp_path / "job.toml"
    path.write_text(text, encoding="utf-8")
    before = _stores(demo)
    answer = cli("run", path, "--federation", demo, "--out", tmp_path / "out")
    refusal(answer, *words)
    assert _stores(demo) == before
    assert not (tmp_path / "out" / "provenance.json").exists()


def test_job__good_ones_are_good(demo: Path, tmp_path: Path, cli: Cli) -> None:
    """The texts that the bad ones are made from."""
    for number, text in enumerate((ALL, ONE)):
        path = tmp_path / f"job{number}.toml"
        path.write_text(text, encoding="utf-8")
        out = tmp_path / f"out{number}"
        answer = cli("run", path, "--federation", demo, "--out", out)
        assert answer.code == 0, answer.err


def test_job__missing_or_unreadable(demo: Path, tmp_path: Path, cli: Cli) -> None:
    missing = cli("run", tmp_path / "nowhere.toml", "--federation", demo, "--check")
    refusal(missing, "nowhere.toml", "cannot be read", "check the path")
    (tmp_path / "latin.toml").write_bytes(HEAD.replace("question", "fr\xe9d").encode("latin-1"))
    refusal(cli("explain", tmp_path / "latin.toml", "--federation", demo), "latin.toml", "TOML")
    path = job(tmp_path / "job.toml", COX)
    refusal(cli("run", path, "--federation", tmp_path / "no.toml", "--check"), "no.toml", "be read")


def test_genes_file__beside_the_job(demo: Path, tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "job.toml"
    path.write_text(HEAD + '[panel]\ngenes_file = "drivers.txt"\n' + FREQUENCY, encoding="utf-8")
    (tmp_path / "drivers.txt").write_text("TP53\nKRAS\n")
    assert cli("run", path, "--federation", demo, "--check").code == 0
    (tmp_path / "drivers.txt").write_text("TP53\nKRASS\n")
    refusal(cli("run", path, "--federation", demo, "--check"), "'KRASS'", "did you mean 'KRAS'?")


def test_unlisted_genes__accepted_when_said(demo: Path, tmp_path: Path, cli: Cli) -> None:
    text = (HEAD + PANEL + FREQUENCY).replace('"KRAS"]', '"TTN"]\nunlisted_genes = true')
    path = tmp_path / "job.toml"
    path.write_text(text, encoding="utf-8")
    answer = cli("run", path, "--federation", demo, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err


def _run(cli: Cli, demo: Path, tmp_path: Path, out: Path | None) -> Answer:
    path = job(tmp_path / "job.toml", SUMMARY)
    where = () if out is None else ("--out", out)
    return cli("run", path, "--federation", demo, *where)


def test_run_out__must_be_named(demo: Path, tmp_path: Path, cli: Cli) -> None:
    refusal(_run(cli, demo, tmp_path, None), "needs a directory", "add --out DIR")


def test_run_out__holds_a_run(demo: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    assert _run(cli, demo, tmp_path, out).code == 0
    before = tree(out)
    refusal(_run(cli, demo, tmp_path, out), "out: holds a finished run", "another directory")
    assert tree(out) == before


def test_run_out__holds_something_else(demo: Path, tmp_path: Path, cli: Cli) -> None:
    """A directory of somebody's files is not written into."""
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "report.html").write_text("mine")
    before = tree(out)
    refusal(_run(cli, demo, tmp_path, out), "thesis", "directory")
    assert tree(out) == before


def test_run_out__is_a_file(demo: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    refusal(_run(cli, demo, tmp_path, out), "out", "directory")
    assert out.read_text() == "mine"


def test_resume__of_a_damaged_record(demo: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "finished.json").write_text('{"job": ')
    path = job(tmp_path / "job.toml", SUMMARY)
    answer = cli("run", path, "--federation", demo, "--out", out, "--resume")
    refusal(answer, "finished.json", "another directory")


@pytest.mark.parametrize(
    ("file", "format_", "words"),
    [
        ("eucan.json", 2, ("eucan.json", "newer version", "upgrade")),
        ("freezes/{freeze}/manifest.json", 9, ("manifest.json", "newer version", "upgrade")),
    ],
)
def test_run__store_of_a_newer_version(
    file: str, format_: int, words: tuple[str, ...], own_demo: Path, tmp_path: Path, cli: Cli
) -> None:
    site = own_demo.parent / "toronto" / "site"
    store = tmp_path / "newer"
    line = next(x for x in (site / "site.toml").read_text().splitlines() if x.startswith("store"))
    old = Path(line.split('"')[1])
    shutil.copytree(old, store)
    text = (site / "site.toml").read_text().replace(str(old), str(store))
    (site / "site.toml").write_text(text)
    freeze = json.loads((store / "eucan.json").read_text())["freeze"]
    changed = store / file.format(freeze=freeze)
    changed.write_text(json.dumps({**json.loads(changed.read_text()), "format": format_}))
    before = tree(store)
    refusal(_run(cli, own_demo, tmp_path, tmp_path / "out"), *words)
    assert tree(store) == before
    assert not (tmp_path / "out").exists()
