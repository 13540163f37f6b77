"""Cohort summary against pandas, and its labels by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField, count_levels
from eucan_dask.errors import Invalid
from eucan_dask.panel import Panel
from eucan_dask.testing.cases import Example, run_over
from eucan_dask.testing.data import dataset, people, split

AGE = SummaryField(field="age_at_diagnosis", edges=(40.0, 60.0, 70.0))
STAGE = SummaryField(field="stage", levels=("I", "III"))
EVENT = SummaryField(field="overall_survival_event")


def test_finalize__as_pandas_crosstab() -> None:
    simulated = people(150, seed=4, missing=0.1)
    rows = simulated.clinical.drop_duplicates("individual_id").sort_values("individual_id")
    case = Example(CohortSummary(fields=(AGE, STAGE, EVENT)), Panel())
    of = np.arange(150) % 3
    _, finished, _ = run_over(case, [dataset(part) for part in split(simulated, of)])
    age = pd.cut(rows["age_at_diagnosis"], [-np.inf, 40, 60, 70, np.inf], right=False)
    stage = rows["stage"].map({"I": "I", "III": "III"}).fillna("other")
    stage[rows["stage"].isna()] = "missing"
    event = rows["overall_survival_event"].map({1.0: "yes", 0.0: "no"}).fillna("missing")
    known = rows["age_at_diagnosis"].notna()
    cohorts = {
        "up to 60": known & (rows["age_at_diagnosis"] <= 60),
        "over 60": known & (rows["age_at_diagnosis"] > 60),
    }
    for c, members in enumerate(cohorts.values()):
        counts = finished["count"].values[c]
        bins = [int((age[members] == b).sum()) for b in age.cat.categories]
        assert counts[:4].tolist() == bins
        assert counts[4] == 0  # who lacks the age is in neither cohort
        cross = pd.crosstab(stage[members], "n")["n"].reindex(
            ["I", "III", "other", "missing"], fill_value=0
        )
        assert counts[5:9].tolist() == cross.tolist()
        by_event = pd.crosstab(event[members], "n")["n"].reindex(
            ["yes", "no", "missing"], fill_value=0
        )
        assert counts[9:].tolist() == by_event.tolist()
        assert finished["n"].values[c] == members.sum()


def test_labels__end_in_missing() -> None:
    assert AGE.labels == ("< 40", "[40, 60)", "[60, 70)", ">= 70", "missing")
    assert STAGE.labels == ("I", "III", "other", "missing")
    assert EVENT.labels == ("yes", "no", "missing")


@pytest.mark.parametrize("levels", [("female", "male", "other"), ("a", "missing"), ("a", "a")])
def test_labels__are_all_different(levels: tuple[str, ...]) -> None:
    """A vocabulary may hold "other" itself: two rows of one name cannot be told apart."""
    try:
        labels = SummaryField(field="sex", levels=levels).labels
    except Invalid:
        return
    assert len(set(labels)) == len(labels)


def test_codes__a_value_on_an_edge_opens_the_next_bin() -> None:
    attrs = {"kind": "number", "unit": "years"}
    values = [39.9, 40.0, 59.9, 60.0, 70.0, np.nan]
    ds = xr.Dataset({"individual_age_at_diagnosis": (("individuals",), np.array(values), attrs)})
    assert AGE.codes(ds).tolist() == [0, 1, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        ({"field": "sex"}, "give levels"),
        ({"field": "age_at_diagnosis"}, "give edges"),
        ({"field": "age_at_diagnosis", "levels": ("a",)}, "give edges"),
        ({"field": "overall_survival_event", "levels": ("a",)}, "give no levels"),
        ({"field": "sex", "levels": ("femal",)}, "did you mean 'female'"),
        ({"field": "sexx", "levels": ("female",)}, "did you mean 'sex'"),
    ],
)
def test_codes__what_does_not_fit_the_field_says_so(field: dict[str, object], problem: str) -> None:
    ds = dataset(people(5, seed=0))
    with pytest.raises(Invalid, match=problem):
        SummaryField(**field).codes(ds)


def test_codes__levels_of_an_open_category_may_be_absent_here() -> None:
    attrs = {"kind": "category", "categories": ["x"], "open": True}
    ds = xr.Dataset({"individual_site": (("individuals",), np.array([0, -1], np.int16), attrs)})
    assert SummaryField(field="site", levels=("y", "x")).codes(ds).tolist() == [1, 3]


@pytest.mark.parametrize(
    "make",
    [
        lambda: SummaryField(field="a", levels=("x",), edges=(1.0,)),
        lambda: SummaryField(field="a", edges=(2.0, 1.0)),
        lambda: SummaryField(field="a", edges=(1.0, 1.0)),
        lambda: SummaryField(field="a|b"),
        lambda: CohortSummary(fields=()),
        lambda: CohortSummary(fields=(EVENT, EVENT)),
    ],
)
def test_parameters__that_make_no_table(make: object) -> None:
    with pytest.raises(Invalid):
        make()  # type: ignore[operator]


def test_count_levels__by_hand() -> None:
    members = np.array([[True, False], [True, True], [False, True], [True, True]])
    counts = count_levels(members, np.array([0, 2, 2, 0]), 3)
    assert counts.tolist() == [[2, 0, 1], [1, 0, 2]]
    assert counts.dtype == np.int64
