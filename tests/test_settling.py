"""Whom a cohort is answered on, at the edges: of a choice, of a distance, and of few people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eucan_dask.errors import Refused
from eucan_dask.ledger import Ask, Entry, Ledger

N = 200
PEOPLE = tuple(f"person-{i:03d}" for i in range(N))
EVERYBODY = np.ones(N, bool)


def those(*numbers: int) -> np.ndarray:
    return np.isin(np.arange(N), numbers)


def first(n: int) -> np.ndarray:
    return np.arange(N) < n


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", b"k" * 32)


def ask(
    ledger: Ledger,
    *cohorts: np.ndarray,
    words: tuple[str, ...] = (),
    gone: tuple[int, ...] = (),
    eligible: np.ndarray = EVERYBODY,
    **changes: object,
) -> np.ndarray:
    """Ask about these cohorts, without people who withdrew; (cohorts, people) they rest on."""
    kept = ~those(*gone)
    options: dict[str, object] = {
        "individuals": tuple(np.array(PEOPLE)[kept]),
        "criteria": np.stack(cohorts, axis=1)[kept],
        "eligible": eligible[kept],
        "definitions": words or tuple(str(np.flatnonzero(c).tolist()) for c in cohorts),
        "scope": "",
        "summands": {"f": ""},
        "least": 10,
        "smallest": 10,
        **changes,
    }
    decision = ledger.decide(Ask(**options))
    ledger.record(decision, Entry("r", "x", "0"))
    out = np.zeros((len(cohorts), N), bool)
    out[:, kept] = decision.used.T
    return out


def rule(ledger: Ledger, *cohorts: np.ndarray, **options: object) -> str:
    with pytest.raises(Refused) as caught:
        ask(ledger, *cohorts, **options)
    return caught.value.rule


# --- the same words ---


def test_cohort__of_two_near_ones_the_same_words_choose_that_of_before(ledger: Ledger) -> None:
    """Fifty and sixty were answered; fifty-six are nearer to the sixty."""
    ask(ledger, first(50), words=("x",))
    ask(ledger, first(60), words=("y",))
    np.testing.assert_array_equal(ask(ledger, first(56), words=("z",))[0], first(60))
    np.testing.assert_array_equal(ask(ledger, first(56), words=("x",))[0], first(50))
    again = Ledger(ledger.vault.path, b"k" * 32)
    np.testing.assert_array_equal(ask(again, first(56), words=("x",))[0], first(50))


def test_cohort__the_same_words_twice_in_one_request_choose_the_same(ledger: Ledger) -> None:
    ask(ledger, first(50), words=("a",))
    ask(ledger, first(60), words=("b",))
    used = ask(ledger, first(52), first(56), words=("x", "x"))
    np.testing.assert_array_equal(used, [first(50)] * 2)
    used = ask(ledger, first(52), first(56), words=("p", "q"))
    np.testing.assert_array_equal(used, [first(50), first(60)])


def test_cohort__the_same_words_for_people_who_differ_by_ten_are_others(ledger: Ledger) -> None:
    ask(ledger, first(50), words=("x",))
    np.testing.assert_array_equal(ask(ledger, first(40), words=("x",))[0], first(40))


def test_cohort__the_same_words_bring_nobody_back_who_withdrew(ledger: Ledger) -> None:
    """All companions are in the cohorts asked most: the last one holds the person alone."""
    alone = those(0, *range(60, 200))
    for cohort in (first(50), first(30), first(40), alone):
        ask(ledger, cohort)
    ask(ledger, first(50), gone=(0,))
    before = ledger.refusals("")
    assert rule(ledger, alone, gone=(0,), summands={"g": ""}) == "min_cohort_difference"
    assert ledger.refusals("") == before + 1


# --- how far ---


def test_cohort__an_answer_on_people_ten_away_is_refused(ledger: Ledger) -> None:
    """Five away by the criteria, five more in the family."""
    ask(ledger, first(50), eligible=~first(5))
    assert rule(ledger, first(45)) == "min_cohort_difference"
    np.testing.assert_array_equal(ask(ledger, first(46))[0], first(50) & ~first(5))


def test_cohort__least_of_two_is_compared(ledger: Ledger) -> None:
    ask(ledger, first(50), least=2)
    np.testing.assert_array_equal(ask(ledger, first(49), least=2)[0], first(50))
    np.testing.assert_array_equal(ask(ledger, first(48), least=2)[0], first(48))


@pytest.mark.parametrize(("least", "out"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_cohort__so_many_leave_with_one_who_withdrew(ledger: Ledger, least: int, out: int) -> None:
    ask(ledger, first(50), least=max(least, 2))
    assert ask(ledger, first(50), gone=(7,), least=least).sum() == 50 - out


def test_cohort__who_stays_out_is_remembered_whoever_goes_next(ledger: Ledger) -> None:
    """Were the companions of two chosen anew, others would leave, and the first would be known."""
    ask(ledger, first(50))
    ask(ledger, ~first(50), gone=(49,))  # no membership tells the companions from the others
    copied = ledger.vault.path.with_name("copy.sqlite")
    copied.write_bytes(ledger.vault.path.read_bytes())
    after = ask(Ledger(copied, b"k" * 32), first(50), gone=(49,))[0]
    companion = int(np.flatnonzero(first(49) & ~after)[0])
    np.testing.assert_array_equal(ask(ledger, first(50), gone=(companion, 49))[0], after)


def test_cohort__who_stays_out_is_answered_on_where_nothing_is_compared(ledger: Ledger) -> None:
    ask(ledger, first(50))
    assert ask(ledger, first(50), gone=(7,)).sum() == 40
    assert ask(ledger, first(50), gone=(7,), least=1).sum() == 49


# --- few ---


@pytest.mark.parametrize(("smallest", "answered"), [(0, 12), (1, 12), (2, 0), (3, 0)])
def test_cohort__few_were_left_out_only_where_few_are(
    ledger: Ledger, smallest: int, answered: int
) -> None:
    ask(ledger, first(3), smallest=smallest)
    assert ask(ledger, first(12), smallest=smallest).sum() == answered


def test_cohort__after_too_many_refusals_no_new_one(ledger: Ledger) -> None:
    ask(ledger, first(50))
    ledger.count_refusal("a")
    assert rule(ledger, ~first(50), asker="a", max_refusals=1) == "max_refusals"
    assert ask(ledger, first(50), asker="a", max_refusals=1).sum() == 50
