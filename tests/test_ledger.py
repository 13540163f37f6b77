"""The ledger: whom it answers on, what it refuses, crashes, two processes, and its privacy."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask import vault
from eucan_dask.accounts import Budget, exposures
from eucan_dask.errors import EucanError, Invalid, Refused, Unavailable
from eucan_dask.families import EVERYTHING, Families, Family, Trial, read_span
from eucan_dask.ledger import Ask, Entry, Ledger
from eucan_dask.steward import given as ways_given
from eucan_dask.ways import Way

KEY = b"k" * 32
PEOPLE = tuple(f"person-{i:03d}" for i in range(100))
ENTRY = Entry("r", "x", "0")
FORK = multiprocessing.get_context("fork")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def members(*numbers: int) -> np.ndarray:
    """A membership vector."""
    chosen = np.zeros(len(PEOPLE), dtype=bool)
    chosen[list(numbers)] = True
    return chosen


FIRST = members(*range(50))
COST = 0.4


def question(
    criteria: np.ndarray,
    *,
    eligible: np.ndarray | None = None,
    summand: str = "f",
    shape: str = "",
    least: int = 10,
    smallest: int = 10,
    people: tuple[str, ...] = PEOPLE,
    names: tuple[str, ...] | None = None,
    **more: object,
) -> Ask:
    """A question about one or more cohorts; columns are cohorts, each defined by its people."""
    columns = criteria.reshape(len(people), -1)
    known = {f"{np.flatnonzero(c).tolist()}": None for c in columns.T}
    return Ask(
        individuals=people,
        criteria=columns,
        eligible=np.ones(len(people), bool) if eligible is None else eligible,
        definitions=tuple(known) if names is None else names,
        scope="",
        summands={summand: shape},
        least=least,
        smallest=smallest,
        **more,
    )


def ask(
    ledger: Ledger,
    criteria: np.ndarray,
    *,
    run: str = "r",
    costs: object = None,
    **options: object,
) -> np.ndarray:
    """Ask, be answered, and see whom the answer rests on: (people, cohorts)."""
    budget = options.get("budget")
    decision = ledger.decide(question(criteria, **options))
    if costs is None:
        costs = [] if budget is None else np.full(decision.used.shape[1], COST)
    ledger.record(decision, replace(ENTRY, run=run), costs)
    return decision.used


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", KEY)


def test_entry__says_nothing_of_what_nobody_said() -> None:
    assert Entry("r", "x", "0") == Entry("r", "x", "0", "", "", "", (), "", {})


def test_repr__tells_nobody_s_id_and_criteria(ledger: Ledger) -> None:
    asked = question(FIRST, classifications=(np.arange(len(PEOPLE)),))
    decision = ledger.decide(asked)
    for one in (asked, decision, *decision.classified):
        assert "person-" not in repr(one)
        assert "array" not in repr(one)


# --- whom an answer rests on ---


@pytest.mark.parametrize(
    ("second", "rests_on"),
    [
        (members(*range(49)), FIRST),  # one fewer
        (members(*range(51)), FIRST),  # one more
        (members(*range(41)), FIRST),  # nine fewer
        (members(*range(40)), members(*range(40))),  # ten fewer
        (members(*range(5, 54)), FIRST),  # five out, four in
        (members(*range(5, 55)), members(*range(5, 55))),  # five out, five in
        (FIRST, FIRST),
        (members(*range(50, 100)), members(*range(50, 100))),
        (members(*range(9)), members(*range(9))),  # too small to be answered at all
    ],
)
def test_decide__second_cohort(ledger: Ledger, second: np.ndarray, rests_on: np.ndarray) -> None:
    ask(ledger, FIRST)
    np.testing.assert_array_equal(ask(ledger, second)[:, 0], rests_on)


def test_decide__cohorts_of_one_request_are_compared_too(ledger: Ledger) -> None:
    used = ask(ledger, np.stack([FIRST, members(*range(49))], axis=1))
    np.testing.assert_array_equal(used, np.stack([FIRST, FIRST], axis=1))


def test_decide__records_nothing(ledger: Ledger) -> None:
    ledger.decide(question(FIRST))
    assert ledger.summary() == []
    other = members(*range(49))
    np.testing.assert_array_equal(ask(ledger, other)[:, 0], other)


def test_decide__a_refusal_records_nothing_but_itself(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    both = np.stack([members(*range(50, 80)), members(*range(49))], axis=1)
    with pytest.raises(Refused) as caught:
        ask(ledger, both, eligible=~members(0), asker="a")  # not one of the known people: no 0
    assert caught.value.rule == "min_cohort_difference"
    assert not any(ch.isdigit() for ch in str(caught.value))
    assert ledger.refusals("a") == 1
    other = members(*range(50, 81))  # it would be answered on the 30, had they been recorded
    np.testing.assert_array_equal(ask(ledger, other)[:, 0], other)
    assert len(ledger.summary()) == 2


def test_decide__people_used_are_compared_within_a_summand(ledger: Ledger) -> None:
    known = ~members(49)
    ask(ledger, FIRST, summand="f")
    with pytest.raises(Refused):
        ask(ledger, FIRST, eligible=known, summand="f")
    used = ask(ledger, FIRST, eligible=known, summand="g")
    np.testing.assert_array_equal(used[:, 0], FIRST & known)
    used = ask(ledger, FIRST, summand="g")  # everybody: answered on those of before
    np.testing.assert_array_equal(used[:, 0], FIRST & known)


def test_decide__criteria_are_compared_over_everything(ledger: Ledger) -> None:
    ask(ledger, FIRST, summand="f")
    used = ask(ledger, members(*range(49)), summand="g")
    np.testing.assert_array_equal(used[:, 0], FIRST)


def test_decide__every_summand_agrees_on_the_people(ledger: Ledger) -> None:
    """Known to f as 50, to g as 49 of them: together they cannot be answered on either."""
    ask(ledger, FIRST, summand="f")
    ask(ledger, FIRST, eligible=~members(49), summand="g")
    both = replace(question(FIRST), summands={"f": "", "g": ""})
    with pytest.raises(Refused):
        ledger.decide(both)
    far = replace(question(members(*range(50, 90))), summands={"f": "", "g": ""})
    assert ledger.decide(far).used.sum() == 40


def test_decide__three_sets_that_single_somebody_out_are_not_answered(ledger: Ledger) -> None:
    """Pairs of these differ by ten or more; the first two and the last leave one person."""
    a, b = members(*range(60)), members(*range(20, 80))
    for cohort in (a, b, a & b):
        np.testing.assert_array_equal(ask(ledger, cohort)[:, 0], cohort)
    crafted = (a | b) & ~members(79)
    np.testing.assert_array_equal(ask(ledger, crafted)[:, 0], a | b)


def test_decide__a_chain_of_small_steps_is_not_followed_far(ledger: Ledger) -> None:
    """Six away by the criteria, six more in the family: the promise is fewer than ten in all."""
    ask(ledger, FIRST, eligible=~members(*range(6)))
    with pytest.raises(Refused, match="min_cohort_difference"):
        ledger.decide(question(members(*range(44))))
    assert ledger.decide(question(members(*range(47)))).used.sum() == 44


def test_decide__two_cohorts_of_the_same_words_are_the_same_people(ledger: Ledger) -> None:
    used = ask(ledger, np.stack([FIRST, FIRST], axis=1), names=("age < 50", "age < 50"))
    np.testing.assert_array_equal(used[:, 0], used[:, 1])


def test_decide__families_that_never_agree_refuse(ledger: Ledger) -> None:
    """One knows the first 46, the other the last: neither may be answered on those of both."""
    ask(ledger, FIRST, eligible=members(*range(46)), summand="f")
    ask(ledger, FIRST, eligible=members(*range(4, 50)), summand="g")
    with pytest.raises(Refused, match="min_cohort_difference"):
        ledger.decide(replace(question(FIRST), summands={"f": "", "g": ""}))


def test_decide__the_same_words_are_answered_on_the_same_people(ledger: Ledger) -> None:
    """The data change by a few people: the answer does not; by many: it does."""
    ask(ledger, FIRST, names=("age < 50",))
    later = members(*range(52)) & ~members(7)
    np.testing.assert_array_equal(ask(ledger, later, names=("age < 50",))[:, 0], FIRST)
    much = members(*range(70))
    np.testing.assert_array_equal(ask(ledger, much, names=("age < 50",))[:, 0], much)
    np.testing.assert_array_equal(ask(ledger, members(*range(68)), names=("x",))[:, 0], much)


def test_decide__the_same_people_are_shown_in_one_shape(ledger: Ledger) -> None:
    """Two grids or two sets of bins over the same people differ by the few between two edges."""
    ask(ledger, FIRST, summand="survival", shape="0, 30, 60")
    ask(ledger, FIRST, summand="survival", shape="0, 30, 60")
    with pytest.raises(Refused) as caught:
        ask(ledger, FIRST, summand="survival", shape="0, 31, 60")
    assert caught.value.rule == "one_shape"
    with pytest.raises(Refused, match="one_shape"):
        ask(ledger, members(*range(49)), summand="survival", shape="0, 31, 60")
    ask(ledger, FIRST, summand="age", shape="0, 31, 60")
    ask(ledger, members(*range(50, 100)), summand="survival", shape="0, 31, 60")


def test_decide__nor_what_adds_up_to_them(ledger: Ledger) -> None:
    for half in (FIRST, ~FIRST):
        ask(ledger, half, summand="survival", shape="0, 30, 60")
    with pytest.raises(Refused, match="one_shape"):
        ask(ledger, FIRST | ~FIRST, summand="survival", shape="0, 31, 60")
    assert ask(ledger, FIRST | ~FIRST, summand="survival", shape="0, 30, 60").all()


def test_decide__left_out_stays_left_out_with_a_person_more(ledger: Ledger) -> None:
    """Nine are too few; were ten answered, the tenth would be known to belong to them."""
    assert ask(ledger, members(*range(9))).sum() == 9  # the gate leaves them out
    assert not ask(ledger, members(*range(10))).any()
    assert not ask(ledger, members(*range(15))).any()  # by six from fifteen, by five from ten
    assert ledger.summary() == []
    assert ask(ledger, members(*range(40))).sum() == 40


def test_decide__few_of_an_answered_cohort_are_answered_as_it_was(ledger: Ledger) -> None:
    """The other way round: ten were answered, and without one of them it is no other answer."""
    first = ask(ledger, members(*range(10)))
    np.testing.assert_array_equal(ask(ledger, members(*range(9))), first)
    assert ask(ledger, members(*range(20, 29))).sum() == 9  # nobody near was answered


def test_record__what_a_rule_refused_is_told_to_nobody_but_remembered(ledger: Ledger) -> None:
    ledger.record(ledger.decide(question(FIRST)), None)
    assert ledger.summary() == []
    np.testing.assert_array_equal(ask(ledger, members(*range(49)))[:, 0], FIRST)


def test_decide__fewer_people_than_may_be_told_apart_are_answered_on_nobody(
    ledger: Ledger,
) -> None:
    """Where a site answers on fewer for others to add: its few would be known by subtraction."""
    assert not ask(ledger, members(*range(5)), smallest=3).any()
    assert ledger.summary() == []


@pytest.mark.parametrize("least", [0, 1])
def test_decide__without_a_difference_nothing_is_compared(ledger: Ledger, least: int) -> None:
    for cohort in (FIRST, members(*range(49)), members()):  # nobody: nothing to record
        np.testing.assert_array_equal(ask(ledger, cohort, least=least, smallest=0)[:, 0], cohort)
    assert len(ledger.summary()) == 2


def test_decide__rows_follow_people_not_their_order(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    order = np.random.default_rng(0).permutation(len(PEOPLE))
    again = ask(ledger, FIRST[order], people=tuple(PEOPLE[i] for i in order))
    np.testing.assert_array_equal(again[:, 0], FIRST[order])
    assert len(ledger.summary()) == 1


def test_decide__newcomers(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    more = (*PEOPLE, "new-a", "new-b")
    used = ask(ledger, np.append(FIRST, [True, False]), people=more)
    np.testing.assert_array_equal(used[:, 0], np.append(FIRST, [False, False]))


def test_decide__many_refusals_end_new_cohorts_for_who_asks(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    for _ in range(3):
        with pytest.raises(Refused, match="min_cohort_difference"):
            ask(ledger, FIRST, eligible=~members(0), asker="a")
    new = members(*range(50, 90))
    with pytest.raises(Refused, match="max_refusals"):
        ask(ledger, new, asker="a", max_refusals=3)
    ask(ledger, FIRST, asker="a", max_refusals=3)
    ask(ledger, new, asker="b", max_refusals=3)
    ask(ledger, new, asker="a", max_refusals=3)  # known by now
    assert ledger.clear_refusals("a")
    assert not ledger.clear_refusals("a")
    ask(ledger, members(*range(20, 60)), asker="a", max_refusals=3)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(cohorts=st.lists(st.sets(st.integers(0, 29), min_size=5), min_size=2, max_size=8))
def test_decide__leverage_stays_below_its_limit_and_is_that_of_the_memberships(
    tmp_path_factory: pytest.TempPathFactory, cohorts: list[set[int]]
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite", KEY)
    released = []
    for cohort in cohorts:
        try:
            used = ask(ledger, members(*cohort), least=5, smallest=5)
        except Refused:
            continue
        assert (used[:, 0] ^ members(*cohort)).sum() < 5
        released.append(used[:, 0].astype(float))
    matrix = np.stack(released, axis=1)
    expected = np.diag(matrix @ np.linalg.pinv(matrix))
    with ledger.vault.open() as box:
        span = read_span(box, "f", len(PEOPLE))
    np.testing.assert_allclose(span.leverage, expected, atol=1e-9)
    assert expected.max() < 1 / 4


def test_trial__adds_what_no_verdict_was_given_on(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    with ledger.vault.writing() as box:
        trial = Trial(Families(), len(PEOPLE), 10)
        trial.accept(box, Family("f"), members(*range(50, 90)))
        trial.accept(box, Family("f"), members(*range(90)))  # the two together
        trial.write(box)
        assert read_span(box, "f", len(PEOPLE)).rank == 2
    assert ask(ledger, members(*range(90)))[:, 0].sum() == 90


# --- exposure ---

VARIANTS = Budget("open", 2.0, "frequencies of ten variants", told=20.0, floor=10)


def held(ledger: Ledger, tier: str = "open") -> np.ndarray:
    with ledger.vault.open() as box:
        return exposures(box, tier, len(PEOPLE))


def other(name: str) -> Budget:
    return replace(VARIANTS, question=name)


def test_record__charges_everybody_the_answer_rests_on(ledger: Ledger) -> None:
    ask(ledger, FIRST, budget=VARIANTS)
    np.testing.assert_allclose(held(ledger), np.where(FIRST, COST, 0))
    ask(ledger, FIRST, budget=VARIANTS, run="again", costs=[1.0])  # the same of the same people
    np.testing.assert_allclose(held(ledger), np.where(FIRST, COST, 0))
    ask(ledger, FIRST, budget=replace(VARIANTS, tier="registered"))
    np.testing.assert_allclose(held(ledger), np.where(FIRST, COST, 0))
    ask(ledger, FIRST, budget=other("others"), costs=[0.5])
    np.testing.assert_allclose(held(ledger), np.where(FIRST, COST + 0.5, 0))


def test_record__a_lower_tier_counts_in_the_higher_ones(ledger: Ledger) -> None:
    """What anyone was told is known to named people too; not the other way round."""
    above = replace(VARIANTS, above={"registered": 3.0, "controlled": 9.0})
    named = replace(VARIANTS, tier="registered", cap=3.0, above={"controlled": 9.0})
    ask(ledger, FIRST, budget=above, costs=[0.4])
    ask(ledger, FIRST, budget=replace(named, question="others"), costs=[0.4])
    found = [held(ledger, tier)[FIRST].max() for tier in ("open", "registered", "controlled")]
    np.testing.assert_allclose(found, [0.4, 0.8, 0.8])
    ask(ledger, FIRST, budget=named, costs=[0.4])  # told in the open
    ask(ledger, FIRST, budget=replace(above, question="others"), costs=[0.4])  # new below
    found = [held(ledger, tier)[FIRST].max() for tier in ("open", "registered", "controlled")]
    np.testing.assert_allclose(found, [0.8, 0.8, 0.8])


def test_record__a_lower_tier_may_not_pass_a_higher_cap(ledger: Ledger) -> None:
    named = replace(VARIANTS, tier="registered", cap=2.7, told=0.0, question="theirs")
    ask(ledger, FIRST, budget=named, costs=[2.0])
    above = replace(VARIANTS, cap=1.09, told=0.0, above={"registered": 2.7})
    with pytest.raises(Refused, match="max_exposure"):
        ask(ledger, FIRST, budget=above, costs=[0.8])
    ask(ledger, FIRST, budget=above, costs=[0.7])
    np.testing.assert_allclose(held(ledger, "registered")[FIRST], 2.7)


def test_record__adds_the_cohorts_a_person_is_in(ledger: Ledger) -> None:
    two = np.stack([FIRST, members(*range(20, 80)), members(*range(5))], axis=1)
    ask(ledger, two, budget=VARIANTS, costs=[0.3, 0.1, 9.0])  # of five people nothing is told
    np.testing.assert_allclose(held(ledger), two[:, :2] @ [0.3, 0.1])


def test_record__refuses_what_would_pass_the_cap(ledger: Ledger) -> None:
    ask(ledger, FIRST, budget=VARIANTS, costs=[1.9])
    with pytest.raises(Refused, match="max_exposure") as caught:
        ask(ledger, FIRST, budget=replace(other("b"), told=0.0), costs=[0.11], asker="a")
    assert not any(ch.isdigit() for ch in str(caught.value))
    assert ledger.refusals("a") == 1
    half_known = members(*range(25, 75))
    with pytest.raises(Refused, match="max_exposure"):  # 25 of them have spent theirs
        ask(ledger, half_known, budget=replace(other("b"), told=0.0), costs=[0.11])
    ask(ledger, ~FIRST, budget=other("b"), costs=[0.11])
    assert len(ledger.summary()) == 2
    ask(ledger, FIRST, budget=replace(other("b"), told=0.0), costs=[0.1])  # just up to it
    assert held(ledger).max() == pytest.approx(2.0)


def test_decide__refuses_what_passes_the_cap_whatever_is_told(ledger: Ledger) -> None:
    """Twenty numbers of 50 people cost 20 / 25 at least: half of the people in each group."""
    ask(ledger, FIRST, budget=VARIANTS, costs=[1.2])
    ledger.decide(question(FIRST, budget=other("b")))
    ledger.decide(question(FIRST, budget=replace(other("b"), genes=1000.0)))
    with pytest.raises(Refused, match="max_exposure"):
        ledger.decide(question(FIRST, budget=replace(other("b"), told=20.1), asker="a"))
    assert ledger.refusals("a") == 0


def test_decide__after_many_refusals_expects_the_most(ledger: Ledger) -> None:
    """So that no more can be worked out from them: the answer no longer depends on the data."""
    ask(ledger, FIRST, budget=VARIANTS, costs=[1.0])
    for _ in range(2):
        with pytest.raises(Refused):
            ask(ledger, FIRST, budget=other("b"), costs=[1.1], asker="a", max_refusals=2)
    ten, few = replace(other("b"), told=10.1), replace(other("b"), told=9.9)  # over 10 people
    with pytest.raises(Refused, match="max_exposure"):
        ledger.decide(question(FIRST, budget=ten, asker="a", max_refusals=2))
    ledger.decide(question(FIRST, budget=few, asker="a", max_refusals=2))
    ledger.decide(question(FIRST, budget=VARIANTS, asker="a", max_refusals=2))  # paid
    ledger.decide(question(FIRST, budget=ten, asker="b", max_refusals=2))
    with pytest.raises(Refused, match="max_exposure"):
        ledger.decide(
            question(FIRST, budget=replace(few, genes=6.0), asker="a", max_refusals=2)
        )  # 6 over 50 more


def test_record__what_was_spent_meanwhile_counts(ledger: Ledger) -> None:
    two = [ledger.decide(question(FIRST, budget=other(name))) for name in ("a", "b")]
    ledger.record(two[0], ENTRY, [1.3])
    with pytest.raises(Refused, match="max_exposure"):
        ledger.record(two[1], ENTRY, [1.3])
    np.testing.assert_allclose(held(ledger), np.where(FIRST, 1.3, 0))


# --- withdrawal ---


def without(*numbers: int) -> tuple[str, ...]:
    return tuple(p for i, p in enumerate(PEOPLE) if i not in numbers)


def asked_again(ledger: Ledger, cohort: np.ndarray, *gone: int, **options: object) -> set[str]:
    """The people an answer rests on once some withdrew."""
    people = without(*gone)
    kept = np.array([p in people for p in PEOPLE])
    used = ask(ledger, cohort[kept], people=people, **options)[:, 0]
    return {person for person, inside in zip(people, used, strict=True) if inside}


def ids(cohort: np.ndarray) -> set[str]:
    return {PEOPLE[i] for i in np.flatnonzero(cohort)}


def test_decide__nine_others_stay_out_with_one_who_withdrew(ledger: Ledger) -> None:
    everybody = np.ones(100, bool)
    for cohort in (everybody, FIRST):
        ask(ledger, cohort)
    after = asked_again(ledger, everybody, 7)
    out = ids(everybody) - after
    assert len(out) == 10
    assert "person-007" in out
    assert out <= ids(FIRST)  # of the same cohorts, so that no other one gives them away
    assert asked_again(ledger, FIRST, 7) == ids(FIRST) - out
    assert asked_again(ledger, ~FIRST, 7) == ids(~FIRST)
    assert asked_again(ledger, members(*range(5, 60)), 7) == ids(members(*range(5, 60))) - out
    with ledger.vault.open() as box:
        for name in (EVERYTHING, "f"):
            assert read_span(box, name, 100).leverage.max() < 1 / 9


def test_decide__a_companion_withdraws_and_nothing_changes(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    after = asked_again(ledger, FIRST, 7)
    companion = min(int(p[-3:]) for p in ids(FIRST) - after if p != "person-007")
    assert asked_again(ledger, FIRST, 7, companion) == after


def test_decide__another_person_withdraws(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    after = asked_again(ledger, FIRST, 7)
    other = min(int(p[-3:]) for p in after)
    later = asked_again(ledger, FIRST, 7, other)
    assert len(after - later) == 10
    assert later < after


def test_decide__those_who_withdraw_together_leave_together(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    gone = range(4)
    assert len(asked_again(ledger, FIRST, *gone)) == 40
    many = range(20, 35)
    assert len(asked_again(ledger, members(*range(50, 100)), *gone, *many)) == 50


def test_decide__enough_leave_by_themselves(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    gone = tuple(range(12))
    assert asked_again(ledger, FIRST, *gone) == ids(members(*range(12, 50)))


def test_decide__a_part_of_a_group_that_left_shows_nowhere(ledger: Ledger) -> None:
    """Six people are in both cohorts: a group of ten leaves one of them, or both, in part."""
    cohorts = (members(*range(30)), members(*range(24, 80)))
    for cohort in cohorts:
        ask(ledger, cohort)
    refused = 0
    for cohort in cohorts:
        try:
            assert len(ids(cohort) - asked_again(ledger, cohort, 27)) >= 10
        except Refused as refusal:
            assert refusal.rule == "min_cohort_difference"  # noqa: PT017
            refused += 1
    assert refused >= 1


def test_decide__who_never_was_in_an_answer_leaves_alone(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    assert asked_again(ledger, FIRST, 77) == ids(FIRST)
    assert asked_again(ledger, ~FIRST, 77) == ids(~FIRST) - {"person-077"}


def test_decide__the_choice_of_companions_depends_on_the_key(tmp_path: Path) -> None:
    out = []
    for number in range(4):
        own = Ledger(tmp_path / f"{number}.sqlite", bytes([number]) * 32)
        ask(own, FIRST)
        out.append(frozenset(ids(FIRST) - asked_again(own, FIRST, 7)))
    assert len(set(out)) == 4


# --- rosters, masks, requests ---


def test_open_roster__one_for_each_summand(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.open_roster(["f", "g"], ("a", "b", "c", "d"))
    for other in (("a", "b", "c"), ("a", "b", "c", "d", "e"), ("a", "e", "f", "g")):
        with pytest.raises(Refused, match="one_roster; ask a, b, c, d, as before"):
            ledger.open_roster(["f"], other)
    with pytest.raises(Refused, match="one_roster"):
        ledger.open_roster(["h", "g"], ("a", "b", "c"))
    ledger.open_roster(["h"], ("a", "b", "c"))  # the refusal before recorded nothing of h


def test_open_roster__three_that_differ_by_many_would_give_one_site(ledger: Ledger) -> None:
    """Why rosters that differ by three sites are no better than those that differ by one."""
    sums = {site: int(n) for site, n in zip("1234567", 10 ** np.arange(7), strict=True)}
    rosters = ("1234", "4567", "123567")
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert len(set(rosters[one]) ^ set(rosters[other])) >= 3
    first, second, third = (sum(sums[site] for site in roster) for roster in rosters)
    assert first + second - third == 2 * sums["4"]
    ledger.open_roster(["f"], rosters[0])  # as site 4, which is in two of them
    with pytest.raises(Refused, match="one_roster"):
        ledger.open_roster(["f"], rosters[1])


@pytest.mark.parametrize(
    ("first", "then"), [*itertools.permutations(("none", "trusted", "masked"), 2)]
)
def test_way__sums_are_given_in_one(ledger: Ledger, first: str, then: str) -> None:
    """A masked total less what the others gave on their own is the last site's."""
    sites = ("a", "b", "c")
    ask(ledger, FIRST, way=Way.of(first, sites))
    if first == "masked":
        ledger.open_roster(["f"], sites)
    ask(ledger, FIRST, way=Way.of(first, sites))
    with pytest.raises(Refused, match=f'one_roster; ask with aggregator = "{first}"'):
        ask(ledger, FIRST, way=Way.of(then, sites))
    if then == "masked":
        with pytest.raises(Refused, match="one_roster"):
            ledger.open_roster(["f"], sites)
    ask(ledger, FIRST, summand="g", way=Way.of(then, sites))
    ask(ledger, FIRST)  # public: nothing is remembered, and nothing compared


def test_way__of_masked_answers_that_nobody_opened_is_none(ledger: Ledger) -> None:
    ask(ledger, FIRST, way=Way.of("masked", ("a", "b", "c", "d")))
    ask(ledger, FIRST, way=Way.of("masked", ("a", "b", "c")))  # one dropped out
    ledger.open_roster(["f"], ("a", "b", "c"))
    with pytest.raises(Refused, match="one_roster; ask a, b, c, as before"):
        ask(ledger, FIRST, way=Way.of("masked", ("a", "b", "c", "d")))


def test_way__of_an_answer_given_meanwhile_counts(ledger: Ledger) -> None:
    decision = ledger.decide(question(FIRST, way=Way.of("none", ())))
    ledger.open_roster(["f"], ("a", "b", "c"))
    with pytest.raises(Refused, match="one_roster"):
        ledger.record(decision, ENTRY)
    assert ledger.summary() == []


def test_forget_roster__is_for_the_steward(ledger: Ledger) -> None:
    ledger.open_roster(["f", "g"], ("a", "b", "c"))
    assert ledger.forget_roster("f")
    assert not ledger.forget_roster("f")
    ask(ledger, FIRST, way=Way.of("none", ()))
    rows = [(row["summand"], row["aggregator"], row["sites"]) for row in ways_given(ledger)]
    assert rows == [("f", "none", ""), ("g", "masked", "a, b, c")]


def test_one_payload__one_mask_covers_one(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.one_payload("request", "payload")
    with pytest.raises(Refused, match="one_mask"):
        ledger.one_payload("request", "other")
    ledger.one_payload("other request", "other")


def test_one_request__stands_for_a_run_round_and_roster(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.one_request("r", 0, ("a", "b"), "digest")
    with pytest.raises(Refused, match="replay"):
        ledger.one_request("r", 0, ("a", "b"), "other")
    ledger.one_request("r", 1, ("a", "b"), "other")
    ledger.one_request("r", 0, ("a",), "other")
    ledger.one_request("s", 0, ("a", "b"), "other")


def test_means__the_first_stays(ledger: Ledger) -> None:
    used = FIRST[:, np.newaxis]
    ledger.remember_means(PEOPLE, used, {"v": 0.5, "w": 1.0})
    ledger.remember_means(PEOPLE, used, {"v": 0.6})
    moved = ledger.moved_means(PEOPLE, used, {"v": 0.5, "w": 1.1, "x": 1.0})
    assert moved.tolist() == [False, True, False]
    assert not ledger.moved_means(PEOPLE, ~used, {"w": 1.1}).any()


def test_summary__says_what_was_released(ledger: Ledger) -> None:
    ask(ledger, np.stack([FIRST, members(*range(50, 100))], axis=1), asker="analyst")
    (first, second) = ledger.summary()
    assert (first["run"], first["analysis"], first["freeze"]) == ("r", "x", "0")
    assert first["asker"] == "analyst"
    assert [first["n_individuals"], second["n_individuals"]] == [50, 50]
    assert first["at"]


# --- rounds ---


def test_check_rounds__a_history_that_goes_on_is_taken(ledger: Ledger) -> None:
    for digests in ((), ("a",), ("a", "b"), ("a",), ("a", "b", "c"), ()):
        ledger.check_rounds("q", digests)  # asked again after an answer was lost
        ledger.answered("q", len(digests))


def test_check_rounds__a_contradiction_is_refused(ledger: Ledger) -> None:
    for digests in ((), ("a",), ("a", "b")):
        ledger.check_rounds("q", digests)
        ledger.answered("q", len(digests))
    with pytest.raises(Refused):
        ledger.check_rounds("new", ("a",))  # round 0 of it was never answered
    for other in (("x",), ("a", "x"), ("x", "b", "c")):
        with pytest.raises(Refused) as caught:
            ledger.check_rounds("q", other)
        assert caught.value.rule == "history"
    ledger.check_rounds("other question", ())
    ledger.answered("other question", 0)
    ledger.check_rounds("other question", ("x",))
    ledger.check_rounds("q", ("a", "b", "c"))


@pytest.mark.parametrize("digests", [("a",), ("a", "b"), ("a", "b", "c")])
def test_check_rounds__a_history_out_of_nothing_is_refused(
    ledger: Ledger, digests: tuple[str, ...]
) -> None:
    with pytest.raises(Refused, match="rule history"):
        ledger.check_rounds("q", digests)
    ledger.check_rounds("q", ())
    ledger.answered("q", 0)
    if len(digests) > 1:  # one round was answered, not so many
        with pytest.raises(Refused, match="rule history"):
            ledger.check_rounds("q", digests)


# --- the file ---


def everything(path: Path) -> bytes:
    """All bytes of a ledger and its journal."""
    return b"".join(p.read_bytes() for p in sorted(path.parent.iterdir()))


def secrets_of(ledger: Ledger, cohort: np.ndarray) -> list[bytes]:
    """What must not be read in the file: ids, criteria, bits, floats."""
    leverage, mean = 1 / cohort.sum(), 0.123456789
    number = np.float64
    return [
        b"person-",
        b"known only to some",
        np.packbits(cohort).tobytes(),
        np.packbits(cohort)[:5].tobytes(),
        number(leverage).tobytes(),
        number(mean).tobytes(),
        number(20.0 / cohort.sum()).tobytes(),
        number(np.sqrt(cohort.sum())).tobytes(),
    ]


def test_ledger__holds_nothing_in_clear(tmp_path: Path, ledger: Ledger) -> None:
    cohort = members(*range(0, 90, 2), 91, 95)
    ask(ledger, cohort, names=("known only to some",), budget=VARIANTS)
    ledger.remember_means(PEOPLE, cohort[:, np.newaxis], {"v": 0.123456789})
    raw = everything(ledger.vault.path)
    assert len(raw) > 4000
    for secret in secrets_of(ledger, cohort):
        assert secret not in raw
    # the search can find: the same bytes are there once opened
    with ledger.vault.open() as box:
        opened = b"".join(
            x for kind in ("set", "leverage", "mean", "exposure") for x in box.all(kind)
        )
    assert sum(secret in opened for secret in secrets_of(ledger, cohort)) >= 4


def test_ledger__nor_does_its_journal(tmp_path: Path, ledger: Ledger) -> None:
    """Half way through writing, when the journal lies beside it."""
    cohort = members(*range(0, 90, 2), 91, 95)
    ask(ledger, FIRST)
    decision = ledger.decide(question(cohort, names=("known only to some",)))
    with ledger.vault.writing() as box:
        decision.trial.write(box)
        box.db.execute("pragma cache_spill = 1")
        raw = everything(ledger.vault.path)
        assert len(list(tmp_path.iterdir())) == 2
    for secret in secrets_of(ledger, cohort):
        assert secret not in raw


def test_ledger__its_rows_depend_on_the_key(tmp_path: Path, ledger: Ledger) -> None:
    ask(ledger, FIRST)
    ask(Ledger(tmp_path / "other.sqlite", b"o" * 32), FIRST)
    tags = []
    for name in ("ledger", "other"):
        with sqlite3.connect(tmp_path / f"{name}.sqlite") as db:
            tags.append({row[0] for row in db.execute("select tag from people")})
        db.close()
    assert len(tags[0]) == len(tags[1]) == len(PEOPLE)
    assert not tags[0] & tags[1]


def changed(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as db:
        assert db.execute(statement).rowcount > 0
    db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "update notes set sealed = zeroblob(length(sealed)) where kind = 'leverage'",
        "update notes set sealed = x'00' where kind = 'leverage'",
        "update notes set sealed = 'text' where kind = 'leverage'",
        "update notes set sealed = (select sealed from notes where kind = 'family' limit 1) "
        "where kind = 'leverage'",
        "update lists set sealed = zeroblob(length(sealed)) where kind = 'columns'",
        "delete from lists where kind = 'columns' and number = 0",
        "delete from lists where kind = 'columns' and number = 1",
        "delete from notes where kind = 'set'",
        "delete from notes where kind = 'leverage'",
    ],
)
def test_ledger__a_changed_row_stops_the_site(ledger: Ledger, statement: str) -> None:
    for cohort in (FIRST, ~FIRST):
        ask(ledger, cohort)
    changed(ledger.vault.path, statement)
    with pytest.raises(Unavailable, match="damaged, changed, or belongs to another key"):
        ask(Ledger(ledger.vault.path, KEY), members(*range(20, 70)))


def test_ledger__rows_put_in_each_others_place_are_seen(ledger: Ledger) -> None:
    for cohort in (FIRST, ~FIRST):
        ask(ledger, cohort)
    swap = "update lists set number = case number when 0 then 9 else 0 end where kind = 'columns'"
    changed(ledger.vault.path, swap)
    changed(ledger.vault.path, "update lists set number = 1 where number = 9")
    with pytest.raises(Unavailable, match="damaged"):
        ask(Ledger(ledger.vault.path, KEY), members(*range(20, 70)))


def test_ledger__another_key_opens_nothing(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    with pytest.raises(Unavailable, match="another key"):
        Ledger(ledger.vault.path, b"x" * 32).summary()


@pytest.mark.parametrize(("number", "remedy"), [(1, "data protection officer"), (3, "upgrade")])
def test_ledger__another_format_is_refused(ledger: Ledger, number: int, remedy: str) -> None:
    changed(ledger.vault.path, f"update meta set format = {number}")  # noqa: S608
    with pytest.raises(Invalid, match=f"another format.*{remedy}"):
        Ledger(ledger.vault.path, KEY)


def test_ledger__a_file_of_format_1_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("create table meta (format integer not null)")
        db.execute("insert into meta values (1)")
    db.close()
    with pytest.raises(Invalid, match="another format"):
        Ledger(tmp_path / "ledger.sqlite", KEY)


def test_ledger__reopened_it_remembers(tmp_path: Path) -> None:
    ask(Ledger(tmp_path / "ledger.sqlite", KEY), FIRST)
    used = ask(Ledger(tmp_path / "ledger.sqlite", KEY), members(*range(49)))
    np.testing.assert_array_equal(used[:, 0], FIRST)


def test_ledger__a_file_that_is_no_ledger_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 9)
    with pytest.raises(Unavailable, match=r"ledger\.sqlite cannot be used"):
        Ledger(tmp_path / "ledger.sqlite", KEY)


def test_ledger__no_directory_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be opened"):
        Ledger(tmp_path / "absent" / "ledger.sqlite", KEY)


# --- crashes and company ---


def _die_at(path: Path, number: int) -> None:
    """Record two cohorts, and die at the given write of the transaction."""
    written = 0
    put = vault.Box._sealed

    def sealed(*arguments: object) -> bytes:
        nonlocal written
        written += 1
        if written == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return put(*arguments)

    ledger = Ledger(path, KEY)
    two = np.stack([members(*range(50, 80)), members(*range(20, 70))], axis=1)
    decision = ledger.decide(question(two, budget=replace(VARIANTS, told=10.0)))
    vault.Box._sealed = sealed  # in the child alone
    ledger.record(decision, replace(ENTRY, run="killed"), [COST, COST])


@pytest.mark.parametrize("number", [*range(1, 24, 2), 100])
def test_ledger__killed_while_recording_it_holds_all_or_nothing(
    tmp_path: Path, number: int
) -> None:
    path = tmp_path / "ledger.sqlite"
    ask(Ledger(path, KEY), FIRST)
    process = FORK.Process(target=_die_at, args=(path, number))
    process.start()
    process.join(30)
    assert process.exitcode == (0 if number == 100 else -signal.SIGKILL)
    again = Ledger(path, KEY)
    runs = [row["run"] for row in again.summary()]
    assert runs == (["r", "killed", "killed"] if number == 100 else ["r"])
    consistent(again, 3 if number == 100 else 1)
    ask(again, members(*range(50, 81)))
    assert (held(again).max() > 0) == (number == 100)


def consistent(ledger: Ledger, rank: int) -> None:
    """The file is sound, and each leverage that of the memberships."""
    with sqlite3.connect(ledger.vault.path) as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    db.close()
    with ledger.vault.open() as box:
        for name in (EVERYTHING, "f"):
            span = read_span(box, name, len(PEOPLE))
            assert span.rank == rank
            matrix = np.stack([span.members(j) for j in range(rank)], axis=1).astype(float)
            expected = np.diag(matrix @ np.linalg.pinv(matrix))
            np.testing.assert_allclose(span.leverage, expected, atol=1e-9)


def test_record__another_answer_meanwhile_that_changes_nothing(ledger: Ledger) -> None:
    decision = ledger.decide(question(FIRST))
    ask(ledger, members(*range(50, 90)))
    ledger.record(decision, ENTRY)
    consistent(ledger, 2)


def test_record__another_answer_meanwhile_that_changes_this_one(ledger: Ledger) -> None:
    decision = ledger.decide(question(FIRST))
    ask(ledger, members(*range(49)))
    with pytest.raises(Unavailable, match="asked at the same time"):
        ledger.record(decision, ENTRY)
    consistent(ledger, 1)


def _contend(path: Path, queue: object, start: object, numbers: range) -> None:
    start.wait(30)  # type: ignore[attr-defined]
    try:
        queue.put(int(ask(Ledger(path, KEY), members(*numbers)).sum()))  # type: ignore[attr-defined]
    except EucanError as error:
        queue.put(type(error).__name__)  # type: ignore[attr-defined]


def test_ledger__two_processes_at_once_never_answer_on_both(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path, KEY)
    queue, start = FORK.Queue(), FORK.Event()
    pair = (range(50), range(49))
    processes = [
        FORK.Process(target=_contend, args=(path, queue, start, numbers)) for numbers in pair
    ]
    for process in processes:
        process.start()
    start.set()
    found = [queue.get(timeout=60) for _ in pair]
    for process in processes:
        process.join(30)
    assert len({n for n in found if isinstance(n, int)}) == 1
    assert set(found) <= {49, 50, "Unavailable"}
    consistent(Ledger(path, KEY), 1)


def test_ledger__what_another_process_writes_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    mine = Ledger(path, KEY)
    mine.decide(question(FIRST))
    process = FORK.Process(target=ask, args=(Ledger(path, KEY), FIRST))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    np.testing.assert_array_equal(ask(mine, members(*range(49)))[:, 0], FIRST)
