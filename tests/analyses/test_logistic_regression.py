"""Federated logistic regression against statsmodels with an intercept a site."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xarray as xr

from eucan_dask.analyses.logistic_regression import LogisticRegression
from eucan_dask.errors import Invalid
from eucan_dask.panel import Panel
from eucan_dask.terms import Term
from eucan_dask.testing.cases import Example, run_over
from eucan_dask.testing.data import People, dataset, people, split

AGE, SEX = Term(field="age_at_diagnosis"), Term(field="sex", levels=("female", "male"))
TP53 = Term(gene="TP53")
DEATH = Term(field="overall_survival_event")
N = 240


def cut(simulated: People) -> list[xr.Dataset]:
    return [dataset(part) for part in split(simulated, np.arange(N) % 3)]


@pytest.fixture(scope="module")
def simulated() -> People:
    return people(N, seed=31, missing=0.04, hazard=0.0003)


def fitted(analysis: LogisticRegression, simulated: People) -> xr.Dataset:
    return run_over(Example(analysis, Panel()), cut(simulated))[1]


def test_logistic__as_statsmodels_with_a_dummy_a_site(simulated: People) -> None:
    found = fitted(LogisticRegression(outcome=DEATH, terms=(AGE, SEX, TP53)), simulated)
    rows = simulated.clinical.drop_duplicates("individual_id").sort_values("individual_id")
    carriers = set(
        simulated.mutations.query("gene == 'TP53' and classification != 'Silent'")["sample_id"]
    )
    assayed = rows["sample_id"].map(simulated.sample_assay) != ""
    frame = pd.DataFrame(
        {
            "y": rows["overall_survival_event"],
            "age": rows["age_at_diagnosis"],
            "male": (rows["sex"] == "male") * 1.0,
            "tp53": rows["sample_id"].isin(carriers).where(assayed) * 1.0,
            "site": np.arange(N) % 3,
        }
    ).dropna()
    dummies = pd.get_dummies(frame["site"], dtype=float)
    x = np.column_stack([frame[["age", "male", "tp53"]], dummies])
    fit = sm.Logit(frame["y"], x).fit(disp=False, method="newton", tol=1e-13)
    null = sm.Logit(frame["y"], dummies).fit(disp=False, method="newton", tol=1e-13)
    assert bool(found["converged"])
    np.testing.assert_allclose(found["coef"], fit.params[:3], rtol=1e-7)
    np.testing.assert_allclose(found["se"], fit.bse[:3], rtol=1e-7)
    np.testing.assert_allclose(found["or"], np.exp(fit.params[:3]), rtol=1e-7)
    np.testing.assert_allclose(found["p_value"], fit.pvalues[:3], rtol=1e-6)
    assert float(found["log_likelihood"]) == pytest.approx(fit.llf, rel=1e-9)
    assert float(found["log_likelihood_null"]) == pytest.approx(null.llf, rel=1e-9)
    assert int(found["n"]) == len(frame)
    assert int(found["n_event"]) == frame["y"].sum()


def test_logistic__a_site_with_one_outcome_adds_nothing(simulated: People) -> None:
    rows = simulated.clinical.copy()
    first = rows["individual_id"].isin(sorted(set(rows["individual_id"]))[::3])
    rows.loc[first, "overall_survival_event"] = 1.0
    changed = People(rows, simulated.mutations, simulated.sample_assay)
    analysis = LogisticRegression(outcome=DEATH, terms=(AGE,))
    _, three, _ = run_over(Example(analysis, Panel()), cut(changed))
    _, two, _ = run_over(Example(analysis, Panel()), cut(changed)[1:])
    np.testing.assert_allclose(three["coef"], two["coef"], rtol=1e-8)
    np.testing.assert_allclose(three["se"], two["se"], rtol=1e-8)


def test_logistic__separation_is_no_estimate(simulated: People) -> None:
    rows = simulated.clinical.assign(
        overall_survival_event=(simulated.clinical["sex"] == "male") * 1.0
    )
    separated = People(rows, simulated.mutations, simulated.sample_assay)
    found = fitted(LogisticRegression(outcome=DEATH, terms=(SEX,)), separated)
    assert not bool(found["converged"])
    assert np.isnan(found["coef"].values).all()


def test_logistic__says_the_call_it_equals(simulated: People) -> None:
    found = fitted(LogisticRegression(outcome=TP53, terms=(AGE, SEX)), simulated)
    call = "glm(TP53 mutated ~ age_at_diagnosis + sex male + site, binomial)"
    assert str(found["equals"].values) == call


def test_prepare__the_outcome_is_yes_or_no(simulated: People) -> None:
    for outcome in (AGE, Term(field="overall_survival_days")):
        analysis = LogisticRegression(outcome=outcome, terms=(SEX,))
        with pytest.raises(Invalid, match="must be yes or no"):
            analysis.prepare(dataset(simulated))


def test_parameters__that_make_no_model() -> None:
    with pytest.raises(Invalid, match="without levels"):
        LogisticRegression(outcome=SEX, terms=(AGE,))
    with pytest.raises(Invalid, match="needs terms"):
        LogisticRegression(outcome=TP53, terms=())


def test_pooled__takes_the_intercepts_from_a_field() -> None:
    analysis = LogisticRegression(outcome=TP53, terms=(AGE,))
    assert analysis.pooled("site", ("a",)) is analysis
    assert analysis.pooled("site", ("a", "b")).labels == ("age_at_diagnosis", "site b")
