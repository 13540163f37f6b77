"""Each value rule alone, by hand: where it begins to hide, with which code, and what it leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from eucan_dask import rules
from eucan_dask.analysis import Analysis
from eucan_dask.case import Case
from eucan_dask.insider import insider
from eucan_dask.panel import Panel
from eucan_dask.partial import Cells, Hidden, PartialSpec, Record
from eucan_dask.policy import Thresholds
from eucan_dask.testing.cases import thresholds

SHOWN, LOW, HIGH, SUPPORT, WHOLE, EITHER, ABSENT = (
    Hidden.SHOWN,
    Hidden.LOW,
    Hidden.HIGH,
    Hidden.SUPPORT,
    Hidden.WHOLE,
    Hidden.EITHER,
    Hidden.ABSENT,
)
K = 10
LIMITS = replace(
    thresholds(K),
    min_individuals=12,
    min_carriers=4,
    min_non_carriers=6,
    min_case_carriers=2,
    min_control_carriers=3,
)
N = PartialSpec("n", ("genes",), "count")
M = PartialSpec("m", ("genes",), "count")
PART = PartialSpec("part", ("genes",), "count", within="n")
OTHER = PartialSpec("other", ("genes",), "count", within="n")
EVENT = PartialSpec("event", ("genes",), "count", within="n", zeros="shown")
TOTAL = PartialSpec("total", ("genes",), "sum", within="n")
LEVELS = PartialSpec("levels", ("genes", "classes"), "count", within="n")
CARRY, LACK, CELL, OF, UNLESS = (
    PartialSpec(name, ("genes",), "support") for name in ("carry", "lack", "cell", "of", "unless")
)
CELLS = PartialSpec("cells", ("genes", "classes"), "support")
FLOW = PartialSpec("flow", ("genes", "times"), "count", within="n", zeros="shown")
GONE = PartialSpec("gone", ("genes", "times"), "count", within="n", zeros="shown")
SPECS = (
    *(N, M, PART, OTHER, EVENT, TOTAL, LEVELS, CARRY, LACK, CELL, OF, UNLESS, CELLS, FLOW, GONE),
)


class Made(Analysis):
    """Declares a variable of every kind."""

    name = "made"
    title = "Made"
    kind = "counts"
    equals = "nothing"
    yields = SPECS
    records = ()
    tables = ()


def case(
    *,
    cohort_n: tuple[int, ...] = (1000,),
    limits: Thresholds = LIMITS,
    moved: list[bool] | None = None,
    labels: list[str] | None = None,
    **arrays: object,
) -> Case:
    """A case with these arrays and no others."""
    dims = {spec.name: spec.dims for spec in SPECS}
    ds = xr.Dataset({name: (dims[name], np.asarray(values)) for name, values in arrays.items()})
    if labels is not None:
        ds = ds.assign_coords(xr.Coordinates({"classes": ("classes", labels)}, indexes={}))
    sizes = xr.Dataset({"sizes": (("cohorts",), np.zeros(len(cohort_n)))})
    if moved is not None:
        sizes["variants"] = ("variants", np.arange(len(moved)))
    noted = None if moved is None else np.array(moved)
    return Case(Made(), Panel(), ds.merge(sizes), np.array(cohort_n), limits, moved=noted)


def record(*variables: str, dims: tuple[str, ...] = ("genes",), **options: object) -> Record:
    return Record("one", variables, dims, **options)


def codes(rule: rules.Rule, c: Case, r: Record, **masks: list[int]) -> list[object] | None:
    """What a rule says of a record alone."""
    held = {
        name: xr.DataArray(np.array(mask, np.uint8), dims=r.dims) for name, mask in masks.items()
    }
    found = rule(c, r, held)
    return (
        None
        if found is None
        else found.transpose(*(d for d in r.dims if d in found.dims)).values.tolist()
    )


# --- few people ---


def test_min_individuals__of_a_cohort() -> None:
    c = case(cohort_n=(12, 11, 0))
    assert codes(rules.min_individuals, c, record(dims=("cohorts",))) == [SHOWN, SUPPORT, SUPPORT]
    assert codes(rules.min_individuals, c, record(dims=("genes",))) is None


def test_fewest__is_three_or_what_the_policy_asks_for() -> None:
    assert rules.fewest(LIMITS) == 3
    assert rules.fewest(replace(LIMITS, min_individuals=2)) == 2


def test_few_people__one_or_two_are_left_out_of_what_a_processor_sums() -> None:
    c = case(cohort_n=(3, 2), n=[0, 1, 2, 3], m=[5, 5, 5, 1], part=[1] * 4, total=[0.5] * 4)
    found = codes(rules.few_people, c, record(dims=("cohorts",)))
    assert found == [SHOWN, SUPPORT]
    found = [SHOWN, SUPPORT, SUPPORT, SHOWN]
    assert codes(rules.few_people, c, record("n")) == found
    assert codes(rules.few_people, c, record("total", "part", "n")) == found
    assert codes(rules.few_people, c, record("m", "n")) == [SHOWN, SUPPORT, SUPPORT, SUPPORT]
    assert codes(rules.few_people, c, record("n", "m")) == [SHOWN, SUPPORT, SUPPORT, SUPPORT]
    assert codes(rules.few_people, c, record("n", roster="run")) is None
    assert codes(rules.few_people, c, record("part", "total")) is None


def test_needed_records__the_first_that_is_hidden_says_why() -> None:
    c, r = case(n=[1] * 5), record("n", needs=("a", "b"))
    masks = {"a": [SHOWN, SUPPORT, LOW, SHOWN, HIGH], "b": [SUPPORT, WHOLE, SUPPORT, SHOWN, SHOWN]}
    found = [SUPPORT, SUPPORT, WHOLE, SHOWN, WHOLE]
    assert codes(rules.needed_records, c, r, **masks) == found
    assert codes(rules.needed_records, c, record("n")) is None


def test_min_support__a_denominator_and_the_people_behind_a_sum() -> None:
    c = case(n=[12, 11, 0], m=[11, 12, 12], part=[1, 1, 0], total=[0.0] * 3)
    assert codes(rules.min_support, c, record("n")) == [SHOWN, SUPPORT, SUPPORT]
    assert codes(rules.min_support, c, record("total")) == [SHOWN, SUPPORT, SUPPORT]
    assert codes(rules.min_support, c, record("part")) is None
    assert codes(rules.min_support, c, record("part", "n")) == [SHOWN, SUPPORT, SUPPORT]
    assert codes(rules.min_support, c, record("n", "m")) == [SUPPORT] * 3
    assert codes(rules.min_support, c, record("m", "n")) == [SUPPORT] * 3


def test_min_support__of_public_data_nobody_is_absent() -> None:
    c = case(n=[12, 11, 0], part=[0, 0, 0], total=[0.0] * 3)
    assert codes(rules.min_support, c, record("n", roster="all")) == [SHOWN, SUPPORT, ABSENT]
    assert codes(rules.min_support, c, record("total", roster="all")) == [SHOWN, SUPPORT, SUPPORT]


# --- variants ---


def test_min_carriers__of_those_who_could_be_called() -> None:
    c = case(n=[10, 9], m=[0, 0])
    assert codes(rules.min_carriers, c, record("m", expected="n")) == [SHOWN, SUPPORT]
    assert codes(rules.min_carriers, c, record("m")) is None


def test_min_carriers__with_the_allele_and_without() -> None:
    c = case(n=[10, 10, 10, 9], carry=[4, 3, 4, 0], lack=[6, 6, 5, 0])
    both = ("carry", "lack")
    assert codes(rules.min_carriers, c, record("n", carriers=both)) == [SHOWN, WHOLE, WHOLE, WHOLE]
    found = codes(rules.min_carriers, c, record("n", carriers=both, expected="n"))
    assert found == [SHOWN, WHOLE, WHOLE, SUPPORT]
    elsewhere = case(n=[10], lack=[5])
    assert codes(rules.min_carriers, elsewhere, record("n", carriers=both)) == [WHOLE]


def test_min_carriers__among_cases_and_controls() -> None:
    c = case(
        carry=[2, 1, 2, 1, 2, 1],
        lack=[3, 3, 2, 3, 3, 3],
        of=[1, 1, 1, 0, 1, 1],
        unless=[0] * 5 + [1],
    )
    cells = (Cells("carry", of=("of",), unless="unless"), Cells("lack"))
    found = codes(rules.min_carriers, c, record(cases=cells))
    assert found == [SHOWN, WHOLE, WHOLE, SHOWN, SHOWN, SHOWN]


def test_one_mean__hides_variants_that_moved() -> None:
    c, r = case(moved=[True, False]), record(dims=("variants",))
    assert codes(rules.one_mean, c, r) == [WHOLE, SHOWN]
    assert codes(rules.one_mean, c, record()) is None
    assert codes(rules.one_mean, case(), r) is None


# --- small cells ---


@pytest.mark.parametrize("zeros", [False, True])
def test_min_cell__a_count_within_another(*, zeros: bool) -> None:
    c = case(
        n=[100, 100, 100, 100, 100, 100, 19, 20, 20, 19],
        part=[0, 1, 9, 10, 90, 91, 10, 9, 11, 0],
        limits=replace(LIMITS, zeros_disclosive=zeros),
    )
    zero = LOW if zeros else SHOWN
    small = EITHER if zeros else SHOWN
    shown = [zero, LOW, LOW, SHOWN, SHOWN, HIGH, EITHER, LOW, HIGH, small]
    assert codes(rules.min_cell, c, record("part")) == shown


def test_min_cell__zeros_that_are_always_shown() -> None:
    c = case(n=[100, 50], event=[0, 50], limits=replace(LIMITS, zeros_disclosive=True))
    assert codes(rules.min_cell, c, record("event")) == [SHOWN, SHOWN]


def test_min_cell__all_counts_of_a_record() -> None:
    c = case(n=[100] * 4, part=[5, 50, 95, 50], other=[95, 5, 50, 50], total=[0.0] * 4)
    assert codes(rules.min_cell, c, record("part", "other")) == [LOW, LOW, HIGH, SHOWN]
    assert codes(rules.min_cell, c, record("n", "total", "part")) == [LOW, SHOWN, HIGH, SHOWN]
    assert codes(rules.min_cell, c, record("n", "total")) is None


def test_min_cell__one_entry_hides_the_cell_it_lies_in() -> None:
    c = case(n=[100, 100], levels=[[50, 9], [50, 10]])
    assert codes(rules.min_cell, c, record("levels")) == [WHOLE, SHOWN]


def test_min_cell__what_is_unknown_of_nobody_may_be_said() -> None:
    labels = ["f|a", "f|missing", "f|other", "other", "f|b|other"]
    r = record("levels", dims=("genes", "classes"), partition="classes")
    c = case(
        n=[100, 100],
        levels=[[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]],
        labels=labels,
        limits=replace(LIMITS, zeros_disclosive=True),
    )
    assert codes(rules.min_cell, c, r) == [[LOW, SHOWN, SHOWN, SHOWN, LOW], [LOW] * 5]
    apart = record("levels", dims=("genes", "classes"))
    assert codes(rules.min_cell, c, apart) == [[LOW] * 5] * 2


@pytest.mark.parametrize("zeros", [False, True])
def test_min_cell__cells_that_numbers_can_be_solved_for(*, zeros: bool) -> None:
    limits = replace(LIMITS, zeros_disclosive=zeros)
    c = case(
        n=[100] * 6,
        part=[50] * 6,
        cell=[0, 1, 9, 10, 5, 5],
        of=[1, 1, 1, 1, 0, 1],
        unless=[0, 0, 0, 0, 0, 1],
        limits=limits,
    )
    cell = Cells("cell", of=("of",), unless="unless")
    found = [SHOWN, SUPPORT, SUPPORT, SHOWN, SHOWN, SHOWN]
    assert codes(rules.min_cell, c, record("n", cells=(cell,))) == found
    whole = [WHOLE if code else SHOWN for code in found]
    assert codes(rules.min_cell, c, record("part", cells=(cell,))) == whole
    disclosive = replace(cell, zeros=True)
    first = SUPPORT if zeros else SHOWN
    assert codes(rules.min_cell, c, record("n", cells=(disclosive,))) == [first, *found[1:]]
    assert codes(rules.min_cell, c, record("n", cells=(Cells("lack"),))) is None


def test_min_cell__every_cell_counts() -> None:
    c = case(n=[100] * 3, part=[50, 50, 9], cell=[9, 10, 10], carry=[10, 9, 10])
    one, other = Cells("cell"), Cells("carry")
    assert codes(rules.min_cell, c, record("n", cells=(one, other))) == [SUPPORT, SUPPORT, SHOWN]
    assert codes(rules.min_cell, c, record("part", cells=(one, other))) == [WHOLE, WHOLE, LOW]
    c = case(n=[100] * 2, cells=[[10, 9], [10, 10]])
    assert codes(rules.min_cell, c, record("n", cells=(Cells("cells"),))) == [SUPPORT, SHOWN]


def test_min_cell__people_left_after_a_grid() -> None:
    """Ten may be left, or nobody; a small count or a large one at a point is judged by its size."""
    r = record("flow", "gone", grid="times")
    c = case(
        n=[20, 29, 21, 30, 20, 20],
        flow=[[10, 10]] * 3 + [[10, 10]] + [[9, 0], [0, 0]],
        gone=[[0, 0]] * 6,
    )
    assert codes(rules.min_cell, c, r) == [SHOWN, WHOLE, WHOLE, SHOWN, WHOLE, SHOWN]
    c = case(n=[35, 30], flow=[[10, 0]] * 2, gone=[[10, 10]] * 2)
    assert codes(rules.min_cell, c, r) == [WHOLE, SHOWN]


def test_min_cell__a_point_that_is_small_says_so_beside_people_left() -> None:
    r = record("flow", dims=("genes", "times"), grid="times")
    c = case(n=[20, 30], flow=[[5, 10], [5, 10]])
    assert codes(rules.min_cell, c, r) == [[LOW, WHOLE], [LOW, SHOWN]]


# --- judging ---


def test_coarse__of_very_many() -> None:
    steps = [0, 1, 2, 3, 5, 6, 10, 11, 20, 21, 50, 51, 100, 4_000_001]
    assert [rules.coarse(n) for n in steps] == [
        *(0, 1, 2, 5, 5, 10, 10, 20, 20, 50, 50, 100, 100, 5_000_000)
    ]
    assert rules.coarse(5 * 10**18) == 5 * 10**18


def test_at_site__by_aggregator() -> None:
    """Where sums are not seen by the analyst, a site's cells are not hidden for their value."""
    names = {a: [r.__name__ for r in rules.at_site(a)] for a in ("none", "trusted", "masked")}
    assert names == {
        "none": [
            *("min_individuals", "needed_records", "min_carriers", "min_support"),
            *("one_mean", "min_cell", "complement", "bounds"),
        ],
        "trusted": ["few_people", "needed_records", "one_mean"],
        "masked": [],
    }


@pytest.mark.parametrize(
    ("name", "c", "r", "threshold"),
    [
        ("min_individuals", case(cohort_n=(11,), n=[1]), record(dims=("cohorts",)), 12.0),
        ("few_people", case(n=[2]), record("n"), 3.0),
        ("min_support", case(n=[11]), record("n"), 12.0),
        ("min_carriers", case(n=[9]), record("n", expected="n"), 4.0),
        ("one_mean", case(moved=[True]), record(dims=("variants",)), 10.0),
        ("min_cell", case(n=[100], part=[9]), record("part"), 10.0),
    ],
)
def test_judge__findings(name: str, c: Case, r: Record, threshold: float) -> None:
    masks, (finding,) = rules.judge(c, [r], [getattr(rules, name)])
    assert (finding.rule, finding.record, finding.n_hidden) == (name, "one", 1)
    assert finding.threshold == threshold
    assert finding.message
    assert masks["one"].dtype == np.uint8


def test_judge__every_rule_has_its_words() -> None:
    every = (*rules.RULES, *rules.TRUSTED, *rules.MASKED, *rules.ON_POOL)
    assert set(rules._MESSAGES) == {rule.__name__ for rule in every}


def test_judge__what_an_insider_would_know() -> None:
    c = case(n=[20, 20, 20])
    c = replace(c, arrays=c.arrays.assign(n_capped=(("genes",), [10, 9, 9])))
    masks, (finding,) = rules.judge(c, [record("n")], [insider])
    assert masks["one"].values.tolist() == [SHOWN, SUPPORT, SUPPORT]
    assert (finding.rule, finding.threshold, finding.n_hidden) == ("insider", 5.0, 2)


def test_judge__a_rule_keeps_the_codes_given_before() -> None:
    c = case(n=[11, 100, 100], part=[5, 5, 50], cell=[9, 9, 10])
    both = [rules.min_support, rules.min_cell]
    r = record("n", "part")
    masks, findings = rules.judge(c, [r], both)
    assert masks["one"].values.tolist() == [SUPPORT, LOW, SHOWN]
    assert [(f.rule, f.n_hidden) for f in findings] == [("min_support", 1), ("min_cell", 1)]
    masks, findings = rules.judge(c, [r], [rules.min_cell, rules.min_support])
    assert masks["one"].values.tolist() == [EITHER, LOW, SHOWN]
    assert [f.rule for f in findings] == ["min_cell"]


def test_judge__a_rule_that_has_nothing_to_say_does_not_end_it() -> None:
    c = case(n=[11])
    masks, _ = rules.judge(c, [record("n")], [rules.min_individuals, rules.min_support])
    assert masks["one"].values.tolist() == [SUPPORT]
