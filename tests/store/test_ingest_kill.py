"""An ingest of genotypes that is killed, interrupted or out of disk leaves the store as it was."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from eucan_dask.errors import Invalid, Unavailable
from eucan_dask.store import build_variants
from eucan_dask.store.build_variants import build
from eucan_dask.store.ingest import ingest_clinical
from eucan_dask.store.ingest_variants import ingest_vcf
from eucan_dask.store.inspect import verify
from eucan_dask.store.manifest import read_head
from eucan_dask.store.open import open_store
from eucan_dask.store.records import Records
from eucan_dask.store.variants import Cohort
from tests.conftest import ROOT
from tests.store.genotypes import simulated, vcf
from tests.store.store_tables import CLINICAL, table

COHORT = Cohort("GRCh37", ("A-1",), np.zeros(1, dtype=np.int8), 2, reference_checked=False)


@dataclass(frozen=True)
class Slow:
    """A unit of work that says who works on it, and takes its time."""

    told: Path
    seconds: float = 60
    contig: str = "1"

    def records(self) -> Iterator[Records]:
        (self.told / str(os.getpid())).touch()
        time.sleep(self.seconds)
        return iter(())


class Fatal(Slow):
    """A unit of work that costs the worker its life, as want of memory would."""

    def records(self) -> Iterator[Records]:
        os.kill(os.getpid(), signal.SIGKILL)
        return iter(())


class Full(Slow):
    """A unit of work that finds no room on the disk."""

    def records(self) -> Iterator[Records]:
        raise OSError(errno.ENOSPC, "No space left on device", str(self.told))


class Wrong(Slow):
    """A unit of work that finds its input wrong."""

    def records(self) -> Iterator[Records]:
        raise Invalid("is wrong", where="a.vcf, record 7", expected=1, found=2, remedy="mend it")


def work(units: list[Slow], root: Path, *, workers: int = 2) -> None:
    build(
        units,
        COHORT,
        root=root,
        scratch=root / "scratch",
        fasta=None,
        workers=workers,
        progress=None,
    )


def until(done: object, *, seconds: float = 20) -> None:
    """Wait for something to be true."""
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.02)


def alive(folder: Path) -> list[int]:
    """Workers that told their number and are still there."""
    return [int(p.name) for p in folder.iterdir() if _runs(int(p.name))]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


@needs_proc
def test_pool__killed_parent_leaves_no_worker(tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.mkdir()
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=work, args=([Slow(told), Slow(told)], tmp_path))
    child.start()
    until(lambda: len(alive(told)) == 2)
    child.kill()
    child.join()
    until(lambda: not alive(told))


@needs_proc
def test_pool__error_elsewhere_ends_the_others(tmp_path: Path) -> None:
    """The first error is the answer; nobody waits for a minute's work."""
    told = tmp_path / "told"
    told.mkdir()
    begun = time.monotonic()
    with pytest.raises(
        Invalid, match="a.vcf, record 7: is wrong; expected 1; found 2; mend it"
    ) as e:
        work([Slow(told), Wrong(told)], tmp_path)
    assert (e.value.where, e.value.exit_code) == ("a.vcf, record 7", 2)
    assert time.monotonic() - begun < 30
    until(lambda: not alive(told))


@pytest.mark.parametrize("workers", [1, 2])
def test_build__disk_full(tmp_path: Path, workers: int) -> None:
    """The error number survives the way back, so that the store can tell."""
    with pytest.raises(OSError, match="No space") as error:
        work([Full(tmp_path)], tmp_path, workers=workers)
    assert error.value.errno == errno.ENOSPC


def test_build__worker_killed(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="a worker process was killed.*store is as it was"):
        work([Fatal(tmp_path), Slow(tmp_path, 0)], tmp_path)


def test_ingest_vcf__disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    path, store = vcf(tmp_path / "a.vcf"), tmp_path / "s"
    ingest_clinical(table(tmp_path / "c.tsv", CLINICAL), store=store, mapping="plain")
    before = read_head(store)
    for place in ("write_segment", "write_variants"):
        with monkeypatch.context() as patch:
            patch.setattr(build_variants, place, refuse)
            with pytest.raises(Invalid, match="the disk is full; the store is as it was"):
                ingest_vcf(path, store=store, assembly="GRCh37", unmatched="keep")
        assert read_head(store) == before
        assert not list(store.glob("freezes/.*"))
    ingest_vcf(path, store=store, assembly="GRCh37", unmatched="keep")
    assert not verify(store)


SCRIPT = """
import sys
from pathlib import Path
from eucan_dask import cli
from eucan_dask.store import ingest_variants
from tests.store.test_ingest_kill import Slow
told = Path(sys.argv[1])
ingest_variants.build = lambda units, *a, _build=ingest_variants.build, **o: _build(
    [Slow(told), Slow(told)], *a, **{**o, "workers": 2})
sys.exit(cli.main(sys.argv[2:]))
"""


@needs_proc
def test_ingest_vcf__interrupted(tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the terminal; one line is said, nothing is left."""
    told, store = tmp_path / "told", tmp_path / "s"
    told.mkdir()
    path = vcf(tmp_path / "a.vcf")
    command = ["ingest", "vcf", str(path), "--store", str(store), "--assembly", "GRCh37"]
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(told), *command],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: len(alive(told)) == 2, seconds=60)
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "eucan-dask: stopped"
    assert "Traceback" not in err
    assert not store.exists()
    until(lambda: not alive(told))


def ingest(path: Path, store: Path) -> None:
    ingest_vcf(path, store=store, assembly="GRCh37", unmatched="keep", workers=2)


def kills(tmp_path: Path, moments: int, *, least: int) -> None:
    rows, _ = simulated(2500, 80)
    names = [*(row["sample_id"] for row in CLINICAL), *(f"S{i}" for i in range(75))]
    path = vcf(tmp_path / "a.vcf.gz", rows, names)
    store, clean = tmp_path / "store", tmp_path / "clean"
    clinical = table(tmp_path / "c.tsv", CLINICAL)
    former = ingest_clinical(clinical, store=store, mapping="plain", data_class="public").digest
    shutil.copytree(store, clean)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["eucan_dask.store.ingest_variants"])
    seconds = 0.0
    for turn in range(2):  # the second one knows the fork server warm
        shutil.rmtree(clean)
        shutil.copytree(store, clean)
        begun = time.perf_counter()
        child = context.Process(target=ingest, args=(path, clean))
        child.start()
        child.join()
        assert child.exitcode == 0, turn
        seconds = time.perf_counter() - begun
    wanted = read_head(clean).freeze
    chance = random.Random(20240611)
    n_killed = 0
    for moment in sorted(chance.uniform(0, seconds) for _ in range(moments)):
        child = context.Process(target=ingest, args=(path, store))
        child.start()
        time.sleep(moment)
        child.kill()
        child.join()
        n_killed += child.exitcode != 0
        found = read_head(store).freeze
        assert found in (former, wanted)
        open_store(store).dataset().compute()
        if found == wanted:
            shutil.rmtree(store)
            ingest_clinical(clinical, store=store, mapping="plain", data_class="public")
    assert n_killed >= least
    ingest(path, store)
    assert read_head(store).freeze == wanted
    assert not verify(store)
    assert not list(store.glob("freezes/.*"))


def test_ingest_vcf__killed_at_some_moments(tmp_path: Path) -> None:
    kills(tmp_path, 5, least=2)


@pytest.mark.long
def test_ingest_vcf__killed_at_any_moment(tmp_path: Path) -> None:
    kills(tmp_path, 40, least=15)
