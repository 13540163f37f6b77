"""Requests: what they hold, their digests, and the state replayed from their rounds."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.survival import Survival
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid
from eucan_dask.newton import effective_number, inverse, smallest_cell, solve
from eucan_dask.panel import Panel
from eucan_dask.request import Request, Roster, history_digests
from eucan_dask.terms import Term

COX = CoxRegression(terms=(Term(field="age"),))


def request(**changes: Any) -> Request:
    values: dict[str, Any] = {
        "run": "r",
        "analysis": COX,
        "panel": Panel(),
        "cohorts": (Cohort("everybody"),),
        "purpose": "DUO:0000006",
        "roster": Roster(("a", "b")),
    }
    return Request(**{**values, **changes})


def totals(score: float = 3.0, value: float = -10.0) -> dict[str, np.ndarray]:
    held = {s.name: np.zeros(s.shape(request().coords), s.dtype) for s in COX.yields if s.leaves}
    return held | {
        "n_individuals": np.array(100),
        "log_likelihood": np.array(value),
        "score": np.array([score]),
        "information": np.array([[50.0]]),
        "term_sum": np.array([0.0]),
        "term_square": np.array([100.0]),
    }


def test_question__is_the_same_in_every_round_and_another_for_another() -> None:
    first = request()
    assert first.next_round(totals()).question == first.question
    others = [
        request(run="s"),
        request(roster=Roster(("a",))),
        request(purpose="DUO:0000042"),
        request(tier="registered"),
        request(complete=("sex",)),
        request(panel=Panel(genes=("A",))),
        request(code_digest="x"),
        request(n_blocks=2),
        request(panel=Panel(variants=("1:5:A:G",))),
        request(analysis=dataclasses.replace(COX, ties="breslow")),
        request(cohorts=(Cohort("others"),)),
        request(cohorts=(Cohort.of("everybody", {"field": "age", "max": 3}),)),
    ]
    assert len({r.question for r in (first, *others)}) == 1 + len(others)


def test_history_digests__each_covers_all_before_it() -> None:
    two = request().next_round(totals()).next_round(totals(score=1.0))
    other = request().next_round(totals(score=3.5)).next_round(totals(score=1.0))
    assert history_digests(two)[0] == history_digests(two.__class__.from_header(
        two.header(), two.history[:1]
    ))[0]  # fmt: skip
    assert len(set(history_digests(two) + history_digests(other))) == 4
    assert history_digests(request()) == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"round": 1}, "rounds and history differ"),
        ({"n_blocks": 0}, "n_blocks"),
        ({"n_blocks": -1}, "n_blocks"),
        ({"analysis": AlleleFrequency()}, "needs variants"),
        ({"cohorts": ()}, "cannot take 0 cohorts"),
        ({"cohorts": (Cohort("a"), Cohort("b"))}, "cannot take 2 cohorts"),
        ({"analysis": Survival()}, "needs a time grid"),
        (
            {
                "analysis": CohortSummary(fields=(SummaryField(field="x"),)),
                "cohorts": (Cohort("a"), Cohort("a")),
            },
            "share a label",
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_request__that_cannot_be_put(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        request(**changes)


def test_from_header__another_version_of_the_analysis() -> None:
    header = {**request().header(), "version": 2}
    with pytest.raises(Invalid, match="another version"):
        Request.from_header(header, ())


@pytest.mark.parametrize("value", [None, 0, -3, True, "1", 1.0])
def test_from_header__the_number_of_blocks(value: object) -> None:
    header = request(n_blocks=7).header()
    assert Request.from_header(header, ()).n_blocks == 7
    with pytest.raises(Invalid, match="n_blocks"):
        Request.from_header({**header, "n_blocks": value}, ())
    del header["n_blocks"]
    with pytest.raises(Invalid, match="n_blocks"):
        Request.from_header(header, ())


def test_repr__tells_no_criteria() -> None:
    secret = (Cohort.of("everybody", {"field": "age", "equals": 37}),)
    assert "37" not in repr(request(cohorts=secret))
    assert "everybody" not in repr(request())


# --- state: Newton's steps by hand ---


def test_state__without_rounds() -> None:
    assert request(
        analysis=CohortSummary(fields=(SummaryField(field="x"),))
    ).state() is None  # fmt: skip
    state = request().state()
    assert state is not None
    assert state["beta"].tolist() == [0.0]


def test_state__one_newton_step() -> None:
    state = request().next_round(totals(score=3.0)).state()
    assert state is not None
    assert state["beta"][0] == pytest.approx(3.0 / 50.0)
    assert float(state["null"]) == -10.0
    assert state["scale"][0] == pytest.approx(1.0)  # mean 0, mean square 1


def test_state__a_step_that_lowers_the_likelihood_is_halved() -> None:
    first = request().next_round(totals(score=3.0, value=-10.0))
    state = first.next_round(totals(score=9.0, value=-12.0)).state()
    assert state is not None
    assert state["beta"][0] == pytest.approx(3.0 / 50.0 / 2)
    assert float(state["log_likelihood"]) == -10.0


def test_state__converged_it_asks_one_more_round_and_is_done() -> None:
    first = request().next_round(totals(score=1e-12))
    state = first.state()
    assert state is not None
    assert (int(state["final"]), int(state["converged"]), int(state["done"])) == (1, 1, 0)
    last = first.next_round(totals()).state()
    assert last is not None
    assert int(last["done"]) == 1


def test_state__a_coefficient_that_runs_off_ends_the_fit() -> None:
    state = request().next_round(totals(score=50.0 * 11)).state()
    assert state is not None
    assert (int(state["done"]), int(state["converged"])) == (1, 0)


def test_solve__directions_without_information_stay() -> None:
    information = np.array([[4.0, 0.0], [0.0, 0.0]])
    step = solve(information, np.array([2.0, 0.0]), np.array([1.0, 1.0]))
    assert step.tolist() == [0.5, 0.0]
    scale = np.array([1e6, 1e-6])
    full = np.array([[4e-12, 1.0], [1.0, 9e12]])
    np.testing.assert_allclose(inverse(full, 1 / scale), np.linalg.inv(full), rtol=1e-9)


@pytest.mark.parametrize(
    ("columns", "outcome", "single", "paired"),
    [
        ([], [1, 1, 0, 0, 0], 2, 2),
        ([[1, 1, 1, 0, 0]], [1, 1, 0, 0, 0], 2, 1),  # x without the outcome: one person
        ([[1, 1, 0, 0, 0]], [1, 1, 0, 0, 0], 2, 2),  # cells without anybody are no cells
        ([[1, 0, 0, 0, 0]], [1, 1, 0, 0, 0], 1, 1),
        ([[1, 1, 1, 1, 1]], [1, 1, 0, 0, 0], 2, 2),
        ([[40.5, 50, 60, 70, 80]], [1, 1, 0, 0, 0], 2, 2),  # a number forms no cells
    ],
)
def test_smallest_cell__by_hand(
    columns: list[list[float]], outcome: list[int], single: int, paired: int
) -> None:
    x = np.array(columns, float).T if columns else np.zeros((5, 0))
    y = np.array(outcome, bool)
    assert int(smallest_cell(x, y, pairs=False)) == single
    assert int(smallest_cell(x, y, pairs=True)) == paired


@pytest.mark.parametrize(
    ("weight", "expected"),
    [([], 0), ([0.0, 0.0], 0), ([1.0, 1.0, 1.0], 3), ([1.0, 0.0], 1), ([2.0, 1.0, 1.0], 2)],
)
def test_effective_number__as_kish_has_it(weight: list[float], expected: int) -> None:
    """(2 + 1 + 1)^2 / (4 + 1 + 1) = 2.67, rounded down."""
    assert int(effective_number(np.array(weight))) == expected


@pytest.mark.parametrize(
    ("sites", "aggregator", "problem"),
    [
        ((), "none", "in order, each once"),
        (("b", "a"), "none", "in order, each once"),
        (("a", "a"), "none", "in order, each once"),
        (("a",), "maskd", "did you mean 'masked'"),
    ],
    ids=str,
)
def test_roster__what_is_none(sites: tuple[str, ...], aggregator: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        Roster(sites, aggregator)


def test_roster__keeps_who_is_left() -> None:
    left = Roster(("a", "b", "c"), "masked").keep(["c", "a"])
    assert left == Roster(("a", "c"), "masked")
    assert "a" in left
    assert "b" not in left
    assert len(left) == 2
