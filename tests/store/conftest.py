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


@pytest.fixture
def store(tmp_path: Path, maf: Path, clinical: Path) -> Path:
    """A store of four people; D was sequenced and has no mutation, B has two biosamples."""
    path = tmp_path / "store"
    assayed = tmp_path / "assayed.txt"
    assayed.write_text("D-1\n")
    ingest_clinical(clinical, store=path, mapping="plain")
    ingest_maf(maf, store=path, assembly="GRCh37", assayed=assayed)
    return path
