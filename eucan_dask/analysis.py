"""An analysis is a frozen value: parameters, what leaves a site, two pure functions, its tables."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid
from eucan_dask.panel import Panel
from eucan_dask.partial import PartialSpec, Record

__all__ = [
    "Analysis",
    "Column",
    "IterativeAnalysis",
    "State",
    "Table",
    "View",
    "check_cohorts",
    "parameters",
]

State = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Column:
    """A value column: its name, the finished variable if called otherwise, and what hides it.

    Parameters
    ----------
    record
        The record it rests on, if not the table's.
    interval
        It bounds the value, and stays where the value itself is hidden.
    """

    name: str
    variable: str = ""
    record: str = ""
    interval: bool = False


@dataclass(frozen=True)
class Table:
    """A tidy result table: one row for each cell of `dims`.

    Parameters
    ----------
    name
        Name of the table.
    dims
        Dimensions of the finished variables it shows.
    keys
        Key columns, in order: "gene" for the dimension `genes`, or "column=coordinate".
    columns
        The value columns, in order; each finished variable has (some of) `dims`.
    record
        The record whose sites, coverage and hidden cells describe the rows.
    """

    name: str
    dims: tuple[str, ...]
    keys: tuple[str, ...]
    columns: tuple[Column, ...]
    record: str


@dataclass(frozen=True)
class View:
    """How the report draws a table: a kind of figure and the columns it uses."""

    kind: str
    table: str
    title: str
    x: str = ""
    y: str = ""
    by: str = ""
    low: str = ""
    high: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Base of every analysis; subclasses are frozen dataclasses whose fields are the parameters.

    A subclass sets the class variables, and writes `partial` and `finalize`. Nothing else is
    edited to add it: the registry finds it and the contract tests run on it.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    title: ClassVar[str]
    kind: ClassVar[str]
    """Least tier is looked up under this in the policy, under `[tiers]`."""
    yields: ClassVar[tuple[PartialSpec, ...]]
    records: ClassVar[tuple[Record, ...]]
    tables: ClassVar[tuple[Table, ...]]
    views: ClassVar[tuple[View, ...]] = ()
    formats: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Files in the field's own formats: (format, table), written beside the tables."""
    equals: ClassVar[str]
    """The pooled computation, in R's words, that the finished numbers equal."""
    block_dim: ClassVar[str | None] = None
    """What a site cuts its work along. "individuals": partials over disjoint people add up;
    "variants": every variable with that dimension is worked out variant by variant."""
    imputes: ClassVar[bool] = False
    """Whether missing dosages are taken for the state's `variant_mean`. Its sums over the same
    people at two means, subtracted, hold those of the people without a call."""
    min_cohorts: ClassVar[int] = 1
    max_cohorts: ClassVar[int] = 64
    stopping: ClassVar[tuple[str, ...]] = ()
    """Parameters that say when rounds end, and change no sum of a round."""
    expected_failures: ClassVar[Mapping[str, str]] = {}
    """Contract checks that cannot hold, with the reason."""

    def needs(self) -> tuple[str, ...]:
        """Names of the store variables it reads, cohorts and ids aside."""
        return ()

    def prepare(self, ds: xr.Dataset) -> xr.Dataset:
        """`ds`, not yet aligned, with derived vectors of individuals (in memory) added.

        `individual_eligible`, bool, says who can take part at all: whose needed fields are known.
        """
        everyone = np.ones(ds.sizes["individuals"], dtype=bool)
        return ds.assign(individual_eligible=(("individuals",), everyone))

    def summands(self, panel: Panel) -> Mapping[str, str]:
        """What is added up, for the ledger: each summand and the shape it is released in.

        Two answers that share a summand may not rest on nearly the same people, and may not show
        the same people in two shapes: subtracted, they would show the few that differ. A summand
        is an endpoint, a field, a term; never a cohort. The shape is a grid, bins or levels.
        """
        return {self.name: ""}

    def classifications(self, ds: xr.Dataset) -> tuple[NDArray[np.int64], ...]:
        """The fields by whose levels it counts people: each one's level (individuals,).

        Below 0 where it has none. `ds` is not aligned. What is told of people (genes, variants,
        outcomes, traits) is none: a field is, if cohorts are commonly chosen by it.
        """
        return ()

    def n_parameters(self, panel: Panel) -> int:
        """Parameters of a model, for the rule of parameters against people; 0 for counts."""
        return 0

    def coords(self, panel: Panel, cohorts: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        """Labels of every dimension of `yields`: the panel's, the cohorts and its own."""
        return {**panel.coords, "cohorts": cohorts}

    def check(self, panel: Panel) -> None:
        """Raise `Invalid` where the panel lacks what this analysis asks about."""

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        """The declared variables over the people of `ds` that are in a cohort.

        `ds` is aligned to the panel and has `individual_cohort`; the result may be lazy.
        """
        raise NotImplementedError

    def finalize(self, total: xr.Dataset) -> xr.Dataset:
        """Finished variables from the totals over sites."""
        raise NotImplementedError

    def pooled(self, site: str, levels: tuple[str, ...]) -> Analysis:
        """The same question to one site that holds everybody.

        Additive analyses are their own; one stratified by site, or with an intercept a site,
        takes it from the field `site` with these levels. The contract compares the two.
        """
        return self

    @classmethod
    def example(cls) -> tuple[Analysis, Panel]:
        """A small instance and panel that fit `eucan_dask.testing.data.federation`."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class IterativeAnalysis(Analysis):
    """An analysis in rounds: each is additive and passes the gate; sites replay the state."""

    max_iterations: int = 25

    stopping: ClassVar[tuple[str, ...]] = ("max_iterations",)

    def start(self, panel: Panel) -> State:
        """The state before the first round."""
        raise NotImplementedError

    def update(self, state: State, total: xr.Dataset) -> State:
        """The state after a round, from totals without labels; it holds `done`, 0 or 1."""
        raise NotImplementedError

    def partial(self, ds: xr.Dataset, panel: Panel, state: State | None = None) -> xr.Dataset:
        """As `Analysis.partial`, given the state."""
        raise NotImplementedError

    def finalize(self, total: xr.Dataset, state: State | None = None) -> xr.Dataset:
        """As `Analysis.finalize`, from the last round's totals and the state they were made in."""
        raise NotImplementedError


def parameters(analysis: Analysis) -> dict[str, Any]:
    """The parameters as plain values that survive JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(analysis)))
    return plain


def check_cohorts(analysis: Analysis, cohorts: tuple[Cohort, ...]) -> None:
    """Raise `Invalid` if the analysis cannot take so many cohorts, or two share a label."""
    labels = [cohort.label for cohort in cohorts]
    if len(set(labels)) != len(labels):
        raise Invalid("two cohorts share a label", where=analysis.name, found=labels)
    if not analysis.min_cohorts <= len(labels) <= analysis.max_cohorts:
        least, most = analysis.min_cohorts, analysis.max_cohorts
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise Invalid(
            f"{analysis.name} cannot take {len(labels)} cohorts",
            where="cohorts",
            expected=wanted,
            remedy='name them with cohorts = ["label", ...]',
        )
