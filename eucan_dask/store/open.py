"""Opening a store: one dataset, vectors of people and samples in memory, mutations lazy."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from eucan_dask.errors import Invalid, unknown
from eucan_dask.store.arrays import Array, open_group, read_array, read_arrays
from eucan_dask.store.clinical import OWN, fields_of
from eucan_dask.store.freeze import freezes
from eucan_dask.store.inspect import variant_ranges
from eucan_dask.store.lazy import Order, lazy
from eucan_dask.store.manifest import KINDS, Head, Manifest, read_head, read_manifest

__all__ = ["Store", "open_store"]


@dataclass(frozen=True)
class Store:
    """A store at one freeze.

    Parameters
    ----------
    path
        Its directory.
    head, manifest
        What the store and the freeze say of themselves.
    """

    path: Path
    head: Head
    manifest: Manifest

    def shard_path(self, kind: str) -> Path:
        """Where a shard of this freeze lies."""
        return self.path / "freezes" / self.manifest.digest / KINDS[kind]

    def dataset(self) -> xr.Dataset:
        """Everything the freeze holds, with the samples of the clinical table.

        Individuals (`individual_`), samples (`sample_`) and genes are in memory; the arrays of
        mutations are lazy, sorted by sample, contig and position. A sample that was not assayed has
        `sample_assay` -1. A store without mutations lacks their variables. Of genotypes there is
        `sample_genotype`, each sample's column in the shards of variants, -1 where it has none.

        Raises
        ------
        Invalid
            If the store has no clinical table, or is damaged.
        """
        variables = {n: (a.dims, a.values, dict(a.attrs)) for n, a in self._clinical().items()}
        index = {str(sample): i for i, sample in enumerate(variables["sample_id"][1])}
        if self.manifest.shard("somatic"):
            variables |= self._somatic(index)
        if self.manifest.variants:
            column = np.full(len(index), -1, dtype="int32")
            position = self._positions(self._of_shard("sample_id"), index)
            column[position] = np.arange(len(position))
            variables["sample_genotype"] = (("samples",), column, {})
            sex = np.zeros(len(index), dtype="int8")
            sex[position] = self._of_shard("sample_sex")
            variables["sample_sex"] = (("samples",), sex, {})
        attrs = {
            "assembly": self.manifest.assembly or "",
            "data_class": self.manifest.data_class,
            "freeze": self.manifest.digest,
        }
        return xr.Dataset(variables, attrs=attrs)

    def _clinical(self) -> dict[str, Array]:
        if self.manifest.shard("clinical") is None:
            raise Invalid(
                "has no clinical table",
                where=self.path,
                remedy="ingest the clinical table first: thresholds count people",
            )
        path = self.shard_path("clinical")
        return read_arrays(path)[0]

    def _of_shard(self, name: str) -> np.ndarray[Any, Any]:
        """An array of the samples with genotypes, in the order of the columns."""
        path = self.path / "freezes" / self.manifest.digest / self.manifest.variants[0].path
        return read_array(open_group(path)[name], path).values

    def _somatic(self, index: dict[str, int]) -> dict[str, Any]:
        """The somatic shard with its samples replaced by the dataset's."""
        path = self.shard_path("somatic")
        group = open_group(path)
        out: dict[str, Any] = {}
        position = self._positions(read_array(group["sample_id"], path).values, index)
        assay = np.full(len(index), -1, dtype="int16")
        assay[position] = read_array(group["sample_assay"], path).values
        out["sample_assay"] = (("samples",), assay, {})
        order = Order(read_array(group["mutation_sample"], path).values, position)
        digest = self.manifest.digest
        for name, array in group.arrays():
            if name.startswith("mutation_"):
                codes = position if name == "mutation_sample" else None
                attrs = dict(array.attrs)
                dims = attrs.pop("_ARRAY_DIMENSIONS")
                values = lazy(array, order, name=f"{name}-{digest}", codes=codes)
                out[name] = (dims, values, attrs)
            elif not name.startswith("sample_"):
                read = read_array(array, path)
                out[name] = (read.dims, read.values, dict(read.attrs))
        return out

    def _positions(self, ids: np.ndarray[Any, Any], index: dict[str, int]) -> np.ndarray[Any, Any]:
        lost = sum(str(sample) not in index for sample in ids)
        if lost:
            raise Invalid(
                f"{lost} assayed samples are not in the clinical table",
                where=self.path,
                remedy="run `eucan-dask store verify`",
            )
        return np.array([index[str(sample)] for sample in ids], dtype="int32")

    def catalogue(self) -> dict[str, Any]:
        """What may be told of the store before any question: names, never data.

        Of a personal store an open category keeps its values to itself, and where every gene was
        assayed no gene is listed: which genes happen to be mutated is data. Of genotypes are told
        the contigs, and about how many variants and samples there are: a private variant, or
        somebody who withdrew, would change an exact number.
        """
        personal = self.manifest.data_class == "personal"
        columns = {n: a for n, a in self._clinical().items() if n not in OWN}
        fields = [
            {
                "name": field.name,
                "kind": field.kind,
                "unit": field.unit,
                "categories": [] if personal and field.open else list(field.categories),
                "open": field.open,
                "dim": field.dim,
            }
            for field in fields_of(columns)
        ]
        return {
            "assembly": self.manifest.assembly,
            "data_class": self.manifest.data_class,
            "freeze": self.manifest.digest,
            "fields": fields,
            **self._genes(personal=personal),
            "variants": self._variants(personal=personal),
        }

    def _variants(self, *, personal: bool) -> dict[str, Any]:
        shards = self.manifest.variants
        n_genotyped = shards[0].n_samples if shards else 0
        n_variants = sum(shard.n_variants for shard in shards)
        return {
            "reference_checked": self.manifest.reference_checked,
            "n_genotyped": -(-n_genotyped // 10) * 10 if personal else n_genotyped,
            "n_variants": _about(n_variants) if personal else n_variants,
            "contigs": [held["contig"] for held in variant_ranges(shards)],
        }

    def _genes(self, *, personal: bool) -> dict[str, Any]:
        if self.manifest.shard("somatic") is None:
            return {"assays": [], "genes": []}
        path = self.shard_path("somatic")
        group = open_group(path)
        names = ("assay_id", "assay_all_genes", "gene_symbol", "gene_assayed")
        ids, every, genes, assayed = (read_array(group[name], path).values for name in names)
        listed = assayed[:, ~every].any(axis=1)
        shown = genes[listed] if personal else genes
        return {
            "assays": [
                {"id": str(i), "all_genes": bool(a)} for i, a in zip(ids, every, strict=True)
            ],
            "genes": sorted(map(str, shown)),
        }


def open_store(path: Path | str, *, freeze: str | None = None) -> Store:
    """Open a store at its current freeze, or at the one named.

    Raises
    ------
    Invalid
        If there is no store at `path`, it does not hold the freeze, or it was written by a newer
        version of eucan-dask.
    """
    store = Path(path)
    head = read_head(store)
    if freeze is not None and freeze not in freezes(store):
        raise unknown("freeze", freeze, freezes(store), where=store)
    return Store(store, head, read_manifest(store, freeze or head.freeze))


def _about(n: int) -> int:
    """The nearest of 0, 1, 2, 5, 10, 20, 50, ... by ratio."""
    steps = (m * 10**e for e in range(len(str(n))) for m in (1, 2, 5, 10))
    return min(steps, key=lambda step: abs(log(step / n))) if n else 0
