"""The gate, cell by cell by hand, and against an attacker who knows the policy and the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask import gate, rules
from eucan_dask.analyses.allele_frequency import RARE, AlleleFrequency
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.analysis import Analysis
from eucan_dask.case import Case
from eucan_dask.errors import Invalid, Refused
from eucan_dask.leaving import PAIRS, leaving
from eucan_dask.overlap import Overlap
from eucan_dask.panel import Panel
from eucan_dask.partial import Hidden, Partial, PartialSpec, Record, Release, labelled
from eucan_dask.policy import Thresholds
from eucan_dask.structural import (
    STRUCTURAL,
    clear_levels,
    dominance_of_terms,
    one_mean_whole,
)
from eucan_dask.terms import Term
from eucan_dask.testing.cases import policy, thresholds

K = 10
SHOWN, LOW, HIGH, SUPPORT, COMPLEMENT, WHOLE = (
    Hidden.SHOWN,
    Hidden.LOW,
    Hidden.HIGH,
    Hidden.SUPPORT,
    Hidden.COMPLEMENT,
    Hidden.WHOLE,
)
SEX = CohortSummary(fields=(SummaryField(field="sex", levels=("female", "male")),))
BLANK = Release("a", "run", 0, "x", "refused")


def case(
    analysis: Analysis,
    arrays: dict[str, object],
    *,
    cohorts: tuple[str, ...] = ("c",),
    panel: Panel | None = None,
    cohort_n: list[int] | None = None,
    limits: Thresholds | None = None,
    **options: object,
) -> Case:
    """A case with these arrays; the analysis set is large unless `cohort_n` says otherwise."""
    panel = panel or Panel()
    ds = labelled(analysis.coords(panel, cohorts))
    for spec in analysis.yields:
        if spec.name in arrays:
            ds[spec.name] = (spec.dims, np.asarray(arrays[spec.name], spec.dtype))
    n = np.array(cohort_n or [1000] * len(cohorts))
    apart = Overlap(np.diag(n) + n[:, np.newaxis] * ~np.eye(n.size, dtype=bool))
    options = {"overlap": apart, **options}
    return Case(analysis, panel, ds, n, limits or thresholds(K), **options)


def judged(c: Case) -> dict[str, list[object]]:
    masks, _ = rules.judge(c, c.analysis.records)
    return {name: mask.values.tolist() for name, mask in masks.items()}


# --- mutation frequency: counts within a denominator ---


def frequency(n_assayed: int, n_mutated: int, limits: Thresholds) -> tuple[int, int]:
    """Codes of the denominator and of the count."""
    c = case(
        MutationFrequency(),
        {"gene_n_assayed": [[n_assayed]], "gene_n_mutated": [[[n_mutated]]]},
        panel=Panel(genes=("TP53",)),
        limits=limits,
    )
    masks = judged(c)
    return masks["assayed"][0][0], masks["mutated"][0][0][0]


@pytest.mark.parametrize(
    ("n", "x", "zeros", "expected"),
    [
        (100, 50, False, (SHOWN, SHOWN)),
        (100, 10, False, (SHOWN, SHOWN)),  # exactly the threshold
        (100, 9, False, (SHOWN, LOW)),
        (100, 1, False, (SHOWN, LOW)),
        (100, 0, False, (SHOWN, SHOWN)),  # zero means zero
        (100, 0, True, (SHOWN, LOW)),  # zero is hidden like a small count
        (100, 90, False, (SHOWN, SHOWN)),
        (100, 91, False, (SHOWN, HIGH)),  # all but nine
        (100, 99, False, (SHOWN, HIGH)),
        (100, 100, False, (SHOWN, SHOWN)),
        (100, 100, True, (SHOWN, HIGH)),
        (9, 4, False, (SUPPORT, SUPPORT)),  # too few assayed, whatever the count
        (9, 0, False, (SUPPORT, SUPPORT)),
        (0, 0, True, (SUPPORT, SUPPORT)),
    ],
)
def test_judge__a_count_within_its_denominator(
    n: int, x: int, *, zeros: bool, expected: tuple[int, int]
) -> None:
    assert frequency(n, x, thresholds(K, zeros=zeros)) == expected


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("k", [3, 5, 10])
def test_judge__no_hidden_count_can_be_told_from_its_code(k: int, *, zeros: bool) -> None:
    """With the denominator and the code known, at least k - 1 values stay possible."""
    for n in range(k, 4 * k):
        counts = np.arange(n + 1)
        c = case(
            MutationFrequency(),
            {
                "gene_n_assayed": np.full((n + 1, 1), n),
                "gene_n_mutated": counts[:, np.newaxis, np.newaxis],
            },
            panel=Panel(genes=tuple(map(str, counts))),  # a gene for every count there can be
            limits=thresholds(k, zeros=zeros),
        )
        codes = np.array(judged(c)["mutated"]).ravel()
        for code in set(codes) - {SHOWN}:
            values = counts[codes == code].tolist()
            assert len(values) >= k - 1, f"n = {n}, {Hidden(code).name} says {values}"


def test_judge__codes_of_one_cohort_do_not_touch_another() -> None:
    c = case(
        MutationFrequency(classes=("non_silent", "Silent")),
        {
            "gene_n_assayed": [[100, 9], [100, 50]],
            "gene_n_mutated": [[[20, 5], [3, 0]], [[95, 20], [0, 10]]],
        },
        cohorts=("x", "y"),
        panel=Panel(genes=("A", "B")),
    )
    assert judged(c) == {
        "assayed": [[SHOWN, SUPPORT], [SHOWN, SHOWN]],
        "mutated": [[[SHOWN, SUPPORT], [LOW, SUPPORT]], [[HIGH, SHOWN], [SHOWN, SHOWN]]],
    }


# --- cohort summary: a classification ---


def levels(counts: list[int], limits: Thresholds) -> list[int]:
    """Codes of the levels of one cohort; the last two are other and missing."""
    names = tuple(f"l{i}" for i in range(len(counts) - 2))
    c = case(
        CohortSummary(fields=(SummaryField(field="f", levels=names),)),
        {"cohort_n_individuals": [sum(counts)], "level_n_individuals": [counts]},
        cohort_n=[sum(counts)],
        limits=limits,
    )
    masks = judged(c)
    return [int(code) for code in masks["summary"][0]]


def test_complement__nothing_small_hides_nothing() -> None:
    assert levels([50, 40, 10, 0], thresholds(K)) == [SHOWN] * 4


def test_complement__one_small_cell_takes_others_along() -> None:
    codes = levels([50, 40, 30, 3], thresholds(K))
    hidden = [i for i, code in enumerate(codes) if code]
    assert 3 in hidden
    assert len(hidden) >= 2
    assert len(hidden) < 4, "more is hidden than must be"


def test_complement__two_small_cells_that_hold_too_little_take_a_third() -> None:
    codes = levels([50, 40, 3, 2], thresholds(K))
    assert sum(code != SHOWN for code in codes) >= 3


def test_complement__the_hidden_cells_hold_the_threshold() -> None:
    counts = [30, 30, 6, 6]
    codes = levels(counts, thresholds(K))
    hidden = sum(n for n, code in zip(counts, codes, strict=True) if code)
    assert hidden >= K


def test_complement__a_small_cohort_is_support_throughout() -> None:
    assert levels([4, 4, 0, 0], thresholds(K)) == [SUPPORT] * 4


def test_complement__nobody_missing_may_be_said() -> None:
    """A zero of "missing" or "other" says nothing of anybody, even where zeros are hidden."""
    assert levels([50, 40, 0, 0], thresholds(K, zeros=True)) == [SHOWN] * 4
    assert levels([50, 0, 40, 0], thresholds(K, zeros=True))[1] != SHOWN


@pytest.mark.parametrize(
    ("counts", "zeros", "n_hidden"),
    [
        ([7, 3, 40, 50], False, 2),  # each can hold 1 to 9
        ([6, 3, 40, 50], False, 3),  # nine people
        ([7, 3, 10, 50], False, 2),  # the third could be one of those hidden
        ([7, 4, 10, 50], False, 3),  # a smaller cell would not have come along
        ([50, 40, 0, 3], False, 2),  # the 40, not the zero
        ([9, 3, 8, 50, 0, 0], False, 3),  # no zero is needed beside twenty people
        ([9, 3, 7, 50, 0, 0], False, 5),  # but beside nineteen
        ([5, 5, 0, 40, 0, 0], True, 5),  # with zeros each can hold 0 to 10
        ([2] * 7 + [1] * 6 + [50, 60, 0, 0], False, 15),  # each could hold 1 to 8 alone
    ],
)
def test_complement__no_more_is_hidden_than_must_be(
    counts: list[int], n_hidden: int, *, zeros: bool
) -> None:
    codes = levels(counts, thresholds(K, zeros=zeros))
    assert set(codes) == {SHOWN, COMPLEMENT}
    assert sum(code == COMPLEMENT for code in codes) == n_hidden


def test_complement__the_smallest_cell_comes_along() -> None:
    assert levels([50, 40, 0, 3], thresholds(K)) == [SHOWN, COMPLEMENT, SHOWN, COMPLEMENT]
    limits = thresholds(1, zeros=True)
    assert levels([5, 0, 1, 0], limits) == [SHOWN, COMPLEMENT, COMPLEMENT, COMPLEMENT]


def test_complement__groups_are_apart() -> None:
    two = CohortSummary(
        fields=(
            SummaryField(field="sex", levels=("female",)),
            SummaryField(field="age", edges=(50.0,)),
        )
    )
    c = case(
        two,
        {"cohort_n_individuals": [60], "level_n_individuals": [[30, 30, 0, 57, 3, 0]]},
        cohort_n=[60],
    )
    codes = judged(c)["summary"][0]
    assert codes[:3] == [SHOWN] * 3
    assert all(code != SHOWN for code in codes[3:5])


def compositions(n: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (n,)
        return
    for first in range(n + 1):
        for rest in compositions(n - first, parts - 1):
            yield (first, *rest)


def every_release(
    n: int, parts: int, limits: Thresholds
) -> dict[tuple[tuple[int, ...], tuple[int, ...]], np.ndarray]:
    """All tables of `n` people over `parts` levels, by what the gate lets out of them."""
    names = tuple(f"l{i}" for i in range(parts - 2))
    analysis = CohortSummary(fields=(SummaryField(field="f", levels=names),))
    tables = np.array(list(compositions(n, parts)))
    c = case(
        analysis,
        {"cohort_n_individuals": [n] * len(tables), "level_n_individuals": tables},
        cohorts=tuple(map(str, range(len(tables)))),
        cohort_n=[n] * len(tables),
        limits=limits,
    )
    masks, _ = rules.judge(c, analysis.records)
    codes = masks["summary"].values
    groups = defaultdict(list)
    for row, code in zip(tables, codes, strict=True):
        shown = np.where(code == SHOWN, row, -1)
        groups[tuple(map(int, code)), tuple(map(int, shown))].append(row)
    return {key: np.array(rows) for key, rows in groups.items()}


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(("parts", "k"), [(3, 3), (3, 5), (4, 3), (4, 5)])
def test_complement__no_table_can_be_told_from_its_release(
    parts: int, k: int, *, zeros: bool
) -> None:
    """Who knows policy, rules and cohort size is left with k - 1 values for every hidden cell.

    Every table of up to 4 k people is put through the gate; tables with the same release are what
    such a reader cannot tell apart (disclosure.md, 4).
    """
    for n in range(k, 4 * k):
        for (codes, shown), rows in every_release(n, parts, thresholds(k, zeros=zeros)).items():
            for cell in np.flatnonzero(codes):
                values = sorted(set(rows[:, cell].tolist()))
                assert len(values) >= k - 1, (
                    f"{n} people, shown {shown}, codes {codes}: cell {cell} can only be {values}"
                )


# --- survival: a whole curve or nothing, and the test ---


def survival_case(event: list[int], censored: list[int], n: int, **options: object) -> Case:
    times = tuple(float(t) for t in range(len(event)))
    return case(
        Survival(),
        {
            "cohort_n_individuals": [n],
            "cohort_n_event": [event],
            "cohort_n_censored": [censored],
            "group_n": [[n]],
            "group_n_event": [[sum(event)]],
            "group_n_censored": [[n - sum(event)]],
            "group_covariance": [[[0.0]]],
        },
        panel=Panel(times=times),
        **options,
    )


@pytest.mark.parametrize(
    ("event", "censored", "n", "expected"),
    [
        ([0, 20, 0, 15], [0, 0, 10, 0], 100, SHOWN),
        ([0, 20, 3, 15], [0, 0, 10, 0], 100, WHOLE),  # one small step hides the whole curve
        ([0, 20, 0, 15], [0, 0, 4, 0], 100, WHOLE),
        ([0, 4, 0, 0], [0, 0, 0, 0], 9, SUPPORT),
    ],
)
def test_judge__a_curve_stands_or_falls_whole(
    event: list[int], censored: list[int], n: int, expected: int
) -> None:
    for zeros in (False, True):  # a step without an event is always shown
        limits = thresholds(K, zeros=zeros)
        assert judged(survival_case(event, censored, n, limits=limits))["curve"] == [expected]


@pytest.mark.parametrize("left", [1, 5, 9])
def test_judge__the_people_beyond_the_grid_are_a_cell_too(left: int) -> None:
    """Everybody less all events and withdrawals shown is a count of people like any other."""
    masks = judged(survival_case([0, 20, 0, 20], [0, 0, 20, 0], 60 + left))
    assert masks["curve"] == [WHOLE]


def test_judge__the_test_needs_people_in_every_group() -> None:
    def codes(n: list[int], observed: list[int], apart: tuple[int, int] = (0, 0)) -> object:
        c = case(
            Survival(),
            {
                "cohort_n_individuals": n,
                "cohort_n_event": np.zeros((2, 2)),
                "cohort_n_censored": np.zeros((2, 2)),
                "group_n": [n],
                "group_n_event": [observed],
                "group_n_censored": [[a - b for a, b in zip(n, observed, strict=True)]],
                "group_n_apart": [apart],
                "group_covariance": np.ones((1, 2, 2)),
            },
            cohorts=("x", "y"),
            panel=Panel(times=(0.0, 1.0)),
        )
        return judged(c)["logrank"]

    assert codes([50, 50], [20, 20]) == [SHOWN]
    assert codes([50, 9], [20, 0]) == [SUPPORT]
    assert codes([50, 50], [20, 4]) == [WHOLE]
    assert codes([50, 50], [20, 46]) == [WHOLE]  # all but four
    assert codes([50, 50], [20, 20], (9, 9)) == [WHOLE]  # so many are in both cohorts
    assert codes([50, 50], [20, 20], (10, 10)) == [SHOWN]


# --- structural rules ---

COX = CoxRegression(terms=(Term(field="age"), Term(field="sex", levels=("f", "m"))))


def fit(n: int, n_event: int, **options: object) -> Case:
    p = 2
    return case(
        COX,
        {
            **{s.name: np.zeros(s.shape(COX.coords(Panel(), ("c",)))) for s in COX.yields},
            "n_individuals": n,
            "n_event": n_event,
            "n_effective": n_event,
            "n_smallest_cell": options.pop("smallest", n),
            "n_dominant": options.pop("dominant", 0),
            "n_weight": options.pop("weight", n),
            "information": np.eye(p),
        },
        cohort_n=[n],
        **options,
    )


def released(c: Case, **changes: object) -> Release:
    """What the gate makes of a case."""
    names = [spec.name for spec in c.analysis.yields]
    partial = Partial(xr.Dataset({n: (c.arrays[n].dims, c.arrays[n].values) for n in names}))
    coords = c.analysis.coords(c.panel, tuple(map(str, c.arrays["cohorts"].values)))
    own = replace(policy(c.thresholds), **changes)
    return gate.release(
        partial, policy=own, case=replace(c, arrays=labelled(coords)), template=BLANK
    )


@pytest.mark.parametrize(
    ("n", "n_event", "limits", "rounds", "rule"),
    [
        (200, 100, {}, 1, None),
        (9, 9, {"ratio": 9.0}, 1, "min_individuals"),
        (200, 19, {"ratio": 0.1}, 1, "max_parameter_ratio"),
        (200, 20, {"ratio": 0.1}, 1, None),  # two parameters on twenty events
        (11, 11, {"ratio": 9.0}, 1, "min_residual_dof"),
        (200, 100, {}, 40, None),  # 40 rounds x 2 x 5 / 2 = 200 numbers of 200 people
        (200, 100, {}, 41, "transcript"),
        (200, 4, {"ratio": 9.0}, 1, "min_cell"),
        (200, 195, {"ratio": 9.0}, 1, "min_cell"),
    ],
)
def test_release__structural_rules(
    n: int, n_event: int, limits: dict[str, float], rounds: int, rule: str | None
) -> None:
    c = fit(n, n_event, limits=thresholds(K, **limits), n_rounds=rounds)
    if rule is None:
        assert released(c).status == "released"
        return
    with pytest.raises(Refused) as caught:
        released(c)
    assert caught.value.rule == rule
    assert not any(ch.isdigit() for ch in str(caught.value)), "a refusal tells a number"


@pytest.mark.parametrize(("smallest", "refused"), [(10, False), (9, True), (1, True)])
def test_release__terms_form_no_small_cells(smallest: int, *, refused: bool) -> None:
    c = fit(200, 100, smallest=smallest)
    if not refused:
        assert released(c).status == "released"
        return
    with pytest.raises(Refused, match="rule min_cell_of_terms"):
        released(c)


@pytest.mark.parametrize(("share", "refused"), [(900, False), (901, True), (1000, True)])
def test_release__two_people_hold_no_sum(share: int, *, refused: bool) -> None:
    c = fit(200, 100, dominant=share, limits=replace(thresholds(K), dominance_share=0.9))
    if not refused:
        assert released(c).status == "released"
        assert released(replace(c, public=True)).status == "released"
        return
    with pytest.raises(Refused, match="rule dominance_of_terms"):
        released(c)
    assert released(replace(c, public=True)).status == "released"


@pytest.mark.parametrize(("weight", "refused"), [(20, False), (19, True), (1, True)])
def test_release__no_sum_rests_on_few_by_weight(weight: int, *, refused: bool) -> None:
    """Kish's effective number of people is at least 10 for each of the two parameters."""
    c = fit(200, 100, weight=weight)
    if not refused:
        assert released(c).status == "released"
        return
    with pytest.raises(Refused, match="rule min_effective_weight"):
        released(c)


def test_release__public_data_are_not_weighed_against_parameters() -> None:
    c = fit(3, 1, limits=thresholds(0, ratio=0.0), n_rounds=1000, public=True, weight=1)
    assert released(c).status == "released"
    other = fit(3, 1, n_rounds=1000, weight=20)
    none = thresholds(0, ratio=9.0)
    hidden_sums = replace(other, aggregator="masked", thresholds=none, pool=none)
    assert released(hidden_sums).status == "released"


def test_release__structural_rules_leave_counts_alone() -> None:
    c = case(
        SEX,
        {"cohort_n_individuals": [40], "level_n_individuals": [[20, 20, 0, 0]]},
        limits=thresholds(K, ratio=0.0),
        n_rounds=10**6,
    )
    for rule in STRUCTURAL:
        assert rule(c) is None


@pytest.mark.parametrize(
    ("rule", "just", "too_few"),
    [
        ("min_individuals_whole", fit(K, 5), fit(K - 1, 5)),
        ("min_residual_dof", fit(K + 2, 6), fit(K + 1, 6)),
        ("min_effective_weight", fit(200, 100, weight=20), fit(200, 100, weight=19)),
        (
            "min_effective_weight",
            fit(200, 100, weight=30, limits=thresholds(30)),
            fit(200, 100, weight=29, limits=thresholds(30)),
        ),
    ],
)
def test_structural__what_is_just_enough(rule: str, just: Case, too_few: Case) -> None:
    (judge,) = (one for one in STRUCTURAL if one.__name__ == rule)
    assert judge(just) is None
    refused = judge(too_few)
    assert refused is not None
    assert refused.rule == rule.removesuffix("_whole")


def test_structural__a_share_of_nearly_all_is_not_all() -> None:
    limits = replace(thresholds(K), dominance_share=0.9995)
    assert dominance_of_terms(fit(200, 100, dominant=999, limits=limits)) is None
    refused = dominance_of_terms(fit(200, 100, dominant=1000, limits=limits))
    assert refused is not None


def scan(**options: object) -> Case:
    """An association; no array of it but whether two values of a column may be mixed up."""
    analysis = LinearAssociation(traits=(Term(field="y"),))
    panel = Panel(variants=("1:5:A:G",))
    return case(analysis, {"n_unclear": options.pop("unclear", 0)}, panel=panel, **options)


@pytest.mark.parametrize("aggregator", ["trusted", "masked"])
def test_clear_levels__where_cells_of_sites_are_added_up(aggregator: str) -> None:
    assert clear_levels(scan(aggregator=aggregator)) is None
    assert clear_levels(scan(aggregator="none", unclear=1)) is None
    assert clear_levels(scan(aggregator=aggregator, unclear=1, public=True)) is None
    refused = clear_levels(scan(aggregator=aggregator, unclear=1))
    assert refused is not None
    assert refused.rule == "clear_levels"


def test_one_mean_whole__where_a_site_cannot_hide_a_variant() -> None:
    moved, none = np.array([True]), np.array([False])
    assert one_mean_whole(scan(aggregator="masked")) is None
    assert one_mean_whole(scan(aggregator="masked", moved=none)) is None
    assert one_mean_whole(scan(aggregator="trusted", moved=moved)) is None
    refused = one_mean_whole(scan(aggregator="masked", moved=moved))
    assert refused is not None
    assert refused.rule == "one_mean"


# --- release ---


def summary_case(counts: list[int], **options: object) -> Case:
    n = sum(counts)
    arrays = {"cohort_n_individuals": [n], "level_n_individuals": [counts]}
    return case(SEX, arrays, cohort_n=[n], **options)


def test_release__hidden_cells_are_zero_and_shown_ones_untouched() -> None:
    counts = np.array([50, 40, 3, 2])
    out = released(summary_case(counts.tolist()))
    hidden = out.arrays["summary_hidden"][0] > 0
    np.testing.assert_array_equal(out.arrays["level_n_individuals"][0], np.where(hidden, 0, counts))
    assert out.arrays["summary_hidden"].dtype == np.uint8
    assert (out.site, out.run, out.status) == ("a", "run", "released")


def test_release__evidence_stays() -> None:
    assert "n_effective" not in released(fit(200, 100)).arrays


def test_release__findings_name_rule_record_and_threshold() -> None:
    findings = {f.rule: f for f in released(summary_case([50, 40, 3, 2])).findings}
    assert findings["min_cell"].record == "summary"
    assert findings["min_cell"].threshold == K
    assert findings["min_cell"].n_hidden == 2


def test_release__under_masking_cells_are_judged_on_the_pool_alone() -> None:
    out = released(summary_case([50, 40, 3, 2], aggregator="masked", pool=thresholds(K)))
    assert out.arrays["level_n_individuals"].tolist() == [[50, 40, 3, 2]]
    assert out.arrays["level_n_individuals_capped"].tolist() == [[5, 5, 3, 2]]
    assert not [name for name in out.arrays if name.endswith("_hidden")]


def genotypes_of(n: list[int], **options: object) -> Case:
    """One variant: in each cohort one person is heterozygous, all others have none of it."""
    cohorts = tuple(f"c{i}" for i in range(len(n)))
    ones, others = [1] * len(n), [x - 1 for x in n]
    arrays = {
        "variant_n_expected": [n],
        "variant_n_called": [n],
        "variant_allele_number": [[2 * x for x in n]],
        "variant_allele_count": [ones],
        "variant_genotype_count": [[others, ones, [0] * len(n)]],
        "variant_n_group": [[n] * 4],
        "variant_n_rare": np.zeros((1, len(RARE), len(n))),
        "variant_n_carriers": [ones],
        "variant_n_non_carriers": [others],
    }
    panel = Panel(variants=("1:5:A:G",))
    options = {"pool": thresholds(K), **options}
    return case(AlleleFrequency(), arrays, cohorts=cohorts, cohort_n=n, panel=panel, **options)


def test_release__a_processor_gets_no_support_of_people_who_are_left_out() -> None:
    """A cohort of two adds nothing to what the pool is judged by, nor to how cohorts lie."""
    out = released(genotypes_of([60, 3, 2], aggregator="trusted")).arrays
    assert out["called_hidden"].tolist() == [[SHOWN, SHOWN, SUPPORT]]
    assert out["variant_n_carriers"].tolist() == [[1, 1, 0]]
    assert out["variant_n_non_carriers"].tolist() == [[59, 2, 0]]
    assert out["variant_n_group"].tolist() == [[[60, 3, 0]] * 4]
    assert out["variant_n_group_capped"].tolist() == [[[5, 3, 0]] * 4]
    assert out[PAIRS].tolist() == [[60, 60, 60], [3, 3, 3], [0, 0, 0]]


def test_release__a_processor_gets_supports_of_traits_beside_a_variant_that_is_hidden() -> None:
    analysis, panel = LinearAssociation(traits=(Term(field="y"),)), Panel(variants=("1:5:A:G",))
    specs = {s.name: s.shape(analysis.coords(panel, ("c",))) for s in analysis.yields}
    arrays = {name: np.full(shape, 20) for name, shape in specs.items()}
    moved, none = (np.array([found]) for found in (True, False))
    for hidden in (moved, none):
        c = case(analysis, arrays, panel=panel, aggregator="trusted", public=True, moved=hidden)
        out = released(replace(c, pool=thresholds(K))).arrays
        assert out["association_hidden"].tolist() == [WHOLE if hidden.any() else SHOWN]
        assert out["variant_n_carriers"].tolist() == [0 if hidden.any() else 20]
        assert out["trait_n_cases"].tolist() == [20]


def test_release__under_masks_how_all_cohorts_lie_is_added_up() -> None:
    out = released(genotypes_of([60, 3, 2], aggregator="masked")).arrays
    assert out["variant_n_carriers"].tolist() == [[1, 1, 1]]
    assert out[PAIRS].tolist() == [[60, 60, 60], [3, 3, 3], [2, 2, 2]]


def test_release__one_cohort_lies_in_no_other() -> None:
    """What the request fixes and no more: the one cohort of an association has no pairs."""
    c = fit(200, 100, aggregator="masked", pool=thresholds(K))
    coords = c.analysis.coords(c.panel, ("c",))
    assert set(released(c).arrays) == set(leaving(c.analysis, coords, "masked"))


@pytest.mark.parametrize(
    ("lacking", "rule"), [({"pool": None}, "pool_thresholds"), ({"overlap": None}, "bounds")]
)
def test_release__a_pool_that_cannot_be_judged_is_refused(
    lacking: dict[str, object], rule: str
) -> None:
    with pytest.raises(Refused) as caught:
        released(genotypes_of([60], aggregator="masked", **lacking))
    assert caught.value.rule == rule


def test_release__too_many_bytes_are_refused() -> None:
    whole = released(summary_case([50, 40, 20, 20]))
    size = sum(array.nbytes for array in whole.arrays.values())
    assert released(summary_case([50, 40, 20, 20]), max_bytes=size).status == "released"
    with pytest.raises(Refused) as caught:
        released(summary_case([50, 40, 20, 20]), max_bytes=size - 1)
    assert caught.value.rule == "max_bytes"
    assert caught.value.remedy == "ask for fewer genes, cohorts or times"


def test_release__a_fit_with_a_small_cell_says_what_would_help() -> None:
    with pytest.raises(Refused) as caught:
        released(fit(200, 195, limits=thresholds(K, ratio=9.0)))
    assert caught.value.rule == "min_cell"
    assert caught.value.remedy == "widen the cohort, or leave this site out"


def test_release__a_partial_of_another_shape_is_invalid() -> None:
    c = summary_case([50, 40, 3, 2])
    wrong = Partial(c.arrays[["cohort_n_individuals"]])
    with pytest.raises(Invalid, match="does not return what it declares"):
        gate.release(
            wrong,
            policy=policy(c.thresholds),
            case=replace(c, arrays=labelled(SEX.coords(Panel(), ("c",)))),
            template=BLANK,
        )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    counts=st.lists(st.integers(0, 40), min_size=4, max_size=4),
    k=st.integers(1, 12),
    zeros=st.booleans(),
)
def test_release__nothing_small_is_ever_shown(counts: list[int], k: int, *, zeros: bool) -> None:
    n = sum(counts)
    out = released(summary_case(counts, limits=thresholds(k, zeros=zeros)))
    codes = out.arrays["summary_hidden"][0]
    shown = out.arrays["level_n_individuals"][0]
    for level, (count, code, value) in enumerate(zip(counts, codes, shown, strict=True)):
        assert value == (0 if code else count)
        if code == SHOWN:
            for part in (count, n - count):
                assert part >= k or (part == 0 and (not zeros or level > 1))


def test_coarse__rounds_up_to_one_two_five() -> None:
    found = [rules.coarse(n) for n in (0, 1, 2, 3, 5, 6, 10, 11, 21, 51, 1000, 1001)]
    assert found == [0, 1, 2, 5, 5, 10, 10, 20, 50, 100, 1000, 2000]


def test_rule_names__are_the_functions_in_order() -> None:
    names = rules.rule_names()
    site = tuple(rule.__name__ for rule in (*STRUCTURAL, *rules.RULES))
    assert names[: len(site)] == site
    every = (*STRUCTURAL, *rules.RULES, *rules.TRUSTED, *rules.MASKED, *rules.ON_POOL)
    assert set(names) == {rule.__name__ for rule in every}
    assert len(set(names)) == len(names)
    assert all(rule.__doc__ for rule in every)


# --- what a hospital's own analysis may declare ---


class Nested(Analysis):
    """Three counts, each within the one before."""

    name = "nested"
    title = "Nested"
    kind = "counts"
    equals = "nothing"
    yields = (
        PartialSpec("n", ("cohorts",), "count"),
        PartialSpec("some", ("cohorts",), "count", within="n"),
        PartialSpec("few", ("cohorts",), "count", within="some"),
        PartialSpec("total", ("cohorts",), "sum", within="some"),
    )
    records = (
        Record("all", ("n",), ("cohorts",)),
        Record("part", ("some",), ("cohorts",), needs=("all",)),
        Record("inner", ("few", "total"), ("cohorts",), needs=("all", "part")),
    )
    tables = ()


def nested(n: int, some: int, few: int) -> dict[str, object]:
    c = case(Nested(), {"n": [n], "some": [some], "few": [few], "total": [1.5]})
    return {name: codes[0] for name, codes in judged(c).items()}


def test_needed_records__a_record_falls_with_one_it_needs() -> None:
    assert nested(100, 50, 20) == {"all": SHOWN, "part": SHOWN, "inner": SHOWN}
    assert nested(100, 4, 2) == {"all": SHOWN, "part": LOW, "inner": WHOLE}
    assert nested(9, 4, 2) == {"all": SUPPORT, "part": SUPPORT, "inner": SUPPORT}


def test_min_support__a_sum_rests_on_the_people_behind_it() -> None:
    limits = replace(thresholds(K), min_cell=0)
    c = case(Nested(), {"n": [100], "some": [9], "few": [5], "total": [1.5]}, limits=limits)
    assert judged(c)["inner"] == [SUPPORT]


def test_partial_spec__a_sum_names_the_people_behind_it() -> None:
    """A sum without a count of people would pass the gate whoever it rests on: fail closed."""
    with pytest.raises(Invalid, match="within"):
        PartialSpec("total", ("levels",), "sum")


def test_release__a_count_larger_than_what_it_is_part_of_is_invalid() -> None:
    """`n - x` would be negative, and neither small nor zero: the rest of the cell goes unjudged."""
    with pytest.raises(Invalid):
        released(
            case(
                SEX,
                {"cohort_n_individuals": [40], "level_n_individuals": [[50, 0, 0, 0]]},
                cohort_n=[40],
            )
        )


def test_case__says_what_a_variable_is() -> None:
    assert summary_case([1, 2, 3, 4]).spec("level_n_individuals").within == "cohort_n_individuals"
