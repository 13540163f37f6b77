"""Cox's proportional hazards model, stratified by site and an optional field."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import xarray as xr

from eucan_dask.analysis import State, Table, View
from eucan_dask.cohort import field_of, known
from eucan_dask.errors import Invalid
from eucan_dask.kernels.cox import concordance_counts, cox_sums, relative_weight
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
from eucan_dask.terms import Term, cell_columns, design, needs, strata_codes

__all__ = ["CoxRegression"]

PAIRS = ("concordant", "discordant", "tied_risk")


@dataclass(frozen=True, kw_only=True)
class CoxRegression(NewtonRegression):
    """Hazard ratios from Cox's model with one baseline hazard a stratum.

    Maximises the sum over strata (site, and `strata` within it) of the log partial likelihood;
    tied events by Efron's or Breslow's method. People lacking the endpoint, a term or the strata
    field take no part. Concordance is Harrell's over pairs within strata.

    Parameters
    ----------
    terms
        Fields and mutated genes; categories with their levels, the reference first.
    endpoint
        `<endpoint>_days` (days) and `<endpoint>_event` are read.
    strata
        A field that stratifies within each site.
    ties
        "efron" or "breslow".

    Returns
    -------
    coef, se, hr, low, high, p_value : (P,) P coefficients; NaN where a term does not vary or the
        fit ran off (separation)
    n, n_event, log_likelihood, log_likelihood_null, concordance : ()

    Disclosure
    ----------
    Each round sends per site the log-likelihood, its gradient and Hessian and sums of the
    covariates, supported by all people of the fit; no risk set leaves. A reader can infer the
    moments of the covariates at each site.

    Raises
    ------
    Invalid
        For an unknown field or level, a category without levels, or other ties.

    References
    ----------
    Cox, J R Stat Soc B 1972;34:187. Efron, JASA 1977;72:557. Harrell et al., JAMA 1982;247:2543.

    Examples
    --------
    >>> CoxRegression(terms=(Term(field="age_at_diagnosis"), Term(gene="TP53"))).labels
    ('age_at_diagnosis', 'TP53 mutated')
    """

    endpoint: str = "overall_survival"
    strata: str = ""
    ties: str = "efron"

    name: ClassVar[str] = "cox_regression"
    title: ClassVar[str] = "Cox regression"
    kind: ClassVar[str] = "model"
    ratio: ClassVar[str] = "hr"
    equals: ClassVar[str] = "coxph(Surv(t, event) ~ terms + strata(site))"
    yields: ClassVar[tuple[PartialSpec, ...]] = (
        *shared_yields("people with the event"),
        *(
            PartialSpec(f"n_{name}", (), "sum", within="n_individuals", doc=f"{name} pairs")
            for name in PAIRS
        ),
    )
    records: ClassVar[tuple[Record, ...]] = (record_of(yields),)
    tables: ClassVar[tuple[Table, ...]] = (
        terms_table("hr"),
        fit_table("n", "n_event", "log_likelihood", "concordance", "equals"),
        CONVERGENCE,
    )
    views: ClassVar[tuple[View, ...]] = (forest("hr", "Hazard ratios"),)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ties not in ("efron", "breslow"):
            raise Invalid(
                "unknown ties", where=self.name, expected="efron or breslow", found=self.ties
            )

    def needs(self) -> tuple[str, ...]:
        strata = (f"individual_{self.strata}",) if self.strata else ()
        ends = (f"individual_{self.endpoint}_days", f"individual_{self.endpoint}_event")
        return (*ends, *needs(self.terms), *strata)

    def summands(self, panel: Panel) -> dict[str, str]:
        return {f"event:{self.endpoint}": "", **super().summands(panel)}

    def prepare(self, ds: xr.Dataset) -> xr.Dataset:
        x = design(ds, self.terms)
        strata = strata_codes(ds, self.strata)
        eligible = known(ds, f"{self.endpoint}_days") & known(ds, f"{self.endpoint}_event")
        eligible &= np.isfinite(x).all(axis=1) & (strata >= 0)
        return ds.assign(
            individual_eligible=(("individuals",), eligible),
            individual_term=(("individuals", "terms"), x),
            individual_stratum=(("individuals",), strata),
        )

    def partial(self, ds: xr.Dataset, panel: Panel, state: State | None = None) -> xr.Dataset:
        state = self.start(panel) if state is None else state
        rows = ds["individual_cohort"].values.any(axis=1) & ds["individual_eligible"].values
        x = ds["individual_term"].values[rows]
        time = field_of(ds, f"{self.endpoint}_days", where="endpoint").values[rows]
        event = field_of(ds, f"{self.endpoint}_event", where="endpoint").values[rows] == 1
        strata = ds["individual_stratum"].values[rows]
        p = x.shape[1]
        value, score, information = 0.0, np.zeros(p), np.zeros((p, p))
        pairs = np.zeros(3)
        for stratum in np.unique(strata):
            own = strata == stratum
            v, s, i = cox_sums(
                time[own], event[own], x[own], state["beta"], efron=self.ties == "efron"
            )
            value, score, information = value + v, score + s, information + i
            if int(state["final"]):
                risk = x[own] @ state["beta"]
                pairs += np.array(concordance_counts(time[own], event[own], risk), np.float64)
        sums = round_sums(
            x,
            event,
            relative_weight(x, state["beta"]),
            (value, score, information),
            cells=cell_columns(self.terms, x),
            n_effective=int(event.sum()),
            pairs=False,
        )
        return sums.assign({f"n_{name}": ((), pairs[i]) for i, name in enumerate(PAIRS)})

    def finalize(self, total: xr.Dataset, state: State | None = None) -> xr.Dataset:
        state = state or self.start(Panel())
        concordant, discordant, tied = (float(total[f"n_{name}"]) for name in PAIRS)
        usable = concordant + discordant + tied
        by = "site" + (f", {self.strata}" if self.strata else "")
        terms = " + ".join(self.labels)
        call = f'coxph(Surv(t, event) ~ {terms} + strata({by}), ties = "{self.ties}")'
        concordance = (concordant + tied / 2) / usable if usable else np.nan
        return self.fitted(total, state, call).assign(concordance=((), concordance))

    def pooled(self, site: str, levels: tuple[str, ...]) -> CoxRegression:
        return replace(self, strata=site)

    @classmethod
    def example(cls) -> tuple[CoxRegression, Panel]:
        sex = Term(field="sex", levels=("female", "male"))
        return cls(terms=(Term(field="age_at_diagnosis"), sex, Term(gene="TP53"))), Panel()
