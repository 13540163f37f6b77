"""The work of one Dask task: open the shard where it lies, take a block of it, sum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis, IterativeAnalysis, State
from eucan_dask.genotype import align_variants
from eucan_dask.lazy import load
from eucan_dask.panel import Panel
from eucan_dask.store.open import Store, open_store
from eucan_dask.store.variant_read import open_variants, shard_runs

__all__ = [
    "Block",
    "add",
    "compute",
    "evaluate",
    "n_tasks",
    "part_of_panel",
    "plan",
    "take",
    "widen",
]

BLOCK_INDIVIDUALS = 16_384
BLOCK_BYTES = 32 * 2**20  # of packed calls in one task

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Block:
    """What one task looks at: `start` to `stop` of individuals, or of the panel's variants.

    Parameters
    ----------
    shard
        Path of the shard that holds the variants, in the freeze; "" where none does.
    """

    start: int
    stop: int
    shard: str = ""


def plan(store: Store, analysis: Analysis, panel: Panel, n_individuals: int) -> list[Block]:
    """The blocks of a question; they depend on the store and the question alone."""
    if analysis.block_dim == "variants":
        step = _variants_of_a_task(store)
        return [
            Block(start, min(start + step, last), path)
            for path, first, last in shard_runs(store.manifest, panel.variants)
            for start in range(first, last, step)
        ]
    step = n_individuals if analysis.block_dim is None else BLOCK_INDIVIDUALS
    starts = range(0, max(n_individuals, 1), max(step, 1))
    return [Block(start, min(start + step, n_individuals)) for start in starts]


def n_tasks(store: Store, analysis: Analysis, panel: Panel, n_individuals: int) -> int:
    """Tasks of a question as told outside: of variants, as if one shard held those asked for.

    How many it really takes depends on which of them the site holds.
    """
    if analysis.block_dim == "variants":
        n = max(1, -(-len(panel.variants) // _variants_of_a_task(store)))
    else:
        n = len(plan(store, analysis, panel, n_individuals))
    return 2 * n - 1


def _variants_of_a_task(store: Store) -> int:
    width = max((shard.n_samples for shard in store.manifest.variants), default=0) // 4 + 1
    return max(64, BLOCK_BYTES // width)


@lru_cache(maxsize=32)  # an in-process federation holds many sites
def _prepared(store: Path, freeze: str, analysis: Analysis, panel: Panel) -> xr.Dataset:
    return panel.align(analysis.prepare(open_store(store, freeze=freeze).dataset()))


def compute(
    store: Path,
    freeze: str,
    analysis: Analysis,
    panel: Panel,
    members: NDArray[np.bool_],
    block: Block,
    state: State | None,
) -> Arrays:
    """The partial of one block as plain arrays; runs on the worker that holds the shard.

    Parameters
    ----------
    members
        The analysis set, (individuals, cohorts), of the whole store.
    """
    ds = _prepared(store, freeze, analysis, replace(panel, variants=()))
    whole = ds.assign(individual_cohort=(("individuals", "cohorts"), members))
    if analysis.block_dim != "variants":
        return evaluate(analysis, take(whole, block.start, block.stop), panel, state)
    part, own = part_of_panel(panel, state, block.start, block.stop)
    width = int(ds["sample_genotype"].values.max(initial=-1)) // 4 + 1
    calls = open_variants(
        store / "freezes" / freeze, block.shard, part.variants, sample_bytes=width
    )
    arrays = evaluate(analysis, align_variants(whole.merge(calls), part.variants), part, own)
    return widen(analysis, arrays, len(panel.variants), block.start)


def part_of_panel(
    panel: Panel, state: State | None, start: int, stop: int
) -> tuple[Panel, State | None]:
    """The panel, and what the state says of it, for some of the variants."""
    own = state and {
        name: values[start:stop] if name.startswith("variant_") else values
        for name, values in state.items()
    }
    return replace(panel, variants=panel.variants[start:stop]), own


def widen(analysis: Analysis, arrays: Arrays, n_variants: int, start: int) -> Arrays:
    """Arrays of some variants among zeros for all; without that dimension, the first block's.

    So that the blocks of a question add up.
    """
    dims = {spec.name: spec.dims for spec in analysis.yields}
    out = {}
    for name, values in arrays.items():
        if "variants" not in dims.get(name, ()):
            out[name] = values if start == 0 else np.zeros_like(values)
            continue
        axis = dims[name].index("variants")
        shape = (*values.shape[:axis], n_variants, *values.shape[axis + 1 :])
        out[name] = np.zeros(shape, values.dtype)
        place = [slice(None)] * values.ndim
        place[axis] = slice(start, start + values.shape[axis])
        out[name][tuple(place)] = values
    return out


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
