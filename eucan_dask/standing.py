"""The roster of a question whose masked sums were opened: from then on it has no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eucan_dask.errors import Unavailable
from eucan_dask.request import Request

__all__ = ["Standing"]

Sites = tuple[str, ...]


@dataclass
class Standing:
    """The sites that masked sums were opened for, over all rounds and blocks of a question.

    Without one of them, the difference would be its own sums; its peers would not open that.

    Parameters
    ----------
    sites
        Empty as long as nothing was opened.
    remember
        Told of the sites before the first is asked to open: a run that dies goes on with them.
    """

    sites: Sites = ()
    remember: Callable[[Sites], None] | None = None

    def narrowed(self, request: Request) -> Request:
        """The request to these sites.

        Raises
        ------
        Unavailable
            If one of them is not there to be asked.
        """
        if not self.sites or request.roster.sites == self.sites:
            return request
        self.check(request.roster.sites)
        return request.keep(self.sites)

    def check(self, there: Sites) -> None:
        """Raise `Unavailable` if one of these sites is not there."""
        lost = ", ".join(sorted(set(self.sites) - set(there)))
        if lost:
            raise Unavailable(
                f"{lost} is part of sums that were opened, and does not answer: "
                "resume the run when it is back"
            )

    def opens(self, sites: Sites) -> None:
        """Hold these sites to it from now on."""
        if not self.sites and self.remember is not None:
            self.remember(sites)
        self.sites = sites
