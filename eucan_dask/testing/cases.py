"""An analysis put to simulated sites, gate and all, without store or link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask import gate
from eucan_dask.analysis import Analysis, IterativeAnalysis, State
from eucan_dask.block import evaluate
from eucan_dask.case import Case
from eucan_dask.cohort import Cohort, membership
from eucan_dask.errors import Refused
from eucan_dask.overlap import Overlap
from eucan_dask.panel import Panel
from eucan_dask.partial import Hidden, Partial, Release, indexed, labelled
from eucan_dask.policy import KINDS, TIERS, Policy, Thresholds
from eucan_dask.request import Request, Roster
from eucan_dask.testing.data import People, dataset
from eucan_dask.total import combine, from_sums, gate_pool

__all__ = [
    "Example",
    "all_missing",
    "assert_close",
    "assert_safe",
    "example",
    "nobody",
    "policy",
    "release_of",
    "run_over",
    "thresholds",
    "total_of",
    "with_site",
]

Arrays = dict[str, NDArray[Any]]


class Example:
    """An analysis with a panel and cohorts it fits, and how to run it over any datasets."""

    def __init__(self, analysis: Analysis, panel: Panel) -> None:
        self.analysis, self.panel = analysis, panel
        young = Cohort.of("up to 60", {"field": "age_at_diagnosis", "max": 60})
        old = Cohort.of("over 60", {"not": {"field": "age_at_diagnosis", "max": 60}})
        both = (young, old) if analysis.max_cohorts > 1 else (Cohort("everybody"),)
        self.cohorts = both

    def request(self, roster: Sequence[str], aggregator: str = "none") -> Request:
        """The question, to be answered by `roster`."""
        return Request(
            run="0" * 16,
            analysis=self.analysis,
            panel=self.panel,
            cohorts=self.cohorts,
            purpose="DUO:0000006",
            roster=Roster(tuple(sorted(roster)), aggregator),
        )

    def prepared(self, ds: xr.Dataset, cohorts: Sequence[Cohort] | None = None) -> xr.Dataset:
        """The dataset as `partial` sees it."""
        chosen = tuple(self.cohorts if cohorts is None else cohorts)
        ready = self.analysis.prepare(ds)
        members = membership(ds, chosen) & ready["individual_eligible"].values[:, np.newaxis]
        aligned = self.panel.align(ready)
        return aligned.assign(individual_cohort=(("individuals", "cohorts"), members))

    def arrays(self, ds: xr.Dataset, state: State | None = None) -> Arrays:
        """The partial over one dataset."""
        return evaluate(self.analysis, self.prepared(ds), self.panel, state)

    @property
    def coords(self) -> dict[str, tuple[Any, ...]]:
        """Labels the request fixes."""
        return dict(self.analysis.coords(self.panel, tuple(c.label for c in self.cohorts)))


def example(kind: type[Analysis]) -> Example:
    """The example of an analysis class."""
    return Example(*kind.example())


def thresholds(least: int, *, zeros: bool = False, ratio: float = 1.0) -> Thresholds:
    """Thresholds that ask for `least` everywhere; 0 shows everything."""
    return Thresholds(
        min_individuals=least,
        min_cell=least,
        min_carriers=least,
        min_non_carriers=least,
        min_case_carriers=least,
        min_control_carriers=least,
        max_parameter_ratio=ratio,
        min_residual_dof=least,
        dominance_share=1.0,
        min_cohort_difference=0,
        round_to=1,
        zeros_disclosive=zeros,
    )


def policy(limits: Thresholds) -> Policy:
    """A policy that allows everything within `limits`."""
    return Policy(
        thresholds=limits,
        max_rounds=100,
        max_bytes=10**9,
        max_blocks=1,
        min_grid_days=0,
        max_refusals=100,
        max_exposure=dict.fromkeys(TIERS, 1e9),
        analyses=("*",),
        purposes=("DUO:0000006",),
        tiers=("open",),
        aggregators=("none",),
        controlled_aggregators=("none",),
        kind_tier=tuple((kind, "open") for kind in KINDS),
        public=limits.min_cell == 0,
    )


def release_of(
    case: Example, ds: xr.Dataset, site: str, request: Request, limits: Thresholds
) -> Release:
    """What a site with these people and limits would release."""
    ready = case.prepared(ds)
    arrays = evaluate(case.analysis, ready, case.panel, request.state())
    dims = {spec.name: spec.dims for spec in case.analysis.yields}
    partial = Partial(xr.Dataset({n: (dims[n], a) for n, a in arrays.items()}))
    judged = Case(
        analysis=case.analysis,
        panel=case.panel,
        arrays=labelled(request.coords),
        cohort_n=ready["individual_cohort"].values.sum(axis=0, dtype=np.int64),
        overlap=Overlap.of_members(ready["individual_cohort"].values),
        thresholds=limits,
        aggregator=request.roster.aggregator,
        n_rounds=request.round + 1,
        public=limits.min_cell == 0,
        pool=limits,
    )
    blank = Release(site, request.run, request.round, case.analysis.name, "refused")
    return gate.release(partial, policy=policy(limits), case=judged, template=blank)


def run_over(
    case: Example, datasets: Sequence[xr.Dataset], limits: Thresholds | None = None
) -> tuple[xr.Dataset, xr.Dataset, list[Release]]:
    """Totals, finished variables and last releases over sites with these datasets.

    Sites that refuse a fit are left out of it, as the coordinator would.
    """
    limits = limits or thresholds(0)
    sites = {f"site{i:02d}": ds for i, ds in enumerate(datasets)}
    request = case.request(list(sites))
    analysis = case.analysis
    while True:
        releases = []
        for name in request.roster.sites:
            try:
                releases.append(release_of(case, sites[name], name, request, limits))
            except Refused:
                continue
        if len(releases) < len(request.roster):
            if not releases:
                raise Refused("all", "no site answers")
            request = case.request([r.site for r in releases])
            continue
        total = combine(analysis, request.coords, releases)
        if not isinstance(analysis, IterativeAnalysis):
            pooled = gate_pool(analysis, case.panel, total, thresholds(0))
            return total, indexed(analysis.finalize(pooled)), releases
        state = analysis.update(request.state() or {}, total)
        if int(state["done"]) or request.round + 1 >= analysis.max_iterations:
            return total, indexed(analysis.finalize(total, state)), releases
        names = [s.name for s in analysis.yields if s.leaves]
        request = request.next_round({n: total[n].values for n in names})


def total_of(
    case: Example, datasets: Sequence[xr.Dataset], limits: Thresholds, aggregator: str
) -> tuple[xr.Dataset, list[Release]]:
    """First-round totals over sites with these datasets, before the gate of the pool."""
    names = [f"site{i:02d}" for i in range(len(datasets))]
    request = case.request(names, aggregator)
    releases = [
        release_of(case, ds, name, request, limits)
        for name, ds in zip(names, datasets, strict=True)
    ]
    if aggregator != "masked":
        return combine(case.analysis, request.coords, releases, aggregator=aggregator), releases
    sums = {n: np.sum([r.arrays[n] for r in releases], axis=0) for n in releases[0].arrays}
    return from_sums(case.analysis, request.coords, sums, len(names)), releases


def assert_close(left: xr.Dataset, right: xr.Dataset, rtol: float) -> None:
    """Finished variables agree: NaN with NaN, numbers to `rtol`, text and integers exactly."""
    for name in left.data_vars:
        a, b = left[name].values, right[name].values
        if a.dtype.kind == "f":
            scale = np.nanmax(np.abs(b), initial=0.0) if np.isfinite(b).any() else 0.0
            np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12 * scale, err_msg=str(name))
        else:
            np.testing.assert_array_equal(a, b, err_msg=str(name))


def with_site(ds: xr.Dataset, of: NDArray[np.int64], strata: str) -> xr.Dataset:
    """`ds` with the field "site": each person's site, or site and stratum."""
    sites = [f"site{i}" for i in of]
    if not strata:
        codes, levels = np.unique(sites, return_inverse=True)[::-1]
    else:
        inner = ds[f"individual_{strata}"].values
        both = np.array([f"{s}|{c}" for s, c in zip(sites, inner, strict=True)])
        codes, levels = np.unique(both, return_inverse=True)[::-1]
        codes = np.where(inner < 0, -1, codes)
    attrs = {"kind": "category", "categories": list(map(str, levels)), "open": True}
    return ds.assign(individual_site=(("individuals",), codes.astype(np.int16), attrs))


def nobody(some: People) -> xr.Dataset:
    """The dataset of a site with nobody in it."""
    return dataset(People(some.clinical.iloc[:0], some.mutations.iloc[:0], {}, some.calls.iloc[:0]))


def all_missing(some: People) -> xr.Dataset:
    """The same people, nothing known of anybody."""
    rows = some.clinical.copy()
    for name in (
        "age_at_diagnosis",
        "body_mass_index",
        "overall_survival_days",
        "overall_survival_event",
    ):
        rows[name] = np.nan
    rows["sex"] = rows["stage"] = None
    calls = some.calls * 0 - 1
    assay = dict.fromkeys(some.sample_assay, "")
    return dataset(People(rows, some.mutations.iloc[:0], assay, calls.astype(np.int8)))


def assert_safe(
    spec: Any,
    dims: tuple[str, ...],
    hidden: Any,
    arrays: Any,
    least: int,
    labels: Mapping[str, Any],
    *,
    zeros: bool,
) -> None:
    """Cell by cell, apart from the rules' own code: hidden is zero, shown is not small."""
    values = arrays[spec.name]
    at = dict(zip(dims, range(len(dims)), strict=True))
    for index in np.ndindex(*values.shape):
        place = dict(zip(spec.dims, index, strict=True))
        code = hidden[tuple(place[d] for d in at)]
        value = values[index]
        if code != Hidden.SHOWN:
            assert value == 0, f"{spec.name}: a hidden cell holds a value"
        elif spec.kind == "count":
            level = [str(labels[d][i]).split("|")[-1] for d, i in place.items() if d in labels]
            unknown = bool({"missing", "other"} & set(level))
            zero_ok = bool(spec.within) and (not zeros or spec.zeros == "shown" or unknown)
            assert value >= least or (value == 0 and zero_ok), f"{spec.name}: small cell shown"
