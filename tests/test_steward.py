"""What the steward reads: of everybody sums and limits, of a person the releases they are in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eucan_dask import steward
from eucan_dask.accounts import Budget
from eucan_dask.errors import Refused
from eucan_dask.ledger import Ledger
from eucan_dask.policy import Policy, template
from tests.test_ledger import FIRST, KEY, PEOPLE, ask, members

VARIANTS = Budget("registered", 9.0, "frequencies", told=10.0, floor=10)


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    path = tmp_path / "policy.toml"
    path.write_text(template("recommended"), encoding="utf-8")
    return Policy.read(path)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Two cohorts answered about, one of them twice; one refusal; two rosters opened."""
    ledger = Ledger(tmp_path / "ledger.sqlite", KEY)
    ask(ledger, FIRST, budget=VARIANTS, run="first", costs=[2.5])
    ask(ledger, FIRST, budget=replace(VARIANTS, question="others"), run="second", costs=[1.5])
    ask(ledger, members(*range(30, 80)), run="third")
    with pytest.raises(Refused):
        ask(ledger, FIRST, eligible=~members(0), asker="Ada")
    ledger.open_roster(["f"], ("a", "b", "c"))
    ledger.open_roster(["g"], ("d", "e", "f"))
    return ledger


def test_families__rank_and_largest_leverage(ledger: Ledger, policy: Policy) -> None:
    rows = steward.families(ledger, policy)
    assert [(row["summand"], row["rank"]) for row in rows] == [("*", 2), ("f", 2)]
    matrix = np.stack([FIRST, members(*range(30, 80))], axis=1).astype(float)
    largest = np.diag(matrix @ np.linalg.pinv(matrix)).max()
    assert [row["largest"] for row in rows] == pytest.approx([largest] * 2)
    assert {row["limit"] for row in rows} == {1 / 9}


def test_families__where_nothing_is_compared(ledger: Ledger, policy: Policy) -> None:
    free = replace(policy, thresholds=replace(policy.thresholds, min_cohort_difference=0))
    assert {row["limit"] for row in steward.families(ledger, free)} == {1.0}


def test_exposure_table__sums_of_everybody(ledger: Ledger, policy: Policy) -> None:
    rows = {row["tier"]: row for row in steward.exposure_table(ledger, policy)}
    assert rows["registered"] == {
        "tier": "registered",
        "n_individuals": 50,
        "largest": 4.0,
        "median": 4.0,
        "limit": 2.7,
    }
    assert rows["open"]["n_individuals"] == rows["open"]["median"] == 0


def test_refusals_and_rosters(ledger: Ledger, policy: Policy) -> None:
    assert steward.refusals(ledger, policy) == [{"asker": "Ada", "refusals": 1, "limit": 20}]
    found = {row["summand"]: row["sites"] for row in steward.given(ledger)}
    assert found == {"f": "a, b, c", "g": "d, e, f"}


@pytest.mark.parametrize(
    ("person", "runs", "held"),
    [(0, ["first", "second"], 4.0), (40, ["first", "second", "third"], 4.0), (79, ["third"], 0.0)],
)
def test_about_person__the_releases_they_are_in(
    ledger: Ledger, person: int, runs: list[str], held: float
) -> None:
    rows, exposure = steward.about_person(ledger, PEOPLE[person])
    assert [row["run"] for row in rows] == runs
    assert exposure == {"open": 0.0, "registered": held, "controlled": 0.0}


@pytest.mark.parametrize("person", ["person-099", "nobody"])
def test_about_person__nothing_of_somebody_else(ledger: Ledger, person: str) -> None:
    rows, exposure = steward.about_person(ledger, person)
    assert rows == []
    assert set(exposure.values()) == {0.0}
