"""A crowd to attack by questions: every age is one person's, and a gene is mutated by a coin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.cohort import Cohort
from eucan_dask.panel import Panel
from eucan_dask.testing.data import People, dataset, people
from tests.attack_people import Analyst, Answer, attacked

SECRET = "TP53"  # noqa: S105
STEP = 0.5  # years between one person's age and the next
YOUNGEST = 20.0
MUTATED = {"gene": SECRET, "mutated": True}
FREQUENCY = MutationFrequency()
PANEL = Panel(genes=(SECRET,))
Criteria = dict[str, Any]


# --- criteria ---


def every(*parts: Criteria) -> Criteria:
    """All of them hold."""
    return {"all": list(parts)}


def either(*parts: Criteria) -> Criteria:
    """At least one of them holds."""
    return {"any": list(parts)}


def never(part: Criteria) -> Criteria:
    """It does not hold."""
    return {"not": part}


def ranks(first: int, last: int) -> Criteria:
    """The people whose age is the `first`-th to `last`-th of all, the youngest being 0."""
    ages = [YOUNGEST + STEP * (rank + side) for rank, side in ((first, -0.5), (last, 0.5))]
    return {"field": "age_at_diagnosis", "min": ages[0], "max": ages[1]}


def person(rank: int) -> Criteria:
    """The one person of this age."""
    return ranks(rank, rank)


# --- people ---


@dataclass(frozen=True)
class Crowd:
    """People in order of age, and whether each carries a mutation of `SECRET`."""

    people: People
    secret: NDArray[np.bool_]

    @property
    def n(self) -> int:
        """How many they are."""
        return int(self.secret.size)

    def members(self, *criteria: Criteria) -> NDArray[np.bool_]:
        """Who fulfils each, (criteria, people in order of age): only the attacked know."""
        ds = dataset(self.people)
        order = np.argsort(ds["individual_age_at_diagnosis"].values)
        return np.array([Cohort.of("c", c).members(ds)[order] for c in criteria])


def crowd(n: int, *, seed: int, share: float = 0.5, secret: Sequence[bool] | None = None) -> Crowd:
    """`n` people with ages of their own; everything about them is known, once.

    Parameters
    ----------
    share
        Of those who carry a mutation of `SECRET`, unless `secret` says who does.
    """
    rng = np.random.default_rng([seed, 5])
    drawn = people(n, seed=seed, missing=0.0, panel_share=0.0, second_biosample=0.0)
    rank = rng.permutation(n)
    carries = rng.random(n) < share if secret is None else np.array(secret, dtype=bool)
    rows = drawn.clinical.assign(age_at_diagnosis=YOUNGEST + STEP * rank)
    samples = rows["sample_id"].to_numpy()[carries[rank]]
    others = drawn.mutations[drawn.mutations["gene"] != SECRET]
    own = pd.DataFrame(
        {
            "sample_id": samples,
            "gene": SECRET,
            "classification": "Missense_Mutation",
            "position": 1500,
        }
    )
    mutations = pd.concat([others, own]).sort_values(["sample_id", "position"])
    return Crowd(replace(drawn, clinical=rows, mutations=mutations.reset_index(drop=True)), carries)


# --- questions ---


@dataclass(frozen=True)
class Seen:
    """What an analyst sees of one cohort: people and carriers, None where hidden or refused."""

    n: int | None
    carriers: int | None

    @property
    def word(self) -> str:
        """What it says without its numbers."""
        return "refused" if self.n is None else "hidden" if self.carriers is None else "shown"


def count(
    analyst: Analyst, *criteria: Criteria, panel: Panel = PANEL, **options: Any
) -> list[Seen]:
    """People and carriers of the panel's gene in cohorts asked about together, at one site."""
    cohorts = tuple(Cohort.of(f"c{i}", c) for i, c in enumerate(criteria))
    request = analyst.federation.request(
        FREQUENCY, purpose="DUO:0000006", cohorts=cohorts, panel=panel, **options
    )
    return seen(analyst.send(request), len(cohorts))


def seen(answer: Answer, n_cohorts: int) -> list[Seen]:
    """The same, read from the answer of the only site."""
    (message,) = answer.messages
    arrays = message.arrays if message.header["status"] == "released" else {}
    if not arrays:
        return [Seen(None, None)] * n_cohorts
    found = []
    for i in range(n_cohorts):
        shown = [not arrays[f"{name}_hidden"][..., i].any() for name in ("assayed", "mutated")]
        n, carriers = (
            int(arrays[f"gene_n_{name}"][..., i].sum()) for name in ("assayed", "mutated")
        )
        found.append(Seen(n if shown[0] else None, carriers if shown[1] else None))
    return found


# --- the rule of pairs, as a measure of what it lets through ---


class Pairwise:
    """A ledger that only compares pairs: memberships are equal or at least `least` apart."""

    def __init__(self, least: int = 10) -> None:
        self.least, self.released = least, []

    def allows(self, members: NDArray[np.bool_]) -> bool:
        """Whether these people may be answered about; remembered if so."""
        apart = [int((members ^ other).sum()) for other in self.released]
        if members.sum() < self.least or any(0 < d < self.least for d in apart):
            return False
        self.released.append(members)
        return True


def accuracy(guessed: Sequence[float | None], truth: Sequence[bool]) -> float:
    """Share of bits guessed right, those of each value alike; where there is no guess, a half."""
    told, secret = np.array([0.5 if g is None else g for g in guessed]), np.array(truth)
    right = np.where(secret, told, 1 - told)
    return float((right[secret].mean() + right[~secret].mean()) / 2)


def twins(directory: Path, crowded: Crowd, **options: Any) -> tuple[Analyst, Analyst]:
    """Analysts before one site with these people: unprotected, and as recommended."""
    return (
        attacked(directory / "before", [crowded.people], protected=False, **options),
        attacked(directory / "after", [crowded.people], protected=True, **options),
    )
