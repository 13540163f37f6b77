"""Each person's exposure by tier, as the vault keeps it: asked before, paid after an answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucan_dask.errors import Refused
from eucan_dask.exposure import shares
from eucan_dask.families import set_tag
from eucan_dask.vault import Box

__all__ = ["Budget", "exposures", "pay", "price"]

Bool = NDArray[np.bool_]
Floats = NDArray[np.float64]
SLACK = 1e-9


@dataclass(frozen=True)
class Budget:
    """What an answer says about variants.

    Parameters
    ----------
    tier
        Whose account pays: that of the tier asked for.
    cap
        Most exposure of one person in it.
    charged
        Numbers told of each cohort: `exposure.charge`.
    question
        The question without its run: the same of the same people is free.
    """

    tier: str
    cap: float
    charged: float
    question: str


def exposures(box: Box, tier: str, n_people: int) -> Floats:
    """Everybody's exposure in a tier (people,)."""
    out = np.zeros(n_people)
    held = np.frombuffer(box.get("exposure", box.tag("tier", tier)) or b"", "<f8")
    out[: held.size] = held[:n_people]
    return out


def price(box: Box, budget: Budget, sets: Bool) -> Floats | None:
    """Everybody's exposure after an answer about these sets (people, cohorts); None if paid.

    Raises
    ------
    Refused
        If somebody's would pass the cap.
    """
    if box.get("charged", _tag(box, budget, sets)) is not None:
        return None
    added = shares(sets, budget.charged)
    after = exposures(box, budget.tier, sets.shape[0]) + added
    if (after[added > 0] > budget.cap * (1 + SLACK)).any():
        raise Refused("max_exposure", "ask about fewer variants, or in another tier")
    return after


def pay(box: Box, budget: Budget, sets: Bool) -> None:
    """Charge an answer, once.

    Raises
    ------
    Refused
        If somebody's exposure would pass the cap by now.
    """
    after = price(box, budget, sets)
    if after is not None:
        box.put("exposure", box.tag("tier", budget.tier), after.astype("<f8").tobytes())
        box.put("charged", _tag(box, budget, sets))


def _tag(box: Box, budget: Budget, sets: Bool) -> bytes:
    return box.tag("charged", budget.tier, budget.question, *(set_tag(box, m) for m in sets.T))
