"""All memory of a coordinator, read while it adds up: under masks no site's sums are in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucan_dask.federation import Federation
from eucan_dask.fixed_point import encode
from eucan_dask.job import read_job
from eucan_dask.leaving import leaving
from eucan_dask.partial import Release
from eucan_dask.request import Request
from tests.asking import put
from tests.links.parties import Parties, befriend, make_sites, share
from tests.test_random_kills import in_child, look

SITES = {"heidelberg": 530, "lyon": 620, "toronto": 570}  # so that no count is hidden
PAGE = 4096
ROOT = Path(__file__).parent.parent
JOB = """format = 1
name = "looked into"
purpose = "DUO:0000006"
aggregator = "{aggregator}"
[[analyses]]
name = "cohort_summary"
[analyses.parameters]
fields = [{{ field = "stage", levels = ["I", "II", "III", "IV"] }}]
[[analyses]]
name = "logistic_regression"
[analyses.parameters]
outcome = {{ gene = "TP53" }}
terms = ["age_at_diagnosis"]
"""
MOST_NEEDLES = 2  # of each kind and site: each costs a walk through all memory


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_sites(tmp_path_factory.mktemp("sites"), SITES)


# --- what is looked for ---


def answers(sites: dict[str, Path], root: Path) -> dict[str, list[tuple[Request, Release]]]:
    """What each site gives a processor in the clear to the first round of each question."""
    parties = share(sites, root)
    job = read_job(write_job(root, "trusted"))
    with Federation.open(parties.federation) as federation:
        asked = [
            federation.request(q.analysis, purpose=job.purpose, aggregator="trusted", panel=q.panel)
            for q in job.questions
        ]
    return {
        name: [(request, put(site, request)) for request in asked]
        for name, site in parties.sites.items()
    }


def needles(given: list[tuple[Request, Release]]) -> dict[str, list[bytes]]:
    """Bytes that only who knows a site's sums can hold: runs of counts, in several forms; sums."""
    found: dict[str, list[bytes]] = {"counts": [], "as floats": [], "sums": [], "words": []}
    for request, release in given:
        for values in release.arrays.values():
            flat = values.reshape(-1)
            if flat.dtype == np.int64:
                runs = [r for r in windows(flat) if r.min() > 20 and np.unique(r).size > 1]
                found["counts"] += [r.tobytes() for r in runs]
                found["as floats"] += [r.astype(np.float64).tobytes() for r in runs]
            elif flat.dtype == np.float64:
                odd = flat[(flat != np.round(flat, 3)) & (np.abs(flat) > 1e-6)]
                found["sums"] += [one.tobytes() for one in odd]
        shapes = leaving(request.analysis, request.coords, "masked")
        words = encode({n: release.arrays[n] for n in shapes}, shapes, n_sites=len(SITES))
        found["words"] += [pair.tobytes() for pair in windows(words, 2) if pair[0] > 2**32]
    return {kind: list(dict.fromkeys(some))[:MOST_NEEDLES] for kind, some in found.items()}


def total_counts(given: dict[str, list[tuple[Request, Release]]]) -> list[bytes]:
    """Runs of the first question's counts, summed over the sites."""
    levels = sum(some[0][1].arrays["level_n_individuals"] for some in given.values())
    return [run.tobytes() for run in windows(levels.reshape(-1)) if run.min() > 20][:MOST_NEEDLES]


def windows(flat: np.ndarray[Any, Any], n: int = 3) -> list[np.ndarray[Any, Any]]:
    return [flat[i : i + n] for i in range(flat.size - n + 1)]


# --- where ---


@dataclass
class Memory:
    """All that a process can write to: stacks, heaps, arrays; what changed since the last look."""

    process: int
    seen: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict)

    def fresh(self) -> Iterator[bytes]:
        """Stretches of memory with what was never read, or is not what it was."""
        lines = Path(f"/proc/{self.process}/maps").read_text().splitlines()
        with open(f"/proc/{self.process}/mem", "rb", buffering=0) as stream:
            for line in lines:
                span, rights, *_ = line.split()
                if rights.startswith("rw"):
                    begin, end = (int(number, 16) for number in span.split("-"))
                    stream.seek(begin)
                    pages = np.frombuffer(stream.read(end - begin), np.uint8).reshape(-1, PAGE)
                    yield pages[self._changed(begin, pages)].tobytes()

    def _changed(self, begin: int, pages: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Which pages changed, with those before and after: what lies across two is whole."""
        before = self.seen.get(begin, pages[:0])
        n = min(len(before), len(pages))
        changed = pages.any(axis=1)  # what was never written to is zero
        changed[:n] = (pages[:n] != before[:n]).any(axis=1)
        self.seen[begin] = pages
        wide = np.concatenate([[False], changed, [False]])
        return wide[:-2] | changed | wide[2:]


def files(*folders: Path) -> Iterator[bytes]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.read_bytes()


def held(pieces: Iterator[bytes], wanted: set[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for piece in pieces:
        found |= {needle for needle in wanted - found if needle in piece}
    return found


# --- the coordinator ---


def write_job(root: Path, aggregator: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "job.toml").write_text(JOB.format(aggregator=aggregator), encoding="utf-8")
    return root / "job.toml"


@contextmanager
def looking(parties: Parties, root: Path) -> Iterator[None]:
    """The sites as processes of their own, until the block ends."""
    stop = root / "stop"
    children = [in_child(partial(look, site, stop)) for site in parties.sites.values()]
    try:
        yield
    finally:
        stop.touch()
        for child in children:
            os.waitpid(child, 0)


def looked_into(
    parties: Parties, root: Path, wanted: set[bytes]
) -> tuple[int, set[bytes], set[bytes]]:
    """Run the job; how often the coordinator stood still, and what was in memory, and in files."""
    arguments = [parties.federation, root / "job.toml", root / "out"]
    coordinator = subprocess.Popen(
        [sys.executable, ROOT / "tests" / "stopping.py", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    memory = Memory(coordinator.pid)
    n_stops, in_memory, in_files = 0, set(), set()
    try:
        while os.WIFSTOPPED(status := os.waitpid(coordinator.pid, os.WUNTRACED)[1]):
            n_stops += 1
            in_memory |= held(memory.fresh(), wanted)
            in_files |= held(files(root / "out", parties.desk, *parties.boxes.values()), wanted)
            os.kill(coordinator.pid, signal.SIGCONT)
        coordinator.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if coordinator.returncode is None:
            coordinator.kill()
            coordinator.wait()
    assert coordinator.returncode == 0
    return n_stops, in_memory, in_files


@pytest.mark.parametrize("aggregator", ["none", "masked"])
def test_memory__of_a_coordinator_holds_no_site_s_sums(
    sites: dict[str, Path], tmp_path: Path, aggregator: str
) -> None:
    """Looked into before and after each sum, and at the end; under `none` all of it is found."""
    given = answers(sites, tmp_path / "asked")
    planted = {name: needles(some) for name, some in given.items()}
    found = [len(some) for kinds in planted.values() for some in kinds.values()]
    assert found == [MOST_NEEDLES] * 4 * len(SITES)
    wanted = {n for kinds in planted.values() for some in kinds.values() for n in some}
    totals = set(total_counts(given))
    parties = share(sites, tmp_path / "own")
    befriend(parties)
    write_job(tmp_path / "own", aggregator)
    with looking(parties, tmp_path / "own"):
        n_stops, in_memory, in_files = looked_into(parties, tmp_path / "own", wanted | totals)
    assert n_stops == (5 if aggregator == "none" else 9)
    assert totals <= in_memory, "what the coordinator may see is found in the same way"
    if aggregator == "masked":
        assert in_memory == totals
        assert in_files & wanted == set()
        return
    for name, kinds in planted.items():
        for kind in ("counts", "sums"):
            assert set(kinds[kind]) & in_memory, f"{kind} of {name}: not found where they must be"
            assert set(kinds[kind]) & in_files
