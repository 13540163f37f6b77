"""What decides what may leave works on values: nobody changes one after it was judged."""

from __future__ import annotations

import dataclasses
from importlib import import_module

import pytest

GROW = {"Trial", "_Budget"}  # they add up while a request is looked at
MODULES = (
    "accounts",
    "bounds",
    "case",
    "cells",
    "families",
    "fixed_point",
    "insider",
    "ledger",
    "leverage",
    "overlap",
    "partial",
    "policy",
    "request",
    "transcript",
    "ways",
)


@pytest.mark.parametrize("name", MODULES)
def test_dataclasses__are_frozen(name: str) -> None:
    module = import_module(f"eucan_dask.{name}")
    own = [c for c in vars(module).values() if getattr(c, "__module__", "") == module.__name__]
    found = [c for c in own if isinstance(c, type) and dataclasses.is_dataclass(c)]
    assert found
    for one in found:
        assert one.__dataclass_params__.frozen == (one.__name__ not in GROW), one.__name__
