"""JSON from elsewhere: what plain JSON readers would let in is refused."""

from __future__ import annotations

import json

import pytest

from eucan_dask.errors import Invalid
from eucan_dask.strict_json import MAX_VALUES, parse, table_of


@pytest.mark.parametrize(
    "value",
    [{"a": [1, 2.5, True, None, "é", "\U0001f600"]}, [], 3, "x", 10**18 - 1, -(10**17) + 1, 1e308],
    ids=str,
)
def test_parse__is_what_json_reads(value: object) -> None:
    text = json.dumps(value).encode()
    assert parse(text) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"1e999",
        b"-1e999",
        b"1" * 19,
        b"-" + b"1" * 18,
        b'{"a": 1, "a": 1}',
        b'{"b": {"a": 1, "a": 1}}',
        b'"\\ud800"',
        b'{"\\ud800": 1}',
        b"[" * 100_000,
        b"[" * 5000 + b"]" * 5000,
        b"[] []",
    ],
)
def test_parse__what_is_none_of_ours(text: bytes) -> None:
    with pytest.raises(Invalid, match="here: has a header that is not JSON"):
        table_of(text, where="here")


def test_parse__as_many_values_as_we_send_and_no_more() -> None:
    some = b"[" + b"1," * (MAX_VALUES - 2) + b"1]"
    assert len(parse(some)) == MAX_VALUES - 1  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="too many"):
        parse(some[:-1] + b",1,1]")
    with pytest.raises(ValueError, match="too many"):
        parse(b"[1,1,1]", most=2)
    assert parse(b"[1,1,1]", most=3) == [1, 1, 1]


@pytest.mark.parametrize("text", [b"[]", b"3", b'"x"', b"null"])
def test_table_of__a_table(text: bytes) -> None:
    assert table_of(b'{"a": 1}', where="here") == {"a": 1}
    with pytest.raises(Invalid, match="here: has a header that is no table"):
        table_of(text, where="here")
