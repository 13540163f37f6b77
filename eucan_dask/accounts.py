"""Each person's exposure by tier, as the vault keeps it: paid with an answer, or there is none."""

from __future__ import annotations

from dataclasses import dataclass

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
    """What an answer about variants or genes may cost.

    Parameters
    ----------
    tier
        Whose account pays: that of the tier asked for.
    cap
        Most exposure of one person in it.
    question
        The question without its run: the same of the same people is free.
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
    """Everybody's exposure in a tier (people,)."""
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
    """Charge an answer, once: each person of each set (people, cohorts) its cost (cohorts,).

    Raises
    ------
    Refused
        If somebody's exposure would pass the cap.
    """
    after = _after(box, budget, sets, costs)
    if after is not None:
        box.put("exposure", box.tag("tier", budget.tier), after.astype("<f8").tobytes())
        box.put("charged", _tag(box, budget, sets))


def _after(box: Box, budget: Budget, sets: Bool, costs: Floats) -> Floats | None:
    """Everybody's exposure after an answer; None if it was paid before."""
    if box.get("charged", _tag(box, budget, sets)) is not None:
        return None
    added = sets @ costs
    after = exposures(box, budget.tier, sets.shape[0]) + added
    if (after[added > 0] > budget.cap * (1 + SLACK)).any():
        raise Refused("max_exposure", "ask about fewer variants or genes, or in another tier")
    return after


def _tag(box: Box, budget: Budget, sets: Bool) -> bytes:
    return box.tag("charged", budget.tier, budget.question, *(set_tag(box, m) for m in sets.T))
