"""Cox's partial likelihood against lifelines, statsmodels, derivatives and a hand-worked table."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.utils import concordance_index
from statsmodels.duration.hazard_regression import PHReg

from eucan_dask.kernels.cox import concordance_counts, cox_sums, relative_weight

LIFELINES_WARNS = "ignore::DeprecationWarning:lifelines|formulaic|autograd"


def simulated(seed: int, n: int = 70) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times with ties, statuses, two covariates and three strata."""
    rng = np.random.default_rng(seed)
    x = np.stack([rng.normal(60, 10, n), rng.integers(0, 2, n)], axis=1)
    hazard = np.exp(0.04 * (x[:, 0] - 60) + 0.7 * x[:, 1])
    time = np.ceil(rng.exponential(8 / hazard))
    return time, rng.random(n) < 0.7, x, rng.integers(0, 3, n)


def over_strata(
    time: np.ndarray,
    event: np.ndarray,
    x: np.ndarray,
    strata: np.ndarray,
    beta: np.ndarray,
    *,
    efron: bool,
) -> list[np.ndarray]:
    parts = [
        cox_sums(time[strata == s], event[strata == s], x[strata == s], beta, efron=efron)
        for s in np.unique(strata)
    ]
    return [sum(part[i] for part in parts) for i in range(3)]


@pytest.mark.parametrize("efron", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_cox_sums__as_statsmodels(seed: int, *, efron: bool) -> None:
    time, event, x, strata = simulated(seed)
    ties = "efron" if efron else "breslow"
    model = PHReg(time, x, status=event, strata=strata, ties=ties)
    for beta in (np.zeros(2), np.array([0.03, 0.5]), np.array([-0.1, -1.0])):
        value, score, information = over_strata(time, event, x, strata, beta, efron=efron)
        assert value == pytest.approx(model.loglike(beta), rel=1e-10)
        np.testing.assert_allclose(score, model.score(beta), rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(information, -model.hessian(beta), rtol=1e-8, atol=1e-8)


@pytest.mark.filterwarnings(LIFELINES_WARNS)
def test_cox_sums__lifelines_maximum_is_ours() -> None:
    time, event, x, strata = simulated(5)
    frame = pd.DataFrame({"t": time, "e": event, "age": x[:, 0], "male": x[:, 1], "s": strata})
    fitter = CoxPHFitter().fit(
        frame, "t", "e", strata=["s"], fit_options={"precision": 1e-11}
    )  # Efron
    beta = fitter.params_[["age", "male"]].to_numpy()
    value, score, information = over_strata(time, event, x, strata, beta, efron=True)
    assert value == pytest.approx(fitter.log_likelihood_, rel=1e-10)
    np.testing.assert_allclose(score, 0, atol=1e-6 * np.sqrt(np.diag(information)).max())
    se = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(se, fitter.standard_errors_[["age", "male"]], rtol=1e-7)


def test_cox_sums__by_hand() -> None:
    """Times 1, 1, 2 with x = 0, 1, 1; both at time 1 die. theta = exp(beta), at beta = log 2.

    Breslow: theta / (1 + 2 theta)^2 = 2 / 25; Efron: theta / ((1 + 2 theta)(1 + 2 theta - (1 +
    theta) / 2)) = 2 / (5 * 3.5).
    """
    time, event = np.array([1.0, 1.0, 2.0]), np.array([True, True, False])
    x = np.array([[0.0], [1.0], [1.0]])
    beta = np.array([np.log(2)])
    breslow = cox_sums(time, event, x, beta, efron=False)
    efron = cox_sums(time, event, x, beta, efron=True)
    assert breslow[0] == pytest.approx(np.log(2 / 25), rel=1e-12)
    assert efron[0] == pytest.approx(np.log(2 / 17.5), rel=1e-12)
    assert breslow[1][0] == pytest.approx(1 - 2 * 4 / 5, rel=1e-12)
    assert breslow[2][0, 0] == pytest.approx(2 * (4 / 5) * (1 / 5), rel=1e-12)


@pytest.mark.parametrize("efron", [False, True])
def test_cox_sums__score_and_information_are_derivatives(*, efron: bool) -> None:
    time, event, x, _ = simulated(7, n=30)
    beta, step = np.array([0.02, -0.3]), 1e-5

    def at(b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return cox_sums(time, event, x, b, efron=efron)

    for i, direction in enumerate(np.eye(2) * step):
        up, down = at(beta + direction), at(beta - direction)
        assert (up[0] - down[0]) / (2 * step) == pytest.approx(at(beta)[1][i], rel=1e-5)
        np.testing.assert_allclose(
            -(up[1] - down[1]) / (2 * step), at(beta)[2][i], rtol=1e-5, atol=1e-6
        )


def test_cox_sums__large_means_do_not_cancel() -> None:
    time, event, x, _ = simulated(3)
    beta = np.array([0.03, 0.5])
    near, far = (cox_sums(time, event, x + shift, beta, efron=True) for shift in (0.0, 1e6))
    for a, b in zip(near, far, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_cox_sums__without_events_there_is_nothing_to_learn() -> None:
    value, score, information = cox_sums(
        np.array([1.0, 2.0]), np.zeros(2, bool), np.ones((2, 3)), np.zeros(3), efron=True
    )
    assert value == 0
    assert score.shape == (3,)
    assert not information.any()


@pytest.mark.parametrize("efron", [False, True])
def test_cox_sums__a_steep_beta_gives_finite_numbers(*, efron: bool) -> None:
    """Risks that differ by more than a float can hold: no number is lost, and none is too good."""
    time, event = np.arange(1.0, 6.0), np.ones(5, bool)
    x = np.array([[90.0], [20.0], [50.0], [30.0], [60.0]])
    value, score, information = cox_sums(time, event, x, np.array([40.0]), efron=efron)
    # each dead compared with the highest still at risk: 90-90, 20-60, 50-60, 30-60, 60-60
    assert np.isfinite(value)
    assert value <= 40 * -(40 + 10 + 30) + 1e-6
    assert np.isfinite(score).all()
    assert np.isfinite(information).all()


@pytest.mark.parametrize("beta", [0.0, 0.1, 40.0, -40.0])
def test_relative_weight__is_one_for_the_heaviest(beta: float) -> None:
    x = np.array([[90.0], [20.0], [50.0]])
    weight = relative_weight(x, np.array([beta]))
    assert weight.max() == 1.0
    assert (weight > 0).all()
    if abs(beta) < 1:
        np.testing.assert_allclose(weight, np.exp(beta * (x[:, 0] - (90 if beta >= 0 else 20))))
    assert relative_weight(x[:0], np.array([beta])).size == 0


# --- concordance ---


def by_pairs(time: np.ndarray, event: np.ndarray, risk: np.ndarray) -> tuple[int, int, int]:
    """Harrell's pairs, one by one."""
    concordant = discordant = tied = 0
    for i, j in itertools.permutations(range(time.size), 2):
        first = time[i] < time[j] or (time[i] == time[j] and event[i] and not event[j])
        if event[i] and first:
            concordant += risk[i] > risk[j]
            discordant += risk[i] < risk[j]
            tied += risk[i] == risk[j]
    return concordant, discordant, tied


@pytest.mark.parametrize("seed", range(5))
def test_concordance_counts__as_pair_by_pair(seed: int) -> None:
    time, event, x, _ = simulated(seed, n=40)
    risk = np.round(x[:, 0] / 5)
    assert concordance_counts(time, event, risk) == by_pairs(time, event, risk)


@pytest.mark.filterwarnings(LIFELINES_WARNS)
@pytest.mark.parametrize("seed", range(3))
def test_concordance_counts__as_lifelines(seed: int) -> None:
    time, event, x, _ = simulated(seed)
    risk = np.round(x[:, 0] / 4)
    concordant, discordant, tied = concordance_counts(time, event, risk)
    found = (concordant + tied / 2) / (concordant + discordant + tied)
    assert found == pytest.approx(concordance_index(time, -risk, event), rel=1e-12)


@pytest.mark.parametrize(
    ("time", "event", "risk", "expected"),
    [
        ([], [], [], (0, 0, 0)),
        ([1.0], [True], [1.0], (0, 0, 0)),
        ([1.0, 2.0], [True, True], [2.0, 1.0], (1, 0, 0)),
        ([1.0, 2.0], [True, True], [1.0, 2.0], (0, 1, 0)),
        ([1.0, 2.0], [True, False], [1.0, 1.0], (0, 0, 1)),
        ([1.0, 2.0], [False, True], [2.0, 1.0], (0, 0, 0)),
        ([1.0, 1.0], [True, True], [2.0, 1.0], (0, 0, 0)),
        ([1.0, 1.0], [True, False], [2.0, 1.0], (1, 0, 0)),
    ],
)
def test_concordance_counts__by_hand(
    time: list[float], event: list[bool], risk: list[float], expected: tuple[int, int, int]
) -> None:
    found = concordance_counts(np.array(time), np.array(event, bool), np.array(risk))
    assert found == expected
