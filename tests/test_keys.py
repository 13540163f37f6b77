"""Keys: a pair that fits, a private file nobody else reads, files that are no keys."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from eucan_dask.errors import Invalid
from eucan_dask.keys import derive, read_private, read_public, write_pair

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
