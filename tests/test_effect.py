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
from eucan_dask.effect import needles, without_needles
from eucan_dask.errors import Refused
from eucan_dask.testing.data import dataset, people
from eucan_dask.variables import VARIANT_CLASSIFICATIONS

N, LEAST = 100, 10
Criteria = Mapping[str, Any]
DS = dataset(people(N, seed=7, panel_share=0.3, missing=0.03, second_biosample=0.0))
MALE = {"field": "sex", "equals": "male"}
SEEN = {"field": "sex", "present": True}
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
        # everybody is assayed, so that it is known; other genes are as they were
        yield bare.assign(
            {n: (("mutations",), np.concatenate([rows[n], v])) for n, v in added.items()}
        ).assign(
            gene_assayed=DS["gene_assayed"].copy(data=covered(gene)),
            sample_assay=DS["sample_assay"].copy(data=np.maximum(DS["sample_assay"].values, 0)),
        )


def covered(gene: int) -> np.ndarray:
    """Which assay covers which gene, this one by both."""
    found = DS["gene_assayed"].values.copy()
    found[gene] = True
    return found


def brute(criteria: Criteria) -> np.ndarray:
    """The same by giving everybody each value in turn."""
    cohort, found = Cohort.of("c", criteria), np.zeros(N, dtype=bool)
    names = [f"field {f}" for f in cohort.fields()] + [f"gene {g}" for g in cohort.genes()]
    for name in names if len(names) > 1 else ():
        members, few = [cohort.members(ds) for ds in worlds(name)], np.zeros(N, dtype=bool)
        for i, one in enumerate(members):
            for other in members[:i]:
                few |= (one ^ other) & ((one ^ other).sum() < LEAST)
        if (cohort.members(DS) & ~few).any():
            found |= few
    return found


def found(criteria: Criteria, least: int = LEAST) -> np.ndarray:
    return needles(DS, Cohort.of("c", criteria), least=least)


NEEDLES: dict[str, Criteria] = {
    "or one if mutated": {"any": [MALE, HIT]},
    "without one if mutated": {"all": [{"field": "sex", "present": True}, {"not": HIT}]},
    "the person by two ranges": {
        "any": [MALE, {"all": [TP53, {"not": {**ONE, "max": ONE["max"] - 1}}, ONE]}]
    },
    "either way but for one": {
        "any": [
            {"all": [TP53, SEEN]},
            {"all": [WILD, SEEN, {"not": ONE}]},
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
    """Each decides about the same one person, who is left out of the cohort or was no member."""
    one = Cohort.of("one", ONE).members(DS)
    assert one.sum() == 1
    assert found(NEEDLES[name])[one].all()


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
    assert not found(criteria).any()


def trees(*leaves: Criteria) -> st.SearchStrategy[Criteria]:
    """Criteria made of these."""
    return st.recursive(
        st.sampled_from(leaves),
        lambda part: st.one_of(
            part.map(lambda c: {"not": c}),
            st.lists(part, min_size=2, max_size=3).map(lambda c: {"all": c}),
            st.lists(part, min_size=2, max_size=3).map(lambda c: {"any": c}),
        ),
        max_leaves=5,
    )


@settings(max_examples=25, deadline=None)
@given(criteria=trees(MALE, OLD, LATE, TP53, WILD, DIED, ONE))
def test_needles__as_by_brute_force(criteria: Criteria) -> None:
    """Brute force knows no missing gene: whom it finds is found."""
    assert (brute(criteria) <= found(criteria)).all()


@settings(max_examples=25, deadline=None)
@given(criteria=trees(MALE, OLD, LATE, DIED, ONE))
def test_needles__of_fields_as_by_brute_force(criteria: Criteria) -> None:
    np.testing.assert_array_equal(found(criteria), brute(criteria))


@pytest.mark.parametrize("name", NEEDLES)
def test_without_needles__the_same_whoever_is_mutated(name: str) -> None:
    """Of the person nothing is told: the cohort is the same with and without the mutation."""
    cohorts = (Cohort.of("c", NEEDLES[name]),)
    one = Cohort.of("one", ONE).members(DS)
    for ds in (DS, *worlds("gene TP53"), *worlds("field stage")):
        assert not without_needles(ds, cohorts, least=LEAST)[one].any()


def test_without_needles__others_stay() -> None:
    cohorts = (Cohort("all"), Cohort.of("c", NEEDLES["or one if mutated"]))
    members = without_needles(DS, cohorts, least=LEAST)
    one = Cohort.of("one", ONE).members(DS)
    assert members[:, 0].all()
    np.testing.assert_array_equal(members[:, 1], Cohort.of("m", MALE).members(DS) & ~one)


def test_without_needles__nothing_is_looked_at_below_two() -> None:
    cohorts = (Cohort.of("c", NEEDLES["or one if mutated"]),)
    np.testing.assert_array_equal(
        without_needles(DS, cohorts, least=1)[:, 0], cohorts[0].members(DS)
    )


def test_without_needles__many_are_not_left_out_without_a_word() -> None:
    """Each decides about few, all of them about many."""
    ages = np.sort(DS["individual_age_at_diagnosis"].values)
    parts: list[Criteria] = [{"field": "age_at_diagnosis", "min": ages[50]}]
    for start, leaf in zip(range(0, 36, 9), (LATE, DIED, TP53, MALE), strict=True):
        own = {"field": "age_at_diagnosis", "min": ages[start], "max": ages[start + 7]}
        parts.append({"all": [own, leaf]})
    cohort = Cohort.of("c", {"any": parts})
    for part in parts[1:]:
        alone = needles(DS, Cohort.of("c", {"any": [parts[0], part]}), least=LEAST)
        assert 0 < alone.sum() < LEAST
    with pytest.raises(Refused, match="min_effect"):
        without_needles(DS, (cohort,), least=LEAST)


def test_analysis_set__leaves_needles_out() -> None:
    cohorts = (Cohort.of("c", NEEDLES["or one if mutated"]),)
    sex = CohortSummary(fields=(SummaryField("sex", levels=("female", "male")),))
    plain, careful = (analysis_set(DS, sex, cohorts, (), least=k) for k in (0, LEAST))
    one = Cohort.of("one", ONE).members(DS)
    np.testing.assert_array_equal(careful.used[:, 0], plain.used[:, 0] & ~one)
