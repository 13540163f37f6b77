"""Neighbouring steps of a grid merged on the pool, until each holds nobody or enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis
from eucan_dask.insider import Steps
from eucan_dask.leaving import CAPPED, LEFT, SPANS
from eucan_dask.overlap import Overlap
from eucan_dask.partial import Hidden, Record

__all__ = ["Flows", "merge_grid", "merge_record"]

Ints = NDArray[np.int64]
Codes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Flows:
    """Counts that leave one risk set along a grid.

    Parameters
    ----------
    flows
        Events, withdrawals: (F, T).
    people
        Size of the risk set at the start.
    steps
        Which merged steps leave enough without any one site's part; None where sites are not asked.
    """

    flows: Ints
    people: int
    steps: Steps | None = None

    def closes(self, first: int, last: int, least: int) -> bool:
        """Whether every flow from `first` to `last` is zero or enough."""
        running = self.flows[:, first : last + 1].sum(axis=1)
        if not ((running == 0) | (running >= least)).all():
            return False
        return self.steps is None or self.steps.closes(first, last, running)

    def ends(self, last: int, least: int) -> bool:
        """Whether nobody is left after `last`, or enough are."""
        left = self.people - int(self.flows[:, : last + 1].sum())
        if left == 0:
            return True
        return left >= least and (self.steps is None or self.steps.ends(last))

    def merged(self, codes: Codes) -> Ints:
        """The flows, each counted at the last grid point of its merged step."""
        out, first = np.zeros_like(self.flows), 0
        for last in np.flatnonzero(codes == Hidden.SHOWN):
            out[:, last] = self.flows[:, first : last + 1].sum(axis=1)
            first = int(last) + 1
        return out


def merge_grid(together: Sequence[Flows], least: int) -> Codes:
    """Codes (T,) of a grid whose neighbouring steps are merged until every flow is zero or enough.

    Parameters
    ----------
    together
        Risk sets that share the steps: of cohorts inside one another also what is left of each.

    Returns
    -------
    `SHOWN` at the last point of each merged step, `MERGED` before it, `TAIL` past the last step
    that could be closed with nobody, or at least `least`, left.
    """
    n_points = together[0].flows.shape[1]
    codes = np.full(n_points, Hidden.MERGED, np.uint8)
    first = 0
    for last in range(n_points):
        if all(one.closes(first, last, least) for one in together):
            codes[last], first = Hidden.SHOWN, last + 1
    while (codes == Hidden.SHOWN).any():
        last = int(np.flatnonzero(codes == Hidden.SHOWN)[-1])
        if all(one.ends(last, least) for one in together):
            break
        codes[last] = Hidden.MERGED
    shown = np.flatnonzero(codes == Hidden.SHOWN)
    codes[(shown[-1] + 1 if shown.size else 0) :] = Hidden.TAIL
    return codes


def merge_record(
    analysis: Analysis, total: xr.Dataset, record: Record, least: int, overlap: Overlap | None
) -> None:
    """Merge the flows of a record along its grid; a record it needs takes it down whole.

    Cohorts inside one another share their steps, and what is left of the outer one is merged with
    them: subtracted, their curves are its.
    """
    names = list(record.variables)
    dims = tuple(d for d in total[names[0]].dims if d != record.grid)
    stacked = np.stack(
        [total[name].transpose(*dims, record.grid).values for name in names], axis=-2
    )
    flat = stacked.reshape(-1, *stacked.shape[-2:])  # (rows, F, T)
    within = next(s for s in analysis.yields if s.name == names[0]).within
    people = total[within].transpose(*dims).values.reshape(-1)
    needed = np.zeros(people.shape, np.uint8)
    for name in record.needs:
        needed = np.maximum(needed, total[f"{name}_pool_hidden"].transpose(*dims).values.ravel())
    steps = _steps(total, record, dims, least)
    sets = [Flows(flat[r], int(people[r]), steps[r]) for r in range(len(flat))]
    codes = np.zeros((len(flat), flat.shape[-1]), np.uint8)
    merged = np.zeros_like(flat)
    for rows in _together(len(flat), dims, overlap, needed):
        codes[rows] = merge_grid([*(sets[r] for r in rows), *_left(sets, rows, overlap)], least)
        for r in rows:
            merged[r] = sets[r].merged(codes[r])
    hidden = needed > 0
    merged[hidden], codes[hidden] = 0, needed[hidden, np.newaxis]
    back = merged.reshape(stacked.shape)
    for i, name in enumerate(names):
        values = xr.DataArray(back[..., i, :], dims=(*dims, record.grid))
        total[name] = values.transpose(*total[name].dims)
    shape = (*stacked.shape[:-2], stacked.shape[-1])
    total[f"{record.name}_pool_hidden"] = ((*dims, record.grid), codes.reshape(shape))


def _together(
    n_rows: int, dims: tuple[object, ...], overlap: Overlap | None, needed: Codes
) -> list[list[int]]:
    """Rows that share their steps: cohorts one of which holds the others."""
    alone = [[row] for row in range(n_rows)]
    if dims != ("cohorts",) or overlap is None or not overlap.laminar:
        return alone
    sets = []
    for outermost in np.flatnonzero(~overlap.inside.any(axis=1)):
        held = [int(outermost), *map(int, np.flatnonzero(overlap.inside[:, outermost]))]
        sets.append([row for row in held if not needed[row]])
    return [rows for rows in sets if rows] + [[r] for r in range(n_rows) if needed[r]]


def _left(sets: Sequence[Flows], rows: Sequence[int], overlap: Overlap | None) -> list[Flows]:
    """What is left of each cohort without those inside it."""
    found = []
    for row in rows if overlap is not None and len(rows) > 1 else ():
        inner = [sets[r] for r in overlap.children[row] if r in rows] if overlap else []
        if inner:
            flows = sets[row].flows - sum((one.flows for one in inner), start=0)
            people = sets[row].people - sum(one.people for one in inner)
            found.append(Flows(flows, people))
    return found


def _steps(
    total: xr.Dataset, record: Record, dims: tuple[object, ...], least: int
) -> list[Steps | None]:
    """What each row of a record's grid may show to the sites that add to it; None: anything."""
    n_rows = int(np.prod([total.sizes[dim] for dim in dims], dtype=np.int64))
    if record.name + LEFT not in total:
        return [None] * n_rows
    stacked = [
        total[name + CAPPED].transpose(*dims, record.grid, SPANS).values
        for name in record.variables
    ]
    n_points, n_spans = stacked[0].shape[-2:]
    stretches = np.stack(stacked).reshape(len(stacked), n_rows, n_points, n_spans)
    left = total[record.name + LEFT].transpose(*dims, record.grid).values.reshape(n_rows, n_points)
    return [Steps.of(stretches[:, row], left[row], least) for row in range(n_rows)]
