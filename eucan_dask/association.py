"""What a regression on each variant sums at a site, missing dosages at their pooled mean."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from eucan_dask.genotype import Inheritance, Ploidy
from eucan_dask.kernels.genotype import MISSING, smallest, tiles, unpack
from eucan_dask.kernels.linear import variant_sums

__all__ = ["COUNTS", "FIELDS", "effective_number", "variant_table"]

FIELDS = (
    "variant_n_called",
    "variant_dosage",
    "variant_square",
    "variant_n_carriers",
    "variant_n_non_carriers",
    "variant_n_case_carriers",
    "variant_n_control_carriers",
    "variant_n_cell",
    "variant_n_empty",
)
COUNTS = ("variant_n_called", *FIELDS[3:])


def levels_of(columns: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Who has the higher value, for each column of two values, whatever they are."""
    if not columns.size:
        return np.zeros((columns.shape[0], 0), dtype=bool)
    low, high = columns.min(axis=0), columns.max(axis=0)
    two = ((columns == low) | (columns == high)).all(axis=0) & (low < high)
    return np.asarray(columns[:, two] == high[two])


def effective_number(y: NDArray[np.float64]) -> np.int64:
    """People, or the fewer of cases and controls of a yes/no trait."""
    cases = levels_of(y)
    return np.int64(min([y.shape[0], *cases.sum(axis=0), *(~cases).sum(axis=0)]))


def variant_table(
    packed: NDArray[np.uint8],
    *,
    kinds: NDArray[np.int8],
    columns: NDArray[np.int32],
    sex: NDArray[np.int8],
    mean: NDArray[np.float64],
    z: NDArray[np.float64],
    cases: NDArray[np.bool_],
    levels: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """`FIELDS` and the products with `z` for each variant: (V, 9 + K).

    Parameters
    ----------
    cases
        Of each yes/no trait, (N, ...).
    levels
        Of each term or trait of two values, (N, ...): a product with it counts dosages there.
    """
    out = np.zeros((packed.shape[0], len(FIELDS) + z.shape[1]))
    for kind in Inheritance:
        ploidy = Ploidy.of(kind, sex)
        own = np.flatnonzero(kinds == kind)
        for part in tiles(own.size, columns.size, words=1 << 20):
            rows = own[part]
            codes = unpack(packed[rows], columns)
            codes = np.where(ploidy.haploid & (codes == 1), np.uint8(MISSING), codes)
            codes = np.where(ploidy.diploid | ploidy.haploid, codes, np.uint8(MISSING))
            called, carries = codes != MISSING, (codes == 1) | (codes == 2)
            n_called, n_carriers = called.sum(axis=1), carries.sum(axis=1)
            among = [_fewest(carries, group, n_called) for group in (cases, ~cases)]
            square, cross = variant_sums(codes, mean[rows], z)
            dosage = np.where(called, codes, np.uint8(0)).sum(axis=1, dtype=np.int64)
            dosages = (0, 1, 2) if ploidy.diploid.any() else (0, 2)
            cells = [(codes == n).sum(axis=1, dtype=np.int64) for n in dosages]
            cells += _by_level(called, carries, levels)
            empty = sum(((n == 0).astype(np.int64) for n in cells), start=np.zeros_like(n_called))
            fields = [n_called, dosage, square, n_carriers, n_called - n_carriers, *among]
            fields += [smallest(cells), empty]
            out[rows] = np.concatenate([np.stack(fields, axis=1), cross], axis=1)
    return out


def _by_level(
    called: NDArray[np.bool_], carries: NDArray[np.bool_], levels: NDArray[np.bool_]
) -> Iterator[NDArray[np.int64]]:
    """Carriers, and others called, (V,) at both values of each column."""
    for level in levels.T:
        for group in (level, ~level):
            n, n_carriers = (x[:, group].sum(axis=1, dtype=np.int64) for x in (called, carries))
            yield from (n_carriers, n - n_carriers)


def _fewest(
    carries: NDArray[np.bool_], groups: NDArray[np.bool_], n_called: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Fewest carriers (V,) in a group; all people called where there is no group."""
    if not groups.shape[1]:
        return n_called
    counts = carries.astype(np.float64) @ groups.astype(np.float64)
    fewest: NDArray[np.int64] = counts.min(axis=1).astype(np.int64)
    return fewest
