"""Reading text tables as sites have them: plain or gzip, any line ending, cut off or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from eucan_dask.errors import Invalid

__all__ = ["blocks", "lines", "reading"]

_GZIP = b"\x1f\x8b"
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_STEP = 1 << 20
_BLOCK = 1 << 24
_COPY_AGAIN = "the file is cut off or damaged: copy it again"


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn a failure to read `path` into words."""
    try:
        yield
    except OSError as error:
        raise Invalid(
            "cannot be read",
            where=path,
            found=error.strerror or error,
            remedy="check the path and its permissions",
        ) from error


def blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file in blocks of some megabytes.

    Each block ends with a line feed whatever the file's line endings are, and comes with the number
    of its first line, from 1.

    Raises
    ------
    Invalid
        If the file cannot be read, is no text, or is a gzip file cut off or damaged; names the line
        up to which it could be read.
    """
    first, rest, size = 1, b"", 0
    parts: list[bytes] = []
    for data in _pieces(path):
        if isinstance(data, Exception):
            done = _unix(b"".join([rest, *parts])).count(b"\n")
            raise Invalid(
                "the compressed data end too early",
                where=f"{path}, line {first + done}",
                remedy=_COPY_AGAIN,
            ) from data
        if b"\0" in data:
            raise Invalid("is not a text file", where=path, expected="a table, plain or gzip")
        parts.append(data)
        size += len(data)
        if size < _BLOCK:
            continue
        block, rest = _split(b"".join([rest, *parts]))
        parts, size = [], 0
        if block:
            yield first, block
            first += block.count(b"\n")
    block = _unix(b"".join([rest, *parts]))
    if block:
        yield first, block if block.endswith(b"\n") else block + b"\n"


def _pieces(path: Path) -> Iterator[bytes | Exception]:
    """Bytes as they come, decompressed; what stopped the decompression comes last."""
    with reading(path), path.open("rb") as raw:
        magic = raw.read(18)
        raw.seek(0)
        if magic[:2] != _GZIP:
            while data := raw.read(_STEP):
                yield data
            return
        if magic[12:14] == b"BC" and not _has_end(raw):
            yield EOFError("BGZF end block is missing")
            return
        with gzip.open(raw) as stream:
            try:
                while data := stream.read1(_STEP):
                    yield data
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                yield error


def _has_end(raw: BinaryIO) -> bool:
    """BGZF cut at a block boundary reads short without an error: only its end block tells."""
    raw.seek(0, 2)
    if raw.tell() < len(_BGZF_END):
        return False
    raw.seek(-len(_BGZF_END), 2)
    end = raw.read()
    raw.seek(0)
    return end == _BGZF_END


def _unix(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Whole lines, and the beginning of the next one."""
    held = b"\r" if data.endswith(b"\r") else b""
    data = _unix(data[: len(data) - len(held)])
    cut = data.rfind(b"\n") + 1
    return data[:cut], data[cut:] + held


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each line with its number, without its ending; bytes that are no UTF-8 come as surrogates."""
    for first, block in blocks(path):
        for number, line in enumerate(block[:-1].split(b"\n"), first):
            yield number, line.decode("utf-8", "surrogateescape")
