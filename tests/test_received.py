"""What is not believed of a release, array by array and fact by fact."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.fixed_point import Layout
from eucan_dask.leaving import leaving
from eucan_dask.partial import Finding, Hidden
from eucan_dask.received import check_arrays, check_header, read_finding, travelling
from eucan_dask.request import Request, Roster
from tests.test_wire import fit, for_pool, release, request, trusted

WORDS = np.uint64


def masked() -> Request:
    return dataclasses.replace(trusted(), roster=Roster(("a", "b", "c"), "masked"))


def n_words(asked: Request) -> int:
    return Layout.of(leaving(asked.analysis, asked.coords, "masked")).n_words


def test_check_arrays__words_under_masks_and_nothing_else() -> None:
    n = n_words(masked())
    check_arrays({"masked": np.zeros(n, WORDS)}, masked())
    for arrays in (
        {},
        {"words": np.zeros(n, WORDS)},
        {"masked": np.zeros(n, WORDS), "summary_hidden": np.zeros((1, 3), np.uint8)},
        {"masked": np.zeros(n + 1, WORDS)},
        {"masked": np.zeros(n, np.int64)},
        dict(for_pool().arrays),
    ):
        with pytest.raises(Invalid):
            check_arrays(arrays, masked())
    with pytest.raises(Invalid, match="other arrays"):
        check_arrays({"masked": np.zeros(n, WORDS)}, trusted())


def changed(name: str, values: object) -> dict[str, Any]:
    arrays = dict(release().arrays)
    return {**arrays, name: np.asarray(values, arrays[name].dtype)}


@pytest.mark.parametrize("code", [code for code in range(12) if code])
def test_check_arrays__codes_that_a_site_gives(code: int) -> None:
    arrays = changed("summary_hidden", [[0, 0, code]])
    if code in (Hidden.MERGED, Hidden.TAIL, Hidden.INSIDER) or code > max(Hidden):
        with pytest.raises(Invalid, match="a code no site uses"):
            check_arrays(arrays, request())
    else:
        check_arrays(arrays, request())


def test_check_arrays__a_hidden_cell_is_zero() -> None:
    check_arrays(changed("summary_hidden", [[0, 0, 1]]), request())
    with pytest.raises(Invalid, match="a hidden cell holds a value"):
        check_arrays(changed("summary_hidden", [[0, 1, 0]]), request())
    with pytest.raises(Invalid, match="a hidden cell holds a value"):
        check_arrays(changed("individuals_hidden", [1]), request())
    for value, match in ((1, "a hidden cell"), (-1, "negative")):
        with pytest.raises(Invalid, match=match):
            check_arrays(changed("level_n_individuals", [[20, 10, value]]), request())


def test_check_arrays__sums_are_finite_and_may_be_negative() -> None:
    asked = fit(0)
    whole = leaving(asked.analysis, asked.coords, "none")
    arrays = {name: np.zeros(*about) for name, about in whole.items()}
    check_arrays(arrays, asked)
    floats = [name for name, values in arrays.items() if values.dtype == np.float64]
    for name in floats:
        check_arrays({**arrays, name: np.full_like(arrays[name], -1.0)}, asked)
        for bad in (np.nan, np.inf, -np.inf):
            with pytest.raises(Invalid, match="a sum is not finite"):
                check_arrays({**arrays, name: np.full_like(arrays[name], bad)}, asked)
    assert floats


def test_travelling__counts_and_sums() -> None:
    assert travelling(request()) == {
        "cohort_n_individuals": ((1,), np.int64),
        "level_n_individuals": ((1, 3), np.int64),
    }
    names = set(travelling(fit(0)))
    assert names == {s.name for s in fit(0).analysis.yields if s.kind in ("count", "sum")}
    assert {"n_smallest_cell", "n_dominant"}.isdisjoint(names)


# --- facts ---

HEADER = {"request": "d"}
MOST = 2**53 - 1


def test_check_header__defaults_and_bounds() -> None:
    check_header(HEADER)
    check_header({**HEADER, "freeze": "f", "data_class": "public", "membership": "m"})
    for name in ("n_tasks", "seconds"):
        check_header({**HEADER, name: 0})
        check_header({**HEADER, name: MOST})
        for bad in (-1, MOST + 1, 1.5, "1", None):
            with pytest.raises(Invalid):
                check_header({**HEADER, name: bad})
    for name in ("request", "freeze", "data_class", "membership"):
        with pytest.raises(Invalid):
            check_header({**HEADER, name: 3})
    for table in ({}, {**HEADER, "more": 1}):
        with pytest.raises(Invalid):
            check_header(table)


FINDING = {"rule": "r", "record": "x", "threshold": 10.0, "n_hidden": 1, "message": "m"}


def test_read_finding__as_it_was_and_nothing_else() -> None:
    assert read_finding(FINDING) == Finding("r", "x", 10.0, 1, "m")
    for name in ("threshold", "n_hidden"):
        for good in (0, MOST):
            assert getattr(read_finding({**FINDING, name: good}), name) == good
        for bad in (-1, MOST + 1, float("nan"), "1", None):
            with pytest.raises(Invalid):
                read_finding({**FINDING, name: bad})
    for name in FINDING:
        with pytest.raises(Invalid):
            read_finding({k: v for k, v in FINDING.items() if k != name})
        with pytest.raises(Invalid):
            read_finding({**FINDING, name: []})
    for table in (None, [], "x", {**FINDING, "more": 1}):
        with pytest.raises(Invalid):
            read_finding(table)
