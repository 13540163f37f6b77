"""The mutations of a store as lazy arrays in the order of the dataset's samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr  # type: ignore[import-untyped, unused-ignore]
from dask.array.core import Array, from_array

from eucan_dask.store.arrays import CHUNK

__all__ = ["Order", "lazy"]

Values = np.ndarray[Any, Any]


class Order:
    """Which row of a shard each row of the dataset is.

    A shard's mutations lie sample by sample, so the order is a list of runs, one a sample.

    Parameters
    ----------
    samples
        The shard's sample index of each mutation; sorted.
    position
        The dataset's sample index of each of the shard's samples.
    """

    def __init__(self, samples: Values, position: Values) -> None:
        counts = np.bincount(samples, minlength=len(position))
        starts = np.concatenate([[0], np.cumsum(counts)])[:-1]
        order = np.argsort(position, kind="stable")
        self._starts, self._counts = starts[order], counts[order]
        self._ends = np.cumsum(self._counts)

    def rows(self, start: int, stop: int) -> Values:
        """The shard's rows for the dataset's rows from `start` to `stop`."""
        rows = np.arange(start, stop)
        run = np.searchsorted(self._ends, rows, side="right")
        out: Values = self._starts[run] + rows - (self._ends[run] - self._counts[run])
        return out


class _Ordered:
    """A Zarr array read in another order, and recoded; what dask slices."""

    def __init__(self, array: zarr.Array, order: Order, codes: Values | None) -> None:
        self._array, self._order, self._codes = array, order, codes
        self.shape, self.ndim = array.shape, array.ndim
        self.dtype = array.dtype if codes is None else codes.dtype

    def __getitem__(self, key: tuple[slice, ...]) -> Values:
        start, stop, _ = key[0].indices(self.shape[0])
        rows = self._order.rows(start, stop)
        if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            values = self._array[slice(int(rows[0]), int(rows[0]) + len(rows)), *key[1:]]
        else:
            values = self._array.get_orthogonal_selection((rows, *key[1:]))
        return np.asarray(values) if self._codes is None else self._codes[values]


def lazy(array: zarr.Array, order: Order, *, name: str, codes: Values | None = None) -> Array:
    """The array in the dataset's order, in chunks of `CHUNK` rows, nothing read yet.

    Parameters
    ----------
    array
        A column of the mutations.
    order
        Their order.
    name
        Names the dask array; the same for the same freeze, so that graphs are equal across runs.
    codes
        What each value becomes.
    """
    chunks = (CHUNK, *array.shape[1:])
    ordered = _Ordered(array, order, codes)
    out: Array = from_array(ordered, chunks=chunks, name=name, asarray=False)  # type: ignore[no-untyped-call, unused-ignore]
    return out
