"""Reading genotypes for an analysis: which shard holds a variant, and its calls, still packed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
import zarr  # type: ignore[import-untyped, unused-ignore]

from eucan_dask.errors import Invalid
from eucan_dask.store.arrays import open_group, read_array
from eucan_dask.store.manifest import Manifest
from eucan_dask.variant import Variant

__all__ = ["open_variants", "shard_runs"]

_PACKED = ("call_genotype_packed", "call_alt_packed", "call_other_packed")


def shard_runs(manifest: Manifest, labels: Sequence[str]) -> list[tuple[str, int, int]]:
    """Runs of neighbours in `labels` that one shard may hold: (its path, first, past the last).

    Variants that no shard reaches are in a run with the path "".
    """
    by_contig: dict[str, list[Any]] = {}
    for shard in manifest.variants:
        by_contig.setdefault(shard.contig, []).append(shard)
    starts = {contig: [shard.start for shard in some] for contig, some in by_contig.items()}
    runs: list[tuple[str, int, int]] = []
    for i, label in enumerate(labels):
        contig, position, _ = label.split(":", 2)
        at = bisect_right(starts.get(contig, []), int(position)) - 1
        inside = at >= 0 and int(position) <= by_contig[contig][at].end
        path = by_contig[contig][at].path if inside else ""
        if runs and runs[-1][0] == path:
            runs[-1] = (path, runs[-1][1], i + 1)
        else:
            runs.append((path, i, i + 1))
    return runs


def open_variants(
    freeze: Path, path: str, labels: Sequence[str], *, sample_bytes: int
) -> xr.Dataset:
    """The variants of a shard that lie where `labels` do, as `align_variants` takes them.

    Parameters
    ----------
    freeze
        Directory of the freeze.
    path
        The shard's path in it; "" for a shard without variants.
    labels
        Of variants of one contig.
    sample_bytes
        Bytes of a packed row where no shard says so.

    Raises
    ------
    Invalid
        If the shard is damaged, or its calls are not of two copies at most.
    """
    if not path:
        return _dataset(
            np.empty(0, dtype=object), np.empty(0, dtype=np.int32), [_none(sample_bytes)] * 3
        )
    shard = _open(freeze / path)
    position = shard["position"]
    wanted = [int(label.split(":", 2)[1]) for label in labels]
    first = int(np.searchsorted(position, min(wanted), side="left"))
    last = int(np.searchsorted(position, max(wanted), side="right"))
    contig = shard["contig"]
    names = [
        Variant(contig, int(p), str(ref), str(alt)).label
        for p, (ref, alt) in zip(position[first:last], shard["allele"][first:last], strict=True)
    ]
    label = np.array(names, dtype=object)
    packed, alt, other = (da.from_zarr(shard["group"][name]) for name in _PACKED)
    return _dataset(label, shard["split"][first:last], [packed[first:last], alt, other])


@lru_cache(maxsize=8)
def _open(path: Path) -> dict[str, Any]:
    """What is needed of a shard again and again; the calls stay on disk."""
    group: zarr.Group = open_group(path)
    if _PACKED[0] not in group:
        raise Invalid(
            "holds no calls of two copies",
            where=path,
            remedy="only diploid and haploid calls can be analysed",
        )
    names = ("variant_position", "variant_allele", "variant_split", "contig_id")
    values = {name.partition("_")[2]: read_array(group[name], path).values for name in names}
    return {**values, "contig": str(values["id"][0]), "group": group}


def _none(sample_bytes: int) -> Any:
    return da.zeros((0, sample_bytes), dtype=np.uint8)  # type: ignore[no-untyped-call, unused-ignore]


def _dataset(label: Any, split: Any, packed: Sequence[Any]) -> xr.Dataset:
    dims = (("variants", "sample_bytes"), *[("split_variants", "sample_bytes")] * 2)
    calls = {n: (d, a) for n, d, a in zip(_PACKED, dims, packed, strict=True)}
    return xr.Dataset(
        {"variant_label": (("variants",), label), "variant_split": (("variants",), split), **calls}
    )
