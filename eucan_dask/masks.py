"""Masks that cancel over a roster: what a site sends is noise, and only the sum over all is not.

Every two sites of a roster share a secret (X25519) that nobody else can compute. From it and from
the request both make the same stream of words (HKDF-SHA256, ChaCha20); one adds it to what it
sends, the other subtracts it. Each site adds a second stream, from a key of its own that it
reveals later, in the opening, and for one roster only.

A coordinator that looks at all it gets, even with the secrets of all sites but two, learns of the
others the sum and nothing else: without a site's vector the masks of the others do not cancel,
and without its opening the sum stays covered, so that an answer that comes late is of no use.

What masks do not do:

- Secrets last as long as the site's key. Whoever obtains that key later, or those of all other
  sites of a roster, can uncover what the site once sent, if the coordinator kept it.
- A site, or its peers by agreement, may send what it likes: the sum is then wrong, not theirs.
- One mask covers one vector. The same request answered with two vectors shows their difference;
  the site's ledger sees to it (`one_mask`), as to the one roster that is opened (`one_roster`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from eucan_dask.errors import EucanError, Invalid
from eucan_dask.fixed_point import PIECE, Layout, Words, add, subtract
from eucan_dask.mask_keys import LEAST_SITES

__all__ = ["Masks", "uncover"]

PAIR, SELF = b"eucan-dask mask 1\n", b"eucan-dask self mask 1\n"
KEY = 32  # bytes of a key, and of a SHA-256
NONCE = bytes(16)  # a key makes one stream: its counter starts at 0

Change = Callable[..., None]


class Masks:
    """One site's masks for one request.

    Parameters
    ----------
    own
        The site's secret.
    site
        Its name.
    keys
        The public key of every site of the roster, its own among them, by name.
    context
        SHA-256 of the request's bytes: another run, question, round, history or roster has
        other masks.

    Raises
    ------
    Invalid
        For fewer than three sites, two with one key, a key that is none, or if `own` does not
        belong to `site`.
    """

    def __init__(
        self,
        own: X25519PrivateKey,
        site: str,
        keys: Mapping[str, X25519PublicKey],
        context: bytes,
    ) -> None:
        raw = {name: key.public_bytes_raw() for name, key in sorted(keys.items())}
        if len(raw) < LEAST_SITES or len(set(raw.values())) < len(raw):
            raise Invalid("masks need three sites, each with a key of its own", where="roster")
        if raw.get(site) != own.public_key().public_bytes_raw():
            raise Invalid("the mask key named for this site is not its own", where="roster")
        if len(context) != KEY:
            raise Invalid("is no SHA-256", where="context")
        bound = json.dumps([context.hex(), [[n, k.hex()] for n, k in raw.items()]])
        self._self_key = _derive(own.private_bytes_raw(), SELF, bound, site)
        self._pairs: list[tuple[bytes, Change]] = []
        for name in raw:
            if name != site:
                first, second = sorted((site, name))
                key = _derive(_shared(own, keys[name]), PAIR, bound, first, second)
                self._pairs.append((key, add if site == first else subtract))

    def __repr__(self) -> str:
        return f"Masks({len(self._pairs) + 1} sites)"

    def __reduce__(self) -> NoReturn:
        raise EucanError("masks are never pickled or sent: they hold a site's secrets")

    def cover(self, vector: Words, layout: Layout) -> Words:
        """`vector` under the masks of all pairs and the site's own, in place."""
        layout.check(vector)
        _change(vector, [*self._pairs, (self._self_key, add)], layout)
        return vector

    def self_key(self) -> bytes:
        """The key of the site's own mask: what an opening reveals, once all vectors are there."""
        return self._self_key


def uncover(vectors: Iterable[Words], self_keys: Sequence[bytes], layout: Layout) -> Words:
    """The total of the vectors of a whole roster, without the sites' own masks.

    Parameters
    ----------
    vectors
        Of every site of the roster; looked at one by one, none is kept.
    self_keys
        Of the same sites, in any order.

    Returns
    -------
    The total: noise, unless vectors and keys are those of one whole roster and one request.

    Raises
    ------
    Invalid
        If a vector has another length, or the numbers of vectors and keys differ.
    """
    total = np.zeros(layout.n_words, np.uint64)
    n_vectors = 0
    for vector in vectors:
        layout.check(vector)
        for piece, paired in layout.pieces():
            add(total[piece], vector[piece], paired=paired)
        n_vectors += 1
    if n_vectors != len(self_keys) or any(len(key) != KEY for key in self_keys):
        raise Invalid("not every vector has its opening", where="masked")
    _change(total, [(key, subtract) for key in self_keys], layout)
    return total


def _change(vector: Words, streams: Iterable[tuple[bytes, Change]], layout: Layout) -> None:
    """Add or subtract streams of words, a piece of the vector at a time."""
    opened = [(_stream(key), change) for key, change in streams]
    zeros, words = bytes(8 * PIECE), np.empty(PIECE, "<u8")
    for piece, paired in layout.pieces():
        part = vector[piece]
        fresh = words[: part.size]
        for stream, change in opened:
            stream.update_into(memoryview(zeros)[: part.nbytes], fresh.view(np.uint8).data)
            change(part, fresh, paired=paired)


def _stream(key: bytes) -> CipherContext:
    """ChaCha20 (RFC 8439) under a key that is used once; little-endian words."""
    return Cipher(ChaCha20(key, NONCE), mode=None).encryptor()


def _shared(own: X25519PrivateKey, other: X25519PublicKey) -> bytes:
    try:
        return own.exchange(other)
    except ValueError as error:  # a point of small order: anybody could compute the secret
        raise Invalid("a mask key is none", where="roster") from error


def _derive(secret: bytes, purpose: bytes, bound: str, *names: str) -> bytes:
    """A key for one use, request, roster and pair of names (HKDF-SHA256, RFC 5869)."""
    use = hashlib.sha256(json.dumps([bound, *names]).encode()).digest()
    return HKDF(hashes.SHA256(), length=KEY, salt=None, info=purpose + use).derive(secret)
