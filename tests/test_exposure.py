"""What is charged for: variants, and every number told of one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.analyses.cohort_summary import CohortSummary
from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.exposure import charge, shares
from eucan_dask.panel import Panel
from eucan_dask.policy import Policy, template
from eucan_dask.terms import Term

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
def test_charge__numbers_a_variant(analysis: object, each: int) -> None:
    assert charge(analysis, FOUR) == 4 * each


def test_charge__analyses_without_variants_cost_nothing() -> None:
    summary, _ = CohortSummary.example()
    assert charge(summary, FOUR) == 0
    assert charge(MutationFrequency(), Panel(genes=("TP53", "KRAS"))) == 0


def test_shares__adds_the_cohorts_a_person_is_in() -> None:
    used = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0]], dtype=bool)
    assert shares(used, 8.0).tolist() == [2 + 4, 2, 2, 2 + 4]


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


def test_charge__genotype_counts_tell_as_much_as_two_numbers_a_variant() -> None:
    """Why they are charged twice: the strongest test on them has the power of 2 m over n."""
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
