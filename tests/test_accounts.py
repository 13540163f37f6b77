"""What an answer costs whom: which cohorts pay, in which tiers, and what is noted of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eucan_dask.accounts import Budget, affordable, exposures, pay
from eucan_dask.errors import Refused
from eucan_dask.ledger import Ask, Entry, Ledger

N = 100
PEOPLE = tuple(f"person-{i:03d}" for i in range(N))
COST = np.array([0.4])


def those(start: int, stop: int) -> np.ndarray:
    return (np.arange(N) >= start) & (np.arange(N) < stop)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", b"k" * 32)


def ask(ledger: Ledger, *cohorts: np.ndarray, **changes: object) -> None:
    options: dict[str, object] = {
        "individuals": PEOPLE,
        "criteria": np.stack(cohorts, axis=1),
        "eligible": np.ones(N, bool),
        "definitions": tuple(str(np.flatnonzero(c).tolist()) for c in cohorts),
        "scope": "",
        "summands": {"f": ""},
        "least": 10,
        "smallest": 10,
        **changes,
    }
    decision = ledger.decide(Ask(**options))
    assert "Trial" not in repr(decision)
    ledger.record(decision, Entry("r", "x", "0"), [0.4] * len(cohorts))


def told(ledger: Ledger) -> list[object]:
    return [row["n_individuals"] for row in ledger.summary()]


def spent(ledger: Ledger, tier: str = "open") -> float:
    with ledger.vault.open() as box:
        return round(float(exposures(box, tier, N).sum()), 9)


# --- which cohorts ---


def test_record__few_people_are_not_told_of_but_those_beside_them(ledger: Ledger) -> None:
    ask(ledger, those(0, 9), those(20, 30), budget=Budget("open", 1.0, "q"))
    assert told(ledger) == [10]
    assert spent(ledger) == 4.0


def test_record__one_person_where_everything_may_be_told(ledger: Ledger) -> None:
    ask(ledger, those(0, 0), those(3, 4), least=0, smallest=0, budget=Budget("open", 1.0, "q"))
    assert told(ledger) == [1]
    assert spent(ledger) == 0.4


def test_record__a_cohort_that_was_told_of_does_not_hide_the_next(ledger: Ledger) -> None:
    ask(ledger, those(0, 50))
    ask(ledger, those(0, 50), those(50, 90))
    assert told(ledger) == [50, 40]
    assert {row["tier"] for row in ledger.summary()} == {""}


# --- how much ---


def test_budget__least_and_most_of_a_cohort() -> None:
    n = np.array([0, 1, 5, 40])
    budget = Budget("open", 1.0, "q", told=8.0, genes=10.0, floor=4.0)
    assert budget.least(n).tolist() == [2.0, 2.0, 2.0, 0.4]
    assert budget.most(n).tolist() == [12.0, 12.0, 4.0, 2.25]


def test_budget__tells_nothing_unless_it_says_so() -> None:
    assert Budget("open", 1.0, "q").most(np.array([1, 9])).tolist() == [0.0, 0.0]
    assert Budget("open", 1.0, "q", told=8.0).least(np.array([1, 8])).tolist() == [8.0, 2.0]


# --- which tiers ---


def test_pay__a_tier_that_was_paid_in_does_not_free_those_above(ledger: Ledger) -> None:
    sets = those(0, 10)[:, np.newaxis]
    with ledger.vault.open() as box:
        pay(box, Budget("open", 1.0, "q"), sets, COST)
    assert (spent(ledger), spent(ledger, "controlled")) == (4.0, 0.0)
    with ledger.vault.open() as box:
        for _ in range(2):
            pay(box, Budget("open", 1.0, "q", {"controlled": 1.0}), sets, COST)
    assert (spent(ledger), spent(ledger, "controlled")) == (4.0, 4.0)


def test_affordable__who_is_not_asked_about_stops_nobody(ledger: Ledger) -> None:
    """A cap that was lowered binds those who passed it, not others."""
    with ledger.vault.open() as box:
        pay(box, Budget("open", 1.0, "q"), those(0, 10)[:, np.newaxis], COST)
        lower = Budget("open", 0.3, "p", told=1.0, floor=5.0)
        affordable(box, lower, those(10, 20)[:, np.newaxis], wary=True)
        with pytest.raises(Refused) as caught:
            affordable(box, lower, those(9, 20)[:, np.newaxis], wary=True)
    assert caught.value.rule == "max_exposure"
