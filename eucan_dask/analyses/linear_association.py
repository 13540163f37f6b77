"""Linear regression of traits on each variant, one intercept a site."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import dask
import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from eucan_dask.analysis import Column, IterativeAnalysis, State, Table, View
from eucan_dask.association import (
    BOTH,
    FIELDS,
    PER,
    RECORDS,
    YIELDS,
    Halves,
    by_column,
    by_variant,
    cases_of,
    cell_labels,
    effective_number,
    variant_table,
)
from eucan_dask.dominance import dominant
from eucan_dask.errors import Invalid
from eucan_dask.genotype import genotype_columns, sexes
from eucan_dask.kernels.linear import least_squares, residual
from eucan_dask.newton import smallest_cell
from eucan_dask.panel import Panel
from eucan_dask.partial import PartialSpec, Record
from eucan_dask.terms import (
    Term,
    cell_column_labels,
    cell_columns,
    column_labels,
    design,
    needs,
)
from eucan_dask.variant import KEYS, columns_of

__all__ = ["LinearAssociation"]


@dataclass(frozen=True, kw_only=True)
class LinearAssociation(IterativeAnalysis):
    """Association of quantitative traits with the dosage of ALT, variant by variant.

    trait = beta * dosage + terms + site, by least squares; dosage is 0, 1 or 2 copies of ALT.
    A missing call is taken for the pooled mean dosage of the variant (round 0 finds it); people
    lacking a trait or a term take no part. Everything is centred within the site, which is the
    same as an intercept a site. Men have dosage 0 or 2 where they carry one copy (X, MT, and Y,
    where nobody else takes part); a heterozygous call there is missing.

    Parameters
    ----------
    traits
        Numbers or yes/no fields; everybody in the fit has all of them.
    terms
        Covariates: fields and mutated genes; categories with their levels, the reference first.

    Returns
    -------
    beta, se, statistic, p_value : (V, T) V variants, T traits; NaN where the variant does not
        vary or hangs on the terms. The statistic has Student's t distribution.
    n : (V,) people with a call; frequency : (V,) half the mean dosage, 0..1
    n_individuals, dof : () people in the fit; degrees of freedom left

    Disclosure
    ----------
    Products of terms and traits with each other, and of each variant with both, centred within
    the site. A reader who holds somebody's genome can tell from very many variants whether that
    person is in the data, and read covariates: limit the blocks of a run.

    Raises
    ------
    Invalid
        For a panel without variants, an unknown field or level, or a trait that is a category.

    References
    ----------
    Frisch & Waugh, Econometrica 1933;1:387 (covariates taken out first). Centring within strata
    equals dummies: Baltagi, Econometric Analysis of Panel Data, 2005, ch. 2.

    Examples
    --------
    >>> LinearAssociation(traits=(Term(field="bmi"),)).trait_labels
    ('bmi',)
    """

    traits: tuple[Term, ...]
    terms: tuple[Term, ...] = ()
    max_iterations: int = 2

    name: ClassVar[str] = "linear_association"
    title: ClassVar[str] = "Linear association"
    kind: ClassVar[str] = "association"
    equals: ClassVar[str] = "lm(trait ~ dosage + terms + site), missing dosages at their mean"
    block_dim: ClassVar[str | None] = "variants"
    imputes: ClassVar[bool] = True
    max_cohorts: ClassVar[int] = 1
    yields: ClassVar[tuple[PartialSpec, ...]] = YIELDS
    records: ClassVar[tuple[Record, ...]] = RECORDS
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "association",
            BOTH,
            (*KEYS, "trait"),
            tuple(
                map(Column, ("beta", "se", "statistic", "p_value", "n", "frequency")),
            ),
            "association",
        ),
        Table("fit", (), (), (Column("n_individuals"), Column("dof"), Column("equals")), "model"),
    )
    views: ClassVar[tuple[View, ...]] = (
        View(
            "manhattan",
            "association",
            "Association along the genome",
            x="position",
            y="p_value",
            by="trait",
            options={"contig": "contig", "label": "variant"},
        ),
        View("qq", "association", "Observed and expected p-values", y="p_value", by="trait"),
        View("table", "association", "Smallest p-values", y="p_value"),
    )
    formats: ClassVar[tuple[tuple[str, str], ...]] = (("gwas_ssf", "association"),)

    def __post_init__(self) -> None:
        if not self.traits:
            raise Invalid("needs traits", where=f"{self.name}.traits")
        if self.max_iterations != 2:
            raise Invalid("has two rounds", where=f"{self.name}.max_iterations", expected=2)
        if any(trait.levels for trait in self.traits):
            raise Invalid("a trait has no levels", where=f"{self.name}.traits")
        column_labels((*self.traits, *self.terms))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the covariates."""
        return column_labels(self.terms)

    @property
    def trait_labels(self) -> tuple[str, ...]:
        """Names of the traits."""
        return column_labels(self.traits)

    def needs(self) -> tuple[str, ...]:
        return ("sample_genotype", *needs((*self.traits, *self.terms)))

    def summands(self, panel: Panel) -> dict[str, str]:
        names = (*(f"trait:{t}" for t in self.trait_labels), *(t.summand for t in self.terms))
        return {"genotypes": "", **dict.fromkeys(names, "")}

    def n_parameters(self, panel: Panel) -> int:
        return len(self.labels) + 1

    def check(self, panel: Panel) -> None:
        panel.need_variants()

    def coords(self, panel: Panel, cohorts: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        columns = (*cell_column_labels(self.terms), *self.trait_labels)
        own = {
            "terms": self.labels,
            "terms_2": self.labels,
            "traits": self.trait_labels,
            "cells": cell_labels(columns),
        }
        return {**super().coords(panel, cohorts), **own}

    def start(self, panel: Panel) -> State:
        mean = np.full(len(panel.variants), np.nan)
        return {"variant_mean": mean, "done": np.zeros((), np.int64)}

    def update(self, state: State, total: xr.Dataset) -> State:
        if not np.isnan(state["variant_mean"]).all():
            return {**state, "done": np.ones((), np.int64)}
        n = total["variant_n_called"].values
        mean = total["variant_dosage"].values / np.maximum(n, 1)
        return {"variant_mean": mean, "done": np.int64(mean.size == 0) * np.ones((), np.int64)}

    def prepare(self, ds: xr.Dataset) -> xr.Dataset:
        x = design(ds, self.terms) if self.terms else np.zeros((ds.sizes["individuals"], 0))
        y = design(ds, self.traits)
        columns = genotype_columns(ds)
        known = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
        return ds.assign(
            individual_eligible=(("individuals",), known & (columns >= 0)),
            individual_genotype=(("individuals",), columns),
            individual_male_female=(("individuals",), sexes(ds)),
            individual_term=(("individuals", "terms"), x),
            individual_trait=(("individuals", "traits"), y),
        )

    def partial(self, ds: xr.Dataset, panel: Panel, state: State | None = None) -> xr.Dataset:
        state = self.start(panel) if state is None else state
        rows = ds["individual_cohort"].values.any(axis=1) & ds["individual_eligible"].values
        x, y = ds["individual_term"].values[rows], ds["individual_trait"].values[rows]
        n, p = x.shape
        raw = np.concatenate([x, y], axis=1)
        cells = np.concatenate([cell_columns(self.terms, x), y], axis=1)
        z = raw - raw.mean(axis=0) if n else raw
        halves, cases = Halves.of(cells), cases_of(y, self._binary(ds))
        sums = dask.delayed(variant_table)(
            ds["call_genotype_packed"].data,
            kinds=ds["variant_inheritance"].values,
            columns=ds["individual_genotype"].values[rows],
            sex=ds["individual_male_female"].values[rows],
            mean=np.asarray(state["variant_mean"]),
            z=z,
            cases=cases,
            halves=halves,
        )
        widths = (len(FIELDS), y.shape[1], y.shape[1], 4 * cells.shape[1], p, y.shape[1])
        whole = da.from_delayed(sums, (ds.sizes["variants"], sum(widths)), dtype=np.float64)
        product = z.T @ z
        return xr.Dataset(
            {
                **by_variant(whole, widths),
                **by_column(halves, cases),
                "n_individuals": ((), np.int64(n)),
                "n_effective": ((), effective_number(y)),
                "n_weight": ((), np.int64(n)),
                "n_smallest_cell": ((), smallest_cell(cells, np.ones(n, bool), pairs=True)),
                "n_dominant": ((), dominant(z * z)),
                "n_intercept": ((), float(n > 0)),
                "term_product": (("terms", "terms_2"), product[:p, :p]),
                "term_trait": (("terms", "traits"), product[:p, p:]),
                "trait_square": (("traits",), np.diag(product)[p:].copy()),
            }
        )

    def _binary(self, ds: xr.Dataset) -> NDArray[np.bool_]:
        """Traits (T,) that are 0 and 1 for no and yes, whatever a site holds."""
        kinds = [bool(t.gene) or ds[t.needs].attrs.get("kind") == "boolean" for t in self.traits]
        return np.array(kinds, dtype=bool)

    def finalize(self, total: xr.Dataset, state: State | None = None) -> xr.Dataset:
        xx, xy, yy, rank = residual(
            total["term_product"].values,
            total["variant_term"].values,
            total["term_trait"].values,
            total["variant_square"].values,
            total["variant_trait"].values,
            total["trait_square"].values,
        )
        n, n_called = int(total["n_individuals"]), total["variant_n_called"].values
        dof = n - round(float(total["n_intercept"])) - rank - 1
        beta, se = least_squares(xx, xy, yy, dof)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = beta / se
            frequency = total["variant_dosage"].values / n_called / 2
        call = (
            f"lm({', '.join(self.trait_labels)} ~ {' + '.join(('dosage', *self.labels, 'site'))})"
        )
        return xr.Dataset(
            {
                "beta": (BOTH, beta),
                "se": (BOTH, se),
                "statistic": (BOTH, statistic),
                "p_value": (BOTH, 2 * stats.t.sf(np.abs(statistic), max(dof, 1))),
                "n": total["variant_n_called"],
                "frequency": (PER, frequency),
                "n_individuals": total["n_individuals"],
                "dof": ((), np.int64(dof)),
                "equals": ((), np.array(call, dtype=object)),
                **columns_of(total["variants"].values),
            }
        )

    def pooled(self, site: str, levels: tuple[str, ...]) -> LinearAssociation:
        if len(levels) < 2:
            return self
        return replace(self, terms=(*self.terms, Term(field=site, levels=levels)))

    @classmethod
    def example(cls) -> tuple[LinearAssociation, Panel]:
        terms = (Term(field="sex", levels=("female", "male")),)
        variants = ("1:1000:A:G", "1:3000:C:T", "2:500:G:GA", "7:123:A:C", "X:70000000:T:C")
        return cls(traits=(Term(field="body_mass_index"),), terms=terms), Panel(variants=variants)
