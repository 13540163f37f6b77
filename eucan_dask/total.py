"""Releases summed in site-name order: totals, bounds where a site hides a cell, the pool's gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis
from eucan_dask.case import Case
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
from eucan_dask.rules import judge

__all__ = ["bounded", "combine", "gate_pool", "merge_grid"]


def bounded(analysis: Analysis, record: Record) -> PartialSpec | None:
    """The one count of a record whose hidden cells have known bounds, if there is one."""
    if len(record.variables) != 1:
        return None
    spec = next(s for s in analysis.yields if s.name == record.variables[0])
    fits = spec.kind == "count" and spec.within and set(spec.dims) == set(record.dims)
    return spec if fits else None


def combine(analysis: Analysis, coords: Coords, releases: Sequence[Release]) -> xr.Dataset:
    """Totals over `releases`, summed in site-name order.

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
    for spec in analysis.yields:
        if spec.kind == "evidence":
            continue
        sums = np.zeros(spec.shape(coords), spec.dtype)
        for release in ordered:
            sums = sums + release.arrays[spec.name]
        found[spec.name] = (spec.dims, sums)
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
    """The same value rules on the pool, with the federation's thresholds.

    Adds `<record>_pool_hidden`, codes of `Hidden`; hidden totals become zero, the bounds of a
    single count widen to what the threshold says, and neighbouring cells of a grid are merged.
    """
    n_cohorts = total.sizes.get("cohorts", 0)
    plenty = np.full(n_cohorts, np.iinfo(np.int64).max)  # cohort sizes: each site judged its own
    gridless = [r for r in analysis.records if not r.grid]
    case = Case(analysis, panel, total, plenty, thresholds)
    masks, _ = judge(case, gridless)
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
            _merge_record(analysis, out, record, thresholds.min_cell)
    return out


def _merge_record(analysis: Analysis, total: xr.Dataset, record: Record, least: int) -> None:
    """Merge the flows of a record along its grid; a record it needs takes it down whole."""
    flows = list(record.variables)
    stacked = np.stack([total[name].transpose(..., record.grid).values for name in flows])
    dims = tuple(d for d in total[flows[0]].dims if d != record.grid)
    within = next(s for s in analysis.yields if s.name == flows[0]).within
    people = total[within].transpose(*dims).values.reshape(-1)
    needed = np.zeros(people.shape, np.uint8)
    for name in record.needs:
        needed = np.maximum(needed, total[f"{name}_pool_hidden"].transpose(*dims).values.ravel())
    flat = stacked.reshape(len(flows), -1, stacked.shape[-1])
    codes = np.zeros(flat.shape[1:], np.uint8)
    for row in range(flat.shape[1]):
        flat[:, row], codes[row] = merge_grid(flat[:, row], int(people[row]), least)
        if needed[row]:
            flat[:, row], codes[row] = 0, needed[row]
    dims = (*dims, record.grid)
    for i, name in enumerate(flows):
        merged = xr.DataArray(flat[i].reshape(stacked.shape[1:]), dims=dims)
        total[name] = merged.transpose(*total[name].dims)
    total[f"{record.name}_pool_hidden"] = (dims, codes.reshape(stacked.shape[1:]))


def merge_grid(
    flows: NDArray[np.int64], people: int, least: int
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Neighbouring grid steps merged until every flow is zero or at least `least`.

    Parameters
    ----------
    flows
        Counts (F, T) leaving the risk set at each grid point: events, withdrawals.
    people
        Size of the risk set at the start.

    Returns
    -------
    The flows, each counted at the last grid point of its merged step, and codes (T,): `SHOWN` at
    that point, `MERGED` before it, `TAIL` past the last step that could be closed with nobody, or
    at least `least`, left.
    """
    merged = np.zeros_like(flows)
    codes = np.full(flows.shape[1], Hidden.MERGED, np.uint8)
    running = np.zeros(flows.shape[0], np.int64)
    for j in range(flows.shape[1]):
        running += flows[:, j]
        if ((running == 0) | (running >= least)).all():
            merged[:, j], codes[j] = running, Hidden.SHOWN
            running[:] = 0
    while 0 < people - merged.sum() < least and (codes == Hidden.SHOWN).any():
        last = np.flatnonzero(codes == Hidden.SHOWN)[-1]
        merged[:, last], codes[last] = 0, Hidden.MERGED
    shown = np.flatnonzero(codes == Hidden.SHOWN)
    codes[(shown[-1] + 1 if shown.size else 0) :] = Hidden.TAIL
    return merged, codes
