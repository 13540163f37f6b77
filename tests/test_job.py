"""The job file: what it says, and every wrong input by name with the nearest right one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr

from eucan_dask.analyses.survival import Survival
from eucan_dask.analysis import Analysis
from eucan_dask.catalogue import Catalogue
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid
from eucan_dask.job import read_job
from eucan_dask.panel import Panel
from eucan_dask.registry import load, registry

HEAD = 'format = 1\nname = "j"\npurpose = "DUO:0000006"\n'
ASK = '[[analyses]]\nname = "mutation_frequency"\n'
GENES = '[panel]\ngenes = ["TP53"]\n'


def job(tmp_path: Path, text: str) -> Any:
    (tmp_path / "job.toml").write_text(text, encoding="utf-8")
    return read_job(tmp_path / "job.toml")


def test_read_job__what_it_says(tmp_path: Path) -> None:
    found = job(
        tmp_path,
        HEAD
        + 'tier = "registered"\naggregator = "masked"\n'
        + '[panel]\ngenes = ["TP53"]\ntimes = { stop = 60, step = 30 }\nunlisted_genes = true\n'
        + '[[cohorts]]\nlabel = "young"\n[cohorts.criteria]\nfield = "age"\nmax = 60\n'
        + '[[cohorts]]\nlabel = "all"\n'
        + ASK
        + 'cohorts = ["all"]\ncomplete = ["sex"]\n[analyses.parameters]\nclasses = ["Silent"]\n'
        + '[[analyses]]\nname = "survival"\n',
    )
    assert (found.name, found.purpose, found.tier) == ("j", "DUO:0000006", "registered")
    assert found.aggregator == "masked"
    assert found.unlisted_genes is True
    assert found.panel.times == (0.0, 30.0, 60.0)
    first, second = found.questions
    assert first.analysis == load("mutation_frequency", {"classes": ["Silent"]})
    assert first.cohorts == (Cohort("all"),)
    assert first.complete == ("sex",)
    assert [c.label for c in second.cohorts] == ["young", "all"]


def test_read_job__without_cohorts_it_asks_about_everybody(tmp_path: Path) -> None:
    found = job(tmp_path, HEAD + GENES + ASK)
    assert found.questions[0].cohorts == (Cohort("everybody"),)
    assert (found.tier, found.aggregator, found.unlisted_genes) == ("open", None, False)


def test_read_job__genes_from_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "genes.txt").write_text("TP53\nKRAS  IDH1\n\n")
    found = job(tmp_path, HEAD + '[panel]\ngenes = ["APC"]\ngenes_file = "genes.txt"\n' + ASK)
    assert found.panel.genes == ("APC", "TP53", "KRAS", "IDH1")


COHORTS = '[[cohorts]]\nlabel = "young"\n[cohorts.criteria]\nfield = "age"\nmax = 60\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "missing key 'format'"),
        (HEAD.replace("1", "2", 1) + GENES + ASK, "unknown format"),
        (HEAD + GENES, "missing key 'analyses'"),
        (HEAD + "analyses = []\n", "asks nothing"),
        (HEAD + "analyses = [3]\n", "not a table"),
        (HEAD + 'teir = "open"\n' + GENES + ASK, "did you mean 'tier'"),
        (HEAD + 'tier = "opn"\n' + GENES + ASK, "did you mean 'open'"),
        (HEAD + 'aggregator = "maskd"\n' + GENES + ASK, "did you mean 'masked'"),
        (HEAD.replace("DUO:0000006", "DUO:0000066") + GENES + ASK, "did you mean 'DUO:0000006'"),
        (HEAD.replace("DUO:0000006", "research") + GENES + ASK, "unknown purpose 'research'"),
        (HEAD + GENES + ASK.replace("mutation_frequency", "mutation_frequencies"),
         "did you mean 'mutation_frequency'"),
        (HEAD + GENES + ASK + "cohort = []\n", "did you mean 'cohorts'"),
        (HEAD + GENES + ASK + "[analyses.parameters]\nclass = []\n", "did you mean 'classes'"),
        (HEAD + GENES + ASK + '[analyses.parameters]\nclasses = ["Missense"]\n',
         "did you mean 'Missense_Mutation'"),
        (HEAD + GENES + ASK + "[analyses.parameters]\nclasses = 3\n", "must be a list"),
        (HEAD + ASK, "needs genes"),
        (HEAD + '[[analyses]]\nname = "survival"\n', "needs a time grid"),
        (HEAD + '[panel]\ngene = ["TP53"]\n' + ASK, "did you mean 'genes'"),
        (HEAD + '[panel]\ngenes_file = "none.txt"\n' + ASK, "genes file cannot be read"),
        (HEAD + GENES + COHORTS + ASK + 'cohorts = ["yuong"]\n', "did you mean 'young'"),
        (HEAD + GENES + COHORTS.replace("max", "maxi") + ASK, "did you mean 'max'"),
        (HEAD + GENES + COHORTS + COHORTS + ASK, "share a label"),
        (HEAD + GENES + COHORTS + COHORTS + ASK + 'cohorts = ["young"]\n', "label"),
        (HEAD + GENES + ASK + "cohorts = [3]\n", "unknown cohort '3'"),
        (HEAD + GENES + ASK + 'cohorts = [["a"]]\n', "cohort"),
        (HEAD + '[panel]\ngenes = ["TP53"]\nunlisted_genes = "no"\n' + ASK, "unlisted_genes"),
        (HEAD + '[panel]\ngenes = "TP53"\ngenes_file = "job.toml"\n' + ASK, "genes"),
        (HEAD + '[panel]\ngenes_file = 3\n' + ASK, "genes_file"),
        (HEAD + '[panel]\ngenes = ["TP53"]\ntimes = { stop = inf, step = 30 }\n' + ASK, "grid"),
        (HEAD + '[[analyses]]\nname = "cox_regression"\n', "parameters are missing"),
        (HEAD + COHORTS + '[[cohorts]]\nlabel = "all"\n[[analyses]]\nname = "cox_regression"\n'
         '[analyses.parameters]\nterms = ["age"]\n', "cannot take 2 cohorts"),
        (HEAD + '[[analyses]]\nname = "cohort_summary"\n[analyses.parameters]\n'
         'fields = [{ levels = ["a", "b"] }]\n', "field"),
        (HEAD + '[[analyses]]\nname = "cox_regression"\n[analyses.parameters]\n'
         'terms = [{ feld = "age" }]\n', "did you mean 'field'"),
        (HEAD + '[[analyses]]\nname = "cohort_summary"\n[analyses.parameters]\n'
         'fields = [{ field = "age", edges = [40.0, inf] }]\n', "edges"),  # cannot be sent
    ],
    ids=lambda x: str(x)[-40:],
)  # fmt: skip
def test_read_job__what_is_wrong_with_it(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(Invalid) as caught:
        job(tmp_path, text)
    assert problem in str(caught.value)
    assert caught.value.exit_code == 2


def test_read_job__no_file(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        read_job(tmp_path / "none.toml")


# --- the catalogue: names no site knows ---


def hello(**changes: Any) -> dict[str, Any]:
    fields = [
        {"name": "age", "kind": "number", "unit": "years", "categories": [], "open": False},
        {"name": "overall_survival_days", "kind": "number", "unit": "days", "categories": [],
         "open": False},
        {"name": "overall_survival_event", "kind": "boolean", "unit": "", "categories": [],
         "open": False},
        {"name": "stage", "kind": "category", "unit": "", "categories": ["I", "II"], "open": False},
        {"name": "site", "kind": "category", "unit": "", "categories": [], "open": True},
    ]  # fmt: skip
    return {
        "fields": fields,
        "genes": ["KRAS", "TP53"],
        "assays": [{"id": "panel", "all_genes": False}],
        "assembly": "GRCh38",
        "data_class": "personal",
        **changes,
    }


CATALOGUE = Catalogue({"a": hello(), "b": hello(genes=["IDH1"])})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GENES.replace("TP53", "TP35") + ASK, "unknown gene 'TP35'; did you mean 'TP53'"),
        (GENES + ASK + 'complete = ["agee"]\n', "unknown field 'agee'; did you mean 'age'"),
        (GENES + COHORTS.replace('"age"', '"aage"') + ASK, "did you mean 'age'"),
        (GENES + '[[cohorts]]\nlabel = "x"\n[cohorts.criteria]\ngene = "IDH2"\nmutated = true\n'
         + ASK, "unknown gene 'IDH2'; did you mean 'IDH1'"),
        ('[[analyses]]\nname = "cox_regression"\n[analyses.parameters]\nterms = ["agee"]\n',
         "did you mean 'age'"),
        ('[[analyses]]\nname = "cox_regression"\n[analyses.parameters]\n'
         'terms = [{ gene = "TP3" }]\n', "did you mean 'TP53'"),
        ('[[analyses]]\nname = "cox_regression"\n[analyses.parameters]\n'
         'terms = [{ field = "stage", levels = ["I", "IIII"] }]\n', "unknown level 'IIII'"),
    ],
    ids=lambda x: str(x)[-40:],
)  # fmt: skip
def test_check__a_name_no_site_knows(tmp_path: Path, text: str, problem: str) -> None:
    found = job(tmp_path, HEAD + text)
    with pytest.raises(Invalid) as caught:
        found.check(CATALOGUE)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '[panel]\ngenes = ["TP53", "IDH1", "KRAS"]\n' + ASK,  # each is listed somewhere
        '[panel]\ngenes = ["RARE1"]\nunlisted_genes = true\n' + ASK,
        GENES + ASK + 'complete = ["gene:TP53"]\n',  # a gene that must have been assayed
        '[[analyses]]\nname = "cox_regression"\n[analyses.parameters]\n'
        'terms = [{ field = "site", levels = ["x", "y"] }]\n',
    ],
    ids=lambda x: x[-40:],
)
def test_check__names_that_some_site_knows(tmp_path: Path, text: str) -> None:
    job(tmp_path, HEAD + text).check(CATALOGUE)


def test_check__where_every_gene_was_assayed_none_is_listed(tmp_path: Path) -> None:
    exome = hello(genes=[], assays=[{"id": "exome", "all_genes": True}])
    job(tmp_path, HEAD + GENES + ASK).check(Catalogue({"a": exome}))
    public = {**exome, "data_class": "public"}
    with pytest.raises(Invalid, match="unknown gene"):
        job(tmp_path, HEAD + GENES + ASK).check(Catalogue({"a": public}))


def test_catalogue__sites_that_disagree(tmp_path: Path) -> None:
    other = hello()
    other["fields"] = [{**other["fields"][0], "unit": "days"}, *other["fields"][1:]]
    with pytest.raises(Invalid, match="disagree on its kind or unit"):
        Catalogue({"a": hello(), "b": other}).fields()
    with pytest.raises(Invalid, match="different assemblies"):
        Catalogue({"a": hello(), "b": hello(assembly="GRCh37")}).check_assembly()
    Catalogue({"a": hello(), "b": hello(assembly=None)}).check_assembly()


def test_catalogue__categories_of_all_sites() -> None:
    other = hello()
    other["fields"] = [{**f, "categories": ["II", "III"]} for f in other["fields"][3:4]]
    found = Catalogue({"a": hello(), "b": other}).fields()
    assert found["stage"]["categories"] == ["I", "II", "III"]
    assert found["stage"]["sites"] == ["a", "b"]
    assert found["age"]["sites"] == ["a"]


# --- parameters ---


@pytest.mark.parametrize("kind", registry().values(), ids=registry())
def test_load__an_example_comes_back(kind: type[Analysis]) -> None:
    analysis, panel = kind.example()
    analysis.check(panel)
    summands = analysis.summands(panel)
    assert summands
    assert all(isinstance(v, str) for pair in summands.items() for v in pair)


@pytest.mark.parametrize(
    ("name", "table", "problem"),
    [
        ("survivall", {}, "did you mean 'survival'"),
        ("survival", {"endpoint": 3}, "has the wrong type"),
        ("survival", {"horizons": 3}, "must be a list"),
        ("survival", {"horizons": ["a"]}, "has the wrong type"),
        ("survival", {"horizons": [True]}, "has the wrong type"),
        ("survival", {"end_point": "x"}, "did you mean 'endpoint'"),
        ("cohort_summary", {}, "parameters are missing"),
        ("cohort_summary", {"fields": [3]}, "must be a name or a table"),
        ("cohort_summary", {"fields": [{"levels": ["a"]}]}, "field"),
        ("logistic_regression", {"terms": ["age"]}, "outcome"),
        ("cox_regression", {"terms": ["age"], "tolerance": "small"}, "has the wrong type"),
    ],
    ids=str,
)
def test_load__parameters_that_do_not_fit(name: str, table: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        load(name, table)


@dataclass(frozen=True, kw_only=True)
class Many(Analysis):
    """Parameters of every shape a hospital may want."""

    pair: tuple[str, int]
    limit: float | None = None
    mode: int | str = 0

    name: ClassVar[str] = "many"


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eucan_dask.registry.find", lambda *_, **__: Many)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"pair": ["a", 1]}, {"pair": ("a", 1)}),
        ({"pair": ["a", 1], "limit": 2}, {"pair": ("a", 1), "limit": 2.0}),
        ({"pair": ["a", 1], "mode": "x"}, {"pair": ("a", 1), "mode": "x"}),
        ({"pair": ["a", 1], "mode": 3}, {"pair": ("a", 1), "mode": 3}),
    ],
    ids=str,
)
def test_load__shapes_that_fit(table: dict[str, Any], expected: dict[str, Any]) -> None:
    assert load("many", table) == Many(**expected)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"pair": ["a"]}, "must have 2 entries"),
        ({"pair": ["a", "b"]}, "has the wrong type"),
        ({"pair": ["a", 1], "limit": "x"}, "has the wrong type"),
        ({"pair": ["a", 1], "mode": [1]}, "has the wrong type"),
        ({}, "parameters are missing"),
    ],
    ids=str,
)
def test_load__shapes_that_do_not(table: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        load("many", table)


def test_analysis__a_bare_one_keeps_its_promises() -> None:
    """What a subclass inherits before it says anything."""
    bare = Many(pair=("a", 1))
    assert bare.needs() == ()
    assert bare.n_parameters(Panel()) == 0
    assert bare.summands(Panel()) == {"many": ""}
    assert bare.coords(Panel(genes=("A",)), ("c",))["genes"] == ("A",)
    assert bare.check(Panel()) is None
    assert bare.pooled("site", ("a",)) is bare
    ds = xr.Dataset({"individual_id": (("individuals",), np.array(["p", "q"], dtype=object))})
    assert bare.prepare(ds)["individual_eligible"].values.tolist() == [True, True]


def test_load__lists_become_tuples_and_integers_floats() -> None:
    found = load("survival", {"horizons": [365, 730.0]})
    assert found == Survival(horizons=(365.0, 730.0))
