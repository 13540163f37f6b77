"""Sums of the log-rank test over risk sets within strata."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["logrank_sums"]


def logrank_sums(
    time: NDArray[np.float64],
    event: NDArray[np.bool_],
    group: NDArray[np.int64],
    strata: NDArray[np.int64],
    n_groups: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Observed and expected events of each group and the covariance of their difference.

    Parameters
    ----------
    time, event
        Exact times and statuses (N,).
    group
        0 .. n_groups - 1, or -1 for people who take no part (N,).
    strata
        Risk sets are formed within a stratum; -1 takes no part (N,).

    Returns
    -------
    observed (G,), expected (G,), covariance (G, G): Klein & Moeschberger 2003, eq. 7.3.2-7.3.5,
    summed over strata.
    """
    observed = np.zeros(n_groups, np.int64)
    expected = np.zeros(n_groups)
    covariance = np.zeros((n_groups, n_groups))
    part = (group >= 0) & (strata >= 0)
    for stratum in np.unique(strata[part]):
        rows = part & (strata == stratum)
        o, e, v = _one_stratum(time[rows], event[rows], group[rows], n_groups)
        observed, expected, covariance = observed + o, expected + e, covariance + v
    return observed, expected, covariance


def _one_stratum(
    time: NDArray[np.float64],
    event: NDArray[np.bool_],
    group: NDArray[np.int64],
    n_groups: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    member = group[:, np.newaxis] == np.arange(n_groups)[np.newaxis, :]
    observed = (member & event[:, np.newaxis]).sum(axis=0, dtype=np.int64)
    moments = np.unique(time[event])
    first = np.searchsorted(np.sort(time), moments, side="left")
    at_risk = np.empty((moments.size, n_groups))
    for g in range(n_groups):
        own = np.sort(time[member[:, g]])
        at_risk[:, g] = own.size - np.searchsorted(own, moments, side="left")
    n = (time.size - first).astype(np.float64)
    d = np.bincount(np.searchsorted(moments, time[event]), minlength=moments.size)
    share = at_risk / n[:, np.newaxis] if moments.size else at_risk
    expected = (share * d[:, np.newaxis]).sum(axis=0)
    factor = np.divide(d * (n - d), n - 1, out=np.zeros(moments.size), where=n > 1)
    diagonal = np.diag((share * factor[:, np.newaxis]).sum(axis=0))
    covariance = diagonal - (share * factor[:, np.newaxis]).T @ share
    return observed, expected, covariance
