"""Messages as bytes: what is written, and every bound of what is read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.message import (
    MAGIC,
    MAX_BYTES,
    MAX_HEADER,
    PREFIX,
    begins,
    pack,
    read_header,
    shortfall,
    unpack,
)

NAMED = {"é": np.arange(3, dtype=np.int64), "a": np.float64(1.5), "b": np.zeros((2, 0), np.uint8)}
TABLE = [["a", "<f8", []], ["b", "|u1", [2, 0]], ["é", "<i8", [3]]]


def headed(text: bytes, data: bytes = b"") -> bytes:
    return PREFIX.pack(MAGIC, len(text)) + text + data


def listing(*entries: object) -> bytes:
    return headed(json.dumps({"arrays": entries}).encode())


# --- writing ---


def test_pack__byte_by_byte() -> None:
    raw = pack({"z": 1, "b": "é"}, NAMED)
    text = (
        '{"arrays": [["a", "<f8", []], ["b", "|u1", [2, 0]], ["é", "<i8", [3]]], "b": "é", "z": 1}'
    )
    data = np.float64(1.5).tobytes() + np.arange(3).tobytes()
    assert raw == b"EUCAN\x00\x00\x02" + len(text.encode()).to_bytes(4, "little") + (
        text.encode() + data
    )
    header, arrays = unpack(raw)
    assert header == {"z": 1, "b": "é"}
    assert arrays["a"].shape == ()
    assert arrays["b"].shape == (2, 0)
    assert arrays["é"].tolist() == [0, 1, 2]


def test_pack__a_header_as_wide_as_asked() -> None:
    """The list of arrays comes on top: it is the same whatever is told."""
    told = len(json.dumps(TABLE, ensure_ascii=False).encode())
    assert begins(pack({"z": "é" * 9}, NAMED, width=200)) == 200 + told
    assert begins(pack({"z": "é" * 90}, NAMED, width=100)) > 100 + told
    assert unpack(pack({"z": 1}, NAMED, width=200))[0] == {"z": 1}


def test_pack__neither_text_nor_what_json_lacks() -> None:
    with pytest.raises(Invalid, match="^x: cannot be sent"):
        pack({}, {"x": np.array(["text"])})
    with pytest.raises(ValueError, match="JSON"):
        pack({"x": float("nan")}, {})
    backwards = np.arange(4, dtype=np.int64)[::-1]
    assert unpack(pack({}, {"x": backwards}))[1]["x"].tolist() == [3, 2, 1, 0]


# --- how much is missing ---


def test_shortfall__at_every_byte() -> None:
    raw = pack({"z": 1}, {"x": np.arange(5, dtype=np.int64)})
    start = PREFIX.size + begins(raw)
    for n in range(len(raw) + 9):
        held = (raw + bytes(9))[:n]
        if n < PREFIX.size:
            assert shortfall(held, tail=7) == PREFIX.size + 7 - n
        elif n < start:
            assert shortfall(held, tail=7) == start + 7 - n
        else:
            assert shortfall(held, tail=7) == max(0, len(raw) + 7 - n)


def test_shortfall__of_what_is_no_message() -> None:
    for raw in (b"EUCAM", MAGIC[:-1] + b"\x03", headed(b"{}"), headed(b'{"arrays": 1}')):
        with pytest.raises(Invalid):
            shortfall(raw, tail=0)


def test_header__as_long_as_may_be() -> None:
    prefix = PREFIX.pack(MAGIC, MAX_HEADER)
    assert shortfall(prefix, tail=1) == MAX_HEADER + 1
    longer = PREFIX.pack(MAGIC, MAX_HEADER + 1)
    with pytest.raises(Invalid, match="a header that does not fit"):
        shortfall(longer, tail=1)
    text = b"{}".ljust(MAX_HEADER)
    assert read_header(prefix + text) == {}
    with pytest.raises(Invalid, match="a header that does not fit"):
        read_header(longer + text + b" ")
    with pytest.raises(Invalid, match="a header that does not fit"):
        read_header(prefix + text[:-1])
    assert MAX_HEADER == 8 * 2**20


def test_unpack__a_header_as_long_as_its_reader_says() -> None:
    raw = pack({"z": 1}, {})
    assert unpack(raw, max_header=begins(raw))[0] == {"z": 1}
    with pytest.raises(Invalid, match="a header that does not fit"):
        unpack(raw, max_header=begins(raw) - 1)


# --- arrays ---


@pytest.mark.parametrize(
    ("entry", "size"),
    [
        (["x", "|u1", [MAX_BYTES]], MAX_BYTES),
        (["x", "|u1", [2**15, 2**15]], MAX_BYTES),
        (["x", "<u8", [2**15, 2**15]], 8 * MAX_BYTES),
        (["x", "<f8", [2]], 16),
        (["x", "<i8", []], 8),
        (["x", "|u1", [0, MAX_BYTES]], 0),
        (["x", "|u1", [1] * 8], 1),
        (["x", "|u1", [MAX_BYTES + 1]], None),
        (["x", "|u1", [2**15, 2**15 + 1]], None),
        (["x", "|u1", [0, MAX_BYTES + 1]], None),
        (["x", "|u1", [0, 2, MAX_BYTES]], None),
        (["x", "|u1", [1] * 9], None),
        (["x", "|u1", [-1]], None),
        (["x", "|u1", [True]], None),
        (["x", "|u1", [1.0]], None),
        (["x", "<f4", [1]], None),
        (["x", "|u1", 1], None),
        ([1, "|u1", [1]], None),
        (["x", 1, [1]], None),
        (["x", "|u1"], None),
        (["x", "|u1", [1], 1], None),
        ("x", None),
    ],
    ids=str,
)
def test_shortfall__of_an_array(entry: object, size: int | None) -> None:
    raw = listing(entry)
    if size is None:
        with pytest.raises(Invalid, match="describes an array that cannot be"):
            shortfall(raw, tail=0)
        with pytest.raises(Invalid, match="describes an array that cannot be"):
            unpack(raw)
    else:
        assert shortfall(raw, tail=3) == size + 3
    assert MAX_BYTES == 2**30


def test_unpack__arrays_fit_to_the_last_byte() -> None:
    two = [["x", "|u1", [2]], ["y", "|u1", [3]]]
    text = listing(*two)
    assert unpack(text + bytes(range(5)))[1]["y"].tolist() == [2, 3, 4]
    for n, match in ((4, "does not fit"), (6, "bytes left over")):
        with pytest.raises(Invalid, match=match):
            unpack(text + bytes(n))
    with pytest.raises(Invalid, match="does not fit"):
        unpack(listing(two[0], two[0]) + bytes(4))
    for raw in (headed(b"{}"), headed(b'{"arrays": {}}')):
        with pytest.raises(Invalid, match="no list of arrays"):
            unpack(raw)


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (MAGIC + b"\x00\x00\x00", "cut off"),
        (b"EUCAX\x00\x00\x02\x00\x00\x00\x00", "not a message of eucan-dask"),
        (b"EUCAN\x00\x00\x03\x00\x00\x00\x00", "has another version; expected 2; found 3"),
    ],
)
def test_begins__what_is_no_message_of_this_version(raw: bytes, match: str) -> None:
    with pytest.raises(Invalid, match=match):
        begins(raw)
    assert begins(MAGIC + b"\x00\x00\x00\x00") == 0
