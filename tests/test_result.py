"""Results as tables: suppressed is missing, zero is zero, undefined is NaN, and why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.errors import Invalid
from eucan_dask.partial import Hidden
from eucan_dask.result import Result, SiteOutcome

OUTCOMES = tuple(SiteOutcome(name, "answered") for name in "abc")


def frequency(n_sites: list[int], n_hidden: list[int], pool: list[int]) -> Result:
    """Genes G0, G1, ... with a count of 20 of 100, shown or hidden as said."""
    n = len(n_sites)
    dims, own = ("genes", "classes", "cohorts"), ("genes", "cohorts")
    whole, part = (n, 1, 1), (n, 1)
    held = {
        "n_mutated": (dims, np.full(whole, 20)),
        "n_assayed": (own, np.full(part, 100)),
        "frequency": (dims, np.full(whole, 0.2)),
        "low": (dims, np.full(whole, 0.1)),
        "high": (dims, np.full(whole, 0.3)),
        "mutated_n_sites": (dims, np.array(n_sites).reshape(whole)),
        "mutated_n_hidden": (dims, np.array(n_hidden).reshape(whole)),
        "mutated_pool_hidden": (dims, np.array(pool, np.uint8).reshape(whole)),
        "assayed_n_sites": (own, np.full(part, 3)),
        "assayed_n_hidden": (own, np.zeros(part, int)),
        "assayed_pool_hidden": (own, np.zeros(part, np.uint8)),
    }
    coords = {"genes": [f"G{i}" for i in range(n)], "classes": ["any"], "cohorts": ["c"]}
    ds = xr.Dataset(held, coords=coords)
    return Result(MutationFrequency(), ds, OUTCOMES, "run", 1, 0.1)


def test_to_dataframe__columns_in_order() -> None:
    table = frequency([3], [0], [0]).to_dataframe()
    assert table.columns.tolist() == [
        *("gene", "class", "cohort", "n_mutated", "n_assayed", "frequency", "low", "high"),
        *("n_sites", "coverage", "suppressed", "reason"),
    ]
    assert table.iloc[0].tolist()[:8] == ["G0", "any", "c", 20, 100, 0.2, 0.1, 0.3]


@pytest.mark.parametrize(
    ("n_sites", "n_hidden", "pool", "suppressed", "interval", "reason"),
    [
        (3, 0, Hidden.SHOWN, False, True, ""),
        (2, 0, Hidden.SHOWN, False, True, "1 of 3 sites left out"),
        (2, 1, Hidden.SHOWN, True, True, "hidden at 1 of 3 sites"),
        (0, 3, Hidden.SHOWN, True, True, "hidden at 3 of 3 sites"),
        (0, 0, Hidden.SHOWN, True, False, "too few people"),
        (3, 0, Hidden.LOW, True, True, "too small on the pool"),
        (3, 0, Hidden.MERGED, True, True, "counted at the next grid point shown"),
        (3, 0, Hidden.TAIL, True, True, "too few people left"),
    ],
)
def test_to_dataframe__what_a_row_says(
    n_sites: int, n_hidden: int, pool: int, reason: str, *, suppressed: bool, interval: bool
) -> None:
    row = frequency([n_sites], [n_hidden], [pool]).to_dataframe().iloc[0]
    assert row["suppressed"] == suppressed
    assert pd.isna(row["n_mutated"]) == suppressed
    assert pd.isna(row["frequency"]) == suppressed
    assert row["n_assayed"] == 100  # another record, that is shown
    assert pd.isna(row["low"]) != interval
    assert row["reason"] == reason
    assert row["coverage"] == pytest.approx(n_sites / 3)


def test_to_dataframe__an_unknown_table() -> None:
    with pytest.raises(Invalid, match="did you mean 'genes'"):
        frequency([3], [0], [0]).to_dataframe("gene")


def test_tables__counts_stay_integers() -> None:
    table = frequency([3, 2], [0, 1], [0, 0]).tables["genes"]
    assert str(table["n_mutated"].dtype) == "Int64"
    assert table["n_mutated"].isna().tolist() == [False, True]


def test_repr__tells_counts_of_rows_not_values() -> None:
    result = frequency([3, 2], [0, 1], [0, 0])
    assert repr(result) == (
        "Result: Mutation frequency, 3 of 3 sites\n  genes: 2 rows, 1 suppressed"
    )
    page = result._repr_html_()
    assert "<b>Mutation frequency</b>" in page
    assert "hidden at 1 of 3 sites" in page


@pytest.mark.parametrize(
    ("codes", "suppressed"), [([0, 0, 6, 0], False), ([0, 0, 0, 7], True)], ids=["merged", "cut"]
)
def test_to_dataframe__a_mean_over_the_grid_needs_its_end(
    codes: list[int], *, suppressed: bool
) -> None:
    """Merged steps do not take the restricted mean away; a tail that was cut does."""
    grid = ("cohorts", "times")
    held = {
        "rmst": (("cohorts", "horizons"), np.array([[100.0]])),
        "rmst_se": (("cohorts", "horizons"), np.array([[1.0]])),
        "curve_n_sites": (("cohorts",), np.array([3])),
        "curve_n_hidden": (("cohorts",), np.array([0])),
        "curve_pool_hidden": (grid, np.array([codes], np.uint8)),
    }
    ds = xr.Dataset(
        held, coords={"cohorts": ["c"], "times": np.arange(4.0) * 30, "horizons": [90.0]}
    )
    row = Result(Survival(), ds, OUTCOMES, "run", 1, 0.1).to_dataframe("rmst").iloc[0]
    assert row["suppressed"] == suppressed
    assert np.isnan(row["rmst"]) == suppressed
