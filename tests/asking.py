"""Asking a site directly, without a federation: with a key it admits."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eucan_dask import wire
from eucan_dask.keys import public_hex, public_pem, read_public
from eucan_dask.partial import Release
from eucan_dask.parties import admit_asker
from eucan_dask.policy import TIERS
from eucan_dask.request import AGGREGATORS, Request
from eucan_dask.site import Site

__all__ = ["ASKER", "KEY", "admit", "encoded", "put", "read_answer", "read_back", "write_key"]

KEY = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
ASKER = public_hex(KEY.public_key())


def admit(site: Path, key: Ed25519PrivateKey = KEY, *, name: str = "tests") -> None:
    """Let the holder of `key` ask a site, with every aggregator, in every tier."""
    file = site / f"{name}.pub"
    file.write_bytes(public_pem(key.public_key()))
    admit_asker(site, name, file, AGGREGATORS, tiers=TIERS)


def write_key(file: Path) -> None:
    """The key every site of these tests admits, as the private key of a federation."""
    file.parent.mkdir(parents=True, exist_ok=True)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(KEY.private_bytes(encoding, form, serialization.NoEncryption()))


def encoded(request: Request) -> bytes:
    return wire.encode_request(request, KEY)


def read_back(raw: bytes, key: Ed25519PrivateKey = KEY) -> Request:
    return wire.decode_request(raw, [public_hex(key.public_key())])


def read_answer(
    answer: bytes, raw: bytes, public: Ed25519PublicKey, key: Ed25519PrivateKey = KEY
) -> Release:
    """The release in an answer to the request `raw`, signed with `key`."""
    digest = wire.request_digest(raw)
    return wire.decode_release(answer, read_back(raw, key), public, digest=digest, own=key)


def put(site: Site | Path, request: Request, key: Ed25519PrivateKey = KEY) -> Release:
    """The release of a site for a request signed with `key`."""
    opened = site if isinstance(site, Site) else Site(site)
    public = read_public(opened.directory / "keys" / "site.pub")
    raw = wire.encode_request(request, key)
    return read_answer(opened.answer(raw), raw, public, key)
