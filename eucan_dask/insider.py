"""What a site of the roster can work out: totals less its own part.

Each site adds to every count the lesser of it and half the least cell, `k_in`. Of a total of at
least 2 k_in, all but the largest part is at least k_in if and only if what is capped adds up to at
least 2 k_in. For where the largest part is k_in or more, it counts k_in there, and the others reach
k_in with their caps if and only if they do without; and where it is less, nothing is capped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis
from eucan_dask.case import Case, coded, within_cell
from eucan_dask.leaving import CAPPED, REST, SPANS, caps, flows, spans
from eucan_dask.partial import Cells, Hidden, Record

__all__ = ["Steps", "capped", "half", "insider", "largest_part", "others_hold"]

Ints = NDArray[np.int64]


def half(least: int) -> int:
    """What must be left of a total without any one site's part."""
    return least // 2


def capped(
    analysis: Analysis, arrays: Mapping[str, xr.DataArray], least: int
) -> dict[str, xr.DataArray]:
    """What a site caps, by the names and dimensions of `caps`.

    Parameters
    ----------
    arrays
        Counts and supports, zero where they are hidden.
    least
        The pool's `min_cell`.
    """
    limit, along = half(least), flows(analysis)
    declared = {spec.name: spec for spec in analysis.yields}
    records = {record.name: record for record in analysis.records}
    found = {}
    for name, (dims, what, of) in caps(analysis).items():
        if what == "left":
            value = _left(records[of], declared[records[of].variables[0]].within, arrays)
        elif what == "rest":
            value = arrays[declared[of].within] - arrays[of]
        elif what == "stretches":
            value = _stretches(arrays[of], along[of])
        else:
            value = arrays[of]
        found[name] = value.clip(max=limit).transpose(*dims)
    return found


def _left(record: Record, within: str, arrays: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """People left after each point of a record's grid."""
    gone = sum((arrays[n].cumsum(record.grid) for n in record.variables[1:]), start=0)
    left: xr.DataArray = arrays[within] - (arrays[record.variables[0]].cumsum(record.grid) + gone)
    return left


def _stretches(flow: xr.DataArray, grid: str) -> xr.DataArray:
    """Sums over stretches of 1, 2, 4, ... points from each; 0 where one passes the grid's end."""
    values = flow.transpose(..., grid).values
    n = values.shape[-1]
    until = np.concatenate([np.zeros_like(values[..., :1]), values.cumsum(axis=-1)], axis=-1)
    out = np.zeros((*values.shape, len(spans(n))), np.int64)
    for j, length in enumerate(spans(n)):
        out[..., : n - length + 1, j] = until[..., length:] - until[..., : n - length + 1]
    dims = (*(d for d in flow.dims if d != grid), grid, SPANS)
    return xr.DataArray(out, dims=dims)


def insider(case: Case, record: Record, masks: Mapping[str, xr.DataArray]) -> xr.DataArray | None:
    """Without the part of any one site, half of `min_cell` is left of every total that is shown.

    A small total of which one site holds most gets the same code: it would know the others' part.
    """
    if record.name not in masks or not _are_capped(case, record):
        return None
    own = masks[record.name]
    single = _one_part(case, record)
    counts = [n for n in record.variables if case.spec(n).kind == "count"]
    failing = xr.zeros_like(own, dtype=bool)
    for name in counts if not record.grid and not single else ():
        failing = failing | within_cell(_unsafe(case, name), record)
    for cells in record.cells:
        failing = failing | _few_others(case, record, cells)
    carried = xr.zeros_like(own, dtype=bool)
    for cells in (*map(Cells, record.carriers or ()), *(record.cases or ())):
        carried = carried | _few_others(case, record, cells)
    # The codes of the rules by which the same totals are small.
    parts = any(case.spec(name).within for name in record.variables)
    code = coded(failing, Hidden.WHOLE if parts else Hidden.SUPPORT)
    code = xr.where(carried, np.uint8(Hidden.WHOLE), code).transpose(*own.dims)
    mask: xr.DataArray = xr.where(own > 0, own, code)
    return _of_one_part(case, record.variables[0], mask) if single else mask


def _few_others(case: Case, record: Record, cells: Cells) -> xr.DataArray:
    return within_cell(_unsafe(case, cells.name) & case.are_cells(cells), record)


def _are_capped(case: Case, record: Record) -> bool:
    return any(name + CAPPED in case.arrays for name in record.variables)


def _one_part(case: Case, record: Record) -> bool:
    """Whether a record is one count of a part, cell by cell: its codes then say which end fails."""
    spec = case.spec(record.variables[0])
    single = len(record.variables) == 1 and bool(spec.within) and not record.grid
    return single and set(spec.dims) == set(record.dims)


def _unsafe(case: Case, name: str) -> xr.DataArray:
    """Where one site holds nearly all of a count, or of the rest."""
    enough = 2 * half(case.thresholds.min_cell)
    value, unsafe = case.arrays[name], case.arrays[name + CAPPED] < enough
    failing = (value > 0) & unsafe
    if name + REST in case.arrays:
        rest = case.arrays[case.spec(name).within] - value
        failing = failing | ((rest > 0) & (case.arrays[name + REST] < enough))
    return failing


def _of_one_part(case: Case, name: str, own: xr.DataArray) -> xr.DataArray:
    """Codes of a count within another; LOW and HIGH only where no site holds more than half."""
    value, cap = case.arrays[name], case.arrays[name + CAPPED]
    rest, rest_cap = case.arrays[case.spec(name).within] - value, case.arrays[name + REST]
    most = ((own == Hidden.LOW) & (cap < value)) | ((own == Hidden.HIGH) & (rest_cap < rest))
    recoded = ((own == 0) & _unsafe(case, name)) | most
    mask: xr.DataArray = xr.where(recoded, np.uint8(Hidden.INSIDER), own)
    return mask.transpose(*own.dims).astype(np.uint8)


def largest_part(total: Ints, cap: Ints, least: int) -> Ints:
    """Bound on the largest part of totals, from what the sites capped."""
    return np.minimum(total, half(least) + total - cap)


def others_hold(total: Ints, cap: Ints, least: int) -> bool:
    """Whether of these totals together enough is left without any one site's part."""
    left = total.sum() - largest_part(total, cap, least).sum()
    return bool(left >= half(least))


@dataclass(frozen=True)
class Steps:
    """Steps of one cohort's grid that may be shown to the sites that add to them.

    Parameters
    ----------
    stretches
        Capped flows, (F, T, spans).
    left
        Capped people left after each point, (T,).
    enough
        What capped parts must add up to.
    """

    stretches: Ints
    left: Ints
    enough: int

    @classmethod
    def of(cls, stretches: Ints, left: Ints, least: int) -> Steps:
        """From what was capped, and the pool's least cell."""
        return cls(stretches, left, 2 * half(least))

    def closes(self, first: int, last: int, running: Ints) -> bool:
        """Whether flows that add up to `running` from `first` to `last` leave enough of others."""
        j = (last - first + 1).bit_length() - 1
        both = self.stretches[:, [first, last - 2**j + 1], j].max(axis=1)
        return bool(((running == 0) | (both >= self.enough)).all())

    def ends(self, last: int) -> bool:
        """Whether enough of the others' people are left after `last`."""
        return bool(self.left[last] >= self.enough)
