"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real public cohorts, beside the checkout."""
    if not SHARED.is_dir():
        if os.environ.get("CI") == "true" and SHARED.parent.is_dir():
            pytest.fail(f"{SHARED} is missing under CI")
        pytest.skip("the shared data are not here: ../shared/data is absent")
    return SHARED


def program(name: str) -> str:
    """The path of a program; a test that needs it skips where it is absent, and fails under CI."""
    found = shutil.which(name)
    if found is None:
        reason = f"no {name} on the PATH: install it, for example with apt-get install {name}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def bcftools() -> str:
    """The path of bcftools."""
    return program("bcftools")


@pytest.fixture(scope="session")
def plink2() -> str:
    """The path of plink2."""
    return program("plink2")
