"""Key pairs: a site signs what it releases; its secret also keys the ledger's rows."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from eucan_dask.errors import Invalid

__all__ = ["derive", "public_pem", "read_private", "read_public", "write_pair"]


def write_pair(private: Path, public: Path) -> None:
    """Make an Ed25519 key pair; the private file is readable by its owner alone."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        handle = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Invalid("a key is there already", where=private, remedy="keep it") from error
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    public.write_bytes(public_pem(key.public_key()))


def public_pem(key: Ed25519PublicKey) -> bytes:
    """A public key as a PEM file holds it."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def read_private(path: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:  # TypeError: under a password
        raise Invalid("is no readable private key", where=path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid("is not an Ed25519 key", where=path)
    return key


def read_public(path: Path) -> Ed25519PublicKey:
    """The public key in a PEM file."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Invalid("is no readable public key", where=path) from error
    if not isinstance(key, Ed25519PublicKey):
        raise Invalid("is not an Ed25519 key", where=path)
    return key


def derive(key: Ed25519PrivateKey, purpose: str) -> bytes:
    """A 32-byte secret for one purpose, from a private key (HKDF-SHA256)."""
    raw = key.private_bytes_raw()
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose.encode()).derive(raw)
