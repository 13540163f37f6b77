"""Simulated genotypes: Hardy-Weinberg draws, packed as a store packs them, or written as VCF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.genotype import Inheritance, inheritance

__all__ = ["VARIANT_FREQUENCY", "draw_calls", "packed_calls", "write_vcf"]

# Frequencies of ALT, in the order a store holds the variants.
VARIANT_FREQUENCY: Mapping[str, float] = {
    "1:1000:A:G": 0.30,
    "1:2000:C:CT": 0.02,
    "1:3000:C:T": 0.45,
    "2:500:G:GA": 0.15,
    "2:900:T:A": 0.0,
    "7:123:A:C": 0.60,
    "X:1000:G:T": 0.25,
    "X:70000000:T:C": 0.35,
    "Y:20000000:A:T": 0.20,
    "MT:150:C:T": 0.10,
}


def draw_calls(
    individual: pd.Series[str],
    sex: pd.Series[str],
    frequency: Mapping[str, float],
    *,
    seed: int,
    missing: float,
    assembly: str = "GRCh38",
) -> pd.DataFrame:
    """Copies of ALT, int8: a row a biosample, a column a variant; -1 missing.

    Both biosamples of a person have the same. Who carries one copy of X, Y or MT has 0 or 2.
    """
    rng = np.random.default_rng([seed, 1])  # a stream of its own: other draws stay as they were
    ids, owner = np.unique(individual.to_numpy(str), return_inverse=True)
    first = np.zeros(ids.size, dtype=np.int64)
    first[owner[::-1]] = np.arange(owner.size)[::-1]
    male = (sex.to_numpy(object) == "male")[first]
    labels = tuple(frequency)
    shares = np.array([frequency[label] for label in labels])
    copies = rng.binomial(2, shares, size=(ids.size, len(labels))).astype(np.int8)
    single = 2 * (rng.random(copies.shape) < shares).astype(np.int8)
    kinds = inheritance(labels, assembly)
    once = (kinds == Inheritance.MITOCHONDRIAL) | (male[:, np.newaxis] & (kinds > 0))
    copies = np.where(once, single, copies)
    copies[~male[:, np.newaxis] & (kinds == Inheritance.Y)] = -1
    copies[rng.random(copies.shape) < missing] = -1
    return pd.DataFrame(copies[owner], columns=list(labels))


def packed_calls(simulated: Any, samples: NDArray[Any]) -> xr.Dataset:
    """What a store's dataset has of these calls, as `align_variants` takes them.

    A sample without a row was not genotyped.
    """
    calls = simulated.calls
    position = {sample: i for i, sample in enumerate(calls.index)}
    codes = calls.to_numpy(np.int16).T.reshape(len(calls.columns), len(calls))
    short = -codes.shape[1] % 4
    padded = np.pad(codes, ((0, 0), (0, short)), constant_values=-1)
    four = np.where(padded < 0, 3, padded).reshape(*codes.shape[:1], padded.shape[1] // 4, 4)
    packed = (four << np.array([0, 2, 4, 6])).sum(axis=2).astype(np.uint8)
    none = np.zeros((0, packed.shape[1]), dtype=np.uint8)
    dims = ("variants", "sample_bytes")
    columns = [position.get(sample, -1) for sample in samples]
    return xr.Dataset(
        {
            "sample_genotype": (("samples",), np.array(columns, dtype=np.int32)),
            "variant_label": (("variants",), np.array(calls.columns, dtype=object)),
            "variant_split": (("variants",), np.full(packed.shape[0], -1, dtype=np.int32)),
            "call_genotype_packed": (dims, da.from_array(packed, chunks=(5, -1))),
            "call_alt_packed": (("split_variants", "sample_bytes"), da.from_array(none)),
            "call_other_packed": (("split_variants", "sample_bytes"), da.from_array(none)),
        }
    )


def write_vcf(calls: pd.DataFrame, path: Path) -> Path:
    """The calls as VCF text; who carries one copy has a haploid call."""
    contigs = dict.fromkeys(label.split(":")[0] for label in calls.columns)
    lines = ["##fileformat=VCFv4.3", *(f"##contig=<ID={contig}>" for contig in contigs)]
    lines += ['##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">']
    fixed = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT".split()
    lines += ["\t".join([*fixed, *map(str, calls.index)])]
    words = {-1: "./.", 0: "0/0", 1: "0/1", 2: "1/1"}
    for label in calls.columns:
        contig, position, ref, alt = label.split(":")
        row = [contig, position, ".", ref, alt, ".", "PASS", ".", "GT"]
        lines.append("\t".join([*row, *(words[int(code)] for code in calls[label])]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
