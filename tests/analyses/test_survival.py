"""Survival against lifelines and statsmodels on the same grid, and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time
from scipy import stats
from statsmodels.duration.survfunc import survdiff

from eucan_dask.analyses.survival import Survival
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid
from eucan_dask.kernels.kaplan_meier import count_on_grid, kaplan_meier, restricted_mean
from eucan_dask.panel import Panel
from eucan_dask.testing.cases import Example, run_over
from eucan_dask.testing.data import dataset, people, split

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:lifelines|formulaic|autograd")
STEP = 60.0
GRID = tuple(STEP * i for i in range(70))
N = 240


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    simulated = people(N, seed=12, missing=0.05)
    frame = simulated.clinical.drop_duplicates("individual_id").sort_values("individual_id")
    return frame.assign(site=np.arange(N) % 3)


@pytest.fixture(scope="module")
def finished() -> xr.Dataset:
    simulated = people(N, seed=12, missing=0.05)
    case = Example(Survival(horizons=(1200.0, 3600.0)), Panel(times=GRID))
    parts = [dataset(part) for part in split(simulated, np.arange(N) % 3)]
    return run_over(case, parts)[1]


def cohort(rows: pd.DataFrame, c: int) -> pd.DataFrame:
    young = rows["age_at_diagnosis"] <= 60 if c == 0 else rows["age_at_diagnosis"] > 60
    return rows[young & rows["overall_survival_days"].notna()]


@pytest.mark.parametrize("c", [0, 1])
def test_survival__as_lifelines_on_the_grid(
    rows: pd.DataFrame, finished: xr.Dataset, c: int
) -> None:
    members = cohort(rows, c)
    on_grid = np.ceil(members["overall_survival_days"] / STEP) * STEP
    fitter = KaplanMeierFitter().fit(
        on_grid, members["overall_survival_event"], timeline=np.array(GRID)
    )
    expected = fitter.survival_function_["KM_estimate"].to_numpy()
    np.testing.assert_allclose(finished["survival"].values[c], expected, rtol=1e-10)
    table = fitter.event_table.reindex(GRID, fill_value=0)
    assert finished["n_event"].values[c].tolist() == table["observed"].tolist()
    assert finished["n_censored"].values[c].tolist() == table["censored"].tolist()
    held = fitter.event_table["at_risk"]
    for time, n in held.items():
        assert finished["n_at_risk"].values[c][GRID.index(time)] == n


@pytest.mark.parametrize("c", [0, 1])
def test_survival__interval_on_the_log_scale(finished: xr.Dataset, c: int) -> None:
    """Greenwood 1926, term by term: var(log S) = sum of d / (n (n - d))."""
    d, n = finished["n_event"].values[c], finished["n_at_risk"].values[c]
    variance, survival = 0.0, 1.0
    for j in range(len(GRID)):
        if d[j]:
            survival *= 1 - d[j] / n[j]
            variance += d[j] / (n[j] * (n[j] - d[j]))
        half = stats.norm.ppf(0.975) * np.sqrt(variance)
        low, high = survival * np.exp(-half), min(1.0, survival * np.exp(half))
        assert finished["low"].values[c, j] == pytest.approx(low, rel=1e-9)
        assert finished["high"].values[c, j] == pytest.approx(high, rel=1e-9)


@pytest.mark.parametrize("c", [0, 1])
@pytest.mark.parametrize("h", [0, 1])
def test_rmst__as_lifelines(rows: pd.DataFrame, finished: xr.Dataset, c: int, h: int) -> None:
    members = cohort(rows, c)
    on_grid = np.ceil(members["overall_survival_days"] / STEP) * STEP
    fitter = KaplanMeierFitter().fit(on_grid, members["overall_survival_event"])
    horizon = (1200.0, 3600.0)[h]
    expected = restricted_mean_survival_time(fitter, t=horizon)
    assert finished["rmst"].values[c, h] == pytest.approx(expected, rel=1e-9)


def test_rmst__by_hand() -> None:
    """S = 1, .75, .375 from 0, 10, 20; up to 25: 10 + 7.5 + 1.875.

    Variance: (7.5 + 1.875)^2 * 1/(4*3) + 1.875^2 * 1/(2*1).
    """
    event, at_risk = np.array([[0, 1, 1, 0]]), np.array([[4, 4, 2, 1]])
    survival, variance = kaplan_meier(event, at_risk)
    assert survival.tolist() == [[1.0, 0.75, 0.375, 0.375]]
    np.testing.assert_allclose(variance[0], [0, 1 / 12, 1 / 12 + 1 / 2, 1 / 12 + 1 / 2])
    times = np.array([0.0, 10.0, 20.0, 30.0])
    mean, se = restricted_mean(times, survival, event, at_risk, (25.0,))
    assert mean[0, 0] == pytest.approx(19.375)
    assert se[0, 0] == pytest.approx(np.sqrt(9.375**2 / 12 + 1.875**2 / 2))


def test_logrank__as_statsmodels_stratified_by_site(
    rows: pd.DataFrame, finished: xr.Dataset
) -> None:
    both = pd.concat([cohort(rows, c).assign(group=c) for c in (0, 1)])
    statistic, p_value = survdiff(
        both["overall_survival_days"].to_numpy(),
        both["overall_survival_event"].to_numpy(),
        both["group"].to_numpy(),
        strata=both["site"].to_numpy(),
    )
    assert finished["statistic"].values[0] == pytest.approx(statistic, rel=1e-9)
    assert finished["p_value"].values[0] == pytest.approx(p_value, rel=1e-9)
    assert finished["df"].values[0] == 1
    assert finished["strata"].values[0] == "site"


def test_logrank__strata_within_site(rows: pd.DataFrame) -> None:
    simulated = people(N, seed=12, missing=0.05)
    case = Example(Survival(strata="sex"), Panel(times=GRID))
    parts = [dataset(part) for part in split(simulated, np.arange(N) % 3)]
    _, found, _ = run_over(case, parts)
    both = pd.concat([cohort(rows, c).assign(group=c) for c in (0, 1)])
    statistic, _ = survdiff(
        both["overall_survival_days"].to_numpy(),
        both["overall_survival_event"].to_numpy(),
        both["group"].to_numpy(),
        strata=(both["site"].astype(str) + both["sex"]).to_numpy(),
    )
    assert found["statistic"].values[0] == pytest.approx(statistic, rel=1e-9)
    assert found["strata"].values[0] == "site and sex"


def with_cohorts(*criteria: dict[str, object], missing: float = 0.03) -> xr.Dataset:
    case = Example(Survival(), Panel(times=GRID))
    case.cohorts = tuple(Cohort.of(f"c{i}", c) for i, c in enumerate(criteria))
    return run_over(case, [dataset(people(N, seed=12, missing=missing))])[1]


def test_logrank__one_cohort_has_nothing_to_compare_with() -> None:
    found = with_cohorts({})
    assert np.isnan(found["statistic"].values[0])
    assert np.isnan(found["p_value"].values[0])
    assert found["df"].values[0] == 0


def test_logrank__an_empty_cohort_is_no_group() -> None:
    male, female = {"field": "sex", "equals": "male"}, {"field": "sex", "equals": "female"}
    nobody = {"all": [male, female]}
    three, two = with_cohorts(male, nobody, female), with_cohorts(male, female)
    assert three["df"].values[0] == 1
    assert three["statistic"].values[0] == pytest.approx(two["statistic"].values[0], rel=1e-10)
    assert np.isnan(three["survival"].values[1]).all()


def test_logrank__who_is_in_two_cohorts_takes_no_part() -> None:
    male = {"field": "sex", "equals": "male"}
    young = {"field": "age_at_diagnosis", "max": 60}
    only = (
        {"all": [male, {"not": young}]},
        {"all": [young, {"not": male}]},
    )
    overlapping = with_cohorts(male, young, missing=0.0)
    apart = with_cohorts(*only, missing=0.0)
    assert overlapping["statistic"].values[0] == pytest.approx(
        apart["statistic"].values[0], rel=1e-10
    )


def test_kaplan_meier__ends_and_empty_cohorts() -> None:
    event = np.array([[0, 2, 0], [0, 0, 0], [0, 0, 0]])
    at_risk = np.array([[2, 2, 0], [0, 0, 0], [3, 0, 0]])
    survival, variance = kaplan_meier(event, at_risk)
    np.testing.assert_array_equal(survival, [[1, 0, 0], [np.nan] * 3, [1, 1, 1]])
    assert variance[0].tolist() == [0, np.inf, np.inf]


def test_finalize__everybody_dead_has_no_interval() -> None:
    simulated = people(30, seed=1, missing=0.0)
    simulated.clinical["overall_survival_event"] = 1.0
    simulated.clinical["overall_survival_days"] = 100.0
    _, found, _ = run_over(Example(Survival(), Panel(times=GRID)), [dataset(simulated)])
    assert found["survival"].values[0, 2] == 0
    assert np.isnan(found["low"].values[0, 2:]).all()
    assert np.isnan(found["high"].values[0, 2:]).all()


@pytest.mark.parametrize(
    ("days", "point"), [(0.0, 0), (0.5, 1), (60.0, 1), (60.5, 2), (5000.0, None)]
)
def test_partial__an_event_belongs_to_the_first_point_not_before_it(
    days: float, point: int | None
) -> None:
    simulated = people(1, seed=1, missing=0.0)
    simulated.clinical["age_at_diagnosis"] = 50.0
    simulated.clinical["overall_survival_days"] = days
    simulated.clinical["overall_survival_event"] = 1.0
    arrays = Example(Survival(), Panel(times=GRID)).arrays(dataset(simulated))
    expected = np.zeros(len(GRID), int)
    if point is not None:
        expected[point] = 1
    assert arrays["cohort_n_event"][0].tolist() == expected.tolist()
    assert arrays["cohort_n_individuals"].tolist() == [1, 0]


def test_count_on_grid__leaves_out_what_lies_past_the_end() -> None:
    chosen = np.array([[True], [True], [False], [True]])
    assert count_on_grid(chosen, np.array([0, 2, 1, 3]), 3).tolist() == [[1, 0, 1]]


def test_check__needs_a_grid_with_the_horizons_on_it() -> None:
    with pytest.raises(Invalid, match="needs a time grid"):
        Survival().check(Panel())
    for horizon in (0.0, 45.0, 1e6):
        with pytest.raises(Invalid, match="points of the grid"):
            Survival(horizons=(horizon,)).check(Panel(times=GRID))
    Survival(horizons=(60.0,)).check(Panel(times=GRID))
