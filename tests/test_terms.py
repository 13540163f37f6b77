"""Terms of a regression: their columns, names, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.terms import Term, column_labels, design, needs, strata_codes
from tests.test_cohort import six

AGE, STAGE, DEAD = Term(field="age"), Term(field="stage", levels=("I", "II")), Term(field="dead")
NAN = np.nan


@pytest.mark.parametrize(
    ("term", "columns"),
    [
        (AGE, [40, 50, 60, 70, NAN, 50.5]),
        (DEAD, [1, 0, NAN, 1, 0, 0]),
        (STAGE, [0, 1, NAN, 0, 1, 1]),
        (Term(field="stage", levels=("II", "I")), [1, 0, NAN, 1, 0, 0]),
        (Term(gene="TP53"), [1, 0, 0, 0, NAN, 0]),
        (Term(gene="APC"), [0, 0, 1, NAN, NAN, 1]),
        (Term(gene="TP53", classes=("Silent",)), [0, 1, 0, 0, NAN, 0]),
        (Term(field="site", levels=("x", "y")), [0, 0, 1, NAN, 1, 0]),
        (Term(field="site", levels=("x", "z")), [0, 0, NAN, NAN, NAN, 0]),  # y is not listed
    ],
    ids=lambda x: x.labels[0] if isinstance(x, Term) else "",
)
def test_columns__by_hand(term: Term, columns: list[float]) -> None:
    np.testing.assert_array_equal(term.columns(six())[:, 0], columns)


def test_columns__one_for_each_level_but_the_first() -> None:
    term = Term(field="site", levels=("x", "y", "z"))
    assert term.labels == ("site y", "site z")
    np.testing.assert_array_equal(
        term.columns(six()), [[0, 0], [0, 0], [1, 0], [NAN, NAN], [1, 0], [0, 0]]
    )


def test_design__columns_side_by_side() -> None:
    x = design(six(), (AGE, STAGE))
    assert x.shape == (6, 2)
    assert column_labels((AGE, STAGE, Term(gene="TP53"))) == ("age", "stage II", "TP53 mutated")
    assert needs((AGE, Term(gene="TP53"), Term(gene="APC"))) == ("individual_age", "mutation_gene")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "either a field or a gene"),
        ({"field": "a", "gene": "b"}, "either a field or a gene"),
        ({"field": "a", "levels": ("x",)}, "two or more different levels"),
        ({"field": "a", "levels": ("x", "x")}, "two or more different levels"),
        ({"gene": "A", "classes": ("Missense",)}, "did you mean 'Missense_Mutation'"),
        ({"gene": "A", "levels": ("x", "y")}, "levels"),  # would be ignored
        ({"field": "a", "classes": ("Silent",)}, "classes"),  # would be ignored
    ],
    ids=str,
)
def test_term__what_is_none(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        Term(**options)


@pytest.mark.parametrize(
    ("term", "problem"),
    [
        (Term(field="agee"), "did you mean 'age'"),
        (Term(field="stage"), "needs its levels"),
        (Term(field="age", levels=("a", "b")), "has no levels"),
        (Term(field="stage", levels=("I", "III")), "did you mean 'II'"),
        (Term(field="purity"), "describes biosamples"),
    ],
    ids=lambda x: getattr(x, "field", ""),
)
def test_columns__what_does_not_fit(term: Term, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        term.columns(six())


def test_column_labels__each_once() -> None:
    with pytest.raises(Invalid, match="named twice"):
        column_labels((STAGE, STAGE))


def test_strata_codes__distinct_values_within_the_site() -> None:
    assert strata_codes(six(), "").tolist() == [0] * 6
    assert strata_codes(six(), "stage").tolist() == [0, 1, -1, 0, 1, 1]
    assert strata_codes(six(), "site").tolist() == [0, 0, 1, -1, 1, 0]
    assert strata_codes(six(), "age").tolist() == [0, 1, 3, 4, -1, 2]
