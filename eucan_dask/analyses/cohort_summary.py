"""How many people of each cohort fall in each level of each field."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis, Column, Table, View
from eucan_dask.cohort import field_of, known
from eucan_dask.errors import Invalid, unknown
from eucan_dask.panel import Panel
from eucan_dask.partial import PartialSpec, Record

__all__ = ["CohortSummary", "SummaryField"]


@dataclass(frozen=True)
class SummaryField:
    """A field to tabulate: a category by its levels, a number by bins fixed in the request.

    Parameters
    ----------
    field
        Name of a clinical field; a bare string tabulates a yes/no field.
    levels
        Of a category, in the order of the table; other levels count as "other".
    edges
        Of a number, rising: bins [edge, next edge), with open-ended bins below and above.
    """

    field: str
    levels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.levels and self.edges:
            raise Invalid("either levels or edges", where=f"field {self.field!r}")
        if any(b <= a for a, b in pairwise(self.edges)):
            raise Invalid("edges must rise", where=f"field {self.field!r}", found=self.edges)
        if not np.isfinite(self.edges).all():
            raise Invalid("edges must be finite", where=f"field {self.field!r}", found=self.edges)
        if len(set(self.labels)) < len(self.labels):
            raise Invalid(
                "levels must differ, and none be called other or missing",
                where=f"field {self.field!r}",
                found=self.levels,
            )
        if "|" in self.field:
            raise Invalid("a field name has no '|'", where=f"field {self.field!r}")

    @property
    def labels(self) -> tuple[str, ...]:
        """Levels as the table shows them, ending in "missing"."""
        if self.edges:
            inner = [f"[{a:g}, {b:g})" for a, b in pairwise(self.edges)]
            return (f"< {self.edges[0]:g}", *inner, f">= {self.edges[-1]:g}", "missing")
        if self.levels:
            return (*self.levels, "other", "missing")
        return ("yes", "no", "missing")

    def codes(self, ds: xr.Dataset) -> NDArray[np.int64]:
        """Position (individuals,) of each person's level among `labels`."""
        variable = field_of(ds, self.field, where="fields")
        kind, values = variable.attrs["kind"], variable.values
        wanted = "number" if self.edges else "category" if self.levels else "boolean"
        if kind != wanted:
            tell = {"number": "give edges", "category": "give levels", "boolean": "give no levels"}
            raise Invalid(f"is a {kind}", where=f"field {self.field!r}", remedy=tell[kind])
        last = len(self.labels) - 1
        if kind == "number":
            found = np.searchsorted(np.array(self.edges), values, side="right")
        elif kind == "boolean":
            found = np.where(values == 1, 0, 1)
        else:
            held = list(variable.attrs["categories"])
            for level in self.levels:
                if level not in held and not variable.attrs.get("open", False):
                    raise unknown("level", level, held, where=f"field {self.field!r}")
            lookup = {level: i for i, level in enumerate(self.levels)}
            recode = np.array([lookup.get(level, last - 1) for level in held] + [last])
            found = recode[values]
        return np.where(known(ds, self.field), found, last)


@dataclass(frozen=True, kw_only=True)
class CohortSummary(Analysis):
    """People of each cohort by level of each field.

    Counts n(c, f, l) of individuals; the levels of one field, "missing" among them, add up to the
    cohort. Missing values are a level of their own.

    Parameters
    ----------
    fields
        What to tabulate, each with the levels or bins that the request fixes.

    Returns
    -------
    summary : (C, F x L) counts >= 0, C cohorts, L levels of each of F fields
    individuals : (C,) people of the cohort

    Disclosure
    ----------
    Counts of people by cohort and level leave a site. Each is supported by the cohort's size;
    a small cell is hidden together with others that would give it away. A reader can infer that
    hidden cells of a field add up to what is lacking from the cohort's size.

    Raises
    ------
    Invalid
        For a field or level no site knows, or levels where bins are needed.

    References
    ----------
    Complementary suppression: Hundepool et al., Statistical Disclosure Control, Wiley 2012, ch. 4.

    Examples
    --------
    >>> SummaryField(field="age_at_diagnosis", edges=(40.0, 60.0)).labels
    ('< 40', '[40, 60)', '>= 60', 'missing')
    """

    fields: tuple[SummaryField, ...]

    name: ClassVar[str] = "cohort_summary"
    title: ClassVar[str] = "Cohort summary"
    kind: ClassVar[str] = "counts"
    equals: ClassVar[str] = "table(cut(x, breaks, right = FALSE), cohort, useNA = 'always')"
    block_dim: ClassVar[str | None] = "individuals"
    yields: ClassVar[tuple[PartialSpec, ...]] = (
        PartialSpec("cohort_n_individuals", ("cohorts",), "count", doc="people in the cohort"),
        PartialSpec(
            "level_n_individuals",
            ("cohorts", "levels"),
            "count",
            within="cohort_n_individuals",
            doc="people in the cohort with this level of the field",
        ),
    )
    records: ClassVar[tuple[Record, ...]] = (
        Record("individuals", ("cohort_n_individuals",), ("cohorts",)),
        Record(
            "summary",
            ("level_n_individuals",),
            ("cohorts", "levels"),
            needs=("individuals",),
            partition="levels",
        ),
    )
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "summary",
            ("cohorts", "levels"),
            ("cohort", "field=level_field", "level=level_label"),
            (Column("count"),),
            "summary",
        ),
        Table("individuals", ("cohorts",), ("cohort",), (Column("n"),), "individuals"),
    )
    views: ClassVar[tuple[View, ...]] = (
        View(
            "histogram",
            "summary",
            "People by level",
            x="level",
            y="count",
            by="cohort",
            options={"facet": "field"},
        ),
    )

    def __post_init__(self) -> None:
        names = [f.field for f in self.fields]
        if not names or len(set(names)) < len(names):
            raise Invalid("name each field once", where="cohort_summary.fields", found=names)

    def needs(self) -> tuple[str, ...]:
        return tuple(f"individual_{f.field}" for f in self.fields)

    def summands(self, panel: Panel) -> dict[str, str]:
        return {f"level:{f.field}": repr(f.labels) for f in self.fields}

    def classifications(self, ds: xr.Dataset) -> tuple[NDArray[np.int64], ...]:
        return tuple(f.codes(ds) for f in self.fields)

    def coords(self, panel: Panel, cohorts: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        levels = tuple(f"{f.field}|{label}" for f in self.fields for label in f.labels)
        return {**super().coords(panel, cohorts), "levels": levels}

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        members = ds["individual_cohort"].values
        counts = [count_levels(members, f.codes(ds), len(f.labels)) for f in self.fields]
        return xr.Dataset(
            {
                "cohort_n_individuals": (("cohorts",), members.sum(axis=0, dtype=np.int64)),
                "level_n_individuals": (("cohorts", "levels"), np.concatenate(counts, axis=1)),
            }
        )

    def finalize(self, total: xr.Dataset) -> xr.Dataset:
        parts = [str(label).split("|", 1) for label in total["levels"].values]
        field, label = (np.array([p[i] for p in parts], dtype=object) for i in (0, 1))
        return xr.Dataset(
            {"count": total["level_n_individuals"], "n": total["cohort_n_individuals"]}
        ).assign_coords(level_field=("levels", field), level_label=("levels", label))

    @classmethod
    def example(cls) -> tuple[CohortSummary, Panel]:
        fields = (
            SummaryField(field="age_at_diagnosis", edges=(40.0, 60.0)),
            SummaryField(field="sex", levels=("female", "male")),
        )
        return cls(fields=fields), Panel()


def count_levels(
    members: NDArray[np.bool_], codes: NDArray[np.int64], n_levels: int
) -> NDArray[np.int64]:
    """People of each cohort with each code: members (N, C), codes (N,) -> (C, n_levels)."""
    onehot = codes[:, np.newaxis] == np.arange(n_levels)[np.newaxis, :]
    return np.asarray(members.T.astype(np.int64) @ onehot.astype(np.int64))
