"""What fits told of each person, over all runs: never more numbers than there are people.

A site cannot tell whether the totals of former rounds are true, so whoever asks can have a fit
evaluated where he likes. At enough places that gives everybody's covariates: as many equations as
unknowns. So a state costs its numbers over the people, and nobody's sum passes one, for each term,
outcome and endpoint. Who is in several cohorts pays in each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucan_dask.errors import Refused
from eucan_dask.families import set_tag
from eucan_dask.vault import Box

__all__ = ["Evaluation", "check_transcript", "keep_transcript", "told"]

KIND = "transcript"
MOST = 1.0  # numbers a person
SLACK = 1e-9
Bool = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """A fit evaluated in one state.

    Parameters
    ----------
    place
        All that the numbers depend on beside the people: the same of the same people is free.
    numbers
        How many are told.
    n_sites
        Sites whose sums are seen only together with this one's, this one included.
    """

    place: str
    numbers: float
    n_sites: int = 1


def told(box: Box, summand: str, n_people: int) -> Floats:
    """Numbers a person that fits with a summand told of everybody (people,)."""
    out = np.zeros(n_people)
    held = np.frombuffer(box.get(KIND, box.tag(KIND, summand)) or b"", "<f8")
    out[: held.size] = held[:n_people]
    return out


def check_transcript(
    box: Box, evaluation: Evaluation, summands: Iterable[str], sets: Bool
) -> dict[str, Floats]:
    """What would be told after an evaluation over these sets (people, cohorts), by summand.

    Nothing where it was told before.

    Raises
    ------
    Refused
        If more would be told than there are people.
    """
    if box.get("evaluated", _tag(box, evaluation, sets)) is not None:
        return {}
    n = np.maximum(sets.sum(axis=0), 1) * evaluation.n_sites
    added = np.asarray(sets @ (evaluation.numbers / n), dtype=np.float64)
    after = {name: told(box, name, sets.shape[0]) + added for name in summands}
    if any((sums[added > 0] > MOST * (1 + SLACK)).any() for sums in after.values()):
        raise Refused("transcript", "use fewer terms, or an aggregator that does not show the sums")
    return after


def keep_transcript(box: Box, evaluation: Evaluation, summands: Iterable[str], sets: Bool) -> None:
    """Remember an evaluation, once.

    Raises
    ------
    Refused
        As `check_transcript`.
    """
    for name, sums in check_transcript(box, evaluation, summands, sets).items():
        box.put(KIND, box.tag(KIND, name), sums.astype("<f8").tobytes())
    box.put("evaluated", _tag(box, evaluation, sets))


def _tag(box: Box, evaluation: Evaluation, sets: Bool) -> bytes:
    return box.tag("evaluated", evaluation.place, *(set_tag(box, m) for m in sets.T))
