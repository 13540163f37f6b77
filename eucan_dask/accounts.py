"""Each person's exposure by tier, as the vault keeps it: asked before, paid after an answer.

What was told in a tier is known in those above it, and counts in their accounts as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
        The tier asked for, whose account pays.
    cap
        Most exposure of one person in it.
    charged
        Numbers told of each cohort: `exposure.charge`.
    question
        The question without its run: the same of the same people is free.
    above
        Caps of the higher tiers, whose accounts pay as well.
    """

    tier: str
    cap: float
    charged: float
    question: str
    above: Mapping[str, float] = field(default_factory=dict)


def exposures(box: Box, tier: str, n_people: int) -> Floats:
    """Everybody's exposure to those of a tier (people,): to answers of this tier and lower ones."""
    out = np.zeros(n_people)
    held = np.frombuffer(box.get("exposure", box.tag("tier", tier)) or b"", "<f8")
    out[: held.size] = held[:n_people]
    return out


def price(box: Box, budget: Budget, sets: Bool) -> dict[str, Floats]:
    """Everybody's exposure after an answer about these sets (people, cohorts), by tier that pays.

    Raises
    ------
    Refused
        If somebody's would pass a cap.
    """
    found = {}
    for tier, cap in {budget.tier: budget.cap, **budget.above}.items():
        if box.get("charged", _tag(box, budget, tier, sets)) is not None:
            continue
        added = shares(sets, budget.charged)
        found[tier] = exposures(box, tier, sets.shape[0]) + added
        if (found[tier][added > 0] > cap * (1 + SLACK)).any():
            raise Refused("max_exposure", "ask about fewer variants, or in another tier")
    return found


def pay(box: Box, budget: Budget, sets: Bool) -> None:
    """Charge an answer, once a tier.

    Raises
    ------
    Refused
        If somebody's exposure would pass a cap by now.
    """
    for tier, after in price(box, budget, sets).items():
        box.put("exposure", box.tag("tier", tier), after.astype("<f8").tobytes())
        box.put("charged", _tag(box, budget, tier, sets))


def _tag(box: Box, budget: Budget, tier: str, sets: Bool) -> bytes:
    return box.tag("charged", tier, budget.question, *(set_tag(box, m) for m in sets.T))
