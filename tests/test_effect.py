"""Criteria that decide about few people are found, whatever shape they are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analysis_set import analysis_set
from eucan_dask.cohort import Cohort
from eucan_dask.effect import check_effect, needles
from eucan_dask.errors import Refused
from eucan_dask.testing.data import dataset, people
from eucan_dask.variables import VARIANT_CLASSIFICATIONS

N, LEAST = 40, 10
Criteria = Mapping[str, Any]
DS = dataset(people(N, seed=5, panel_share=0.3, missing=0.1, second_biosample=0.0))
MALE = {"field": "sex", "equals": "male"}
OLD = {"field": "age_at_diagnosis", "min": 62.0}
LATE = {"field": "stage", "in": ["III", "IV"]}
TP53 = {"gene": "TP53", "mutated": True}
WILD = {"gene": "TP53", "mutated": False}
DIED = {"field": "overall_survival_event", "equals": True}
ONE = {"field": "body_mass_index", "max": float(np.nanmin(DS["individual_body_mass_index"]))}
HIT = {"all": [ONE, TP53]}


def values_of(name: str) -> list[object]:
    """Values that a person could have, as a dataset holds them; far more than criteria name."""
    if name == "sex":
        return [0, 1, 2, -1]
    if name == "stage":
        return [*range(5), -1]
    if name == "overall_survival_event":
        return [0, 1, -1]
    return [*np.arange(0.0, 120.0, 1.0), *DS[f"individual_{name}"].values, np.nan]


def worlds(name: str) -> Iterator[xr.Dataset]:
    """The dataset, everybody given one value of a field or a gene."""
    if name.startswith("field "):
        variable = f"individual_{name.removeprefix('field ')}"
        for value in values_of(name.removeprefix("field ")):
            same = np.full(N, value, DS[variable].dtype)
            yield DS.assign({variable: (("individuals",), same, DS[variable].attrs)})
        return
    gene = list(DS["gene_symbol"].values).index(name.removeprefix("gene "))
    kept = DS["mutation_gene"].values != gene
    rows = {n: DS[n].values[kept] for n in ("mutation_sample", "mutation_gene")}
    rows["mutation_classification"] = DS["mutation_classification"].values[kept]
    bare = DS.drop_dims("mutations")
    for kinds in [(), *((k,) for k in range(len(VARIANT_CLASSIFICATIONS))), (0, 1)]:
        everyone = np.tile(np.arange(DS.sizes["samples"]), len(kinds))
        added = {
            "mutation_sample": everyone,
            "mutation_gene": np.full(everyone.size, gene),
            "mutation_classification": np.repeat(np.array(kinds, int), DS.sizes["samples"]),
        }
        # assayed by an exome, so that it is known; their other genes are as they were
        yield bare.assign(
            {n: (("mutations",), np.concatenate([rows[n], v])) for n, v in added.items()}
        ).assign(gene_assayed=DS["gene_assayed"].copy(data=covered(gene)))


def covered(gene: int) -> np.ndarray:
    """Which assay covers which gene, this one by both."""
    found = DS["gene_assayed"].values.copy()
    found[gene] = True
    return found


def brute(criteria: Criteria) -> set[str]:
    """The same by giving everybody each value in turn."""
    cohort, found = Cohort.of("c", criteria), set()
    names = [f"field {f}" for f in cohort.fields()] + [f"gene {g}" for g in cohort.genes()]
    if len(names) < 2:
        return set()
    for name in names:
        members = [cohort.members(ds) for ds in worlds(name)]
        for i, one in enumerate(members):
            for other in members[:i]:
                if 0 < (one ^ other).sum() < LEAST and (one & other).any():
                    found.add(name)
    return found


def found(criteria: Criteria, least: int = LEAST) -> set[str]:
    return set(needles(DS, Cohort.of("c", criteria), least=least))


NEEDLES: dict[str, Criteria] = {
    "or one if mutated": {"any": [MALE, HIT]},
    "without one if mutated": {"all": [{"field": "sex", "present": True}, {"not": HIT}]},
    "the person by two ranges": {
        "any": [MALE, {"all": [TP53, {"not": {**ONE, "max": ONE["max"] - 1}}, ONE]}]
    },
    "either way but for one": {
        "any": [
            {"all": [TP53, MALE]},
            {"all": [WILD, MALE, {"not": ONE}]},
        ]
    },
    "by one class, among another": {
        "any": [
            OLD,
            {"all": [ONE, {**TP53, "classes": ["Silent"]}]},
            {"all": [LATE, {**TP53, "classes": ["Nonsense_Mutation"]}]},
        ]
    },
    "by two classes at once": {
        "any": [
            MALE,
            {
                "all": [
                    ONE,
                    {**TP53, "classes": ["Silent"]},
                    {**TP53, "classes": ["Nonsense_Mutation"]},
                ]
            },
        ]
    },
    "or one of a stage": {"any": [MALE, {"all": [ONE, LATE]}]},
    "or one who died": {"any": [MALE, {"all": [ONE, DIED]}]},
}


@pytest.mark.parametrize("name", NEEDLES)
def test_needles__are_found(name: str) -> None:
    assert found(NEEDLES[name])


@pytest.mark.parametrize(
    "criteria",
    [
        {},
        TP53,
        HIT,  # of whom nobody else is a member: its size is judged
        {"all": [MALE, OLD]},
        {"all": [MALE, OLD, TP53]},
        {"any": [MALE, OLD]},
        {"all": [MALE, {"not": {"any": [OLD, TP53]}}]},
        {"any": [{"all": [MALE, OLD]}, {"all": [{"not": MALE}, LATE]}]},
    ],
)
def test_needles__ordinary_criteria_have_none(criteria: Criteria) -> None:
    assert found(criteria) == set()


LEAVES = st.sampled_from([MALE, OLD, LATE, TP53, WILD, DIED, ONE])
TREES = st.recursive(
    LEAVES,
    lambda part: st.one_of(
        part.map(lambda c: {"not": c}),
        st.lists(part, min_size=2, max_size=3).map(lambda c: {"all": c}),
        st.lists(part, min_size=2, max_size=3).map(lambda c: {"any": c}),
    ),
    max_leaves=5,
)


@settings(max_examples=25, deadline=None)
@given(criteria=TREES)
def test_needles__as_by_brute_force(criteria: Criteria) -> None:
    """Brute force knows no missing gene: what it finds is found, and fields agree."""
    expected, got = brute(criteria), found(criteria)
    assert expected <= got
    assert {n for n in got if n.startswith("field")} == {n for n in expected if "field" in n}


def test_check_effect__in_words_that_say_nothing() -> None:
    told = set()
    for name in ("or one if mutated", "or one of a stage"):
        with pytest.raises(Refused, match="min_effect") as refusal:
            check_effect(DS, (Cohort("all"), Cohort.of("c", NEEDLES[name])), least=LEAST)
        told.add(str(refusal.value))
    assert len(told) == 1


def test_check_effect__does_not_depend_on_whether_they_are_mutated() -> None:
    """The answer is the same with and without the mutation: it says nothing of it."""
    cohort = (Cohort.of("c", NEEDLES["or one if mutated"]),)
    for ds in worlds("gene TP53"):
        with pytest.raises(Refused, match="min_effect"):
            check_effect(ds, cohort, least=LEAST)


def test_check_effect__nothing_is_looked_at_below_two() -> None:
    check_effect(DS, (Cohort.of("c", NEEDLES["or one if mutated"]),), least=1)


def test_analysis_set__looks_at_effects() -> None:
    cohorts = (Cohort.of("c", NEEDLES["or one if mutated"]),)
    sex = CohortSummary(fields=(SummaryField("sex", levels=("female", "male")),))
    with pytest.raises(Refused, match="min_effect"):
        analysis_set(DS, sex, cohorts, (), least=LEAST)
    assert analysis_set(DS, sex, cohorts, ()).used.any()
