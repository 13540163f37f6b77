"""Freezes: nothing that happens to an ingest harms the store."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from eucan_dask.errors import Invalid, Unavailable
from eucan_dask.store.edit import add_clinical, add_maf
from eucan_dask.store.freeze import writing
from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from eucan_dask.store.inspect import verify
from eucan_dask.store.manifest import read_head, read_manifest
from eucan_dask.store.open import open_store
from tests.store.store_tables import CLINICAL, MAF, changed, mutation, table


def snapshot(store: Path) -> dict[str, bytes]:
    files = (p for p in store.rglob("*") if p.is_file() and p.name != ".lock")
    return {p.relative_to(store).as_posix(): p.read_bytes() for p in files}


def test_writing__second_ingest_is_told(store: Path, maf: Path) -> None:
    with (store / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="another ingest or edit of this store is running"):
            ingest_maf(maf, store=store, assembly="GRCh37")


def test_writing__first_ingest_in_progress_is_not_harmed(tmp_path: Path, maf: Path) -> None:
    store = tmp_path / "new"
    with writing(store, create=True) as building:
        with pytest.raises(Unavailable):
            ingest_maf(maf, store=store, assembly="GRCh37")
        assert building.path.is_dir()
    assert not store.exists()


def test_writing__leftovers_are_removed(store: Path, maf: Path) -> None:
    (store / "freezes" / ".building-dead" / "somatic.zarr").mkdir(parents=True)
    (store / ".eucan.json-dead").write_text("{")
    open_store(store).dataset()
    assayed = store.parent / "assayed.txt"
    assert ingest_maf(maf, store=store, assembly="GRCh37", assayed=assayed).unchanged
    assert not list(store.glob("freezes/.building*"))
    assert not list(store.glob(".eucan.json-*"))


def test_writing__first_ingest_killed_then_rerun(tmp_path: Path, maf: Path) -> None:
    store = tmp_path / "s"
    (store / "freezes" / ".building-dead").mkdir(parents=True)
    (store / ".lock").touch()
    ingest_maf(maf, store=store, assembly="GRCh37")
    assert not verify(store)


def test_writing__mislaid_head_costs_no_freeze(store: Path, tmp_path: Path) -> None:
    head = (store / "eucan.json").read_bytes()
    (store / "eucan.json").unlink()
    with pytest.raises(Invalid, match="cannot be read"):
        ingest_maf(tmp_path / "nowhere.maf", store=store, assembly="GRCh37")
    (store / "eucan.json").write_bytes(head)
    assert not verify(store)
    open_store(store).dataset().compute()


def test_publish__killed_between_rename_and_switch(store: Path, tmp_path: Path) -> None:
    new = table(tmp_path / "new.tsv", changed(CLINICAL[:1], 0, individual_id="E", sample_id="E-1"))
    head = (store / "eucan.json").read_bytes()
    digest = add_clinical(new, store=store, mapping="plain", unmatched="keep").digest
    (store / "eucan.json").write_bytes(head)
    again = add_clinical(new, store=store, mapping="plain", unmatched="keep")
    assert (again.digest, again.unchanged) == (digest, False)
    # ... and if what was renamed into place did not all reach the disk:
    (store / "eucan.json").write_bytes(head)
    (store / "freezes" / digest / "manifest.json").unlink()
    assert add_clinical(new, store=store, mapping="plain", unmatched="keep").digest == digest
    (store / "eucan.json").write_bytes(head)
    (store / "freezes" / digest / "clinical.zarr" / "individual_id" / "0").write_bytes(b"")
    assert add_clinical(new, store=store, mapping="plain", unmatched="keep").digest == digest
    assert not verify(store)


def test_carry__unchanged_shards_are_links(store: Path) -> None:
    first, second = (p for p in (store / "freezes").glob("*/clinical.zarr/individual_id/0"))
    assert first.stat().st_ino != second.stat().st_ino  # the MAF's samples were matched
    maf_first = store.parent / "other"
    ingest_maf(table(store.parent / "m.maf", MAF), store=maf_first, assembly="GRCh37")
    clinical = store.parent / "clinical.tsv"
    ingest_clinical(clinical, store=maf_first, mapping="plain", unmatched="keep")
    files = list((maf_first / "freezes").glob("*/somatic.zarr/sample_id/0"))
    assert len(files) == 2
    assert files[0].stat().st_ino == files[1].stat().st_ino


def test_carry__copies_where_the_disk_has_no_links(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    new = table(tmp_path / "new.tsv", changed(CLINICAL[:1], 0, individual_id="E", sample_id="E-1"))
    add_clinical(new, store=store, mapping="plain", unmatched="keep")
    assert not verify(store)


def test_carry__full_disk(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "link", refuse)
    new = table(tmp_path / "new.tsv", changed(CLINICAL[:1], 0, individual_id="E", sample_id="E-1"))
    with pytest.raises(Invalid, match="the disk is full"):
        add_clinical(new, store=store, mapping="plain", unmatched="keep")


def test_writing__lock_of_a_store_just_removed(
    store: Path, maf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever failed to make it removed it, lock and all, while we were about to lock it."""
    lock = fcntl.flock

    def removed(stream: IO[str], how: int) -> None:
        lock(stream, how)
        (store / ".lock").unlink()

    monkeypatch.setattr(fcntl, "flock", removed)
    with pytest.raises(Unavailable):
        ingest_maf(maf, store=store, assembly="GRCh37")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_writing__disk_says_no(
    public_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store = public_store
    before = snapshot(store)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), "somewhere")

    new = table(tmp_path / "new.maf", [mutation(Tumor_Sample_Barcode="E-1")])
    for place in ("eucan_dask.store.freeze.write_arrays", "eucan_dask.store.freeze._sync"):
        with monkeypatch.context() as patch:
            patch.setattr(place, refuse)
            with pytest.raises(Invalid, match="the store is as it was") as error:
                add_maf(new, store=store, unmatched="keep")
        assert error.value.exit_code == 2
        after = {k: v for k, v in snapshot(store).items() if k in before}
        assert after == before
        assert open_store(store).manifest.digest == read_head(store).freeze


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    command = shutil.which("mount")
    if os.geteuid() != 0 or command is None:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(  # noqa: S603
        [command, "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(path)], capture_output=True
    )
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", str(path)], check=True)  # noqa: S603, S607


def test_writing__full_disk(small_disk: Path, tmp_path: Path) -> None:
    store = small_disk / "store"
    chance = random.Random(1)  # noqa: S311
    rows = [
        mutation(Start_Position=str(i), Tumor_Seq_Allele2="".join(chance.choices("ACGT", k=400)))
        for i in range(1, 8000)
    ]
    big = table(tmp_path / "big.maf", rows)
    with pytest.raises(Invalid, match="the disk is full") as error:
        ingest_maf(big, store=store, assembly="GRCh37")
    assert error.value.exit_code == 2
    assert not store.exists()
    ingest_clinical(table(tmp_path / "c.tsv", CLINICAL), store=store, mapping="plain")
    before = snapshot(store)
    with pytest.raises(Invalid, match="the disk is full"):
        ingest_maf(big, store=store, assembly="GRCh37", unmatched="keep")
    assert snapshot(store) == before
    ingest_maf(table(tmp_path / "m.maf", MAF), store=store, assembly="GRCh37", unmatched="keep")
    assert not verify(store)


def ingest_both(maf: Path, clinical: Path, store: Path) -> str:
    ingest_maf(maf, store=store, assembly="GRCh37", unmatched="keep", data_class="public")
    return ingest_clinical(clinical, store=store, mapping="plain", unmatched="keep").digest


def add_more(maf: Path, store: Path) -> None:
    add_maf(maf, store=store, unmatched="keep")


def test_writing__killed_at_any_moment(tmp_path: Path) -> None:
    """SIGKILL at twenty moments: the former freeze opens, and a rerun gives what was meant."""
    rows = [
        mutation(Start_Position=str(i), Tumor_Sample_Barcode=f"S{i % 30}") for i in range(1, 3000)
    ]
    more = table(tmp_path / "more.maf", rows)
    clean, store = tmp_path / "clean", tmp_path / "store"
    maf, clinical = table(tmp_path / "m.maf", MAF), table(tmp_path / "c.tsv", CLINICAL)
    former = ingest_both(maf, clinical, clean)
    shutil.copytree(clean, store)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["eucan_dask.store.edit"])
    child = context.Process(target=add_more, args=(more, clean))
    child.start()
    child.join()
    wanted = read_head(clean).freeze
    seconds = 0.0
    for _ in range(2):  # the second one knows the fork server warm
        shutil.copytree(store, tmp_path / "timed")
        begun = time.perf_counter()
        child = context.Process(target=add_more, args=(more, tmp_path / "timed"))
        child.start()
        child.join()
        seconds = time.perf_counter() - begun
        shutil.rmtree(tmp_path / "timed")
    chance = random.Random(20240611)  # noqa: S311
    n_killed = 0
    for moment in sorted(chance.uniform(0, seconds) for _ in range(20)):
        child = context.Process(target=add_more, args=(more, store))
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
            shutil.copytree(clean, store)
            _back_to(store, former)
    assert n_killed > 5
    add_more(more, store)
    assert read_head(store).freeze == wanted
    assert not verify(store)
    assert not list(store.glob("freezes/.building*"))


def _back_to(store: Path, digest: str) -> None:
    head = json.loads((store / "eucan.json").read_text())
    shutil.rmtree(store / "freezes" / head["freeze"])
    (store / "eucan.json").write_text(json.dumps({**head, "freeze": digest}))


def test_read_head__newer_format(store: Path) -> None:
    head = json.loads((store / "eucan.json").read_text())
    (store / "eucan.json").write_text(json.dumps({**head, "format": 2, "colour": "red"}))
    for read in (open_store, verify, read_head):
        with pytest.raises(
            Invalid,
            match=r"newer version of eucan-dask \(format 2, this one reads up to 1\); upgrade",
        ):
            read(store)


def test_read_manifest__newer_format(store: Path) -> None:
    path = store / "freezes" / read_head(store).freeze / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 7}))
    with pytest.raises(Invalid, match=r"newer version of eucan-dask \(format 7"):
        open_store(store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 0}, "has no known format; expected 1; found 0"),
        ({"format": True}, "has no known format"),
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"data_class": "secret"}, "unknown value of data_class"),
        ({"freeze": 3}, "key 'freeze' has the wrong type"),
    ],
)
def test_read_head__strict(store: Path, change: dict[str, object], message: str) -> None:
    head = json.loads((store / "eucan.json").read_text())
    (store / "eucan.json").write_text(json.dumps({**head, **change}))
    with pytest.raises(Invalid, match=message):
        read_head(store)


def test_read_manifest__strict(store: Path) -> None:
    digest = read_head(store).freeze
    path = store / "freezes" / digest / "manifest.json"
    whole = json.loads(path.read_text())
    path.write_text("{")
    with pytest.raises(Invalid, match="is not JSON"):
        read_manifest(store, digest)
    path.write_text(json.dumps({**whole, "digest": "0" * 12}))
    with pytest.raises(Invalid, match="names another freeze"):
        read_manifest(store, digest)
    path.unlink()
    with pytest.raises(Invalid, match="cannot be read"):
        read_manifest(store, digest)
    with pytest.raises(Invalid, match="is not a store"):
        open_store(store / "freezes")
