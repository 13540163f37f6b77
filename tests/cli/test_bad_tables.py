"""Bad tables through the command line: exit code 2, place and remedy, and the store as it was."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.cli.commands import Cli, console, refusal, tree
from tests.store.store_tables import CLINICAL, MAF, Row, changed, mutation, table, text_of, without

TEN = [mutation(Start_Position=str(p), End_Position=str(p)) for p in range(100, 1100, 100)]
MANY = [{**row, "Tumor_Sample_Barcode": s} for row in TEN for s in ("A-1", "B-1", "B-2", "C-1")]


def _cut(rows: Sequence[Row]) -> bytes:
    """A table that ends in the middle of its last row."""
    return text_of(rows).rsplit("\t", 4)[0].encode()


BAD_MAFS: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "a required column is lacking": (
        "bad.maf",
        text_of(without(MAF, "Variant_Classification")).encode(),
        ("bad.maf, line 1", "lacks the columns Variant_Classification", "vcf2maf"),
    ),
    "no header": ("bad.maf", b"#version 2.4\n", ("bad.maf", "has no header", "a MAF file")),
    "mixed assemblies": (
        "bad.maf",
        text_of(changed(MAF, 3, NCBI_Build="hg38")).encode(),
        ("bad.maf, line 5", "NCBI_Build", "another assembly", "hg38", "make another store"),
    ),
    "cut off in a row": (
        "bad.maf",
        _cut(MAF),
        ("bad.maf, line 7", "too few fields", "the file may be cut off: copy it again"),
    ),
    "gzip cut off": (
        "bad.maf.gz",
        gzip.compress(text_of(MANY).encode())[:-20],
        ("bad.maf.gz, line ", "compressed data end too early", "copy it again"),
    ),
    "unknown class": (
        "bad.maf",
        text_of(changed(MAF, 1, Variant_Classification="Missense_Mutatoin")).encode(),
        ("bad.maf, line 3", "Variant_Classification", "did you mean 'Missense_Mutation'?"),
    ),
    "no position": (
        "bad.maf",
        text_of(changed(MAF, 2, Start_Position="twelve")).encode(),
        ("bad.maf, line 4", "Start_Position is no position", "found 'twelve'"),
    ),
    "binary": ("bad.maf", b"BAM\x01\x00\x00\x00", ("bad.maf", "is not a text file")),
    "sample without a clinical row": (
        "bad.maf",
        text_of([*MAF, mutation(Tumor_Sample_Barcode="E-1")]).encode(),
        ("1 sequenced samples have no clinical row (E-1)", "correct the ids", "--unmatched keep"),
    ),
    "clinical row without a sample": (
        "bad.maf",
        text_of(MAF[:4]).encode(),
        ("clinical samples have no sequenced sample (C-1", "--assayed"),
    ),
}


@pytest.mark.parametrize("name", BAD_MAFS)
def test_ingest_maf__bad_file(
    name: str, tmp_path: Path, clinical_store: Path, maf: Path, assayed: Path, cli: Cli
) -> None:
    file, data, words = BAD_MAFS[name]
    bad = tmp_path / file
    bad.write_bytes(data)
    options = ("--store", clinical_store, "--assembly", "GRCh37", "--assayed", assayed)
    before = tree(clinical_store)
    refusal(cli("ingest", "maf", bad, *options), *words)
    assert tree(clinical_store) == before
    good = cli("ingest", "maf", maf, *options)
    assert good.code == 0, good.err


@pytest.mark.parametrize("name", ["mixed assemblies", "gzip cut off", "unknown class"])
def test_ingest_maf__first_ingest_leaves_no_directory(name: str, tmp_path: Path, cli: Cli) -> None:
    file, data, words = BAD_MAFS[name]
    (tmp_path / file).write_bytes(data)
    refusal(
        cli("ingest", "maf", tmp_path / file, "--store", tmp_path / "new", "--assembly", "GRCh37"),
        *words,
    )
    assert not (tmp_path / "new").exists()


BAD_CLINICAL: dict[str, tuple[list[dict[str, str]], tuple[str, ...]]] = {
    "a person stands twice": (
        [*without(CLINICAL, "sample_id"), *without(CLINICAL[:1], "sample_id")],
        ("bad.tsv, line 4", "individual_id B stands twice", "also in line 3", "keep one row"),
    ),
    "a biosample stands twice": (
        [*CLINICAL, CLINICAL[3]],
        ("bad.tsv, line 7", "sample_id C-1 stands twice", "also in line 5", "keep one row"),
    ),
    "rows of one person disagree": (
        changed(CLINICAL, 2, sex="female"),
        ("bad.tsv, line 4", "sex disagrees", "line 3", "correct the table"),
    ),
    "unknown category": (
        changed(CLINICAL, 1, sex="mann"),
        ("bad.tsv, line 3", "sex", "'mann'", "add it to the field's codes in the mapping"),
    ),
    "negative survival time": (
        changed(CLINICAL, 0, overall_survival_days="-3"),
        ("bad.tsv, line 2", "overall_survival_days", "negative survival time", "correct the value"),
    ),
    "unknown status": (
        changed(CLINICAL, 0, overall_survival_event="2"),
        ("bad.tsv, line 2", "overall_survival_event", "'2'", "endpoint's events"),
    ),
    "age 400": (
        changed(CLINICAL, 4, age_at_diagnosis="400"),
        ("bad.tsv, line 6", "age_at_diagnosis", "0 to 120 years", "'400'", "correct the value"),
    ),
    "age in words": (
        changed(CLINICAL, 4, age_at_diagnosis="sixty"),
        ("bad.tsv, line 6", "age_at_diagnosis", "not a number", "'sixty'", "correct the value"),
    ),
    "no id column": (
        without(CLINICAL, "individual_id"),
        ("bad.tsv, line 1", "unknown column 'individual_id'", "correct the column"),
    ),
    "a sample nobody sequenced": (
        [*CLINICAL, {**CLINICAL[0], "individual_id": "E", "sample_id": "E-1"}],
        ("1 clinical samples have no sequenced sample (E-1)", "--assayed", "--unmatched keep"),
    ),
    "a sequenced sample of nobody": (
        CLINICAL[:4],
        ("1 sequenced samples have no clinical row (D-1)", "correct the ids"),
    ),
}


@pytest.mark.parametrize("name", BAD_CLINICAL)
def test_ingest_clinical__bad_table(
    name: str, tmp_path: Path, maf_store: Path, clinical: Path, cli: Cli
) -> None:
    rows, words = BAD_CLINICAL[name]
    bad = table(tmp_path / "bad.tsv", rows)
    options = ("--store", maf_store, "--mapping", "plain")
    before = tree(maf_store)
    refusal(cli("ingest", "clinical", bad, *options), *words)
    assert tree(maf_store) == before
    good = cli("ingest", "clinical", clinical, *options)
    assert good.code == 0, good.err


def test_ingest_clinical__unknown_mapping(tmp_path: Path, clinical: Path, cli: Cli) -> None:
    store = tmp_path / "store"
    answer = cli("ingest", "clinical", clinical, "--store", store, "--mapping", "plian")
    refusal(answer, "unknown mapping 'plian'", "did you mean 'plain'?", "ends in .toml")
    assert not store.exists()


def test_ingest__another_assembly_or_class_than_the_store(
    store: Path, maf: Path, clinical: Path, cli: Cli
) -> None:
    before = tree(store)
    refusal(
        cli("ingest", "maf", maf, "--store", store, "--assembly", "GRCh38"),
        "another assembly",
        "GRCh37",
        "make another store",
    )
    other = ("--store", store, "--mapping", "plain", "--data-class", "public")
    refusal(cli("ingest", "clinical", clinical, *other), "another data_class", "personal")
    assert tree(store) == before


def test_ingest__a_directory_that_is_no_store(tmp_path: Path, maf: Path, cli: Cli) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("mine")
    before = tree(tmp_path)
    answer = cli("ingest", "maf", maf, "--store", tmp_path / "home", "--assembly", "GRCh37")
    refusal(answer, "home: is not empty and not a store", "new or empty directory")
    assert tree(tmp_path) == before


Command = Callable[[Path, Path, Path], tuple[object, ...]]
ON_A_STORE: dict[str, Command] = {
    "describe": lambda store, maf, clinical: ("store", "describe", store),
    "verify": lambda store, maf, clinical: ("store", "verify", store),
    "withdraw": lambda store, maf, clinical: ("store", "withdraw", store, "A"),
    "drop-freeze": lambda store, maf, clinical: ("store", "drop-freeze", store, "0123456789ab"),
    "add": lambda store, maf, clinical: ("store", "add", store, "--maf", maf),
    "ingest maf": lambda store, maf, clinical: (
        *("ingest", "maf", maf, "--store", store, "--assembly", "GRCh37"),
    ),
    "ingest clinical": lambda store, maf, clinical: (
        *("ingest", "clinical", clinical, "--store", store, "--mapping", "plain"),
    ),
    "site init": lambda store, maf, clinical: (
        *("site", "init", store.parent / "site", "--name", "x", "--store", store),
    ),
}


@pytest.mark.parametrize("name", ON_A_STORE)
def test_store__written_by_a_newer_version(
    name: str, store: Path, maf: Path, clinical: Path, cli: Cli
) -> None:
    head = store / "eucan.json"
    head.write_text(json.dumps({**json.loads(head.read_text()), "format": 2, "novel": 1}))
    before = tree(store)
    refusal(cli(*ON_A_STORE[name](store, maf, clinical)), "eucan.json", "newer version", "upgrade")
    assert tree(store) == before


@pytest.mark.parametrize("name", [n for n in ON_A_STORE if not n.startswith("ingest")])
def test_store__none_there(name: str, tmp_path: Path, maf: Path, clinical: Path, cli: Cli) -> None:
    refusal(
        cli(*ON_A_STORE[name](tmp_path / "nowhere", maf, clinical)),
        "nowhere: is not a store",
        "eucan-dask ingest",
    )
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_ingest__file_that_cannot_be_read(
    kind: str, tmp_path: Path, clinical_store: Path, cli: Cli
) -> None:
    path = tmp_path / "input.maf"
    if kind == "directory":
        path.mkdir()
    before = tree(clinical_store)
    answer = cli("ingest", "maf", path, "--store", clinical_store, "--assembly", "GRCh37")
    refusal(answer, "input.maf: cannot be read", "check the path and its permissions")
    assert tree(clinical_store) == before


WITHOUT_OVERRIDE = (
    *("setpriv", "--bounding-set", "-dac_override,-dac_read_search"),
    *("--inh-caps", "-dac_override,-dac_read_search"),
)


@pytest.fixture
def ordinary() -> Sequence[str]:
    """What to put before a command so that permissions hold for it, root or not."""
    if os.geteuid() != 0:
        return ()
    try:
        subprocess.run([*WITHOUT_OVERRIDE, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("as root, and setpriv cannot give up reading everything")
    return WITHOUT_OVERRIDE


def test_ingest__without_permission(
    tmp_path: Path, clinical_store: Path, maf: Path, assayed: Path, ordinary: Sequence[str]
) -> None:
    maf.chmod(0)
    before = tree(clinical_store)
    options = ("--store", clinical_store, "--assembly", "GRCh37", "--assayed", assayed)
    answer = console("ingest", "maf", maf, *options, within=ordinary)
    refusal(answer, "small.maf: cannot be read", "Permission denied", "check the path")
    maf.chmod(0o600)
    (clinical_store / "freezes").chmod(0o500)
    answer = console("ingest", "maf", maf, *options, within=ordinary)
    (clinical_store / "freezes").chmod(0o755)
    refusal(answer, "cannot be written; the store is as it was", "check the path")
    assert tree(clinical_store) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB; only root can mount one."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_ingest__full_disk(
    small_disk: Path, maf: Path, clinical: Path, assayed: Path, cli: Cli
) -> None:
    store = small_disk / "store"
    made = cli("ingest", "clinical", clinical, "--store", store, "--mapping", "plain")
    assert made.code == 0, made.err
    before = tree(store)
    filler = small_disk / "filler"
    free = os.statvfs(small_disk)
    filler.write_bytes(b"x" * (free.f_bavail - 3) * free.f_bsize)
    options = ("--store", store, "--assembly", "GRCh37", "--assayed", assayed)
    refusal(cli("ingest", "maf", maf, *options), "the disk is full", "make room and rerun")
    assert tree(store) == before
    filler.unlink()
    assert cli("ingest", "maf", maf, *options).code == 0
