"""Loading lazy arrays in the thread that asks, whatever scheduler runs around it."""

from __future__ import annotations

from typing import Any

import dask
from numpy.typing import NDArray

__all__ = ["load"]


def load(*arrays: Any) -> tuple[NDArray[Any], ...]:
    """The arrays in memory.

    Inside a task of a distributed worker, `.values` of a lazy array would start a client of its
    own and wait for a thread of the very worker it runs on.
    """
    loaded: tuple[NDArray[Any], ...] = dask.compute(*arrays, scheduler="synchronous")
    return loaded
