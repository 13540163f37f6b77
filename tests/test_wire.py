"""The wire: what goes in comes out, and nothing else is let in."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask import message, wire
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.survival import Survival
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid, Refused
from eucan_dask.keys import exchange_key, open_sealed, public_hex, seal
from eucan_dask.leaving import leaving
from eucan_dask.mask_keys import sign_mask_key
from eucan_dask.panel import Panel
from eucan_dask.partial import Finding, Hidden, Partial, Release
from eucan_dask.policy import Thresholds
from eucan_dask.pool_thresholds import pool_of
from eucan_dask.request import Request, Roster
from eucan_dask.terms import Term

KEY = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"2" * 32)
ASKER = Ed25519PrivateKey.from_private_bytes(b"3" * 32)
SUMMARY = CohortSummary(fields=(SummaryField(field="sex", levels=("female",)),))
COX = CoxRegression(terms=(Term(field="age"), Term(gene="TP53")))


def request(**changes: Any) -> Request:
    asked = Request(
        run="abc",
        analysis=SUMMARY,
        panel=Panel(genes=("TP53",), times=(0.0, 30.0)),
        cohorts=(Cohort.of("young", {"field": "age", "max": 60}),),
        purpose="DUO:0000006",
        roster=Roster(("a", "b")),
        complete=("stage",),
        code_digest="d" * 8,
    )
    return dataclasses.replace(asked, **changes)


def fit(n_rounds: int = 2) -> Request:
    asked = request(analysis=COX, cohorts=(Cohort("everybody"),))
    for number in range(n_rounds):
        totals = {
            s.name: np.full(s.shape(asked.coords), number + 1, s.dtype)
            for s in COX.yields
            if s.leaves
        }
        asked = asked.next_round(totals)
    return asked


def release(**changes: Any) -> Release:
    arrays = {
        "cohort_n_individuals": np.array([30]),
        "level_n_individuals": np.array([[20, 10, 0]]),
        "individuals_hidden": np.zeros(1, np.uint8),
        "summary_hidden": np.array([[0, 0, 1]], np.uint8),
    }
    sent = Release(
        "a",
        "abc",
        0,
        "cohort_summary",
        "released",
        arrays=arrays,
        findings=(Finding("min_cell", "summary", 10.0, 1, "small"),),
        header={"freeze": "f" * 12, "n_tasks": 1, "seconds": 1},
    )
    return dataclasses.replace(sent, **changes)


def encode_request(asked: Request, key: Ed25519PrivateKey = ASKER) -> bytes:
    return wire.encode_request(asked, key)


def decode_request(raw: bytes, **options: Any) -> Request:
    """The request as a site reads it that admits one asker."""
    return wire.decode_request(raw, [public_hex(ASKER.public_key())], **options)


def body_of(asked: Request) -> bytes:
    """A request without the asker's key and signature."""
    return encode_request(asked)[: -wire.REQUEST_TAIL]


def by_asker(raw: bytes) -> bytes:
    """Whatever stands there, signed like a request."""
    body = raw + ASKER.public_key().public_bytes_raw()
    return body + ASKER.sign(wire.REQUEST + body)


def decode_body(raw: bytes) -> Request:
    return decode_request(by_asker(raw))


def digest_of(asked: Request | None = None) -> str:
    return wire.request_digest(encode_request(asked or request()))


def encode_release(out: Release, asked: Request | None = None) -> bytes:
    asked = asked or request()
    return wire.encode_release(out, KEY, digest=digest_of(asked), request=asked)


def sent(**changes: Any) -> bytes:
    return encode_release(release(**changes))


def received(raw: bytes, asked: Request | None = None, **options: Any) -> Release:
    asked = asked or request()
    options = {"digest": digest_of(asked), "own": ASKER, **options}
    return wire.decode_release(raw, asked, KEY.public_key(), **options)


def signed(body: bytes) -> bytes:
    """Whatever stands there, signed like a release."""
    return body + KEY.sign(wire.RELEASE + body)


def as_message(
    header: dict[str, Any] | bytes, data: bytes = b"", *, magic: bytes = message.MAGIC
) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return message.PREFIX.pack(magic, len(text)) + text + data


def unpacked(raw: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and data of an unsigned message."""
    length = message.PREFIX.unpack_from(raw)[1]
    end = message.PREFIX.size + length
    return json.loads(raw[message.PREFIX.size : end]), raw[end:]


def altered(raw: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    header, data = unpacked(raw)
    change(header)
    return as_message(header, data)


def asked_with(**values: Any) -> bytes:
    """A request whose header says something else."""
    return altered(body_of(request()), lambda header: header.update(values))


# --- round trips ---

NAMES = st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12
)  # whatever can be UTF-8


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    run=NAMES,
    label=NAMES,
    genes=st.lists(NAMES, unique=True, max_size=4),
    steps=st.lists(st.floats(0.1, 1e6), max_size=5),
    complete=st.lists(NAMES, max_size=2),
    value=st.one_of(
        st.text(st.characters(exclude_categories=["Cs"])), st.integers(), st.booleans()
    ),
)
def test_request__comes_back_as_it_was(
    run: str,
    label: str,
    genes: list[str],
    steps: list[float],
    complete: list[str],
    value: object,
) -> None:
    times = tuple(map(float, np.unique(np.cumsum([0.0, *steps]))))
    asked = request(
        run=run,
        panel=Panel(genes=tuple(genes), times=times),
        cohorts=(Cohort.of(label, {"not": {"field": "f", "equals": value}}),),
        complete=tuple(complete),
    )
    raw = encode_request(asked)
    back = decode_request(raw)
    assert {**back.header(), "reply_key": ""} == asked.header()
    assert back.asker == public_hex(ASKER.public_key())
    assert back.question == asked.question
    assert encode_request(back) == raw


@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data())
def test_release__comes_back_as_it_was(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 4))
    asked = request(
        analysis=Survival(),
        panel=Panel(times=(0.0, 7.0, 14.0)),
        cohorts=tuple(Cohort(f"c{i}") for i in range(n)),
    )
    finite = st.floats(allow_nan=False, allow_infinity=False)
    counts = st.integers(0, 2**62)
    arrays: dict[str, np.ndarray] = {}
    for spec in (spec for spec in Survival.yields if spec.leaves):
        shape = spec.shape(asked.coords)
        size = int(np.prod(shape))
        values = data.draw(
            st.lists(finite if spec.kind == "sum" else counts, min_size=size, max_size=size)
        )
        arrays[spec.name] = np.array(values, spec.dtype).reshape(shape)
    for record in Survival.records:
        shape = tuple(len(asked.coords[d]) for d in record.dims)
        code = data.draw(st.sampled_from([Hidden.SHOWN, Hidden.LOW, Hidden.SUPPORT, Hidden.WHOLE]))
        arrays[f"{record.name}_hidden"] = np.full(shape, code, np.uint8)
        if code != Hidden.SHOWN:
            for name in record.variables:
                arrays[name] = np.zeros_like(arrays[name])
    out = Release("b", "abc", 0, "survival", "released", arrays=arrays)
    back = received(encode_release(out, asked), asked)
    assert set(back.arrays) == set(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(back.arrays[name], values)
        assert back.arrays[name].dtype == values.dtype


def test_release__findings_and_header_come_back() -> None:
    out, back = release(), received(sent())
    assert back.findings == out.findings
    assert back.header == {**out.header, "request": digest_of()}
    assert (back.site, back.run, back.round, back.status) == ("a", "abc", 0, "released")


def test_release__a_refusal_has_no_arrays() -> None:
    refusal = release(status="refused", arrays={})
    assert received(encode_release(refusal)).arrays == {}
    with pytest.raises(Invalid, match="a refusal holds values"):
        received(sent(status="refused"))


def test_request__rounds_come_back() -> None:
    asked = fit(3)
    back = decode_request(encode_request(asked))
    assert back.round == 3
    for ours, theirs in zip(asked.history, back.history, strict=True):
        for name, values in ours.items():
            np.testing.assert_array_equal(theirs[name], values)


def test_encode__only_a_release_is_sent() -> None:
    for wrong in (Partial(xr.Dataset()), {"status": "released"}, None):
        with pytest.raises(Invalid, match="only a Release"):
            encode_release(wrong)  # type: ignore[arg-type]


def test_encode__only_plain_numbers_are_sent() -> None:
    for values in (np.array(["x"]), np.array([object()]), np.zeros(2, ">f8"), np.zeros(2, "<f4")):
        with pytest.raises(Invalid, match="cannot be sent"):
            sent(arrays={"a": values})


# --- damage ---


def test_decode_release__cut_at_every_byte() -> None:
    raw = sent()
    for end in range(len(raw)):
        with pytest.raises(Invalid):
            received(raw[:end])


def test_decode_release__every_bit_counts() -> None:
    raw = sent()
    for at in range(len(raw)):
        broken = bytearray(raw)
        broken[at] ^= 1 << (at % 8)
        with pytest.raises(Invalid, match="signature"):
            received(bytes(broken))


def test_decode_request__cut_at_every_byte() -> None:
    raw = encode_request(fit(1))
    for end in range(len(raw)):
        with pytest.raises((Invalid, Refused)):
            decode_request(raw[:end])
    body = body_of(fit(1))
    for end in range(len(body)):
        with pytest.raises(Invalid):
            decode_body(body[:end])


def test_decode_request__every_bit_counts() -> None:
    raw = encode_request(fit(1))
    for at in range(len(raw)):
        for bit in (0, 5, 7):
            broken = bytearray(raw)
            broken[at] ^= 1 << bit
            with pytest.raises((Invalid, Refused)) as caught:
                decode_request(bytes(broken))
            assert at < len(message.MAGIC) or caught.value.rule == "asker"


def test_decode_request__signed_by_a_dishonest_asker() -> None:
    """Whoever may ask may sign anything: what it says is refused or is a whole request."""
    raw = body_of(fit(1))
    for at in range(len(raw)):
        for bit in (0, 5, 7):
            broken = bytearray(raw)
            broken[at] ^= 1 << bit
            try:
                back = decode_body(bytes(broken))
            except Invalid:
                continue
            assert encode_request(back) == encode_request(back)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_decode__noise_is_invalid(noise: bytes) -> None:
    for raw in (noise, message.MAGIC + noise, as_message(noise)):
        with pytest.raises((Invalid, Refused)):
            decode_request(raw)
        with pytest.raises(Invalid):
            decode_body(raw)
        with pytest.raises(Invalid):
            received(signed(raw))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_decode_request__any_value_anywhere_is_taken_or_invalid(data: st.DataObject) -> None:
    """Whatever stands in the header: a whole request, or `Invalid`; never another exception."""
    header, rest = unpacked(body_of(request()))
    key = data.draw(st.sampled_from(sorted(header)))
    header[key] = data.draw(JSON)
    try:
        decode_body(as_message(json.dumps(header).encode(), rest))
    except Invalid:
        pass


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_decode_release__any_value_anywhere_is_taken_or_invalid(data: st.DataObject) -> None:
    header, rest = unpacked(sent()[: -wire.RELEASE_TAIL])
    key = data.draw(st.sampled_from(sorted(header)))
    header[key] = data.draw(JSON)
    try:
        received(signed(as_message(json.dumps(header).encode(), rest)))
    except Invalid:
        pass


# --- who and what ---


def test_decode_release__signed_by_another() -> None:
    with pytest.raises(Invalid, match="signature does not fit"):
        wire.decode_release(sent(), request(), OTHER.public_key(), digest=digest_of())


@pytest.mark.parametrize(
    "changes",
    [{"run": "abd"}, {"round": 1}, {"analysis": "survival"}],
    ids=["run", "round", "analysis"],
)
def test_decode_release__answers_another_question(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="answers another question"):
        received(sent(**changes))


def test_decode_release__from_a_site_that_was_not_asked() -> None:
    with pytest.raises(Invalid, match="not in the roster"):
        received(sent(site="z"))


@pytest.mark.parametrize("version", [0, 1, 3, 255])
def test_decode__another_version_says_so(version: int) -> None:
    magic = message.MAGIC[:-1] + bytes([version])
    header, data = unpacked(body_of(request()))
    with pytest.raises(Invalid, match="another version"):
        decode_body(as_message(header, data, magic=magic))


def test_decode__a_request_is_no_release_and_the_other_way_round() -> None:
    with pytest.raises(Invalid, match="is not a request"):
        decode_body(sent()[: -wire.RELEASE_TAIL])
    with pytest.raises(Invalid):
        received(signed(body_of(request())))


def test_decode__more_than_allowed_is_refused_unread() -> None:
    raw = encode_request(request())
    with pytest.raises(Invalid, match="too large"):
        decode_request(raw, max_bytes=len(raw) - 1)
    decode_request(raw, max_bytes=len(raw))
    answer = sent()
    with pytest.raises(Invalid, match="too large"):
        received(answer, max_bytes=len(answer) - 1)
    received(answer, max_bytes=len(answer))


@pytest.mark.parametrize(
    ("name", "values", "problem"),
    [
        ("level_n_individuals", np.array([[-1, 10, 0]]), "negative"),
        ("level_n_individuals", np.array([[20.0, 10.0, 0.0]]), "shape or dtype"),
        ("level_n_individuals", np.array([[20, 10]]), "shape or dtype"),
        ("level_n_individuals", np.array([20, 10, 0]), "shape or dtype"),
        ("summary_hidden", np.array([[0, 0, 0]]), "shape or dtype"),
        ("extra", np.array([1]), "other arrays"),
    ],
)
def test_decode_release__arrays_that_are_not_declared(
    name: str, values: np.ndarray, problem: str
) -> None:
    with pytest.raises(Invalid, match=problem):
        received(sent(arrays={**release().arrays, name: values}))


def test_decode_release__a_missing_array() -> None:
    arrays = dict(release().arrays)
    del arrays["summary_hidden"]
    with pytest.raises(Invalid, match="other arrays"):
        received(sent(arrays=arrays))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_decode__a_sum_that_is_not_finite(value: float) -> None:
    asked = fit(0)
    arrays = {s.name: np.zeros(s.shape(asked.coords), s.dtype) for s in COX.yields if s.leaves}
    whole = {**arrays, "fit_hidden": np.zeros((), np.uint8)}
    good = Release("a", "abc", 0, COX.name, "released", arrays=whole)
    received(encode_release(good, asked), asked)
    bad = {**arrays, "score": np.array([0.0, value])}
    with pytest.raises(Invalid, match="not finite"):
        received(
            encode_release(
                dataclasses.replace(good, arrays={**bad, "fit_hidden": whole["fit_hidden"]}), asked
            ),
            asked,
        )
    with pytest.raises(Invalid, match="not finite"):
        decode_request(encode_request(asked.next_round(bad)))


def test_decode_release__an_unknown_code_is_refused() -> None:
    """A mask holds codes of `Hidden` a site can use; any other is no answer."""
    arrays = {**release().arrays, "summary_hidden": np.array([[0, 0, 77]], np.uint8)}
    with pytest.raises(Invalid):
        received(sent(arrays=arrays))


def test_decode_release__a_hidden_cell_holds_no_value() -> None:
    arrays = {**release().arrays, "level_n_individuals": np.array([[20, 10, 5]])}
    with pytest.raises(Invalid):
        received(sent(arrays=arrays))


def test_decode_release__a_threshold_is_a_number() -> None:
    """JSON reads 1e999 as infinity; bounds would then not be numbers."""
    header, data = unpacked(sent()[: -wire.RELEASE_TAIL])
    text = json.dumps(header).replace('"threshold": 10.0', '"threshold": 1e999')
    with pytest.raises(Invalid):
        received(signed(as_message(text.encode(), data)))


# --- headers that try something ---


def test_decode__a_key_said_twice() -> None:
    header, data = unpacked(body_of(request()))
    text = json.dumps(header)
    twice = '{"purpose": "DUO:0000004", ' + text[1:]
    with pytest.raises(Invalid, match="not JSON"):
        decode_body(as_message(twice.encode(), data))
    deep = text.replace('"label"', '"label": "x", "label"')
    with pytest.raises(Invalid, match="not JSON"):
        decode_body(as_message(deep.encode(), data))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_decode__words_that_are_no_json(word: str) -> None:
    header, data = unpacked(body_of(request()))
    text = json.dumps(header).replace("30.0", word)
    with pytest.raises(Invalid, match="not JSON"):
        decode_body(as_message(text.encode(), data))


@pytest.mark.parametrize(
    "header", [b"", b"[]", b"3", b'"x"', b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 5000]
)
def test_decode__headers_that_are_no_table(header: bytes) -> None:
    with pytest.raises(Invalid):
        decode_body(as_message(header))


@pytest.mark.parametrize("length", [0, 1, 2**20, 2**32 - 1])
def test_decode__a_header_length_that_lies(length: int) -> None:
    raw = encode_request(request())
    with pytest.raises(Invalid):
        decode_body(message.PREFIX.pack(message.MAGIC, length) + raw[message.PREFIX.size :])


def test_decode__bytes_left_over() -> None:
    with pytest.raises(Invalid, match="left over"):
        decode_body(body_of(request()) + b"\0")


@pytest.mark.parametrize(
    "entry",
    [
        ["0/score", "<f8", [2**30, 2**30]],
        ["0/score", "<f8", [2**62]],
        ["0/score", "<f8", [-1]],
        ["0/score", "<f8", [1.0]],
        ["0/score", "<f8", [True]],
        ["0/score", "<f8", [1] * 9],
        ["0/score", "<f8", 1],
        ["0/score", "<f8"],
        ["0/score", "|O", [1]],
        ["0/score", "<U8", [1]],
        [0, "<f8", [1]],
        "0/score",
        {"name": "0/score"},
        None,
        ["0/score", "<f8", [0, 2**30, 2**30, 2**30]],  # empty, and yet too big for numpy
    ],
    ids=str,
)
def test_decode__arrays_that_cannot_be(entry: object) -> None:
    header, _ = unpacked(body_of(request()))
    header |= {"rounds": 1, "arrays": [entry]}
    with pytest.raises(Invalid):
        decode_body(as_message(header, b"\0" * 8))


def test_decode__an_array_named_twice() -> None:
    header, _ = unpacked(body_of(request()))
    entry = ["0/score", "|u1", [1]]
    with pytest.raises(Invalid, match="does not fit"):
        decode_body(as_message({**header, "rounds": 1, "arrays": [entry, entry]}, b"\0\0"))


@pytest.mark.parametrize("arrays", [None, {}, "x", 3])
def test_decode__no_list_of_arrays(arrays: object) -> None:
    with pytest.raises(Invalid, match="no list of arrays"):
        decode_body(asked_with(arrays=arrays))


@pytest.mark.parametrize("rounds", [-1, 1001, 1.0, "1", None, True])
def test_decode_request__a_number_of_rounds_that_cannot_be(rounds: object) -> None:
    with pytest.raises(Invalid):
        decode_body(asked_with(rounds=rounds))


@pytest.mark.parametrize("name", ["1/score", "x/score", "score", "-1/score", "00/n_event"])
def test_decode_request__an_array_of_no_round(name: str) -> None:
    header, data = unpacked(body_of(fit(1)))
    header["arrays"] = [*header["arrays"], [name, "|u1", [1]]]
    with pytest.raises(Invalid):
        decode_body(as_message(header, data + b"\0"))


def test_decode_request__a_round_is_named_in_one_way() -> None:
    """With "0/score" and "00/score" it would be open which one counts."""
    header, data = unpacked(body_of(fit(1)))
    for entry in header["arrays"]:
        entry[0] = "0" + entry[0]
    with pytest.raises(Invalid):
        decode_body(as_message(header, data))


def test_decode_request__totals_of_another_shape() -> None:
    header, _ = unpacked(body_of(fit(1)))
    arrays = {e[0]: (e[1], e[2]) for e in header["arrays"]}
    for name, other in (("0/score", ("<f8", [3])), ("0/n_event", ("<f8", []))):
        table = {**arrays, name: other}
        header["arrays"] = [[n, d, s] for n, (d, s) in table.items()]
        size = sum(int(np.prod(s)) * 8 for _, s in table.values())
        with pytest.raises(Invalid, match="another shape or dtype"):
            decode_body(as_message(header, b"\0" * size))
    header["arrays"] = []
    with pytest.raises(Invalid, match="lacks totals"):
        decode_body(as_message(header))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("purpose", 3),
        ("version", "1"),
        ("version", 99),
        ("aggregator", "nobody"),
        ("analysis", "survivall"),
        ("parameters", {"fields": [{"levels": ["a", "b"]}]}),  # lacks the field
        ("parameters", {"fields": [{}]}),
        ("parameters", {}),
        ("panel", {"genes": [], "times": ["soon"]}),
        ("panel", {"genes": [], "times": [None]}),
        ("panel", {"genes": [3], "times": []}),
        ("panel", {"genes": [None], "times": []}),
        ("panel", {"genes": [], "times": [0, "nan", 1]}),  # would pass every least width
        ("panel", {"genes": [], "times": [0, 1e400]}),
        ("panel", {"genes": []}),
        ("cohorts", [3]),
        ("cohorts", [{"label": "x"}]),
        ("cohorts", []),
        ("cohorts", [{"label": "\ud800", "criteria": {}}]),  # cannot be hashed as UTF-8
        ("cohorts", [{"label": "x", "criteria": {"field": 3, "equals": 1}}]),
        ("cohorts", [{"label": "x", "criteria": {"gene": "A", "mutated": True, "classes": 3}}]),
        ("roster", ["\ud800"]),
        ("extra", 1),
    ],
    ids=str,
)
def test_decode_request__a_header_that_is_no_question(key: str, value: object) -> None:
    with pytest.raises(Invalid):
        decode_body(asked_with(**{key: value})).question  # noqa: B018


@pytest.mark.parametrize("depth", [100, 500, 900, 950, 970, 980, 985, 990, 1000, 5000])
def test_decode_request__deep_criteria_are_taken_or_invalid(depth: int) -> None:
    leaf = '{"field": "age", "present": true}'
    text = json.dumps(unpacked(asked_with(cohorts=[{"label": "x", "criteria": "@"}]))[0])
    deep = text.replace('"@"', '{"not":' * depth + leaf + "}" * depth)
    try:
        found = decode_body(as_message(deep.encode()))
    except Invalid:
        return
    assert found.cohorts[0].describe()
    assert found.question


# --- memory ---


def peak(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(Invalid):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_decode__a_lie_about_size_allocates_nothing() -> None:
    header, _ = unpacked(body_of(request()))
    liars = [
        {**header, "rounds": 1000, "arrays": [["0/x", "<f8", [2**30]]]},
        {**header, "rounds": 1, "arrays": [["0/x", "<f8", [2**27]]] * 50},
    ]
    for liar in liars:
        raw = by_asker(as_message(liar, b"\0" * 64))
        assert peak(lambda raw=raw: decode_request(raw)) < 2**20
    claim = by_asker(message.PREFIX.pack(message.MAGIC, 2**32 - 1) + b"{")
    assert peak(lambda: decode_request(claim)) < 2**20


BOMBS = {
    "deep": b"[" * (2**23 - 9),
    "empty lists": b'{"a":[' + b"[]," * (2**21) + b"[]]}",
    "empty tables": b'{"a":[' + b"{}," * (2**21) + b"{}]}",
    "tables of tables": b'{"a":[' + b'{"b":{}},' * 2**19 + b"{}]}",
    "words": b'{"a":[' + b'"ab",' * 2**20 + b'""]}',
    "numbers": b'{"a":[' + b"999," * 2**21 + b"0]}",
    "keys": b"{" + b",".join(b'"%d":0' % n for n in range(2**19)) + b"}",
    "one number": b'{"a":' + b"9" * 2**22 + b"}",
    "escapes": b'{"a":"' + b"\\u0041" * 2**20 + b'"}',
    "spaces": b"{" + b" " * (2**23 - 9) + b"}",
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_decode__a_header_that_would_grow_is_refused_unread(name: str) -> None:
    """A few bytes of JSON can take a hundred of memory: brackets, words, numbers."""
    body = as_message(BOMBS[name])
    asked, answer = by_asker(body), signed(body)
    assert peak(lambda: decode_request(asked)) < 6 * len(body)
    assert peak(lambda: received(answer)) < 4 * len(body)
    assert peak(lambda: message.shortfall(body, tail=0)) < 6 * len(body)


def test_decode__numbers_of_many_digits() -> None:
    """Python reads integers of any length; a float of them would overflow."""
    text = json.dumps(unpacked(sent()[: -wire.RELEASE_TAIL])[0])
    for old, new in (
        ('"threshold": 10.0', f'"threshold": {10**400}'),
        ('"n_tasks": 1', f'"n_tasks": {10**30}'),
        ('"seconds": 1', f'"seconds": {10**400}'),
        ('"seconds": 1', '"seconds": -1'),
        ('"n_tasks": 1', '"n_tasks": -1'),
        ('"n_tasks": 1', f'"n_tasks": {2**53}'),
        ('"n_hidden": 1', '"n_hidden": -1'),
        ('"threshold": 10.0', '"threshold": -1'),
        ('"round": 0', f'"round": {10**400}'),
    ):
        assert old in text, old
        data = unpacked(sent()[: -wire.RELEASE_TAIL])[1]
        with pytest.raises(Invalid):
            received(signed(as_message(text.replace(old, new).encode(), data)))


def test_decode_request__counts_of_fewer_than_nobody() -> None:
    asked = fit(1)
    totals = {n: np.array(v) for n, v in asked.history[0].items()}
    totals["n_event"] = np.full_like(totals["n_event"], -1)
    with pytest.raises(Invalid, match="negative"):
        decode_request(encode_request(dataclasses.replace(asked, history=(totals,))))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "0/../x", "a\x00b"])
def test_decode__names_that_look_like_paths_are_names(name: str) -> None:
    """No name in a message is ever a path: an undeclared one is refused like any other."""
    with pytest.raises(Invalid, match="other arrays"):
        received(sent(arrays={**release().arrays, name: np.zeros(1)}))
    with pytest.raises(Invalid, match="not in the roster"):
        received(sent(site=name))
    header, data = unpacked(body_of(fit(1)))
    header["arrays"][0][0] = f"0/{name}"
    with pytest.raises(Invalid, match="lacks totals"):
        decode_body(as_message(header, data))


def test_decode_request__no_larger_than_a_question_can_be() -> None:
    raw = bytes(wire.MAX_REQUEST + 1)
    assert peak(lambda: decode_request(raw)) < 2**16


def test_decode__arrays_are_views_of_the_message() -> None:
    back = received(sent())
    assert all(not values.flags.owndata for values in back.arrays.values())
    assert all(not values.flags.writeable for values in back.arrays.values())


def test_decode_request__a_time_that_never_comes() -> None:
    """JSON reads 1e999 as infinity: no point of a grid."""
    text = json.dumps(unpacked(body_of(request()))[0])
    with pytest.raises(Invalid):
        decode_body(as_message(text.replace("30.0", "1e999").encode()))


# --- messages in files ---


@pytest.mark.parametrize("kind", ["request", "release"])
def test_shortfall__of_every_beginning(kind: str) -> None:
    """Nothing that is cut off passes for whole; what is told never exceeds what is missing."""
    raw = encode_request(fit()) if kind == "request" else sent()
    tail = wire.REQUEST_TAIL if kind == "request" else wire.RELEASE_TAIL
    for n in range(len(raw)):
        lacks = message.shortfall(raw[:n], tail=tail)
        assert 0 < lacks <= len(raw) - n
    header = message.PREFIX.size + message.PREFIX.unpack_from(raw)[1]
    assert message.shortfall(raw[:header], tail=tail) == len(raw) - header
    assert message.shortfall(raw, tail=tail) == 0
    assert message.shortfall(raw + b"more", tail=tail) == 0


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"PK\x03\x04 a foreign file", "not a message"),
        (b"PK", "is cut off"),
        (bytes(40), "not a message"),
        (message.MAGIC[:-1] + b"\1" + bytes(40), "another version"),
        (message.PREFIX.pack(message.MAGIC, 2**31), "does not fit"),
        (as_message({"arrays": 7}), "no list of arrays"),
        (as_message({}), "no list of arrays"),
        (as_message({"arrays": [["x", "<f8", [-1]]]}), "array that cannot be"),
        (as_message(b"no json"), "not JSON"),
    ],
)
def test_shortfall__of_what_is_no_message(raw: bytes, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        message.shortfall(raw, tail=0)


def test_read_header__tells_whom_a_message_is_for() -> None:
    header = message.read_header(encode_request(fit()))
    assert (header["run"], header["rounds"], header["roster"]) == ("abc", 2, ["a", "b"])
    assert message.read_header(sent())["status"] == "released"


def test_request_digest__differs_for_every_round() -> None:
    digests = {wire.request_digest(encode_request(fit(n))) for n in range(4)}
    assert len(digests) == 4


# --- bound to the bytes that were sent ---


def answer_to(asked: Request, **changes: Any) -> bytes:
    """A whole answer of site "a" to a request of two rounds' fit or of the summary."""
    shapes = {s.name: (s.shape(asked.coords), s.dtype) for s in asked.analysis.yields}
    out = Release(
        "a",
        asked.run,
        asked.round,
        asked.analysis.name,
        "released",
        arrays={
            **{s.name: np.zeros(*shapes[s.name]) for s in asked.analysis.yields if s.kind in TOLD},
            **{
                f"{r.name}_hidden": np.zeros([len(asked.coords[d]) for d in r.dims], np.uint8)
                for r in asked.analysis.records
            },
        },
    )
    return encode_release(dataclasses.replace(out, **changes), asked)


TOLD = ("count", "sum")


def test_decode_release__is_bound_to_the_bytes_asked() -> None:
    """Replays, reorderings, other runs, rounds, rosters, histories and askers: all refused."""
    asked = fit(2)
    received(answer_to(asked), asked)
    other_history = tuple({n: v + 1 for n, v in t.items()} for t in asked.history)
    others = {
        "another run": dataclasses.replace(asked, run="abd"),
        "another round": fit(1),
        "another roster": dataclasses.replace(asked, roster=Roster(("a", "b", "c"))),
        "another history": dataclasses.replace(asked, history=other_history),
        "another purpose": dataclasses.replace(asked, purpose="DUO:0000042"),
        "rounds in another order": dataclasses.replace(asked, history=asked.history[::-1]),
    }
    for what, other in others.items():
        replay = answer_to(other, run=asked.run, round=asked.round)
        with pytest.raises(Invalid, match="other bytes"):
            received(replay, asked)
        assert digest_of(other) != digest_of(asked), what
    by_another = wire.request_digest(encode_request(asked, OTHER))
    with pytest.raises(Invalid, match="other bytes"):
        received(answer_to(asked), asked, digest=by_another)


def test_decode_release__without_a_digest_is_none() -> None:
    def forget(header: dict[str, Any]) -> None:
        del header["header"]["request"]

    bare = altered(sent()[: -wire.RELEASE_TAIL], forget)
    with pytest.raises(Invalid, match="other bytes"):
        received(signed(bare))


def test_decode_release__a_refusal_to_a_stranger_names_nothing() -> None:
    refusal = release(status="refused", arrays={}, run="", round=0, analysis="")
    back = received(encode_release(refusal))
    assert (back.run, back.analysis, back.status) == ("", "", "refused")
    with pytest.raises(Invalid, match="answers another question"):
        received(encode_release(release(run="", round=0, analysis="")))
    with pytest.raises(Invalid, match="other bytes"):
        received(encode_release(refusal, request(run="x")))


def test_sign__one_key_signs_nothing_that_passes_for_something_else() -> None:
    """The same key may ask, answer and say hello: no signature serves for another purpose."""
    body = body_of(request()) + ASKER.public_key().public_bytes_raw()
    for purpose in (b"", wire.RELEASE, b"eucan-dask hello\n", b"eucan-dask mask key\n"):
        with pytest.raises(Refused, match="asker"):
            decode_request(body + ASKER.sign(purpose + body))
    body = sent()[: -wire.RELEASE_TAIL]
    for purpose in (b"", wire.REQUEST, b"eucan-dask hello\n", b"eucan-dask mask key\n"):
        with pytest.raises(Invalid, match="signature"):
            received(body + KEY.sign(purpose + body))


def test_decode_request__reads_nothing_of_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "unpack", None)
    with pytest.raises(Refused, match="rule asker; ask the steward to admit this key"):
        wire.decode_request(encode_request(request()), [])
    with pytest.raises(Refused):
        decode_request(encode_request(request(), OTHER))


def test_purposes__are_those_of_every_version() -> None:
    """Another word, and no site could read what another version signed."""
    words = (b"eucan-dask request\n", b"eucan-dask release\n", b"eucan-dask sealed\n")
    assert (wire.REQUEST, wire.RELEASE, wire.SEALED) == words


def test_decode_request__as_many_rounds_as_may_be() -> None:
    for n, match in ((1000, "a round lacks totals"), (1001, "has no number of rounds")):
        with pytest.raises(Invalid, match=match):
            decode_body(asked_with(rounds=n))


def test_decode_release__that_calls_a_request_invalid() -> None:
    assert received(sent(status="invalid", arrays={})).status == "invalid"


def test_decode_request__as_many_bytes_as_may_be() -> None:
    """Beyond them nothing is looked at."""
    with pytest.raises(Invalid, match="not a message"):
        decode_request(bytes(2**26))
    with pytest.raises(Invalid, match="is too large"):
        decode_request(bytes(2**26 + 1))


# --- sealed for a processor ---


def trusted() -> Request:
    pool = pool_of(Thresholds(10, 10, 10, 10, 10, 10, 0.1, 10, 0.9, 10, 1, True))  # noqa: FBT003
    reply = public_hex(exchange_key(ASKER, "reply").public_key())
    return request(roster=Roster(("a", "b"), "trusted"), pool=pool, reply_key=reply)


def sealed(**changes: Any) -> bytes:
    return encode_release(for_pool(**changes), trusted())


def for_pool(**changes: Any) -> Release:
    """The release, with what the pool is judged by."""
    whole = leaving(SUMMARY, trusted().coords, "trusted")
    arrays = {name: np.zeros(*about) for name, about in whole.items()} | dict(release().arrays)
    return dataclasses.replace(release(), **{"arrays": arrays, **changes})


def test_sealed__only_the_asker_reads_it() -> None:
    raw = sealed()
    back = received(raw, trusted())
    np.testing.assert_array_equal(back.arrays["level_n_individuals"], [[20, 10, 0]])
    assert back.findings == release().findings
    assert back.header == {**release().header, "request": digest_of(trusted())}
    header = message.read_header(raw)
    assert header["status"] == "released"
    assert header["header"] == {"request": digest_of(trusted())}
    assert header["findings"] == []
    assert [entry[0] for entry in header["arrays"]] == ["sealed"]
    assert np.array([20, 10, 0]).tobytes() not in raw
    assert b"small" not in raw
    assert b"f" * 12 not in raw
    for own in (OTHER, KEY, None):
        with pytest.raises(Invalid, match="open"):
            received(raw, trusted(), own=own)


def test_sealed__good_for_one_request_and_one_site() -> None:
    raw = sealed()
    header, data = unpacked(raw[: -wire.RELEASE_TAIL])
    with pytest.raises(Invalid, match="cannot be opened"):
        received(signed(as_message({**header, "site": "b"}, data)), trusted())
    later = dataclasses.replace(trusted(), run="later")
    header = {**header, "run": "later", "header": {"request": digest_of(later)}}
    with pytest.raises(Invalid, match="cannot be opened"):
        received(signed(as_message(header, data)), later)


def test_sealed__open_sums_are_not_taken_in_its_place() -> None:
    """Whoever strips the seal, or seals what nobody asked to be sealed, is refused."""
    bare = wire.encode_release(release(), KEY, digest=digest_of(trusted()), request=request())
    with pytest.raises(Invalid, match="is not sealed"):
        received(bare, trusted())
    header, data = unpacked(sealed()[: -wire.RELEASE_TAIL])
    header["header"] = {"request": digest_of()}
    with pytest.raises(Invalid, match="other arrays"):
        received(signed(as_message(header, data)))


def test_sealed__refusals_are_read_by_the_steward_too() -> None:
    refusal = sealed(status="refused", arrays={})
    assert message.read_header(refusal)["findings"][0]["rule"] == "min_cell"
    assert received(refusal, trusted()).status == "refused"


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d[:20], lambda d: b"", lambda d: bytes(len(d))]
)
def test_sealed__damaged_inside(damage: Callable[[bytes], bytes]) -> None:
    header, data = unpacked(sealed()[: -wire.RELEASE_TAIL])
    held = damage(data)
    header["arrays"] = [["sealed", "|u1", [len(held)]]]
    with pytest.raises(Invalid, match="cannot be opened"):
        received(signed(as_message(header, held)), trusted())


def test_sealed__nonsense_inside() -> None:
    """The seal proves nothing of what is in it: it is checked like an open release."""
    header, _ = unpacked(sealed()[: -wire.RELEASE_TAIL])
    public = exchange_key(ASKER, "reply").public_key()
    context = wire.SEALED + digest_of(trusted()).encode() + b"\na"
    for inner in (
        b"",
        as_message(b"[]"),
        as_message({"findings": [], "header": {}, "status": "refused", "arrays": []}),
        as_message({"findings": [], "header": {"request": digest_of()}, "arrays": []}),
        as_message({"findings": 1, "header": {}, "arrays": []}),
        message.PREFIX.pack(message.MAGIC, 2**31),
    ):
        data = seal(public, inner, context)
        header["arrays"] = [["sealed", "|u1", [len(data)]]]
        with pytest.raises(Invalid):
            received(signed(as_message(header, data)), trusted())


def test_sealed__for_one_use_request_and_site() -> None:
    """The same bytes in every version: the asker's may be another."""
    _, data = unpacked(sealed()[: -wire.RELEASE_TAIL])
    context = f"eucan-dask sealed\n{digest_of(trusted())}\na".encode()
    inner = open_sealed(exchange_key(ASKER, "reply"), data, context)
    assert "level_n_individuals" in message.unpack(inner)[1]
    assert decode_request(encode_request(trusted())).reply_key == trusted().reply_key


# --- how long a header is ---


def width(header: dict[str, Any], asked: Request | None) -> int:
    return wire._width({**header, "findings": [], "header": {}}, asked)


def filled(most: int) -> dict[str, Any]:
    """A header with a site of so long a name that all of it takes `most` bytes."""
    bare = len(json.dumps({"site": "", "findings": [], "header": {}}))
    n = most - bare
    return {"site": "é" * (n // 2) + "x" * (n % 2)}


@pytest.mark.parametrize(("asked", "beside"), [(None, 512), (request(), 512 + 8 * (267 + 263))])
def test_width__of_names_and_of_all_findings_there_can_be(
    asked: Request | None, beside: int
) -> None:
    """Two records, "individuals" and "summary", and eight rules."""
    for steps in (6, 7):
        assert width(filled(1024 * steps - beside), asked) == 1024 * steps
        assert width(filled(1024 * steps - beside + 1), asked) == 1024 * (steps + 1)


def test_width__tells_nothing_of_what_was_found() -> None:
    few, many = ({"site": "a", "findings": ["x" * 100] * n, "header": {"n": n}} for n in (0, 9))
    assert wire._width(few, request()) == wire._width(many, request()) == 5120


def test_width__holds_whatever_is_said() -> None:
    header = {"header": {"freeze": ""}, "findings": []}
    bare = len(json.dumps(header))
    header["header"] = {"freeze": "é" * ((10240 - bare) // 2) + "x" * (bare % 2)}
    assert wire._width(header, None) == 10240
    header["findings"] = [1]
    assert wire._width(header, None) == 11264


def test_most_header__of_run_analysis_and_sites() -> None:
    asked = request(run="")
    names = {"run": "", "analysis": "cohort_summary", "sites": ["a", "b"]}
    told = len(json.dumps({**names, "findings": [], "header": {}})) + 512 + 8 * (267 + 263)
    for more, steps in ((6144 - told, 6), (6145 - told, 7)):
        assert wire._most_header(replaced(asked, "x" * more)) == 1024 * steps + 2**16


def replaced(asked: Request, run: str) -> Request:
    return dataclasses.replace(asked, run=run)


# --- what comes with an aggregator ---


@pytest.mark.parametrize(
    "changes",
    [
        {"pool": {"min_cell": 10}},
        {"mask_keys": {"a": ["0" * 64, "0" * 128], "b": ["0" * 64, "0" * 128]}},
        {"aggregator": "trusted"},
        {"aggregator": "masked"},
        {"pool": 3},
        {"mask_keys": []},
        {"reply_key": ""},
        {"reply_key": "0" * 63},
        {"reply_key": "G" * 64},
        {"reply_key": 3},
    ],
    ids=str,
)
def test_decode_request__what_does_not_go_with_its_aggregator(changes: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        decode_body(asked_with(**changes))


def test_decode_request__masked_with_exactly_the_roster_s_keys() -> None:
    keys = {n: sign_mask_key(KEY, n) for n in ("a", "b")}
    asked = dataclasses.replace(trusted(), roster=Roster(("a", "b"), "masked"), mask_keys=keys)
    back = decode_request(encode_request(asked))
    assert back.mask_keys == keys
    assert back.pool == asked.pool
    for table in ({}, {"a": keys["a"]}, {**keys, "c": keys["a"]}):
        wrong = dataclasses.replace(asked, mask_keys=table)
        with pytest.raises(Invalid, match="not those of the roster"):
            decode_request(encode_request(wrong))
    others = dataclasses.replace(asked, mask_keys=dict.fromkeys("ab", keys["a"]))
    assert digest_of(others) != digest_of(asked)


def test_question__does_not_depend_on_who_asks() -> None:
    one = decode_request(encode_request(request()))
    assert one.question == request().question
    assert one.reply_key != ""
    assert dataclasses.replace(one, reply_key="1" * 64, asker="2" * 64).question == one.question
