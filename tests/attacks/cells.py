"""Attacks by subtraction of a cohort from a cell of another answer's table."""

from __future__ import annotations

from pathlib import Path

from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.cohort import Cohort
from tests.attack_people import PURPOSE, Analyst, Strength, attack, attacked
from tests.attacks.crowd import MUTATED, Criteria, Crowd, count, crowd, every, never, ranks
from tests.attacks.differencing import fresh

N = 120
SEXES = CohortSummary(fields=(SummaryField(field="sex", levels=("female", "male")),))
WOMEN: Criteria = {"field": "sex", "equals": "female"}


def women(analyst: Analyst) -> int | None:
    """The cell of the women, in the table of everybody by sex; None where it is not shown."""
    request = analyst.federation.request(SEXES, purpose=PURPOSE, cohorts=(Cohort("everybody"),))
    (message,) = analyst.send(request).messages
    if message.header["status"] != "released" or message.arrays["summary_hidden"][0, 0]:
        return None
    return int(message.arrays["level_n_individuals"][0, 0])


def few_of_many(crowded: Crowd) -> list[tuple[Criteria, int]]:
    """Groups of ten women and more of whom one to nine carry a mutation, and how many do."""
    found = []
    for first in range(0, N, 6):
        for width in (25, 35, 45):
            group = every(WOMEN, ranks(first, first + width))
            size, carriers = crowded.members(group, every(group, MUTATED)).sum(axis=1)
            if size >= 10 and 1 <= carriers <= 9:
                found.append((group, int(carriers)))
    return found[::2]


@attack(
    "cells against cohorts",
    learned="how many of a group carry a mutation, where these are 1 to 9, from a cell of all"
    " women less a cohort of the women but for these",
    measure="share of such numbers read exactly (before: memberships are not compared)",
    stopped_by="min_cohort_difference (cells of classifications)",
)
def against_cohorts(directory: Path) -> Strength:
    crowded = crowd(N, seed=21, share=0.35)
    cases = few_of_many(crowded)

    def read(analyst: Analyst, where: Path) -> float:
        right = 0
        analysts = fresh(analyst, where, range(len(cases)))
        for number, (who, (group, carriers)) in enumerate(zip(analysts, cases, strict=True)):
            others = every(WOMEN, never(every(group, MUTATED)))
            if number % 2:  # who comes second is compared with who came first
                cell, rest = women(who), count(who, others)[0].n
            else:
                rest, cell = count(who, others)[0].n, women(who)
            right += cell is not None and rest is not None and cell - rest == carriers
        return right / len(cases)

    off = attacked(
        directory / "off", [crowded.people], protected=True, settings={"min_cohort_difference": 0}
    )
    on = attacked(directory / "on", [crowded.people], protected=True)
    return Strength(read(off, directory / "one"), read(on, directory / "other"))
