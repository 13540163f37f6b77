"""The files of a run over a genome, which grow block by block and survive a kill between two."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr  # type: ignore[import-untyped, unused-ignore]

from eucan_dask.analysis import Analysis
from eucan_dask.errors import Invalid
from eucan_dask.result import Result

__all__ = ["Growing", "as_text", "plain", "write_table"]

DIM = "variants"


@dataclass
class Growing:
    """Tables and arrays of one question over many blocks of variants.

    A table with a row a variant is a gzip file, a member a block; the others are written anew
    with each block. `sizes` says where each ended after the last block that is whole.

    Parameters
    ----------
    out, identifier
        The run's directory, and the question's name in it.
    sizes
        Bytes of each table, as `append` left them.
    n_variants
        Variants so far.
    """

    out: Path
    identifier: str
    analysis: Analysis
    sizes: dict[str, int] = field(default_factory=dict)
    n_variants: int = 0

    def paths(self) -> dict[str, Path]:
        """The file of each table."""
        return {
            table.name: self.out
            / f"{self.identifier}.{table.name}.tsv{'.gz' if DIM in table.dims else ''}"
            for table in self.analysis.tables
        }

    def back(self) -> None:
        """Cut off what a killed run wrote after its last whole block.

        Raises
        ------
        Invalid
            If a file is shorter than it was.
        """
        paths = self.paths()
        for name, size in self.sizes.items():
            if not paths[name].exists() or paths[name].stat().st_size < size:
                raise Invalid(
                    "lacks rows it had", where=paths[name], remedy="start in another directory"
                )
            os.truncate(paths[name], size)
        store = self.out / "result.zarr" / self.identifier
        if not self.n_variants:
            shutil.rmtree(store, ignore_errors=True)  # half of a first block cannot be opened
            return
        try:
            group = zarr.open_group(str(store), mode="r+")
        except zarr.errors.GroupNotFoundError as error:
            raise Invalid("lacks variants it had", where=self.out / "result.zarr") from error
        for _, array in group.arrays():
            dims = array.attrs["_ARRAY_DIMENSIONS"]
            if DIM in dims and array.shape[dims.index(DIM)] < self.n_variants:
                raise Invalid("lacks variants it had", where=self.out / "result.zarr")
            sizes = dict(zip(dims, array.shape, strict=True))
            array.resize(*({**sizes, DIM: self.n_variants}[dim] for dim in dims))
        zarr.consolidate_metadata(group.store)

    def append(self, result: Result) -> None:
        """Add a block; its rows are forced to disk."""
        for table in self.analysis.tables:
            frame, path = result.to_dataframe(table.name), self.paths()[table.name]
            if DIM not in table.dims:
                write_table(frame, path)
                continue
            first = table.name not in self.sizes
            with path.open("wb" if first else "ab") as stream:
                stream.write(gzip.compress(as_text(frame, header=first), compresslevel=4, mtime=0))
                stream.flush()
                os.fsync(stream.fileno())
            self.sizes[table.name] = path.stat().st_size
        dataset = plain(_floats(result.dataset))
        options: Mapping[str, Any] = {"append_dim": DIM} if self.n_variants else {"mode": "a"}
        store = self.out / "result.zarr"
        dataset.to_zarr(store, group=self.identifier, zarr_format=2, **options)
        self.n_variants += int(result.dataset.sizes[DIM])

    def dataset(self) -> xr.Dataset:
        """The whole answer, lazy."""
        found: xr.Dataset = xr.open_zarr(self.out / "result.zarr", group=self.identifier)
        return found


def _floats(ds: xr.Dataset) -> xr.Dataset:
    """Counts a variant as floats: in another block one may be hidden."""
    counts = [n for n, v in ds.data_vars.items() if v.dtype.kind in "iu" and DIM in v.dims]
    kept = [n for n in counts if not str(n).endswith(("_n_sites", "_n_hidden", "_pool_hidden"))]
    return ds.assign({n: ds[n].astype(np.float64) for n in kept})


def plain(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with single texts as Zarr can hold them."""
    return dataset.map(lambda v: v.astype(str) if v.dtype == object and not v.ndim else v)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """A tidy TSV: empty where suppressed, NA where undefined, true and false in words."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(as_text(frame, header=True))
    os.replace(temporary, path)


def as_text(frame: pd.DataFrame, *, header: bool) -> bytes:
    """The rows of a TSV."""
    hidden = frame["suppressed"].to_numpy(dtype=bool)
    text = {name: _words(frame[name], hidden) for name in frame.columns}
    return pd.DataFrame(text).to_csv(sep="\t", index=False, header=header).encode()


def _words(values: pd.Series[Any], hidden: Iterable[bool]) -> list[str]:
    return [_word(v, hidden=bool(h)) for v, h in zip(values, hidden, strict=True)]


def _word(value: Any, *, hidden: bool) -> str:
    if pd.isna(value):
        return "" if hidden else "NA"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)
