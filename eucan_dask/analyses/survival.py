"""Kaplan-Meier on the request's grid, restricted mean, and the log-rank test stratified by site."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from scipy import stats

from eucan_dask.analysis import Analysis, Column, Table, View
from eucan_dask.cohort import field_of, known
from eucan_dask.errors import Invalid
from eucan_dask.kernels.kaplan_meier import count_on_grid, kaplan_meier, restricted_mean
from eucan_dask.kernels.logrank import logrank_sums
from eucan_dask.panel import Panel
from eucan_dask.partial import Cells, PartialSpec, Record
from eucan_dask.terms import strata_codes

__all__ = ["Survival"]

GROUP = ("contrasts", "cohorts")
Z = 1.959963984540054  # 97.5 % point of the normal distribution


@dataclass(frozen=True, kw_only=True)
class Survival(Analysis):
    """Survival of each cohort on the request's grid, and whether the cohorts differ.

    Kaplan-Meier: S(t) = prod over grid points u <= t of 1 - d(u) / n(u), an event at time x
    belonging to the first grid point not before x; Greenwood's variance, 95 % interval on the log
    scale. Restricted mean: area under S up to each horizon. Log-rank: sums of observed less
    expected events and their hypergeometric covariance over risk sets within each stratum (site,
    and `strata` within it), on exact times. People lacking the time or the status of the endpoint
    take no part; with `strata`, neither do those lacking that field. People in more than one
    cohort take no part in the test.

    Parameters
    ----------
    endpoint
        `<endpoint>_days` (days) and `<endpoint>_event` are read.
    horizons
        Days up to which the restricted mean is taken; each is a point of the grid.
    strata
        A field that stratifies the test within each site.

    Returns
    -------
    n_at_risk, n_event, n_censored : (C, T) counts, C cohorts, T grid points
    survival, low, high : (C, T) in 0..1; NaN for an empty cohort
    rmst, se : (C, H) days, H horizons
    statistic, df, p_value : (1,) of the log-rank test; NaN with fewer than two cohorts

    Disclosure
    ----------
    Events and withdrawals by grid point, a whole curve or nothing; per cohort observed less
    expected events and their covariance for the test. No risk set and no exact time leaves, nor how
    many events a cohort had in all: less those of its curve, it would be the few after its end. A
    reader can infer each step of the curve that is shown, not who took it.

    Raises
    ------
    Invalid
        Without a grid, or for a horizon that is not on it.

    References
    ----------
    Kaplan & Meier, JASA 1958;53:457. Greenwood 1926. Mantel, Cancer Chemother Rep 1966;50:163.
    Klein & Moeschberger, Survival Analysis, Springer 2003, 4.5 (restricted mean), 7.3 and 7.5.

    Examples
    --------
    >>> s, variance = kaplan_meier(np.array([[0, 1, 1]]), np.array([[4, 4, 2]]))
    >>> s.tolist()
    [[1.0, 0.75, 0.375]]
    """

    endpoint: str = "overall_survival"
    horizons: tuple[float, ...] = ()
    strata: str = ""

    name: ClassVar[str] = "survival"
    title: ClassVar[str] = "Survival"
    kind: ClassVar[str] = "curve"
    equals: ClassVar[str] = (
        "survfit(Surv(ceiling(t / w) * w, event) ~ cohort); "
        "survdiff(Surv(t, event) ~ cohort + strata(site))"
    )
    yields: ClassVar[tuple[PartialSpec, ...]] = (
        PartialSpec("cohort_n_individuals", ("cohorts",), "count", doc="people with the endpoint"),
        PartialSpec(
            "cohort_n_event",
            ("cohorts", "times"),
            "count",
            within="cohort_n_individuals",
            zeros="shown",
            doc="events at the grid point",
        ),
        PartialSpec(
            "cohort_n_censored",
            ("cohorts", "times"),
            "count",
            within="cohort_n_individuals",
            zeros="shown",
            doc="withdrawals at the grid point",
        ),
        PartialSpec("group_n", GROUP, "count", doc="people in one cohort only"),
        PartialSpec(
            "group_excess",
            GROUP,
            "sum",
            within="group_n",
            unit="events",
            doc="observed events less those expected if the cohorts did not differ",
        ),
        PartialSpec(
            "group_compared",
            GROUP,
            "sum",
            within="group_n",
            unit="sites",
            doc="1 where any are expected",
        ),
        PartialSpec(
            "group_covariance",
            ("contrasts", "cohorts", "cohorts_2"),
            "sum",
            within="group_n",
            unit="events^2",
            doc="covariance of observed less expected events",
        ),
        PartialSpec("group_n_event", GROUP, "support", doc="people with an event"),
        PartialSpec("group_n_censored", GROUP, "support", doc="people without"),
        PartialSpec("group_n_apart", GROUP, "support", doc="people in other cohorts as well"),
    )
    records: ClassVar[tuple[Record, ...]] = (
        Record("people", ("cohort_n_individuals",), ("cohorts",)),
        Record(
            "curve",
            ("cohort_n_event", "cohort_n_censored"),
            ("cohorts",),
            needs=("people",),
            grid="times",
        ),
        Record(
            "logrank",
            ("group_n", "group_excess", "group_compared", "group_covariance"),
            ("contrasts",),
            cells=(
                Cells("group_n_event", of=("group_n",), zeros=True),
                Cells("group_n_censored", of=("group_n",), zeros=True),
                Cells("group_n_apart"),
            ),
        ),
    )
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "curve",
            ("cohorts", "times"),
            ("cohort", "time"),
            (
                Column("n_at_risk"),
                Column("n_event"),
                Column("n_censored"),
                Column("survival"),
                Column("low"),
                Column("high"),
            ),
            "curve",
        ),
        Table(
            "logrank",
            ("contrasts",),
            ("contrast",),
            (Column("strata"), Column("statistic"), Column("df"), Column("p_value")),
            "logrank",
        ),
        Table(
            "rmst",
            ("cohorts", "horizons"),
            ("cohort", "horizon"),
            (Column("rmst"), Column("se", "rmst_se")),
            "curve",
        ),
    )
    views: ClassVar[tuple[View, ...]] = (
        View(
            "curve",
            "curve",
            "Survival",
            x="time",
            y="survival",
            by="cohort",
            low="low",
            high="high",
            options={"at_risk": "n_at_risk", "censored": "n_censored", "logrank": "logrank"},
        ),
    )

    def needs(self) -> tuple[str, ...]:
        strata = (f"individual_{self.strata}",) if self.strata else ()
        return (f"individual_{self.endpoint}_days", f"individual_{self.endpoint}_event", *strata)

    def check(self, panel: Panel) -> None:
        if not panel.times:
            raise Invalid(
                "needs a time grid",
                where="panel",
                remedy="add times = { start = 0, stop = 3650, step = 30 }",
            )
        off = [h for h in self.horizons if h not in panel.times or h == 0]
        if off:
            raise Invalid(
                "horizons must be points of the grid", where="survival.horizons", found=off
            )

    def prepare(self, ds: xr.Dataset) -> xr.Dataset:
        eligible = known(ds, f"{self.endpoint}_days") & known(ds, f"{self.endpoint}_event")
        if self.strata:
            eligible &= known(ds, self.strata)
        return ds.assign(individual_eligible=(("individuals",), eligible))

    def summands(self, panel: Panel) -> dict[str, str]:
        return {f"survival:{self.endpoint}": repr(panel.times)}

    def coords(self, panel: Panel, cohorts: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        return {
            **super().coords(panel, cohorts),
            "cohorts_2": cohorts,
            "contrasts": (" vs ".join(cohorts),),
            "horizons": self.horizons,
        }

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        time = field_of(ds, f"{self.endpoint}_days", where="endpoint").values
        event = field_of(ds, f"{self.endpoint}_event", where="endpoint").values == 1
        usable = ds["individual_eligible"].values
        members = ds["individual_cohort"].values & usable[:, np.newaxis]
        on_grid = np.searchsorted(np.array(panel.times), np.where(usable, time, 0), side="left")
        n_times = len(panel.times)
        alone = members.sum(axis=1) == 1
        group = np.where(alone, members.argmax(axis=1), -1) if members.shape[1] else alone - 1
        strata = strata_codes(ds, self.strata)
        observed, expected, covariance = logrank_sums(
            time, event, group.astype(np.int64), strata, members.shape[1]
        )
        sizes = np.bincount(group[group >= 0], minlength=members.shape[1]).astype(np.int64)
        n = members.sum(axis=0, dtype=np.int64)
        return xr.Dataset(
            {
                "cohort_n_individuals": (("cohorts",), n),
                "cohort_n_event": (
                    ("cohorts", "times"),
                    count_on_grid(members & event[:, np.newaxis], on_grid, n_times),
                ),
                "cohort_n_censored": (
                    ("cohorts", "times"),
                    count_on_grid(members & ~event[:, np.newaxis], on_grid, n_times),
                ),
                "group_n": (GROUP, sizes[np.newaxis]),
                "group_excess": (GROUP, (observed - expected)[np.newaxis]),
                "group_compared": (GROUP, (expected > 0)[np.newaxis].astype(np.float64)),
                "group_n_event": (GROUP, observed[np.newaxis]),
                "group_n_censored": (GROUP, (sizes - observed)[np.newaxis]),
                "group_n_apart": (GROUP, (n - sizes)[np.newaxis]),
                "group_covariance": (
                    ("contrasts", "cohorts", "cohorts_2"),
                    covariance[np.newaxis],
                ),
            }
        )

    def finalize(self, total: xr.Dataset) -> xr.Dataset:
        times = total["times"].values.astype(np.float64)
        event, censored = total["cohort_n_event"].values, total["cohort_n_censored"].values
        left = np.cumsum(event + censored, axis=1)
        n = total["cohort_n_individuals"].values[:, np.newaxis]
        at_risk = n - np.concatenate([np.zeros_like(left[:, :1]), left[:, :-1]], axis=1)
        survival, variance = kaplan_meier(event, at_risk)
        alive = survival > 0  # no interval on the log scale once everybody is dead
        half = Z * np.sqrt(np.where(alive, variance, 0.0))
        low = np.where(alive, survival * np.exp(-half), np.nan)
        high = np.where(alive, np.minimum(survival * np.exp(half), 1.0), np.nan)
        rmst, se = restricted_mean(times, survival, event, at_risk, self.horizons)
        statistic, df = _logrank(total)
        grid, contrast = ("cohorts", "times"), ("contrasts",)
        strata = "site" + (f" and {self.strata}" if self.strata else "")
        return xr.Dataset(
            {
                "n_at_risk": (grid, at_risk),
                "n_event": (grid, event),
                "n_censored": (grid, censored),
                "survival": (grid, survival),
                "low": (grid, low),
                "high": (grid, high),
                "rmst": (("cohorts", "horizons"), rmst),
                "rmst_se": (("cohorts", "horizons"), se),
                "strata": (contrast, np.array([strata], dtype=object)),
                "statistic": (contrast, np.array([statistic])),
                "df": (contrast, np.array([df], dtype=np.int64)),
                "p_value": (contrast, np.array([stats.chi2.sf(statistic, df) if df else np.nan])),
            }
        )

    def pooled(self, site: str, levels: tuple[str, ...]) -> Survival:
        return replace(self, strata=site)

    @classmethod
    def example(cls) -> tuple[Survival, Panel]:
        times = tuple(float(t) for t in range(0, 1801, 90))
        return cls(horizons=(900.0, 1800.0), strata="stage"), Panel(times=times)


def _logrank(total: xr.Dataset) -> tuple[float, int]:
    """Chi-square and its degrees of freedom: groups with people, less one."""
    n = total["group_n"].values[0]
    held = np.flatnonzero((n > 0) & (total["group_compared"].values[0] > 0))
    if held.size < 2:
        return float("nan"), 0
    excess = total["group_excess"].values[0]
    kept = held[:-1]
    covariance = total["group_covariance"].values[0][np.ix_(kept, kept)]
    solved = np.linalg.lstsq(covariance, excess[kept], rcond=None)[0]
    return float(excess[kept] @ solved), int(kept.size)
