"""Newton's method over sites: what Cox's and logistic regression share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from eucan_dask.analysis import Column, IterativeAnalysis, State, Table, View
from eucan_dask.dominance import dominant
from eucan_dask.errors import Invalid
from eucan_dask.panel import Panel
from eucan_dask.partial import PartialSpec, Record
from eucan_dask.terms import Term, column_labels

__all__ = [
    "CONVERGENCE",
    "NewtonRegression",
    "effective_number",
    "fit_table",
    "forest",
    "record_of",
    "round_sums",
    "shared_yields",
    "smallest_cell",
    "terms_table",
]

Z = 1.959963984540054  # 97.5 % point of the normal distribution
LARGEST_STANDARDISED = 10.0  # a coefficient beyond it says separation, or a crafted state
TERMS = ("terms",)


def shared_yields(events: str) -> tuple[PartialSpec, ...]:
    """The sums of one Newton round; `events` says in words what is counted as an event."""
    n = "n_individuals"
    return (
        PartialSpec(n, (), "count", doc="people in the fit"),
        PartialSpec("n_event", (), "count", within=n, doc=events),
        PartialSpec("n_effective", (), "evidence", doc="what parameters are weighed against"),
        PartialSpec("n_weight", (), "evidence", doc="effective number of people by weight"),
        PartialSpec("n_smallest_cell", (), "evidence", doc="fewest people in a cell of terms"),
        PartialSpec("n_dominant", (), "evidence", doc="per mille of a sum that two people hold"),
        PartialSpec("log_likelihood", (), "sum", within=n, doc="log-likelihood"),
        PartialSpec("score", TERMS, "sum", within=n, doc="its gradient"),
        PartialSpec("information", ("terms", "terms_2"), "sum", within=n, doc="minus its Hessian"),
        PartialSpec("term_sum", TERMS, "sum", within=n, doc="sum of each covariate"),
        PartialSpec("term_square", TERMS, "sum", within=n, doc="sum of its squares"),
    )


def record_of(yields: tuple[PartialSpec, ...]) -> Record:
    """The one record of a fit: all of it or nothing, over one roster."""
    names = tuple(spec.name for spec in yields if spec.leaves)
    return Record("fit", names, (), roster="run")


def terms_table(ratio: str) -> Table:
    """The table of coefficients; `ratio` is "hr" or "or"."""
    names = ("coef", "se", ratio, "low", "high", "p_value")
    return Table("terms", TERMS, ("term",), tuple(Column(n) for n in names), "fit")


def fit_table(*names: str) -> Table:
    """The one-row table of a fit."""
    return Table("fit", (), (), tuple(Column(n) for n in names), "fit")


CONVERGENCE = Table(
    "convergence", (), (), (Column("log_likelihood_null"), Column("converged")), "fit"
)


def forest(ratio: str, title: str) -> View:
    """The forest plot of `terms_table(ratio)`."""
    return View("forest", "terms", title, x=ratio, y="term", low="low", high="high")


@dataclass(frozen=True, kw_only=True)
class NewtonRegression(IterativeAnalysis):
    """A regression whose log-likelihood is a sum over sites, maximised by Newton's method.

    Round 0 is at beta = 0 and gives the null log-likelihood, means and scales. A step that lowers
    the likelihood is halved. When the last step is below `tolerance` in standard deviations, one
    more round at the solution gives the final numbers.
    """

    terms: tuple[Term, ...]
    tolerance: float = 1e-9

    max_cohorts: ClassVar[int] = 1
    stopping: ClassVar[tuple[str, ...]] = ("max_iterations", "tolerance")
    ratio: ClassVar[str]

    def __post_init__(self) -> None:
        if not self.terms:
            raise Invalid("needs terms", where=f"{self.name}.terms")
        if self.max_iterations < 2:
            raise Invalid("max_iterations must be at least 2", where=self.name)
        if not 0 < self.tolerance <= 1e-4:
            raise Invalid("tolerance must lie in (0, 1e-4]", where=f"{self.name}.tolerance")
        column_labels(self.terms)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return column_labels(self.terms)

    def summands(self, panel: Panel) -> dict[str, str]:
        return {term.summand: "" for term in self.terms}

    def n_parameters(self, panel: Panel) -> int:
        return len(self.labels)

    def coords(self, panel: Panel, cohorts: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        return {**super().coords(panel, cohorts), "terms": self.labels, "terms_2": self.labels}

    def start(self, panel: Panel) -> State:
        p = len(self.labels)
        nan = np.full((), np.nan)
        return {
            "beta": np.zeros(p),
            "best": np.zeros(p),
            "scale": np.ones(p),
            "null": nan,
            "log_likelihood": nan,
            "final": np.zeros((), np.int64),
            "done": np.zeros((), np.int64),
            "converged": np.zeros((), np.int64),
        }

    def update(self, state: State, total: xr.Dataset) -> State:
        if int(state["final"]):
            return {**state, "done": np.ones((), np.int64)}
        value = float(total["log_likelihood"])
        first = bool(np.isnan(state["null"]))
        new = dict(state)
        if first:
            new["null"] = np.array(value)
            new["scale"] = _scales(total)
        elif value < float(state["log_likelihood"]) - 1e-10 * (1 + abs(value)):
            new["beta"] = 0.5 * (state["beta"] + state["best"])
            return new
        new["best"], new["log_likelihood"] = state["beta"], np.array(value)
        step = solve(total["information"].values, total["score"].values, new["scale"])
        beta = state["beta"] + step
        large = np.abs(beta * new["scale"]) > LARGEST_STANDARDISED
        if large.any() or not np.isfinite(beta).all():
            return {**new, "final": np.ones((), np.int64), "done": np.ones((), np.int64)}
        new["beta"] = beta
        if np.abs(step * new["scale"]).max(initial=0.0) < self.tolerance:
            new["final"] = new["converged"] = np.ones((), np.int64)
        return new

    def fitted(self, total: xr.Dataset, state: State, call: str) -> xr.Dataset:
        """Finished variables that every fit has; `call` is what R would be asked."""
        return xr.Dataset(
            {
                **self.coefficients(total, state),
                "n": total["n_individuals"],
                "n_event": total["n_event"],
                "log_likelihood": ((), float(total["log_likelihood"])),
                "log_likelihood_null": ((), float(state["null"])),
                "converged": ((), bool(state["converged"])),
                "equals": ((), np.array(call, dtype=object)),
            },
            coords={"terms": total["terms"]},
        )

    def coefficients(self, total: xr.Dataset, state: State) -> dict[str, Any]:
        """Finished variables by term; NaN where the fit did not converge or a term is constant."""
        beta, scale = state["beta"], state["scale"]
        information = total["information"].values
        varies = np.diag(information) * 1.0 > 0
        covariance = inverse(information, scale)
        se = np.sqrt(np.where(varies, np.diag(covariance), np.nan))
        fitted = varies & bool(state["converged"])
        coef = np.where(fitted, beta, np.nan)
        se = np.where(fitted, se, np.nan)
        half = Z * se
        return {
            "coef": (TERMS, coef),
            "se": (TERMS, se),
            self.ratio: (TERMS, np.exp(coef)),
            "low": (TERMS, np.exp(coef - half)),
            "high": (TERMS, np.exp(coef + half)),
            "p_value": (TERMS, stats.chi2.sf((coef / se) ** 2, 1)),
        }


def round_sums(
    x: NDArray[np.float64],
    outcome: NDArray[np.bool_],
    weight: NDArray[np.float64],
    fit: tuple[float, NDArray[np.float64], NDArray[np.float64]],
    *,
    cells: NDArray[np.float64],
    n_effective: int,
    pairs: bool,
) -> xr.Dataset:
    """What `shared_yields` declares.

    Parameters
    ----------
    x, outcome, weight
        Covariates (N, P), events or outcomes (N,) and weights (N,) of the people in the fit.
    fit
        Log-likelihood, score (P,) and information (P, P).
    cells
        `cell_columns` of the terms.
    n_effective
        What parameters are weighed against.
    pairs
        As in `smallest_cell`.
    """
    value, score, information = fit
    return xr.Dataset(
        {
            "n_individuals": ((), np.int64(outcome.size)),
            "n_event": ((), np.int64(outcome.sum())),
            "n_effective": ((), np.int64(n_effective)),
            "n_weight": ((), effective_number(weight)),
            "n_smallest_cell": ((), smallest_cell(cells, outcome, pairs=pairs)),
            "n_dominant": ((), dominant(x, x * x)),
            "log_likelihood": ((), value),
            "score": (TERMS, score),
            "information": (("terms", "terms_2"), information),
            "term_sum": (TERMS, x.sum(axis=0)),
            "term_square": (TERMS, (x * x).sum(axis=0)),
        }
    )


def _scales(total: xr.Dataset) -> NDArray[np.float64]:
    """Standard deviations of the covariates over the pool; 1 where one does not vary."""
    n = max(float(total["n_individuals"]), 1.0)
    mean = total["term_sum"].values / n
    variance = np.maximum(total["term_square"].values / n - mean**2, 0.0)
    tiny = variance <= 1e-14 * np.maximum(mean**2, 1e-300)
    return np.where(tiny, 1.0, np.sqrt(variance))


def solve(
    information: NDArray[np.float64], score: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Newton's step on standardised covariates; 0 in directions without information."""
    standard = information / np.outer(scale, scale)
    return (
        np.asarray(np.linalg.pinv(standard, rcond=1e-11, hermitian=True) @ (score / scale)) / scale
    )


def inverse(information: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse information, by way of standardised covariates."""
    standard = information / np.outer(scale, scale)
    return np.asarray(np.linalg.pinv(standard, rcond=1e-11, hermitian=True)) / np.outer(
        scale, scale
    )


def smallest_cell(x: NDArray[np.float64], outcome: NDArray[np.bool_], *, pairs: bool) -> np.int64:
    """Fewest people in a cell that the outcome and columns of two values form, empty ones aside.

    Parameters
    ----------
    pairs
        Cells of two columns at once as well: where their products leave a site, as they do at
        beta = 0 in a logistic model, each is a cross-tabulation.

    Returns
    -------
    The number; all people where there is no such cell.
    """
    binary = [c == c.max() for c in x.T if c.size and np.unique(c).size <= 2]
    columns = np.stack([outcome, *binary], axis=1).astype(np.int64)
    n = columns.shape[0]
    both = columns.T @ columns
    own = np.diag(both)
    cells = [own, n - own]
    if pairs:
        only = own[:, np.newaxis] - both
        cells += [both.ravel(), only.ravel(), (n - both - only - only.T).ravel()]
    found = np.concatenate(cells)
    return np.int64(found[found > 0].min(initial=n))


def effective_number(weight: NDArray[np.float64]) -> np.int64:
    """Kish's effective number of people behind a weighted sum, rounded down: 0 for nobody."""
    square = float((weight * weight).sum())
    return np.int64(float(weight.sum()) ** 2 / square) if square > 0 else np.int64(0)
