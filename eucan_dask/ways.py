"""The one way a site gives each thing that is added up: its own, or under masks with one roster.

A masked total, less what the other sites gave on their own or less the total of fewer sites, is one
site's own. Rosters that differ by many do not help: of {1,2,3,4}, {4,5,6,7} and {1,2,3,5,6,7} the
first two less the third are twice the sums of site 4. So the first way stays the only one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from eucan_dask.errors import Refused
from eucan_dask.vault import Box

__all__ = ["Way", "check_way", "forget_way", "keep_way", "ways"]

KIND = "way"


@dataclass(frozen=True)
class Way:
    """How sums leave a site.

    Parameters
    ----------
    aggregator
        As of a roster.
    sites
        Under `masked` those of the roster, in order; else none.
    """

    aggregator: str
    sites: tuple[str, ...] = ()

    @classmethod
    def of(cls, aggregator: str, sites: Iterable[str]) -> Way:
        """The way of a roster."""
        return cls(aggregator, tuple(sorted(set(sites))) if aggregator == "masked" else ())


def check_way(box: Box, summands: Iterable[str], way: Way) -> None:
    """Refuse summands that were given in another way.

    Raises
    ------
    Refused
        Naming what can be asked instead.
    """
    for summand in summands:
        held = _held(box, summand)
        if held is not None and held.aggregator != way.aggregator:
            remedy = f'ask with aggregator = "{held.aggregator}", as before, or ask the steward'
            raise Refused("one_roster", remedy)
        if held is not None and held != way:
            before = ", ".join(held.sites)
            raise Refused("one_roster", f"ask {before}, as before, or ask the steward")


def keep_way(box: Box, summands: Iterable[str], way: Way) -> None:
    """Remember how summands are given; nothing of it if one was given in another way.

    Raises
    ------
    Refused
        As `check_way`.
    """
    names = sorted(set(summands))
    check_way(box, names, way)
    for name in names:
        if _held(box, name) is None:
            box.put(KIND, box.tag(KIND, name), json.dumps({"summand": name, **vars(way)}).encode())


def forget_way(box: Box, summand: str) -> bool:
    """Let a summand be given in another way; whether one was noted."""
    found = _held(box, summand) is not None
    box.drop(KIND, box.tag(KIND, summand))
    return found


def ways(box: Box) -> dict[str, Way]:
    """The way of every summand that was given, by name."""
    rows = [json.loads(raw) for raw in box.all(KIND)]
    found = {row["summand"]: Way(row["aggregator"], tuple(row["sites"])) for row in rows}
    return dict(sorted(found.items()))


def _held(box: Box, summand: str) -> Way | None:
    raw = box.get(KIND, box.tag(KIND, summand))
    if raw is None:
        return None
    row = json.loads(raw)
    return Way(row["aggregator"], tuple(row["sites"]))
