"""The log-rank sums against a table worked by hand, lifelines and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines.statistics import multivariate_logrank_test
from statsmodels.duration.survfunc import survdiff

from eucan_dask.kernels.logrank import logrank_sums

LIFELINES_WARNS = "ignore::DeprecationWarning:lifelines|formulaic|autograd"


def simulated(seed: int, n: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times with many ties, statuses, three groups and four strata."""
    rng = np.random.default_rng(seed)
    time = rng.integers(1, 15, n).astype(float)
    return time, rng.random(n) < 0.6, rng.integers(0, 3, n), rng.integers(0, 4, n)


def chi_square(observed: np.ndarray, expected: np.ndarray, covariance: np.ndarray) -> float:
    excess = (observed - expected)[:-1]
    return float(excess @ np.linalg.solve(covariance[:-1, :-1], excess))


def test_logrank_sums__by_hand() -> None:
    """Group 0: 1, 3, 5+; group 1: 2, 3, 4+ (+ is a withdrawal).

    t = 1: d = 1 of n = 6, three at risk in each group: E0 = 1/2, V = 1/4
    t = 2: d = 1 of n = 5, two at risk in group 0:      E0 = 2/5, V = 6/25
    t = 3: d = 2 of n = 4, two at risk in each:         E0 = 1,   V = 2 * 2/3 * 1/4 = 1/3
    """
    time = np.array([1.0, 3.0, 5.0, 2.0, 3.0, 4.0])
    event = np.array([True, True, False, True, True, False])
    group = np.array([0, 0, 0, 1, 1, 1])
    observed, expected, covariance = logrank_sums(time, event, group, np.zeros(6, np.int64), 2)
    assert observed.tolist() == [2, 2]
    np.testing.assert_allclose(expected, [1.9, 2.1], rtol=1e-14)
    variance = 1 / 4 + 6 / 25 + 1 / 3
    np.testing.assert_allclose(covariance, variance * np.array([[1, -1], [-1, 1]]), rtol=1e-14)


@pytest.mark.parametrize("seed", range(4))
def test_logrank_sums__as_statsmodels_with_strata(seed: int) -> None:
    time, event, group, strata = simulated(seed)
    statistic, _ = survdiff(time, event, group, strata=strata)
    sums = logrank_sums(time, event, group, strata, 3)
    assert chi_square(*sums) == pytest.approx(statistic, rel=1e-10)


@pytest.mark.filterwarnings(LIFELINES_WARNS)
@pytest.mark.parametrize("seed", range(4))
def test_logrank_sums__as_lifelines(seed: int) -> None:
    time, event, group, _ = simulated(seed)
    found = multivariate_logrank_test(time, group, event)
    sums = logrank_sums(time, event, group, np.zeros(time.size, np.int64), 3)
    assert chi_square(*sums) == pytest.approx(found.test_statistic, rel=1e-10)


def test_logrank_sums__strata_add_up() -> None:
    time, event, group, strata = simulated(9)
    whole = logrank_sums(time, event, group, strata, 3)
    parts = [
        logrank_sums(
            time[strata == s], event[strata == s], group[strata == s], strata[strata == s], 3
        )
        for s in range(4)
    ]
    for i, total in enumerate(whole):
        np.testing.assert_allclose(total, sum(part[i] for part in parts), rtol=1e-12)


def test_logrank_sums__who_takes_no_part_changes_nothing() -> None:
    time, event, group, strata = simulated(2)
    out = np.arange(time.size) % 5 == 0
    with_them = logrank_sums(time, event, np.where(out, -1, group), strata, 3)
    other = logrank_sums(time, event, group, np.where(out, -1, strata), 3)
    without = logrank_sums(time[~out], event[~out], group[~out], strata[~out], 3)
    for a, b, c in zip(with_them, other, without, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, c)


@pytest.mark.parametrize(
    ("time", "event"), [([], []), ([3.0], [True]), ([3.0, 4.0], [False, False])]
)
def test_logrank_sums__next_to_nothing(time: list[float], event: list[bool]) -> None:
    n = len(time)
    observed, expected, covariance = logrank_sums(
        np.array(time), np.array(event, bool), np.zeros(n, np.int64), np.zeros(n, np.int64), 2
    )
    assert observed.tolist() == [sum(event), 0]
    np.testing.assert_array_equal(expected, observed)  # alone in the risk set
    assert not covariance.any()
