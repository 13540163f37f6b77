"""What the rules look at: one answer of a site, or the pool of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis
from eucan_dask.overlap import Overlap
from eucan_dask.panel import Panel
from eucan_dask.partial import Cells, Hidden, PartialSpec, Record
from eucan_dask.policy import Thresholds

__all__ = ["Case", "coded", "within_cell"]


@dataclass(frozen=True, repr=False)
class Case:
    """What the rules look at: one analysis, its arrays by name, and how many people stand behind.

    Parameters
    ----------
    arrays
        The declared variables, evidence and supports included, as labelled arrays. On a pool what
        the sites sent: supports, and what they capped, under `trusted` and `masked` alone.
    cohort_n
        People of the analysis set in each cohort, (cohorts,).
    n_rounds
        Rounds answered for this fit, this one included.
    public
        The data are public or synthetic: a model is not weighed against its people.
    moved
        Variants (variants,) answered at another mean before, of which few people have no call.
    overlap
        How the cohorts lie in one another; None where it is not known.
    pool
        At a site, under `trusted` and `masked`: the thresholds that the pool is judged by.
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
    overlap: Overlap | None = None
    pool: Thresholds | None = None

    def spec(self, name: str) -> PartialSpec:
        """The declaration of a variable."""
        return next(spec for spec in self.analysis.yields if spec.name == name)

    def are_cells(self, cells: Cells) -> xr.DataArray:
        """Where the entries of a support are cells."""
        there = xr.ones_like(self.arrays[cells.name], dtype=bool)
        for name in cells.of:
            there = there & (self.arrays[name] > 0)
        if cells.unless:
            there = there & (self.arrays[cells.unless] == 0)
        return there


def coded(where: xr.DataArray, code: Hidden) -> xr.DataArray:
    """`code` where `where` holds, 0 elsewhere."""
    codes: xr.DataArray = xr.where(where, np.uint8(code), np.uint8(0)).astype(np.uint8)
    return codes


def within_cell(failing: xr.DataArray, record: Record) -> xr.DataArray:
    """Cells of a record in which anything fails."""
    inner = [dim for dim in failing.dims if dim not in record.dims]
    return failing.any(inner) if inner else failing
