"""Bytes of a text or binary file in pieces that can be found again: plain, or bgzip's blocks."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from eucan_dask.errors import Invalid
from eucan_dask.store.text import reading

__all__ = ["Offset", "as_blocks", "compress", "damaged", "pieces", "read_range"]

Offset = tuple[int, int]  # where a piece begins in the file, and a byte in the piece

_GZIP = b"\x1f\x8b"
_STEP = 1 << 20
_BLOCK = 0xFF00
_HEADER = struct.Struct("<4BI2BH2BHH")
END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


@dataclass(frozen=True)
class Piece:
    """Some consecutive bytes, decompressed, and where they and their successors lie."""

    start: int
    stop: int
    data: bytes


def damaged(path: Path, found: str) -> Invalid:
    """The error for a file that was cut off or changed on its way."""
    return Invalid(found, where=path, remedy="the file is cut off or damaged: copy it again")


def compression(path: Path) -> str:
    """`plain`, `bgzf` or `gzip`."""
    with reading(path), path.open("rb") as raw:
        start = raw.read(18)
    if start[:2] != _GZIP:
        return "plain"
    return "bgzf" if start[12:14] == b"BC" else "gzip"


def pieces(path: Path, start: int = 0, *, name: Path | None = None) -> Iterator[Piece]:
    """The file's pieces from the one at `start` on.

    Every block's checksum is compared, and bgzip's end block must be there: a file cut exactly
    between two blocks reads short without any other sign.

    Raises
    ------
    Invalid
        If the file cannot be read, is cut off or damaged.
    """
    name = name or path
    bgzf = compression(path) == "bgzf"
    with reading(name), path.open("rb") as raw:
        raw.seek(start)
        yield from _blocks(raw, start, name) if bgzf else _steps(raw, start)


def read_range(path: Path, first: Offset, last: Offset, *, name: Path) -> Iterator[bytes]:
    """The bytes from `first` up to `last`, which is not included."""
    for piece in pieces(path, first[0], name=name):
        begin = first[1] if piece.start == first[0] else 0
        if piece.start == last[0]:
            yield piece.data[begin : last[1]]
            return
        yield piece.data[begin:]
        if piece.stop == last[0] and last[1] == 0:
            return


def as_blocks(path: Path, scratch: Path) -> Path:
    """A copy of a plain gzip file as bgzip, which can be read from its middle."""
    out = scratch / f"{path.stem}.{zlib.crc32(str(path.resolve()).encode()):08x}.bgz"
    with reading(path), path.open("rb") as raw, gzip.open(raw) as stream, out.open("wb") as copy:
        try:
            while data := stream.read(_BLOCK):
                copy.write(compress(data, level=1))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise damaged(path, "the compressed data end too early") from error
        copy.write(END)
    return out


def compress(data: bytes, *, level: int) -> bytes:
    """One bgzip block of at most 65,280 bytes."""
    body = zlib.compressobj(level, zlib.DEFLATED, -15)
    packed = body.compress(data) + body.flush()
    size = _HEADER.size + len(packed) + 8
    if size > 1 << 16:  # what does not compress is stored as it is
        return compress(data, level=0)
    head = _HEADER.pack(0x1F, 0x8B, 8, 4, 0, 0, 0xFF, 6, 0x42, 0x43, 2, size - 1)
    return head + packed + struct.pack("<II", zlib.crc32(data), len(data))


def _steps(raw: BinaryIO, start: int) -> Iterator[Piece]:
    while data := raw.read(_STEP):
        yield Piece(start, start + len(data), data)
        start += len(data)


def _blocks(raw: BinaryIO, start: int, name: Path) -> Iterator[Piece]:
    ended = False
    while head := raw.read(12):
        extra = raw.read(int.from_bytes(head[10:12], "little")) if len(head) == 12 else b""
        size = _block_size(head, extra)
        rest = raw.read(size - 12 - len(extra)) if size else b""
        if not size or len(rest) != size - 12 - len(extra):
            raise damaged(name, "the compressed data end too early")
        try:
            data = zlib.decompress(head + extra + rest, 31)
        except zlib.error as error:
            raise damaged(name, "the compressed data are damaged") from error
        if data:
            yield Piece(start, start + size, data)
        start, ended = start + size, not data
    if not ended:
        raise damaged(name, "the compressed data end too early: the end block is missing")


def _block_size(head: bytes, extra: bytes) -> int:
    """Of a whole block, 0 if this is none: fields of two letters, a length and a value."""
    at = 0
    while head[:4] == b"\x1f\x8b\x08\x04" and at + 6 <= len(extra):
        length = int.from_bytes(extra[at + 2 : at + 4], "little")
        if extra[at : at + 2] == b"BC" and length == 2:
            return int.from_bytes(extra[at + 4 : at + 6], "little") + 1
        at += 4 + length
    return 0
