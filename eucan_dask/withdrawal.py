"""Who stays out beside the people who withdrew, so that nobody can tell who they were.

A cohort answered with and without one person gives that person away. So others leave with whoever
withdrew: of the same released memberships where there are enough, else of the most alike, in an
order only the site knows. From then on the group is in no answer at all. Old memberships hold all
of it or nothing, new ones nothing, so whatever is added up rests on the whole group; where an old
membership holds a part, the ledger refuses what would show the difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eucan_dask.leverage import Span
from eucan_dask.vault import Box

__all__ = ["companions"]

Bool = NDArray[np.bool_]


def companions(box: Box, spans: Sequence[Span], gone: Bool, *, staying: Bool, least: int) -> Bool:
    """People who stay out from now on (people,), beside those who are gone.

    Parameters
    ----------
    spans
        Those of every family.
    gone
        Who withdrew since the last answer.
    staying
        Who may be chosen.
    least
        A group that leaves has at least so many people.
    """
    out = np.zeros_like(gone)
    involved = gone & np.any([span.leverage > 0 for span in spans], axis=0) if spans else out
    left = set(np.flatnonzero(involved).tolist())
    while left:
        first = min(left)
        apart = _apart(spans, first)
        group = {row for row in left if apart[row] == 0}
        left -= group
        n = max(least - len(group), 0)
        rows = np.flatnonzero(staying & ~out)
        ranked = sorted(rows[apart[rows] <= _reach(apart[rows], n)].tolist())
        ranked.sort(key=lambda row: (apart[row], box.tag("companion", str(first), str(row))))
        out[ranked[:n]] = True
    return out


def _apart(spans: Sequence[Span], person: int) -> NDArray[np.int64]:
    """Released memberships (people,) of which just one of the two is a member."""
    out: NDArray[np.int64] = np.zeros(spans[0].n_people, dtype=np.int64)
    for span in spans:
        for number in range(span.rank):
            members = span.members(number)
            out += members != members[person]
    return out


def _reach(apart: NDArray[np.int64], n: int) -> int:
    """How far the n nearest lie."""
    return int(np.sort(apart)[: max(n, 1)].max(initial=0))
