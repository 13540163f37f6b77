"""Fixtures of the attacks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory where there is one: very many ledgers are made and dropped."""
    shm = Path("/dev/shm")  # noqa: S108
    path = Path(tempfile.mkdtemp(prefix="attacks-", dir=shm if shm.is_dir() else None))
    yield path
    shutil.rmtree(path)
