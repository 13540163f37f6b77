"""Linear regression from centred sums, against least squares with dummies."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from eucan_dask.kernels.genotype import MISSING
from eucan_dask.kernels.linear import least_squares, residual, variant_sums

SITES = (13, 1, 30, 25)


def simulated(
    seed: int, *, p: int, t: int, missing: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Codes (V, N), covariates, traits and sites of people."""
    rng = np.random.default_rng(seed)
    site = np.repeat(np.arange(len(SITES)), SITES)
    n = site.size
    share = rng.uniform(0.1, 0.9, size=(6, 1))
    codes = rng.binomial(2, share, size=(6, n)).astype(np.uint8)
    codes[rng.random(codes.shape) < missing] = MISSING
    x = rng.normal(5, 3, size=(n, p)) + site[:, np.newaxis]
    y = rng.normal(100, 10, size=(n, t)) + 2 * np.where(codes[0] == MISSING, 0, codes[0])[:, None]
    return codes, x, y, site


def dosages(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Copies with missing ones at the mean, and the mean (V,)."""
    known = np.where(codes == MISSING, np.nan, codes)
    mean = np.nanmean(known, axis=1)
    return np.where(np.isnan(known), mean[:, np.newaxis], known), mean


def federated(
    codes: np.ndarray, x: np.ndarray, y: np.ndarray, site: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Slope, standard error, degrees of freedom and rank, from sums over the sites."""
    mean = dosages(codes)[1]
    p, total = x.shape[1], []
    for number in np.unique(site):
        here = site == number
        raw = np.concatenate([x[here], y[here]], axis=1)
        z = raw - raw.mean(axis=0)
        square, cross = variant_sums(codes[:, here], mean, z)
        total.append((z.T @ z, square, cross))
    zz, xx, xz = (sum(part[i] for part in total) for i in range(3))
    left = residual(zz[:p, :p], xz[:, :p], zz[:p, p:], xx, xz[:, p:], np.diag(zz)[p:])
    dof = site.size - len(np.unique(site)) - left[3] - 1
    beta, se = least_squares(*left[:3], dof)
    return beta, se, dof, left[3]


def by_lstsq(
    dosage: np.ndarray, x: np.ndarray, y: np.ndarray, site: np.ndarray
) -> tuple[float, float]:
    """Slope of one variant and its standard error, with a dummy a site."""
    dummies = (site[:, np.newaxis] == np.unique(site)).astype(float)
    design = np.column_stack([dosage, dummies, x])
    beta, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    rss = ((y - design @ beta) ** 2).sum()
    covariance = np.linalg.pinv(design.T @ design, rcond=1e-12) * rss / (y.size - rank)
    return float(beta[0]), float(np.sqrt(covariance[0, 0]))


@pytest.mark.parametrize(("p", "t"), [(0, 1), (1, 1), (3, 2), (0, 3)])
def test_least_squares__as_lstsq_with_dummies(p: int, t: int) -> None:
    codes, x, y, site = simulated(p + 10 * t, p=p, t=t)
    beta, se, dof, rank = federated(codes, x, y, site)
    assert (rank, dof) == (p, site.size - len(SITES) - p - 1)
    filled = dosages(codes)[0]
    for v in range(len(codes)):
        for k in range(t):
            expected = by_lstsq(filled[v], x, y[:, k], site)
            np.testing.assert_allclose((beta[v, k], se[v, k]), expected, rtol=1e-9)


def test_residual__collinear_and_constant_covariates_count_once() -> None:
    codes, x, y, site = simulated(5, p=2, t=1)
    wide = np.column_stack([x, x[:, 0] * 3 - x[:, 1], np.full(site.size, 7.0), site, 1e9 * x[:, 0]])
    beta, se, dof, rank = federated(codes, wide, y, site)
    assert rank == 2
    expected = federated(codes, x, y, site)
    np.testing.assert_allclose(beta, expected[0], rtol=1e-8)
    np.testing.assert_allclose(se, expected[1], rtol=1e-8)
    assert dof == expected[2]


def test_residual__scales_of_the_covariates_do_not_matter() -> None:
    codes, x, y, site = simulated(6, p=3, t=1)
    plain, scaled = federated(codes, x, y, site), federated(codes, x * [1e-9, 1, 1e9], y, site)
    np.testing.assert_allclose(scaled[0], plain[0], rtol=1e-9)
    np.testing.assert_allclose(scaled[1], plain[1], rtol=1e-9)


@pytest.mark.parametrize("kind", ["monomorphic", "all missing", "one a site", "a covariate"])
def test_least_squares__without_variation_is_undefined(kind: str) -> None:
    codes, x, y, site = simulated(7, p=1, t=2, missing=0)
    if kind == "monomorphic":
        codes[1] = 2
    elif kind == "all missing":
        codes[1] = MISSING
    elif kind == "one a site":
        codes[1] = site % 3
    else:
        x = codes[1][:, np.newaxis] * 4.5 + 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean = np.where((codes == MISSING).all(axis=1), np.nan, 0)
        assert np.isnan(mean).sum() == (kind == "all missing")
        filled = codes.copy()
        filled[1] = 0 if kind == "all missing" else codes[1]  # pooled mean 0 / 0 is taken for 0
        beta, se, _, _ = federated(filled, x, y, site)
    assert np.isnan(beta[1]).all()
    assert np.isnan(se[1]).all()
    assert np.isfinite(beta[0]).all()


def test_variant_sums__nothing_is_known_before_the_mean_is() -> None:
    codes, x, y, _ = simulated(8, p=1, t=1)
    square, cross = variant_sums(codes, np.full(len(codes), np.nan), np.column_stack([x, y]))
    assert not square.any()
    assert not cross.any()


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_variant_sums__nobody_or_no_variant(shape: tuple[int, int]) -> None:
    codes = np.zeros(shape, dtype=np.uint8)
    square, cross = variant_sums(codes, np.zeros(shape[0]), np.zeros((shape[1], 2)))
    assert square.shape == (shape[0],)
    assert cross.shape == (shape[0], 2)
    assert not cross.any()


def test_least_squares__no_degrees_of_freedom() -> None:
    beta, se = least_squares(np.array([2.0]), np.array([[1.0]]), np.array([3.0]), 0)
    assert beta.tolist() == [[0.5]]
    assert np.isnan(se).all()
