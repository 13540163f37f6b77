"""What a store says of itself: `eucan.json`, the manifest of a freeze, and their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any

from eucan_dask.config import Key, check
from eucan_dask.errors import Invalid
from eucan_dask.variables import ASSEMBLIES, DATA_CLASSES
from eucan_dask.variant import contig_order

__all__ = [
    "FORMAT",
    "HEAD",
    "KINDS",
    "VARIANTS",
    "Head",
    "Input",
    "Manifest",
    "Shard",
    "check_format",
    "freeze_digest",
    "variants_path",
    "read_head",
    "read_manifest",
]

FORMAT = 1
HEAD = "eucan.json"
KINDS = {"clinical": "clinical.zarr", "somatic": "somatic.zarr"}  # one shard of each at most
VARIANTS = "variants"

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
    "reference_checked": Key(bool, default=False),
}
_INPUT = {
    "kind": Key(str, choices=("maf", "clinical", "vcf", "plink", "withdrawal")),
    "name": Key(str),
    "sha256": Key(str),
    "options": Key(dict),
}
_FILES = {"bytes": Key(int), "sha256": Key(str), "nodes": Key(list)}
_SHARD = {
    "path": Key(str, choices=tuple(KINDS.values())),
    "kind": Key(str, choices=tuple(KINDS)),
    "n_individuals": Key(int),
    "n_samples": Key(int),
    "n_mutations": Key(int),
    **_FILES,
}
_VARIANTS_SHARD = {
    "path": Key(str),
    "kind": Key(str, choices=(VARIANTS,)),
    "contig": Key(str),
    "start": Key(int),
    "end": Key(int),
    "n_variants": Key(int),
    "n_samples": Key(int),
    **_FILES,
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
    """One Zarr group of a freeze; `nodes` are the machines where a copy lies (none: everywhere).

    A shard of variants has a contig and the positions of its first and last variant, and counts
    variants and samples; the others count individuals, samples and mutations.
    """

    path: str
    kind: str
    bytes: int
    sha256: str
    n_samples: int
    n_individuals: int = 0
    n_mutations: int = 0
    contig: str = ""
    start: int = 0
    end: int = 0
    n_variants: int = 0
    nodes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The shard's entry in `manifest.json`: the keys its kind has."""
        keys = _VARIANTS_SHARD if self.kind == VARIANTS else _SHARD
        return {key: getattr(self, key) for key in keys} | {"nodes": list(self.nodes)}

    @property
    def order(self) -> tuple[object, ...]:
        """Sorts shards by kind, and those of variants along the genome."""
        return (self.kind, contig_order(self.contig) if self.contig else (), self.start)


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
    reference_checked
        True if the store has variants and every REF was compared with a reference genome.
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
    reference_checked: bool = False
    unchanged: bool = field(default=False, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def shard(self, kind: str) -> Shard | None:
        """The first shard of `kind`, if there is one."""
        return next((shard for shard in self.shards if shard.kind == kind), None)

    @property
    def variants(self) -> tuple[Shard, ...]:
        """The shards of variants, along the genome."""
        return tuple(s for s in sorted(self.shards, key=lambda s: s.order) if s.kind == VARIANTS)

    def to_json(self) -> dict[str, Any]:
        """The content of `manifest.json`."""
        return {
            "format": FORMAT,
            "digest": self.digest,
            "assembly": self.assembly,
            "data_class": self.data_class,
            "previous": self.previous,
            "inputs": [{**vars(i), "options": dict(i.options)} for i in self.inputs],
            "shards": [shard.to_json() for shard in self.shards],
            "reference_checked": self.reference_checked,
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
    shards = (_shard(s, f"{where}, shards") for s in values["shards"])
    manifest = Manifest(
        values["digest"],
        values["assembly"],
        values["data_class"],
        values["previous"],
        tuple(Input(**i) for i in inputs),
        tuple(shards),
        values["reference_checked"],
    )
    if manifest.digest != digest:
        raise Invalid("names another freeze", where=where, expected=digest, found=manifest.digest)
    return manifest


def _shard(entry: Any, where: str) -> Shard:
    several = isinstance(entry, Mapping) and entry.get("kind") == VARIANTS
    values = check(entry, _VARIANTS_SHARD if several else _SHARD, where=where)
    shard = Shard(**{**values, "nodes": tuple(values["nodes"])})
    if several and shard.path != variants_path(shard.contig, shard.start, shard.end):
        raise Invalid(
            "names a path that is not the shard's",
            where=where,
            expected=variants_path(shard.contig, shard.start, shard.end),
            found=shard.path,
        )
    return shard


def variants_path(contig: str, start: int, end: int) -> str:
    """Where in a freeze the variants of a contig from `start` to `end` lie."""
    return f"{VARIANTS}/{contig}_{start}_{end}.zarr"


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


def freeze_digest(
    shards: Iterable[Shard],
    assembly: str | None,
    data_class: str,
    *,
    reference_checked: bool = False,
) -> str:
    """The 12 hex digits that name a freeze: its content, not when or from what it was made."""
    parts = [assembly or "", data_class]
    for shard in sorted(shards, key=lambda s: s.path):
        counts: tuple[object, ...] = (shard.n_individuals, shard.n_samples, shard.n_mutations)
        if shard.kind == VARIANTS:
            counts = (shard.contig, shard.start, shard.end, shard.n_variants, shard.n_samples)
        parts += [shard.kind, shard.sha256, *map(str, counts)]
    if reference_checked:
        parts.append("reference checked")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
