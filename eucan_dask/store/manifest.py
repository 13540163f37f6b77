"""What a store says of itself: `eucan.json`, the manifest of a freeze, and their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any

from eucan_dask.config import Key, check
from eucan_dask.errors import Invalid
from eucan_dask.variables import ASSEMBLIES, DATA_CLASSES

__all__ = [
    "FORMAT",
    "HEAD",
    "KINDS",
    "Head",
    "Input",
    "Manifest",
    "Shard",
    "check_format",
    "file_digest",
    "freeze_digest",
    "listing",
    "listing_digest",
    "listing_text",
    "read_head",
    "read_manifest",
]

FORMAT = 1
HEAD = "eucan.json"
KINDS = {"clinical": "clinical.zarr", "somatic": "somatic.zarr"}

_ASSEMBLY = Key(str | NoneType, choices=(*ASSEMBLIES, None))
_HEAD = {
    "format": Key(int),
    "name": Key(str),
    "assembly": _ASSEMBLY,
    "data_class": Key(str, choices=DATA_CLASSES),
    "freeze": Key(str),
}
_MANIFEST = {
    "format": Key(int),
    "digest": Key(str),
    "assembly": _ASSEMBLY,
    "data_class": Key(str, choices=DATA_CLASSES),
    "previous": Key(str | NoneType),
    "inputs": Key(list),
    "shards": Key(list),
}
_INPUT = {
    "kind": Key(str, choices=("maf", "clinical", "withdrawal")),
    "name": Key(str),
    "sha256": Key(str),
    "options": Key(dict),
}
_SHARD = {
    "path": Key(str, choices=tuple(KINDS.values())),
    "kind": Key(str, choices=tuple(KINDS)),
    "n_individuals": Key(int),
    "n_samples": Key(int),
    "n_mutations": Key(int),
    "bytes": Key(int),
    "sha256": Key(str),
    "nodes": Key(list),
}


@dataclass(frozen=True)
class Head:
    """The store's switch: which freeze is current."""

    name: str
    assembly: str | None
    data_class: str
    freeze: str

    def to_json(self) -> dict[str, Any]:
        """The content of `eucan.json`."""
        return {
            "format": FORMAT,
            "name": self.name,
            "assembly": self.assembly,
            "data_class": self.data_class,
            "freeze": self.freeze,
        }


@dataclass(frozen=True)
class Input:
    """A file a freeze was made from, known by its content and by how it was read.

    A `withdrawal` has no file: its name is "-" and its only option counts the people.
    """

    kind: str
    name: str
    sha256: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Shard:
    """One Zarr group of a freeze; `nodes` are the machines where a copy lies (none: everywhere)."""

    path: str
    kind: str
    n_individuals: int
    n_samples: int
    n_mutations: int
    bytes: int
    sha256: str
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """What one freeze holds and where it came from.

    Parameters
    ----------
    digest
        Names the freeze: the first 12 hex digits of `freeze_digest`.
    assembly, data_class
        Those of the store.
    previous
        The freeze that was current before.
    inputs, shards
        What went in and what came out.
    unchanged
        True where an ingest found its input already there and did nothing. Not written.
    notes
        What the ingest would like the person at the terminal to know. Not written.
    """

    digest: str
    assembly: str | None
    data_class: str
    previous: str | None
    inputs: tuple[Input, ...]
    shards: tuple[Shard, ...]
    unchanged: bool = field(default=False, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def shard(self, kind: str) -> Shard | None:
        """The shard of `kind`, if there is one."""
        return next((shard for shard in self.shards if shard.kind == kind), None)

    def to_json(self) -> dict[str, Any]:
        """The content of `manifest.json`."""
        return {
            "format": FORMAT,
            "digest": self.digest,
            "assembly": self.assembly,
            "data_class": self.data_class,
            "previous": self.previous,
            "inputs": [{**vars(i), "options": dict(i.options)} for i in self.inputs],
            "shards": [{**vars(s), "nodes": list(s.nodes)} for s in self.shards],
        }


def read_head(store: Path) -> Head:
    """The head of `store`.

    Raises
    ------
    Invalid
        If there is no store, or its format is newer than this version reads.
    """
    where = store / HEAD
    if not where.exists():
        raise Invalid(
            "is not a store",
            where=store,
            expected=f"a directory with {HEAD}",
            remedy="make one with `eucan-dask ingest`",
        )
    values = check(_load(where), _HEAD, where=str(where))
    return Head(values["name"], values["assembly"], values["data_class"], values["freeze"])


def read_manifest(store: Path, digest: str) -> Manifest:
    """The manifest of the freeze `digest` of `store`."""
    where = store / "freezes" / digest / "manifest.json"
    values = check(_load(where), _MANIFEST, where=str(where))
    inputs = (check(i, _INPUT, where=f"{where}, inputs") for i in values["inputs"])
    shards = (check(s, _SHARD, where=f"{where}, shards") for s in values["shards"])
    manifest = Manifest(
        values["digest"],
        values["assembly"],
        values["data_class"],
        values["previous"],
        tuple(Input(**i) for i in inputs),
        tuple(Shard(**{**s, "nodes": tuple(s["nodes"])}) for s in shards),
    )
    if manifest.digest != digest:
        raise Invalid("names another freeze", where=where, expected=digest, found=manifest.digest)
    return manifest


def _load(path: Path) -> Any:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Invalid("cannot be read", where=path, found=error.strerror) from error
    except ValueError as error:
        raise Invalid("is not JSON", where=path, remedy="run `store verify`") from error
    check_format(values.get("format") if isinstance(values, dict) else None, path)
    return values


def check_format(found: object, where: Path) -> None:
    """Refuse a format this version does not know, and say so plainly if it is a newer one."""
    if isinstance(found, int) and found > FORMAT:
        raise Invalid(
            "written by a newer version of eucan-dask "
            f"(format {found}, this one reads up to {FORMAT})",
            where=where,
            remedy="upgrade",
        )
    if found != FORMAT or isinstance(found, bool):
        raise Invalid("has no known format", where=where, expected=FORMAT, found=found)


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


def freeze_digest(shards: tuple[Shard, ...], assembly: str | None, data_class: str) -> str:
    """The 12 hex digits that name a freeze: its content, not when or from what it was made."""
    parts = [assembly or "", data_class]
    for shard in sorted(shards, key=lambda s: s.path):
        counts = (shard.n_individuals, shard.n_samples, shard.n_mutations)
        parts += [shard.kind, shard.sha256, *map(str, counts)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
