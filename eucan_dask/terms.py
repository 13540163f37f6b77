"""Terms of a regression: columns of a design matrix from clinical fields and mutated genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.cohort import field_of, known, mutation_truth
from eucan_dask.errors import Invalid, unknown
from eucan_dask.variables import NON_SILENT, VARIANT_CLASSIFICATIONS

__all__ = [
    "Term",
    "cell_column_labels",
    "cell_columns",
    "column_labels",
    "design",
    "needs",
    "strata_codes",
]


@dataclass(frozen=True)
class Term:
    """One term: a number, a yes/no field, a category with its levels, or a mutated gene.

    Parameters
    ----------
    field
        A clinical field. A bare string in a job means this.
    levels
        Of a category: the reference first, one column for each other level. People with a level
        not listed are left out, as if it were missing.
    gene, classes
        1 if the person carries a mutation of the gene (non-silent, unless classes are given) in
        any biosample, 0 if assayed without one, missing if not assayed.
    """

    field: str = ""
    levels: tuple[str, ...] = ()
    gene: str = ""
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.field) == bool(self.gene):
            raise Invalid("a term is either a field or a gene", where="terms", found=self)
        if self.levels and (len(self.levels) < 2 or len(set(self.levels)) < len(self.levels)):
            raise Invalid("a category needs two or more different levels", where=self.field)
        if (self.gene and self.levels) or (self.field and self.classes):
            raise Invalid(
                "a gene has no levels and a field no classes",
                where="terms",
                found=self.gene or self.field,
            )
        for name in self.classes:
            if name not in VARIANT_CLASSIFICATIONS:
                raise unknown("variant class", name, VARIANT_CLASSIFICATIONS, where=self.gene)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its columns."""
        if self.gene:
            return (f"{self.gene} mutated",)
        if self.levels:
            return tuple(f"{self.field} {level}" for level in self.levels[1:])
        return (self.field,)

    @property
    def summand(self) -> str:
        """What the ledger calls its sums: the same whatever the levels, as one is all less others.

        Examples
        --------
        >>> Term(field="sex", levels=("female", "male")).summand
        'term:sex'
        """
        return f"term:{self.field or self.labels[0]}"

    @property
    def needs(self) -> str:
        """The store variable it reads."""
        return "mutation_gene" if self.gene else f"individual_{self.field}"

    def columns(self, ds: xr.Dataset) -> NDArray[np.float64]:
        """Its columns, (individuals, labels), NaN where missing or not assayed."""
        if self.gene:
            truth = mutation_truth(ds, self.gene, self.classes or NON_SILENT)
            values = np.where(truth.true, 1.0, np.where(truth.false, 0.0, np.nan))
            return values[:, np.newaxis]
        variable = field_of(ds, self.field, where="terms")
        kind, values = variable.attrs["kind"], variable.values
        if kind == "category":
            return self._dummies(variable)
        if self.levels:
            raise Invalid(f"a {kind} has no levels", where=f"term {self.field!r}")
        numbers = values.astype(np.float64)
        return np.where(known(ds, self.field), numbers, np.nan)[:, np.newaxis]

    def _dummies(self, variable: xr.DataArray) -> NDArray[np.float64]:
        held = list(variable.attrs["categories"])
        if not self.levels:
            listed = "" if variable.attrs.get("open") else f" from {held}"
            raise Invalid(
                "a category needs its levels, the reference first",
                where=f"term {self.field!r}",
                remedy=f"write {{ field = {self.field!r}, levels = [...] }}{listed}",
            )
        for level in self.levels:
            if level not in held and not variable.attrs.get("open", False):
                raise unknown("level", level, held, where=f"term {self.field!r}")
        codes = [held.index(level) if level in held else -2 for level in self.levels]
        hit = variable.values[:, np.newaxis] == np.array(codes)[np.newaxis, :]
        dummies = hit[:, 1:].astype(np.float64)
        dummies[~hit.any(axis=1)] = np.nan
        return np.asarray(dummies)


def column_labels(terms: Sequence[Term]) -> tuple[str, ...]:
    """Names of all columns, each once."""
    labels = tuple(label for term in terms for label in term.labels)
    if len(set(labels)) < len(labels):
        raise Invalid("a term is named twice", where="terms", found=labels)
    return labels


def design(ds: xr.Dataset, terms: Sequence[Term]) -> NDArray[np.float64]:
    """The design matrix (individuals, terms) without intercept, NaN where missing."""
    return np.concatenate([term.columns(ds) for term in terms], axis=1)


def cell_columns(terms: Sequence[Term], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The design matrix with a column more for the reference level of each category.

    The level has none of its own, but sums over all people less those over the others are its.
    """
    columns, start = [x], 0
    for term in terms:
        stop = start + len(term.labels)
        if len(term.labels) > 1:
            columns.append((x[:, start:stop] == 0).all(axis=1, keepdims=True).astype(np.float64))
        start = stop
    return np.concatenate(columns, axis=1)


def cell_column_labels(terms: Sequence[Term]) -> tuple[str, ...]:
    """Names of the columns of `cell_columns`."""
    more = tuple(f"{t.field} {t.levels[0]}" for t in terms if len(t.labels) > 1)
    return (*(label for term in terms for label in term.labels), *more)


def needs(terms: Sequence[Term]) -> tuple[str, ...]:
    """Store variables that the terms read."""
    return tuple(dict.fromkeys(term.needs for term in terms))


def strata_codes(ds: xr.Dataset, name: str) -> NDArray[np.int64]:
    """Stratum (individuals,) within the site, by a field's distinct values; -1 where missing."""
    if not name:
        return np.zeros(ds.sizes["individuals"], dtype=np.int64)
    present = known(ds, name)
    values = field_of(ds, name, where="strata").values
    codes = np.full(values.shape, -1, dtype=np.int64)
    codes[present] = np.unique(values[present], return_inverse=True)[1]
    return codes
