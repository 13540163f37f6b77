"""The second, small message of masked sums: each site reveals the key of its own mask, once.

A site's vector is of no use until then. The coordinator asks when the whole roster delivered, and
a site opens one roster for each thing that is added up: so a vector that came late, or the same
question to fewer sites, gives nobody the sums of the site that makes the difference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eucan_dask import config, message, wire
from eucan_dask.errors import Invalid, Refused
from eucan_dask.keys import SIGNATURE, exchange_key, exchange_public, open_sealed, seal, sign
from eucan_dask.request import Request

__all__ = ["decode_opened", "decode_opening", "encode_opened", "encode_opening", "is_opening"]

OPENED = b"eucan-dask opened\n"
MOST_HEADER = 2**16  # bytes
MOST_OPENED = 2**17


def is_opening(raw: bytes) -> bool:
    """Whether a whole message asks for an opening."""
    return message.read_header(raw).get("kind") == "opening"


def encode_opening(raw: bytes, key: Ed25519PrivateKey) -> bytes:
    """The opening of what was answered to a request, given as the bytes that were sent."""
    asked = message.read_header(raw)
    about = {name: asked[name] for name in ("run", "rounds", "roster", "analysis")}
    held = {"request": np.frombuffer(raw, np.uint8)}
    return wire.signed(message.pack({"kind": "opening", **about}, held), key)


def decode_opening(raw: bytes) -> bytes:
    """The request whose answer is to be opened; both signatures are for others to look at.

    Raises
    ------
    Invalid
        If the bytes are no opening of this version.
    """
    header, arrays = message.unpack(raw[: -wire.REQUEST_TAIL], max_header=MOST_HEADER)
    if header.get("kind") != "opening" or set(arrays) != {"request"}:
        raise Invalid("is not an opening", where="wire")
    return arrays["request"].tobytes()


def encode_opened(
    site: str,
    key: Ed25519PrivateKey,
    *,
    opening: bytes,
    request: Request,
    found: bytes | Refused,
) -> bytes:
    """The answer to an opening, signed: the key sealed for the asker, or why there is none."""
    digest = wire.request_digest(opening)
    header: dict[str, Any] = {
        "kind": "opened",
        "site": site,
        "run": request.run,
        "round": request.round,
        "header": {"request": digest},
        "rule": "",
        "remedy": "",
    }
    sealed = b""
    if isinstance(found, Refused):
        header |= {"rule": found.rule, "remedy": found.remedy}
    else:
        public = exchange_public(request.reply_key, where="wire, reply_key")
        sealed = seal(public, found, _context(digest, site))
    body = message.pack(header, {"sealed": np.frombuffer(sealed, np.uint8)})
    return body + sign(key, wire.RELEASE, body)


def decode_opened(
    raw: bytes, key: Ed25519PublicKey, *, site: str, opening: bytes, own: Ed25519PrivateKey
) -> bytes:
    """The key of a site's own mask.

    Raises
    ------
    Refused
        If the site does not open.
    Invalid
        If the answer is not signed by the site, or answers another opening.
    """
    if len(raw) > MOST_OPENED or not wire.is_signed(raw, key):
        raise Invalid(
            "the signature does not fit", where="wire", remedy="check the site's public key"
        )
    header, arrays = message.unpack(raw[:-SIGNATURE], max_header=MOST_HEADER)
    digest, text = wire.request_digest(opening), config.Key(str)
    values = config.check(
        header,
        {
            "kind": config.Key(str, choices=("opened",)),
            **dict.fromkeys(("site", "run", "rule", "remedy"), text),
            "round": config.Key(int),
            "header": config.Key(dict),
        },
        where="wire",
    )
    if values["site"] != site or values["header"] != {"request": digest}:
        raise Invalid("answers another opening", where="wire")
    if values["rule"]:
        raise Refused(values["rule"], values["remedy"], site=site)
    if set(arrays) != {"sealed"}:
        raise Invalid("holds no key", where="wire")
    return open_sealed(
        exchange_key(own, "reply"), arrays["sealed"].tobytes(), _context(digest, site)
    )


def _context(digest: str, site: str) -> bytes:
    return OPENED + digest.encode() + b"\n" + site.encode()
