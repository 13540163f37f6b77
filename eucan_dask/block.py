"""The work of one Dask task: open the shard where it lies, take a block of people, sum."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis, IterativeAnalysis, State
from eucan_dask.lazy import load
from eucan_dask.panel import Panel
from eucan_dask.store.open import open_store

__all__ = ["add", "compute", "evaluate", "plan", "take"]

BLOCK_INDIVIDUALS = 16_384

Arrays = dict[str, NDArray[Any]]


def plan(n_individuals: int, block_dim: str | None) -> list[tuple[int, int]]:
    """Ranges of individuals, one a task: a single one unless partials add up over people."""
    if block_dim is None or n_individuals <= BLOCK_INDIVIDUALS:
        return [(0, n_individuals)]
    starts = range(0, n_individuals, BLOCK_INDIVIDUALS)
    return [(start, min(start + BLOCK_INDIVIDUALS, n_individuals)) for start in starts]


@lru_cache(maxsize=32)  # an in-process federation holds many sites
def _prepared(store: Path, freeze: str, analysis: Analysis, panel: Panel) -> xr.Dataset:
    return panel.align(analysis.prepare(open_store(store, freeze=freeze).dataset()))


def compute(
    store: Path,
    freeze: str,
    analysis: Analysis,
    panel: Panel,
    members: NDArray[np.bool_],
    block: tuple[int, int],
    state: State | None,
) -> Arrays:
    """The partial of one block as plain arrays; runs on the worker that holds the shard.

    Parameters
    ----------
    members
        The analysis set, (individuals, cohorts), of the whole store.
    block
        First and past-the-last individual.
    """
    ds = _prepared(store, freeze, analysis, panel)
    whole = ds.assign(individual_cohort=(("individuals", "cohorts"), members))
    return evaluate(analysis, take(whole, *block), panel, state)


def evaluate(
    analysis: Analysis, ds: xr.Dataset, panel: Panel, state: State | None = None
) -> Arrays:
    """`analysis.partial` over a prepared, aligned dataset, computed in this thread."""
    if isinstance(analysis, IterativeAnalysis):
        partial = analysis.partial(ds, panel, state)
    else:
        partial = analysis.partial(ds, panel)
    done = partial.compute(scheduler="synchronous")
    if {str(n) for n in done.data_vars} != {spec.name for spec in analysis.yields}:
        return {str(name): done[name].values for name in done.data_vars}
    # dims in declared order, so that sums over blocks and sites line up
    return {s.name: done[s.name].transpose(*s.dims).values for s in analysis.yields}


def take(ds: xr.Dataset, start: int, stop: int) -> xr.Dataset:
    """The individuals from `start` to `stop`, with their samples and mutations.

    Samples lie in order of individuals and mutations in order of samples, so each is a range.
    """
    if start == 0 and stop >= ds.sizes["individuals"]:
        return ds
    first, last = np.searchsorted(ds["sample_individual"].values, [start, stop])
    part = ds.isel(individuals=slice(start, stop), samples=slice(first, last))
    part["sample_individual"] = part["sample_individual"] - start
    if "mutation_sample" in ds:
        (owner,) = load(ds["mutation_sample"].data)
        part = part.isel(mutations=slice(*np.searchsorted(owner, [first, last])))
        part["mutation_sample"] = part["mutation_sample"] - np.int32(first)
    return part


def add(left: Arrays, right: Arrays) -> Arrays:
    """The sum of two partials, variable by variable."""
    return {name: left[name] + right[name] for name in left}
