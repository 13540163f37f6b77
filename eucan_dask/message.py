"""A message as bytes: a JSON header and plain numeric arrays, capped and unambiguous. No pickle."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucan_dask.errors import Invalid
from eucan_dask.strict_json import table_of

__all__ = ["Arrays", "begins", "pack", "read_header", "shortfall", "unpack"]

MAGIC = b"EUCAN\x00\x00\x02"  # the last byte is the version
PREFIX = struct.Struct("<8sI")
MAX_HEADER = 8 * 2**20
MAX_BYTES = 2**30
MAX_DIMS = 8
DTYPES = {"<f8": np.float64, "<i8": np.int64, "<u8": np.uint64, "|u1": np.uint8}

Arrays = Mapping[str, NDArray[Any]]


def pack(header: Mapping[str, Any], arrays: Arrays, *, width: int = 0) -> bytes:
    """A message; the same content gives the same bytes.

    Parameters
    ----------
    width
        Bytes the header takes at least, the list of arrays aside, filled with spaces: its length
        then tells nothing.
    """
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
    text = text.ljust(width + len(json.dumps(table, ensure_ascii=False).encode()))
    return b"".join([PREFIX.pack(MAGIC, len(text)), text, *parts])


def unpack(
    raw: bytes, *, max_bytes: int = MAX_BYTES, max_header: int = MAX_HEADER
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of a message; the arrays are views of its bytes.

    Raises
    ------
    Invalid
        If it is not exactly one whole message of this version, or larger than it may be.
    """
    if len(raw) > max_bytes:
        raise Invalid("is too large", where="wire", expected=f"at most {max_bytes} bytes")
    if begins(raw) > max_header:
        raise Invalid("has a header that does not fit", where="wire")
    header, offset = _open(raw)
    return header, _arrays(raw, offset, header.pop("arrays", None))


def read_header(raw: bytes) -> dict[str, Any]:
    """The header of a whole message as it stands, unchecked: to see whom it is for."""
    return _open(raw)[0]


def shortfall(raw: bytes, *, tail: int) -> int:
    """How many bytes a message lacks, as far as it tells: 0 if it is whole.

    Parameters
    ----------
    tail
        Bytes that follow the arrays: a signature, and perhaps whose.

    Raises
    ------
    Invalid
        If it is not the beginning of a message of this version.
    """
    if MAGIC.startswith(raw[: len(MAGIC)]):  # it begins well
        length = PREFIX.unpack_from(raw)[1] if len(raw) >= PREFIX.size else 0
        if length <= MAX_HEADER and len(raw) < PREFIX.size + length:
            return int(PREFIX.size + length + tail - len(raw))
    header, offset = _open(raw)
    entries = header.get("arrays")
    if not isinstance(entries, list):
        raise Invalid("has no list of arrays", where="wire")
    return max(0, offset + sum(_entry(entry)[3] for entry in entries) + tail - len(raw))


def _open(raw: bytes) -> tuple[dict[str, Any], int]:
    """The header of a message, and where its arrays begin."""
    length = begins(raw)
    if length > MAX_HEADER or PREFIX.size + length > len(raw):
        raise Invalid("has a header that does not fit", where="wire")
    text = raw[PREFIX.size : PREFIX.size + length]
    return table_of(text, where="wire"), PREFIX.size + length


def begins(raw: bytes) -> int:
    """The length that a message of this version gives its header."""
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
    return int(length)


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
