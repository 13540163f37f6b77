"""Fixtures that every test may use."""

from __future__ import annotations

import os
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
