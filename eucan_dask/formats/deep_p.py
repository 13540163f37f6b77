"""p-values of Student's t that are too small for a float, as -log10."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

__all__ = ["deep_log10"]

Number = NDArray[np.float64]
_LEAST = 20.0  # below, p is a float anyway and the series is not meant
_TERMS = 60


def deep_log10(statistic: Number, freedom: Number) -> Number:
    """-log10 of the two-sided p of Student's t; NaN for |t| < 20 or without degrees of freedom.

    p is the regularised incomplete beta function I_x(a, 1/2) with a = freedom / 2 and
    x = freedom / (freedom + t^2). Its hypergeometric form, turned by Pfaff's rule, is
    x^a (1 - x)^(-1/2) F(1/2, 1; a + 1; -freedom / t^2) / (a B(a, 1/2)); for a t so large the
    terms of F fall at once, as those of the normal tail do, and every other factor has a tame
    logarithm.
    """
    known = np.isfinite(statistic) & (np.abs(statistic) >= _LEAST) & (freedom > 0)
    square = np.where(known, np.square(statistic), np.nan)
    freedom = np.where(known, freedom, np.nan)
    a = freedom / 2
    term = total = np.ones(len(a))
    for k in range(_TERMS):
        term = term * -(k + 0.5) / (a + 1 + k) * (freedom / square)
        total = total + term
    log_p = (
        -a * np.log1p(square / freedom)
        - 0.5 * np.log(square / (freedom + square))
        - np.log(a)
        - betaln(a, 0.5)
        + np.log(total)
    )
    return np.asarray(-log_p / np.log(10.0))
