"""Writing a new freeze beside the old one and switching to it in one step.

A new freeze is built in `freezes/.building-<token>`, forced to disk, renamed to its digest, and
only then does `eucan.json` point at it. Killed at any moment the store is what it was before.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from eucan_dask.errors import Invalid, Unavailable
from eucan_dask.store.arrays import Array, write_arrays
from eucan_dask.store.digests import listing, listing_digest, seal
from eucan_dask.store.manifest import (
    HEAD,
    KINDS,
    Head,
    Input,
    Manifest,
    Shard,
    freeze_digest,
    read_head,
    read_manifest,
)

__all__ = ["Building", "freezes", "writing"]

_LOCK = ".lock"
_BUILDING = ".building-"
_SCRATCH = ".scratch"
_TEMPORARY = ".eucan.json-"
_BUSY = "{}: another ingest or edit of this store is running; wait for it and try again"
_PATIENCE = 50
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Building:
    """A freeze in the making.

    Parameters
    ----------
    store
        The store it is for.
    path
        The directory it is built in.
    head, manifest
        Those of the store as it is; None where this is the first freeze.
    """

    store: Path
    path: Path
    head: Head | None
    manifest: Manifest | None

    def write(self, kind: str, arrays: Mapping[str, Array], attrs: Mapping[str, Any]) -> Shard:
        """Write a shard; its counts are the lengths of its dimensions."""
        write_arrays(self.path / KINDS[kind], arrays, attrs)
        sizes = {d: n for a in arrays.values() for d, n in zip(a.dims, a.values.shape, strict=True)}
        return seal(
            self.path,
            KINDS[kind],
            kind,
            n_individuals=sizes.get("individuals", 0),
            n_samples=sizes.get("samples", 0),
            n_mutations=sizes.get("mutations", 0),
        )

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory on the store's disk that is gone afterwards, whatever happens."""
        path = self.path.with_name(f"{self.path.name}{_SCRATCH}")
        path.mkdir()
        yield path
        _remove(path)

    def carry(self, shard: Shard) -> Shard:
        """Take a shard of the present freeze as it is, by hard links where the disk has them."""
        present = self.store / "freezes" / (self.head.freeze if self.head else "")
        files = [present / f"{shard.path}.sha256", *(present / shard.path).rglob("*")]
        for file in files:
            target = self.path / file.relative_to(present)
            if file.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(file, target)
        return shard

    def publish(
        self,
        shards: tuple[Shard, ...],
        inputs: tuple[Input, ...],
        *,
        name: str,
        assembly: str | None,
        data_class: str,
        reference_checked: bool = False,
        notes: tuple[str, ...] = (),
    ) -> Manifest:
        """Make this the current freeze of the store; from here on readers see it."""
        shards = tuple(sorted(shards, key=lambda shard: shard.path))
        digest = freeze_digest(shards, assembly, data_class, reference_checked=reference_checked)
        previous = self.head.freeze if self.head else None
        manifest = Manifest(
            digest,
            assembly,
            data_class,
            previous,
            inputs,
            shards,
            reference_checked=reference_checked,
            notes=notes,
        )
        text = json.dumps(manifest.to_json(), indent=1, sort_keys=True)
        (self.path / "manifest.json").write_text(text + "\n", encoding="utf-8")
        _sync_tree(self.path)
        target = self.store / "freezes" / digest
        if target.exists() and not _intact(target, shards):
            shutil.rmtree(target)
        if not target.exists():
            self.path.rename(target)
        _sync(target.parent)
        self._switch(Head(name, assembly, data_class, digest))
        return manifest

    def _switch(self, head: Head) -> None:
        temporary = self.store / f"{_TEMPORARY}{secrets.token_hex(4)}"
        try:
            temporary.write_text(json.dumps(head.to_json(), indent=1) + "\n", encoding="utf-8")
            _sync(temporary)
            temporary.replace(self.store / HEAD)
        finally:
            temporary.unlink(missing_ok=True)
        _sync(self.store)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in _FULL:
            raise
        shutil.copyfile(source, target)


def _intact(freeze: Path, shards: tuple[Shard, ...]) -> bool:
    """True if a freeze left by an ingest killed just before the switch holds what ours holds."""
    if not (freeze / "manifest.json").exists():
        return False
    return all(listing_digest(listing(freeze / shard.path)) == shard.sha256 for shard in shards)


def _sync_tree(path: Path) -> None:
    for directory, _, names in os.walk(path, topdown=False):
        for name in names:
            _sync(Path(directory) / name)
        _sync(Path(directory))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def freezes(store: Path) -> tuple[str, ...]:
    """The digests of the freezes a store holds."""
    return tuple(sorted(p.name for p in store.glob("freezes/*") if not p.name.startswith(".")))


@contextmanager
def writing(store: Path, *, create: bool = False) -> Iterator[Building]:
    """Hold the store alone while a new freeze is built.

    What a killed ingest left behind is removed on entry; what this one built and did not publish is
    removed on the way out, and with `create` the directory too if no store came of it.

    Raises
    ------
    Unavailable
        If another ingest or edit is at work on this store.
    Invalid
        If `store` is no store, or the disk is full or not writable.
    """
    made = _prepare(store, create=create)
    with _errors(store), _lock(store):
        try:
            head = read_head(store) if (store / HEAD).exists() else None
            manifest = read_manifest(store, head.freeze) if head else None
            _sweep(store)
            path = store / "freezes" / f"{_BUILDING}{secrets.token_hex(6)}"
            path.mkdir(parents=True)
            yield Building(store, path, head, manifest)
        finally:
            _sweep(store)
            if not (store / HEAD).exists():
                _clear(store, made=made)


def _prepare(store: Path, *, create: bool) -> bool:
    """Check that `store` may be written; True if its directory was made here."""
    if not create:
        read_head(store)
        return False
    if store.exists() and not store.is_dir():
        raise Invalid("is a file", where=store, expected="a directory for the store")
    made = not store.exists()
    with _errors(store):
        names = set() if made else {path.name for path in store.iterdir()}
        store.mkdir(parents=True, exist_ok=True)
    foreign = {n for n in names if n not in (_LOCK, "freezes") and not n.startswith(_TEMPORARY)}
    if HEAD not in names and foreign:
        raise Invalid(
            "is not empty and not a store", where=store, remedy="name a new or empty directory"
        )
    return made


def _clear(store: Path, *, made: bool) -> None:
    """Leave no trace of a first ingest that failed; called with the lock held.

    A freeze that is there is left alone: its `eucan.json` may only have been mislaid.
    """
    if freezes(store):
        return
    with suppress(FileNotFoundError):
        (store / "freezes").rmdir()
    (store / _LOCK).unlink(missing_ok=True)
    if made:
        store.rmdir()


@contextmanager
def _lock(store: Path) -> Iterator[None]:
    with (store / _LOCK).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(_BUSY.format(store)) from error
        if not _same_file(stream, store / _LOCK):
            raise Unavailable(_BUSY.format(store))
        yield


def _same_file(stream: IO[str], path: Path) -> bool:
    """False if the lock file was removed, with its store, between opening and locking it."""
    return path.exists() and os.fstat(stream.fileno()).st_ino == path.stat().st_ino


def _sweep(store: Path) -> None:
    for path in (*store.glob(f"freezes/{_BUILDING}*"), *store.glob(f"{_TEMPORARY}*")):
        if path.is_dir():
            _remove(path)
        else:
            path.unlink()


def _remove(path: Path) -> None:
    """Remove a directory, in which a worker of a killed ingest may be writing its last file."""
    for _ in range(_PATIENCE):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            if not path.exists():
                return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
        else:
            return
        time.sleep(0.1)
    shutil.rmtree(path)


@contextmanager
def _errors(store: Path) -> Iterator[None]:
    """Turn what the file system says into words."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Invalid(
                "the disk is full; the store is as it was",
                where=store,
                remedy="make room and rerun",
            ) from error
        raise Invalid(
            "cannot be written; the store is as it was",
            where=error.filename or store,
            found=error.strerror or error,
            remedy="check the path and its permissions",
        ) from error
