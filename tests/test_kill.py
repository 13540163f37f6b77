"""`eucan-dask run` killed at any moment: nothing half-written, and `--resume` finishes it."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import pytest
import xarray as xr

from eucan_dask.demo import demo_variants
from eucan_dask.site import Site
from tests.cli.commands import CENTRES, console, demo_federation

SEED = 2026
IDS = (
    *("1-cohort_summary", "2-mutation_frequency", "3-survival"),
    *("4-cox_regression", "5-logistic_regression", "6-allele_frequency", "7-linear_association"),
)
Memberships = Counter[tuple[object, object, object]]


@dataclass(frozen=True)
class Undisturbed:
    """The run that nobody killed.

    Parameters
    ----------
    asking
        Seconds from the moment the run has its directory to its provenance.
    ledgers
        What each site remembers of it: analysis, freeze and people.
    """

    job: Path
    federation: Path
    tables: dict[str, bytes]
    asking: float
    ledgers: dict[str, Memberships]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    root = tmp_path_factory.mktemp("kill")
    with as_file(files("eucan_dask") / "demo.toml") as shipped:
        job = Path(shutil.copy(shipped, root / "job.toml"))
    (root / "panel.txt").write_text("\n".join(demo_variants()), encoding="utf-8")
    federation = demo_federation(root / "federation")
    copy = _copy(federation, root / "reference")
    process = _start(job, copy, root / "out")
    begin = _asking(process, root / "out")
    while process.poll() is None and not (root / "out" / "provenance.json").exists():
        time.sleep(0.005)
    asking = time.monotonic() - begin
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    tables = _tables(root / "out")
    assert len(tables) == 15
    return Undisturbed(job, federation, tables, 1.05 * asking, _ledgers(copy))


def _copy(federation: Path, to: Path) -> Path:
    """The same sites with ledgers of their own; the stores are shared."""
    left_out = shutil.ignore_patterns("store", "tables", "node")
    shutil.copytree(federation.parent, to, ignore=left_out)
    return to / federation.name


def _start(job: Path, federation: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    script = Path(sys.executable).with_name("eucan-dask")
    arguments = [str(script), "run", str(job), "--federation", str(federation), "--out", str(out)]
    return subprocess.Popen(
        [*arguments, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _asking(process: subprocess.Popen[str], out: Path) -> float:
    """Wait until the run has its directory, or goes on in it: what is before is import."""
    while process.poll() is None and not out.exists():
        time.sleep(0.005)
    if process.poll() is not None:
        _, told = process.communicate()
        pytest.fail(f"the run ended before it began: {told}")
    return time.monotonic()


def _appears(process: subprocess.Popen[str], out: Path, pattern: str) -> float:
    """Wait until a file of the run is there, finished or not."""
    while process.poll() is None and not any(out.glob(pattern)):
        time.sleep(0.001)
    assert process.poll() is None, f"the run ended and wrote no {pattern}"
    return time.monotonic()


def _kill(process: subprocess.Popen[str], begin: float, after: float) -> bool:
    """SIGKILL `after` seconds from `begin`; False if the run was done before."""
    try:
        time.sleep(max(0.0, begin + after - time.monotonic()))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        return process.returncode == -signal.SIGKILL
    finally:
        process.kill()
        process.communicate()


def _tables(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.tsv"))}


def _databases(federation: Path) -> Iterator[tuple[str, Path]]:
    for centre in CENTRES:
        path = federation.parent / centre / "site" / "node" / "ledger.sqlite"
        if path.exists():
            yield centre, path


def _ledgers(federation: Path) -> dict[str, Memberships]:
    """What each site says it released; the run's own name and the time aside."""
    return {
        centre: set(
            (row["analysis"], row["freeze"], row["n_individuals"])
            for row in Site(federation.parent / centre / "site").ledger.summary()
        )
        for centre, _ in _databases(federation)
    }


def _check_ledgers(federation: Path, whole: dict[str, Memberships]) -> None:
    """Sound databases that remember nothing but what the undisturbed run released."""
    for _, path in _databases(federation):
        assert _ask(path, "pragma integrity_check") == [("ok",)]
    remembered = _ledgers(federation)
    for centre, memberships in remembered.items():
        assert memberships <= whole[centre]


def _ask(path: Path, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(path)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def _check_finished(out: Path, undisturbed: Undisturbed) -> list[str]:
    """The questions said to be finished, each of which is whole: its tables and its numbers."""
    if not out.exists():
        return []
    if (out / "provenance.json").exists():
        record = json.loads((out / "provenance.json").read_text())
        assert [entry["id"] for entry in record["analyses"]] == list(IDS)
        done = list(IDS)
    elif (out / "finished.json").exists():
        done = [e["id"] for e in json.loads((out / "finished.json").read_text())["analyses"]]
    else:
        done = []
    assert done == list(IDS[: len(done)])
    names = [name for name in undisturbed.tables if name.split(".")[0] in done]
    for name in names:
        assert (out / name).read_bytes() == undisturbed.tables[name], name
    for table, data in _tables(out).items():
        assert data == undisturbed.tables[table], f"{table} is there, but not whole"
    for identifier in done:
        with xr.open_zarr(out / "result.zarr", group=identifier, consolidated=False) as dataset:
            assert dataset.load().sizes
    return done


def _resume(undisturbed: Undisturbed, federation: Path, out: Path) -> None:
    """Go on to the end, and find what the undisturbed run found."""
    if not (out / "provenance.json").exists():
        where = ("--federation", federation, "--out", out, "--resume")
        answer = console("run", undisturbed.job, *where)
        assert answer.code == 0, answer.err
    assert _check_finished(out, undisturbed) == list(IDS)
    assert _tables(out) == undisturbed.tables
    assert _ledgers(federation) == undisturbed.ledgers
    entries = json.loads((out / "provenance.json").read_text())["analyses"]
    left = {path.name for path in out.iterdir()} - set(undisturbed.tables)
    left -= {name for entry in entries for name in entry["files"]}
    assert left - {"report.html"} == {"provenance.json", "result.zarr"}
    for identifier in IDS:
        with xr.open_zarr(out / "result.zarr", group=identifier) as dataset:
            assert dataset.load().sizes


def test_kill__three_times_then_resumed(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """One run killed while it writes: tables twice, then numbers; twice while being resumed."""
    federation = _copy(undisturbed.federation, tmp_path / "federation")
    out = tmp_path / "out"
    reached = []
    for pattern in ("*1-cohort_summary.*", "3-survival.curve.tsv", "result.zarr/4-cox*"):
        options = ("--resume",) if reached else ()
        process = _start(undisturbed.job, federation, out, *options)
        assert _kill(process, _appears(process, out, pattern), 0.0)
        reached.append(len(_check_finished(out, undisturbed)))
        _check_ledgers(federation, undisturbed.ledgers)
    assert reached == sorted(reached)
    assert 2 <= reached[-1] < len(IDS)
    _resume(undisturbed, federation, out)


@pytest.mark.long
@pytest.mark.parametrize("number", range(20))
def test_kill__at_a_random_moment(number: int, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """A fresh run killed once, in one of twenty even strips of its time, then resumed."""
    share = (number + random.Random(SEED + number).random()) / 20
    federation = _copy(undisturbed.federation, tmp_path / "federation")
    out = tmp_path / "out"
    process = _start(undisturbed.job, federation, out)
    _kill(process, _asking(process, out), share * undisturbed.asking)
    _check_finished(out, undisturbed)
    _check_ledgers(federation, undisturbed.ledgers)
    _resume(undisturbed, federation, out)
