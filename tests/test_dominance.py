"""What two people hold of a sum, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.dominance import dominant
from eucan_dask.terms import Term
from eucan_dask.testing.cases import example
from eucan_dask.testing.data import dataset, people
from tests.genotyped import asked, genotyped


@pytest.mark.parametrize(
    ("values", "share"),
    [
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 200),
        ([90, 5, 3, 2], 950),
        ([90, 5, 3, 2.001], 950),  # 949.99 is rounded up
        ([1, 2], 1000),
        ([7], 1000),
        ([0, 0, 0], 0),
        ([], 0),
        ([0, 0, 0, 4], 1000),
        ([-1, 90, 5], 0),  # not a sum of amounts
    ],
)
def test_dominant__of_one_column(values: list[float], share: int) -> None:
    assert dominant(np.array(values, dtype=np.float64).reshape(-1, 1)) == share


def test_dominant__the_worst_column_counts() -> None:
    columns = np.array([[1.0, 8.0], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    assert dominant(columns) == 900
    assert dominant(columns, columns**2) == 985  # 65 of 66
    assert dominant(columns[:, :1], np.zeros((4, 0))) == 500


def test_partial__an_outlier_dominates_the_squares() -> None:
    """Of 20 people one has a value of 1,000: alone, 20 x 1000^2 / 21 of the centred squares."""
    y = [1.0] * 20 + [1000.0]
    ds = genotyped({"1:5:A:G": [0, 1, 2] * 7}, numbers={"y": y, "x": list(range(21))})
    case = asked(LinearAssociation(traits=(Term(field="y"),)), ["1:5:A:G"])
    centred = np.array(y) - np.mean(y)
    expected = np.sort(centred**2)[-2:].sum() / (centred**2).sum()
    assert int(case.arrays(ds)["n_dominant"]) == np.ceil(1000 * expected)
    assert expected > 0.95


def test_partial__of_a_model_sums_and_squares() -> None:
    case = example(CoxRegression)
    ds = dataset(people(40, seed=1))
    ready = case.prepared(ds)
    rows = ready["individual_cohort"].values.any(axis=1)
    x = ready["individual_term"].values[rows]
    shares = [np.sort(v, axis=0)[-2:].sum(axis=0) / v.sum(axis=0) for v in (x, x**2)]
    assert int(case.arrays(ds)["n_dominant"]) == np.ceil(np.round(1000 * np.max(shares), 6))
