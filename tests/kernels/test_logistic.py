"""The profiled logistic likelihood against statsmodels with an intercept a site."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from eucan_dask.kernels.logistic import expit, logistic_sums, logistic_weight, profile_intercept


def simulated(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, two covariates and three sites of different prevalence."""
    rng = np.random.default_rng(seed)
    x = np.stack([rng.normal(60, 10, n), rng.integers(0, 2, n)], axis=1)
    site = rng.integers(0, 3, n)
    logit = 0.05 * (x[:, 0] - 60) - 0.8 * x[:, 1] + np.array([-1.0, 0.0, 1.5])[site]
    return rng.random(n) < expit(logit), x, site


@pytest.mark.parametrize("seed", range(3))
def test_logistic_sums__the_joint_maximum_with_a_dummy_a_site_is_ours(seed: int) -> None:
    y, x, site = simulated(seed)
    dummies = (site[:, np.newaxis] == np.arange(3)).astype(float)
    fit = sm.Logit(y, np.column_stack([x, dummies])).fit(
        disp=False, method="newton", tol=1e-13, maxiter=100
    )
    beta = fit.params[:2]
    parts = [logistic_sums(y[site == s], x[site == s], beta) for s in range(3)]
    value, score, information = (sum(part[i] for part in parts) for i in range(3))
    assert value == pytest.approx(fit.llf, rel=1e-10)
    np.testing.assert_allclose(score, 0, atol=1e-6)
    covariance = np.linalg.inv(information)
    np.testing.assert_allclose(covariance, fit.cov_params()[:2, :2], rtol=1e-6)


def test_logistic_sums__the_null_has_one_intercept() -> None:
    y, x, _ = simulated(1)
    value = logistic_sums(y, x, np.zeros(2))[0]
    p = y.mean()
    assert value == pytest.approx(y.sum() * np.log(p) + (~y).sum() * np.log(1 - p), rel=1e-12)


def test_logistic_sums__score_and_information_are_derivatives_of_the_profile() -> None:
    y, x, _ = simulated(4, n=60)
    beta, step = np.array([0.03, -0.5]), 1e-5
    _, score, information = logistic_sums(y, x, beta)
    for i, direction in enumerate(np.eye(2) * step):
        up, down = logistic_sums(y, x, beta + direction), logistic_sums(y, x, beta - direction)
        assert (up[0] - down[0]) / (2 * step) == pytest.approx(score[i], rel=1e-5, abs=1e-5)
        np.testing.assert_allclose(
            -(up[1] - down[1]) / (2 * step), information[i], rtol=1e-5, atol=1e-5
        )


def test_logistic_sums__weights_are_p_times_one_less_p() -> None:
    y, x, _ = simulated(1)
    weight = logistic_weight(y, x, np.zeros(2))
    np.testing.assert_allclose(weight, y.mean() * (1 - y.mean()), rtol=1e-9)


@pytest.mark.parametrize("y", [np.ones(5, bool), np.zeros(5, bool), np.zeros(0, bool)])
def test_logistic_sums__equal_outcomes_add_nothing(y: np.ndarray) -> None:
    value, score, information = logistic_sums(y, np.ones((y.size, 2)), np.zeros(2))
    weight = logistic_weight(y, np.ones((y.size, 2)), np.zeros(2))
    assert weight.tolist() == [1.0] * y.size
    assert value == 0
    assert not score.any()
    assert not information.any()


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 1000.0])
def test_profile_intercept__expects_as_many_as_there_are(scale: float) -> None:
    rng = np.random.default_rng(0)
    eta = scale * rng.normal(size=50)
    y = np.arange(50) < 17
    at = profile_intercept(eta, y)
    assert expit(eta + at).sum() == pytest.approx(17, abs=1e-6)


def test_expit__is_exact_in_both_tails() -> None:
    np.testing.assert_allclose(expit(np.array([0.0])), 0.5)
    np.testing.assert_allclose(expit(np.array([-700.0])), np.exp(-700.0), rtol=1e-12)
    assert expit(np.array([-1e4]))[0] == 0
    assert expit(np.array([1e4]))[0] == 1
