"""The gate: the only maker of a `Release`. What it hides is zero and marked, never just zero."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.case import Case
from eucan_dask.errors import Refused
from eucan_dask.partial import Partial, Release, check_declared
from eucan_dask.policy import Policy
from eucan_dask.rules import blank, judge
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
        coordinates, are filled in here.
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
    # Under `trusted` and `masked` cells are judged on the pool alone: structure only here.
    per_cell = case.aggregator == "none"
    masks, findings = judge(case, case.analysis.records) if per_cell else (_open_masks(case), ())
    out: dict[str, NDArray[Any]] = {}
    for record in case.analysis.records:
        mask = masks[record.name]
        if record.roster == "run" and bool((mask > 0).any()):
            rule = next(f.rule for f in findings if f.record == record.name)
            raise Refused(rule, "widen the cohort, or leave this site out")
        out[f"{record.name}_hidden"] = mask.values
        for name in record.variables:
            shown = (mask == 0).broadcast_like(held[name]).transpose(*held[name].dims)
            out[name] = np.where(shown.values, arrays[name], np.zeros((), arrays[name].dtype))
    size = sum(array.nbytes for array in out.values())
    if size > policy.max_bytes:
        raise Refused("max_bytes", "ask for fewer genes, cohorts or times")
    return replace(template, status="released", arrays=out, findings=findings)


def _open_masks(case: Case) -> dict[str, xr.DataArray]:
    return {record.name: blank(case, record) for record in case.analysis.records}
