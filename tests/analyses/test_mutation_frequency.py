"""Mutation frequency against plain tables; Wilson's interval against statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from eucan_dask.analyses.mutation_frequency import MutationFrequency, count_mutated, wilson
from eucan_dask.errors import Invalid
from eucan_dask.panel import Panel
from eucan_dask.testing.cases import Example, run_over
from eucan_dask.testing.data import TARGETED, People, dataset, people, split


@pytest.mark.parametrize(
    ("x", "n"), [(0, 10), (10, 10), (5, 50), (1, 1), (0, 1), (37, 525), (524, 525)]
)
def test_wilson__as_statsmodels(x: int, n: int) -> None:
    low, high = wilson(np.array([x]), np.array([float(n)]))
    expected = proportion_confint(x, n, method="wilson")
    np.testing.assert_allclose([low[0], high[0]], expected, rtol=1e-12, atol=1e-15)


def test_wilson__nobody_assayed_is_undefined() -> None:
    low, high = wilson(np.array([0]), np.array([np.nan]))
    assert np.isnan(low[0])
    assert np.isnan(high[0])


def by_hand(simulated: People, gene: str, classes: set[str], members: set[str]) -> tuple[int, int]:
    """People mutated and assayed, counted person by person."""
    rows = simulated.clinical
    assayed, mutated = set(), set()
    for person, sample in zip(rows["individual_id"], rows["sample_id"], strict=True):
        kind = simulated.sample_assay[sample]
        if person in members and (kind == "exome" or (kind == "panel" and gene in TARGETED)):
            assayed.add(person)
    owner = dict(zip(rows["sample_id"], rows["individual_id"], strict=True))
    for row in simulated.mutations.itertuples():
        if row.gene == gene and row.classification in classes and owner[row.sample_id] in assayed:
            mutated.add(owner[row.sample_id])
    return len(mutated), len(assayed)


def test_finalize__as_counted_person_by_person() -> None:
    simulated = people(160, seed=6, missing=0.1, panel_share=0.4, second_biosample=0.3)
    genes = ("TP53", "APC", "NOSUCH")
    analysis = MutationFrequency(classes=("non_silent", "Silent"))
    case = Example(analysis, Panel(genes=genes))
    parts = [dataset(part) for part in split(simulated, np.arange(160) % 3)]
    _, finished, _ = run_over(case, parts)
    ages = simulated.clinical.drop_duplicates("individual_id").set_index("individual_id")
    young = set(ages.index[ages["age_at_diagnosis"] <= 60])
    old = set(ages.index[ages["age_at_diagnosis"] > 60])
    meant = ({"Missense_Mutation", "Nonsense_Mutation"}, {"Silent"})
    for g, gene in enumerate(genes):
        for k, classes in enumerate(meant):
            for c, members in enumerate((young, old)):
                mutated, assayed = by_hand(simulated, gene, classes, members)
                at = (g, k, c)
                assert finished["n_mutated"].values[at] == mutated
                assert finished["n_assayed"].values[g, c] == assayed
                assert finished["frequency"].values[at] == mutated / assayed
                expected = proportion_confint(mutated, assayed, method="wilson")
                ends = [finished[end].values[at] for end in ("low", "high")]
                np.testing.assert_allclose(ends, expected, rtol=1e-12, atol=1e-15)


def test_finalize__nobody_assayed_is_undefined_not_zero() -> None:
    simulated = people(20, seed=1)
    none = People(
        simulated.clinical, simulated.mutations.iloc[:0], dict.fromkeys(simulated.sample_assay, "")
    )
    case = Example(MutationFrequency(), Panel(genes=("TP53",)))
    _, finished, _ = run_over(case, [dataset(none)])
    assert not finished["n_assayed"].values.any()
    assert np.isnan(finished["frequency"].values).all()


def test_count_mutated__a_person_counts_once() -> None:
    """Two biosamples and three mutations of one person, one of another who is not a member."""
    counts = count_mutated(
        np.array([0, 0, 0, 0, -1]),
        np.array([0, 0, 1, 0, 0]),
        np.array([0, 1, 1, 2, 2]),
        sample_individual=np.array([0, 0, 1]),
        covered=(np.array([[True]]), np.array([0, 0])),
        members=np.array([[True], [False]]),
        classes=np.array([[True, False], [True, True], [False, True]]),
    )
    assert counts.tolist() == [[[1], [1], [1]]]


def test_count_mutated__a_mutation_where_nothing_was_assayed_does_not_count() -> None:
    counts = count_mutated(
        np.array([0]),
        np.array([0]),
        np.array([0]),
        sample_individual=np.array([0]),
        covered=(np.array([[False]]), np.array([0])),
        members=np.array([[True]]),
        classes=np.array([[True]]),
    )
    assert counts.tolist() == [[[0]]]


@pytest.mark.parametrize(
    ("classes", "problem"),
    [
        ((), "name each class once"),
        (("Silent", "Silent"), "name each class once"),
        (("Missense",), "did you mean 'Missense_Mutation'"),
        (("nonsilent",), "did you mean 'non_silent'"),
    ],
)
def test_parameters__that_make_no_question(classes: tuple[str, ...], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        MutationFrequency(classes=classes)


def test_check__needs_genes() -> None:
    with pytest.raises(Invalid, match="needs genes"):
        MutationFrequency().check(Panel())


def test_finalize__second_biosample_reaches_more_genes() -> None:
    """A person with a panel and an exome is assayed for every gene."""
    frame = pd.DataFrame(
        {
            "individual_id": ["p1", "p1"],
            "sample_id": ["s1", "s2"],
            "age_at_diagnosis": [50.0, 50.0],
            "sex": ["male", "male"],
            "stage": ["I", "I"],
            "overall_survival_days": [1.0, 1.0],
            "overall_survival_event": [1.0, 1.0],
        }
    )
    mutations = pd.DataFrame(
        {
            "sample_id": ["s1"],
            "gene": ["APC"],
            "classification": ["Missense_Mutation"],
            "position": [1],
        }
    )
    both = People(frame, mutations, {"s1": "exome", "s2": "panel"})
    case = Example(MutationFrequency(), Panel(genes=("APC",)))
    _, finished, _ = run_over(case, [dataset(both)])
    assert finished["n_assayed"].values[0].tolist() == [1, 0]
    assert finished["n_mutated"].values[0, 0].tolist() == [1, 0]
