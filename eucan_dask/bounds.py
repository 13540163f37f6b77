"""The rule `bounds`: what is hidden in one release stays wide, given everything shown in it.

Cohorts of one request that share people, and classes that lie in one another, bound each other: all
carriers less those among men are the women's, asked or not. That everybody mutated has one class
may be told: a class less one in it is too small if it holds some people, but few.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.case import Case
from eucan_dask.coupled import Rows, rows_of
from eucan_dask.errors import Refused
from eucan_dask.intervals import Table, Tree
from eucan_dask.overlap import Overlap
from eucan_dask.partial import Hidden, Record

__all__ = ["bounds"]

Ints = NDArray[np.int64]
Bool = NDArray[np.bool_]
MOST_CELLS = 5_000
MOST_PROGRAMS = 4_000


def bounds(case: Case, record: Record, masks: Mapping[str, xr.DataArray]) -> xr.DataArray | None:
    """Whatever is hidden, or can be worked out, is left with `min_cell` - 1 values or more.

    Where it is not, the gene, variant or field is hidden for all cohorts and classes.
    """
    overlap, own = case.overlap, masks[record.name]
    if overlap is None or "cohorts" not in record.dims or case.thresholds.min_cell < 2:
        return None
    pairs = _contained(case, record)
    if not (overlap.coupled.any() or pairs):
        return None
    failing = xr.zeros_like(own, dtype=bool)
    for rows in rows_of(case, record, own):
        if record.partition:
            for places in _fields(case, record):
                one_field = rows.only(places)
                groups = (tuple(range(places.size)),)
                if bool(_by_program(one_field, overlap, (), groups).any()):
                    failing[{record.partition: places}] = True
        elif not overlap.coupled.any():
            failing = failing | rows.back(_by_class(rows, pairs))
        elif pairs or not overlap.laminar:
            failing = failing | rows.back(rows.dark | _by_program(rows, overlap, pairs, ()))
        else:
            failing = failing | rows.back(rows.dark | _by_tree(rows, overlap))
    hidden = failing & (own != Hidden.SUPPORT)
    mask: xr.DataArray = xr.where(hidden, np.uint8(Hidden.WHOLE), own)
    return mask.transpose(*own.dims).astype(np.uint8)


def _contained(case: Case, record: Record) -> tuple[tuple[int, int], ...]:
    """Labels of a record that lie in one another: places of the whole and of the part."""
    if record.contains is None:
        return ()
    dim, whole, parts = record.contains
    labels = [str(v) for v in case.arrays[dim].values]
    if whole not in labels:
        return ()
    return tuple((labels.index(whole), labels.index(p)) for p in parts if p in labels)


def _fields(case: Case, record: Record) -> Iterator[Ints]:
    """Places of the levels of each field of a classification."""
    fields = [str(v).split("|", 1)[0] for v in case.arrays[record.partition].values]
    for name in dict.fromkeys(fields):
        yield np.flatnonzero([other == name for other in fields])


def _by_class(rows: Rows, pairs: tuple[tuple[int, int], ...]) -> Bool:
    """Rows (R,) in which something is too narrow, of classes within a class, cohort by cohort."""
    low, high = (end.copy() for end in rows.known)
    for whole, part in pairs:
        high[:, part] = np.minimum(high[:, part], high[:, whole])
        low[:, whole] = np.maximum(low[:, whole], low[:, part])
    bad = ((rows.codes > 0) & rows.narrow(low, high, rows.people)).any(axis=(1, 2))
    for whole, part in pairs:
        left = rows.values[:, whole] - rows.values[:, part]
        least = np.maximum(low[:, whole] - high[:, part], 0)
        narrow = rows.narrow(least, high[:, whole] - low[:, part], rows.people[:, whole])
        bad |= (narrow & (left > 0) & (left < rows.least)).any(axis=1)
    return np.asarray(bad)


def _by_tree(rows: Rows, overlap: Overlap) -> Bool:
    """Rows (R,) in which something is too narrow, where cohorts are nested."""
    n_rows, n_labels, n_cohorts = rows.values.shape

    def flat(values: NDArray[np.generic]) -> Ints:
        return values.reshape(-1, n_cohorts)  # type: ignore[return-value]

    low, high = rows.known
    tree = Tree(overlap, flat(low), flat(high), flat(rows.people))
    values, codes = flat(rows.values), flat(rows.codes)
    least, most = tree.bounds
    bad = (codes > 0) & rows.narrow(least, most, tree.people)
    rest = values - np.stack(
        [values[:, list(inner)].sum(axis=1) for inner in overlap.children], axis=1
    )
    held = np.array([bool(inner) for inner in overlap.children])
    shape = (n_rows, n_labels, n_cohorts)
    telling = rows.telling(rest.reshape(shape), tree.rest.reshape(shape)).reshape(values.shape)
    bad |= held & telling & rows.narrow(*tree.rest_bounds, tree.rest)
    for c in np.flatnonzero(held):
        left, people = _less_shown(values, tree.people, codes, overlap, int(c))
        worked_out = (codes[:, c] == 0) & (people < tree.people[:, c])
        narrow = rows.telling(
            left.reshape(n_rows, n_labels, 1), people.reshape(n_rows, n_labels, 1)
        )
        bad[:, c] |= worked_out & narrow.ravel()
    failing = bad.reshape(shape)
    if rows.mixed:
        value_hidden = (rows.codes > 0) & (rows.codes != Hidden.SUPPORT)
        together = overlap.coupled.any(axis=1)
        mixed = (value_hidden & together).any(axis=(1, 2)) & (
            (rows.codes == 0) & together & (rows.people > 0)
        ).any(axis=(1, 2))
        return np.asarray(failing.any(axis=(1, 2)) | mixed)
    return np.asarray(failing.any(axis=(1, 2)))


def _less_shown(
    values: Ints, people: Ints, codes: Ints, overlap: Overlap, cohort: int
) -> tuple[Ints, Ints]:
    """Counts and people (R,) of a cohort less those of the largest ones inside that are shown."""
    left, rest = values[:, cohort].copy(), people[:, cohort].copy()
    todo = [(d, np.ones(len(values), dtype=bool)) for d in overlap.children[cohort]]
    while todo:
        inner, open_ = todo.pop()
        shown = open_ & (codes[:, inner] == 0)
        left -= np.where(shown, values[:, inner], 0)
        rest -= np.where(shown, people[:, inner], 0)
        todo += [(d, open_ & ~shown) for d in overlap.children[inner]]
    return left, rest


def _by_program(
    rows: Rows,
    overlap: Overlap,
    contains: tuple[tuple[int, int], ...],
    groups: tuple[tuple[int, ...], ...],
) -> Bool:
    """Rows (R,) in which something is too narrow, by integer programs; equal rows are one."""
    if not contains and not groups and rows.values.shape[1] > 1:
        each = _by_program(rows.apart(), overlap, (), ())
        return np.asarray(each.reshape(rows.values.shape[:2]).any(axis=1))
    low, high = rows.known
    failing = np.zeros(len(rows.values), dtype=bool)
    asked: dict[bytes, bool] = {}
    budget = _Budget()
    for r in range(len(rows.values)):
        key = b"".join(x[r].tobytes() for x in (rows.values, rows.people, rows.codes))
        if key not in asked:
            asked[key] = any(
                _narrow(
                    rows,
                    r,
                    Table(part, *_cut(r, chosen, low, high, rows), contains, groups),
                    chosen,
                    budget,
                )
                for chosen, part in _parts(overlap)
            )
        failing[r] = asked[key]
    return failing


def _cut(r: int, chosen: list[int], low: Ints, high: Ints, rows: Rows) -> tuple[Ints, Ints, Ints]:
    people = rows.people[r][:, chosen].max(axis=0, initial=0)
    return low[r][:, chosen], high[r][:, chosen], people


@dataclass
class _Budget:
    cells: int = 0
    programs: int = 0

    def spend(self, *, cells: int = 0, programs: int = 0) -> None:
        """Refuse where so many cells are coupled that working them out takes too long."""
        self.cells += cells
        self.programs += programs
        if self.cells > MOST_CELLS or self.programs > MOST_PROGRAMS:
            raise Refused("bounds", "ask for fewer genes or cohorts at once")


def _parts(overlap: Overlap) -> Iterator[tuple[list[int], Overlap]]:
    """Cohorts looked at together, with their parts."""
    n = len(overlap.pairs)
    if overlap.atoms is not None:
        yield list(range(n)), overlap
    elif overlap.laminar:
        yield list(range(n)), overlap.nested()
    else:  # of a pool only pairs are known
        for one, other in zip(*np.nonzero(np.triu(overlap.coupled)), strict=True):
            yield [int(one), int(other)], overlap.pair(int(one), int(other))


def _narrow(rows: Rows, row: int, table: Table, chosen: list[int], budget: _Budget) -> bool:
    """Whether anything of a row over some cohorts is too narrow."""
    codes, values = rows.codes[row][:, chosen], rows.values[row][:, chosen]
    parts = _true_parts(table, values)
    sizes = table.sizes
    counted = False
    for weights, is_hidden in _objects(table, codes):
        label = int(np.flatnonzero((weights > 0).any(axis=1))[0])
        most = np.array([[sizes[(weights[label] > 0)].sum()]])
        only = replace(rows, zero=rows.zero[label : label + 1])
        if (weights < 0).any():  # that a class is all of one that holds it may be told
            only = replace(only, zero=np.array([False]), rest=False)
        if parts is not None and not is_hidden:
            true = np.array([[int((weights * parts).sum())]])
            if not only.telling(true, most).any():
                continue
        if not counted:
            budget.spend(cells=codes.size)
            counted = True
        budget.spend(programs=2)
        least, top = table.bounds(weights)
        every = np.arange(least, top + 1)[np.newaxis]
        narrow = bool(rows.narrow(np.array(least), np.array(top), most).any())
        if narrow and bool(only.telling(every, np.full_like(every, most[0, 0])).any()):
            return True
    return False


def _true_parts(table: Table, values: Ints) -> Ints | None:
    """Counts (I, A) of each part of nested cohorts; None where cohorts lie across."""
    overlap = table.overlap
    if overlap.atoms is None or not overlap.laminar:
        return None
    inner = [values[:, list(held)].sum(axis=1) for held in overlap.children]
    own = values - np.stack(inner, axis=1)
    # The part of a cohort that is in none inside it: held by it and by those that hold it.
    holders = overlap.inside | np.eye(len(overlap.pairs), dtype=bool)
    found = np.zeros((len(values), len(overlap.atoms)), np.int64)
    for c, held in enumerate(holders):
        place = np.flatnonzero((overlap.atoms == held).all(axis=1))
        if place.size:
            found[:, place[0]] += own[:, c]
    return found


def _objects(table: Table, codes: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.int64], bool]]:
    """Weights (I, A) of sums that must stay wide, and whether they are hidden cells.

    Hidden cells; differences and common parts of cohorts that share people; classes less those
    in them.
    """
    overlap, (n_labels, n_cohorts) = table.overlap, codes.shape
    atoms = table.atoms

    def of(label: int, held: Bool, less: int = -1) -> NDArray[np.int64]:
        weights = np.zeros((n_labels, len(atoms)), np.int64)
        weights[label] = held
        if less >= 0:
            weights[less] = -held.astype(np.int64)
        return weights

    def all_of(held: Bool) -> Iterator[tuple[NDArray[np.int64], bool]]:
        yield from ((of(i, held), False) for i in range(n_labels))
        yield from ((of(whole, held, inner), False) for whole, inner in table.contains)

    for c in range(n_cohorts):
        for i in np.flatnonzero(codes[:, c]):
            yield of(int(i), atoms[:, c]), True
        for whole, inner in table.contains:
            yield of(whole, atoms[:, c], inner), False
        for d in np.flatnonzero(overlap.coupled[c]):
            sets = [atoms[:, c] & ~atoms[:, d]]
            if c < d and not (overlap.inside[c, d] or overlap.inside[d, c]):
                sets.append(atoms[:, c] & atoms[:, d])
            for held in sets:
                if table.sizes[held].sum():
                    yield from all_of(held)
        for i in range(n_labels):  # without all others that are shown
            shown = overlap.coupled[c] & (codes[i] == 0)
            held = atoms[:, c] & ~atoms[:, shown].any(axis=1)
            if shown.sum() > 1 and table.sizes[held].sum():
                yield from all_of(held)
    for a in range(len(atoms)):
        yield from all_of(np.arange(len(atoms)) == a)
