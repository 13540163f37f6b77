"""Structural rules: the whole request is answered or refused."""

from __future__ import annotations

from collections.abc import Callable

from eucan_dask.case import Case
from eucan_dask.errors import Refused

__all__ = ["STRUCTURAL"]

Structural = Callable[[Case], Refused | None]


def min_individuals_whole(case: Case) -> Refused | None:
    """A fit rests on at least `min_individuals` people at this site."""
    if not any(record.roster == "run" for record in case.analysis.records):
        return None
    if case.cohort_n.sum() >= case.thresholds.min_individuals:
        return None
    return Refused("min_individuals", "widen the cohort, or leave this site out")


def max_parameter_ratio(case: Case) -> Refused | None:
    """Parameters of a model per event; the fewer of events and non-events where both exist."""
    p = case.analysis.n_parameters(case.panel)
    if not p or case.public:
        return None
    if p <= case.thresholds.max_parameter_ratio * int(case.arrays["n_effective"]):
        return None
    return Refused("max_parameter_ratio", "use fewer terms, or widen the cohort")


def min_residual_dof(case: Case) -> Refused | None:
    """People minus parameters."""
    p = case.analysis.n_parameters(case.panel)
    if not p or case.public:
        return None
    if int(case.arrays["n_individuals"]) - p >= case.thresholds.min_residual_dof:
        return None
    return Refused("min_residual_dof", "use fewer terms, or widen the cohort")


def min_effective_weight(case: Case) -> Refused | None:
    """No state, crafted or not, lets a sum rest on fewer people than it should: Kish's number."""
    p = case.analysis.n_parameters(case.panel)
    if not p or case.public:
        return None
    if int(case.arrays["n_weight"]) >= max(10 * p, case.thresholds.min_individuals):
        return None
    return Refused("min_effective_weight", "use fewer terms, or widen the cohort")


def transcript(case: Case) -> Refused | None:
    """Where sums are seen, all rounds together hold at most one number a person."""
    p = case.analysis.n_parameters(case.panel)
    if not p or case.aggregator == "masked" or case.public:
        return None
    if case.n_rounds * p * (p + 3) / 2 <= int(case.arrays["n_individuals"]):
        return None
    return Refused("transcript", "use fewer terms, or an aggregator that does not show the sums")


def min_cell_of_terms(case: Case) -> Refused | None:
    """Cells that yes/no terms and the outcome form are not small.

    A model's sums over 0/1 columns are counts, and their products cross-tabulations.
    """
    if not case.analysis.n_parameters(case.panel) or case.public:
        return None
    if int(case.arrays["n_smallest_cell"]) >= case.thresholds.min_cell:
        return None
    return Refused("min_cell_of_terms", "drop or merge rare levels, or widen the cohort")


def dominance_of_terms(case: Case) -> Refused | None:
    """The two largest hold at most `dominance_share` of a sum over covariates, or of squares."""
    if not case.analysis.n_parameters(case.panel) or case.public:
        return None
    if int(case.arrays["n_dominant"]) <= 1000 * case.thresholds.dominance_share:
        return None
    return Refused("dominance_of_terms", "leave out the term, or ask for it in classes")


def clear_levels(case: Case) -> Refused | None:
    """Two values of a column are the same two at every site, so that its cells can be pooled."""
    if case.aggregator == "none" or "n_unclear" not in case.arrays or case.public:
        return None
    if not int(case.arrays["n_unclear"]):
        return None
    return Refused("clear_levels", "code a field of two values as 0 and 1, or 1 and 2")


def one_mean_whole(case: Case) -> Refused | None:
    """As `one_mean`, where a site cannot hide a variant: it would be missing from the sum."""
    if case.aggregator != "masked" or case.moved is None or not case.moved.any():
        return None
    return Refused("one_mean", "ask the sites that were asked before")


STRUCTURAL: tuple[Structural, ...] = (
    min_individuals_whole,
    min_cell_of_terms,
    dominance_of_terms,
    max_parameter_ratio,
    min_residual_dof,
    min_effective_weight,
    transcript,
    clear_levels,
    one_mean_whole,
)
