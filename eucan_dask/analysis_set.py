"""Who takes part in an answer: members of its cohorts whose needed fields are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis
from eucan_dask.cohort import Cohort, known
from eucan_dask.effect import without_needles
from eucan_dask.errors import Invalid, unknown

__all__ = ["AnalysisSet", "analysis_set"]

DATA = {"mutation_gene": "mutations", "sample_assay": "mutations", "sample_genotype": "genotypes"}


@dataclass(frozen=True, repr=False)
class AnalysisSet:
    """Who answers: members by the criteria, and people used, both (individuals, cohorts).

    `eligible`, (individuals,), says whose needed fields are known; `classifications`, by whose
    levels of which fields people are counted.
    """

    question: tuple[object, ...]
    individuals: tuple[str, ...]
    criteria: NDArray[np.bool_]
    eligible: NDArray[np.bool_]
    used: NDArray[np.bool_]
    classifications: tuple[NDArray[np.int64], ...] = ()


def analysis_set(
    ds: xr.Dataset,
    analysis: Analysis,
    cohorts: tuple[Cohort, ...],
    complete: tuple[str, ...],
    *,
    least: int = 0,
) -> AnalysisSet:
    """Who takes part: members by the criteria whose needed fields are known.

    Parameters
    ----------
    least
        Whom a criterion decides about is left out where they are fewer; below 2 nobody is.

    Raises
    ------
    Refused
        If criteria decide one by one about so many people.
    Invalid
        If the store lacks a field the analysis, a cohort or `complete` names.
    """
    for name in analysis.needs():
        if name not in ds and name in DATA:
            raise Invalid(f"there are no {DATA[name]} here", where=analysis.name)
        if name not in ds:
            short = name.removeprefix("individual_")
            names = [str(v).removeprefix("individual_") for v in ds.data_vars]
            raise unknown("field", short, names, where=analysis.name)
    criteria = without_needles(ds, cohorts, least=least)
    eligible = analysis.prepare(ds)["individual_eligible"].values.copy()
    for name in complete:
        eligible &= known(ds, name)
    ids = tuple(map(str, ds["individual_id"].values))
    question = (analysis, cohorts, complete)
    used = criteria & eligible[:, np.newaxis]
    return AnalysisSet(question, ids, criteria, eligible, used, analysis.classifications(ds))
