"""The jobs we ship: one an analysis, each equal to a pooled computation on the same tables."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import concordance_index, restricted_mean_survival_time
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.api import GLM, families
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import survdiff
from statsmodels.stats.proportion import proportion_confint

from eucan_dask.federation import Federation
from eucan_dask.job import read_job
from eucan_dask.registry import registry
from eucan_dask.result import Result
from tests.cli.commands import CENTRES, JOBS, demo_federation

PATHS = sorted(JOBS.glob("*.toml"))
STAGES = ("I", "II", "III", "IV")
SILENT = "Silent"  # the only class of the simulation that changes no protein


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_federation(tmp_path_factory.mktemp("jobs"))


@pytest.fixture(scope="session")
def asked(demo: Path) -> Callable[[str], Result]:
    """Each job is put to the federation once."""
    results: dict[str, Result] = {}

    def ask(stem: str) -> Result:
        if stem not in results:
            job = read_job(JOBS / f"{stem}.toml")
            (question,) = job.questions
            with Federation.open(demo) as federation:
                results[stem] = federation.run(
                    question.analysis,
                    purpose=job.purpose,
                    cohorts=question.cohorts,
                    panel=question.panel,
                    tier=job.tier,
                    complete=question.complete,
                )
        return results[stem]

    return ask


@pytest.fixture(scope="session")
def pooled(demo: Path) -> pd.DataFrame:
    """One row a person from the tables of all centres, with one column a gene and class.

    `<gene>` and `<gene> missense` are 1, 0 or NaN where no biosample was assayed for the gene.
    """
    return pd.concat([_centre(demo.parent / name / "tables", name) for name in CENTRES])


def _centre(tables: Path, name: str) -> pd.DataFrame:
    clinical = pd.read_csv(tables / "clinical.tsv", sep="\t")
    maf = pd.read_csv(tables / "mutations.maf", sep="\t")
    assays = tomllib.loads((tables / "assays.toml").read_text())["assays"]
    owner = clinical.set_index("sample_id")["individual_id"]
    rows = clinical.drop_duplicates("individual_id").set_index("individual_id").assign(site=name)
    maf["person"] = maf["Tumor_Sample_Barcode"].map(owner)
    for gene in sorted(maf["Hugo_Symbol"].unique()):
        own = maf[maf["Hugo_Symbol"] == gene]
        covering = [a for a in assays if a.get("all_genes") or gene in a.get("genes", ())]
        people = {owner[sample] for assay in covering for sample in assay["samples"]}
        for column, hits in (
            (gene, own[own["Variant_Classification"] != SILENT]),
            (f"{gene} missense", own[own["Variant_Classification"] == "Missense_Mutation"]),
        ):
            carriers = set(hits["person"])
            rows[column] = [
                float(person in carriers) if person in people else np.nan for person in rows.index
            ]
    return rows.reset_index()


def test_jobs__one_for_each_analysis() -> None:
    assert [path.stem for path in PATHS] == sorted(registry())
    for path in PATHS:
        names = [question.analysis.name for question in read_job(path).questions]
        assert names == [path.stem]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_jobs__start_with_the_question_in_words(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith("?")


@pytest.mark.parametrize("stem", [path.stem for path in PATHS])
def test_jobs__everybody_answers_and_nothing_is_hidden(
    stem: str, asked: Callable[[str], Result]
) -> None:
    result = asked(stem)
    assert [o.status for o in result.outcomes] == ["answered"] * 3
    for name, frame in result.tables.items():
        assert (frame["n_sites"] == 3).all(), name
        assert (frame["coverage"] == 1).all(), name
        assert not frame["suppressed"].any(), name
        assert (frame["reason"] == "").all(), name


def test_cohort_summary__equals_pandas(
    asked: Callable[[str], Result], pooled: pd.DataFrame
) -> None:
    tables = asked("cohort_summary").tables
    bins = [-np.inf, 40, 60, 80, np.inf]
    pooled = pooled.assign(
        age_at_diagnosis=pd.cut(
            pooled["age_at_diagnosis"],
            bins,
            right=False,
            labels=["< 40", "[40, 60)", "[60, 80)", ">= 80"],
        )
    )
    expected: dict[tuple[str, str, str], int] = {}
    sizes = {}
    for cohort, value in (("TP53 mutated", 1), ("TP53 not mutated", 0)):
        own = pooled[pooled["TP53"] == value]
        sizes[cohort] = len(own)
        for field, levels in (
            ("sex", ("female", "male")),
            ("stage", STAGES),
            ("age_at_diagnosis", ("< 40", "[40, 60)", "[60, 80)", ">= 80")),
        ):
            for level in levels:
                expected[cohort, field, level] = int((own[field] == level).sum())
            expected[cohort, field, "missing"] = int(own[field].isna().sum())
            if field != "age_at_diagnosis":
                expected[cohort, field, "other"] = 0
    found = tables["summary"].set_index(["cohort", "field", "level"])["count"].to_dict()
    assert found == expected
    assert sum(v for k, v in expected.items() if k[2] == "missing") > 20
    assert tables["individuals"].set_index("cohort")["n"].to_dict() == sizes


def test_mutation_frequency__equals_pandas(
    asked: Callable[[str], Result], pooled: pd.DataFrame
) -> None:
    frame = asked("mutation_frequency").to_dataframe()
    assert len(frame) == 6 * 2 * 2
    ages = {"under 50": (-np.inf, 49.9), "50 and over": (50, np.inf)}
    for row in frame.itertuples():
        kind = " missense" if row[2] == "Missense_Mutation" else ""
        own = pooled[pooled["age_at_diagnosis"].between(*ages[row.cohort])]
        values = own[f"{row.gene}{kind}"].dropna()
        n, total = int(values.sum()), len(values)
        assert (row.n_mutated, row.n_assayed) == (n, total)
        low, high = proportion_confint(n, total, method="wilson")
        assert_allclose([row.frequency, row.low, row.high], [n / total, low, high], rtol=1e-9)


def _followed(pooled: pd.DataFrame) -> pd.DataFrame:
    return pooled.dropna(subset=["overall_survival_days", "overall_survival_event", "stage"])


def test_survival__equals_lifelines(asked: Callable[[str], Result], pooled: pd.DataFrame) -> None:
    tables = asked("survival").tables
    rows = _followed(pooled)
    for cohort, value in (("KRAS mutated", 1), ("KRAS wild type", 0)):
        own = rows[rows["KRAS"] == value]
        time, event = own["overall_survival_days"], own["overall_survival_event"]
        fitted = KaplanMeierFitter().fit(np.ceil(time / 30) * 30, event)
        found = tables["curve"][tables["curve"]["cohort"] == cohort].set_index("time")
        curve = fitted.survival_function_at_times(found.index).to_numpy()
        assert_allclose(found["survival"].astype(float), curve, rtol=1e-9)
        events = fitted.event_table.reindex(found.index, fill_value=0)
        assert found["n_event"].tolist() == events["observed"].tolist()
        assert found["n_censored"].tolist() == events["censored"].tolist()
        at_risk = len(own) - (events["observed"] + events["censored"]).cumsum().shift(fill_value=0)
        assert found["n_at_risk"].tolist() == at_risk.tolist()
        alive = found["survival"].astype(float) > 0
        low, high = _log_interval(curve, events["observed"], at_risk)
        assert_allclose(found["low"].astype(float)[alive], low[alive], rtol=1e-9)
        assert_allclose(found["high"].astype(float)[alive], high[alive], rtol=1e-9)
        _check_rmst(tables["rmst"], cohort, fitted, events["observed"], at_risk)


def _log_interval(curve: Any, events: Any, at_risk: Any) -> tuple[Any, Any]:
    """R's default interval: Greenwood's variance on the log scale, cut at one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.nancumsum(events / (at_risk * (at_risk - events)))
        half = stats.norm.ppf(0.975) * np.sqrt(greenwood)
        return curve * np.exp(-half), np.minimum(curve * np.exp(half), 1)


def _check_rmst(rmst: pd.DataFrame, cohort: str, fitted: Any, events: Any, at_risk: Any) -> None:
    found = rmst[rmst["cohort"] == cohort].set_index("horizon")
    assert found.index.tolist() == [1080, 1800]
    for horizon in found.index:
        area = restricted_mean_survival_time(fitted, t=horizon)
        assert_allclose(found.loc[horizon, "rmst"], area, rtol=1e-9)
        variance = 0.0
        for time, d, n in zip(events.index, events, at_risk, strict=True):
            if d and time < horizon:
                rest = area - restricted_mean_survival_time(fitted, t=time)
                variance += rest**2 * d / (n * (n - d))
        assert_allclose(found.loc[horizon, "se"], np.sqrt(variance), rtol=1e-9)


def test_survival__logrank_equals_statsmodels(
    asked: Callable[[str], Result], pooled: pd.DataFrame
) -> None:
    rows = _followed(pooled).dropna(subset=["KRAS"])
    statistic, p_value = survdiff(
        rows["overall_survival_days"].to_numpy(),
        rows["overall_survival_event"].to_numpy(),
        rows["KRAS"].to_numpy(),
        strata=(rows["site"] + rows["stage"]).to_numpy(),
    )
    (found,) = asked("survival").to_dataframe("logrank").to_dict("records")
    assert found["contrast"] == "KRAS mutated vs KRAS wild type"
    assert (found["strata"], found["df"]) == ("site and stage", 1)
    assert_allclose([found["statistic"], found["p_value"]], [statistic, p_value], rtol=1e-9)


def _terms(rows: pd.DataFrame, *, stage: bool) -> pd.DataFrame:
    x = pd.DataFrame(
        {"age_at_diagnosis": rows["age_at_diagnosis"], "sex male": (rows["sex"] == "male") * 1.0}
    )
    if stage:
        for level in STAGES[1:]:
            x[f"stage {level}"] = (rows["stage"] == level) * 1.0
        x["TP53 mutated"] = rows["TP53"]
    return x


def _check_terms(frame: pd.DataFrame, x: pd.DataFrame, coef: Any, se: Any, ratio: str) -> None:
    assert frame["term"].tolist() == list(x.columns)
    assert_allclose(frame["coef"], coef, rtol=1e-8, atol=1e-10)
    assert_allclose(frame["se"], se, rtol=1e-8)
    assert_allclose(frame[ratio], np.exp(coef), rtol=1e-8)
    half = stats.norm.ppf(0.975) * se
    assert_allclose(frame["low"], np.exp(coef - half), rtol=1e-8)
    assert_allclose(frame["high"], np.exp(coef + half), rtol=1e-8)
    assert_allclose(frame["p_value"], 2 * stats.norm.sf(abs(coef / se)), rtol=1e-6)


def test_cox_regression__equals_statsmodels(
    asked: Callable[[str], Result], pooled: pd.DataFrame
) -> None:
    rows = _followed(pooled).dropna(subset=["TP53", "age_at_diagnosis"])
    x = _terms(rows, stage=True)
    time, event = (rows[f"overall_survival_{part}"].to_numpy() for part in ("days", "event"))
    model = PHReg(time, x.to_numpy(), status=event, strata=rows["site"].to_numpy(), ties="efron")
    fitted = model.fit(tol=1e-12)
    tables = asked("cox_regression").tables
    _check_terms(tables["terms"], x, fitted.params, fitted.bse, "hr")
    (fit,) = tables["fit"].to_dict("records")
    assert (fit["n"], fit["n_event"]) == (len(rows), event.sum())
    assert_allclose(fit["log_likelihood"], fitted.llf, rtol=1e-9)
    assert "strata(site)" in fit["equals"]
    assert_allclose(fit["concordance"], _concordance(rows, x @ fitted.params), rtol=1e-9)


def _concordance(rows: pd.DataFrame, risk: pd.Series) -> float:
    """Harrell's over pairs of one site: a plain loop over who died while whom lived on."""
    score, pairs = 0.0, 0
    for site in CENTRES:
        own = (rows["site"] == site).to_numpy()
        time = rows["overall_survival_days"].to_numpy()[own]
        event = rows["overall_survival_event"].to_numpy()[own]
        values = risk.to_numpy()[own]
        n = sum(
            int(((time > time[i]) | ((time == time[i]) & (event == 0))).sum())
            for i in np.flatnonzero(event)
        )
        for i in np.flatnonzero(event):
            later = (time > time[i]) | ((time == time[i]) & (event == 0))
            score += (values[later] < values[i]).sum() + (values[later] == values[i]).sum() / 2
        pairs += n
        same = concordance_index(time, -values, event)
        assert 0.5 < same < 0.8  # lifelines, on one site: it treats equal times in its own way
    return score / pairs


def test_logistic_regression__equals_statsmodels(
    asked: Callable[[str], Result], pooled: pd.DataFrame
) -> None:
    rows = pooled[pooled["stage"].isin(STAGES[1:])].dropna(subset=["TP53", "age_at_diagnosis"])
    x = _terms(rows, stage=False)
    sites = pd.get_dummies(rows["site"], dtype=float)
    y = rows["TP53"].to_numpy()
    full = np.column_stack([x, sites])
    fitted = GLM(y, full, family=families.Binomial()).fit(tol=1e-14, maxiter=50)
    tables = asked("logistic_regression").tables
    k = x.shape[1]
    _check_terms(tables["terms"], x, fitted.params[:k], fitted.bse[:k], "or")
    null = GLM(y, sites.to_numpy(), family=families.Binomial()).fit(tol=1e-14)
    (fit,) = tables["fit"].to_dict("records")
    assert (fit["n"], fit["n_event"]) == (len(rows), y.sum())
    assert_allclose(fit["log_likelihood"], fitted.llf, rtol=1e-9)
    (convergence,) = tables["convergence"].to_dict("records")
    assert_allclose(convergence["log_likelihood_null"], null.llf, rtol=1e-9)
    assert convergence["converged"]
