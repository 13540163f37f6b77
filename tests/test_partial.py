"""Specs, partials and releases: what is declared, and what never leaves."""

from __future__ import annotations

import copy
import pickle

import cloudpickle
import numpy as np
import pytest
import xarray as xr

from eucan_dask.errors import EucanError, Invalid
from eucan_dask.partial import Partial, PartialSpec, Release, check_declared, indexed, labelled

N = PartialSpec("n", ("cohorts",), "count")
SUM = PartialSpec("s", ("cohorts", "terms"), "sum", within="n")
COORDS = {"cohorts": ("a", "b"), "terms": ("x",)}


def good() -> xr.Dataset:
    return xr.Dataset(
        {
            "n": (("cohorts",), np.array([1, 2])),
            "s": (("cohorts", "terms"), np.array([[1.0], [2.0]])),
        }
    )


def test_check_declared__what_is_declared() -> None:
    found = check_declared(good(), (N, SUM), COORDS)
    assert {k: v.tolist() for k, v in found.items()} == {"n": [1, 2], "s": [[1.0], [2.0]]}
    assert N.dtype == np.int64
    assert SUM.dtype == np.float64
    assert SUM.shape(COORDS) == (2, 1)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"extra": ((), 1)}, "does not return what it declares"),
        ({"n": (("cohorts",), np.array([1, 2], np.int32))}, "wrong dtype"),
        ({"n": (("cohorts",), np.array([1.0, 2.0]))}, "wrong dtype"),
        ({"n": (("cohorts",), np.array([1, -2]))}, "a count is negative"),
        ({"n": (("groups",), np.array([1, 2]))}, "wrong dimensions"),
        ({"n": ((), 1)}, "wrong dimensions"),
        ({"s": (("cohorts", "terms"), np.array([[1.0], [np.nan]]))}, "not finite"),
        ({"s": (("cohorts", "terms"), np.array([[1.0], [np.inf]]))}, "not finite"),
        ({"s": (("cohorts", "terms"), np.ones((2, 2)))}, "wrong dimensions"),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else x,
)
def test_check_declared__anything_else(change: dict[str, object], problem: str) -> None:
    held = {n: (v.dims, v.values) for n, v in good().data_vars.items()}
    with pytest.raises(Invalid, match=problem):
        check_declared(xr.Dataset({**held, **change}), (N, SUM), COORDS)


def test_check_declared__the_order_of_dimensions_counts() -> None:
    with pytest.raises(Invalid, match="wrong dimensions"):
        check_declared(good().transpose("terms", "cohorts"), (N, SUM), COORDS)


def test_spec__an_unknown_kind() -> None:
    with pytest.raises(Invalid, match="unknown kind 'mean'"):
        PartialSpec("x", (), "mean")


def test_partial__is_never_pickled_or_copied() -> None:
    partial = Partial(good())
    for send in (pickle.dumps, cloudpickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(EucanError, match="never pickled"):
            send(partial)


def test_repr__tells_shapes_not_values() -> None:
    partial = Partial(xr.Dataset({"n": (("cohorts",), np.array([12345]))}))
    assert repr(partial) == "Partial({'n': (('cohorts', 1),)})"
    release = Release("a", "r", 0, "x", "released", arrays={"n": np.array([12345])})
    assert "12345" not in repr(release)
    assert "12345" not in str(partial)


def test_labelled__text_and_numbers() -> None:
    ds = labelled({"genes": ("A", "B"), "times": (0.0, 1.0), "none": ()})
    assert ds["times"].dtype == np.float64
    assert ds["genes"].dtype == object
    assert ds.sizes == {"genes": 2, "times": 2, "none": 0}
    assert not ds.xindexes
    assert indexed(ds).sel(genes="B")["genes"].item() == "B"
