"""Cox and logistic regression of real cohorts against R's coxph and glm."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from peers import OUTCOMES, ask, assert_fit, endpoint, golden, keys, pick, terms, whom

from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.logistic_regression import LogisticRegression
from eucan_dask.federation import Federation

Federations = Callable[[str], Federation]
RTOL = 1e-8  # coefficients, standard errors, log-likelihoods, concordance; counts exactly
COX_KEY = ("dataset", "unit", "model", "strata", "ties")
COX_FIT = {
    "n": "n",
    "n_event": "n_event",
    "log_likelihood": "loglik",
    "log_likelihood_null": "loglik_null",
    "concordance": "concordance",
}
LOGISTIC_KEY = ("dataset", "unit", "outcome", "model", "centre")
LOGISTIC_FIT = {
    "n": "n",
    "n_event": "n_event",
    "log_likelihood": "loglik",
    "log_likelihood_null": "loglik_centres",
}


def different_fits() -> list[tuple[str, ...]]:
    """Golden fits, without Breslow's where no deaths are tied: R gives Efron's again there."""
    table = golden("cox_fit")
    repeats = table.duplicated(["dataset", "unit", "model", "strata", "loglik"])
    return keys(table[~repeats], *COX_KEY)


@pytest.mark.parametrize(COX_KEY, different_fits())
def test_cox__equals_coxph(
    federation: Federations, dataset: str, unit: str, model: str, strata: str, ties: str
) -> None:
    name, field = whom(dataset, unit, strata)
    analysis = CoxRegression(
        terms=terms(dataset, model), endpoint=endpoint(dataset), strata=field, ties=ties
    )
    answer = ask(federation(name), analysis)
    key = dict(zip(COX_KEY, (dataset, unit, model, strata, ties), strict=True))
    fit = pick(golden("cox_fit"), **key).iloc[0]
    assert_fit(answer, pick(golden("cox_terms"), **key), fit, COX_FIT, RTOL)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox__a_field_within_three_centres_equals_each_a_centre(
    federation: Federations, ties: str
) -> None:
    """Institutions lie within the grouped centres: strata give what eighteen centres give.

    No deaths are tied within an institution, so that both methods give the same.
    """
    key = {"dataset": "lung", "strata": "inst", "ties": ties}
    fit = pick(golden("cox_fit"), **key).iloc[0]
    analysis = CoxRegression(terms=terms("lung", fit["model"]), strata="institution", ties=ties)
    answer = ask(federation("lung"), analysis)
    assert_fit(answer, pick(golden("cox_terms"), **key), fit, COX_FIT, RTOL)


@pytest.mark.parametrize(LOGISTIC_KEY, keys(golden("logistic_fit"), *LOGISTIC_KEY))
def test_logistic__equals_glm_with_a_dummy_a_centre(
    federation: Federations, dataset: str, unit: str, outcome: str, model: str, centre: str
) -> None:
    """Two institutions of lung lost everybody: R's dummies run off there, the terms do not."""
    name, _ = whom(dataset, unit, centre)
    analysis = LogisticRegression(outcome=OUTCOMES[dataset], terms=terms(dataset, model))
    answer = ask(federation(name), analysis)
    key = dict(zip(LOGISTIC_KEY, (dataset, unit, outcome, model, centre), strict=True))
    fit = pick(golden("logistic_fit"), **key).iloc[0]
    assert_fit(answer, pick(golden("logistic_terms"), **key), fit, LOGISTIC_FIT, RTOL)
