"""Attacks by what a site is made to open: pickles, codecs, tags, names and code in their place."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import yaml
import zarr

from eucan_dask import message, wire
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.errors import EucanError
from eucan_dask.job import read_job
from eucan_dask.keys import sign
from eucan_dask.links import open_link
from eucan_dask.mailbox import request_path
from eucan_dask.registry import registry
from eucan_dask.store.open import open_store
from eucan_dask.testing.data import people
from tests.attack_people import PURPOSE, Analyst, Strength, attack, attacked

SEX = CohortSummary(fields=(SummaryField("sex", levels=("female", "male")),))
Try = Callable[[], object]


class Payload:
    """What makes a file where it is unpickled."""

    def __init__(self, owned: Path) -> None:
        self.owned = owned

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.owned),)


class Swapped(CohortSummary):
    """Somebody else's code under the name of a built-in analysis."""


@dataclass(frozen=True)
class Case:
    """One hostile thing: how an ordinary program opens it, and how a site is made to.

    Parameters
    ----------
    before, after
        Both are called; what counts is whether the payload ran.
    """

    name: str
    before: Try | None
    after: Try


def signed(analyst: Analyst, header: dict[str, Any], arrays: dict[str, Any]) -> bytes:
    """A message as a hostile asker who is admitted would sign it."""
    return wire.signed(message.pack(header, arrays), analyst.federation.key)


def question(analyst: Analyst, **other: object) -> bytes:
    """A request whose header was altered, signed."""
    request = analyst.federation.request(SEX, purpose=PURPOSE)
    header, _ = message.unpack(
        wire.encode_request(request, analyst.federation.key)[: -wire.REQUEST_TAIL]
    )
    return signed(analyst, {**header, **other}, {})


def objects(analyst: Analyst, payload: bytes) -> bytes:
    """A request with an array of Python objects, pickled."""
    raw = question(analyst)[: -wire.REQUEST_TAIL]
    held = b'"arrays": []'
    entry = f'"arrays": [["0/x", "|O", [{len(payload)}]]]'.encode()
    assert held in raw
    start = message.PREFIX.size
    text = raw[start:].replace(held, entry)
    body = message.PREFIX.pack(message.MAGIC, len(text)) + text + payload
    body += analyst.federation.key.public_key().public_bytes_raw()
    return body + sign(analyst.federation.key, wire.REQUEST, body)


def pickled_array(shard: Path, payload: Payload) -> None:
    """Replace the names of people in a shard by objects that are unpickled when read."""
    group = zarr.open_group(str(shard), mode="a", zarr_version=2)
    attrs = dict(group["individual_id"].attrs)
    n = group["individual_id"].shape[0]
    values = np.full(n, "x", dtype=object)
    values[0] = payload
    del group["individual_id"]
    array = group.create_dataset(
        "individual_id", shape=n, dtype=object, object_codec=numcodecs.Pickle(), fill_value=None
    )
    array[:] = values
    array.attrs.put(attrs)
    zarr.consolidate_metadata(group.store)


def swapped() -> object:
    """The registry, where a package offers an analysis of a name that is taken."""
    point = EntryPoint("cohort_summary", f"{__name__}:Swapped", "eucan_dask.analyses")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eucan_dask.registry.entry_points", lambda **_: [point])
        registry.cache_clear()
        try:
            return registry()
        finally:
            registry.cache_clear()


def other_code(analyst: Analyst) -> bytes:
    """A request of somebody who runs other code."""
    return question(analyst, code_digest="0" * 64)


def corpus(analyst: Analyst, directory: Path, owned: Path) -> list[Case]:
    """Everything hostile."""
    payload = Payload(owned)
    raw = pickle.dumps(payload)
    tagged = f'!!python/object/apply:os.mkdir ["{owned}"]'
    job = directory / "job.toml"
    job.write_text(tagged, encoding="utf-8")
    store = next(directory.glob("**/store"))
    shard = store / "freezes" / open_store(store).manifest.digest / "clinical.zarr"
    assert shard.is_dir()
    pickled_array(shard, payload)
    send = analyst.federation.members[0].link.send
    out = str(owned)

    def ask(**other: object) -> Try:
        return lambda: send(question(analyst, **other))

    return [
        Case("a pickle for a request", lambda: pickle.loads(raw), lambda: send(raw)),  # noqa: S301
        Case("an array of objects", lambda: pickle.loads(raw), lambda: send(objects(analyst, raw))),  # noqa: S301
        Case("a tag of YAML in a job", lambda: yaml.unsafe_load(tagged), lambda: read_job(job)),  # noqa: S506
        Case("a codec that unpickles", None, lambda: open_store(store).dataset()),
        Case("code in the place of an analysis", None, swapped),
        Case("an analysis by module", None, ask(analysis="os:mkdir", parameters={"path": out})),
        Case("a parameter too many", None, ask(parameters={"fields": ["sex"], "__class__": ""})),
        Case("a path for a run", None, lambda: request_path(directory, f"../{out}", 0)),
        Case("configuration in a question", None, ask(dask={"distributed.worker.preload": [out]})),
        Case("other code", None, lambda: send(other_code(analyst))),
        Case("a link of another kind", None,
             lambda: open_link(f"pickle:{out}", base=directory, site="a", key=None)),  # type: ignore[arg-type]
    ]  # fmt: skip


def refused(case: Case) -> bool:
    """Whether it is answered with an error on purpose, or a release that holds nothing."""
    try:
        found = case.after()
    except EucanError:
        return True
    return isinstance(found, bytes) and message.read_header(found)["status"] != "released"


def ran(call: Try, owned: Path) -> bool:
    """Whether the payload ran."""
    try:
        call()
    except Exception:  # noqa: BLE001, S110
        pass
    found = owned.exists()
    if found:
        owned.rmdir()
    return found


@dataclass(frozen=True)
class Outcome:
    """What became of a hostile thing."""

    name: str
    before: bool
    after: bool
    refused: bool


def outcomes(directory: Path) -> list[Outcome]:
    """Every hostile thing, tried."""
    analyst = attacked(directory, [people(60, seed=7)], protected=True)
    owned = directory / "owned"
    found = []
    for case in corpus(analyst, directory, owned):
        before = case.before is not None and ran(case.before, owned)
        after = ran(case.after, owned)
        found.append(Outcome(case.name, before, after, refused(case)))
    return found


@attack(
    "A24 code in the data",
    learned="anything at all: code that comes with a question, a job or a store runs",
    measure="hostile things that run code (before: opened as usual)",
    stopped_by="no pickle, strict formats",
)
def code(directory: Path) -> Strength:
    found = outcomes(directory)
    return Strength(float(sum(o.before for o in found)), float(sum(o.after for o in found)))
