"""Hidden cells of one classification protect each other: complementary suppression."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.case import Case
from eucan_dask.insider import others_hold
from eucan_dask.leaving import CAPPED
from eucan_dask.partial import Hidden, Record
from eucan_dask.policy import Thresholds

__all__ = ["complement"]

Mask = NDArray[np.uint8]
Ints = NDArray[np.int64]


def complement(
    case: Case, record: Record, masks: Mapping[str, xr.DataArray]
) -> xr.DataArray | None:
    """Hidden cells of one classification protect each other.

    They number at least two, and given their sum each can hold `min_cell` - 1 values or more; on a
    pool that sites add to, half of `min_cell` is left of them without any one site's part. All
    carry one code: which of them is small would narrow the others.
    """
    if not record.partition:
        return None
    (name,) = record.variables
    own = masks[record.name]
    counts = case.arrays[name].transpose(..., record.partition)
    codes = own.transpose(..., record.partition).values.copy()
    labels = [str(v).split("|", 1)[0] for v in case.arrays[record.partition].values]
    groups = [np.array([x == g for x in labels]) for g in dict.fromkeys(labels)]
    caps = None
    if name + CAPPED in case.arrays:
        caps = case.arrays[name + CAPPED].transpose(*counts.dims).values.reshape(-1, len(labels))
    rows = (x.reshape(-1, len(labels)) for x in (counts.values, codes))
    for i, (row_counts, row_codes) in enumerate(zip(*rows, strict=True)):
        for group in groups:
            held = None if caps is None else caps[i]
            _complete(row_counts, held, row_codes, group, case.thresholds)
    dims = tuple(d for d in own.dims if d != record.partition) + (record.partition,)
    return xr.DataArray(codes, dims=dims).transpose(*own.dims)


def _complete(
    counts: Ints, caps: Ints | None, codes: Mask, group: NDArray[np.bool_], limits: Thresholds
) -> None:
    """Hide the smallest shown cells of `group` until the hidden ones protect each other.

    Parameters
    ----------
    caps
        What sites capped of the counts; None at a site, and where its sums are seen.
    """
    if not codes[group].any() or (codes[group] == Hidden.SUPPORT).all():
        return
    least = 0 if limits.zeros_disclosive else 1
    while True:
        hidden, shown = group & (codes > 0), np.flatnonzero(group & (codes == 0))
        codes[hidden] = Hidden.COMPLEMENT
        total, n = counts[hidden].sum(), hidden.sum()
        held, empty = shown[counts[shown] > 0], shown[counts[shown] == 0]
        enough = n >= 2 and total - least * n + 1 >= limits.min_cell - 1
        enough = enough and total >= limits.min_cell
        # Shown cells as large as all hidden ones together: which cell came along tells nothing.
        large = (counts[held] > total - least).all()
        if caps is not None:
            large = large and others_hold(counts[hidden], caps[hidden], limits.min_cell)
        if held.size and not (enough and large):
            codes[held[np.argmin(counts[held])]] = Hidden.COMPLEMENT
        elif empty.size and (not enough or total < 2 * limits.min_cell):
            codes[empty] = Hidden.COMPLEMENT
        else:
            return
