"""No released cohort lies few people beside cells of a released classification."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask.cells import Cells, Classification, cells_of, read_classifications
from eucan_dask.errors import Refused
from eucan_dask.families import set_tag
from eucan_dask.ledger import Ledger
from tests.test_ledger import FIRST, KEY, PEOPLE, ask, members, question

N = len(PEOPLE)
HALVES = np.where(np.arange(N) < N // 2, 0, 1)  # two levels
THIRDS = np.arange(N) * 3 // N
EVERYBODY = np.ones(N, dtype=bool)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", KEY)


def half_less(n: int) -> np.ndarray:
    """The first half of the people without its first `n`."""
    return (HALVES == 0) & ~members(*range(n))


def classify(ledger: Ledger, who: np.ndarray, *codes: np.ndarray, **options: object) -> np.ndarray:
    return ask(ledger, who, classifications=codes, summand="level", **options)


# --- a cohort after a classification ---


@pytest.mark.parametrize("n", [1, 5, 9])
def test_decide__a_cohort_few_beside_a_cell_is_answered_on_the_cell(ledger: Ledger, n: int) -> None:
    classify(ledger, EVERYBODY, HALVES)
    np.testing.assert_array_equal(ask(ledger, half_less(n))[:, 0], HALVES == 0)


@pytest.mark.parametrize("n", [0, 10, 20])
def test_decide__a_cohort_far_from_every_cell_is_itself(ledger: Ledger, n: int) -> None:
    classify(ledger, EVERYBODY, HALVES)
    np.testing.assert_array_equal(ask(ledger, half_less(n))[:, 0], half_less(n))


def test_decide__a_union_of_cells_is_compared(ledger: Ledger) -> None:
    """Of three levels the first and the last, without three people of each."""
    classify(ledger, EVERYBODY, THIRDS)
    union = THIRDS != 1
    near = union.copy()
    near[[0, 1, 2, -1, -2, -3]] = False
    np.testing.assert_array_equal(ask(ledger, near)[:, 0], union)


def test_decide__cells_of_a_cohort_that_is_not_everybody(ledger: Ledger) -> None:
    who = members(*range(5, N))
    classify(ledger, who, HALVES)
    cell = who & (HALVES == 0)
    np.testing.assert_array_equal(ask(ledger, cell & ~members(12, 13))[:, 0], cell)


def test_decide__cells_of_the_same_question_are_compared(ledger: Ledger) -> None:
    both = np.stack([EVERYBODY, half_less(3)], axis=1)
    found = classify(ledger, both, HALVES)
    np.testing.assert_array_equal(found[:, 1], HALVES == 0)


def test_decide__cells_that_may_not_be_answered_either(ledger: Ledger) -> None:
    """The first third less two cohorts is six people: neither it nor what lies beside."""
    classify(ledger, EVERYBODY, THIRDS)
    ask(ledger, members(*range(20)))
    ask(ledger, members(*range(20, 40)))
    near = (THIRDS == 0) & ~members(*range(8))
    with pytest.raises(Refused, match="min_cohort_difference; use a cohort"):
        ask(ledger, near)


def test_decide__cells_of_two_fields_that_differ_by_few(ledger: Ledger) -> None:
    """What lies beside a cell of one lies beside a cell of the other, whichever it is."""
    shifted = np.where(np.arange(N) < N // 2 + 3, 0, 1)
    classify(ledger, EVERYBODY, HALVES, shifted)
    with pytest.raises(Refused, match="min_cohort_difference; use a cohort"):
        ask(ledger, half_less(3))


def test_decide__nothing_is_compared_where_the_policy_compares_nothing(ledger: Ledger) -> None:
    classify(ledger, EVERYBODY, HALVES, least=1)
    np.testing.assert_array_equal(ask(ledger, half_less(3), least=1)[:, 0], half_less(3))


def test_decide__a_restart_forgets_no_classification(ledger: Ledger, tmp_path: Path) -> None:
    classify(ledger, EVERYBODY, HALVES)
    again = Ledger(tmp_path / "ledger.sqlite", KEY)
    np.testing.assert_array_equal(ask(again, half_less(3))[:, 0], HALVES == 0)


def test_decide__what_was_not_recorded_is_not_compared(ledger: Ledger) -> None:
    ledger.decide(question(EVERYBODY, classifications=(HALVES,), summand="level"))
    np.testing.assert_array_equal(ask(ledger, half_less(3))[:, 0], half_less(3))


def test_decide__a_classification_is_kept_once(ledger: Ledger) -> None:
    for _ in range(3):
        classify(ledger, EVERYBODY, HALVES, THIRDS)
    with ledger.vault.open() as box:
        assert len(read_classifications(box, N)) == 2


@pytest.mark.parametrize(
    ("unknown", "kept"), [(9, members(*range(50))), (10, members(*range(10, 50)))]
)
def test_decide__cells_of_whom_it_counted(ledger: Ledger, unknown: int, kept: np.ndarray) -> None:
    """The people chosen, if fewer than ten of them lack what is counted; else those used."""
    classify(ledger, EVERYBODY, HALVES, eligible=~members(*range(unknown)))
    near = kept & ~members(20, 21)
    np.testing.assert_array_equal(ask(ledger, near)[:, 0], kept)


def test_format__what_is_kept_is_found_under_the_same_names(ledger: Ledger) -> None:
    """Another name or number forgets what was told: it needs another `vault.FORMAT`."""
    codes = np.where(THIRDS == 2, -1, THIRDS)
    classify(ledger, FIRST, codes)
    levels = np.trim_zeros(codes + 1, "b").astype("<u2").tobytes()
    with ledger.vault.open() as box:
        tag = box.tag("codes", levels)
        assert box.items("classified", b"") == [set_tag(box, FIRST) + tag]
        assert np.trim_zeros(np.frombuffer(box.need("codes", tag), "<u2"), "b").tobytes() == levels


# --- a classification after a cohort ---


@pytest.mark.parametrize("n", [1, 9])
def test_decide__cells_few_beside_a_cohort_are_refused(ledger: Ledger, n: int) -> None:
    ask(ledger, half_less(n))
    with pytest.raises(Refused, match="min_cohort_difference; use other levels"):
        classify(ledger, EVERYBODY, HALVES, asker="Ada")
    assert ledger.refusals("Ada") == 1
    classify(ledger, EVERYBODY, THIRDS)  # other levels


@pytest.mark.parametrize("n", [0, 10])
def test_decide__cells_far_from_every_cohort_are_not(ledger: Ledger, n: int) -> None:
    ask(ledger, half_less(n))
    classify(ledger, EVERYBODY, HALVES)


def test_decide__a_cohort_that_others_add_up_to_is_compared(ledger: Ledger) -> None:
    """The last twenty of fifty are no column of the span; a cell is these but for three."""
    ask(ledger, FIRST)
    ask(ledger, members(*range(30)))
    last = members(*range(30, 50))
    ask(ledger, last, summand="h")
    with ledger.vault.open() as box:
        assert box.items("spanned", b"") == [set_tag(box, last)]
    codes = np.where((np.arange(N) >= 33) & (np.arange(N) < 50), 1, 0)
    with pytest.raises(Refused, match="use other levels"):
        classify(ledger, EVERYBODY, codes)


@pytest.mark.parametrize("n", [1, 9])
def test_decide__the_same_cell_of_a_cohort_that_lacks_few_of_it(ledger: Ledger, n: int) -> None:
    """The cohorts differ by twenty people, the cells by `n` of the first half, and the others."""
    classify(ledger, EVERYBODY, HALVES)
    some = ~members(*range(n), *range(N - 20 + n, N))
    with pytest.raises(Refused, match="min_cohort_difference; use other levels"):
        classify(ledger, some, HALVES)
    np.testing.assert_array_equal(classify(ledger, some, THIRDS % 2)[:, 0], some)


@pytest.mark.parametrize("n", [0, 10])
def test_decide__the_same_cell_of_a_cohort_that_lacks_many_of_it(ledger: Ledger, n: int) -> None:
    classify(ledger, EVERYBODY, HALVES)
    some = ~members(*range(n), *range(N - 20 + n, N))
    np.testing.assert_array_equal(classify(ledger, some, HALVES)[:, 0], some)


@pytest.mark.parametrize(("kept", "fine"), [(9, True), (10, False)])
def test_decide__a_cell_that_is_too_small_to_be_shown(
    ledger: Ledger, kept: int, *, fine: bool
) -> None:
    """Twelve people have the second level; of the cohort some of them, and half of the others."""
    codes = np.where(np.arange(N) < 12, 1, 0)
    classify(ledger, EVERYBODY, codes)
    some = members(*range(kept), *range(20, 60))
    if fine:
        np.testing.assert_array_equal(classify(ledger, some, codes)[:, 0], some)
        return
    with pytest.raises(Refused, match="use other levels"):
        classify(ledger, some, codes)


@pytest.mark.parametrize(("late", "fine"), [(3, False), (10, True)])
def test_decide__the_same_cell_with_people_who_came_since(
    ledger: Ledger, late: int, *, fine: bool
) -> None:
    """Twenty new people, `late` of them of the first level, ten at least of the second."""
    before = PEOPLE[: N - 20]
    codes = np.where(np.arange(N) < 40, 0, 1)
    codes[N - 20 : N - 20 + late] = 0
    old = codes[: N - 20]
    classify(ledger, np.ones(N - 20, bool), old, people=before)
    if fine:
        np.testing.assert_array_equal(classify(ledger, EVERYBODY, codes)[:, 0], EVERYBODY)
        return
    with pytest.raises(Refused, match="use other levels"):
        classify(ledger, EVERYBODY, codes)


def test_decide__the_same_cell_where_a_level_is_not_known_any_more(ledger: Ledger) -> None:
    some = ~members(*range(3), *range(N - 17, N))
    classify(ledger, EVERYBODY, HALVES)
    with pytest.raises(Refused, match="use other levels"):
        classify(ledger, some, np.where(np.arange(N) == 60, -1, HALVES))


@pytest.mark.parametrize("turned", [False, True])
def test_decide__another_classification_is_not_the_same(ledger: Ledger, *, turned: bool) -> None:
    """It differs among the people of one level only."""
    other = np.where((HALVES == 0) & (np.arange(N) % 2 == 0), 1, HALVES)
    first, second = (other, HALVES) if turned else (HALVES, other)
    some = ~members(*range(3), *range(N - 17, N))
    classify(ledger, EVERYBODY, first)
    np.testing.assert_array_equal(classify(ledger, some, second)[:, 0], some)


def test_decide__cells_of_one_request_are_the_gate_s(ledger: Ledger) -> None:
    some = ~members(*range(3), *range(N - 17, N))
    both = np.stack([EVERYBODY, some], axis=1)
    np.testing.assert_array_equal(classify(ledger, both, HALVES), both)


# --- cells ---


@pytest.mark.parametrize(
    ("sizes", "merged"),
    [
        ([30, 30], [30]),
        ([30, 25, 3], [28, 30]),  # three, and the next larger cell with them
        ([30, 6, 5], [11, 30]),
        ([30, 6, 4], [10, 30]),
        ([30, 10, 10], [10, 30]),
        ([30, 20, 1], [21, 30]),
        ([40, 4, 3, 2], [49]),  # nine of the smaller ones
        ([3, 2], [5]),
        ([20], [20]),
    ],
)
def test_cells_of__few_people_are_one_cell_with_others(sizes: list[int], merged: list[int]) -> None:
    """Ten is the least; what is left are the cells that a reader of the table can tell apart."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    who = np.ones(codes.size, dtype=bool)
    cells = cells_of(Classification(who, codes.astype(np.uint16)), who, 10)
    found = {int(cells.nearest(codes == c)[0].sum()) for c in range(len(sizes))}
    assert found - {0} == set(merged)


# --- brute force ---

SMALL, LEAST = 24, 4


def shown(who: np.ndarray, codes: np.ndarray) -> list[np.ndarray]:
    """Cells as a table shows them: those of few people are told together, never as few."""
    cells = sorted((who & (codes == c) for c in np.unique(codes[who])), key=lambda c: int(c.sum()))
    few = np.zeros(SMALL, dtype=bool)
    while cells and (cells[0].sum() < LEAST or 0 < few.sum() < LEAST):
        few |= cells.pop(0)
    return [*cells, few] if few.any() else cells


def unions(cells: list[np.ndarray]) -> list[np.ndarray]:
    nobody = np.zeros(SMALL, dtype=bool)
    return [
        np.logical_or.reduce([nobody, *some])
        for n in range(len(cells) + 1)
        for some in combinations(cells, n)
    ]


COHORT = st.lists(st.booleans(), min_size=SMALL, max_size=SMALL).map(np.array)
FIELDS = np.random.default_rng(3).integers(-1, 3, (3, SMALL))
CODES = st.sampled_from(list(FIELDS))
STEPS = st.lists(st.tuples(COHORT, st.none() | CODES, st.integers(0, 3)), min_size=2, max_size=7)


@settings(max_examples=80, deadline=None)
@given(steps=STEPS)
def test_decide__no_cohort_lies_few_beside_a_union_of_cells(tmp_path_factory, steps) -> None:  # type: ignore[no-untyped-def]
    """Whatever is asked in whichever order; some cohorts are cells but for a few people."""
    ledger = Ledger(tmp_path_factory.mktemp("l") / "ledger.sqlite", KEY)
    people = PEOPLE[:SMALL]
    released: list[np.ndarray] = []
    classified: list[list[np.ndarray]] = []
    tables: list[tuple[np.ndarray, np.ndarray]] = []
    for who, codes, off in steps:
        if classified and off:
            near = classified[-1][0].copy()
            near[np.flatnonzero(near)[:off]] = False
            who = near
        options = {"least": LEAST, "smallest": LEAST, "people": people}
        try:
            found = ask(ledger, who, classifications=() if codes is None else (codes,), **options)[
                :, 0
            ]
        except Refused:
            continue
        if found.sum() >= LEAST:
            released.append(found)
            if codes is not None:
                classified.append(shown(found, codes))
                tables.append((found, codes))
    for cohort in released:
        for cells in classified:
            for union in unions(cells):
                assert not 0 < (cohort ^ union).sum() < LEAST
    for (one, codes), (other, more) in combinations(tables, 2):
        if (codes == more).all():
            for level in range(3):
                mine, theirs = one & (codes == level), other & (codes == level)
                if min(mine.sum(), theirs.sum()) >= LEAST:
                    assert not 0 < (mine ^ theirs).sum() < LEAST


def test_nearest__and_apart_agree() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        cells = Cells(rng.integers(0, 4, 40))
        cohort = rng.random(40) < 0.5
        union, apart = cells.nearest(cohort)
        assert apart == (union ^ cohort).sum()
        packed = np.zeros((1, 64), bool)
        packed[0, :40] = cohort
        words = np.packbits(packed, axis=1).view(np.uint64)
        assert cells.apart(words).tolist() == [apart]
