"""A hello by itself: what its key signed, and only what it can be; no more memory than that."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eucan_dask.errors import Invalid
from eucan_dask.hello import MAX_VALUES, decode_hello, encode_hello

KEY = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
RAW = encode_hello({"site": "a", "genes": ["TP53"], "n": [1, 0.5, None, True]}, KEY)


def altered(**changes: Any) -> bytes:
    return json.dumps({**json.loads(RAW), **changes}).encode()


def test_decode_hello__comes_back_as_it_was() -> None:
    found = decode_hello(RAW, where="x")
    assert found is not None
    assert (found.site, found.key) == ("a", KEY.public_key())
    assert found.told == {"site": "a", "genes": ["TP53"], "n": [1, 0.5, None, True]}


def test_decode_hello__cut_off_anywhere_is_none() -> None:
    for end in range(len(RAW)):
        assert decode_hello(RAW[:end], where="x") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"public_key": "no hex"},
        {"public_key": "00"},
        {"signature": "no hex"},
        {"signature": ""},
        {"public_key": "é" * 64},
        {"at": "2020"},
        {"hello": {"site": "b"}},
        {"hello": 3},
        {"more": 3},
        {"format": True},
        {"format": 10**17},
    ],
    ids=str,
)
def test_decode_hello__whatever_was_changed(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="^x"):
        decode_hello(altered(**changes), where="x")


@pytest.mark.parametrize("told", [{}, {"site": 3}, {"site": None}, {"site": ["a"]}], ids=str)
def test_decode_hello__names_its_site(told: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="x: names no site"):
        decode_hello(encode_hello(told, KEY), where="x")


@pytest.mark.parametrize(
    "piece", [b"[],", b"{},", b'"a",', b"1,", b'{"a":{}},', b'{"a":0},'], ids=repr
)
def test_decode_hello__one_that_would_grow_is_not_read(piece: bytes) -> None:
    bomb = b'{"hello":[' + piece * (2**22 // len(piece)) + b"0]}"
    assert bomb.count(b",") + bomb.count(b"[") + bomb.count(b"{") + bomb.count(b":") > MAX_VALUES
    tracemalloc.start()
    try:
        assert decode_hello(bomb, where="x") is None
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
