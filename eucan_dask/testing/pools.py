"""The contract of a pool: sites that hide nothing, judged together, give what one site would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis
from eucan_dask.errors import Refused
from eucan_dask.leaving import caps, leaving
from eucan_dask.partial import Hidden, Record, Release
from eucan_dask.policy import Thresholds
from eucan_dask.testing.cases import Example, nobody, thresholds, total_of
from eucan_dask.testing.data import People, dataset, split
from eucan_dask.total import gate_pool

__all__ = ["POOL_CHECKS"]

Parts = Mapping[str, NDArray[Any]]


def _sites(some: People, rng: np.random.Generator) -> list[xr.Dataset]:
    """A random split over sites, one of which holds most, and one nobody."""
    n = some.clinical["individual_id"].nunique()
    of = rng.choice(4, size=n, p=(0.55, 0.2, 0.2, 0.05))
    return [*(dataset(part) for part in split(some, of)), nobody(some)]


def _limits(rng: np.random.Generator) -> Thresholds:
    return thresholds(int(rng.integers(2, 13)), zeros=bool(rng.random() < 0.5), ratio=9.0)


def check_leaving(case: Example, some: People, rng: np.random.Generator) -> None:
    """A release holds what `leaving` says under each aggregator: names, shapes, dtypes."""
    for aggregator in ("none", "trusted", "masked"):
        _, releases = total_of(case, [dataset(some)], thresholds(0), aggregator)
        found = {n: (a.shape, a.dtype) for n, a in releases[0].arrays.items()}
        assert found == leaving(case.analysis, case.coords, aggregator), aggregator
    declared = {spec.name for spec in case.analysis.yields}
    assert not declared & set(caps(case.analysis)), "a variable has the name of what is capped"


def check_pool(case: Example, some: People, rng: np.random.Generator) -> None:
    """Judged as one site that holds everybody, but for what the rule `insider` hides."""
    limits = _limits(rng)
    try:
        total, _ = total_of(case, _sites(some, rng), limits, "masked")
        one, _ = total_of(case, [dataset(some)], limits, "masked")
        ours, whole = (_judged(case, _uncapped(case, ds), limits) for ds in (total, one))
    except Refused:
        return
    for record in case.analysis.records:
        name = f"{record.name}_pool_hidden"
        np.testing.assert_array_equal(ours[name].values, whole[name].values, err_msg=name)
        for variable in _counts(case.analysis, record):
            np.testing.assert_array_equal(ours[variable].values, whole[variable].values, variable)
    try:
        capped = _judged(case, total, limits)
    except Refused:
        return
    for record in case.analysis.records:
        if not (record.grid or record.partition or record.contains):  # there others are hidden
            name = f"{record.name}_pool_hidden"
            less = (capped[name] == 0) & (ours[name] > 0)
            assert not bool(less.any()), f"{name}: shown, though one site would hide it"
    assert not set(capped.data_vars) & set(caps(case.analysis)), "what is capped goes on"
    assert not {s.name for s in case.analysis.yields if s.kind == "support"} & set(capped)


def check_pool_keeps_insiders_out(case: Example, some: People, rng: np.random.Generator) -> None:
    """Of every count shown, and of the rest, no site knows all but a few: by brute force."""
    limits = _limits(rng)
    for aggregator in ("trusted", "masked"):
        try:
            total, releases = total_of(case, _sites(some, rng), limits, aggregator)
            gated = _judged(case, total, limits)
        except Refused:
            continue
        for record in case.analysis.records:
            codes = gated[f"{record.name}_pool_hidden"]
            for name in _counts(case.analysis, record):
                steps = _merged(case, record, name, codes, releases)
                for part in (steps, *_rests(case, record, name, releases)):
                    _assert_many_left(part, codes, record, limits.min_cell // 2, name)


def _judged(case: Example, total: xr.Dataset, limits: Thresholds) -> xr.Dataset:
    return gate_pool(case.analysis, case.panel, total, limits)


def _uncapped(case: Example, total: xr.Dataset) -> xr.Dataset:
    return total.drop_vars(list(caps(case.analysis)))


def _counts(analysis: Analysis, record: Record) -> list[str]:
    kinds = {spec.name: spec.kind for spec in analysis.yields}
    return [name for name in record.variables if kinds[name] == "count"]


def _array(case: Example, name: str, release: Release) -> xr.DataArray:
    spec = next(s for s in case.analysis.yields if s.name == name)
    return xr.DataArray(release.arrays[name], dims=spec.dims)


def _merged(
    case: Example, record: Record, name: str, codes: xr.DataArray, releases: Sequence[Release]
) -> list[xr.DataArray]:
    """Each site's part; along a grid added up over the steps that were merged."""
    parts = [_array(case, name, release) for release in releases]
    if not record.grid:
        return parts
    shown = (codes == Hidden.SHOWN).transpose(*parts[0].dims)
    return [xr.apply_ufunc(_over_steps, part, shown) for part in parts]


def _over_steps(flow: NDArray[np.int64], shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Flows (rows, T), each added to the next point that is shown."""
    out = np.zeros_like(flow)
    for row, points in enumerate(shown):
        start = 0
        for point in np.flatnonzero(points):
            out[row, point], start = flow[row, start : point + 1].sum(), point + 1
    return out


def _rests(
    case: Example, record: Record, name: str, releases: Sequence[Release]
) -> list[list[xr.DataArray]]:
    """Each site's rest of the people a count is a part of; of a grid the people left at its end."""
    within = next(s for s in case.analysis.yields if s.name == name).within
    if not within or record.grid:
        return []
    return [[_array(case, within, r) - _array(case, name, r) for r in releases]]


def _assert_many_left(
    parts: Sequence[xr.DataArray], codes: xr.DataArray, record: Record, least: int, name: str
) -> None:
    stacked = xr.concat(parts, "sites")
    total = stacked.sum("sites")
    left = total - stacked.max("sites")
    shown = (codes == Hidden.SHOWN).broadcast_like(total)
    bad = shown & (total > 0) & (left < least)
    assert not bool(bad.any()), f"{name}: a site is left with few people of others"


POOL_CHECKS = (check_leaving, check_pool, check_pool_keeps_insiders_out)
