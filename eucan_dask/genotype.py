"""People's genotypes in a dataset: whose calls are whose, sex, ploidy, and a panel's variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.variant import PAR

__all__ = ["Inheritance", "Ploidy", "align_variants", "genotype_columns", "inheritance", "sexes"]

Ints = NDArray[np.int64]
CALLS = "call_genotype_packed"
SPLIT = ("call_alt_packed", "call_other_packed")
UNKNOWN, MALE, FEMALE = 0, 1, 2


class Inheritance(IntEnum):
    """How many copies of a variant people carry."""

    AUTOSOMAL = 0  # two; so do the pseudo-autosomal parts of X and Y
    X = 1  # one in men, two in everybody else
    Y = 2  # one in men, none in anybody else
    MITOCHONDRIAL = 3  # one


@dataclass(frozen=True)
class Ploidy:
    """People (N,) with two copies of a kind of variant, and with one."""

    diploid: NDArray[np.bool_]
    haploid: NDArray[np.bool_]

    @classmethod
    def of(cls, kind: int, sex: NDArray[np.int8]) -> Ploidy:
        """By sex; of unknown sex counts as a woman on X and is left out on Y, as in PLINK 2."""
        male, none = sex == MALE, np.zeros(sex.shape, dtype=bool)
        if kind == Inheritance.X:
            return cls(~male, male)
        if kind == Inheritance.Y:
            return cls(none, male)
        if kind == Inheritance.MITOCHONDRIAL:
            return cls(none, ~none)
        return cls(~none, none)


def inheritance(labels: Sequence[str], assembly: str) -> NDArray[np.int8]:
    """The `Inheritance` of each variant, by its label."""
    kinds = {"X": Inheritance.X, "Y": Inheritance.Y, "MT": Inheritance.MITOCHONDRIAL}
    regions = PAR.get(assembly, {})
    out = np.zeros(len(labels), dtype=np.int8)
    for i, label in enumerate(labels):
        contig, position, _ = label.split(":", 2)
        kind = kinds.get(contig, Inheritance.AUTOSOMAL)
        if kind and any(a <= int(position) <= b for a, b in regions.get(contig, ())):
            kind = Inheritance.AUTOSOMAL
        out[i] = kind
    return out


def genotype_columns(ds: xr.Dataset) -> NDArray[np.int32]:
    """The column of each person's calls (individuals,), -1 for none.

    Of several genotyped biosamples of a person the first by id stands for the person.
    """
    columns = np.full(ds.sizes["individuals"], -1, dtype=np.int32)
    held = np.flatnonzero(ds["sample_genotype"].values >= 0)[::-1]  # the first is written last
    columns[ds["sample_individual"].values[held]] = ds["sample_genotype"].values[held]
    return columns


def sexes(ds: xr.Dataset) -> NDArray[np.int8]:
    """0 unknown, 1 male, 2 female (individuals,): the field `sex`, else what a .fam said."""
    out = np.zeros(ds.sizes["individuals"], dtype=np.int8)
    if "sample_sex" in ds:
        held = np.flatnonzero(ds["sample_genotype"].values >= 0)[::-1]  # as `genotype_columns`
        out[ds["sample_individual"].values[held]] = ds["sample_sex"].values[held]
    if "individual_sex" in ds and ds["individual_sex"].attrs.get("kind") == "category":
        words = {"male": MALE, "female": FEMALE}
        names = [words.get(str(c), UNKNOWN) for c in ds["individual_sex"].attrs["categories"]]
        said = np.array([*names, UNKNOWN], dtype=np.int8)[ds["individual_sex"].values]
        out = np.where(said != UNKNOWN, said, out)
    return out


def align_variants(ds: xr.Dataset, labels: Sequence[str]) -> xr.Dataset:
    """`ds` with its variants replaced by those of `labels`, in that order, calls still lazy.

    A variant it does not hold stays, with every call missing: absence is not the reference.
    Adds `variant_inheritance`.
    """
    if CALLS not in ds:
        return ds
    held = {str(label): i for i, label in enumerate(ds["variant_label"].values)}
    rows = np.array([held.get(label, -1) for label in labels], dtype=np.int64)
    split = np.append(ds["variant_split"].values.astype(np.int64), -1)[rows]
    out = ds.drop_dims(["variants", "split_variants"])
    out[CALLS] = (("variants", "sample_bytes"), take_rows(ds[CALLS].data, rows))
    for name in SPLIT:
        values = take_rows(ds[name].data, split[split >= 0])
        out[name] = (("split_variants", "sample_bytes"), values)
    place = np.where(split >= 0, np.cumsum(split >= 0) - 1, -1)
    out["variant_split"] = (("variants",), place.astype(np.int32))
    kinds = inheritance(labels, str(ds.attrs.get("assembly", "")))
    out["variant_inheritance"] = (("variants",), kinds)
    return out


def take_rows(calls: Any, rows: Ints) -> Any:
    """Rows of lazy packed calls; -1 takes one where everything is missing."""
    shape = (rows.size, calls.shape[1])
    return da.from_delayed(dask.delayed(_rows)(calls, rows), shape, dtype=np.uint8)


def _rows(calls: NDArray[np.uint8], rows: Ints) -> NDArray[np.uint8]:
    out = np.full((rows.size, calls.shape[1]), 255, dtype=np.uint8)
    out[rows >= 0] = calls[rows[rows >= 0]]
    return out
