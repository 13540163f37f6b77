"""Asking for openings: what is sent to whom, what comes back, and what it is told as."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eucan_dask import message, wire
from eucan_dask.errors import Invalid, Refused, Unavailable
from eucan_dask.keys import exchange_key, open_sealed, public_hex
from eucan_dask.links import Link
from eucan_dask.opening import decode_opened, decode_opening, encode_opened, encode_opening
from eucan_dask.unmasking import Opener

OWN = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
SITES = {name: Ed25519PrivateKey.from_private_bytes(name.encode() * 32) for name in "abc"}
PUBLIC = {name: key.public_key() for name, key in SITES.items()}
ABOUT = {"run": "r", "rounds": 2, "roster": list("abc"), "analysis": {"name": "x"}}
RAW = message.pack({"kind": "request", **ABOUT, "purpose": "p"}, {})
ASKED: Any = SimpleNamespace(
    run="r", round=2, reply_key=public_hex(exchange_key(OWN, "reply").public_key())
)
OPENING = encode_opening(RAW, OWN)


def opened(name: str, found: bytes | Refused) -> bytes:
    return encode_opened(name, SITES[name], opening=OPENING, request=ASKED, found=found)


def read(raw: bytes, name: str = "a") -> bytes:
    return decode_opened(raw, PUBLIC[name], site=name, opening=OPENING, own=OWN)


def resigned(header: dict[str, Any], arrays: dict[str, Any], *, width: int = 0) -> bytes:
    """What site "a" may sign, whatever it is."""
    body = message.pack(header, arrays, width=width)
    return body + wire.sign(SITES["a"], wire.RELEASE, body)


# --- bytes ---


def test_encode_opening__says_what_it_is_about_and_no_more() -> None:
    header, arrays = message.unpack(OPENING[: -wire.REQUEST_TAIL])
    assert header == {"kind": "opening", **ABOUT}
    assert arrays["request"].tobytes() == RAW
    assert wire.signer(OPENING, [public_hex(OWN.public_key())])


def test_decode_opening__a_header_as_long_as_may_be() -> None:
    held = {"request": np.frombuffer(RAW, np.uint8)}
    for length, fits in ((2**16, True), (2**16 + 1, False)):
        empty = len(message.pack({"kind": "opening"}, held)) - len(RAW) - message.PREFIX.size
        kind = {"kind": "opening", "pad": "x" * (length - empty - len(', "pad": ""'))}
        raw = wire.signed(message.pack(kind, held), OWN)
        assert message.begins(raw) == length
        if fits:
            assert decode_opening(raw) == RAW
        else:
            with pytest.raises(Invalid, match="header that does not fit"):
                decode_opening(raw)


@pytest.mark.parametrize("kind", ["request", "opening"])
def test_decode_opening__of_another_kind_or_with_another_array(kind: str) -> None:
    held = {"request" if kind == "request" else "other": np.zeros(3, np.uint8)}
    with pytest.raises(Invalid, match="is not an opening"):
        decode_opening(wire.signed(message.pack({"kind": kind}, held), OWN))


def test_encode_opened__a_key_and_a_refusal() -> None:
    header, arrays = message.unpack(opened("a", b"k" * 32)[:-64])
    told = {
        "kind": "opened",
        "site": "a",
        "run": "r",
        "round": 2,
        "header": {"request": wire.request_digest(OPENING)},
        "rule": "",
        "remedy": "",
    }
    assert header == told
    assert set(arrays) == {"sealed"}
    assert b"k" * 32 not in opened("a", b"k" * 32)
    assert read(opened("a", b"k" * 32)) == b"k" * 32
    header, arrays = message.unpack(opened("a", Refused("one_roster", "ask b"))[:-64])
    assert header == {**told, "rule": "one_roster", "remedy": "ask b"}
    assert arrays["sealed"].size == 0
    with pytest.raises(Refused) as caught:
        read(opened("a", Refused("one_roster", "ask b")))
    assert (caught.value.rule, caught.value.remedy, caught.value.site) == (
        *("one_roster", "ask b", "a"),
    )


def test_encode_opened__is_sealed_for_one_use_opening_and_site() -> None:
    """The same bytes in every version: the coordinator's may be another."""
    _, arrays = message.unpack(opened("a", b"k" * 32)[:-64])
    context = f"eucan-dask opened\n{wire.request_digest(OPENING)}\na".encode()
    own, sealed = exchange_key(OWN, "reply"), arrays["sealed"].tobytes()
    assert open_sealed(own, sealed, context) == b"k" * 32
    with pytest.raises(Invalid, match="cannot be opened"):
        open_sealed(own, sealed, b"eucan-dask sealed" + context[17:])


@pytest.mark.parametrize("beyond", [0, 1])
def test_decode_opened__as_many_bytes_as_may_be(beyond: int) -> None:
    header, _ = message.unpack(opened("a", b"")[:-64])
    size = 2**17 + beyond - len(resigned(header, {"sealed": np.zeros(10**5, np.uint8)})) + 10**5
    raw = resigned(header, {"sealed": np.zeros(size, np.uint8)})
    assert len(raw) == 2**17 + beyond
    with pytest.raises(Invalid, match="signature" if beyond else "cannot be opened"):
        read(raw)


@pytest.mark.parametrize("beyond", [0, 1])
def test_decode_opened__a_header_as_long_as_may_be(beyond: int) -> None:
    header, _ = message.unpack(opened("a", Refused("rule", "remedy"))[:-64])
    short = message.begins(resigned(header, {}))
    header["remedy"] += "x" * (2**16 + beyond - short)
    raw = resigned(header, {})
    assert message.begins(raw) == 2**16 + beyond
    with pytest.raises(Invalid if beyond else Refused, match="header" if beyond else "xxx"):
        read(raw)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "opening"},
        {"kind": 3},
        {"site": "b"},
        {"site": 3},
        {"run": 3},
        {"rule": None},
        {"remedy": None},
        {"round": "2"},
        {"header": "x"},
        {"header": {}},
        {"header": {"request": "0" * 64}},
        {"header": {"request": wire.request_digest(OPENING), "more": 1}},
        {"more": 1},
    ],
    ids=str,
)
def test_decode_opened__what_no_site_says(changes: dict[str, object]) -> None:
    header, arrays = message.unpack(opened("a", b"k" * 32)[:-64])
    assert read(resigned(header, arrays)) == b"k" * 32
    with pytest.raises(Invalid):
        read(resigned({**header, **changes}, arrays))
    for name in header:
        with pytest.raises(Invalid):
            read(resigned({k: v for k, v in header.items() if k != name}, arrays))


# --- asking ---


class Answering(Link):
    """A link with an answer ready, or an error; it notes what it was sent."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer, self.sent, self.withdrawn = answer, [], []

    def send(self, raw: bytes) -> bytes:
        self.sent.append(raw)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def lies(self, raw: bytes) -> str:
        return f"in {len(raw)} bytes"

    def withdraw(self, raw: bytes) -> None:
        self.withdrawn.append(raw)


def links(**others: bytes | Exception) -> dict[str, Link]:
    answers = {name: opened(name, name.encode() * 32) for name in "cab"}
    return {name: Answering(answer) for name, answer in {**answers, **others}.items()}


def ask(held: dict[str, Link], progress: Any = None) -> list[bytes]:
    return Opener(held, PUBLIC, OWN).ask(RAW, what="opening", progress=progress)


def test_ask__keys_in_the_order_of_the_links() -> None:
    held, steps = links(), []
    assert ask(held, lambda *step: steps.append(step)) == [b"c" * 32, b"a" * 32, b"b" * 32]
    assert steps == [(n, 3, "opening") for n in (1, 2, 3)]
    for link in held.values():
        assert link.sent == link.withdrawn == [OPENING]


@pytest.mark.parametrize("error", [Unavailable("gone"), OSError("no disk")])
def test_ask__a_site_that_cannot_be_reached(error: Exception) -> None:
    held = links(b=error)
    with pytest.raises(Unavailable, match=f"b answered, but does not open .*{error}"):
        ask(held)
    assert all(link.withdrawn == [OPENING] for link in held.values())


def test_ask__a_site_that_refuses_is_named() -> None:
    with pytest.raises(Refused) as caught:
        ask(links(b=opened("b", Refused("one_roster", "ask c"))))
    assert (caught.value.rule, caught.value.remedy, caught.value.site) == (
        *("one_roster", "ask c", "b"),
    )


def test_ask__an_answer_that_cannot_be_believed_says_where_it_lies() -> None:
    with pytest.raises(Invalid, match=f"^b in {len(OPENING)} bytes: its opening .*signature"):
        ask(links(b=opened("a", b"k" * 32)))
