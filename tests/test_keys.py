"""Keys: a pair that fits, a private file nobody else reads, files that are no keys."""

from __future__ import annotations

import hmac
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from eucan_dask.errors import Invalid
from eucan_dask.keys import (
    SIGNATURE,
    derive,
    exchange_key,
    exchange_public,
    fits,
    open_sealed,
    public_hex,
    read_private,
    read_public,
    seal,
    sign,
    write_pair,
)

PEM, PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()
PKCS8 = serialization.PrivateFormat.PKCS8
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    write_pair(tmp_path / "site.key", tmp_path / "site.pub")
    return tmp_path / "site.key", tmp_path / "site.pub"


def test_write_pair__fits_and_is_private(pair: tuple[Path, Path]) -> None:
    private, public = pair
    signature = read_private(private).sign(b"x")
    read_public(public).verify(signature, b"x")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_write_pair__never_overwrites_a_key(pair: tuple[Path, Path]) -> None:
    before = pair[0].read_bytes()
    with pytest.raises(Invalid):
        write_pair(*pair)
    assert pair[0].read_bytes() == before


def test_read__files_that_are_no_keys(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    (tmp_path / "junk").write_text("junk")
    for path in (tmp_path / "junk", tmp_path / "none", tmp_path):
        with pytest.raises(Invalid, match="no readable private key"):
            read_private(path)
        with pytest.raises(Invalid, match="no readable public key"):
            read_public(path)
    with pytest.raises(Invalid):
        read_private(pair[1])
    with pytest.raises(Invalid):
        read_public(pair[0])


def test_read__a_key_of_another_kind(tmp_path: Path) -> None:
    other = X25519PrivateKey.generate()
    (tmp_path / "key").write_bytes(other.private_bytes(PEM, PKCS8, PLAIN))
    (tmp_path / "pub").write_bytes(other.public_key().public_bytes(PEM, SPKI))
    with pytest.raises(Invalid, match="not an Ed25519 key"):
        read_private(tmp_path / "key")
    with pytest.raises(Invalid, match="not an Ed25519 key"):
        read_public(tmp_path / "pub")


def test_read_private__a_key_under_a_password(tmp_path: Path) -> None:
    locked = serialization.BestAvailableEncryption(b"secret")
    key = Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, locked)
    (tmp_path / "key").write_bytes(key)
    with pytest.raises(Invalid, match="private key"):
        read_private(tmp_path / "key")


def test_derive__one_secret_a_purpose(pair: tuple[Path, Path]) -> None:
    key = read_private(pair[0])
    assert derive(key, "ledger") == derive(key, "ledger")
    assert len(derive(key, "ledger")) == 32
    assert derive(key, "ledger") != derive(key, "other")
    assert derive(key, "ledger") != derive(Ed25519PrivateKey.generate(), "ledger")
    assert derive(key, "ledger") != key.private_bytes_raw()


# --- signatures and seals ---

ONE, OTHER = (Ed25519PrivateKey.from_private_bytes(c * 32) for c in (b"1", b"2"))


def test_sign__for_one_purpose_and_body() -> None:
    signature = sign(ONE, b"a\n", b"body")
    assert len(signature) == SIGNATURE
    assert fits(ONE.public_key(), signature, b"a\n", b"body")
    ONE.public_key().verify(signature, b"a\nbody")
    assert not fits(OTHER.public_key(), signature, b"a\n", b"body")
    assert not fits(ONE.public_key(), signature, b"b\n", b"body")
    assert not fits(ONE.public_key(), signature, b"a\n", b"bodies")
    assert not fits(ONE.public_key(), signature[:-1], b"a\n", b"body")
    assert not fits(ONE.public_key(), b"", b"a\n", b"body")


def test_exchange_key__one_a_purpose() -> None:
    reply, masks = exchange_key(ONE, "reply"), exchange_key(ONE, "masks")
    assert reply.private_bytes_raw() == derive(ONE, "reply")
    assert public_hex(reply.public_key()) != public_hex(masks.public_key())
    text = public_hex(reply.public_key())
    assert exchange_public(text, where="x") == reply.public_key()
    for wrong in ("", text[:-1], text + "0", text.upper(), f"{text}\n", "g" * 64):
        with pytest.raises(Invalid, match="x: is no key"):
            exchange_public(wrong, where="x")


def test_seal__opened_by_its_key_in_its_context_alone() -> None:
    reply = exchange_key(ONE, "reply")
    closed = seal(reply.public_key(), b"sums", b"context")
    assert open_sealed(reply, closed, b"context") == b"sums"
    assert b"sums" not in closed
    assert closed != seal(reply.public_key(), b"sums", b"context"), "a fresh key each time"
    for key, raw, context in (
        (exchange_key(OTHER, "reply"), closed, b"context"),
        (reply, closed, b"another"),
        (reply, closed[:-1], b"context"),
        (reply, closed[:-1] + bytes([closed[-1] ^ 1]), b"context"),
        (reply, b"", b"context"),
        (reply, bytes(len(closed)), b"context"),
    ):
        with pytest.raises(Invalid, match="cannot be opened"):
            open_sealed(key, raw, context)


def test_seal__is_hpke_as_rfc_9180_has_it() -> None:
    """Opened step by step as the RFC spells it out, with HMAC, X25519 and ChaCha20Poly1305."""
    reply = exchange_key(ONE, "reply")
    closed = seal(reply.public_key(), b"sums", b"context")
    sent, text = closed[:32], closed[32:]
    own = reply.public_key().public_bytes_raw()

    def extract(salt: bytes, suite: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(secret: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
        head = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label
        return hmac.digest(secret, head + info + b"\1", "sha256")[:length]

    kem = b"KEM\x00\x20"
    secret = reply.exchange(X25519PublicKey.from_public_bytes(sent))
    shared = expand(extract(b"", kem, b"eae_prk", secret), kem, b"shared_secret", sent + own, 32)
    suite = b"HPKE\x00\x20\x00\x01\x00\x03"
    about = b"\0" + extract(b"", suite, b"psk_id_hash", b"")
    about += extract(b"", suite, b"info_hash", b"context")
    top = extract(shared, suite, b"secret", b"")
    key = expand(top, suite, b"key", about, 32)
    nonce = expand(top, suite, b"base_nonce", about, 12)
    assert ChaCha20Poly1305(key).decrypt(nonce, text, b"") == b"sums"


def test_seal__for_a_point_of_low_order() -> None:
    with pytest.raises(Invalid, match="nothing can be sealed"):
        seal(X25519PublicKey.from_public_bytes(bytes(32)), b"sums", b"")
