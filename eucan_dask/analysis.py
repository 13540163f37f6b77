"""An analysis is a frozen value: parameters, what leaves a site, two pure functions, its tables."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import pkgutil
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid, unknown
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
    "find",
    "load",
    "parameters",
    "registry",
]

State = Mapping[str, NDArray[Any]]
ENTRY_POINT_GROUP = "eucan_dask.analyses"


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
    """Least tier is looked up under this in the policy: counts, curve or model."""
    yields: ClassVar[tuple[PartialSpec, ...]]
    records: ClassVar[tuple[Record, ...]]
    tables: ClassVar[tuple[Table, ...]]
    views: ClassVar[tuple[View, ...]] = ()
    equals: ClassVar[str]
    """The pooled computation, in R's words, that the finished numbers equal."""
    block_dim: ClassVar[str | None] = None
    """"individuals" if partials over disjoint people add up within a site, else None."""
    min_cohorts: ClassVar[int] = 1
    max_cohorts: ClassVar[int] = 64
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

    def family(self) -> str:
        """The releases of one summand, for the ledger: endpoint, fields, terms; not the cohort."""
        return f"{self.name}:{json.dumps(parameters(self), sort_keys=True)}"

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


def load(name: str, table: Mapping[str, Any], *, where: str = "analysis") -> Analysis:
    """An analysis by name, from parameters as JSON or TOML has them.

    Raises
    ------
    Invalid
        If the analysis or a parameter is unknown, or a value does not fit.
    """
    kind = find(name, where=where)
    hints = typing.get_type_hints(kind)
    names = {f.name for f in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in names:
            raise unknown("parameter", key, names, where=f"{where}, {name}")
        values[key] = _fit(value, hints[key], f"{where}, {name}.{key}")
    try:
        return kind(**values)
    except TypeError as error:
        lacking = [
            f.name
            for f in dataclasses.fields(kind)
            if f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
            and f.name not in values
        ]
        raise Invalid(
            "parameters are missing", where=f"{where}, {name}", expected=lacking
        ) from error


def _fit(value: Any, hint: Any, where: str) -> Any:
    """`value` as the annotated type: lists become tuples, tables become tuples of pairs."""
    origin = typing.get_origin(hint)
    if origin is types.UnionType:
        options = typing.get_args(hint)
        for option in options:
            try:
                return _fit(value, option, where)
            except Invalid:
                continue
        raise Invalid("has the wrong type", where=where, expected=str(hint), found=value)
    if origin is tuple:
        inner = typing.get_args(hint)
        if not isinstance(value, list | tuple):
            raise Invalid("must be a list", where=where, found=type(value).__name__)
        if inner[-1] is Ellipsis:
            return tuple(_fit(v, inner[0], where) for v in value)
        if len(value) != len(inner):
            raise Invalid(f"must have {len(inner)} entries", where=where, found=len(value))
        return tuple(_fit(v, t, where) for v, t in zip(value, inner, strict=True))
    if dataclasses.is_dataclass(hint):
        return _fit_dataclass(value, hint, where)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(hint, type) or type(value) is not hint:
        raise Invalid("has the wrong type", where=where, expected=str(hint), found=repr(value))
    return value


def _fit_dataclass(value: Any, hint: Any, where: str) -> Any:
    if isinstance(value, str):  # shorthand: a string is the first field
        value = {dataclasses.fields(hint)[0].name: value}
    if not isinstance(value, Mapping):
        raise Invalid("must be a name or a table", where=where, found=type(value).__name__)
    hints = typing.get_type_hints(hint)
    for key in value:
        if key not in hints:
            raise unknown("key", key, hints, where=where)
    return hint(**{k: _fit(v, hints[k], f"{where}.{k}") for k, v in value.items()})


@lru_cache(maxsize=1)
def registry() -> dict[str, type[Analysis]]:
    """Every analysis: the modules of `eucan_dask.analyses` and the entry points of other packages.

    Raises
    ------
    Invalid
        If two analyses share a name, or an entry point is no analysis.
    """
    found: dict[str, type[Analysis]] = {}
    package = importlib.import_module("eucan_dask.analyses")
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"eucan_dask.analyses.{info.name}")
        for _, kind in inspect.getmembers(module, _is_analysis):
            if kind.__module__ == module.__name__:
                _add(found, kind)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        kind = point.load()
        if not _is_analysis(kind):
            raise Invalid("entry point is no Analysis", where=f"{ENTRY_POINT_GROUP}:{point.name}")
        _add(found, kind)
    return dict(sorted(found.items()))


def _is_analysis(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Analysis) and hasattr(value, "name")


def _add(found: dict[str, type[Analysis]], kind: type[Analysis]) -> None:
    if kind.name in found and found[kind.name] is not kind:
        raise Invalid("two analyses share a name", where=kind.name, remedy="rename one")
    found[kind.name] = kind


def find(name: str, *, where: str = "analysis") -> type[Analysis]:
    """The analysis class called `name`.

    Raises
    ------
    Invalid
        If there is none; the nearest name is suggested.
    """
    known = registry()
    if name not in known:
        raise unknown("analysis", name, known, where=where)
    return known[name]


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
