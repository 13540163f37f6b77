"""Counts of cohorts that share people, as the rule `bounds` looks at them: rows of labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.case import Case
from eucan_dask.partial import Hidden, Record

__all__ = ["Rows", "rows_of"]

Ints = NDArray[np.int64]
Bool = NDArray[np.bool_]
PANEL = ("genes", "variants")
UNKNOWN_LEVELS = ("missing", "other")


@dataclass(frozen=True, eq=False)
class Rows:
    """One count of a record: rows of labels in cohorts, (R, I, C).

    Parameters
    ----------
    least
        What a count must reach to be shown.
    zero
        Whether nobody is as telling as few, (I,).
    rest
        Whether the rest of the people is a cell too.
    mixed
        Whether a row whose cells are partly hidden falls: more is known of it than is worked out.
    dims, shape
        Of the row, so that results find back.
    """

    values: Ints
    people: Ints
    codes: NDArray[np.uint8]
    least: int
    zero: Bool
    rest: bool
    mixed: bool
    dims: tuple[str, ...]
    shape: tuple[int, ...]

    def telling(self, values: Ints, people: Ints) -> Bool:
        """Which counts (..., I, X) of so many people are too few to be told."""
        zero = self.zero[:, np.newaxis]
        small = (values < self.least) & ((values > 0) | zero)
        left = people - values
        if self.rest:
            small |= (left < self.least) & ((left > 0) | zero)
        return np.asarray(small & (people > 0))

    @property
    def known(self) -> tuple[Ints, Ints]:
        """What the codes say of each count: least and most."""
        k, zero = self.least - 1, self.zero[:, np.newaxis]
        low, high = np.zeros_like(self.values), self.people.copy()
        few, many = self.codes == Hidden.LOW, self.codes == Hidden.HIGH
        some = (few | many | (self.codes == Hidden.EITHER)) & ~zero  # neither nobody nor all
        low = np.where(many, self.people - k, np.where(some, 1, low))
        high = np.where(few, k, np.where(some, self.people - 1, high))
        shown = self.codes == Hidden.SHOWN
        low, high = np.where(shown, self.values, low), np.where(shown, self.values, high)
        return np.clip(low, 0, self.people), np.minimum(high, self.people)

    @property
    def dark(self) -> Bool:
        """Rows (R,) of which nothing is shown, nor that all of it is low.

        They look like rows that fall: which of them did would tell.
        """
        codes = self.codes
        hidden = ((codes > 0) | (self.people == 0)).all(axis=(1, 2))
        low = np.isin(codes, (Hidden.LOW, Hidden.SUPPORT)).all(axis=(1, 2))
        return np.asarray(hidden & ~low)

    def narrow(self, low: Ints, high: Ints, people: Ints) -> Bool:
        """Where too few values are left."""
        return np.asarray(high - low + 1 < np.minimum(self.least - 1, people + 1))

    def only(self, places: Ints) -> Rows:
        """Some of the labels."""
        parts = {name: getattr(self, name)[:, places] for name in ("values", "people", "codes")}
        return replace(self, **parts, zero=self.zero[places])

    def apart(self) -> Rows:
        """Each label as a row of its own."""
        n_cohorts = self.values.shape[2]
        parts = {
            name: getattr(self, name).reshape(-1, 1, n_cohorts)
            for name in ("values", "people", "codes")
        }
        return replace(self, **parts, zero=self.zero[:1])  # the same for all, but of levels

    def back(self, failing: Bool) -> xr.DataArray:
        """Rows (R,) as an array of the row's dimensions."""
        return xr.DataArray(failing.reshape(self.shape), dims=self.dims)


def rows_of(case: Case, record: Record, own: xr.DataArray) -> Iterator[Rows]:
    """The counts of a record that are parts of others, and people who carry a variant."""
    limits = case.thresholds
    for name in record.variables:
        spec = case.spec(name)
        if spec.kind == "count" and spec.within:
            people = case.arrays[spec.within]
            zero = limits.zeros_disclosive and spec.zeros == "policy"
            yield _rows(case, record, own, (name, people, limits.min_cell, zero))
    carriers = record.carriers or ()
    for name, least in zip(carriers, (limits.min_carriers, limits.min_non_carriers), strict=False):
        if name in case.arrays:
            with_alt, without = (case.arrays[n] for n in carriers)
            people = with_alt + without
            yield _rows(case, record, own, (name, people, least, True))


def _rows(
    case: Case,
    record: Record,
    own: xr.DataArray,
    what: tuple[str, xr.DataArray, int, bool],
) -> Rows:
    name, within, least, zero = what
    value = case.arrays[name]
    row_dims = tuple(d for d in record.dims if d in PANEL)
    inner = tuple(d for d in value.dims if d not in (*row_dims, "cohorts"))
    order = (*row_dims, *inner, "cohorts")
    shape = tuple(value.sizes[d] for d in row_dims)
    n_labels = int(np.prod([value.sizes[d] for d in inner], dtype=np.int64))
    flat = (int(np.prod(shape, dtype=np.int64)), n_labels, value.sizes["cohorts"])
    values, people, codes = (
        x.broadcast_like(value).transpose(*order).values.reshape(flat) for x in (value, within, own)
    )
    zeros = np.full(n_labels, zero)
    if record.partition:
        labels = [str(v).split("|", 1)[-1] for v in case.arrays[record.partition].values]
        zeros &= [label not in UNKNOWN_LEVELS for label in labels]
    carriers = name in (record.carriers or ())
    rest = not record.grid and not carriers
    mixed = bool(set(inner) - set(record.dims)) and not record.grid
    return Rows(values, people, codes, least, zeros, rest, mixed, row_dims, shape)
