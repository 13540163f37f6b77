"""Fixtures of the command line's tests: a way to call it, small tables, the demo's federation."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.commands import Answer, Cli, call, demo_federation
from tests.store.store_tables import CLINICAL, MAF, table


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Calls the command line in this process."""

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        code = call(arguments)
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return run


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The federation file of the demo; every test may ask it, none may change it."""
    return demo_federation(tmp_path_factory.mktemp("demo"))


@pytest.fixture
def own_demo(demo: Path, tmp_path: Path) -> Path:
    """A copy of the demo's federation whose sites a test may change; the stores are shared."""
    shutil.copytree(
        demo.parent, tmp_path / "federation", ignore=shutil.ignore_patterns("store", "tables")
    )
    return tmp_path / "federation" / demo.name


@pytest.fixture
def maf(tmp_path: Path) -> Path:
    return table(tmp_path / "small.maf", MAF)


@pytest.fixture
def clinical(tmp_path: Path) -> Path:
    return table(tmp_path / "clinical.tsv", CLINICAL)


@pytest.fixture
def assayed(tmp_path: Path) -> Path:
    path = tmp_path / "assayed.txt"
    path.write_text("D-1\n")
    return path


@pytest.fixture
def clinical_store(tmp_path: Path, clinical: Path, cli: Cli) -> Path:
    """A store that waits for its mutations."""
    store = tmp_path / "store"
    made = cli("ingest", "clinical", clinical, "--store", store, "--mapping", "plain")
    assert made.code == 0, made.err
    return store


@pytest.fixture
def maf_store(tmp_path: Path, maf: Path, assayed: Path, cli: Cli) -> Path:
    """A store that waits for its clinical table."""
    store = tmp_path / "store"
    made = cli("ingest", "maf", maf, "--store", store, "--assembly", "GRCh37", "--assayed", assayed)
    assert made.code == 0, made.err
    return store


@pytest.fixture
def store(clinical_store: Path, maf: Path, assayed: Path, cli: Cli) -> Path:
    """A whole store of four people."""
    where = ("--store", clinical_store, "--assembly", "GRCh37")
    made = cli("ingest", "maf", maf, *where, "--assayed", assayed)
    assert made.code == 0, made.err
    return clinical_store
