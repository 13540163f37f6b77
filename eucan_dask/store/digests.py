"""Digests of files and of whole groups, by which a later change is found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eucan_dask.store.manifest import Shard

__all__ = ["file_digest", "listing", "listing_digest", "listing_text", "seal"]


def seal(root: Path, path: str, kind: str, **facts: Any) -> Shard:
    """Note the digest of every file of a group just written, and say what the manifest keeps."""
    files = listing(root / path)
    (root / f"{path}.sha256").write_text(listing_text(files), encoding="utf-8")
    size = sum((root / path / file).stat().st_size for file in files)
    return Shard(path, kind, bytes=size, sha256=listing_digest(files), **facts)


def file_digest(path: Path) -> str:
    """The sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def listing(directory: Path) -> dict[str, str]:
    """The sha256 of each file under `directory`, by relative path, sorted."""
    paths = sorted(p.relative_to(directory).as_posix() for p in _files(directory))
    return {path: file_digest(directory / path) for path in paths}


def listing_digest(files: Mapping[str, str]) -> str:
    """One sha256 over the paths and contents of a directory.

    It is the digest of the text `sha256sum` writes for the sorted paths.
    """
    return hashlib.sha256(listing_text(files).encode()).hexdigest()


def listing_text(files: Mapping[str, str]) -> str:
    """The listing as `sha256sum --check` reads it."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(files.items()))


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file())
