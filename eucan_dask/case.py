"""What the rules look at: one answer of a site, or the pool of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis
from eucan_dask.panel import Panel
from eucan_dask.partial import PartialSpec
from eucan_dask.policy import Thresholds

__all__ = ["Case"]


@dataclass(frozen=True, repr=False)
class Case:
    """What the rules look at: one analysis, its arrays by name, and how many people stand behind.

    Parameters
    ----------
    arrays
        The declared variables, evidence included, as labelled arrays.
    cohort_n
        People of the analysis set in each cohort, (cohorts,).
    n_rounds
        Rounds answered for this fit, this one included.
    public
        The data are public or synthetic: a model is not weighed against its people.
    moved
        Variants (variants,) answered at another mean before, of which few people have no call.
    """

    analysis: Analysis
    panel: Panel
    arrays: xr.Dataset
    cohort_n: NDArray[np.int64]
    thresholds: Thresholds
    aggregator: str = "none"
    n_rounds: int = 1
    public: bool = False
    moved: NDArray[np.bool_] | None = None

    def spec(self, name: str) -> PartialSpec:
        """The declaration of a variable."""
        return next(spec for spec in self.analysis.yields if spec.name == name)
