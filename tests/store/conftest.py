"""Fixtures of the store's tests: small tables and the store made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from tests.store.store_tables import CLINICAL, MAF, table


@pytest.fixture
def maf(tmp_path: Path) -> Path:
    return table(tmp_path / "small.maf", MAF)


@pytest.fixture
def clinical(tmp_path: Path) -> Path:
    return table(tmp_path / "clinical.tsv", CLINICAL)


def small_store(path: Path, maf: Path, clinical: Path, data_class: str) -> Path:
    assayed = path.parent / "assayed.txt"
    assayed.write_text("D-1\n")
    ingest_clinical(clinical, store=path, mapping="plain", data_class=data_class)
    ingest_maf(maf, store=path, assembly="GRCh37", assayed=assayed)
    return path


@pytest.fixture
def store(tmp_path: Path, maf: Path, clinical: Path) -> Path:
    """A store of four people; D was sequenced and has no mutation, B has two biosamples."""
    return small_store(tmp_path / "store", maf, clinical, "personal")


@pytest.fixture
def public_store(tmp_path: Path, maf: Path, clinical: Path) -> Path:
    """The same people, as if their data were public."""
    return small_store(tmp_path / "public", maf, clinical, "public")
