"""What the fuzzer feeds: bytes as a request, a release, what is sealed in one, or a hello.

Run by tests/fuzz/test_fuzz_wire.py, or by hand: `python wire_target.py -runs=100000 DIR`.
Only `Invalid`, and `Refused` for a stranger, may come out; anything else is a finding.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["eucan_dask"]):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from eucan_dask import hello, message, wire
    from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
    from eucan_dask.analyses.cox_regression import CoxRegression
    from eucan_dask.cohort import Cohort
    from eucan_dask.errors import Invalid, Refused
    from eucan_dask.keys import exchange_key, public_hex, seal, sign
    from eucan_dask.mask_keys import sign_mask_key
    from eucan_dask.panel import Panel
    from eucan_dask.policy import Policy
    from eucan_dask.pool_thresholds import pool_of
    from eucan_dask.request import Request, Roster
    from eucan_dask.terms import Term

KEY = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
PUBLIC = KEY.public_key()
ASKERS = [public_hex(PUBLIC)]
REPLY = exchange_key(KEY, "reply").public_key()


def _request(analysis: object, aggregator: str = "none") -> Request:
    return Request(
        run="abc",
        analysis=analysis,  # type: ignore[arg-type]
        panel=Panel(genes=("TP53",), times=(0.0, 30.0)),
        cohorts=(Cohort.of("young", {"field": "age", "max": 60}),),
        purpose="DUO:0000006",
        roster=Roster(("a", "b"), aggregator),
    )


SUMMARY = _request(CohortSummary(fields=(SummaryField(field="sex", levels=("female",)),)))
TRUSTED = _request(SUMMARY.analysis, "trusted")
FIT = _request(CoxRegression(terms=(Term(field="age"), Term(gene="TP53"))))
DIGEST = "0" * 64


def _asked(data: bytes) -> None:
    body = data + PUBLIC.public_bytes_raw()
    request = wire.decode_request(body + sign(KEY, wire.REQUEST, body), ASKERS)
    wire.decode_request(wire.encode_request(request, KEY), ASKERS)  # and it can be asked again
    assert request.question
    assert request.coords


def _stranger(data: bytes) -> None:
    wire.decode_request(data, ASKERS)


def _header(data: bytes) -> bytes:
    return message.PREFIX.pack(message.MAGIC, len(data)) + data


def _answered(data: bytes, request: Request = SUMMARY) -> None:
    raw = data + sign(KEY, wire.RELEASE, data)
    wire.decode_release(raw, request, PUBLIC, digest=DIGEST, own=KEY)


def _sealed(data: bytes) -> None:
    held = seal(REPLY, data, wire.SEALED + DIGEST.encode() + b"\na")
    about = {"kind": "release", "site": "a", "run": "abc", "round": 0, "analysis": "cohort_summary"}
    rest = {"status": "released", "findings": [], "header": {"request": DIGEST}}
    table = {**about, **rest, "arrays": [["sealed", "|u1", [len(held)]]]}
    _answered(_header(json.dumps(table).encode()) + held, TRUSTED)


def _hello(data: bytes) -> None:
    hello.decode_hello(data, where="x")


def _signed_hello(data: bytes) -> None:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(told, dict):
        hello.decode_hello(hello.encode_hello(told, KEY), where="x")


def _lengths(data: bytes) -> None:
    message.shortfall(data, tail=wire.REQUEST_TAIL)
    message.read_header(data)


WAYS: tuple[Callable[[bytes], None], ...] = (
    _stranger,
    _asked,
    lambda data: _asked(_header(data)),
    _answered,
    lambda data: _answered(_header(data)),
    _sealed,
    lambda data: _sealed(_header(data)),
    _hello,
    _signed_hello,
    _lengths,
)


def one(data: bytes) -> None:
    """Feed one input; its first byte says as what."""
    try:
        WAYS[data[0] % len(WAYS) if data else 0](data[1:])
    except Invalid:
        return
    except Refused as refusal:
        if refusal.rule != "asker":
            raise


TEXTS = (2, 4, 6, 8)  # the ways that take JSON
ODD: tuple[object, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 10**17, 1.5, -0.0, 1e308, float("nan")),
    *("", "x", "a", "0" * 64, "\ud800", "../x", "sex", "TP53", "masked", "trusted", "survival"),
    *([], {}, [[]], [{}], {"": {}}, {"field": "age", "max": 60}, {"not": {"gene": "TP53"}}),
    *([None], ["a", "b"], [0, 1], ["x", "<f8", [2**30]], ["x", "|u1", [0]]),
)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change one node of the JSON; or, every third time and where there is none, any bytes."""
    rng = random.Random(seed)
    if data and data[0] % len(WAYS) in TEXTS and seed % 3:
        try:
            tree = json.loads(data[1:])
            for _ in range(rng.randint(1, 3)):
                tree = _changed(tree, rng)
            return (data[:1] + json.dumps(tree).encode())[:max_size]
        except (ValueError, RecursionError):
            pass
    return bytes(atheris.Mutate(data, max_size))


def _changed(node: object, rng: random.Random) -> object:
    if not isinstance(node, dict | list) or not node or rng.random() < 0.2:
        return _odd(node, rng)
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    key = rng.choice(keys)
    copy: dict[object, object] | list[object]
    copy = dict(node) if isinstance(node, dict) else list(node)
    what = rng.random()
    if what < 0.1:
        del copy[key]  # type: ignore[arg-type]
    elif what < 0.2 and isinstance(copy, dict):
        copy[rng.choice(["x", "arrays", "cohorts", "field", "criteria", "pool"])] = rng.choice(ODD)
    elif what < 0.2 and isinstance(copy, list):
        copy.append(rng.choice(ODD))
    else:
        copy[key] = _changed(copy[key], rng)  # type: ignore[index]
    return copy


def _odd(node: object, rng: random.Random) -> object:
    if isinstance(node, str) and node and rng.random() < 0.3:
        return node[: rng.randrange(len(node))] + rng.choice(["", "\0", "é", node])
    if isinstance(node, int | float) and rng.random() < 0.5:
        return node + rng.choice([-1, 1, 0.5, 10**6])
    return {"not": node} if rng.random() < 0.1 else rng.choice(ODD)


def write_seeds(directory: Path) -> None:
    """One whole message of every kind to begin from."""
    policy = Policy.read(Path(hello.__file__).parent / "policies" / "recommended.toml")
    masks = {name: sign_mask_key(KEY, name) for name in ("a", "b")}
    pooled = replace(TRUSTED, pool=pool_of(policy.thresholds))
    masked = replace(pooled, roster=Roster(("a", "b"), "masked"), mask_keys=masks)
    totals = {
        s.name: np.ones(s.shape(FIT.coords), s.dtype)
        for s in FIT.analysis.yields
        if s.kind in ("count", "sum")
    }
    asked = (SUMMARY, FIT, pooled, masked, FIT.next_round(totals))
    bodies = [wire.encode_request(request, KEY) for request in asked]
    texts = [json.dumps(message.read_header(b)).encode() for b in bodies]
    about = {"kind": "release", "site": "a", "run": "abc", "round": 0, "analysis": "cohort_summary"}
    finding = {"rule": "r", "record": "s", "threshold": 1.0, "n_hidden": 1, "message": "m"}
    rest = {"status": "refused", "findings": [finding], "header": {"request": DIGEST}, "arrays": []}
    release = json.dumps({**about, **rest}).encode()
    greeting = hello.encode_hello({"site": "a", "n": [1, 2.5, None, True]}, KEY)
    seeds = [
        (0, bodies[0]),
        *((1, b[: -wire.REQUEST_TAIL]) for b in bodies),
        *((2, t) for t in texts),
        (3, _header(release)),
        (4, release),
        (5, _header(json.dumps({"findings": [finding], "header": {}, "arrays": []}).encode())),
        (6, json.dumps({"findings": [finding], "header": {}, "arrays": []}).encode()),
        (7, greeting),
        (8, b'{"site": "a", "n": [1, 2.5]}'),
        (9, bodies[1]),
    ]
    for number, (way, data) in enumerate(seeds):
        (directory / f"seed{number}").write_bytes(bytes([way]) + data)


if __name__ == "__main__":
    folders = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    for folder in folders[:1]:
        write_seeds(folder)
    atheris.Setup(sys.argv, one, custom_mutator=mutate)
    atheris.Fuzz()
