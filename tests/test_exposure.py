"""What is charged: variants by the smallest group told of, and genes."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.analyses.cohort_summary import CohortSummary
from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analysis import Analysis
from eucan_dask.exposure import charges, genes, numbers
from eucan_dask.panel import Panel
from eucan_dask.policy import Policy, template
from eucan_dask.terms import Term

CELL = ("variants", "cohorts")
FOUR = Panel(variants=("1:1:A:C", "1:2:A:C", "1:3:A:C", "2:4:G:T"))
MASS, AGE = Term(field="body_mass_index"), Term(field="age_at_diagnosis")
STAGE = Term(field="stage", levels=("I", "II", "III"))


@pytest.mark.parametrize(
    ("analysis", "each"),
    [
        (AlleleFrequency(), 2),
        (LinearAssociation(traits=(MASS,)), 2 + 1),
        (LinearAssociation(traits=(MASS, AGE)), 2 + 2),
        (LinearAssociation(traits=(MASS,), terms=(AGE, STAGE)), 2 + 3 + 1),
    ],
)
def test_numbers__of_a_variant(analysis: Analysis, each: int) -> None:
    assert numbers(analysis, FOUR) == each


def test_numbers__analyses_without_variants_tell_none() -> None:
    summary, _ = CohortSummary.example()
    assert numbers(summary, FOUR) == 0
    assert numbers(MutationFrequency(), Panel(genes=("TP53", "KRAS"))) == 0


def test_genes__counts_by_gene_and_class() -> None:
    two = MutationFrequency(classes=("non_silent", "Silent"))
    assert genes(two, Panel(genes=("TP53", "KRAS", "EGFR"))) == 6
    assert genes(AlleleFrequency(), FOUR) == 0


def frequencies(
    genotypes: list[tuple[int, int, int]], hidden: dict[str, list[int]] | None
) -> np.ndarray:
    """The costs of genotypes told of one cohort, at 10 carriers at least."""
    counts = np.array(genotypes)
    n, alt = counts.sum(axis=1), counts @ [0, 1, 2]
    columns = {
        "variant_n_called": n,
        "variant_allele_number": 2 * n,
        "variant_allele_count": alt,
        "variant_n_carriers": counts[:, 1] + counts[:, 2],
        "variant_n_non_carriers": counts[:, 0],
    }
    partial = xr.Dataset({name: (CELL, c[:, np.newaxis]) for name, c in columns.items()})
    dims = ("variants", "genotypes", "cohorts")
    partial["variant_genotype_count"] = (dims, counts[:, :, np.newaxis])
    masks = None
    if hidden is not None:
        names = ("called", "alleles", "genotypes")
        masks = {k: np.array(hidden[k], np.uint8)[:, np.newaxis] for k in names}
    return charges(
        AlleleFrequency(),
        Panel(variants=FOUR.variants[: len(genotypes)]),
        partial,
        hidden=masks,
        cohort_n=n[:1],
        min_carriers=10,
    )


ALL_HIDDEN = {"called": [5], "alleles": [5], "genotypes": [5]}
ALLELES = {"called": [0], "alleles": [0], "genotypes": [5]}
SHOWN = {"called": [0], "alleles": [0], "genotypes": [0]}


@pytest.mark.parametrize(
    ("genotypes", "hidden", "cost"),
    [
        ((100, 0, 0), ALL_HIDDEN, 2 / 10),
        ((91, 9, 0), ALL_HIDDEN, 2 / 10),
        ((40, 40, 20), ALL_HIDDEN, 2 / 10),  # whatever it is
        ((70, 28, 2), ALLELES, 2 / 16),  # 32 alleles: 16 people at least
        ((74, 20, 6), ALLELES, 2 / 16),  # the same alleles: what is hidden sets no price
        ((88, 12, 0), ALLELES, 2 / 10),
        ((2, 28, 70), ALLELES, 2 / 16),
        ((25, 50, 25), SHOWN, 2 / 50),
        ((49, 39, 12), SHOWN, 1 / 12),  # to one of the twelve
        ((25, 50, 25), None, 2 / 50),
        ((98, 2, 0), None, 2 / 10),
    ],
)
def test_charges__of_a_variant(
    genotypes: tuple[int, int, int], hidden: dict[str, list[int]] | None, cost: float
) -> None:
    assert frequencies([genotypes], hidden).tolist() == pytest.approx([cost])


def test_charges__of_variants_add_up() -> None:
    two = {name: [*a, *b] for (name, a), b in zip(SHOWN.items(), ALL_HIDDEN.values(), strict=True)}
    found = frequencies([(25, 50, 25), (99, 1, 0)], two)
    assert found.tolist() == pytest.approx([2 / 50 + 2 / 10])


@pytest.mark.parametrize(
    ("hidden", "cost"), [([0, 1], 1 / 80), ([0, 0], 2 / 80), ([1, 1], 0.0), (None, 2 / 80)]
)
def test_charges__of_genes(hidden: list[int] | None, cost: float) -> None:
    """One over the people assayed, of what is shown; of all, where a pool is judged."""
    partial = xr.Dataset(
        {
            "gene_n_assayed": (("genes", "cohorts"), np.array([[80], [80]])),
            "gene_n_mutated": (("genes", "classes", "cohorts"), np.array([[[30]], [[2]]])),
        }
    )
    codes = None if hidden is None else np.array(hidden, np.uint8).reshape(2, 1, 1)
    found = charges(
        MutationFrequency(),
        Panel(genes=("TP53", "KRAS")),
        partial,
        hidden=None if codes is None else {"assayed": codes[:, 0], "mutated": codes},
        cohort_n=np.array([100]),
        min_carriers=10,
    )
    assert found.tolist() == pytest.approx([cost])


def test_charges__bound_what_the_strongest_test_finds() -> None:
    """A likelihood ratio on variants of which one person has two copies, as few others do."""
    rng = np.random.default_rng(5)
    n, m, k = 250, 13, 14  # 14 people have two copies, if the person is not there
    p = np.sqrt(k / n)
    chances = np.array([(1 - p) ** 2, 2 * p * (1 - p), p**2])
    scores = []
    for own in (0, 1):
        pool = rng.multinomial(n - own, chances, size=(4000, m)) + own * np.array([0, 0, 1])
        scores.append(np.log((pool[:, :, 2] + 0.5) / (n * chances[2])).sum(axis=1))
    found = float(np.mean(scores[1] > np.quantile(scores[0], 0.99)))
    z = stats.norm.ppf(0.99)
    assert found <= stats.norm.cdf(np.sqrt(m / k) - z) + 0.03


def power(genotypes: np.ndarray, n: int, seed: int) -> float:
    """Power at 1 % false alarms of the likelihood ratio over genotype counts of n people."""
    rng = np.random.default_rng(seed)
    pool = rng.multinomial(n, genotypes, size=(1000, len(genotypes)))  # repeats by variant
    told = np.log((pool + 0.5) / (n + 1.5) / genotypes)

    def score(chances: np.ndarray) -> np.ndarray:
        drawn = (rng.random(pool.shape[:2])[..., np.newaxis] > np.cumsum(chances, axis=-1)).sum(-1)
        return np.take_along_axis(told, drawn.clip(0, 2)[..., np.newaxis], axis=-1).sum((1, 2))

    alarm = np.quantile(score(genotypes), 0.99)
    return float(np.mean(score(pool / n) > alarm))


def test_numbers__genotype_counts_tell_as_much_as_two_a_variant() -> None:
    """Why they are two: the strongest test on them has the power of 2 m over n."""
    n, m = 400, 200
    p = np.random.default_rng(3).uniform(0.2, 0.8, m)
    genotypes = np.stack([(1 - p) ** 2, 2 * p * (1 - p), p**2], axis=1)
    found = power(genotypes, n, seed=4)
    z = stats.norm.ppf(0.99)
    once, twice = (stats.norm.cdf(np.sqrt(f * m / n) - z) for f in (1, 2))
    assert abs(found - twice) < abs(found - once)


def test_template__the_caps_mean_the_power_they_say(tmp_path: object) -> None:
    """At a false alarm in 100: a tenth at 1.09, a quarter at 2.7."""
    path = tmp_path / "policy.toml"
    path.write_text(template("recommended"), encoding="utf-8")
    caps = Policy.read(path).max_exposure
    z = stats.norm.ppf(0.99)
    assert stats.norm.cdf(np.sqrt(caps["open"]) - z) == pytest.approx(0.10, abs=0.002)
    assert stats.norm.cdf(np.sqrt(caps["registered"]) - z) == pytest.approx(0.25, abs=0.005)
