"""Requests and releases as bytes: signed for one purpose, bound to each other, perhaps sealed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Collection
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray

from eucan_dask import config, message
from eucan_dask.errors import Invalid, Refused
from eucan_dask.keys import (
    PUBLIC,
    SIGNATURE,
    exchange_key,
    exchange_public,
    fits,
    open_sealed,
    public_hex,
    seal,
    sign,
)
from eucan_dask.message import MAX_BYTES, Arrays
from eucan_dask.partial import Release
from eucan_dask.received import check_arrays, check_header, read_finding, travelling
from eucan_dask.request import Request
from eucan_dask.rules import RULES

__all__ = [
    "RELEASE_TAIL",
    "REQUEST_TAIL",
    "decode_release",
    "decode_request",
    "encode_release",
    "encode_request",
    "is_signed",
    "request_digest",
    "signed",
    "signer",
]

# What is signed, before the bytes themselves: none can pass for another.
REQUEST, RELEASE, SEALED = (f"eucan-dask {k}\n".encode() for k in ("request", "release", "sealed"))
REQUEST_TAIL, RELEASE_TAIL = PUBLIC + SIGNATURE, SIGNATURE  # after header and arrays
STEP, FINDING, FACTS = 1024, 256, 512  # bytes: headers grow in steps; a finding; freeze, tasks, ...
MAX_REQUEST = 2**26  # bytes: a list of variants, a history of sums
MOST_WORDS = 2**16  # bytes by which a header may be longer than what its request lets one expect

WORDS = {"findings": config.Key(list), "header": config.Key(dict)}


def encode_request(request: Request, key: Ed25519PrivateKey) -> bytes:
    """A request as bytes, signed by the asker; the same request gives the same bytes.

    It ends with the asker's public key and the signature over everything before.
    """
    arrays = {
        f"{round_}/{name}": values
        for round_, totals in enumerate(request.history)
        for name, values in totals.items()
    }
    reply = public_hex(exchange_key(key, "reply").public_key())
    header = {"kind": "request", "rounds": request.round, **request.header(), "reply_key": reply}
    return signed(message.pack(header, arrays), key)


def signed(body: bytes, key: Ed25519PrivateKey) -> bytes:
    """A request, or what goes with one, with the public key of whoever asks and a signature."""
    body += key.public_key().public_bytes_raw()
    return body + sign(key, REQUEST, body)


def signer(raw: bytes, askers: Collection[str]) -> str:
    """Whose request it is: a public key among those of `askers`, whose signature fits.

    Nothing of it is read but its version, and who says to have signed it.

    Raises
    ------
    Refused
        If the key is none of these, or did not sign it.
    Invalid
        If it is no message of this version.
    """
    message.begins(raw)
    body, signature = raw[:-SIGNATURE], raw[-SIGNATURE:]
    asker = body[-PUBLIC:].hex()
    if asker in askers:
        key = Ed25519PublicKey.from_public_bytes(body[-PUBLIC:])
        if fits(key, signature, REQUEST, body):
            return asker
    raise Refused("asker", "ask the steward to admit this key")


def decode_request(raw: bytes, askers: Collection[str], *, max_bytes: int = MAX_REQUEST) -> Request:
    """The request in `raw`, if it is signed by one of `askers`, public keys in hexadecimal.

    Raises
    ------
    Refused
        If it is not; nothing of it was looked at.
    Invalid
        If the bytes are not a whole request of a version this code reads.
    """
    if len(raw) > max_bytes:
        raise Invalid("is too large", where="wire", expected=f"at most {max_bytes} bytes")
    asker = signer(raw, askers)
    header, arrays = message.unpack(raw[:-REQUEST_TAIL])
    if header.pop("kind", None) != "request":
        raise Invalid("is not a request", where="wire")
    n_rounds = header.pop("rounds", None)
    if type(n_rounds) is not int or not 0 <= n_rounds <= 1000:
        raise Invalid("has no number of rounds", where="wire")
    rounds = set(map(str, range(n_rounds)))
    history: list[dict[str, NDArray[Any]]] = [{} for _ in range(n_rounds)]
    for key, values in arrays.items():
        round_, _, name = key.partition("/")
        if round_ not in rounds:
            raise Invalid("holds an array of no round", where="wire")
        history[int(round_)][name] = values
    request = Request.from_header(header, tuple(history))
    exchange_public(request.reply_key, where="wire, reply_key")
    _check_history(request)
    return dataclasses.replace(request, asker=asker)


def _check_history(request: Request) -> None:
    specs = travelling(request)
    for totals in request.history:
        if set(totals) != set(specs):
            raise Invalid("a round lacks totals or has others", where="wire")
        for name, values in totals.items():
            if (values.shape, values.dtype) != specs[name]:
                raise Invalid("a total has another shape or dtype", where=f"wire, {name}")
            if not np.isfinite(values).all():
                raise Invalid("a total is not finite", where=f"wire, {name}")
            if values.dtype == np.int64 and (values < 0).any():
                raise Invalid("a count is negative", where=f"wire, {name}")


def encode_release(
    release: Release, key: Ed25519PrivateKey, *, digest: str, request: Request | None = None
) -> bytes:
    """A release as bytes, signed with the site's key; anything but a `Release` is refused.

    Parameters
    ----------
    digest
        `request_digest` of the bytes it answers.
    request
        What was asked, unless nobody knows who asked. It fixes the length of the header; if a
        processor adds the sums up (`trusted`), values are sealed for the asker.
    """
    if not isinstance(release, Release):
        raise Invalid("only a Release can be sent", where="wire", found=type(release).__name__)
    about = {name: getattr(release, name) for name in ("site", "run", "round", "analysis")}
    header: dict[str, Any] = {"kind": "release", **about, "status": release.status}
    words = {
        "findings": [dataclasses.asdict(f) for f in release.findings],
        "header": {**release.header, "request": digest},
    }
    arrays: Arrays = release.arrays
    if request is not None and _is_sealed(release.status, request):
        inner = message.pack(words, arrays, width=_width(words, request))
        public = exchange_public(request.reply_key, where="wire, reply_key")
        sealed = seal(public, inner, _context(digest, release.site))
        arrays = {"sealed": np.frombuffer(sealed, np.uint8)}
        words = {"findings": [], "header": {"request": digest}}
    header |= words
    body = message.pack(header, arrays, width=_width(header, request))
    return body + sign(key, RELEASE, body)


def _width(header: dict[str, Any], request: Request | None) -> int:
    """Bytes of a release's header with all the findings there can be, whatever there are.

    It depends on the request and on names, never on how many people pass a rule.
    """
    bare = len(json.dumps({**header, "findings": [], "header": {}}, ensure_ascii=False).encode())
    full = len(json.dumps(header, ensure_ascii=False).encode())
    records = () if request is None else request.analysis.records
    findings = len(RULES) * sum(FINDING + len(record.name.encode()) for record in records)
    most = bare + FACTS + findings
    return STEP * math.ceil(max(most, full) / STEP)


def _is_sealed(status: str, request: Request) -> bool:
    return status == "released" and request.roster.aggregator == "trusted"


def _context(digest: str, site: str) -> bytes:
    return SEALED + digest.encode() + b"\n" + site.encode()


def decode_release(
    raw: bytes,
    request: Request,
    key: Ed25519PublicKey,
    *,
    digest: str,
    own: Ed25519PrivateKey | None = None,
    max_bytes: int = MAX_BYTES,
) -> Release:
    """The release in `raw`, an answer to `request` signed by the holder of `key`.

    Parameters
    ----------
    digest
        `request_digest` of the bytes that were sent.
    own
        The key that signed the request: opens what is sealed for it.

    Raises
    ------
    Invalid
        If the signature is wrong, the bytes are no whole release, it answers another question or
        other bytes, or its arrays are not what the analysis declares.
    """
    if len(raw) > max_bytes:
        raise Invalid("is too large", where="wire", expected=f"at most {max_bytes} bytes")
    if not is_signed(raw, key):
        raise Invalid(
            "the signature does not fit", where="wire", remedy="check the site's public key"
        )
    values, arrays = _read_release(raw[:-SIGNATURE], request, digest)
    if _is_sealed(values["status"], request):
        if own is None or set(arrays) != {"sealed"}:
            raise Invalid("is not sealed, or there is no key to open it", where="wire")
        context = _context(digest, values["site"])
        inner = open_sealed(exchange_key(own, "reply"), arrays["sealed"].tobytes(), context)
        words, arrays = message.unpack(inner, max_header=_most_header(request))
        values |= config.check(words, WORDS, where="wire, sealed")
    check_header(values["header"])
    if values["status"] == "released":
        check_arrays(arrays, request)
    elif arrays:
        raise Invalid("a refusal holds values", where="wire")
    findings = tuple(read_finding(f) for f in values.pop("findings"))
    return Release(**values, findings=findings, arrays=arrays)


def _read_release(
    body: bytes, request: Request, digest: str
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What a release says, and its arrays, if it is an answer to these bytes."""
    header, arrays = message.unpack(body, max_header=_most_header(request))
    values = config.check(
        header,
        {
            "kind": config.Key(str, choices=("release",)),
            **dict.fromkeys(("site", "run", "analysis"), config.Key(str)),
            "round": config.Key(int),
            "status": config.Key(str, choices=("released", "refused", "invalid")),
            **WORDS,
        },
        where="wire",
    )
    del values["kind"]
    about = values["run"], values["round"], values["analysis"]
    stranger = values["status"] == "refused" and about == ("", 0, "")  # to it the site is blind
    if about != (request.run, request.round, request.analysis.name) and not stranger:
        raise Invalid("answers another question", where="wire")
    if values["header"].get("request") != digest:
        raise Invalid("answers other bytes than were sent", where="wire")
    if values["site"] not in request.roster:
        raise Invalid("comes from a site that is not in the roster", where="wire")
    return values, arrays


def _most_header(request: Request) -> int:
    names = {"run": request.run, "analysis": request.analysis.name, "sites": request.roster.sites}
    return _width(names, request) + MOST_WORDS


def is_signed(raw: bytes, key: Ed25519PublicKey) -> bool:
    """Whether a release is signed by the holder of `key`."""
    return fits(key, raw[-SIGNATURE:], RELEASE, raw[:-SIGNATURE])


def request_digest(raw: bytes) -> str:
    """What a release names of the request it answers: SHA-256 of its bytes."""
    return hashlib.sha256(raw).hexdigest()
