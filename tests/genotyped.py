"""A site's dataset in memory from a small table of genotypes, for tests worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from eucan_dask.cohort import Cohort
from eucan_dask.panel import Panel
from eucan_dask.testing.cases import Example

WORDS = {"male": 1, "female": 2}
NONE, OTHER = -1, -2


def pack(codes: np.ndarray) -> np.ndarray:
    """Codes (V, N), 3 or less than 0 where missing, as packed bytes."""
    known = np.where(np.asarray(codes) < 0, 3, codes).astype(np.int64)
    padded = np.pad(known, ((0, 0), (0, -known.shape[1] % 4)), constant_values=3)
    four = padded.reshape(known.shape[0], padded.shape[1] // 4, 4)
    return (four << np.array([0, 2, 4, 6])).sum(axis=2).astype(np.uint8)


def genotyped(
    calls: Mapping[str, Sequence[int]],
    *,
    sex: Sequence[str] | None = None,
    numbers: Mapping[str, Sequence[float]] | None = None,
    split: Mapping[str, tuple[Sequence[int], Sequence[int]]] | None = None,
    assembly: str = "GRCh38",
) -> xr.Dataset:
    """People p0, p1, ... with a biosample each.

    Parameters
    ----------
    calls
        Copies of ALT of everybody (-1 missing), by variant.
    sex
        "male", "female" or another word; left out, nobody's is known.
    numbers
        Clinical fields.
    split
        Of variants of multi-allelic records, copies of this ALT and of others.
    """
    labels = list(calls)
    codes = np.array([calls[label] for label in labels], dtype=np.int64)
    n = codes.shape[1]
    ids = np.array([f"p{i:04d}" for i in range(n)], dtype=object)
    several = dict(split or {})
    rows = [list(several).index(label) if label in several else -1 for label in labels]
    own = np.array([several[label][0] for label in several], np.int64).reshape(-1, n)
    others = np.array([several[label][1] for label in several], np.int64).reshape(-1, n)
    dims, less = ("variants", "sample_bytes"), ("split_variants", "sample_bytes")
    found: dict[str, Any] = {
        "individual_id": (("individuals",), ids),
        "sample_id": (("samples",), ids),
        "sample_individual": (("samples",), np.arange(n, dtype=np.int32)),
        "sample_genotype": (("samples",), np.arange(n, dtype=np.int32)),
        "variant_label": (("variants",), np.array(labels, dtype=object)),
        "variant_split": (("variants",), np.array(rows, dtype=np.int32)),
        "call_genotype_packed": (dims, da.from_array(pack(codes))),
        "call_alt_packed": (less, da.from_array(pack(own))),
        "call_other_packed": (less, da.from_array(pack(others))),
    }
    if sex is not None:
        kinds = ["female", "male", "other"]
        attrs = {"kind": "category", "categories": kinds, "open": False}
        values = np.array([kinds.index(word) if word in kinds else -1 for word in sex], np.int16)
        found["individual_sex"] = (("individuals",), values, attrs)
    for name, values in (numbers or {}).items():
        column = np.asarray(values, dtype=np.float64)
        found[f"individual_{name}"] = (("individuals",), column, {"kind": "number"})
    return xr.Dataset(found, attrs={"assembly": assembly})


def asked(analysis: Any, variants: Sequence[str], *cohorts: Cohort) -> Example:
    """The analysis put to everybody, or to these cohorts, about these variants."""
    case = Example(analysis, Panel(variants=tuple(variants)))
    case.cohorts = cohorts or (Cohort("everybody"),)
    return case
