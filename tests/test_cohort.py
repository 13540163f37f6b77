"""Cohorts: Kleene's tables, criteria on real vectors, words, and what is refused."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask.cohort import Cohort, Truth, field_of, known, membership, mutation_truth
from eucan_dask.errors import Invalid
from eucan_dask.variables import NON_SILENT, VARIANT_CLASSIFICATIONS

ONE = ("individuals",)
MISSENSE, SILENT = (VARIANT_CLASSIFICATIONS.index(c) for c in ("Missense_Mutation", "Silent"))


def six() -> xr.Dataset:
    """Six people: a, b, c exome; d panel (TP53 only); e not assayed; f panel and, later, exome.

    a: TP53 missense; b: TP53 silent; c: APC missense; f: APC missense in the exome.
    """
    number, boolean = {"kind": "number", "unit": "years"}, {"kind": "boolean"}
    closed = {"kind": "category", "categories": ["I", "II"], "open": False}
    return xr.Dataset(
        {
            "individual_id": (ONE, np.array(list("abcdef"), dtype=object)),
            "individual_age": (ONE, np.array([40.0, 50.0, 60.0, 70.0, np.nan, 50.5]), number),
            "individual_stage": (ONE, np.array([0, 1, -1, 0, 1, 1], np.int16), closed),
            "individual_site": (
                ONE,
                np.array([0, 0, 1, -1, 1, 0], np.int16),
                {"kind": "category", "categories": ["x", "y"], "open": True},
            ),
            "individual_dead": (ONE, np.array([1, 0, -1, 1, 0, 0], np.int8), boolean),
            "sample_purity": (("samples",), np.arange(7.0), number),
            "sample_individual": (("samples",), np.array([0, 1, 2, 3, 4, 5, 5], np.int32)),
            "sample_assay": (("samples",), np.array([0, 0, 0, 1, -1, 1, 0], np.int16)),
            "assay_all_genes": (("assays",), np.array([True, False])),
            "gene_symbol": (("genes",), np.array(["APC", "TP53"], dtype=object)),
            "gene_assayed": (("genes", "assays"), np.array([[True, False], [True, True]])),
            "mutation_sample": (("mutations",), np.array([0, 1, 2, 6], np.int32)),
            "mutation_gene": (("mutations",), np.array([1, 1, 0, 0], np.int32)),
            "mutation_classification": (
                ("mutations",),
                np.array([MISSENSE, SILENT, MISSENSE, MISSENSE], np.int8),
            ),
        }
    )


@pytest.fixture
def ds() -> xr.Dataset:
    return six()


def who(ds: xr.Dataset, criteria: dict[str, Any] | None) -> str:
    """Ids of the members."""
    members = Cohort.of("c", criteria).members(ds)
    return "".join(ds["individual_id"].values[members])


# --- Kleene ---

TRUE, FALSE, UNKNOWN = 1, 0, None
VALUES = (TRUE, FALSE, UNKNOWN)


def truth(value: int | None) -> Truth:
    return Truth(np.array([value == 1]), np.array([value == 0]))


def value(of: Truth) -> int | None:
    assert not (of.true & of.false).any()
    return TRUE if of.true[0] else FALSE if of.false[0] else UNKNOWN


AND = {
    (TRUE, TRUE): TRUE,
    (TRUE, FALSE): FALSE,
    (TRUE, UNKNOWN): UNKNOWN,
    (FALSE, FALSE): FALSE,
    (FALSE, UNKNOWN): FALSE,
    (UNKNOWN, UNKNOWN): UNKNOWN,
}
OR = {
    (TRUE, TRUE): TRUE,
    (TRUE, FALSE): TRUE,
    (TRUE, UNKNOWN): TRUE,
    (FALSE, FALSE): FALSE,
    (FALSE, UNKNOWN): UNKNOWN,
    (UNKNOWN, UNKNOWN): UNKNOWN,
}


@pytest.mark.parametrize(("a", "b"), list(itertools.product(VALUES, VALUES)))
def test_truth__and_or_by_the_table(a: int | None, b: int | None) -> None:
    assert value(truth(a) & truth(b)) == AND.get((a, b), AND.get((b, a)))
    assert value(truth(a) | truth(b)) == OR.get((a, b), OR.get((b, a)))


def test_truth__not_by_the_table() -> None:
    assert [value(~truth(v)) for v in VALUES] == [FALSE, TRUE, UNKNOWN]


LEAVES = st.sampled_from(
    [
        {"field": "age", "max": 50},
        {"field": "stage", "equals": "I"},
        {"field": "dead", "equals": True},
        {"field": "age", "present": True},
        {"gene": "TP53", "mutated": True},
        {"gene": "APC", "mutated": False},
    ]
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(tree=TREES)
def test_members__nobody_is_in_a_cohort_and_its_negation(tree: dict[str, Any]) -> None:
    ds = six()
    inside = Cohort.of("c", tree).members(ds)
    outside = Cohort.of("c", {"not": tree}).members(ds)
    assert not (inside & outside).any()
    twice = Cohort.of("c", {"not": {"not": tree}}).members(ds)
    np.testing.assert_array_equal(inside, twice)
    by_de_morgan = Cohort.of("c", {"not": {"any": [{"not": tree}, {"not": tree}]}}).members(ds)
    np.testing.assert_array_equal(inside, by_de_morgan)


# --- criteria ---


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (None, "abcdef"),
        ({}, "abcdef"),
        ({"field": "age", "max": 50}, "ab"),
        ({"field": "age", "min": 50}, "bcdf"),
        ({"field": "age", "min": 50, "max": 50.5}, "bf"),
        ({"field": "age", "equals": 50}, "b"),
        ({"field": "age", "in": [40, 70.0]}, "ad"),
        ({"field": "age", "present": True}, "abcdf"),
        ({"not": {"field": "age", "present": True}}, "e"),
        ({"not": {"field": "age", "max": 50}}, "cdf"),  # e's age is unknown
        ({"field": "stage", "equals": "I"}, "ad"),
        ({"field": "stage", "in": ["I", "II"]}, "abdef"),
        ({"not": {"field": "stage", "equals": "I"}}, "bef"),
        ({"field": "site", "equals": "x"}, "abf"),
        ({"field": "site", "equals": "elsewhere"}, ""),  # an open category may lack it here
        ({"not": {"field": "site", "equals": "elsewhere"}}, "abcef"),
        ({"field": "dead", "equals": True}, "ad"),
        ({"field": "dead", "equals": False}, "bef"),
        ({"field": "dead", "in": [True, False]}, "abdef"),
        ({"gene": "TP53", "mutated": True}, "a"),  # b's is silent
        ({"gene": "TP53", "mutated": False}, "bcdf"),  # e was not assayed
        ({"gene": "TP53", "mutated": True, "classes": ["Silent"]}, "b"),
        ({"gene": "TP53", "mutated": True, "classes": []}, "a"),
        ({"gene": "APC", "mutated": True}, "cf"),
        ({"gene": "APC", "mutated": False}, "ab"),  # the panel of d does not cover it
        ({"gene": "NOSUCH", "mutated": True}, ""),
        ({"gene": "NOSUCH", "mutated": False}, "abcf"),  # an exome covers any gene
        ({"not": {"gene": "APC", "mutated": True}}, "ab"),
        ({"all": [{"field": "age", "max": 60}, {"gene": "APC", "mutated": False}]}, "ab"),
        ({"any": [{"field": "age", "max": 40}, {"gene": "APC", "mutated": True}]}, "acf"),
        ({"any": [{"field": "stage", "equals": "II"}, {"field": "age", "min": 0}]}, "abcdef"),
    ],
    ids=str,
)
def test_members__by_hand(ds: xr.Dataset, criteria: dict[str, Any], expected: str) -> None:
    assert who(ds, criteria) == expected


def test_members__without_mutations_nobody_is_known(ds: xr.Dataset) -> None:
    bare = ds.drop_dims(["mutations", "genes", "assays"])
    assert who(bare, {"gene": "TP53", "mutated": False}) == ""
    assert who(bare, {"gene": "TP53", "mutated": True}) == ""


def test_membership__a_column_a_cohort(ds: xr.Dataset) -> None:
    found = membership(ds, (Cohort("all"), Cohort.of("young", {"field": "age", "max": 50})))
    assert found.shape == (6, 2)
    assert found.sum(axis=0).tolist() == [6, 2]


def test_known__by_kind(ds: xr.Dataset) -> None:
    found = {
        name: "".join(ds["individual_id"].values[known(ds, name)])
        for name in ("age", "stage", "dead", "gene:TP53", "gene:APC")
    }
    assert found == {
        "age": "abcdf",
        "stage": "abdef",
        "dead": "abdef",
        "gene:TP53": "abcdf",
        "gene:APC": "abcf",
    }


def test_mutation_truth__lazy_mutations_are_read(ds: xr.Dataset) -> None:
    lazy = ds.assign({n: ds[n].chunk(mutations=2) for n in ds if str(n).startswith("mutation_")})
    for gene in ("TP53", "APC"):
        there, here = (mutation_truth(d, gene, NON_SILENT) for d in (lazy, ds))
        np.testing.assert_array_equal(there.true, here.true)
        np.testing.assert_array_equal(there.false, here.false)


# --- what is refused ---


@pytest.mark.parametrize(
    ("criteria", "problem"),
    [
        ({"feld": "age", "max": 3}, "did you mean 'field'"),
        ({"field": "age"}, "one operator a table"),
        ({"field": "age", "equals": 1, "max": 2}, "one operator a table"),
        ({"max": 2}, "not a criterion"),
        ({"all": []}, "needs a list"),
        ({"all": {"field": "age", "max": 2}}, "needs a list"),
        ({"any": [{}]}, "not a criterion"),
        ({"any": [3]}, "must be a table"),
        ({"not": []}, "must be a table"),
        ({"all": [{"field": "age", "max": 2}], "any": []}, "not a criterion"),
        ({"field": "age", "min": "3"}, "must be numbers"),
        ({"field": "age", "max": True}, "must be numbers"),
        ({"field": "age", "in": []}, "in must be a list"),
        ({"field": "age", "in": 3}, "in must be a list"),
        ({"field": "age", "present": False}, "present must be true"),
        ({"gene": "TP53"}, "a gene criterion is"),
        ({"gene": "TP53", "mutated": True, "field": "age"}, "a gene criterion is"),
        ({"gene": "TP53", "mutated": 1}, "mutated true or false"),
        ({"gene": 3, "mutated": True}, "must be a symbol"),
        ({"gene": "A", "mutated": True, "classes": ["Missense"]}, "did you mean 'Missense_Mut"),
        ({"gene": "A", "mutated": True, "classes": 3}, "classes"),
        ({"gene": "A", "mutated": True, "classes": "Silent"}, "classes"),
        ({"field": 3, "equals": 1}, "field"),
        ({"field": "age", "max": float("inf")}, "number"),  # cannot be sent as JSON
        ({"field": "age", "min": float("nan")}, "number"),
        ({"field": "seen", "equals": datetime.date(2020, 1, 1)}, "seen"),  # TOML has dates
        ({"field": "seen", "in": [datetime.date(2020, 1, 1)]}, "seen"),
    ],
    ids=str,
)
def test_of__criteria_that_are_none(criteria: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        Cohort.of("c", criteria)


@pytest.mark.parametrize("label", ["", None, 3])
def test_of__a_cohort_needs_a_label(label: object) -> None:
    with pytest.raises(Invalid, match="needs a label"):
        Cohort.of(label)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("criteria", "problem"),
    [
        ({"field": "agee", "max": 3}, "did you mean 'age'"),
        ({"field": "purity", "max": 3}, "describes biosamples"),
        ({"field": "stage", "max": 3}, "need a number"),
        ({"field": "dead", "min": 0}, "need a number"),
        ({"field": "stage", "equals": "III"}, "did you mean 'II'"),
        ({"field": "age", "equals": "old"}, "needs values of kind number"),
        ({"field": "dead", "equals": "yes"}, "needs values of kind boolean"),
        ({"field": "dead", "equals": 1}, "needs values of kind boolean"),
    ],
)
def test_members__what_the_store_does_not_know(
    ds: xr.Dataset, criteria: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Invalid, match=problem):
        Cohort.of("c", criteria).members(ds)


def test_field_of__an_id_is_no_field(ds: xr.Dataset) -> None:
    with pytest.raises(Invalid, match="unknown field 'id'"):
        field_of(ds, "id", where="x")


# --- words ---


@pytest.mark.parametrize(
    ("criteria", "words"),
    [
        (None, "everybody"),
        ({"field": "sex", "equals": "male"}, "sex = male"),
        ({"field": "age", "min": 40, "max": 60}, "age 40..60"),
        ({"field": "age", "max": 60}, "age ..60"),
        ({"field": "stage", "in": ["I", "II"]}, "stage in I, II"),
        ({"field": "age", "present": True}, "age known"),
        ({"gene": "IDH1", "mutated": True}, "IDH1 mutated"),
        ({"gene": "IDH1", "mutated": False, "classes": ["Silent"]}, "IDH1 not mutated (Silent)"),
        (
            {
                "any": [
                    {"not": {"field": "a", "equals": 1}},
                    {"all": [{"gene": "X", "mutated": True}]},
                ]
            },
            "(not a = 1 or (X mutated))",
        ),
    ],
)
def test_describe__in_words(criteria: dict[str, Any] | None, words: str) -> None:
    assert Cohort.of("c", criteria).describe() == words


def test_fields_and_genes__of_every_leaf() -> None:
    cohort = Cohort.of(
        "c",
        {
            "all": [
                {"field": "age", "max": 3},
                {"not": {"any": [{"gene": "X", "mutated": True}, {"field": "sex", "equals": "m"}]}},
            ]
        },
    )
    assert cohort.fields() == {"age", "sex"}
    assert cohort.genes() == {"X"}
    assert Cohort("all").fields() == set()


def test_levels__of_every_criterion_that_names_some() -> None:
    cohort = Cohort.of(
        "c",
        {
            "all": [
                {"field": "stage", "in": ["I", "II"]},
                {"not": {"field": "sex", "equals": "male"}},
                {"field": "age", "equals": 50},
                {"gene": "X", "mutated": True},
            ]
        },
    )
    assert cohort.levels() == [("stage", ("I", "II")), ("sex", ("male",))]
