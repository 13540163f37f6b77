"""What other programs say of the real cohorts, and how a federation's answer is held against it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from eucan_dask.analysis import Analysis
from eucan_dask.cohort import Cohort
from eucan_dask.federation import Federation
from eucan_dask.panel import Panel
from eucan_dask.terms import Term

GOLDEN = Path(__file__).parent.parent / "golden"
PURPOSE = "DUO:0000006"
EVERYBODY = (Cohort("all"),)
LAST_DAY = {"laml": 2880, "kirc": 4560, "lgg": 6450, "lung": 1050, "gbsg2": 2670}  # nobody later

Tables = dict[str, pd.DataFrame]

SEX = {"male": ("female", "male"), "female": ("male", "female")}
TERMS = {
    "dnmt3a": Term(gene="DNMT3A"),
    "idh1": Term(gene="IDH1"),
    "hormone": Term("hormone"),
    "tsize": Term("tumour_size"),
    "pnodes": Term("positive_nodes"),
    "progrec": Term("progesterone_receptor"),
    "tgrade": Term("grade", levels=("I", "II", "III")),
    "ecog": Term("ecog"),
    **{name: Term("sex", levels=levels) for name, levels in SEX.items()},
}
OUTCOMES = {
    "gbsg2": Term("recurred"),
    "lung": Term("dead"),
    "lgg": Term(gene="IDH1"),
}
CATEGORIES = {
    "histology": (
        "histological_type",
        ("Astrocytoma", "Oligoastrocytoma", "Oligodendroglioma"),
    ),
    "grade": ("histological_grade", ("G2", "G3")),
    "tgrade": ("grade", ("I", "II", "III")),
}


def read(path: Path, na_values: Sequence[str] = ("NA",)) -> pd.DataFrame:
    """A golden or packaged table; only NA is missing, unless `na_values` says otherwise."""
    return pd.read_csv(
        path,
        sep="\t",
        comment="#",
        float_precision="round_trip",
        keep_default_na=False,
        na_values=na_values,
        dtype={"group": str},
    )


def golden(name: str) -> pd.DataFrame:
    """A table of `tests/golden`."""
    return read(GOLDEN / f"{name}.tsv")


def pick(table: pd.DataFrame, **key: object) -> pd.DataFrame:
    """Rows where every named column has the value; at least one."""
    for column, value in key.items():
        table = table[table[column] == value]
    assert len(table), f"no row with {key}"
    return table


def keys(table: pd.DataFrame, *columns: str) -> list[tuple[str, ...]]:
    """The distinct values of `columns`, in the order of the table."""
    return list(dict.fromkeys(table[list(columns)].itertuples(index=False, name=None)))


def endpoint(dataset: str) -> str:
    """The endpoint the golden tables mean."""
    return "recurrence_free_survival" if dataset == "gbsg2" else "overall_survival"


def whom(dataset: str, unit: str, strata: str) -> tuple[str, str]:
    """The federation that answers a golden row, and the field that stratifies within centres.

    Every fit and test of ours is stratified by centre: a row without strata is what one centre
    that holds everybody answers.
    """
    name = f"{dataset} barcodes" if unit == "samples" else dataset
    return {
        "none": (f"{name} as one", ""),
        "centre": (name, ""),
        "centre+site": (name, "tissue_source_site"),
        "inst": (f"{name} institutions", ""),
    }[strata]


def terms(dataset: str, model: str) -> tuple[Term, ...]:
    """The terms of a golden model such as `age+male`."""
    age = Term("age_at_diagnosis" if dataset in ("kirc", "lgg") else "age")
    return tuple(age if word == "age" else TERMS[word] for word in model.split("+"))


def groups(by: str) -> tuple[Cohort, ...]:
    """The cohorts of a golden contrast, labelled by the golden groups."""
    if by == "none":
        return EVERYBODY
    if by in ("dnmt3a", "idh1"):
        return mutated(by.upper())
    if by in SEX:
        return tuple(
            Cohort.of(str(i), {"field": "sex", "equals": s}) for i, s in enumerate(SEX[by])
        )
    if by == "hormone":
        return tuple(Cohort.of(str(i), {"field": by, "equals": bool(i)}) for i in (0, 1))
    field, levels = CATEGORIES[by]
    return tuple(Cohort.of(level, {"field": field, "equals": level}) for level in levels)


def mutated(*genes: str) -> tuple[Cohort, ...]:
    """Cohorts "0", who lack a mutation in one of the genes, and "1", who have one in each."""
    each = [{"gene": gene, "mutated": True} for gene in genes]
    every = {"all": each} if len(each) > 1 else each[0]
    return (Cohort.of("0", {"not": every}), Cohort.of("1", every))


def grid(dataset: str, width: int) -> Panel:
    """Every `width` days up to the cohort's end."""
    return Panel(times=tuple(float(t) for t in range(0, LAST_DAY[dataset] + width, width)))


def ask(
    federation: Federation,
    analysis: Analysis,
    *,
    cohorts: Sequence[Cohort] = EVERYBODY,
    panel: Panel | None = None,
    complete: Sequence[str] = (),
) -> Tables:
    """The answer; every centre answers and, the data being public, nothing is hidden."""
    result = federation.run(
        analysis, purpose=PURPOSE, cohorts=cohorts, panel=panel, complete=complete
    )
    assert {outcome.status for outcome in result.outcomes} == {"answered"}
    tables = result.tables
    for name, table in tables.items():
        assert not table["suppressed"].any(), name
        assert (table["n_sites"] == len(federation.members)).all(), name
    return tables


def assert_close(actual: Iterable[float], expected: Iterable[float], rtol: float) -> None:
    """The same numbers within `rtol`, in order; nothing is NaN on one side only."""
    np.testing.assert_allclose(
        np.array(list(actual), float), np.array(list(expected), float), rtol=rtol, atol=1e-13
    )


def assert_fit(
    answer: Tables, terms: pd.DataFrame, fit: pd.Series, columns: dict[str, str], rtol: float
) -> None:
    """Coefficients, standard errors and the one-row table equal R's; counts exactly.

    `columns` names the column of `fit` for each of ours.
    """
    ours = answer["terms"]
    assert_close(ours["coef"], terms["coef"], rtol)
    assert_close(ours["se"], terms["se"], rtol)
    if "p_value" in terms:  # relative error of p is that of z times about z^2
        assert_close(ours["p_value"], terms["p_value"], rtol * 100)
    row = answer["fit"].iloc[0].to_dict() | answer["convergence"].iloc[0].to_dict()
    assert bool(row["converged"])
    for mine, theirs in columns.items():
        if mine in ("n", "n_event"):
            assert row[mine] == fit[theirs]
        else:
            assert_close([row[mine]], [fit[theirs]], rtol)


def km_median(curve: pd.DataFrame) -> float:
    """Median survival as R has it: halfway along a stretch where the curve is exactly one half."""
    low = curve[curve["survival"] < 0.5 + math.sqrt(np.finfo(float).eps)]
    if low.empty:
        return math.nan
    first = low.iloc[0]
    below = low[low["survival"] < first["survival"]]
    if abs(first["survival"] - 0.5) < math.sqrt(np.finfo(float).eps) and len(below):
        return float(first["time"] + below.iloc[0]["time"]) / 2
    return float(first["time"])
