"""Attacks on how numbers become words that add up: signs that show, values that wrap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.fixed_point import Layout, add, decode, encode
from tests.attack_people import ATTACKS, Strength, attack, judge
from tests.attacks.table import matches

SUM = {"x": ((1,), np.dtype(np.float64))}
SITES = 3


def _total(values: tuple[float, ...]) -> np.ndarray:
    vectors = [encode({"x": np.array([v])}, SUM, n_sites=SITES) for v in values]
    total, *others = vectors
    for other in others:
        for piece, paired in Layout.of(SUM).pieces():
            add(total[piece], other[piece], paired=paired)
    return total


def _limbs(values: tuple[float, ...]) -> np.ndarray:
    """The textbook way: whole parts and parts after the point, summed apart."""
    return np.array([np.floor(values).sum(), (values - np.floor(values)).sum()])


@attack(
    "A22 signs in fixed-point words",
    learned="how many sites hold a negative sum, from the words of the total under masks",
    measure="share of pairs of rosters with equal totals that can be told apart",
    stopped_by="carries travel between words: the total's words are the total's alone",
)
def sign_attack(directory: Path) -> Strength:
    rng = np.random.default_rng(22)
    apart = np.zeros((2, 200))
    for number in range(apart.shape[1]):
        one = rng.integers(-(2**20), 2**20, SITES) / 2**10
        other = np.array([one[:2].sum() + 7.25, one[2] - 7.25, 0.0])
        for row, words in enumerate((_limbs, _total)):
            apart[row, number] = (words(one) != words(other)).any()
    return Strength(float(apart[0].mean()), float(apart[1].mean()))


def test_a22_signs(tmp_path: Path) -> None:
    judge(sign_attack.strength(tmp_path), works=0.5, allowed=0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2.0**62, -(2.0**62) / SITES, 1e300])
def test_a22__what_would_wrap_is_refused(bad: float) -> None:
    with pytest.raises(Invalid, match="not finite or too large") as refused:
        encode({"x": np.array([bad])}, SUM, n_sites=SITES)
    assert str(bad) not in str(refused.value)


def test_a22__no_zero_has_a_sign_and_nothing_is_too_small() -> None:
    assert (_total((-0.0, 0.0, -0.0)) == _total((0.0, 0.0, 0.0))).all()
    told = decode(_total((2.0**-66, -(2.0**-66), -(5e-324))), SUM, n_sites=SITES)["x"]
    assert not np.signbit(told).any()
    assert (told == 0).all()


@pytest.mark.parametrize("name", [n for n, a in ATTACKS.items() if a.run.__module__ == __name__])
def test_page__has_the_measured_numbers(name: str, tmp_path: Path) -> None:
    matches(ATTACKS[name], tmp_path)
