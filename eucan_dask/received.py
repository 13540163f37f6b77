"""What a release must hold to be believed: plain facts, the declared arrays, no hidden value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from eucan_dask import config
from eucan_dask.errors import Invalid
from eucan_dask.fixed_point import Layout
from eucan_dask.leaving import leaving
from eucan_dask.message import Arrays
from eucan_dask.partial import Finding, Hidden
from eucan_dask.request import Request

__all__ = ["check_arrays", "check_header", "read_finding", "travelling"]

MOST = 2**53
SITE_CODES = [code for code in Hidden if code not in (Hidden.MERGED, Hidden.TAIL, Hidden.INSIDER)]
FACTS = {
    **dict.fromkeys(("freeze", "data_class", "membership"), config.Key(str, default="")),
    "request": config.Key(str),
    **dict.fromkeys(("n_tasks", "seconds"), config.Key(int, default=0)),
}


def travelling(request: Request) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and dtype of the declared arrays that travel."""
    specs = (s for s in request.analysis.yields if s.kind in ("count", "sum"))
    return {s.name: (s.shape(request.coords), s.dtype) for s in specs}


def check_header(table: Mapping[str, object]) -> None:
    """Refuse facts about a release that nobody declared, or that cannot be."""
    values = config.check(table, FACTS, where="wire header")
    for name in ("n_tasks", "seconds"):
        if not 0 <= values[name] < MOST:
            raise Invalid(f"{name} cannot be", where="wire header")


def read_finding(table: object) -> Finding:
    """One finding of a release."""
    keys = {
        "rule": config.Key(str),
        "record": config.Key(str),
        "threshold": config.Key(int | float),
        "n_hidden": config.Key(int),
        "message": config.Key(str),
    }
    values = config.check(table, keys, where="wire finding")
    if not 0 <= values["threshold"] < MOST or not 0 <= values["n_hidden"] < MOST:
        raise Invalid("a threshold is no number", where="wire finding")
    return Finding(**values)


def check_arrays(arrays: Arrays, request: Request) -> None:
    """Refuse arrays that are not what the analysis declares, or that show a hidden cell."""
    if request.roster.aggregator == "masked":
        return _check_masked(arrays, request)
    analysis = request.analysis
    expected = leaving(analysis, request.coords, request.roster.aggregator)
    if set(arrays) != set(expected):
        raise Invalid("holds other arrays than the analysis declares", where="wire")
    for name, values in arrays.items():
        if (values.shape, values.dtype) != expected[name]:
            raise Invalid("an array has another shape or dtype", where=f"wire, {name}")
        if values.dtype == np.float64 and not np.isfinite(values).all():
            raise Invalid("a sum is not finite", where=f"wire, {name}")
        if values.dtype == np.int64 and (values < 0).any():
            raise Invalid("a count is negative", where=f"wire, {name}")
        if values.dtype == np.uint8 and not np.isin(values, SITE_CODES).all():
            raise Invalid("a mask holds a code no site uses", where=f"wire, {name}")
    for record in analysis.records:
        hidden = xr.DataArray(arrays[f"{record.name}_hidden"] > 0, dims=record.dims)
        for name in record.variables:
            dims = next(s.dims for s in analysis.yields if s.name == name)
            if bool((hidden & (xr.DataArray(arrays[name], dims=dims) != 0)).any()):
                raise Invalid("a hidden cell holds a value", where=f"wire, {name}")


def _check_masked(arrays: Arrays, request: Request) -> None:
    """Under masks there is nothing to see but how many words there are."""
    layout = Layout.of(leaving(request.analysis, request.coords, "masked"))
    if set(arrays) != {"masked"}:
        raise Invalid("holds other arrays than words under masks", where="wire")
    layout.check(arrays["masked"])
