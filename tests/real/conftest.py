"""Federations of the real public cohorts, each made once a session."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from eucan_dask.federation import Federation

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # for `peers`, `cohorts` and others


@pytest.fixture(scope="session")
def federation_file(
    shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The file of a federation of `cohorts` or `genomes`, made by the real ingest when asked."""
    import cohorts
    import genomes

    builders = {**cohorts.BUILDERS, **genomes.BUILDERS}

    @cache
    def make(name: str) -> Path:
        out = tmp_path_factory.mktemp(name.replace(" ", "_")) / "federation"
        return builders[name](out, shared)

    return make


@pytest.fixture(scope="session")
def federation(
    federation_file: Callable[[str], Path],
) -> Iterator[Callable[[str], Federation]]:
    """The federation of a name."""
    made: dict[str, Federation] = {}

    def make(name: str) -> Federation:
        if name not in made:
            made[name] = Federation.open(federation_file(name))
        return made[name]

    yield make
    for one in made.values():
        one.close()
