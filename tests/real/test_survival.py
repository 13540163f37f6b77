"""Kaplan-Meier, restricted mean and log-rank of real cohorts against R's survival package."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from peers import (
    LAST_DAY,
    Tables,
    ask,
    assert_close,
    endpoint,
    golden,
    grid,
    groups,
    keys,
    pick,
    whom,
)

from eucan_dask.analyses.survival import Survival
from eucan_dask.federation import Federation

Federations = Callable[[str], Federation]
RTOL = 1e-9
COUNTS = {"n_at_risk": "n_risk", "n_event": "n_event", "n_censored": "n_censor"}
ESTIMATES = {"survival": "survival", "low": "log_low", "high": "log_high"}
ASSAYED = {"laml": ("gene:DNMT3A",)}  # R was given the 193 people of the MAF, not all 200

DATASETS = ("laml", "kirc", "lgg", "lung", "gbsg2")
CURVES = [
    (dataset, *key)
    for dataset in DATASETS
    for key in keys(golden(f"km_{dataset}"), "unit", "by", "width")
]
LOGRANK = keys(golden("logrank"), "dataset", "unit", "contrast", "strata")


def horizons(dataset: str, width: int) -> tuple[float, ...]:
    """The golden horizons that are points of the grid."""
    every = (360.0, 1080.0, 1800.0) if width > 1 else (365.0, 1095.0, 1825.0, 3650.0)
    return tuple(h for h in every if h <= LAST_DAY[dataset])


def curve(
    federation: Federations, dataset: str, unit: str, by: str, width: int, centres: str
) -> Tables:
    name, _ = whom(dataset, unit, centres)
    analysis = Survival(endpoint=endpoint(dataset), horizons=horizons(dataset, width))
    return ask(
        federation(name),
        analysis,
        cohorts=groups(by),
        panel=grid(dataset, width),
        complete=ASSAYED.get(dataset, ()),
    )


def assert_curves(answer: Tables, expected: pd.DataFrame) -> None:
    """Counts equal exactly, survival and its interval to 1e-9."""
    ours = answer["curve"]
    for group, rows in expected.groupby("group"):
        found = pick(ours, cohort=group).set_index("time").loc[rows["time"]]
        for mine, theirs in COUNTS.items():
            assert list(found[mine]) == list(rows[theirs])
        for mine, theirs in ESTIMATES.items():
            assert_close(found[mine], rows[theirs], RTOL)


def assert_means(answer: Tables, expected: pd.DataFrame) -> None:
    """Restricted means and standard errors to 1e-9, up to the last time of each group."""
    ours = answer["rmst"].set_index(["cohort", "horizon"])
    rows = expected[expected["horizon"].isin(answer["rmst"]["horizon"])]
    assert len(rows)
    found = ours.loc[list(zip(rows["group"], rows["horizon"], strict=True))]
    assert_close(found["rmst"], rows["rmst"], RTOL)
    assert_close(found["se"], rows["se"], RTOL)


@pytest.mark.parametrize(("dataset", "unit", "by", "width"), CURVES)
def test_kaplan_meier__equals_survfit(
    federation: Federations, dataset: str, unit: str, by: str, width: int
) -> None:
    answer = curve(federation, dataset, unit, by, width, "centre")
    key = {"unit": unit, "by": by, "width": width}
    assert_curves(answer, pick(golden(f"km_{dataset}"), **key))
    if unit == "individuals":
        assert_means(answer, pick(golden("rmst"), dataset=dataset, **key))


@pytest.mark.parametrize("width", [1, 30])
def test_kaplan_meier__lung_with_each_institution_a_centre(
    federation: Federations, width: int
) -> None:
    answer = curve(federation, "lung", "individuals", "female", width, "inst")
    key = {"unit": "individuals", "by": "female", "width": width}
    assert_curves(answer, pick(golden("km_lung"), **key))
    assert_means(answer, pick(golden("rmst"), dataset="lung", **key))


def assert_logrank(answer: Tables, expected: pd.DataFrame) -> None:
    """Statistic to 1e-9, degrees of freedom exactly, p to 1e-7: its error is chisq times larger."""
    (ours,) = answer["logrank"].itertuples()
    assert ours.df == expected["df"].iloc[0]
    assert_close([ours.statistic], expected["chisq"][:1], RTOL)
    assert_close([ours.p_value], expected["p_value"][:1], 1e-7)
    curves = answer["curve"]
    for group, rows in expected.groupby("group"):
        own = pick(curves, cohort=group)
        assert own["n_at_risk"].iloc[0] == rows["n"].iloc[0]
        assert own["n_event"].sum() == rows["observed"].iloc[0]


@pytest.mark.parametrize(("dataset", "unit", "contrast", "strata"), LOGRANK)
def test_logrank__equals_survdiff(
    federation: Federations, dataset: str, unit: str, contrast: str, strata: str
) -> None:
    name, field = whom(dataset, unit, strata)
    analysis = Survival(endpoint=endpoint(dataset), strata=field)
    answer = ask(federation(name), analysis, cohorts=groups(contrast), panel=grid(dataset, 30))
    key = {"dataset": dataset, "unit": unit, "contrast": contrast, "strata": strata}
    assert_logrank(answer, pick(golden("logrank"), **key))


def test_logrank__a_field_within_three_centres_equals_each_a_centre(
    federation: Federations,
) -> None:
    """Institutions lie within the grouped centres: strata give what eighteen centres give."""
    answer = ask(
        federation("lung"),
        Survival(strata="institution"),
        cohorts=groups("female"),
        panel=grid("lung", 30),
    )
    key = {"dataset": "lung", "contrast": "female", "strata": "inst"}
    assert_logrank(answer, pick(golden("logrank"), **key))
