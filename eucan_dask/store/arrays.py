"""Named arrays on disk: Zarr v2 groups that xarray opens as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr  # type: ignore[import-untyped, unused-ignore]
from numcodecs import VLenUTF8, Zstd  # type: ignore[import-untyped, unused-ignore]

from eucan_dask.errors import Invalid
from eucan_dask.store.manifest import FORMAT, check_format

__all__ = ["CHUNK", "Array", "open_group", "read_array", "read_arrays", "strings", "write_arrays"]

CHUNK = 1 << 20


@dataclass(frozen=True)
class Array:
    """Values with dimension names and attributes, in memory."""

    dims: tuple[str, ...]
    values: np.ndarray[Any, Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)


def strings(values: Iterable[object]) -> np.ndarray[Any, Any]:
    """An object array of `str`, however many there are."""
    items = [str(value) for value in values]
    out = np.empty(len(items), dtype=object)
    out[:] = items
    return out


def write_arrays(path: Path, arrays: Mapping[str, Array], attrs: Mapping[str, Any]) -> None:
    """Write a consolidated group; strings are variable-length UTF-8, nothing is a fill value.

    Zstandard without threads: the same arrays give the same bytes on every machine.
    """
    group = zarr.open_group(str(path), mode="w", zarr_version=2)
    group.attrs.put({"format": FORMAT, **attrs})
    for name, array in arrays.items():
        shape = array.values.shape
        out = group.create_dataset(
            name,
            shape=shape,
            chunks=tuple(max(1, min(length, CHUNK)) for length in shape),
            dtype=array.values.dtype,
            object_codec=VLenUTF8() if array.values.dtype == object else None,
            compressor=Zstd(level=3),
            fill_value=None,
        )
        if array.values.size:
            out[...] = array.values
        out.attrs.put({"_ARRAY_DIMENSIONS": list(array.dims), **array.attrs})
    zarr.consolidate_metadata(group.store)


def open_group(path: Path) -> zarr.Group:
    """The group at `path`, with every chunk present.

    Raises
    ------
    Invalid
        If the group cannot be read, lacks a chunk, or has a format this version does not know.
    """
    try:
        group = zarr.open_consolidated(str(path), mode="r")
        found = group.attrs.get("format")
        lacking = [n for n, a in group.arrays() if a.nchunks_initialized != a.nchunks]
    except (OSError, KeyError, ValueError) as error:
        raise Invalid("is damaged", where=path, remedy="run `eucan-dask store verify`") from error
    check_format(found, path)
    if lacking:
        raise Invalid(
            f"lacks part of {', '.join(lacking)}",
            where=path,
            remedy="run `eucan-dask store verify`",
        )
    return group


def read_arrays(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Every array of the group at `path` in memory, and the group's own attributes."""
    group = open_group(path)
    arrays = {name: read_array(array, path) for name, array in group.arrays()}
    return arrays, {k: v for k, v in group.attrs.items() if k != "format"}


def read_array(array: zarr.Array, where: Path) -> Array:
    """One array in memory, with its dimensions and attributes."""
    attrs = dict(array.attrs)
    dims = tuple(attrs.pop("_ARRAY_DIMENSIONS"))
    try:
        values = np.asarray(array[...])
    except (OSError, RuntimeError, ValueError) as error:
        raise Invalid(
            f"{array.basename} is damaged", where=where, remedy="run `eucan-dask store verify`"
        ) from error
    return Array(dims, values, attrs)
