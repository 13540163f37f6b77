"""Logistic regression with one intercept a site, eliminated there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import xarray as xr

from eucan_dask.analysis import State, Table, View
from eucan_dask.errors import Invalid
from eucan_dask.kernels.logistic import logistic_sums, logistic_weight
from eucan_dask.newton import (
    CONVERGENCE,
    NewtonRegression,
    fit_table,
    forest,
    record_of,
    round_sums,
    shared_yields,
    terms_table,
)
from eucan_dask.panel import Panel
from eucan_dask.partial import PartialSpec, Record
from eucan_dask.terms import Term, cell_columns, design, needs

__all__ = ["LogisticRegression"]


@dataclass(frozen=True, kw_only=True)
class LogisticRegression(NewtonRegression):
    """Odds ratios from a logistic model with an intercept for each site.

    Maximises the joint likelihood of the coefficients and one intercept a site; each site
    maximises its own intercept out and sends the profile's gradient and Hessian. People lacking
    the outcome or a term take no part. A site where all outcomes are equal adds nothing.

    Parameters
    ----------
    outcome
        A yes/no field, or a mutated gene.
    terms
        Fields and mutated genes; categories with their levels, the reference first.

    Returns
    -------
    coef, se, or, low, high, p_value : (P,) P coefficients; NaN where a term does not vary or the
        fit ran off (separation)
    n, n_event, log_likelihood, log_likelihood_null : (); the null model has the intercepts only

    Disclosure
    ----------
    Each round sends per site the profile log-likelihood, its gradient and Hessian and sums of the
    covariates, supported by all people of the fit; intercepts stay. A reader can infer the
    moments of the covariates and the number of outcomes at each site.

    Raises
    ------
    Invalid
        For an unknown field or level, a category without levels, or an outcome that is a number.

    References
    ----------
    McCullagh & Nelder, Generalized Linear Models, 1989, ch. 4. Profile likelihood: Cox & Reid,
    J R Stat Soc B 1987;49:1.

    Examples
    --------
    >>> LogisticRegression(outcome=Term(gene="IDH1"), terms=(Term(field="age"),)).labels
    ('age',)
    """

    outcome: Term

    name: ClassVar[str] = "logistic_regression"
    title: ClassVar[str] = "Logistic regression"
    kind: ClassVar[str] = "model"
    ratio: ClassVar[str] = "or"
    equals: ClassVar[str] = "glm(outcome ~ terms + site, family = binomial)"
    yields: ClassVar[tuple[PartialSpec, ...]] = shared_yields("people with the outcome")
    records: ClassVar[tuple[Record, ...]] = (record_of(yields),)
    tables: ClassVar[tuple[Table, ...]] = (
        terms_table("or"),
        fit_table("n", "n_event", "log_likelihood", "equals"),
        CONVERGENCE,
    )
    views: ClassVar[tuple[View, ...]] = (forest("or", "Odds ratios"),)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.outcome.levels:
            raise Invalid("the outcome is yes or no, without levels", where=f"{self.name}.outcome")

    def needs(self) -> tuple[str, ...]:
        return needs((self.outcome, *self.terms))

    def summands(self, panel: Panel) -> dict[str, str]:
        return {f"outcome:{self.outcome.labels[0]}": "", **super().summands(panel)}

    def prepare(self, ds: xr.Dataset) -> xr.Dataset:
        x = design(ds, self.terms)
        y = self.outcome.columns(ds)[:, 0]
        kind = ds[self.outcome.needs].attrs.get("kind") if self.outcome.field else "boolean"
        if kind != "boolean":
            raise Invalid(
                "the outcome must be yes or no", where=f"outcome {self.outcome.field!r}", found=kind
            )
        return ds.assign(
            individual_eligible=(("individuals",), np.isfinite(x).all(axis=1) & np.isfinite(y)),
            individual_term=(("individuals", "terms"), x),
            individual_outcome=(("individuals",), y == 1),
        )

    def partial(self, ds: xr.Dataset, panel: Panel, state: State | None = None) -> xr.Dataset:
        state = self.start(panel) if state is None else state
        rows = ds["individual_cohort"].values.any(axis=1) & ds["individual_eligible"].values
        x = ds["individual_term"].values[rows]
        y = ds["individual_outcome"].values[rows]
        return round_sums(
            x,
            y,
            logistic_weight(y, x, state["beta"]),
            logistic_sums(y, x, state["beta"]),
            cells=cell_columns(self.terms, x),
            n_effective=min(int(y.sum()), int((~y).sum())),
            pairs=True,
        )

    def finalize(self, total: xr.Dataset, state: State | None = None) -> xr.Dataset:
        state = state or self.start(Panel())
        call = f"glm({self.outcome.labels[0]} ~ {' + '.join(self.labels)} + site, binomial)"
        return self.fitted(total, state, call)

    def pooled(self, site: str, levels: tuple[str, ...]) -> LogisticRegression:
        if len(levels) < 2:
            return self
        return replace(self, terms=(*self.terms, Term(field=site, levels=levels)))

    @classmethod
    def example(cls) -> tuple[LogisticRegression, Panel]:
        sex = Term(field="sex", levels=("female", "male"))
        terms = (Term(field="age_at_diagnosis"), sex)
        return cls(outcome=Term(gene="TP53"), terms=terms), Panel()
