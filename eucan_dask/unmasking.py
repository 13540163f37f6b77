"""The coordinator's side of masked sums: ask every site to open, and add up; nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from eucan_dask.errors import Invalid, Refused, Unavailable
from eucan_dask.fixed_point import Layout, decode
from eucan_dask.leaving import leaving
from eucan_dask.links import Link
from eucan_dask.masks import uncover
from eucan_dask.opening import decode_opened, encode_opening
from eucan_dask.partial import Release
from eucan_dask.request import Request
from eucan_dask.waiting import Progress, side_by_side

__all__ = ["Opener", "unmasked"]


class Opener:
    """Asks sites for the keys of their own masks, all at once.

    Parameters
    ----------
    links, keys
        Of every site of the roster, by name; the keys are those its answers are signed with.
    own
        The coordinator's key.
    """

    def __init__(
        self, links: Mapping[str, Link], keys: Mapping[str, Any], own: Ed25519PrivateKey
    ) -> None:
        self._links, self._keys, self._own = links, keys, own

    def ask(self, raw: bytes, *, what: str, progress: Progress | None) -> list[bytes]:
        """The keys of all sites for the answers to a request, as it was sent.

        Raises
        ------
        Unavailable
            If a site cannot be reached: the run can be resumed when it is back.
        Refused
            If a site opened another roster for the same sums.
        """
        message = encode_opening(raw, self._own)
        try:
            found = side_by_side(
                self._links, lambda name: self._one(name, message), what=what, progress=progress
            )
        finally:
            for link in self._links.values():
                link.withdraw(message)
        return [found[name] for name in self._links]

    def _one(self, name: str, message: bytes) -> bytes:
        link = self._links[name]
        try:
            answer = link.send(message)
        except (Unavailable, OSError) as error:
            raise Unavailable(
                f"{name} answered, but does not open what it sent: resume the run when it is back "
                f"({error})"
            ) from error
        try:
            return decode_opened(
                answer, self._keys[name], site=name, opening=message, own=self._own
            )
        except Refused as refusal:
            raise Refused(refusal.rule, refusal.remedy, site=name) from refusal
        except Invalid as error:
            raise Invalid(f"its opening {error}", where=f"{name} {link.lies(message)}") from error


def unmasked(
    request: Request, releases: Sequence[Release], self_keys: Sequence[bytes]
) -> dict[str, NDArray[Any]]:
    """The sums over the whole roster, exact for counts.

    Raises
    ------
    Invalid
        If the masks do not cancel, or a total is negative: a site sent what cannot be.
    """
    expected = leaving(request.analysis, request.coords, "masked")
    vectors = (np.asarray(release.arrays["masked"]) for release in releases)
    total = uncover(vectors, self_keys, Layout.of(expected))
    found = decode(total, expected, n_sites=len(request.roster))
    for name, values in found.items():
        if values.dtype == np.int64 and (values < 0).any():
            raise Invalid("a count is negative", where=f"masked, {name}")
    return found
