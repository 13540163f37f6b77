"""The gate: the only maker of a `Release`. What it hides is zero and marked, never just zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.case import Case
from eucan_dask.errors import Refused
from eucan_dask.insider import capped
from eucan_dask.leaving import PAIRS, only_for_gate
from eucan_dask.partial import Partial, Release, check_declared
from eucan_dask.policy import Policy
from eucan_dask.rules import fewest, judge
from eucan_dask.structural import STRUCTURAL

__all__ = ["release"]


def release(
    partial: Partial,
    *,
    policy: Policy,
    case: Case,
    template: Release,
) -> Release:
    """The `Release` of a partial: declared, checked, cell by cell shown or hidden.

    Parameters
    ----------
    partial
        What the analysis computed here.
    policy
        The owner's; `case.thresholds` are its thresholds.
    case
        The request's analysis, panel and analysis set; its arrays, so far only the request's
        coordinates, are filled in here. Its aggregator says which rules apply here, and what
        leaves beside what is declared so that a pool can be judged.
    template
        A release without values that names site, run and round.

    Raises
    ------
    Refused
        If a structural rule fails: nothing of the request is answered.
    Invalid
        If the partial is not exactly what the analysis declares.
    """
    coords = {str(dim): tuple(case.arrays[dim].values) for dim in case.arrays.coords}
    specs = case.analysis.yields
    arrays = check_declared(partial.dataset, specs, coords)
    held = case.arrays.assign({s.name: (s.dims, arrays[s.name]) for s in specs})
    case = replace(case, arrays=held)
    for structural in STRUCTURAL:
        refused = structural(case)
        if refused is not None:
            raise refused
    masks, findings = judge(case, case.analysis.records)
    out: dict[str, NDArray[Any]] = {}
    for record in case.analysis.records:
        mask = masks[record.name]
        if record.roster == "run" and bool((mask > 0).any()):
            rule = next(f.rule for f in findings if f.record == record.name)
            raise Refused(rule, "widen the cohort, or leave this site out")
        if case.aggregator != "masked":  # there nothing is hidden
            out[f"{record.name}_hidden"] = mask.values
        for name in record.variables:
            out[name] = _shown(held[name], mask)
    if case.aggregator != "none":
        out |= _for_pool(case, masks, out)
    size = sum(array.nbytes for array in out.values())
    if size > policy.max_bytes:
        raise Refused("max_bytes", "ask for fewer genes, cohorts or times")
    return replace(template, status="released", arrays=out, findings=findings)


def _shown(values: xr.DataArray, mask: xr.DataArray) -> NDArray[Any]:
    """The values, zero where they are hidden."""
    shown = (mask == 0).broadcast_like(values).transpose(*values.dims)
    return np.where(shown.values, values.values, np.zeros((), values.dtype))


def _for_pool(
    case: Case, masks: Mapping[str, xr.DataArray], out: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """What the pool is judged by: supports, and what is capped for the rule `insider`."""
    if case.pool is None:
        raise Refused("pool_thresholds", "ask with the thresholds that the pool is judged by")
    supports = {s.name: case.arrays[s.name] for s in case.analysis.yields if s.kind == "support"}
    for record in case.analysis.records:
        for name in record.supports:
            if name in supports and set(record.dims) <= set(supports[name].dims):
                supports[name] = supports[name].copy(
                    data=_shown(supports[name], masks[record.name])
                )
    shown = {n: case.arrays[n].copy(data=a) for n, a in out.items() if n in case.arrays}
    caps = capped(case.analysis, {**shown, **supports}, case.pool.min_cell)
    found = {name: array.values for name, array in (*supports.items(), *caps.items())}
    return found | _pairs(case)


def _pairs(case: Case) -> dict[str, NDArray[np.int64]]:
    """How the cohorts that take part lie in one another here."""
    if PAIRS not in only_for_gate(case.analysis):
        return {}
    if case.overlap is None:
        raise Refused("bounds", "say how the cohorts lie in one another")
    left_out = np.zeros(case.cohort_n.shape, dtype=bool)
    if case.aggregator == "trusted":
        left_out = case.cohort_n < fewest(case.thresholds)
    return {PAIRS: case.overlap.without(left_out).pairs}
