"""The first thing a coordinator does: ask every site for its catalogue, and see who is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eucan_dask.errors import Invalid, NotEnoughSites, Unavailable
from eucan_dask.links import Link
from eucan_dask.waiting import Progress, side_by_side

__all__ = ["greet"]


def greet(
    links: Mapping[str, Link], *, min_sites: int, progress: Progress | None = None
) -> dict[str, dict[str, Any]]:
    """The hello of every site that answers, by name.

    Raises
    ------
    Unavailable
        If none answers, or too few links work.
    NotEnoughSites
        If fewer than `min_sites` answer for other reasons.
    Invalid
        If a site calls itself something else than the federation file does.
    """

    def call(name: str) -> dict[str, Any] | Unavailable | OSError:
        try:
            return links[name].hello()
        except (Unavailable, OSError) as error:
            return error

    told = side_by_side(links, call, what="catalogues of the sites", progress=progress, quick=True)
    hellos = {name: found for name, found in told.items() if isinstance(found, dict)}
    for name, found in hellos.items():
        if found["site"] != name:
            raise Invalid(
                "the site behind the link has another name",
                where=name,
                found=found["site"],
                remedy="correct the federation file",
            )
    if len(hellos) < min_sites:
        away = {name: error for name, error in told.items() if name not in hellos}
        reasons = "; ".join(f"{name}: {error}" for name, error in away.items())
        n_broken = sum(isinstance(error, OSError) for error in away.values())
        if not hellos:
            raise Unavailable(f"no site answers; {reasons}")
        if len(told) - n_broken < min_sites:
            raise Unavailable(f"too few sites can be reached; {reasons}")
        raise NotEnoughSites(f"fewer than {min_sites} sites answer; {reasons}")
    return hellos
