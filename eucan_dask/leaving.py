"""What a release holds under each aggregator: names, shapes and dtypes, fixed by the request."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from eucan_dask.analysis import Analysis
from eucan_dask.partial import Coords, PartialSpec, Record

__all__ = [
    "CAPPED",
    "LEFT",
    "PAIRS",
    "REST",
    "SPANS",
    "Cap",
    "caps",
    "flows",
    "leaving",
    "only_for_gate",
    "spans",
]

CAPPED = "_capped"
REST = "_rest_capped"
LEFT = "_left_capped"
SPANS = "spans"
PAIRS = "cohort_n_apart"  # people of each cohort who are not in each other one

Shape = tuple[tuple[int, ...], np.dtype[Any]]


class Cap(NamedTuple):
    """What a site caps: its dimensions, and what of which variable or record it is.

    `what` is "value", "rest" (of the people it is a part of), "stretches" (sums over stretches of
    a grid) or "left" (people left after each point of a record's grid).
    """

    dims: tuple[str, ...]
    what: str
    of: str


def flows(analysis: Analysis) -> dict[str, str]:
    """The grid of each count that flows along one."""
    return {name: r.grid for r in analysis.records if r.grid for name in r.variables}


def spans(n_points: int) -> tuple[int, ...]:
    """Lengths of stretches of a grid, 1, 2, 4, ...: two of one length cover any stretch."""
    return tuple(2**j for j in range(n_points.bit_length()))


def caps(analysis: Analysis) -> dict[str, Cap]:
    """What each site caps for the rule `insider`, by name.

    For every count and judged support `<name>_capped`, the lesser of it and half the pool's least
    cell; for a part of another count `<name>_rest_capped`, the same of the rest; along a grid
    those of each stretch, and `<record>_left_capped` of the people left after each point.
    """
    found: dict[str, Cap] = {}
    along = flows(analysis)
    judged = {n for r in analysis.records for n in (*(r.carriers or ()), *_cells(r))}
    for spec in analysis.yields:
        if spec.name in along:
            found[spec.name + CAPPED] = Cap((*spec.dims, SPANS), "stretches", spec.name)
        elif spec.kind == "count" or spec.name in judged:
            found[spec.name + CAPPED] = Cap(spec.dims, "value", spec.name)
            if spec.kind == "count" and spec.within:
                found[spec.name + REST] = Cap(spec.dims, "rest", spec.name)
    for record in analysis.records:
        if record.grid:
            dims = _spec(analysis, record.variables[0]).dims
            found[record.name + LEFT] = Cap(dims, "left", record.name)
    return found


def _cells(record: Record) -> list[str]:
    return [cells.name for cells in (*(record.cases or ()), *record.cells)]


def _spec(analysis: Analysis, name: str) -> PartialSpec:
    return next(spec for spec in analysis.yields if spec.name == name)


def only_for_gate(analysis: Analysis) -> dict[str, tuple[str, ...]]:
    """Names and dimensions of what the gate of a pool alone looks at.

    Supports; how the cohorts lie in one another; and what is capped.
    """
    supports = {spec.name: spec.dims for spec in analysis.yields if spec.kind == "support"}
    pairs = {PAIRS: ("cohorts", "cohorts_2")} if analysis.max_cohorts > 1 else {}
    return {**supports, **pairs, **{name: cap.dims for name, cap in caps(analysis).items()}}


def leaving(analysis: Analysis, coords: Coords, aggregator: str) -> dict[str, Shape]:
    """Shape and dtype of every array of a release, by name.

    Under `none` the declared counts and sums, and for each record `<record>_hidden`; under
    `trusted` also what the gate judges the pool by; under `masked` the same without
    `<record>_hidden`, as nothing is hidden at a site, before all of it becomes one masked vector.
    """
    found: dict[str, Shape] = {
        s.name: (s.shape(coords), s.dtype) for s in analysis.yields if s.leaves
    }
    if aggregator != "masked":
        for record in analysis.records:
            shape = tuple(len(coords[dim]) for dim in record.dims)
            found[f"{record.name}_hidden"] = (shape, np.dtype(np.uint8))
    if aggregator != "none":
        sizes = {dim: len(labels) for dim, labels in coords.items()}
        sizes["cohorts_2"] = sizes["cohorts"]
        for record in analysis.records:
            if record.grid:
                sizes[SPANS] = len(spans(sizes[record.grid]))
        for name, dims in only_for_gate(analysis).items():
            found[name] = (tuple(sizes[dim] for dim in dims), np.dtype(np.int64))
    return found
