"""Federations of the real public cohorts, each made once a session."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eucan_dask.federation import Federation

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # for `peers`, `cohorts` and others


@pytest.fixture(scope="session")
def federation(
    shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Federation]]:
    """The federation of a name in `cohorts` or `genomes`, made by the real ingest when asked."""
    import cohorts
    import genomes

    builders = {**cohorts.BUILDERS, **genomes.BUILDERS}

    made: dict[str, Federation] = {}

    def make(name: str) -> Federation:
        if name not in made:
            out = tmp_path_factory.mktemp(name.replace(" ", "_")) / "federation"
            made[name] = Federation.open(builders[name](out, shared))
        return made[name]

    yield make
    for one in made.values():
        one.close()
