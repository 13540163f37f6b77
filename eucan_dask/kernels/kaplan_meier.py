"""Kaplan-Meier and the restricted mean from counts on a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["count_on_grid", "kaplan_meier", "restricted_mean"]


def count_on_grid(
    people: NDArray[np.bool_], on_grid: NDArray[np.int64], n_times: int
) -> NDArray[np.int64]:
    """People (N, C) at each grid point: (C, T); those past the grid's end are left out."""
    counts = np.zeros((people.shape[1], n_times), dtype=np.int64)
    for column in range(people.shape[1]):
        found = np.bincount(on_grid[people[:, column]], minlength=n_times)
        counts[column] = found[:n_times]
    return counts


def kaplan_meier(
    event: NDArray[np.int64], at_risk: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Survival (C, T) and Greenwood's variance of its logarithm, from counts on a grid.

    NaN for a cohort with nobody at risk at the start; constant once nobody is.
    """
    some = at_risk > 0
    hazard = np.divide(event, at_risk, out=np.zeros(event.shape), where=some)
    survival = np.cumprod(1.0 - hazard, axis=1)
    rest = at_risk * (at_risk - event)
    terms = np.divide(event, rest, out=np.zeros(event.shape), where=rest > 0)
    terms[some & (rest == 0) & (event > 0)] = np.inf
    survival[~some[:, 0]] = np.nan
    return survival, np.cumsum(terms, axis=1)


def restricted_mean(
    times: NDArray[np.float64],
    survival: NDArray[np.float64],
    event: NDArray[np.int64],
    at_risk: NDArray[np.int64],
    horizons: tuple[float, ...],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Area under each curve up to each horizon and its standard error: (C, H) each, in days."""
    mean = np.full((survival.shape[0], len(horizons)), np.nan)
    se = mean.copy()
    for h, horizon in enumerate(horizons):
        upto = times < horizon
        edges = np.append(times[upto], horizon)
        areas = survival[:, upto] * np.diff(edges)
        mean[:, h] = areas.sum(axis=1)
        after = np.cumsum(areas[:, ::-1], axis=1)[:, ::-1]  # area from each grid point on
        d, n = event[:, upto], at_risk[:, upto]
        rest = n * (n - d)
        weight = np.divide(d, rest, out=np.zeros(d.shape), where=rest > 0)
        se[:, h] = np.sqrt((after**2 * weight).sum(axis=1))
    return mean, se
