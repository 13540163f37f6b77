"""A scan killed between any two steps, its files cut or dirtied: it goes on to the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
import zarr

from eucan_dask.errors import Invalid
from eucan_dask.formats import FORMATS
from eucan_dask.message import read_header
from eucan_dask.run import run_job
from eucan_dask.site import Site
from tests.scans import (
    IDS,
    assert_same,
    copied,
    counted,
    job_of,
    left,
    make_scan_federation,
    put,
    small_blocks,
)

SIZE = 6  # four blocks of the 21 variants, the last one short
ROOT = Path(__file__).parent.parent


class Killed(BaseException):
    """Nothing in the program catches this."""


@dataclass(frozen=True)
class Unbroken:
    """The federation, and what a run that nobody disturbed left.

    Parameters
    ----------
    n_steps
        How often it put a file or a chunk into place.
    """

    file: Path
    left: Any
    n_steps: int
    ledger: Any


@contextmanager
def killed_at(step: int) -> Iterator[list[int]]:
    """Stop before the `step`-th time that a file is put into place, renamed or forced to disk."""
    seen = [0]
    replace, fsync = os.replace, os.fsync

    def counting(call: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            seen[0] += 1
            if seen[0] == step:
                raise Killed
            return call(*arguments, **options)

        return counted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", counting(replace))
        patch.setattr(os, "fsync", counting(fsync))
        yield seen


@pytest.fixture(autouse=True)
def _cut(monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch, SIZE)


def ledgers(file: Path) -> Any:
    names = ("analysis", "freeze", "n_individuals")
    return {
        site: [
            tuple(row[n] for n in names)
            for row in Site(file.parent / site / "site").ledger.summary()
        ]
        for site in "ab"
    }


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    root = tmp_path_factory.mktemp("killed")
    file = make_scan_federation(root / "federation")
    own = copied(file, root / "reference")
    with pytest.MonkeyPatch.context() as patch, killed_at(-1) as seen:
        small_blocks(patch, SIZE)
        put(own, root / "out")
    return Unbroken(file, left(root / "out"), seen[0], ledgers(own))


def finish(unbroken: Unbroken, own: Path, out: Path) -> None:
    put(own, out, resume=True)
    assert_same(out, unbroken.left)
    assert ledgers(own) == unbroken.ledger
    assert not list(out.glob(".*")), "a temporary file is left"


def kill_and_finish(unbroken: Unbroken, tmp_path: Path, *steps: int) -> None:
    """Killed at each of the steps, counted anew; then resumed."""
    own, out = copied(unbroken.file, tmp_path / "own"), tmp_path / "out"
    for number, step in enumerate(steps):
        with killed_at(step) as seen, pytest.raises(Killed):
            put(own, out, resume=number > 0 and (out / "finished.json").exists())
        assert seen[0] == step
    finish(unbroken, own, out)


@pytest.mark.parametrize("share", [0.1, 0.55, 0.99])
def test_resume__killed_at_some_step(unbroken: Unbroken, share: float, tmp_path: Path) -> None:
    assert unbroken.n_steps > 100
    kill_and_finish(unbroken, tmp_path, max(2, int(share * unbroken.n_steps)))


@pytest.mark.long
@pytest.mark.parametrize("number", range(60))
def test_resume__killed_at_many_steps(unbroken: Unbroken, number: int, tmp_path: Path) -> None:
    kill_and_finish(unbroken, tmp_path, 2 + number * (unbroken.n_steps - 2) // 60)


def test_resume__killed_again_while_it_goes_on(unbroken: Unbroken, tmp_path: Path) -> None:
    n = unbroken.n_steps
    kill_and_finish(unbroken, tmp_path, n // 3, n // 10, n // 5, 3)


SCRIPT = """
import os, signal, sys
from pathlib import Path
import pytest
from tests.scans import put, small_blocks
from tests.test_scan_killed import SIZE
small_blocks(pytest.MonkeyPatch(), SIZE)
seen, replace = 0, os.replace
def killing(*arguments, **options):
    global seen
    seen += 1
    if seen == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(*arguments, **options)
os.replace = killing
put(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_resume__after_sigkill(unbroken: Unbroken, tmp_path: Path) -> None:
    own, out = copied(unbroken.file, tmp_path / "own"), tmp_path / "out"
    arguments = [sys.executable, "-c", SCRIPT, str(own), str(out), str(unbroken.n_steps // 3)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    finish(unbroken, own, out)


# --- what lies behind the last whole block does not matter; what lies before it does ---


def stopped(unbroken: Unbroken, tmp_path: Path, n_sent: int) -> tuple[Path, Path, list[Any]]:
    """A run whose link broke after so many messages: its federation, directory and messages."""
    own, out = copied(unbroken.file, tmp_path / "own"), tmp_path / "out"
    federation, links = counted(own, b=(Killed(), n_sent))  # type: ignore[arg-type]
    with federation, pytest.raises(Killed):
        run_job(job_of(own), federation, out)
    return own, out, [read_header(raw) for raw in links[0].sent]


def test_resume__no_finished_block_is_asked_again(unbroken: Unbroken, tmp_path: Path) -> None:
    own, out, before = stopped(unbroken, tmp_path, 2)
    federation, links = counted(own)
    with federation:
        run_job(job_of(own), federation, out, resume=True)
    after = [read_header(raw) for raw in links[0].sent]
    asked = [(h["analysis"], h["run"], h["rounds"]) for h in before + after]
    twice = {key for key in asked if asked.count(key) > 1}
    assert len(twice) <= 1  # the block at hand when it stopped, under its own name
    assert len(set(asked)) == 4 + 2 * 4
    assert {run.partition("-")[0] for _, run, _ in asked} == {
        h["run"].partition("-")[0] for h in after
    }
    assert_same(out, unbroken.left)


def test_resume__garbage_after_the_last_whole_block(unbroken: Unbroken, tmp_path: Path) -> None:
    own, out, _ = stopped(unbroken, tmp_path, 2)
    for path in out.glob("*.gz"):
        with path.open("ab") as stream:
            stream.write(b"\x1f\x8b half a member of the block that was written")
    group = zarr.open_group(str(out / "result.zarr" / IDS[0]), mode="r+")
    for _, array in group.arrays():
        if array.shape[:1] == (12,):
            array.resize(18, *array.shape[1:])
            array[12:] = array[:6]
    finish(unbroken, own, out)


@pytest.mark.parametrize("what", ["cut", "gone"])
def test_resume__a_table_that_lost_rows(unbroken: Unbroken, tmp_path: Path, what: str) -> None:
    own, out, _ = stopped(unbroken, tmp_path, 2)
    (path,) = out.glob("*.gz")
    data = path.read_bytes()
    path.write_bytes(data[:-1]) if what == "cut" else path.unlink()
    with pytest.raises(Invalid, match="lacks rows it had"):
        put(own, out, resume=True)


@pytest.mark.parametrize("what", ["short", "gone"])
def test_resume__numbers_that_were_lost(unbroken: Unbroken, tmp_path: Path, what: str) -> None:
    own, out, _ = stopped(unbroken, tmp_path, 2)
    where = out / "result.zarr" / IDS[0]
    if what == "short":
        zarr.open_group(str(where), mode="r+")["frequency"].resize(6, 1)
    else:
        shutil.rmtree(where)
    with pytest.raises(Invalid, match="lacks variants it had"):
        put(own, out, resume=True)


def test_resume__another_panel_is_another_job(unbroken: Unbroken, tmp_path: Path) -> None:
    own, out, _ = stopped(unbroken, tmp_path, 2)
    lines = (own.parent / "panel.txt").read_text().splitlines()
    (own.parent / "panel.txt").write_text("\n".join(lines[:-1]))
    with pytest.raises(Invalid, match="another job"):
        put(own, out, resume=True)


def test_resume__the_cost_of_every_block_is_told(unbroken: Unbroken, tmp_path: Path) -> None:
    """Rounds, seconds and bytes of the whole scan, though the last block was on disk already."""
    own, out = copied(unbroken.file, tmp_path / "own"), tmp_path / "out"

    def stop(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FORMATS, "gwas_ssf", stop)
        with pytest.raises(Killed):
            put(own, out)
    told = json.loads((out / "finished.json").read_text())["asking"]
    assert told["blocks"] == 4
    put(own, out, resume=True)
    first, second = json.loads((out / "provenance.json").read_text())["analyses"]
    assert (first["rounds"], second["rounds"]) == (1, 2)
    assert [s["n_tasks"] >= 4 for s in first["sites"]] == [True, True]
    assert [s["bytes_out"] for s in second["sites"]] == [o["bytes_out"] for o in told["outcomes"]]
    assert second["seconds"] == pytest.approx(told["seconds"], abs=1e-3)
    with xr.open_zarr(out / "result.zarr", group=IDS[0]) as ds:
        assert ds.sizes["variants"] == 21
