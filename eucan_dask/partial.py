"""What an analysis declares, what it computes at a site, and what may leave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NoReturn

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.errors import EucanError, Invalid

__all__ = [
    "Cells",
    "Finding",
    "Hidden",
    "Partial",
    "PartialSpec",
    "Record",
    "Release",
    "check_declared",
    "labelled",
]

Coords = Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class PartialSpec:
    """One additive array of an analysis.

    Parameters
    ----------
    name
        Name of the variable.
    dims
        Its dimensions; their coordinates come from the request, never from the data.
    kind
        "count": individuals, int64, never negative; "sum": float64; "support": counts that add up
        and that the gate alone looks at: at a site, or under `trusted` and `masked` on the pool;
        "evidence": numbers that the gate looks at, that do not add up and never leave.
    within
        For a count: the count of individuals it is a part of. Both it and the rest are cells.
        For a sum: the count of individuals behind it.
    unit
        Of a sum.
    copies
        Of a count: so many of it one person may be; 2 of alleles.
    zeros
        "policy": the policy says whether a zero discloses; "shown": a zero is no more than the
        absence of an event in an interval and is always shown.
    doc
        What it is, in one line; `explain` prints it.
    """

    name: str
    dims: tuple[str, ...]
    kind: str
    within: str = ""
    unit: str = ""
    zeros: str = "policy"
    doc: str = ""
    copies: int = 1

    def __post_init__(self) -> None:
        if self.kind not in ("count", "sum", "support", "evidence"):
            raise Invalid(f"unknown kind {self.kind!r}", where=self.name)
        if self.kind == "sum" and not self.within:
            raise Invalid("a sum names the people behind it", where=self.name, expected="within")
        if {"samples", "individuals", "mutations"} & set(self.dims):
            raise Invalid(
                "a partial may not have a dimension of people, specimens or their mutations",
                where=self.name,
                found=self.dims,
            )

    @property
    def leaves(self) -> bool:
        """Whether totals of it are seen by anybody but the gate."""
        return self.kind in ("count", "sum")

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64 for sums, int64 for everything that counts."""
        return np.dtype(np.float64 if self.kind == "sum" else np.int64)

    def shape(self, coords: Coords) -> tuple[int, ...]:
        """The shape the request fixes."""
        return tuple(len(coords[dim]) for dim in self.dims)


@dataclass(frozen=True)
class Cells:
    """A support whose entries are cells that a record's numbers can be solved for.

    Parameters
    ----------
    name
        The support.
    of
        Supports of the people who could be in the cell: where one of them is zero, there is none.
        So an array keeps the shape the request fixes, however many cells the data form.
    unless
        A support: where it is not zero, there is no cell either.
    zeros
        Whether a cell of nobody is hidden where the policy hides zeros.
    """

    name: str
    of: tuple[str, ...] = ()
    unless: str = ""
    zeros: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All supports it names."""
        return (self.name, *self.of, *((self.unless,) if self.unless else ()))


@dataclass(frozen=True)
class Record:
    """Everything one finished number uses; it stands or falls whole.

    Parameters
    ----------
    name
        Name of the record; its mask is `<name>_hidden` in a release.
    variables
        Names of the declared variables it holds.
    dims
        The dimensions that index its cells. A variable's other dimensions lie inside a cell: if
        one value fails, the whole cell is hidden.
    needs
        Records that must be shown for this one to be: a frequency needs its denominator.
    partition
        A dimension along which the counts add up to `within`, once for each group (the part of
        a label before the first "|"): hiding one cell alone would hide nothing.
    contains
        A dimension, one of its labels and those within it: whoever is counted at one of these is
        counted at the first.
    grid
        A dimension along which neighbouring cells may be merged on the pool; its counts are
        flows (events, withdrawals), never stocks.
    roster
        "cell": each cell rests on the sites that show it; "all": on all sites of the run, or it
        has no result (a site without the variant adds nothing and counts as shown); "run": all
        cells rest on the same sites, or there is no result at all (a regression).
    carriers
        Supports: people with the alternate allele and without it, by the record's dimensions.
    expected
        The count of people who could be called, whether or not the site holds the variant: where
        they are fewer than carriers and others must be, the site is left out of the record.
    cases
        People with the alternate allele among cases and among controls of yes/no traits.
    cells
        Cells that the record's numbers can be solved for though none of them is it.
    """

    name: str
    variables: tuple[str, ...]
    dims: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    partition: str = ""
    contains: tuple[str, str, tuple[str, ...]] | None = None
    grid: str = ""
    roster: str = "cell"
    carriers: tuple[str, str] | None = None
    expected: str = ""
    cases: tuple[Cells, Cells] | None = None
    cells: tuple[Cells, ...] = ()

    @property
    def supports(self) -> tuple[str, ...]:
        """Names of all supports it is judged by."""
        cells = [name for one in (*(self.cases or ()), *self.cells) for name in one.names]
        return tuple(dict.fromkeys((*(self.carriers or ()), *cells)))


class Hidden(IntEnum):
    """Why a cell is hidden; `VALUE_KINDS` depend on the value itself, `SUPPORT` on numbers."""

    SHOWN = 0
    LOW = 1  # the count lies below the threshold
    HIGH = 2  # all but fewer than the threshold
    SUPPORT = 3  # too few people behind it: the site is no part of this number
    COMPLEMENT = 4  # hidden so that another cell cannot be computed
    WHOLE = 5  # another value of the same record fails
    MERGED = 6  # on the pool: counted at the next grid point shown
    TAIL = 7  # on the pool: past the last grid point that can be shown
    EITHER = 8  # the count or the rest of its people is small, and saying which would tell
    ABSENT = 9  # of public data: the site holds nothing of it
    INSIDER = 10  # on the pool: nearly all of it is one site's, or it is small


# Kinds that depend on the value itself: a total that lacks such a site is no point estimate.
VALUE_KINDS = (Hidden.LOW, Hidden.HIGH, Hidden.COMPLEMENT, Hidden.WHOLE, Hidden.EITHER)


@dataclass(frozen=True)
class Finding:
    """The outcome of one rule: names and counts of cells, never a value.

    Parameters
    ----------
    rule
        Name of the rule, as in the policy file.
    record
        The record it looked at; empty for a rule on the whole request.
    threshold
        The policy's threshold.
    n_hidden
        Cells this rule hid, coarsened: 0, or rounded up to the next of 1, 2, 5, 10, 20, 50, ...
    message
        What happened and what would help, in words that do not depend on membership.
    """

    rule: str
    record: str = ""
    threshold: float = 0.0
    n_hidden: int = 0
    message: str = ""


@dataclass(frozen=True, repr=False, eq=False)
class Partial:
    """Additive statistics and evidence, before the gate. It never leaves the site's process."""

    dataset: xr.Dataset

    def __repr__(self) -> str:
        shapes = {str(n): tuple(v.sizes.items()) for n, v in self.dataset.data_vars.items()}
        return f"Partial({shapes})"

    def __reduce__(self) -> NoReturn:
        raise EucanError("a Partial is never pickled or sent: only a Release leaves a site")


@dataclass(frozen=True, eq=False)
class Release:
    """What may leave a site. Made by the gate, or read back by the wire; by nothing else.

    Parameters
    ----------
    site, run, round, analysis
        Whose answer to which question it is.
    status
        "released", "refused" or "invalid".
    arrays
        What `leaving` says: the declared variables, hidden cells zero, and for each record
        `<record>_hidden`, uint8 codes of `Hidden`; for a pool also what it is judged by.
    findings
        What the rules did.
    header
        Freeze, data class, versions, numbers of tasks and seconds: facts about the run.
    """

    site: str
    run: str
    round: int
    analysis: str
    status: str
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    header: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Release({self.site!r}, {self.analysis!r}, round {self.round}, {self.status})"


def check_declared(
    dataset: xr.Dataset, specs: tuple[PartialSpec, ...], coords: Coords
) -> dict[str, NDArray[Any]]:
    """The arrays of `dataset` if they are exactly what `specs` declares.

    Raises
    ------
    Invalid
        For a variable that is missing or not declared, other dimensions or dtype, a shape that
        the request does not fix, a negative count or a value that is not finite.
    """
    names = {spec.name for spec in specs}
    found = {str(name) for name in dataset.data_vars}
    if found != names:
        raise Invalid(
            "the analysis does not return what it declares",
            expected=sorted(names - found) or "nothing more",
            found=sorted(found - names) or "nothing",
        )
    arrays: dict[str, NDArray[Any]] = {}
    for spec in specs:
        variable = dataset[spec.name]
        values = np.asarray(variable.values)
        if tuple(variable.dims) != spec.dims or values.shape != spec.shape(coords):
            raise Invalid(
                "wrong dimensions",
                where=spec.name,
                expected=dict(zip(spec.dims, spec.shape(coords), strict=True)),
                found=dict(variable.sizes),
            )
        if values.dtype != spec.dtype:
            raise Invalid(
                "wrong dtype", where=spec.name, expected=spec.dtype, found=str(values.dtype)
            )
        if spec.kind == "sum" and not np.isfinite(values).all():
            raise Invalid("a sum is not finite", where=spec.name)
        if spec.kind != "sum" and (values < 0).any():
            raise Invalid("a count is negative", where=spec.name)
        arrays[spec.name] = values
    _check_parts(dataset, specs)
    return arrays


def _check_parts(dataset: xr.Dataset, specs: tuple[PartialSpec, ...]) -> None:
    for spec in specs:
        if spec.kind == "count" and spec.within:
            if bool((dataset[spec.name] > dataset[spec.within]).any()):
                raise Invalid(f"is more than {spec.within}, of which it is a part", where=spec.name)


def labelled(coords: Coords) -> xr.Dataset:
    """An empty Dataset with the labels a request fixes, without indexes.

    Building an index costs a millisecond each, many times a round, and sums need none.
    """
    values = {}
    for dim, labels in coords.items():
        numeric = bool(labels) and all(isinstance(v, int | float) for v in labels)
        values[dim] = (dim, np.array(labels, dtype=np.float64 if numeric else object))
    return xr.Dataset(coords=xr.Coordinates(values, indexes={}))


def indexed(ds: xr.Dataset) -> xr.Dataset:
    """`ds` with an index on every labelled dimension, so that people can select by label."""
    return ds.assign_coords({d: (d, ds[d].values) for d in ds.dims if d in ds.coords})
