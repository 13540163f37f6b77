"""What a site can work out of a total it added to: by hand, and against brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.analysis import Analysis
from eucan_dask.errors import Refused
from eucan_dask.grid import Flows, merge_grid
from eucan_dask.insider import Steps, capped, half, largest_part, others_hold
from eucan_dask.leaving import PAIRS, caps, leaving, only_for_gate, spans
from eucan_dask.panel import Panel
from eucan_dask.partial import Hidden, PartialSpec, Record
from eucan_dask.policy import Thresholds
from eucan_dask.terms import Term
from eucan_dask.testing.cases import thresholds
from eucan_dask.total import from_sums, gate_pool

K = 10
ONE_GENE = Panel(genes=("TP53",))


def pool(
    analysis: Analysis,
    panel: Panel,
    sites: list[dict[str, object]],
    limits: Thresholds,
    *,
    n_cohorts: int = 1,
) -> xr.Dataset:
    """The gate's answer where sites send these arrays, others zero, and what they cap of them."""
    coords = analysis.coords(panel, tuple(f"c{i}" for i in range(n_cohorts)))
    sums: dict[str, np.ndarray] = {}
    for site in sites:
        arrays = {
            spec.name: xr.DataArray(
                np.asarray(site.get(spec.name, np.zeros(spec.shape(coords))), spec.dtype),
                dims=spec.dims,
            )
            for spec in analysis.yields
            if spec.kind != "evidence"
        }
        arrays |= capped(analysis, arrays, limits.min_cell)
        if PAIRS in only_for_gate(analysis):
            arrays[PAIRS] = xr.DataArray(np.full((n_cohorts, n_cohorts), 1000))  # apart
        for name, array in arrays.items():
            sums[name] = sums.get(name, 0) + array.values
    assert {n: a.shape for n, a in sums.items()} == {
        n: shape for n, (shape, _) in leaving(analysis, coords, "masked").items()
    }
    return gate_pool(analysis, panel, from_sums(analysis, coords, sums, len(sites)), limits)


def gene(*parts: tuple[int, int], zeros: bool = False) -> tuple[int, list[int]]:
    """Code and bounds of a gene with (mutated, assayed) at each site."""
    sites = [{"gene_n_mutated": [[[x]]], "gene_n_assayed": [[n]]} for x, n in parts]
    found = pool(MutationFrequency(), ONE_GENE, sites, thresholds(K, zeros=zeros))
    ends = [int(found[f"gene_n_mutated_{end}"].item()) for end in ("low", "high")]
    return int(found["mutated_pool_hidden"].item()), ends


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        (((10, 50), (5, 50), (0, 50)), Hidden.SHOWN),  # five are left to the first
        (((10, 50), (4, 50), (0, 50)), Hidden.INSIDER),  # four are
        (((14, 50), (0, 50), (0, 50)), Hidden.INSIDER),
        (((4, 50), (3, 50), (3, 50)), Hidden.SHOWN),
        (((3, 50), (3, 50), (3, 50)), Hidden.LOW),
        (((9, 50), (0, 50), (0, 50)), Hidden.INSIDER),  # the first would know that nobody else is
        (((6, 50), (2, 50), (0, 50)), Hidden.INSIDER),
        (((5, 50), (2, 50), (0, 50)), Hidden.LOW),  # two to four others, or none
        (((0, 50), (0, 50), (0, 50)), Hidden.SHOWN),
        (((40, 50), (45, 50), (50, 50)), Hidden.SHOWN),  # ten and five have it not
        (((40, 50), (46, 50), (50, 50)), Hidden.INSIDER),
        (((50, 50), (50, 50), (50, 50)), Hidden.SHOWN),  # nobody is left whom one could know
        (((47, 50), (47, 50), (47, 50)), Hidden.HIGH),
        (((41, 50), (50, 50), (50, 50)), Hidden.INSIDER),
        (((5, 30), (9, 2000), (20, 60)), Hidden.SHOWN),
        (((20, 40), (0, 4), (0, 0)), Hidden.SUPPORT),  # four of the people assayed are others'
    ],
)
def test_insider__a_count_by_hand(parts: tuple[tuple[int, int], ...], code: int) -> None:
    assert gene(*parts)[0] == code


def test_insider__zeros_that_are_hidden_look_like_any_small_count() -> None:
    assert gene((0, 50), (0, 50), (0, 50), zeros=True) == (Hidden.LOW, [0, 9])


def test_insider__one_person_of_one_site_is_known_to_it_whatever_may_be_counted() -> None:
    """A policy that shows small cohorts does not tell a site that its own person is alone."""
    limits = replace(thresholds(K), min_individuals=1)
    sites = [{"gene_n_assayed": [[n]]} for n in (1, 0, 0)]
    found = pool(MutationFrequency(), ONE_GENE, sites, limits)
    assert int(found["assayed_pool_hidden"].item()) == Hidden.SUPPORT


def test_insider__bounds_say_neither_end() -> None:
    assert gene((14, 50), (0, 50), (0, 50))[1] == [0, 150]


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("k", [4, 5, 6])
def test_insider__no_site_can_tell_the_others_from_a_code(k: int, *, zeros: bool) -> None:
    """Who knows its own part, all denominators and the code is left with k // 2 values or more."""
    n = 2 * k
    left: dict[tuple[int, int], set[int]] = {}
    limits = thresholds(k, zeros=zeros)
    panel = Panel(genes=tuple(map(str, range((n + 1) ** 3))))
    parts = np.array(list(product(range(n + 1), repeat=3)))
    sites = [
        {"gene_n_mutated": parts[:, i, None, None], "gene_n_assayed": np.full((len(parts), 1), n)}
        for i in range(3)
    ]
    found = pool(MutationFrequency(), panel, sites, limits)
    codes = found["mutated_pool_hidden"].values.ravel()
    for (own, *others), code in zip(parts.tolist(), codes.tolist(), strict=True):
        if code:
            left.setdefault((own, code), set()).add(sum(others))
    assert {code for _, code in left} == {Hidden.LOW, Hidden.HIGH, Hidden.INSIDER}
    for code in (Hidden.LOW, Hidden.HIGH, Hidden.INSIDER):  # who is no site sees the code alone
        assert len(set(parts[codes == code].sum(axis=1).tolist())) >= k - 1
    assert min(map(len, left.values())) >= k // 2
    shown = parts[codes == 0]
    rest = shown.sum(axis=1) - shown.max(axis=1)
    assert (rest[shown.sum(axis=1) > 0] >= k // 2).all()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(parts=st.lists(st.integers(0, 30), min_size=1, max_size=6), k=st.integers(0, 15))
def test_capped__adds_up_to_twice_half_if_and_only_if_others_hold_half(
    parts: list[int], k: int
) -> None:
    total, cap = sum(parts), sum(min(part, half(k)) for part in parts)
    if total >= 2 * half(k):
        assert (cap >= 2 * half(k)) == (total - max(parts) >= half(k))
    assert max(parts) <= largest_part(np.array([total]), np.array([cap]), k)[0]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    cells=st.lists(st.lists(st.integers(0, 12), min_size=3, max_size=3), min_size=1, max_size=4),
    k=st.integers(1, 12),
)
def test_others_hold__is_true_only_if_they_do(cells: list[list[int]], k: int) -> None:
    parts = np.array(cells)
    caps_ = np.minimum(parts, half(k)).sum(axis=1)
    if others_hold(parts.sum(axis=1), caps_, k):
        of_site = parts.sum(axis=0)
        assert parts.sum() - of_site.max() >= half(k)


def test_others_hold__just_half() -> None:
    total, cap = np.array([10]), np.array([10])
    assert others_hold(total, cap, 10)
    assert not others_hold(total, cap - 1, 10)


def test_half__of_an_odd_cell_is_rounded_down() -> None:
    """Words are added up: half a person is none."""
    assert half(9) == 4
    arrays = {
        "gene_n_assayed": xr.DataArray([[50]], dims=("genes", "cohorts")),
        "gene_n_mutated": xr.DataArray([[[3]]], dims=("genes", "classes", "cohorts")),
    }
    assert {array.dtype for array in capped(MutationFrequency(), arrays, 9).values()} == {
        np.dtype(np.int64)
    }


# --- classifications ---

SEX = CohortSummary(fields=(SummaryField(field="sex", levels=("female", "male")),))


def levels(*sites: list[int]) -> list[int]:
    held = [{"level_n_individuals": [s], "cohort_n_individuals": [sum(s)]} for s in sites]
    found = pool(SEX, Panel(), held, thresholds(K))
    return [int(code) for code in found["summary_pool_hidden"].values[0]]


def test_complement__hidden_cells_are_not_all_of_one_site() -> None:
    """Missing and other hold 12 together, all at one site: it would know that nobody else is."""
    assert levels([50, 40, 6, 6], [50, 40, 0, 0], [50, 40, 0, 0]) == [0, *[Hidden.COMPLEMENT] * 3]


def test_complement__enough_of_the_others_is_among_them() -> None:
    """Nine and nine, of which no site has more than three each: 18 less 6 is left."""
    assert levels(*[[50, 40, 3, 3]] * 3) == [0, 0, Hidden.COMPLEMENT, Hidden.COMPLEMENT]


@pytest.mark.parametrize("zeros", [False, True])
def test_complement__two_cells_or_more_and_half_a_cell_of_others_are_hidden(*, zeros: bool) -> None:
    """Every table of two sites over three levels, as if each were a cohort."""
    k, own = 4, [(a, b, 8 - a - b) for a in range(9) for b in range(9 - a)]
    pairs = list(product(own, own))
    one, other = (np.array([pair[i] for pair in pairs]) for i in (0, 1))
    found = pool(
        CohortSummary(fields=(SummaryField(field="f", levels=("a",)),)),
        Panel(),
        [{"level_n_individuals": x, "cohort_n_individuals": x.sum(axis=1)} for x in (one, other)],
        thresholds(k, zeros=zeros),
        n_cohorts=len(pairs),
    )
    hidden = found["summary_pool_hidden"].values > 0
    some = hidden.any(axis=1)
    assert 0 < some.sum() < len(pairs)
    assert (hidden.sum(axis=1)[some] >= 2).all()
    for theirs in (one, other):
        assert ((theirs * hidden).sum(axis=1)[some] >= k // 2).all()


# --- cells that numbers can be solved for ---


def test_insider__a_genotype_nearly_all_at_one_site() -> None:
    v = Panel(variants=("1:5:A:G",))

    def site(*genotypes: int) -> dict[str, object]:
        ref, het, hom = genotypes
        n = sum(genotypes)
        return {
            "variant_n_expected": [[n]],
            "variant_n_called": [[n]],
            "variant_allele_number": [[2 * n]],
            "variant_allele_count": [[het + 2 * hom]],
            "variant_genotype_count": np.array(genotypes).reshape(1, 3, 1),
            "variant_n_group": np.array([0, n, 0, n]).reshape(1, 4, 1),
            "variant_n_carriers": [[het + hom]],
            "variant_n_non_carriers": [[ref]],
        }

    def codes(*sites: dict[str, object]) -> list[int]:
        found = pool(AlleleFrequency(), v, list(sites), thresholds(K))
        return [int(found[f"{r.name}_pool_hidden"].item()) for r in AlleleFrequency.records]

    assert codes(*[site(30, 20, 5)] * 3) == [0, 0, 0]
    assert codes(site(30, 20, 11), site(30, 20, 3), site(30, 20, 1)) == [0, 0, Hidden.WHOLE]
    # four carriers are others'
    assert codes(site(30, 9, 9), site(30, 2, 1), site(30, 0, 1)) == [Hidden.WHOLE] * 3


def test_insider__a_dosage_nearly_all_at_one_site() -> None:
    analysis = LinearAssociation(traits=(Term(field="y"),))

    def site(ref: int, het: int, hom: int) -> dict[str, object]:
        n = ref + het + hom
        return {
            "n_individuals": n,
            "n_intercept": 1.0,
            "variant_n_called": [n],
            "variant_n_carriers": [het + hom],
            "variant_n_non_carriers": [ref],
            "variant_n_one": [het],
            "variant_n_two": [hom],
            "variant_n_diploid": [n],
        }

    def code(*sites: dict[str, object]) -> int:
        found = pool(analysis, Panel(variants=("1:5:A:G",)), list(sites), thresholds(K))
        return int(found["association_pool_hidden"].item())

    assert code(*[site(30, 20, 5)] * 3) == 0
    assert code(site(30, 20, 11), site(30, 20, 3), site(30, 20, 1)) == Hidden.WHOLE
    assert code(site(30, 20, 3), site(30, 20, 3), site(30, 20, 3)) == Hidden.WHOLE  # nine


def test_gate_pool__a_fit_of_one_site_is_refused() -> None:
    """A record that rests on a whole run cannot go on without its totals."""
    analysis = LinearAssociation(traits=(Term(field="y"),))
    sites = [{"n_individuals": 100}, {"n_individuals": 4}]
    with pytest.raises(Refused) as caught:
        pool(analysis, Panel(variants=("1:5:A:G",)), sites, thresholds(K))
    assert caught.value.rule == "insider"


# --- along a grid ---


def curve(*sites: tuple[list[int], int]) -> tuple[list[int], list[int]]:
    """Events shown and codes, where sites have these events and so many people."""
    panel = Panel(times=tuple(float(t) for t in range(len(sites[0][0]))))
    held = [
        {"cohort_n_event": [e], "cohort_n_individuals": [n], "group_n": [[n]]} for e, n in sites
    ]
    found = pool(Survival(), panel, held, thresholds(K))
    codes = found["curve_pool_hidden"].values[0].tolist()
    return found["cohort_n_event"].values[0].tolist(), codes


def test_merge__a_step_waits_for_the_events_of_others() -> None:
    """Ten of the first site at once; the others' five come with the next step."""
    merged, shown = Hidden.MERGED, Hidden.SHOWN
    assert curve(([0, 10, 0], 90), ([0, 0, 3], 90), ([0, 0, 2], 90)) == (
        [0, 0, 15],
        [shown, merged, shown],
    )
    assert curve(([0, 10, 0], 90), ([0, 3, 0], 90), ([0, 2, 0], 90)) == ([0, 15, 0], [shown] * 3)


def test_merge__people_left_at_the_end_are_not_all_of_one_site() -> None:
    tail, shown = Hidden.TAIL, Hidden.SHOWN
    assert curve(([0, 10, 10], 60), ([0, 10, 10], 24), ([0, 10, 10], 20))[1] == [shown, shown, tail]
    assert curve(([0, 10, 10], 60), ([0, 10, 10], 25), ([0, 10, 10], 20))[1] == [shown] * 3


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    sites=st.lists(
        st.tuples(
            st.lists(st.integers(0, 9), min_size=7, max_size=7),
            st.lists(st.integers(0, 9), min_size=7, max_size=7),
            st.integers(0, 20),
        ),
        min_size=2,
        max_size=4,
    ),
    k=st.integers(2, 12),
)
def test_merge_grid__leaves_half_a_cell_without_any_site(
    sites: list[tuple[list[int], list[int], int]], k: int
) -> None:
    """Every step shown, and those left at the end, by brute force over the sites' own flows."""
    flows = np.array([[events, censored] for events, censored, _ in sites])  # (S, 2, T)
    people = flows.sum(axis=(1, 2)) + np.array([rest for *_, rest in sites])
    lengths = spans(7)
    stretches = np.zeros((2, 7, len(lengths)), np.int64)
    for j, length in enumerate(lengths):
        for t in range(8 - length):
            part = flows[:, :, t : t + length].sum(axis=2)
            stretches[:, t, j] = np.minimum(part, half(k)).sum(axis=0)
    left = people[:, np.newaxis] - flows.sum(axis=1).cumsum(axis=1)
    steps = Steps.of(stretches, np.minimum(left, half(k)).sum(axis=0), k)
    together = Flows(flows.sum(axis=0), int(people.sum()), steps)
    codes = merge_grid([together], k)
    merged = together.merged(codes)
    start = 0
    for point in np.flatnonzero(codes == Hidden.SHOWN):
        own = flows[:, :, start : point + 1].sum(axis=2)
        total = own.sum(axis=0)
        np.testing.assert_array_equal(merged[:, point], total)
        assert ((total == 0) | (total - own.max(axis=0) >= half(k))).all()
        start = point + 1
    end = left[:, start - 1] if start else people
    assert not start or end.sum() == 0 or end.sum() - end.max() >= half(k)


class Leaving(Analysis):
    """People who leave, by level, along a grid that is not the last dimension."""

    name = "leaving"
    title = "Leaving"
    kind = "counts"
    equals = "nothing"
    yields = (
        PartialSpec("n", ("cohorts",), "count"),
        PartialSpec("gone", ("levels", "times", "cohorts"), "count", within="n"),
    )
    records = (
        Record("all", ("n",), ("cohorts",)),
        Record("curves", ("gone",), ("levels", "times", "cohorts"), grid="times"),
    )
    tables = ()


def test_capped__stretches_and_people_left_of_one_flow() -> None:
    flow = np.random.default_rng(3).integers(0, 6, (2, 5, 3))
    n = flow.sum(axis=(0, 1)) + [0, 3, 9]
    dims = ("levels", "times", "cohorts")
    arrays = {"n": xr.DataArray(n, dims=("cohorts",)), "gone": xr.DataArray(flow, dims=dims)}
    found = capped(Leaving(), arrays, 16)
    for j, length in enumerate(spans(5)):
        for start in range(5):
            stretch = flow[:, start : start + length].sum(axis=1) * (start + length <= 5)
            told = found["gone_capped"].values[:, start, :, j]
            np.testing.assert_array_equal(told, np.minimum(stretch, 8))
    left = np.minimum(n - flow.cumsum(axis=1), 8)
    np.testing.assert_array_equal(found["curves_left_capped"].values, left)


def test_capped__people_left_of_two_flows() -> None:
    event, censored = np.array([[1, 0, 4]]), np.array([[0, 2, 1]])
    grid = ("cohorts", "times")
    arrays = {
        "cohort_n_event": xr.DataArray(event, dims=grid),
        "cohort_n_censored": xr.DataArray(censored, dims=grid),
        "cohort_n_individuals": xr.DataArray([12], dims=("cohorts",)),
        **{
            name: xr.DataArray(np.zeros((1, 1), np.int64), dims=("contrasts", "cohorts"))
            for name in ("group_n", "group_n_event", "group_n_censored", "group_n_apart")
        },
    }
    found = capped(Survival(), arrays, 100)
    assert found["curve_left_capped"].values.tolist() == [[11, 9, 4]]


def test_caps__name_every_count_and_what_is_judged() -> None:
    assert {name: cap.what for name, cap in caps(Survival()).items()} == {
        "cohort_n_individuals_capped": "value",
        "cohort_n_event_capped": "stretches",
        "cohort_n_censored_capped": "stretches",
        "group_n_capped": "value",
        "group_n_event_capped": "value",
        "group_n_censored_capped": "value",
        "group_n_apart_capped": "value",
        "curve_left_capped": "left",
    }
    assert spans(1) == (1,)
    assert spans(7) == (1, 2, 4)
    assert spans(8) == (1, 2, 4, 8)
