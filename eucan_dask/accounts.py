"""Each person's exposure by tier, as the vault keeps it: paid with an answer, or there is none.

What was told in a tier is known in those above it, and counts in their accounts as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eucan_dask.errors import Refused
from eucan_dask.families import set_tag
from eucan_dask.vault import Box

__all__ = ["Budget", "affordable", "exposures", "pay"]

Bool = NDArray[np.bool_]
Floats = NDArray[np.float64]
SLACK = 1e-9


@dataclass(frozen=True)
class Budget:
    """What an answer may say of people, and whose account it comes from.

    Parameters
    ----------
    tier
        The tier asked for, whose account pays.
    cap
        Most exposure of one person in it.
    question
        The question without its run: the same of the same people is free.
    above
        Caps of the higher tiers, whose accounts pay as well.
    told
        Numbers told of each cohort's variants, all together.
    genes
        Counts told of each cohort's genes.
    floor
        What is told of variants rests on at least so many people; hidden ones cost as much.
    """

    tier: str
    cap: float
    question: str
    above: Mapping[str, float] = field(default_factory=dict)
    told: float = 0.0
    genes: float = 0.0
    floor: float = 1.0

    def least(self, cohort_n: NDArray[np.int64]) -> Floats:
        """The least that an answer can cost each person of cohorts (cohorts,) of these sizes."""
        return np.asarray(self.told / np.maximum(cohort_n / 2, self.floor))

    def most(self, cohort_n: NDArray[np.int64]) -> Floats:
        """The most that it can cost them."""
        return np.asarray(self.told / self.floor + self.genes / np.maximum(cohort_n, 1))


def exposures(box: Box, tier: str, n_people: int) -> Floats:
    """Everybody's exposure to those of a tier (people,): to answers of this tier and lower ones."""
    out = np.zeros(n_people)
    held = np.frombuffer(box.get("exposure", box.tag("tier", tier)) or b"", "<f8")
    out[: held.size] = held[:n_people]
    return out


def affordable(box: Box, budget: Budget, sets: Bool, *, wary: bool) -> None:
    """Whether an answer about these sets (people, cohorts) may be paid for, whatever it tells.

    Parameters
    ----------
    wary
        Expect the most that it can cost, not the least: so no refusal depends on the data.

    Raises
    ------
    Refused
        If that passes somebody's cap. This tells nothing of the data: only how many are asked
        about, and what was told before.
    """
    n = sets.sum(axis=0)
    _after(box, budget, sets, budget.most(n) if wary else budget.least(n))


def pay(box: Box, budget: Budget, sets: Bool, costs: Floats) -> None:
    """Charge an answer, once a tier: each person of each set (people, cohorts) its cost (cohorts,).

    Raises
    ------
    Refused
        If somebody's exposure would pass a cap.
    """
    for tier, after in _after(box, budget, sets, costs).items():
        box.put("exposure", box.tag("tier", tier), after.astype("<f8").tobytes())
        box.put("charged", _tag(box, budget, tier, sets))


def _after(box: Box, budget: Budget, sets: Bool, costs: Floats) -> dict[str, Floats]:
    """Everybody's exposure after an answer, by tier that pays: those it was not paid in before."""
    found = {}
    for tier, cap in {budget.tier: budget.cap, **budget.above}.items():
        if box.get("charged", _tag(box, budget, tier, sets)) is not None:
            continue
        added = sets @ costs
        found[tier] = exposures(box, tier, sets.shape[0]) + added
        if (found[tier][added > 0] > cap * (1 + SLACK)).any():
            raise Refused("max_exposure", "ask about fewer variants or genes, or in another tier")
    return found


def _tag(box: Box, budget: Budget, tier: str, sets: Bool) -> bytes:
    return box.tag("charged", tier, budget.question, *(set_tag(box, m) for m in sets.T))
