"""What a site says of itself before any question, signed: JSON in a file or a message."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eucan_dask import config
from eucan_dask.errors import Invalid
from eucan_dask.keys import fits, sign
from eucan_dask.strict_json import parse

__all__ = ["MAX_HELLO", "Hello", "decode_hello", "encode_hello", "fingerprint"]

FORMAT = 1
MAX_HELLO = 32 * 2**20
MAX_VALUES = 2**20
PURPOSE = b"eucan-dask hello\n"  # so that no release can pass for a hello


@dataclass(frozen=True)
class Hello:
    """A hello whose signature fits its own key.

    Parameters
    ----------
    site
        The name the site gives itself.
    at
        When it was written, ISO 8601.
    key
        The public key it was signed with: worth as much as what it was compared with.
    told
        What `Site.hello` returns.
    """

    site: str
    at: str
    key: Ed25519PublicKey
    told: dict[str, Any]


def encode_hello(told: Mapping[str, Any], key: Ed25519PrivateKey) -> bytes:
    """A hello as signed JSON, with the public key and the time."""
    body = {
        "format": FORMAT,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "public_key": key.public_key().public_bytes_raw().hex(),
        "hello": dict(told),
    }
    return json.dumps(
        {**body, "signature": sign(key, PURPOSE, _signed(body)).hex()}, indent=1
    ).encode()


def decode_hello(raw: bytes, *, where: str) -> Hello | None:
    """The hello in `raw`; None if it is cut off, as a file may be that is still being written.

    Raises
    ------
    Invalid
        If it is of another format, or its signature does not fit its key.
    """
    try:
        found = parse(raw, most=MAX_VALUES)
    except ValueError:
        return None
    if isinstance(found, dict) and found.get("format", FORMAT) != FORMAT:
        raise Invalid(
            "is a hello of another format",
            where=where,
            expected=FORMAT,
            found=found["format"],
            remedy="install the same eucan-dask at every site",
        )
    text = config.Key(str)
    keys = dict.fromkeys(("at", "public_key", "signature"), text)
    table = config.check(
        found, {"format": config.Key(int), "hello": config.Key(dict), **keys}, where=where
    )
    signature = table.pop("signature")
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(table["public_key"]))
        signed = fits(key, bytes.fromhex(signature), PURPOSE, _signed(table))
    except ValueError:
        signed = False
    if not signed:
        raise Invalid(
            "its signature does not fit",
            where=where,
            remedy="remove it and run `site pass` again at the site",
        )
    if not isinstance(table["hello"].get("site"), str):
        raise Invalid("names no site", where=where)
    return Hello(table["hello"]["site"], table["at"], key, table["hello"])


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of a public key in groups of four, to be read out over the telephone."""
    digest = hashlib.sha256(key.public_bytes_raw()).hexdigest()
    return " ".join(digest[i : i + 4] for i in range(0, 40, 4))


def _signed(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
