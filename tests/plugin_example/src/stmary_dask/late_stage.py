"""The share of people found at a late stage, by sex and cohort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from eucan_dask.analyses.mutation_frequency import wilson
from eucan_dask.analysis import Analysis, Column, Table, View
from eucan_dask.cohort import field_of, known
from eucan_dask.panel import Panel
from eucan_dask.partial import PartialSpec, Record

__all__ = ["LateStage"]

SEXES = ("female", "male")


@dataclass(frozen=True, kw_only=True)
class LateStage(Analysis):
    """Share of people at a late stage, by sex.

    share = n_late / n_staged, with Wilson's 95 % interval; who lacks the stage or the sex is in
    neither count.

    Parameters
    ----------
    stages
        The stages that count as late.

    Returns
    -------
    n_late, n_staged, share, low, high : (S, C) S sexes, C cohorts

    Disclosure
    ----------
    Two counts of people by sex and cohort leave a site.

    Raises
    ------
    Invalid
        If the store has no stage or no sex.

    References
    ----------
    Wilson, J Am Stat Assoc 1927;22:209.

    Examples
    --------
    >>> LateStage().stages
    ('III', 'IV')
    """

    stages: tuple[str, ...] = ("III", "IV")

    name: ClassVar[str] = "late_stage"
    title: ClassVar[str] = "Late stage at St Mary's"
    kind: ClassVar[str] = "counts"
    equals: ClassVar[str] = "prop.table(table(sex, stage %in% c('III', 'IV')), 1)"
    block_dim: ClassVar[str | None] = "individuals"
    yields: ClassVar[tuple[PartialSpec, ...]] = (
        PartialSpec("sex_n_staged", ("sexes", "cohorts"), "count", doc="people with a stage"),
        PartialSpec(
            "sex_n_late",
            ("sexes", "cohorts"),
            "count",
            within="sex_n_staged",
            doc="of these, people at a late stage",
        ),
    )
    records: ClassVar[tuple[Record, ...]] = (
        Record("staged", ("sex_n_staged",), ("sexes", "cohorts")),
        Record("late", ("sex_n_late",), ("sexes", "cohorts"), needs=("staged",)),
    )
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "share",
            ("sexes", "cohorts"),
            ("sex=sexes", "cohort"),
            (
                Column("n_late"),
                Column("n_staged", record="staged"),
                Column("share"),
                Column("low", interval=True),
                Column("high", interval=True),
            ),
            "late",
        ),
    )
    views: ClassVar[tuple[View, ...]] = (
        View(
            "bar_interval",
            "share",
            "Share at a late stage",
            x="sex",
            y="share",
            by="cohort",
            low="low",
            high="high",
        ),
    )

    def needs(self) -> tuple[str, ...]:
        return ("individual_stage", "individual_sex")

    def prepare(self, ds: xr.Dataset) -> xr.Dataset:
        eligible = known(ds, "stage") & known(ds, "sex")
        return ds.assign(individual_eligible=(("individuals",), eligible))

    def coords(self, panel: Panel, cohorts: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        return {**super().coords(panel, cohorts), "sexes": SEXES}

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        members = ds["individual_cohort"].values.astype(np.int64)
        of_sex = np.stack([_is(ds, "sex", (sex,)) for sex in SEXES]).astype(np.int64)
        late = of_sex * _is(ds, "stage", self.stages)
        dims = ("sexes", "cohorts")
        return xr.Dataset(
            {"sex_n_staged": (dims, of_sex @ members), "sex_n_late": (dims, late @ members)}
        )

    def finalize(self, total: xr.Dataset) -> xr.Dataset:
        n = total["sex_n_staged"]
        staged = n.where(n > 0)
        return xr.Dataset(
            {
                "n_late": total["sex_n_late"],
                "n_staged": n,
                "share": total["sex_n_late"] / staged,
                "low": wilson(total["sex_n_late_low"], staged)[0],
                "high": wilson(total["sex_n_late_high"], staged)[1],
            }
        )

    @classmethod
    def example(cls) -> tuple[LateStage, Panel]:
        return cls(), Panel()


def _is(ds: xr.Dataset, name: str, levels: tuple[str, ...]) -> np.ndarray:
    """Where a category has one of the levels, (individuals,)."""
    variable = field_of(ds, name, where=name)
    held = list(variable.attrs["categories"])
    return np.isin(variable.values, [held.index(level) for level in levels if level in held])
