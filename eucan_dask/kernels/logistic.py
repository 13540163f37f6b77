"""Logistic likelihood with the intercept maximised out, so that it never has to be shared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["logistic_sums", "logistic_weight", "profile_intercept"]

Float = NDArray[np.float64]


def expit(x: Float) -> Float:
    """1 / (1 + exp(-x)) without overflow, exact in both tails."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))


def logistic_sums(y: NDArray[np.bool_], x: Float, beta: Float) -> tuple[float, Float, Float]:
    """Profile log-likelihood, score (P,) and information (P, P) of one site at `beta`.

    Parameters
    ----------
    y, x
        Outcomes (N,) and covariates (N, P), none missing.

    Notes
    -----
    With a(beta) the intercept that maximises the likelihood given beta, the profile's score is
    X'(y - p) and its information the Schur complement X'WX - X'w w'X / sum(w): Newton's steps in
    beta summed over sites converge to the joint maximum with one intercept a site. Where all
    outcomes are equal the intercept runs off, and the site adds nothing.
    """
    p = x.shape[1]
    if y.all() or not y.any():
        return 0.0, np.zeros(p), np.zeros((p, p))
    centred = x - x.mean(axis=0)
    eta = centred @ beta
    eta = eta + profile_intercept(eta, y)
    prob = expit(eta)
    weight = prob * expit(-eta)
    log_likelihood = -float(np.logaddexp(0.0, np.where(y, -eta, eta)).sum())
    score = centred.T @ (y - prob)
    cross = centred.T @ weight
    information = (centred * weight[:, np.newaxis]).T @ centred
    return log_likelihood, score, information - np.outer(cross, cross) / weight.sum()


def logistic_weight(y: NDArray[np.bool_], x: Float, beta: Float) -> Float:
    """Weight p (1 - p) of each person in the information, (N,); 1 where the site adds nothing."""
    if y.all() or not y.any():
        return np.ones(y.size)
    eta = x @ beta
    eta = eta + profile_intercept(eta, y)
    return np.asarray(expit(eta) * expit(-eta))


def profile_intercept(eta: Float, y: NDArray[np.bool_]) -> float:
    """The intercept at which expected and observed outcomes are equally many.

    Newton's method kept inside a bracket that bisection shrinks; to 1e-13 or 200 steps.
    """
    target = float(y.sum())
    start = np.log(target / (y.size - target))
    low, high = start - eta.max(), start - eta.min()
    at = 0.5 * (low + high)
    for _ in range(200):
        prob = expit(eta + at)
        gap = float(prob.sum()) - target
        if gap > 0:
            high = at
        else:
            low = at
        slope = float((prob * (1 - prob)).sum())
        step = at - gap / slope if slope > 0 else 0.5 * (low + high)
        new = step if low <= step <= high else 0.5 * (low + high)
        if abs(new - at) <= 1e-13 * max(1.0, abs(at)):
            return float(new)
        at = new
    return float(at)
