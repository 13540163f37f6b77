"""Attacks by everything but the values: lengths, words, tasks, logs, names and representations."""

from __future__ import annotations

import gc
import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from dask.callbacks import Callback

from eucan_dask.cohort import Cohort
from eucan_dask.errors import EucanError
from eucan_dask.registry import registry
from eucan_dask.request import Request
from eucan_dask.testing.data import People, people
from tests.attack_people import (
    PURPOSE,
    Analyst,
    Strength,
    altered,
    attack,
    attacked,
    mutated,
    without,
)
from tests.attacks.crowd import crowd
from tests.attacks.fuzzer import ANALYSES, Person, program
from tests.simulated import edit, make_store

WHO = "p00010"
SIGNATURE = 64
N_PROGRAMS = 4


def everybody() -> People:
    """Those of the crowd, genotyped: one of them is to be told from the messages."""
    return replace(crowd(90, seed=21).people, calls=people(90, seed=21, second_biosample=0.0).calls)


def others(simulated: People) -> dict[str, People]:
    """The same people but for one: mutated or not, another stage, another age, not there."""
    carries = simulated.mutations["gene"].eq("TP53") & simulated.mutations[
        "sample_id"
    ].str.startswith(WHO)
    return {
        "mutated": mutated(simulated, WHO, "TP53", yes=not carries.any()),
        "stage": altered(simulated, WHO, stage="0"),
        "outlier": altered(simulated, WHO, age_at_diagnosis=110.0),
        "absent": without(simulated, WHO),
    }


def twin(first: Analyst, directory: Path, simulated: People, *, protected: bool) -> Analyst:
    """The same site, its keys and all, before other people."""
    kind = "personal" if protected else "synthetic"
    store = make_store(directory / "other", simulated, data_class=kind, genotypes=True)
    shutil.copytree(first.file.parent, directory / "site", ignore=shutil.ignore_patterns("node"))
    site = directory / "site" / "a" / "site" / "site.toml"
    edit(site, {"store": json.dumps(str(store))})
    return Analyst(directory / "site" / first.file.name)


def requests(analyst: Analyst) -> list[Request]:
    """Every analysis' example, and programs of the fuzzer's about the person."""
    found = []
    for kind in registry().values():
        if not kind.__module__.startswith("eucan_dask.") or kind.min_cohorts > 1:
            continue
        example, panel = kind.example()
        for cohort in (Cohort("everybody"), Cohort.of("some", {"field": "sex", "equals": "male"})):
            found.append(
                analyst.federation.request(
                    example, purpose=PURPOSE, cohorts=(cohort,), panel=panel, tier="controlled"
                )
            )
    rng = np.random.default_rng(8)
    who = Person(0, 40, "male", "II", bit=True)
    for _ in range(N_PROGRAMS):
        for one in program(rng, 3):
            analysis, panel = ANALYSES[one.analysis]
            named = tuple(Cohort.of(f"c{i}", who.criteria(c)) for i, c in enumerate(one.cohorts))
            try:
                request = analyst.federation.request(
                    analysis, purpose=PURPOSE, cohorts=named, panel=panel, complete=one.complete
                )
            except EucanError:
                continue
            found.append(request)
    return found


def beside(analyst: Analyst, request: Request) -> tuple[object, ...]:
    """What can be seen beside the values: words of a refusal; length and facts of an answer."""
    (message,) = analyst.send(request).messages
    header, length = message.header, len(message.answer)
    if header["status"] != "released":
        return header["status"], message.answer[:-SIGNATURE], length
    return "released", length, header["header"].get("n_tasks")


def told_apart(
    one: Analyst, other: Analyst, asked: Iterable[Request], *, values: bool
) -> tuple[int, int]:
    """How many requests tell two sites apart by what is beside the values, or by them; of how many.

    Where one refuses and the other answers, that is a value: the edges of rules are attacks of
    their own.
    """
    apart = n = 0
    for request in asked:
        if values:
            pair = [who.send(request).messages[0].arrays for who in (one, other)]
            n += 1
            apart += any(not np.array_equal(v, pair[1].get(k)) for k, v in pair[0].items())
            continue
        seen = [beside(who, request) for who in (one, other)]
        if seen[0][0] == seen[1][0]:
            n += 1
            apart += seen[0] != seen[1]
    return apart, n


@attack(
    "A21 side channels",
    learned="whether a store holds one person, and what of them, from lengths, words and tasks",
    measure="share of questions that tell two stores apart (before: by unprotected values)",
    stopped_by="messages of one length, constant words",
)
def side_channels(directory: Path) -> Strength:
    simulated = everybody()
    totals = {}
    for protected in (False, True):
        apart = n = 0
        place = directory / str(protected)
        first = attacked(place / "first", [simulated], protected=protected, genotypes=True)
        for name, changed in others(simulated).items():
            if not protected and name != "absent":
                continue
            one = first.again(place / f"first again {name}")
            other = twin(one, place / name, changed, protected=protected)
            found = told_apart(one, other, requests(one), values=not protected)
            apart, n = apart + found[0], n + found[1]
        assert n >= 20, "too few questions are answered alike: the test says little"
        totals[protected] = apart / n
    return Strength(totals[False], totals[True])


# --- what else is written down ---


@contextmanager
def heard() -> Iterator[list[str]]:
    """Everything that is logged or named as a Dask task meanwhile."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())
            found.append(str(record.__dict__.get("exc_text") or ""))

    listener, root = Listener(level=0), logging.getLogger()
    before = root.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)

    def started(key: object, *_: object) -> None:
        found.append(str(key))

    try:
        with Callback(pretask=started):
            yield found
    finally:
        root.removeHandler(listener)
        root.setLevel(before)


def represented() -> list[str]:
    """Representations of every object of the package's classes that is alive."""
    found = []
    for value in gc.get_objects():
        kind: Any = type(value)
        module = str(getattr(kind, "__module__", ""))
        if module.startswith("eucan_dask.") and not module.startswith("eucan_dask.testing."):
            try:
                found.append(f"{kind.__name__}: {value!r}")
            except AttributeError:  # half made
                continue
    return found
