"""Fixtures of the links' tests: two sites with mailboxes, and a coordinator in a hurry."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucan_dask.links import mailbox as link_module
from tests.cli.conftest import cli
from tests.links.parties import Parties, make_sites, share

__all__ = ["cli"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_sites(tmp_path_factory.mktemp("sites"), {"lyon": 130, "toronto": 140})


@pytest.fixture
def parties(made: dict[str, Path], tmp_path: Path) -> Parties:
    return share(made, tmp_path)


@pytest.fixture
def both(made: dict[str, Path], tmp_path: Path) -> Parties:
    """Two sites that share one mailbox."""
    return share(made, tmp_path, one_box=True)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks ten times as often."""
    monkeypatch.setattr(link_module, "FIRST", 0.02)
    monkeypatch.setattr(link_module, "LONGEST", 0.1)
    monkeypatch.setattr(link_module, "SLICE", 0.02)
    monkeypatch.setattr(link_module, "SETTLED", 0.3)
