"""Key pairs: who signs what, who may read it; a site's secret also keys the ledger's rows."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hpke, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from eucan_dask.errors import Invalid

__all__ = [
    "SIGNATURE",
    "derive",
    "exchange_key",
    "exchange_public",
    "fits",
    "open_sealed",
    "public_hex",
    "public_pem",
    "read_private",
    "read_public",
    "seal",
    "sign",
    "write_pair",
]

PUBLIC, SIGNATURE = 32, 64  # bytes
SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


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


def public_hex(key: Ed25519PublicKey | X25519PublicKey) -> str:
    """A public key as messages name it: 64 hexadecimal digits."""
    return key.public_bytes_raw().hex()


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


def sign(key: Ed25519PrivateKey, purpose: bytes, body: bytes) -> bytes:
    """A signature that is good for one purpose: no hello can pass for a release."""
    return key.sign(purpose + body)


def fits(key: Ed25519PublicKey, signature: bytes, purpose: bytes, body: bytes) -> bool:
    """Whether a signature is of this key, purpose and body."""
    try:
        key.verify(signature, purpose + body)
    except InvalidSignature:
        return False
    return True


def exchange_key(key: Ed25519PrivateKey, purpose: str) -> X25519PrivateKey:
    """A key for exchanges ("reply": answers for its owner's eyes; "masks"), derived from `key`."""
    return X25519PrivateKey.from_private_bytes(derive(key, purpose))


def exchange_public(text: str, *, where: str) -> X25519PublicKey:
    """The public key that a message names.

    Raises
    ------
    Invalid
        If the text is not 64 hexadecimal digits.
    """
    if re.fullmatch("[0-9a-f]{64}", text) is None:
        raise Invalid("is no key", where=where, expected="64 hexadecimal digits")
    return X25519PublicKey.from_public_bytes(bytes.fromhex(text))


def seal(public: X25519PublicKey, raw: bytes, context: bytes) -> bytes:
    """`raw` for the holder of one key alone (HPKE), good in one context alone."""
    try:
        return SUITE.encrypt(raw, public, info=context)
    except ValueError as error:  # a point of low order: no secret can come of it
        raise Invalid("nothing can be sealed for this key", where="reply_key") from error


def open_sealed(private: X25519PrivateKey, sealed: bytes, context: bytes) -> bytes:
    """What `seal` closed.

    Raises
    ------
    Invalid
        If it was sealed for another key or context, or altered.
    """
    try:
        return SUITE.decrypt(sealed, private, info=context)
    except (InvalidTag, ValueError) as error:
        raise Invalid("cannot be opened", where="wire", remedy="use the key that asked") from error
