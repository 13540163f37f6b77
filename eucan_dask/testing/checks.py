"""The contract: checks that run on every analysis in the registry, ours or a hospital's."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import dask
import numpy as np
import pandas as pd
import xarray as xr
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eucan_dask import wire
from eucan_dask.analysis import Analysis, IterativeAnalysis, parameters
from eucan_dask.block import add, evaluate, part_of_panel, take, widen
from eucan_dask.errors import EucanError, Invalid, Refused
from eucan_dask.keys import public_hex
from eucan_dask.partial import Hidden, Partial, check_declared
from eucan_dask.registry import load
from eucan_dask.testing.cases import (
    Example,
    all_missing,
    assert_close,
    assert_safe,
    example,
    nobody,
    release_of,
    run_over,
    thresholds,
    with_site,
)
from eucan_dask.testing.data import People, dataset, people, renamed, split
from eucan_dask.testing.pools import POOL_CHECKS
from eucan_dask.total import combine

__all__ = ["CHECKS", "check_analysis"]

RTOL, RTOL_ITERATIVE = 1e-9, 1e-8

# --- the checks: each takes an Example and the simulated people ---------------------------------

Check = Callable[[Example, People, np.random.Generator], None]


def _tolerance(case: Example) -> float:
    return RTOL_ITERATIVE if isinstance(case.analysis, IterativeAnalysis) else RTOL


def check_declared_exactly(case: Example, some: People, rng: np.random.Generator) -> None:
    """`partial` returns exactly what is declared: names, dims, dtypes, shapes of the request."""
    arrays = case.arrays(dataset(some))
    dims = {spec.name: spec.dims for spec in case.analysis.yields}
    ds = xr.Dataset({n: (dims[n], a) for n, a in arrays.items()})
    check_declared(ds, case.analysis.yields, case.coords)
    held = {name for record in case.analysis.records for name in record.variables}
    leaving = {spec.name for spec in case.analysis.yields if spec.leaves}
    assert held == leaving, "every variable that leaves belongs to a record"


def check_lazy(case: Example, some: People, rng: np.random.Generator) -> None:
    """Building the partial computes nothing lazy; preparing loads with `lazy.load` alone."""
    ds = dataset(some)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the analysis computes while it builds its graph")

    with dask.config.set(scheduler=refuse):
        case.analysis.partial(case.prepared(ds), case.panel)


def check_federated_equals_pooled(case: Example, some: People, rng: np.random.Generator) -> None:
    """Any split over sites, an empty one among them, gives the answer of one site with everybody.

    Where the analysis is stratified by site, that one knows each person's site as a field.
    """
    n_sites = int(rng.integers(1, 5))
    of = rng.integers(0, n_sites, size=_n(some))
    parts = [dataset(part) for part in split(some, of)]
    _, federated, _ = run_over(case, [*parts, nobody(some)])
    levels = tuple(f"site{i}" for i in range(n_sites) if (of == i).any())
    together = Example(case.analysis.pooled("site", levels), case.panel)
    whole = with_site(dataset(some), of, getattr(case.analysis, "strata", ""))
    _, pooled, _ = run_over(together, [whole])
    if "converged" in pooled and bool(federated["converged"]) and not bool(pooled["converged"]):
        return  # a site without variation has no finite intercept in the pooled model
    own = {d: federated[d] for d in ("terms", "terms_2") if d in federated.coords}
    wording = [n for n in pooled.data_vars if pooled[n].dtype == object]
    skipped = [n for n in (*wording, "log_likelihood_null") if n in pooled]
    assert_close(federated.drop_vars(skipped), pooled.sel(own), _tolerance(case))


def check_order(case: Example, some: People, rng: np.random.Generator) -> None:
    """The order of sites changes no bit; names of people, so their order, and chunks no number."""
    of = rng.integers(0, 3, size=_n(some))
    parts = [dataset(part) for part in split(some, of)]
    total, finished, releases = run_over(case, parts)
    coords = case.request([release.site for release in releases]).coords
    turned = combine(case.analysis, coords, releases[::-1])
    for name in total.data_vars:
        np.testing.assert_array_equal(total[name].values, turned[name].values)
    _, other, _ = run_over(case, parts[::-1])
    assert_close(finished, other, _tolerance(case))
    moved = [dataset(renamed(part, rng)).chunk({"mutations": 7}) for part in split(some, of)]
    _, permuted, _ = run_over(case, moved)
    assert_close(permuted, finished, _tolerance(case))


def check_blocks(case: Example, some: People, rng: np.random.Generator) -> None:
    """Where blocks of people or of variants may be cut, any cut adds up to the whole."""
    if case.analysis.block_dim is None:
        return
    ready = case.prepared(dataset(some))
    n = ready.sizes[case.analysis.block_dim]
    cuts = [0, *sorted(int(c) for c in rng.integers(0, n + 1, size=3)), n]
    limits = list(zip(cuts[:-1], cuts[1:], strict=True))
    if case.analysis.block_dim == "individuals":
        parts = [evaluate(case.analysis, take(ready, a, b), case.panel) for a, b in limits]
    else:
        parts = [_variants(case, some, a, b) for a, b in dict.fromkeys(limits) if a < b]
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    for name, values in evaluate(case.analysis, ready, case.panel).items():
        np.testing.assert_allclose(total[name], values, rtol=1e-12, err_msg=name)


def _variants(case: Example, some: People, start: int, stop: int) -> dict[str, Any]:
    panel, _ = part_of_panel(case.panel, None, start, stop)
    arrays = Example(case.analysis, panel).arrays(dataset(some))
    return widen(case.analysis, arrays, len(case.panel.variants), start)


def check_degenerate(case: Example, some: People, rng: np.random.Generator) -> None:
    """Nobody, one person, everything missing, nobody in a cohort: no exception, no warning."""
    one = np.full(_n(some), -1)
    one[int(rng.integers(0, one.size))] = 0
    single = dataset(split(some, one)[0])
    blank = all_missing(some)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sites in ([nobody(some)], [single], [blank], [single, blank, nobody(some)]):
            run_over(case, sites)


def check_missing(case: Example, some: People, rng: np.random.Generator) -> None:
    """People outside every cohort change nothing."""
    ds = dataset(some)
    ready = case.prepared(ds)
    outside = ~ready["individual_cohort"].values.any(axis=1)
    of = np.where(outside, -1, 0)
    if (of < 0).all():
        return
    left = case.arrays(dataset(split(some, of)[0]))
    for name, values in case.arrays(ds).items():
        np.testing.assert_allclose(left[name], values, rtol=1e-12, atol=1e-9, err_msg=name)


def check_individuals(case: Example, some: People, rng: np.random.Generator) -> None:
    """A second biosample of a person raises no count of individuals."""
    twice = some.clinical.assign(sample_id=some.clinical["sample_id"] + "-again")
    mutations = some.mutations.assign(sample_id=some.mutations["sample_id"] + "-again")
    doubled = People(
        pd.concat([some.clinical, twice]),
        pd.concat([some.mutations, mutations]),
        {**some.sample_assay, **{f"{s}-again": a for s, a in some.sample_assay.items()}},
        pd.concat([some.calls, some.calls.rename(index=lambda name: f"{name}-again")]),
    )
    once, again = case.arrays(dataset(some)), case.arrays(dataset(doubled))
    for spec in case.analysis.yields:
        if spec.kind != "sum":
            np.testing.assert_array_equal(once[spec.name], again[spec.name], err_msg=spec.name)


def check_gate(case: Example, some: People, rng: np.random.Generator) -> None:
    """Released counts satisfy the limits by an independent oracle; totals are of releases."""
    least = int(rng.integers(2, 15))
    zeros = bool(rng.random() < 0.5)
    of = rng.integers(0, 3, size=_n(some))
    parts = [dataset(part) for part in split(some, of)]
    try:
        total, _, releases = run_over(case, parts, thresholds(least, zeros=zeros))
    except Refused:
        return
    specs = {spec.name: spec for spec in case.analysis.yields}
    kept = {spec.name for spec in specs.values() if not spec.leaves}
    for release in releases:
        assert not kept & set(release.arrays)
        for record in case.analysis.records:
            hidden = release.arrays[f"{record.name}_hidden"]
            for name in record.variables:
                along = record.partition
                labels = {along: case.coords[along]} if along else {}
                assert_safe(
                    specs[name], record.dims, hidden, release.arrays, least, labels, zeros=zeros
                )
    for name in (s.name for s in specs.values() if s.kind == "count"):
        np.testing.assert_array_equal(
            total[name].values, sum(r.arrays[name] for r in releases), err_msg=name
        )


def check_interval(case: Example, some: People, rng: np.random.Generator) -> None:
    """Where a site hides a count, the bounds of the total hold the pooled value."""
    of = rng.integers(0, 3, size=_n(some))
    parts = [dataset(part) for part in split(some, of)]
    try:
        total, _, releases = run_over(case, parts, thresholds(8, zeros=True))
    except Refused:
        return
    clear, _, _ = run_over(case, parts)
    for record in case.analysis.records:
        for name in record.variables:
            if f"{name}_low" not in total:
                continue
            whole = np.ones(total[name].shape, dtype=bool)
            for release in releases:
                whole &= release.arrays[f"{record.name}_hidden"] != Hidden.SUPPORT
            low, high = total[f"{name}_low"].values, total[f"{name}_high"].values
            inside = (low <= clear[name].values) & (clear[name].values <= high)
            assert inside[whole].all(), f"{name}: bounds miss the pooled value"


def check_nothing_left(case: Example, some: People, rng: np.random.Generator) -> None:
    """A very high threshold releases no value, and planted ids never appear in the bytes."""
    ds = dataset(some)
    request = case.request(["site00"])
    key = Ed25519PrivateKey.generate()
    try:
        release = release_of(case, ds, "site00", request, thresholds(10**6, zeros=True))
    except Refused:
        pass
    else:
        for spec in case.analysis.yields:
            if spec.leaves:
                assert not release.arrays[spec.name].any(), spec.name
    open_release = release_of(case, ds, "site00", request, thresholds(0))
    raw = wire.encode_release(open_release, key, digest="0" * 64, request=request)
    for planted in [*ds["individual_id"].values[:20], *ds["sample_id"].values[:20]]:
        assert str(planted).encode() not in raw, "an id is on the wire"


def check_wire(case: Example, some: People, rng: np.random.Generator) -> None:
    """decode(encode(x)) is x, the same bytes twice; a Partial has no wire form."""
    request = case.request(["site00"])
    key = Ed25519PrivateKey.generate()
    release = release_of(case, dataset(some), "site00", request, thresholds(0))
    question = wire.encode_request(request, key)
    digest = wire.request_digest(question)
    raw = wire.encode_release(release, key, digest=digest, request=request)
    assert raw == wire.encode_release(release, key, digest=digest, request=request)
    back = wire.decode_release(raw, request, key.public_key(), digest=digest)
    for name, values in release.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], values)
    asked = wire.decode_request(question, [public_hex(key.public_key())])
    assert asked.question == request.question
    try:
        wire.encode_release(Partial(xr.Dataset()), key, digest=digest)  # type: ignore[arg-type]
    except Invalid:
        return
    raise AssertionError("a Partial was encoded")


def check_undeclared_refused(case: Example, some: People, rng: np.random.Generator) -> None:
    """A variable that is not declared, or a dimension of people, stops the release."""
    arrays = case.arrays(dataset(some))
    dims = {spec.name: spec.dims for spec in case.analysis.yields}
    ds = xr.Dataset({n: (dims[n], a) for n, a in arrays.items()})
    for extra in (xr.DataArray(np.int64(1)), xr.DataArray(np.zeros(3), dims=("samples",))):
        try:
            check_declared(ds.assign(smuggled=extra), case.analysis.yields, case.coords)
        except Invalid:
            continue
        raise AssertionError("an undeclared variable passes")


def check_parameters(case: Example, some: People, rng: np.random.Generator) -> None:
    """Parameters survive JSON; an unknown one is refused; equal parameters are equal values."""
    table = json.loads(json.dumps(parameters(case.analysis)))
    again = load(case.analysis.name, table)
    assert again == case.analysis
    assert hash(again) == hash(case.analysis)
    try:
        load(case.analysis.name, {**table, "no_such_parameter": 1})
    except Invalid:
        return
    raise AssertionError("an unknown parameter passes")


def check_documented(case: Example, some: People, rng: np.random.Generator) -> None:
    """The docstring has its sections; tables and views name variables and columns that exist."""
    text = type(case.analysis).__doc__ or ""
    for section in ("Parameters", "Returns", "Disclosure", "Raises", "References", "Examples"):
        assert f"{section}\n    ---" in text, f"the docstring lacks {section}"
    _, finished, _ = run_over(case, [dataset(some)])
    for table in case.analysis.tables:
        for column in table.columns:
            assert (column.variable or column.name) in finished, f"no variable {column}"
    names = {table.name for table in case.analysis.tables}
    assert {view.table for view in case.analysis.views} <= names


CHECKS: tuple[Check, ...] = (
    check_declared_exactly,
    check_lazy,
    check_federated_equals_pooled,
    check_order,
    check_blocks,
    check_degenerate,
    check_missing,
    check_individuals,
    check_gate,
    check_interval,
    check_nothing_left,
    check_wire,
    *POOL_CHECKS,
    check_undeclared_refused,
    check_parameters,
    check_documented,
)


def check_analysis(
    kind: type[Analysis], *, seed: int = 0, n: int = 60, checks: Iterable[Check] = CHECKS
) -> None:
    """Run the whole contract on an analysis class.

    Raises
    ------
    AssertionError
        If a check fails that the class does not name in `expected_failures`, or one that it
        names passes.
    """
    for check in checks:
        reason = kind.expected_failures.get(check.__name__)
        try:
            check(example(kind), people(n, seed=seed), np.random.default_rng(seed))
        except (AssertionError, EucanError):
            if reason is None:
                raise
        else:
            assert reason is None, f"{check.__name__} passes, though it is expected to fail"


def _n(some: People) -> int:
    return some.clinical["individual_id"].nunique()
