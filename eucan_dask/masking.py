"""A site's side of masked sums: its answer under masks, and the key that lifts its own mask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from eucan_dask.fixed_point import Layout, Words, encode
from eucan_dask.keys import exchange_public
from eucan_dask.leaving import leaving
from eucan_dask.mask_keys import mask_private
from eucan_dask.masks import Masks
from eucan_dask.partial import Release
from eucan_dask.request import Request

__all__ = ["MASKED", "covered", "masks_of", "payload_digest", "words_of"]

MASKED = "masked"  # the one array of such a release


def words_of(release: Release, request: Request) -> Words:
    """What the gate let through, as words that add up.

    Raises
    ------
    Invalid
        If a sum is too large to be masked.
    """
    expected = leaving(request.analysis, request.coords, MASKED)
    return encode(release.arrays, expected, n_sites=len(request.roster))


def payload_digest(words: Words) -> str:
    """What a site remembers, under a key, of the one payload a mask may cover."""
    return hashlib.sha256(words.tobytes()).hexdigest()


def covered(release: Release, words: Words, masks: Masks, request: Request) -> Release:
    """The release with nothing in it but words under masks."""
    layout = Layout.of(leaving(request.analysis, request.coords, MASKED))
    return replace(release, arrays={MASKED: masks.cover(words, layout)}, findings=())


def masks_of(request: Request, digest: str, *, key: Ed25519PrivateKey, site: str) -> Masks:
    """A site's masks for one request, whose bytes have this digest."""
    return Masks(mask_private(key), site, _publics(request.mask_keys), bytes.fromhex(digest))


def _publics(table: Mapping[str, tuple[str, str]]) -> dict[str, X25519PublicKey]:
    return {name: exchange_public(pair[0], where="mask key") for name, pair in table.items()}
