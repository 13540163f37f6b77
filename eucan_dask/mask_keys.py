"""The keys that sites mask their sums with: one a site, signed by it for all others."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from eucan_dask.errors import Invalid, NotEnoughSites
from eucan_dask.keys import exchange_key, exchange_public, fits, public_hex, sign

__all__ = [
    "LEAST_SITES",
    "MaskKey",
    "check_mask_key",
    "mask_private",
    "read_mask_keys",
    "sign_mask_key",
    "gather",
]

MaskKey = tuple[str, str]  # a public X25519 key and its Ed25519 signature, hexadecimal
PURPOSE = b"eucan-dask mask key\n"
LEAST_SITES = 3  # of two, each knows the other's part from the sum


def mask_private(key: Ed25519PrivateKey) -> X25519PrivateKey:
    """The key a site masks with, derived from its own."""
    return exchange_key(key, "masks")


def sign_mask_key(key: Ed25519PrivateKey, name: str) -> MaskKey:
    """The public key a site masks with, and the signature that says it is this site's."""
    public = mask_private(key).public_key()
    signature = sign(key, PURPOSE, _body(name, public))
    return public_hex(public), signature.hex()


def check_mask_key(
    key: Ed25519PublicKey, name: str, public: str, signature: str
) -> X25519PublicKey:
    """The key that `name` masks with, if the site that holds `key` signed it.

    Raises
    ------
    Invalid
        If it did not.
    """
    found = exchange_public(public, where=f"mask key of {name}")
    if re.fullmatch("[0-9a-f]{128}", signature) is None:
        raise Invalid("is no signature", where=f"mask key of {name}")
    if not fits(key, bytes.fromhex(signature), PURPOSE, _body(name, found)):
        raise Invalid("is not signed by that site", where=f"mask key of {name}")
    return found


def gather(
    hellos: Mapping[str, Mapping[str, object]], keys: Mapping[str, Ed25519PublicKey]
) -> dict[str, MaskKey]:
    """The mask key that each site's hello names, its signature checked.

    Raises
    ------
    NotEnoughSites
        If too few sites are there.
    Invalid
        If a hello names no mask key, or another than its site signed.
    """
    if len(hellos) < LEAST_SITES:
        raise NotEnoughSites(f"masks need {LEAST_SITES} sites; there are {len(hellos)}")
    found = {}
    for name, hello in hellos.items():
        pair = str(hello.get("mask_key")), str(hello.get("mask_key_signature"))
        check_mask_key(keys[name], name, *pair)
        found[name] = pair
    return found


def read_mask_keys(table: Mapping[str, object], sites: tuple[str, ...]) -> dict[str, MaskKey]:
    """The mask keys of a request as it travels; exactly those of `sites`.

    Raises
    ------
    Invalid
        If one is missing, too many or not of the right form; no signature is looked at.
    """
    if set(table) != set(sites):
        raise Invalid("mask keys are not those of the roster", where="request.mask_keys")
    found: dict[str, MaskKey] = {}
    for name, pair in table.items():
        match pair:
            case [str(public), str(signature)] if re.fullmatch("[0-9a-f]{128}", signature):
                exchange_public(public, where="request.mask_keys")
                found[name] = public, signature
            case _:
                raise Invalid("is no mask key", where="request.mask_keys")
    return found


def _body(name: str, public: X25519PublicKey) -> bytes:
    return name.encode() + b"\n" + public.public_bytes_raw()
