"""Runs and sites killed at seeded moments, again and again: the same answer, sound ledgers."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from eucan_dask.federation import Federation
from eucan_dask.job import read_job
from eucan_dask.run import run_job
from eucan_dask.site import Site
from eucan_dask.site_pass import site_pass
from tests.links.parties import Parties, befriend, make_sites, share

SEED = 2026
SITES = {"heidelberg": 130, "lyon": 120, "toronto": 110}
PATIENCE = 60.0  # seconds: longer than any of these runs takes
JOB = """format = 1
name = "kills"
purpose = "DUO:0000006"
aggregator = "{aggregator}"
[[analyses]]
name = "cohort_summary"
[analyses.parameters]
fields = [{{ field = "sex", levels = ["female", "male"] }}]
[[analyses]]
name = "logistic_regression"
[analyses.parameters]
outcome = {{ gene = "TP53" }}
terms = ["age_at_diagnosis"]
"""


AGGREGATORS = ("none", "masked")


@dataclass(frozen=True)
class Undisturbed:
    """What a run nobody killed left, what ledgers remember of it, and how many answers it took."""

    tables: dict[str, bytes]
    remembered: dict[str, set[tuple[object, ...]]]
    n_answers: int


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_sites(tmp_path_factory.mktemp("sites"), SITES)


@pytest.fixture(scope="module")
def undisturbed(
    sites: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Undisturbed]:
    found = {}
    for aggregator in AGGREGATORS:
        root = tmp_path_factory.mktemp(aggregator)
        parties = share(sites, root)
        befriend(parties)
        disturb(parties, root, aggregator, kills=())
        left = tables(root / "out"), remembered(parties), n_answers(parties)
        found[aggregator] = Undisturbed(*left)
        assert len(found[aggregator].tables) == 5
    return found


def in_child(work: Callable[[], None]) -> int:
    """A copy of this process that does the work and ends; its id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001  a test's child must never return
        traceback.print_exc()
        os._exit(1)


def ended(child: int, within: float) -> int | None:
    """The exit status of a child, negative if a signal ended it; None if it still works."""
    until = time.monotonic() + within
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            return None
        time.sleep(0.005)


def n_answers(parties: Parties) -> int:
    """How far a run is: answers that sites gave and keep."""
    return sum(len(parties.answers(name)) for name in parties.sites)


def killed(child: int, parties: Parties, at: int, after: float) -> bool:
    """SIGKILL a child some moments after so many answers; False if it was done before."""
    until = time.monotonic() + PATIENCE
    while n_answers(parties) < at:
        assert time.monotonic() < until
        time.sleep(0.005)
    if (status := ended(child, after)) is not None:
        assert status == 0
        return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def disturb(
    parties: Parties, root: Path, aggregator: str, kills: Sequence[tuple[str, int, float]]
) -> int:
    """Coordinator and sites as processes, some of them killed at such moments; how many were.

    Whoever is killed starts again, as cron and a person with `--resume` would see to.
    """
    (root / "job.toml").write_text(JOB.format(aggregator=aggregator), encoding="utf-8")
    stop, n_killed = root / "stop", 0
    works = {name: partial(look, site, stop) for name, site in parties.sites.items()}
    works["coordinator"] = partial(coordinate, parties, root)
    children = {name: in_child(work) for name, work in works.items()}
    try:
        for name, at, after in kills:
            if killed(children[name], parties, at, after):
                n_killed += 1
                children[name] = in_child(works[name])
            else:
                del children[name]  # the run was over
                break
        if "coordinator" in children:
            assert ended(children.pop("coordinator"), PATIENCE) == 0
        stop.touch()
        while children:
            assert ended(children.popitem()[1], PATIENCE) == 0
    finally:
        for child in children.values():
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return n_killed


def look(site: Path, stop: Path) -> None:
    """Look into the mailbox again and again, as cron would."""
    over = False
    while not over:
        over = stop.exists()  # one more pass: who was killed last sweeps up behind itself
        site_pass(Site(site), tell=lambda line: None)
        time.sleep(0.05)


def coordinate(parties: Parties, root: Path) -> None:
    with Federation.open(parties.federation, deadline=PATIENCE / 60) as federation:
        run_job(read_job(root / "job.toml"), federation, root / "out", resume=True)


def tables(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.tsv"))}


def remembered(parties: Parties) -> dict[str, set[tuple[object, ...]]]:
    """What each site says it released, the run's own name and the time aside; sound databases."""
    found = {}
    for name, site in parties.sites.items():
        database = sqlite3.connect(site / "node" / "ledger.sqlite")
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
        database.close()
        rows = Site(site).ledger.summary()
        found[name] = {(r["analysis"], r["freeze"], r["n_individuals"]) for r in rows}
    return found


def check_killed(
    number: int, sites: dict[str, Path], undisturbed: dict[str, Undisturbed], root: Path
) -> None:
    """Three kills at seeded moments, of coordinator or sites; then everything is as undisturbed."""
    rng = random.Random(SEED + number)
    aggregator = AGGREGATORS[number % len(AGGREGATORS)]
    whole = undisturbed[aggregator]
    parties = share(sites, root)
    befriend(parties)
    whom = rng.choices(("coordinator", *SITES), k=3)
    at = sorted(rng.choices(range(whole.n_answers * 3 // 4), k=3))
    kills = [(w, n, rng.uniform(0, 0.2)) for w, n in zip(whom, at, strict=True)]
    assert disturb(parties, root, aggregator, kills) >= 1
    assert tables(root / "out") == whole.tables
    assert remembered(parties) == whole.remembered
    assert not (root / "out" / "finished.json").exists()
    assert json.loads((root / "out" / "provenance.json").read_text())["analyses"]
    assert parties.left() == []


@pytest.mark.parametrize("number", range(20))
def test_disturb__twenty_seeds(
    number: int, sites: dict[str, Path], undisturbed: dict[str, Undisturbed], tmp_path: Path
) -> None:
    check_killed(number, sites, undisturbed, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("number", range(20, 220))
def test_disturb__two_hundred_seeds(
    number: int, sites: dict[str, Path], undisturbed: dict[str, Undisturbed], tmp_path: Path
) -> None:
    check_killed(number, sites, undisturbed, tmp_path)
