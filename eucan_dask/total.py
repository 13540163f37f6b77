"""Releases summed in site-name order: totals, bounds where a site hides a cell, the pool's gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis
from eucan_dask.case import Case
from eucan_dask.errors import Invalid, Refused
from eucan_dask.grid import merge_record
from eucan_dask.leaving import PAIRS, leaving, only_for_gate
from eucan_dask.overlap import Overlap
from eucan_dask.panel import Panel
from eucan_dask.partial import (
    VALUE_KINDS,
    Coords,
    Hidden,
    PartialSpec,
    Record,
    Release,
    labelled,
)
from eucan_dask.policy import Thresholds
from eucan_dask.rules import ON_POOL, judge

__all__ = ["bounded", "combine", "from_sums", "gate_pool"]


MOST = 2**53  # a count: hundreds of sites cannot make their sum wrap around


def bounded(analysis: Analysis, record: Record) -> PartialSpec | None:
    """The one count of a record whose hidden cells have known bounds, if there is one.

    There is none where people it is a part of may be hidden for their values.
    """
    if len(record.variables) != 1 or any(r.carriers for r in analysis.records):
        return None
    spec = next(s for s in analysis.yields if s.name == record.variables[0])
    fits = spec.kind == "count" and spec.within and set(spec.dims) == set(record.dims)
    return spec if fits else None


def combine(
    analysis: Analysis, coords: Coords, releases: Sequence[Release], *, aggregator: str = "none"
) -> xr.Dataset:
    """Totals over `releases`, summed in site-name order.

    Parameters
    ----------
    aggregator
        "none" or "trusted": under the latter also what the pool is judged by.

    Returns
    -------
    Dataset with each declared variable summed over the sites that show it; for each record
    `<record>_n_sites`, the sites that show the cell, and `<record>_n_hidden`, the sites that hide
    it because of its value (of a record that rests on all sites: for whatever reason); and,
    where a record is a single count, `<count>_low` and
    `<count>_high`: bounds over every site that has the people, whether it shows the cell or not.
    """
    ordered = sorted(releases, key=lambda release: release.site)
    found: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {}
    dims = _summed(analysis, aggregator)
    for name, (shape, dtype) in leaving(analysis, coords, aggregator).items():
        if name in dims:
            sums = np.zeros(shape, dtype)
            for release in ordered:
                _check_counts(name, release.arrays[name])
                sums = sums + release.arrays[name]
            found[name] = (dims[name], sums)
    for record in analysis.records:
        shape = tuple(len(coords[dim]) for dim in record.dims)
        shown, hidden = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for release in ordered:
            mask = release.arrays[f"{record.name}_hidden"]
            shown += mask == Hidden.SHOWN
            lacking = ~np.isin(mask, (Hidden.SHOWN, Hidden.ABSENT))
            hidden += lacking if record.roster == "all" else np.isin(mask, VALUE_KINDS)
        found[f"{record.name}_n_sites"] = (record.dims, shown)
        found[f"{record.name}_n_hidden"] = (record.dims, hidden)
    total = labelled(coords).assign(found)
    for record in analysis.records:
        bounds = bounded(analysis, record)
        if bounds is not None:
            within = next(s for s in analysis.yields if s.name == bounds.within)
            low, high = _bounds(total, record, (bounds, within), ordered)
            total[f"{bounds.name}_low"], total[f"{bounds.name}_high"] = low, high
    return total


def _check_counts(name: str, values: NDArray[Any]) -> None:
    """Refuse counts so large that their sums may wrap around, or that are negative."""
    if values.dtype == np.int64 and ((values < 0) | (values > MOST)).any():
        raise Invalid("a count cannot be", where=name, expected=f"0 to {MOST}")


def _summed(analysis: Analysis, aggregator: str) -> dict[str, tuple[str, ...]]:
    """Dimensions of every array that adds up over sites."""
    declared = {spec.name: spec.dims for spec in analysis.yields if spec.leaves}
    return declared if aggregator == "none" else {**declared, **only_for_gate(analysis)}


def from_sums(
    analysis: Analysis, coords: Coords, sums: Mapping[str, NDArray[Any]], n_sites: int
) -> xr.Dataset:
    """Totals as of `combine`, from arrays that were summed under masks.

    Parameters
    ----------
    sums
        What `leaving` names under `masked`, summed over the roster.
    n_sites
        Sites of the roster: each cell rests on all of them.
    """
    dims = _summed(analysis, "masked")
    found: dict[str, Any] = {}
    for name in dims:
        values = np.asarray(sums[name])
        _check_counts(name, values)
        found[name] = (dims[name], values)
    for record in analysis.records:
        shape = tuple(len(coords[dim]) for dim in record.dims)
        found[f"{record.name}_n_sites"] = (record.dims, np.full(shape, n_sites, np.int64))
        found[f"{record.name}_n_hidden"] = (record.dims, np.zeros(shape, np.int64))
        count = bounded(analysis, record)
        if count is not None:
            found |= dict.fromkeys((f"{count.name}_low", f"{count.name}_high"), found[count.name])
    return labelled(coords).assign(found)


def _bounds(
    total: xr.Dataset,
    record: Record,
    specs: tuple[PartialSpec, PartialSpec],
    releases: Sequence[Release],
) -> tuple[xr.DataArray, xr.DataArray]:
    spec, within_spec = specs
    low = high = xr.zeros_like(total[spec.name])
    for release in releases:
        mask = xr.DataArray(release.arrays[f"{record.name}_hidden"], dims=record.dims)
        value = xr.DataArray(release.arrays[spec.name], dims=spec.dims)
        within = xr.DataArray(release.arrays[within_spec.name], dims=within_spec.dims)
        k = max((int(f.threshold) for f in release.findings if f.rule == "min_cell"), default=1)
        least, most = _cell_bounds(mask, value, within.broadcast_like(value), k)
        low = low + least.transpose(*low.dims).values
        high = high + most.transpose(*high.dims).values
    return low, high


def _cell_bounds(
    mask: xr.DataArray, value: xr.DataArray, within: xr.DataArray, k: int
) -> tuple[xr.DataArray, xr.DataArray]:
    """Least and most a cell can hold, given its mask and the threshold `k` it was judged by."""
    least = xr.where(mask == Hidden.HIGH, (within - (k - 1)).clip(min=0), 0)
    most = xr.where(mask == Hidden.LOW, np.minimum(k - 1, within), within)
    apart, shown = mask == Hidden.SUPPORT, mask == Hidden.SHOWN
    least = xr.where(shown, value, xr.where(apart, 0, least))
    most = xr.where(shown, value, xr.where(apart, 0, most))
    return least, most


def gate_pool(
    analysis: Analysis, panel: Panel, total: xr.Dataset, thresholds: Thresholds
) -> xr.Dataset:
    """The value rules of a pool, with the federation's thresholds.

    Adds `<record>_pool_hidden`, codes of `Hidden`; hidden totals become zero, the bounds of a
    single count widen to what the threshold says, and neighbouring cells of a grid are merged.
    Totals of sites that do not judge their own cells bring supports, by which more rules look at
    the pool; they are dropped. Such totals may be seen, in every round, only as this leaves them.

    Raises
    ------
    Refused
        If a record that rests on all of a run is hidden, and sites did not judge it: there is
        nothing to go on with.
    """
    n_cohorts = total.sizes.get("cohorts", 0)
    plenty = np.full(n_cohorts, np.iinfo(np.int64).max)  # cohort sizes: each site judged its own
    gridless = [r for r in analysis.records if not r.grid]
    pairs = Overlap(total[PAIRS].values) if PAIRS in total else None
    case = Case(analysis, panel, total, plenty, thresholds, overlap=pairs)
    masks, findings = judge(case, gridless, ON_POOL)
    looked_at = [name for name in only_for_gate(analysis) if name in total]
    for record in gridless if looked_at else ():
        if record.roster == "run" and bool((masks[record.name] > 0).any()):
            rule = next(f.rule for f in findings if f.record == record.name)
            raise Refused(rule, "widen the cohort, or ask more sites")
    out = total.copy()
    for record in gridless:
        # A total that lacks a site is an interval already: its visible part is not judged again.
        mask = masks[record.name].where(total[f"{record.name}_n_hidden"] == 0, 0).astype(np.uint8)
        out[f"{record.name}_pool_hidden"] = mask
        spec = bounded(analysis, record)
        if spec is not None:
            within = total[spec.within].broadcast_like(total[spec.name])
            least, most = _cell_bounds(mask, total[spec.name], within, thresholds.min_cell)
            hidden = mask > 0
            for end, value in (("low", least), ("high", most)):
                held = total[f"{spec.name}_{end}"]
                out[f"{spec.name}_{end}"] = xr.where(hidden, value, held).transpose(*held.dims)
        for name in record.variables:
            dims = total[name].dims
            out[name] = xr.where(mask > 0, 0, total[name]).transpose(*dims)
    for record in analysis.records:
        if record.grid:
            merge_record(analysis, out, record, thresholds.min_cell, pairs)
    return out.drop_vars(looked_at)
