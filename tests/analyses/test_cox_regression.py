"""Federated Cox regression against lifelines and statsmodels over everybody, stratified by site."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from lifelines import CoxPHFitter
from statsmodels.duration.hazard_regression import PHReg

from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.errors import Invalid
from eucan_dask.panel import Panel
from eucan_dask.terms import Term
from eucan_dask.testing.cases import Example, run_over
from eucan_dask.testing.data import People, dataset, people, split

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:lifelines|formulaic|autograd")
AGE, SEX = Term(field="age_at_diagnosis"), Term(field="sex", levels=("female", "male"))
N = 210


def cut(simulated: People) -> list[xr.Dataset]:
    return [dataset(part) for part in split(simulated, np.arange(N) % 3)]


def table(simulated: People) -> pd.DataFrame:
    """Complete cases with the columns of the model, one row a person."""
    rows = simulated.clinical.drop_duplicates("individual_id").sort_values("individual_id")
    carriers = set(
        simulated.mutations.query("gene == 'TP53' and classification != 'Silent'")["sample_id"]
    )
    assayed = rows["sample_id"].map(simulated.sample_assay) != ""
    frame = pd.DataFrame(
        {
            "t": rows["overall_survival_days"],
            "e": rows["overall_survival_event"],
            "age": rows["age_at_diagnosis"],
            "male": (rows["sex"] == "male") * 1.0,
            "tp53": rows["sample_id"].isin(carriers).where(assayed) * 1.0,
            "site": np.arange(N) % 3,
            "stage": rows["stage"],
        }
    )
    return frame


@pytest.fixture(scope="module")
def simulated() -> People:
    return people(N, seed=21, missing=0.04)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox__as_statsmodels_with_strata(simulated: People, ties: str) -> None:
    analysis = CoxRegression(terms=(AGE, SEX, Term(gene="TP53")), ties=ties)
    _, found, _ = run_over(Example(analysis, Panel()), cut(simulated))
    frame = table(simulated).drop(columns="stage").dropna()
    x = frame[["age", "male", "tp53"]].to_numpy()
    model = PHReg(frame["t"], x, status=frame["e"], strata=frame["site"], ties=ties)
    fit = model.fit(disp=0, method="newton", tol=1e-13)
    assert bool(found["converged"])
    np.testing.assert_allclose(found["coef"], fit.params, rtol=1e-7)
    np.testing.assert_allclose(found["se"], fit.bse, rtol=1e-7)
    np.testing.assert_allclose(found["p_value"], fit.pvalues, rtol=1e-6)
    np.testing.assert_allclose(found["hr"], np.exp(fit.params), rtol=1e-7)
    np.testing.assert_allclose(
        np.log(np.stack([found["low"], found["high"]], axis=1)), fit.conf_int(), rtol=1e-6
    )
    assert float(found["log_likelihood"]) == pytest.approx(fit.llf, rel=1e-9)
    assert float(found["log_likelihood_null"]) == pytest.approx(
        model.loglike(np.zeros(3)), rel=1e-9
    )
    assert int(found["n"]) == len(frame)
    assert int(found["n_event"]) == frame["e"].sum()


def test_cox__as_lifelines_with_a_stratum_within_site(simulated: People) -> None:
    analysis = CoxRegression(terms=(AGE, SEX), strata="stage")
    _, found, _ = run_over(Example(analysis, Panel()), cut(simulated))
    frame = table(simulated).drop(columns="tp53").dropna()
    fitter = CoxPHFitter().fit(
        frame, "t", "e", strata=["site", "stage"], fit_options={"precision": 1e-11}
    )
    np.testing.assert_allclose(found["coef"], fitter.params_[["age", "male"]], rtol=1e-7)
    np.testing.assert_allclose(found["se"], fitter.standard_errors_[["age", "male"]], rtol=1e-7)
    assert float(found["concordance"]) == pytest.approx(fitter.concordance_index_, rel=1e-9)
    assert str(found["equals"].values).endswith('strata(site, stage), ties = "efron")')


def test_cox__the_scale_of_a_covariate_is_no_matter(simulated: People) -> None:
    bigger = People(simulated.clinical.copy(), simulated.mutations, simulated.sample_assay)
    bigger.clinical["age_at_diagnosis"] *= 1e6
    case = Example(CoxRegression(terms=(AGE,)), Panel())
    case.cohorts = (case.cohorts[0],)
    _, small, _ = run_over(case, cut(simulated))
    _, large, _ = run_over(case, cut(bigger))
    np.testing.assert_allclose(large["coef"] * 1e6, small["coef"], rtol=1e-8)
    np.testing.assert_allclose(large["p_value"], small["p_value"], rtol=1e-8)


def test_cox__a_term_that_never_varies_is_undefined(simulated: People) -> None:
    same = People(
        simulated.clinical.assign(sex="male"), simulated.mutations, simulated.sample_assay
    )
    _, found, _ = run_over(Example(CoxRegression(terms=(AGE, SEX)), Panel()), cut(same))
    _, alone, _ = run_over(Example(CoxRegression(terms=(AGE,)), Panel()), cut(same))
    assert np.isnan(found["coef"].values[1])
    assert np.isnan(found["se"].values[1])
    np.testing.assert_allclose(found["coef"].values[0], alone["coef"].values[0], rtol=1e-8)


def test_cox__separation_is_no_estimate() -> None:
    """All men die at once, no woman ever does: the likelihood has no maximum."""
    simulated = people(N, seed=2, missing=0.0)
    rows = simulated.clinical
    rows["overall_survival_event"] = (rows["sex"] == "male") * 1.0
    rows["overall_survival_days"] = np.where(rows["sex"] == "male", 100.0, 3000.0)
    rows["overall_survival_days"] += np.arange(len(rows)) % 50
    _, found, _ = run_over(Example(CoxRegression(terms=(SEX,)), Panel()), cut(simulated))
    assert not bool(found["converged"])
    for name in ("coef", "se", "hr", "low", "high", "p_value"):
        assert np.isnan(found[name].values).all()


def test_cox__too_few_rounds_do_not_pretend() -> None:
    analysis = CoxRegression(terms=(AGE, SEX), max_iterations=2)
    _, found, _ = run_over(Example(analysis, Panel()), cut(people(N, seed=3)))
    assert not bool(found["converged"])
    assert np.isnan(found["coef"].values).all()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"terms": ()}, "needs terms"),
        ({"terms": (AGE, AGE)}, "named twice"),
        ({"terms": (AGE,), "ties": "exact"}, "unknown ties"),
        ({"terms": (AGE,), "tolerance": 0.0}, "tolerance"),
        ({"terms": (AGE,), "tolerance": 0.1}, "tolerance"),
        ({"terms": (AGE,), "max_iterations": 0}, "max_iterations"),
        ({"terms": (AGE,), "max_iterations": -5}, "max_iterations"),
    ],
)
def test_parameters__that_make_no_model(options: dict[str, object], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        CoxRegression(**options)  # type: ignore[arg-type]


def test_labels__of_all_columns() -> None:
    stage = Term(field="stage", levels=("I", "II", "III"))
    analysis = CoxRegression(terms=(AGE, stage, Term(gene="TP53")), strata="sex")
    assert analysis.labels == ("age_at_diagnosis", "stage II", "stage III", "TP53 mutated")
    assert analysis.n_parameters(Panel()) == 4
    assert analysis.needs() == (
        "individual_overall_survival_days",
        "individual_overall_survival_event",
        "individual_age_at_diagnosis",
        "individual_stage",
        "mutation_gene",
        "individual_sex",
    )
