"""Merging along a grid: by hand, and against what it must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask.grid import Flows, merge_grid
from eucan_dask.partial import Hidden

SHOWN, MERGED, TAIL = Hidden.SHOWN, Hidden.MERGED, Hidden.TAIL
K = 10


@pytest.mark.parametrize(
    ("events", "withdrawals", "merged", "codes"),
    [
        ([0, 12, 0, 15], [0, 0, 10, 0], [[0, 12, 0, 15], [0, 0, 10, 0]], [0, 0, 0, 0]),
        # 4 wait for 8; the grid's end holds 3, which is cut
        ([4, 8, 0, 3], [0, 0, 0, 0], [[0, 12, 0, 0], [0, 0, 0, 0]], [MERGED, 0, 0, TAIL]),
        # both flows must close together
        ([12, 0, 0, 0], [3, 0, 9, 0], [[0, 0, 12, 0], [0, 0, 12, 0]], [MERGED, MERGED, 0, 0]),
        ([0, 0, 0, 0], [0, 0, 0, 0], [[0, 0, 0, 0], [0, 0, 0, 0]], [0, 0, 0, 0]),
        ([1, 1, 1, 1], [0, 0, 0, 0], [[0, 0, 0, 0], [0, 0, 0, 0]], [TAIL] * 4),
    ],
)
def test_merge_grid__by_hand(
    events: list[int], withdrawals: list[int], merged: list[list[int]], codes: list[int]
) -> None:
    both = Flows(np.array([events, withdrawals]), 1000)
    found_codes = merge_grid([both], K)
    assert both.merged(found_codes).tolist() == merged
    assert found_codes.tolist() == codes


@pytest.mark.parametrize(
    ("people", "merged", "codes"),
    [
        (40, [0, 12, 0, 15], [0, 0, 0, 0]),  # thirteen are left
        (27, [0, 12, 0, 15], [0, 0, 0, 0]),  # nobody is
        (30, [0, 12, 0, 0], [0, 0, 0, TAIL]),  # three would be: the last step goes with them
        (28, [0, 12, 0, 0], [0, 0, 0, TAIL]),
    ],
)
def test_merge_grid__leaves_nobody_or_enough(
    people: int, merged: list[int], codes: list[int]
) -> None:
    events = Flows(np.array([[0, 12, 0, 15]]), people)
    found_codes = merge_grid([events], K)
    assert events.merged(found_codes).tolist() == [merged]
    assert found_codes.tolist() == codes


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    flows=st.lists(st.lists(st.integers(0, 12), min_size=6, max_size=6), min_size=2, max_size=2),
    rest=st.integers(0, 30),
    least=st.integers(0, 15),
)
def test_merge_grid__keeps_every_flow_and_shows_nothing_small(
    flows: list[list[int]], rest: int, least: int
) -> None:
    before = np.array(flows)
    people = int(before.sum()) + rest
    both = Flows(before, people)
    codes = merge_grid([both], least)
    merged = both.merged(codes)
    shown = codes == SHOWN
    assert ((merged[:, shown] == 0) | (merged[:, shown] >= least)).all()
    assert not merged[:, ~shown].any()
    end = int(np.flatnonzero(shown).max(initial=-1)) + 1
    np.testing.assert_array_equal(merged.sum(axis=1), before[:, :end].sum(axis=1))
    assert (codes[end:] == TAIL).all()
    left = people - int(merged.sum())
    assert left == 0 or left >= least or not shown.any()
    if least <= 1:
        np.testing.assert_array_equal(merged, before)


def test_merge_grid__risk_sets_share_their_steps() -> None:
    """Ten men at once, and four and six women: everybody's curve waits for the women's."""
    men, women = Flows(np.array([[10, 0, 0]]), 60), Flows(np.array([[4, 6, 0]]), 60)
    everybody = Flows(men.flows + women.flows, 120)
    codes = merge_grid([everybody, men, women], K)
    assert codes.tolist() == [MERGED, SHOWN, SHOWN]
    assert everybody.merged(codes).tolist() == [[0, 20, 0]]
    assert merge_grid([everybody, men], K).tolist() == [SHOWN, TAIL, TAIL]
