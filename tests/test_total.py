"""Totals, bounds and the pool's own gate, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.analysis import Analysis
from eucan_dask.errors import Invalid
from eucan_dask.leaving import leaving
from eucan_dask.panel import Panel
from eucan_dask.partial import Finding, Hidden, Release
from eucan_dask.policy import Thresholds
from eucan_dask.testing.cases import thresholds
from eucan_dask.total import bounded, combine, from_sums, gate_pool

SHOWN, LOW, HIGH, SUPPORT, COMPLEMENT, WHOLE, MERGED, TAIL, EITHER, ABSENT, INSIDER = Hidden
K = 10
ONE_GENE = Panel(genes=("TP53",))
FREQUENCY = MutationFrequency()
COORDS = FREQUENCY.coords(ONE_GENE, ("c",))


def release(site: str, *, k: int = K, **arrays: object) -> Release:
    """A release of one gene, class and cohort."""
    held = {
        "gene_n_assayed": np.array([[arrays["n"]]]),
        "gene_n_mutated": np.array([[[arrays["x"]]]]),
        "assayed_hidden": np.array([[arrays.get("assayed", SHOWN)]], np.uint8),
        "mutated_hidden": np.array([[[arrays.get("code", SHOWN)]]], np.uint8),
    }
    findings = (Finding("min_cell", "mutated", float(k)),)
    return Release(site, "r", 0, "mutation_frequency", "released", arrays=held, findings=findings)


def total(*releases: Release) -> xr.Dataset:
    return combine(FREQUENCY, FREQUENCY.coords(ONE_GENE, ("c",)), releases)


def numbers(ds: xr.Dataset, *names: str) -> list[int]:
    return [int(ds[name].values.reshape(-1)[0]) for name in names]


BOUNDS = ("gene_n_mutated_low", "gene_n_mutated_high")


@pytest.mark.parametrize(
    ("code", "x", "expected"),
    [
        (SHOWN, 20, [20, 20]),
        (LOW, 0, [0, 9]),
        (HIGH, 0, [91, 100]),
        (WHOLE, 0, [0, 100]),
        (COMPLEMENT, 0, [0, 100]),
        (SUPPORT, 0, [0, 0]),
    ],
)
def test_combine__bounds_of_one_site(code: int, x: int, expected: list[int]) -> None:
    assert numbers(total(release("a", n=100, x=x, code=code)), *BOUNDS) == expected


def test_combine__bounds_of_a_low_cell_end_at_its_denominator() -> None:
    assert numbers(total(release("a", n=4, x=0, code=LOW)), *BOUNDS) == [0, 4]


def test_combine__each_site_is_bounded_by_its_own_threshold() -> None:
    both = (release("a", n=100, x=0, code=LOW, k=5), release("b", n=100, x=0, code=LOW, k=20))
    assert numbers(total(*both), *BOUNDS) == [0, 4 + 19]


def test_combine__a_site_without_a_finding_hides_nothing() -> None:
    plain = release("a", n=100, x=30)
    quiet = Release("b", "r", 0, "x", "released", arrays=plain.arrays)
    assert numbers(total(plain, quiet), *BOUNDS) == [60, 60]


def test_combine__sums_and_counts_of_sites() -> None:
    found = total(
        release("a", n=100, x=30),
        release("b", n=50, x=0, code=LOW),
        release("c", n=0, x=0, assayed=SUPPORT, code=SUPPORT),
    )
    assert numbers(found, "gene_n_assayed", "gene_n_mutated") == [150, 30]
    assert numbers(found, "mutated_n_sites", "mutated_n_hidden") == [1, 1]
    assert numbers(found, "assayed_n_sites", "assayed_n_hidden") == [2, 0]
    assert numbers(found, *BOUNDS) == [30, 39]


def test_combine__the_order_of_sites_is_not_a_bit_different() -> None:
    analysis = Survival()
    coords = analysis.coords(Panel(times=(0.0, 1.0)), ("c",))
    rng = np.random.default_rng(1)

    def one(site: str) -> Release:
        arrays = {s.name: rng.random(s.shape(coords)) for s in analysis.yields}
        masks = {
            f"{r.name}_hidden": np.zeros([len(coords[d]) for d in r.dims], np.uint8)
            for r in analysis.records
        }
        return Release(site, "r", 0, "survival", "released", arrays={**arrays, **masks})

    sites = [one(name) for name in "abcde"]
    there, back = combine(analysis, coords, sites), combine(analysis, coords, sites[::-1])
    for name in there.data_vars:
        np.testing.assert_array_equal(there[name].values, back[name].values)


@pytest.mark.parametrize("crafted", [2**62, 2**53 + 1, -1])
def test_combine__a_count_that_cannot_be(crafted: int) -> None:
    """Four of 2^62 would add up to nobody, which may be shown."""
    with pytest.raises(Invalid, match="a count cannot be"):
        total(release("a", n=100, x=30), release("b", n=crafted, x=10))
    sums = release("b", n=100, x=crafted).arrays
    wide = {n: np.zeros(s, d) for n, (s, d) in leaving(FREQUENCY, COORDS, "masked").items()}
    with pytest.raises(Invalid, match="a count cannot be"):
        from_sums(FREQUENCY, COORDS, {**wide, **sums}, 3)


def test_bounded__only_a_lone_count_within_another() -> None:
    records = {r.name: r for r in FREQUENCY.records}
    found = bounded(FREQUENCY, records["mutated"])
    assert found is not None
    assert found.name == "gene_n_mutated"
    assert bounded(FREQUENCY, records["assayed"]) is None
    survival = Survival()
    assert [bounded(survival, r) for r in survival.records] == [None, None, None]


# --- the pool ---


def pooled(*releases: Release, limits: Thresholds | None = None) -> xr.Dataset:
    return gate_pool(FREQUENCY, ONE_GENE, total(*releases), limits or thresholds(K))


@pytest.mark.parametrize(
    ("n", "x", "code", "value", "bounds"),
    [
        (200, 30, SHOWN, 30, [30, 30]),
        (200, 9, LOW, 0, [0, 9]),
        (200, 195, HIGH, 0, [191, 200]),
        (9, 5, SUPPORT, 0, [0, 0]),
    ],
)
def test_gate_pool__one_cell(n: int, x: int, code: int, value: int, bounds: list[int]) -> None:
    found = pooled(release("a", n=n, x=x))
    assert numbers(found, "mutated_pool_hidden", "gene_n_mutated") == [code, value]
    assert numbers(found, *BOUNDS) == bounds


def test_gate_pool__what_a_site_hides_widens_the_bounds() -> None:
    found = pooled(release("a", n=100, x=40), release("b", n=100, x=0, code=LOW))
    assert numbers(found, "mutated_pool_hidden", *BOUNDS) == [SHOWN, 40, 49]


def test_gate_pool__bounds_hold_what_sites_hide_below_a_stricter_pool() -> None:
    """Site a shows 12, site b hides up to 9: 21 in all, whatever the pool makes of 12."""
    found = pooled(
        release("a", n=100, x=12), release("b", n=100, x=0, code=LOW), limits=thresholds(20)
    )
    low, high = numbers(found, *BOUNDS)
    assert low <= 12 + 1
    assert high >= 12 + 9


def test_gate_pool__hidden_cells_of_a_summary_are_zero() -> None:
    analysis = CohortSummary(fields=(SummaryField(field="sex", levels=("female",)),))
    coords = analysis.coords(Panel(), ("c",))
    arrays = {
        "cohort_n_individuals": np.array([100]),
        "level_n_individuals": np.array([[60, 36, 4]]),
        "individuals_hidden": np.zeros(1, np.uint8),
        "summary_hidden": np.zeros((1, 3), np.uint8),
    }
    only = Release("a", "r", 0, "cohort_summary", "released", arrays=arrays)
    clear = combine(analysis, coords, [only])
    before = clear.copy(deep=True)
    found = gate_pool(analysis, Panel(), clear, thresholds(K))
    hidden = found["summary_pool_hidden"].values[0] > 0
    assert hidden[2]
    assert hidden.sum() >= 2
    assert not found["level_n_individuals"].values[0][hidden].any()
    xr.testing.assert_identical(clear, before)


# --- curves ---


def curve(analysis: Analysis, event: list[int], censored: list[int], n: int) -> xr.Dataset:
    panel = Panel(times=tuple(float(t) for t in range(len(event))))
    coords = analysis.coords(panel, ("c",))
    arrays = {s.name: np.zeros(s.shape(coords), s.dtype) for s in analysis.yields}
    arrays |= {
        "cohort_n_individuals": np.array([n]),
        "cohort_n_event": np.array([event]),
        "cohort_n_censored": np.array([censored]),
        "group_n": np.array([[n]]),
    }
    for record in analysis.records:
        shape = [len(coords[d]) for d in record.dims]
        arrays[f"{record.name}_hidden"] = np.zeros(shape, np.uint8)
    only = Release("a", "r", 0, "survival", "released", arrays=arrays)
    return gate_pool(analysis, panel, combine(analysis, coords, [only]), thresholds(K))


def test_gate_pool__a_curve_is_merged_not_hidden() -> None:
    found = curve(Survival(), [0, 4, 8, 0], [0, 0, 0, 0], 100)
    assert found["curve_pool_hidden"].values.tolist() == [[0, MERGED, 0, 0]]
    assert found["cohort_n_event"].values.tolist() == [[0, 0, 12, 0]]


@pytest.mark.parametrize(
    ("event", "n"),
    [
        ([0, 12, 0, 0], 15),  # three are left when the grid ends
        ([0, 12, 0, 3], 15),  # three go in the tail that is cut
    ],
)
def test_gate_pool__nobody_can_count_the_few_left_at_the_end(event: list[int], n: int) -> None:
    """Size of the cohort less every flow shown is a number of people: none, or enough of them."""
    found = curve(Survival(), event, [0] * len(event), n)
    left = int(found["cohort_n_individuals"][0]) - int(found["cohort_n_event"].sum())
    assert left == 0 or left >= K


def test_gate_pool__a_curve_falls_with_the_people_it_needs() -> None:
    """Eight people in all: their number is hidden, and so must their curve be, not shown as 0."""
    found = curve(Survival(), [0, 0, 0, 0], [0, 0, 0, 0], 8)
    assert found["people_pool_hidden"].values.tolist() == [SUPPORT]
    assert (found["curve_pool_hidden"].values > 0).all()
