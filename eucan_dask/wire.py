"""Requests and releases as bytes: a JSON header, plain numeric arrays, a signature. No pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray

from eucan_dask import config
from eucan_dask.errors import Invalid
from eucan_dask.partial import Finding, Hidden, Release
from eucan_dask.request import Request

__all__ = [
    "decode_release",
    "decode_request",
    "encode_release",
    "encode_request",
    "read_header",
    "request_digest",
    "shortfall",
]

MAGIC = b"EUCAN\x00\x00\x01"  # the last byte is the version
PREFIX = struct.Struct("<8sI")
SIGNATURE = 64
MAX_HEADER = 8 * 2**20
MAX_BYTES = 2**30
MAX_DIMS = 8
DTYPES = {"<f8": np.float64, "<i8": np.int64, "|u1": np.uint8}

SITE_CODES = [code for code in Hidden if code not in (Hidden.MERGED, Hidden.TAIL, Hidden.INSIDER)]
RELEASE_HEADER = {
    "freeze": config.Key(str, default=""),
    "data_class": config.Key(str, default=""),
    "n_tasks": config.Key(int, default=0),
    "request": config.Key(str, default=""),
    "seconds": config.Key(int | float, default=0),
}

Arrays = Mapping[str, NDArray[Any]]


def encode_request(request: Request) -> bytes:
    """A request as bytes; the same request gives the same bytes."""
    arrays = {
        f"{round_}/{name}": values
        for round_, totals in enumerate(request.history)
        for name, values in totals.items()
    }
    return _pack({"kind": "request", "rounds": request.round, **request.header()}, arrays)


def decode_request(raw: bytes, *, max_bytes: int = MAX_BYTES) -> Request:
    """The request in `raw`.

    Raises
    ------
    Invalid
        If the bytes are not a whole request of a version this code reads.
    """
    header, arrays = _unpack(raw, max_bytes)
    if header.pop("kind", None) != "request":
        raise Invalid("is not a request", where="wire")
    n_rounds = header.pop("rounds", None)
    if not isinstance(n_rounds, int) or not 0 <= n_rounds <= 1000:
        raise Invalid("has no number of rounds", where="wire")
    rounds = set(map(str, range(n_rounds)))
    history: list[dict[str, NDArray[Any]]] = [{} for _ in range(n_rounds)]
    for key, values in arrays.items():
        round_, _, name = key.partition("/")
        if round_ not in rounds:
            raise Invalid("holds an array of no round", where="wire")
        history[int(round_)][name] = values
    request = Request.from_header(header, tuple(history))
    _check_history(request)
    return request


def _check_history(request: Request) -> None:
    specs = {s.name: s for s in request.analysis.yields if s.leaves}
    for totals in request.history:
        if set(totals) != set(specs):
            raise Invalid("a round lacks totals or has others", where="wire")
        for name, values in totals.items():
            spec = specs[name]
            if values.shape != spec.shape(request.coords) or values.dtype != spec.dtype:
                raise Invalid("a total has another shape or dtype", where=f"wire, {name}")
            if not np.isfinite(values).all():
                raise Invalid("a total is not finite", where=f"wire, {name}")


def encode_release(release: Release, key: Ed25519PrivateKey) -> bytes:
    """A release as bytes, signed with the site's key; anything but a `Release` is refused."""
    if not isinstance(release, Release):
        raise Invalid("only a Release can be sent", where="wire", found=type(release).__name__)
    header = {
        "kind": "release",
        "site": release.site,
        "run": release.run,
        "round": release.round,
        "analysis": release.analysis,
        "status": release.status,
        "findings": [dataclasses.asdict(f) for f in release.findings],
        "header": dict(release.header),
    }
    body = _pack(header, release.arrays)
    return body + key.sign(body)


def decode_release(
    raw: bytes, request: Request, key: Ed25519PublicKey, *, max_bytes: int = MAX_BYTES
) -> Release:
    """The release in `raw`, an answer to `request` signed by the holder of `key`.

    Raises
    ------
    Invalid
        If the signature is wrong, the bytes are no whole release, it answers another question,
        or its arrays are not what the analysis declares.
    """
    if len(raw) <= SIGNATURE:
        raise Invalid("is cut off", where="wire")
    body = raw[:-SIGNATURE]
    try:
        key.verify(raw[-SIGNATURE:], body)
    except InvalidSignature as error:
        raise Invalid(
            "the signature does not fit", where="wire", remedy="check the site's public key"
        ) from error
    header, arrays = _unpack(body, max_bytes)
    text, number = config.Key(str), config.Key(int)
    values = config.check(
        header,
        {
            "kind": config.Key(str, choices=("release",)),
            **dict.fromkeys(("site", "run", "analysis"), text),
            "round": number,
            "status": config.Key(str, choices=("released", "refused", "invalid")),
            "findings": config.Key(list),
            "header": config.Key(dict),
        },
        where="wire",
    )
    config.check(values["header"], RELEASE_HEADER, where="wire header")
    asked = (request.run, request.round, request.analysis.name)
    if (values["run"], values["round"], values["analysis"]) != asked:
        raise Invalid("answers another question", where="wire")
    if values["site"] not in request.roster:
        raise Invalid("comes from a site that is not in the roster", where="wire")
    if values["status"] == "released":
        _check_release(arrays, request)
    elif arrays:
        raise Invalid("a refusal holds values", where="wire")
    del values["kind"]
    findings = tuple(_finding(f) for f in values.pop("findings"))
    return Release(**values, findings=findings, arrays=arrays)


def _finding(table: object) -> Finding:
    keys = {
        "rule": config.Key(str),
        "record": config.Key(str),
        "threshold": config.Key(int | float),
        "n_hidden": config.Key(int),
        "message": config.Key(str),
    }
    values = config.check(table, keys, where="wire finding")
    if not math.isfinite(values["threshold"]):
        raise Invalid("a threshold is no number", where="wire finding")
    return Finding(**values)


def _check_release(arrays: Arrays, request: Request) -> None:
    coords, analysis = request.coords, request.analysis
    expected = {s.name: (s.shape(coords), s.dtype) for s in analysis.yields if s.leaves}
    for record in analysis.records:
        shape = tuple(len(coords[dim]) for dim in record.dims)
        expected[f"{record.name}_hidden"] = (shape, np.dtype(np.uint8))
    if set(arrays) != set(expected):
        raise Invalid("holds other arrays than the analysis declares", where="wire")
    for name, values in arrays.items():
        if (values.shape, values.dtype) != expected[name]:
            raise Invalid("an array has another shape or dtype", where=f"wire, {name}")
        if values.dtype == np.float64 and not np.isfinite(values).all():
            raise Invalid("a sum is not finite", where=f"wire, {name}")
        if values.dtype == np.int64 and (values < 0).any():
            raise Invalid("a count is negative", where=f"wire, {name}")
        if values.dtype == np.uint8 and not np.isin(values, SITE_CODES).all():
            raise Invalid("a mask holds a code no site uses", where=f"wire, {name}")
    for record in analysis.records:
        hidden = xr.DataArray(arrays[f"{record.name}_hidden"] > 0, dims=record.dims)
        for name in record.variables:
            dims = next(s.dims for s in analysis.yields if s.name == name)
            if bool((hidden & (xr.DataArray(arrays[name], dims=dims) != 0)).any()):
                raise Invalid("a hidden cell holds a value", where=f"wire, {name}")


def request_digest(raw: bytes) -> str:
    """What a release names of the request it answers: SHA-256 of its bytes."""
    return hashlib.sha256(raw).hexdigest()


def read_header(raw: bytes) -> dict[str, Any]:
    """The header of a whole message as it stands, unchecked: to see whom it is for."""
    return _open(raw)[0]


def shortfall(raw: bytes, *, signed: bool) -> int:
    """How many bytes a message lacks, as far as it tells: 0 if it is whole.

    Raises
    ------
    Invalid
        If it is not the beginning of a message of this version.
    """
    tail = SIGNATURE if signed else 0
    if MAGIC.startswith(raw[: len(MAGIC)]):  # it begins well
        length = PREFIX.unpack_from(raw)[1] if len(raw) >= PREFIX.size else 0
        if length <= MAX_HEADER and len(raw) < PREFIX.size + length:
            return int(PREFIX.size + length + tail - len(raw))
    header, offset = _open(raw)
    entries = header.get("arrays")
    if not isinstance(entries, list):
        raise Invalid("has no list of arrays", where="wire")
    return max(0, offset + sum(_entry(entry)[3] for entry in entries) + tail - len(raw))


def _pack(header: Mapping[str, Any], arrays: Arrays) -> bytes:
    table, parts = [], []
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        if values.dtype.str not in DTYPES:
            raise Invalid("cannot be sent", where=name, found=values.dtype)
        table.append([name, values.dtype.str, list(np.shape(arrays[name]))])
        parts.append(values.tobytes())
    text = json.dumps(
        {**header, "arrays": table}, sort_keys=True, ensure_ascii=False, allow_nan=False
    ).encode()
    return b"".join([PREFIX.pack(MAGIC, len(text)), text, *parts])


def _unpack(raw: bytes, max_bytes: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    if len(raw) > max_bytes:
        raise Invalid("is too large", where="wire", expected=f"at most {max_bytes} bytes")
    header, offset = _open(raw)
    return header, _arrays(raw, offset, header.pop("arrays", None))


def _open(raw: bytes) -> tuple[dict[str, Any], int]:
    """The header of a message, and where its arrays begin."""
    if len(raw) < PREFIX.size:
        raise Invalid("is cut off", where="wire")
    magic, length = PREFIX.unpack_from(raw)
    if magic[:-1] != MAGIC[:-1]:
        raise Invalid("is not a message of eucan-dask", where="wire")
    if magic != MAGIC:
        raise Invalid(
            "has another version",
            where="wire",
            expected=MAGIC[-1],
            found=magic[-1],
            remedy="install the same eucan-dask at every site",
        )
    if length > MAX_HEADER or PREFIX.size + length > len(raw):
        raise Invalid("has a header that does not fit", where="wire")
    return _json(raw[PREFIX.size : PREFIX.size + length]), PREFIX.size + length


def _json(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text, object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Invalid("has a header that is not JSON", where="wire") from error
    if not isinstance(header, dict):
        raise Invalid("has a header that is no table", where="wire")
    try:
        json.dumps(header, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:  # a lone surrogate; too deep
        raise Invalid("has a header that is not text", where="wire") from error
    return header


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key is repeated")
    return table


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not allowed")


def _arrays(raw: bytes, offset: int, entries: object) -> dict[str, NDArray[Any]]:
    if not isinstance(entries, list):
        raise Invalid("has no list of arrays", where="wire")
    arrays: dict[str, NDArray[Any]] = {}
    for entry in entries:
        name, dtype, shape, size = _entry(entry)
        if name in arrays or offset + size > len(raw):
            raise Invalid("has an array that does not fit", where="wire")
        values = np.frombuffer(raw, dtype=DTYPES[dtype], count=math.prod(shape), offset=offset)
        arrays[name] = values.reshape(shape)
        offset += size
    if offset != len(raw):
        raise Invalid("has bytes left over", where="wire")
    return arrays


def _entry(entry: object) -> tuple[str, str, tuple[int, ...], int]:
    """Name, dtype, shape and bytes of an array."""
    match entry:
        case [str(name), str(dtype), list(shape)] if dtype in DTYPES and len(shape) <= MAX_DIMS:
            sizes = all(type(n) is int and 0 <= n <= MAX_BYTES for n in shape)
            if sizes and math.prod(max(n, 1) for n in shape) <= MAX_BYTES:
                size = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
                return name, dtype, tuple(shape), size
    raise Invalid("describes an array that cannot be", where="wire")
