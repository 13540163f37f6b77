"""The fuzzer finds planted people where it can, and not under the recommended policy."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from tests.attack_people import Strength, attack
from tests.attacks import reader
from tests.attacks.fuzzer import EACH, KNOWN, Stores, hunt, remembered, trial

LAST = (tuple(range(10, 12)), tuple(range(12, 18)))  # stores no hunt has seen
MANY = (tuple(range(100, 112)), tuple(range(112, 212)))
PAIRS_OFF = {"min_cohort_difference": 0}


def margin(n: int) -> float:
    """What guessing exceeds a half by in one of a hundred trials of `n` people."""
    return 2.33 * (0.25 / n) ** 0.5


@attack(
    "fuzzer",
    learned="a mutation of a person known by sex, stage and age, from a bred sequence of questions",
    measure="accuracy over people of stores never seen (before: memberships are not compared)",
    stopped_by="all rules together",
    tolerance=0.1,
)
def fuzzer(directory: Path) -> Strength:
    with remembered():
        off = Stores(directory / "off", protected=True, settings=PAIRS_OFF)
        easy = hunt(off, seed=8, goal=0.95, more=lambda tried: tried < 4)
        hard = Stores(directory / "on", protected=True)
        most = len(KNOWN) + 2
        best = hunt(hard, seed=3, goal=1.01, more=lambda tried: tried < most, first=KNOWN)
        after = trial(hard, best.program, LAST)
        return Strength(trial(off, easy.program, (LAST[0], LAST[1][:2])), after)


def test_fuzzer(memory: Path) -> None:
    found = fuzzer.strength(memory)
    assert found.before >= 0.9
    assert found.after <= 0.55 + margin(EACH * len(LAST[1]))


def test_hunt__finds_people_in_unprotected_answers(memory: Path) -> None:
    with remembered():
        stores = Stores(memory, protected=False)
        found = hunt(stores, seed=2, goal=0.95, more=lambda tried: tried < 4)
        assert trial(stores, found.program, (LAST[0][:1], LAST[1][:2])) >= 0.95


def test_taught__nothing_is_learned_from_noise() -> None:
    rng = np.random.default_rng(5)
    people = [[{f"0:{i}": rng.normal() for i in range(40)} for _ in range(400)] for _ in range(2)]
    bits = [True, True, False, False] * 100
    assert reader.accuracy(people[0], bits, people[1], bits) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("weights", [(1, -1, 0, 0), (1, 1, -1, -1)])
def test_taught__a_bit_in_a_sum_of_answers_is_learned(weights: tuple[int, ...]) -> None:
    """Differences of two numbers, and sums over four, among others that only disturb."""
    rng = np.random.default_rng(6)
    bits = [True, True, False, False] * 20

    def drawn() -> list[dict[str, float]]:
        x = rng.integers(20, 60, (80, 4)).astype(float)
        x[:, 0] = np.array(bits) - x[:, 1:] @ np.array(weights[1:])
        return [
            {**{f"{i}:n[0]": v for i, v in enumerate(row)}, "0:length": rng.normal()} for row in x
        ]

    assert reader.accuracy(drawn(), bits, drawn(), bits) >= 0.95


@pytest.mark.long
def test_fuzzer__ten_minutes(memory: Path) -> None:
    end = time.monotonic() + 360
    with remembered():
        stores = Stores(memory, protected=True)
        best = hunt(stores, seed=4, goal=1.01, more=lambda _: time.monotonic() < end, first=KNOWN)
        found = trial(stores, best.program, MANY)
    assert found <= 0.55 + margin(EACH * len(MANY[1])), best
