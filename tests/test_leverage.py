"""Leverage against brute force: projections, the theorem, and what is answered instead."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask.leverage import Span, decide, near


def grown(columns: list[np.ndarray], n: int, *, least: int | None = None) -> Span:
    """A span of those columns that lie outside, and, with `least`, may be added."""
    span = Span(n)
    for column in columns:
        seen = span.project(column)
        kind = decide(span, column, least=least).kind if least else "new"
        if not seen.inside and kind == "new":
            span.add(seen)
    return span


def held(span: Span) -> np.ndarray:
    """Its columns as a matrix (people, rank)."""
    return np.stack([span.members(j) for j in range(span.rank)], axis=1).astype(float)


def hat(matrix: np.ndarray) -> np.ndarray:
    """The projection onto the columns, from scratch."""
    q, _ = np.linalg.qr(matrix)
    return q @ q.T


def random_columns(rng: np.random.Generator, n: int, r: int) -> list[np.ndarray]:
    return [rng.random(n) < rng.uniform(0.1, 0.9) for _ in range(r)]


@pytest.mark.parametrize(
    ("n", "r"), [(40, 1), (61, 9), (200, 40), (500, 130), (64, 64), (400, 160)]
)
def test_span__projections_and_leverage_equal_those_of_qr(n: int, r: int) -> None:
    rng = np.random.default_rng(n)
    span = grown(random_columns(rng, n, r), n)
    assert span.rank == np.linalg.matrix_rank(held(span))
    p = hat(held(span))
    np.testing.assert_allclose(span.leverage, np.diag(p), atol=1e-9)
    for column in random_columns(rng, n, 5):
        seen = span.project(column)
        np.testing.assert_allclose(seen.residual, column - p @ column, atol=1e-9)
        np.testing.assert_allclose(held(span) @ seen.coefficients, p @ column, atol=1e-8)


def test_span__read_back_is_the_same_and_newcomers_have_no_leverage() -> None:
    rng = np.random.default_rng(5)
    span, kept = Span(90), []
    for column in random_columns(rng, 90, 20):
        seen = span.project(column)
        if not seen.inside:
            kept.append(span.add(seen))
    again = Span(97, kept, span.leverage)
    assert again.leverage.tolist() == [*span.leverage, *[0.0] * 7]
    column = rng.random(97) < 0.5
    matrix = np.pad(held(span), ((0, 7), (0, 0)))
    expected = column - hat(matrix) @ column
    np.testing.assert_allclose(again.project(column).residual, expected, atol=1e-9)


def test_span__a_copy_grows_on_its_own() -> None:
    span = grown(random_columns(np.random.default_rng(1), 50, 3), 50)
    other, before = span.copy(), span.leverage.copy()
    other.add(other.project(np.arange(50) < 25))
    assert (span.rank, other.rank) == (3, 4)
    np.testing.assert_array_equal(span.leverage, before)
    assert span.project(np.arange(50) < 25).inside is False


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), least=st.integers(2, 4))
def test_decide__no_combination_rests_on_fewer_people(data: st.DataObject, least: int) -> None:
    """The theorem, by enumeration: no vector of the span rests on few people."""
    n = data.draw(st.integers(6, 10))
    subsets = st.lists(st.sets(st.integers(0, n - 1)), min_size=1, max_size=12)
    span = Span(n)
    for chosen in data.draw(subsets):
        column = np.isin(np.arange(n), list(chosen))
        verdict = decide(span, column, least=least)
        if verdict.kind == "new":
            span.add(verdict.projection)
    if not span.rank:
        return
    matrix = held(span)
    for size in range(1, least):
        for few in itertools.combinations(range(n), size):
            others = np.setdiff1d(np.arange(n), few)
            # a combination that vanishes on all others vanishes altogether
            rank = np.linalg.matrix_rank(matrix[others]) if others.size else 0
            assert rank == span.rank, f"some combination rests on {few} alone"


def test_decide__kinds() -> None:
    n = 60
    people = np.arange(n)
    everybody, men = people >= 0, people < 30
    span = grown([everybody, men], n, least=10)
    assert span.rank == 2
    assert decide(span, ~men, least=10).kind == "free"  # everybody less men
    assert decide(span, people < 15, least=10).kind == "new"
    assert decide(span, people < 21, least=10).kind == "snapped"  # nine men are left
    assert decide(span, people < 20, least=10).kind == "new"
    off = decide(span, people < 29, least=10)
    assert off.kind == "snapped"
    np.testing.assert_array_equal(off.members, men)
    few = decide(span, people < 4, least=10)  # of four people nothing may be told
    assert few.kind == "snapped"
    assert not few.members.any()


def test_decide__a_tracker_of_three_sets_is_stopped_where_pairs_look_safe() -> None:
    """A and B overlap in 40; A or B less those, each far from all others, leaves one person."""
    n = 100
    people = np.arange(n)
    a, b = people < 60, (people >= 20) & (people < 80)
    target = people == 79
    either, both = a | b, (a & b)
    crafted = either & ~target
    span = grown([a, b, both], n, least=10)
    assert span.rank == 3
    for known in (a, b, both):
        assert (known ^ crafted).sum() >= 10
    verdict = decide(span, crafted, least=10)
    assert verdict.kind == "snapped"
    np.testing.assert_array_equal(verdict.members, either)


def test_decide__what_lies_nowhere_near_is_refused() -> None:
    """Three people cut out of two halves: no membership of the span is near enough."""
    n = 40
    people = np.arange(n)
    halves = [people < 20, (people >= 10) & (people < 30), people % 2 == 0]
    span = grown(halves, n, least=10)
    before = span.leverage.copy()
    cut = (people < 14) | (people >= 36)
    verdict = decide(span, cut, least=10)
    assert verdict.kind == "refused"
    assert (span.raised(span.project(cut)) >= 1 / 9).any()
    np.testing.assert_array_equal(span.leverage, before)


def test_decide__answers_on_nobody_who_is_not_allowed() -> None:
    n = 50
    people = np.arange(n)
    span = grown([people < 40], n, least=10)
    near = people < 39
    assert decide(span, near, least=10).kind == "snapped"
    assert decide(span, near, least=10, allowed=people < 39).kind == "refused"


def test_decide__the_nearest_may_not_be_allowed_but_another() -> None:
    n = 60
    people = np.arange(n)
    span = Span(n)
    for column in (people < 20, people < 17):
        span.add(span.project(column))
    asked = people < 19
    nearest = decide(span, asked, least=5)
    assert (nearest.kind, nearest.members.sum()) == ("snapped", 20)
    other = decide(span, asked, least=5, allowed=people != 19)
    assert (other.kind, other.members.sum()) == ("snapped", 17)


def test_decide__looks_at_those_it_would_touch_alone() -> None:
    """Three people who were singled out for a lower threshold do not close the family to others."""
    n = 60
    people = np.arange(n)
    span = grown([people < 3], n, least=3)
    assert decide(span, people >= 20, least=10).kind == "new"
    assert decide(span, (people >= 2) & (people < 20), least=10).kind == "refused"


def test_decide__one_shape_for_all_that_adds_up() -> None:
    n = 60
    people = np.arange(n)
    span = Span(n)
    for column in (people < 30, people >= 30):
        span.add(span.project(column), shape=b"weeks")
    everybody = people >= 0
    assert decide(span, everybody, least=10, shape=b"weeks").kind == "free"
    assert decide(span, everybody, least=10, shape=b"months").kind == "shape"
    assert decide(span, people < 29, least=10, shape=b"months").kind == "shape"
    assert decide(span, people % 2 == 0, least=10, shape=b"months").kind == "new"


def test_decide__what_float64_cannot_tell_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eucan_dask.leverage.UNCLEAR", 2.0)
    span = grown([np.arange(40) < 20], 40)
    assert decide(span, np.arange(40) >= 20, least=10).kind == "refused"


def test_near__candidates_are_fewer_than_k_people_away() -> None:
    """By brute force over everything 0/1 that the projection rounds to, the columns and nobody."""
    rng, odd, nobody = np.random.default_rng(0), 0, 0
    for _ in range(600):
        n, least = 40, 4
        span = grown(random_columns(rng, n, 6), n, least=least)
        column = rng.random(n) < rng.choice([0.05, 0.5, 0.9])
        seen = span.project(column)
        rounded = np.rint(column - seen.residual)
        expected = [span.members(j) for j in range(span.rank)] + [np.zeros(n, bool)]
        if set(np.unique(rounded)) <= {0, 1}:
            expected.append(rounded.astype(bool))
        else:
            odd += 1
        close = {m.tobytes() for m in expected if (m ^ column).sum() < least}
        assert {m.tobytes() for m in near(span, seen, least)} == close
        nobody += np.zeros(n, bool).tobytes() in close
    assert odd
    assert nobody
