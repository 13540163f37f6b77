"""The exact test of Hardy-Weinberg proportions against fractions, and against PLINK 2."""

from __future__ import annotations

import time
import warnings
from fractions import Fraction
from functools import cache
from math import factorial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from eucan_dask.kernels.hardy_weinberg import exact_p_value


@cache
def distribution(n: int, rare: int) -> dict[int, Fraction]:
    """Probability of each number of heterozygotes among n people with `rare` copies."""
    weights = {
        het: Fraction(
            2**het * factorial(n),
            factorial((rare - het) // 2) * factorial(het) * factorial(n - (rare + het) // 2),
        )
        for het in range(rare % 2, min(rare, 2 * n - rare) + 1, 2)
    }
    whole = sum(weights.values())
    return {het: weight / whole for het, weight in weights.items()}


def by_fractions(hom_ref: int, het: int, hom_alt: int) -> float:
    probability = distribution(hom_ref + het + hom_alt, 2 * hom_alt + het)
    return float(sum(p for p in probability.values() if p <= probability[het]))


def tables(n: int) -> list[tuple[int, int, int]]:
    return [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]


def test_exact_p_value__every_table_of_up_to_twelve_people() -> None:
    every = [table for n in range(1, 13) for table in tables(n)]
    found = exact_p_value(*np.array(every, dtype=np.int64).T)
    expected = [by_fractions(*table) for table in every]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_exact_p_value__does_not_depend_on_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    every = np.array([table for n in (5, 30, 1) for table in tables(n)], dtype=np.int64)
    whole = exact_p_value(*every.T)
    monkeypatch.setattr("eucan_dask.kernels.hardy_weinberg._CELLS", 1)
    np.testing.assert_allclose(exact_p_value(*every.T), whole, rtol=1e-13)


def test_exact_p_value__either_allele_may_be_the_reference() -> None:
    every = np.array(tables(40), dtype=np.int64)
    np.testing.assert_array_equal(exact_p_value(*every.T), exact_p_value(*every[:, ::-1].T))


def test_exact_p_value__as_plink2_prints_it(shared: Path) -> None:
    """All autosomal variants of the HapMap file: six significant digits, and exactly those."""
    path = shared / "germline_hapmap" / "expected" / "plink2_autosome.hardy.tsv"
    table = pd.read_csv(path, sep="\t", dtype={"P": str})
    counts = table[["HOM_A1_CT", "HET_A1_CT", "TWO_AX_CT"]].to_numpy(np.int64)
    found = exact_p_value(*counts.T)
    assert len(found) > 8000
    np.testing.assert_allclose(found, table["P"].astype(float), rtol=6e-6)
    printed = [f"{p:.6g}" for p in found]
    differ = [(a, b) for a, b in zip(printed, table["P"], strict=True) if float(a) != float(b)]
    assert differ == []


def test_exact_p_value__nobody_is_undefined() -> None:
    none = np.array([0], dtype=np.int64)
    assert np.isnan(exact_p_value(none, none, none)).all()
    assert exact_p_value(none[:0], none[:0], none[:0]).shape == (0,)
    two = np.array([0, 3], dtype=np.int64)
    found = exact_p_value(two, two * 0, two * 0)
    assert np.isnan(found[0])
    assert found[1] == 1.0


def test_exact_p_value__of_half_a_million_people() -> None:
    """Biobank counts: finite, no warnings, right where the answer is known, and soon."""
    hom_ref = np.array([125_000, 200_000, 499_990, 500_000, 0, 125_400])
    het = np.array([250_000, 100_000, 10, 0, 500_000, 249_200])
    hom_alt = 500_000 - hom_ref - het
    begin = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = exact_p_value(hom_ref, het, hom_alt)
    assert time.monotonic() - begin < 5
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(1.0)  # the most probable table
    assert found[1] == 0.0  # below the smallest float
    assert found[2] == pytest.approx(1.0)
    assert found[3] == 1.0
    assert found[4] == 0.0
    # at this size the chi-square test with one degree of freedom is near
    chi_square = 500_000 * ((125_400 - 125_000) / 125_000) ** 2
    assert found[5] == pytest.approx(chi2.sf(chi_square, 1), rel=0.02)
