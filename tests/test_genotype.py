"""People's genotypes in a dataset: biosamples, sexes, inheritance, and a panel's variants."""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr

from eucan_dask.genotype import (
    Inheritance,
    Ploidy,
    align_variants,
    genotype_columns,
    inheritance,
    sexes,
)
from eucan_dask.kernels.genotype import unpack
from tests.genotyped import genotyped

A, X, Y, MT = Inheritance


@pytest.mark.parametrize(
    ("kind", "diploid", "haploid"),
    [
        (A, [1, 1, 1], [0, 0, 0]),
        (X, [1, 0, 1], [0, 1, 0]),
        (Y, [0, 0, 0], [0, 1, 0]),
        (MT, [0, 0, 0], [1, 1, 1]),
    ],
)
def test_ploidy__by_sex(kind: int, diploid: list[int], haploid: list[int]) -> None:
    found = Ploidy.of(kind, np.array([0, 1, 2], dtype=np.int8))
    assert (found.diploid.astype(int).tolist(), found.haploid.astype(int).tolist()) == (
        diploid,
        haploid,
    )


@pytest.mark.parametrize(
    ("assembly", "first", "last"),
    [
        ("NCBI36", 1, 2_709_520),
        ("GRCh37", 60_001, 2_699_520),
        ("GRCh38", 10_001, 2_781_479),
        ("CHM13", 1, 2_394_410),
    ],
)
def test_inheritance__of_the_first_par_of_x(assembly: str, first: int, last: int) -> None:
    inside = [f"X:{p}:A:G" for p in (first, last)]
    outside = [f"X:{p}:A:G" for p in (first - 1, last + 1) if p > 0]
    assert inheritance(inside, assembly).tolist() == [A, A]
    assert inheritance(outside, assembly).tolist() == [X] * len(outside)


def test_inheritance__of_everything_else() -> None:
    labels = ["1:5:A:G", "Y:5:A:G", "MT:5:A:G", "GL1:5:A:G", "Y:20000:A:G", "22:10001:A:G"]
    assert inheritance(labels, "GRCh38").tolist() == [A, Y, MT, A, A, A]
    assert inheritance(["X:20000:A:G"], "").tolist() == [X]


def samples(
    owner: list[int], column: list[int], sex: list[int] | None = None, **fields: Any
) -> xr.Dataset:
    """People 0.. with these biosamples, in order of people."""
    ds = xr.Dataset(
        {
            "individual_id": (("individuals",), np.arange(max(owner) + 1).astype(object)),
            "sample_individual": (("samples",), np.array(owner, dtype=np.int32)),
            "sample_genotype": (("samples",), np.array(column, dtype=np.int32)),
        }
    )
    if sex is not None:
        ds["sample_sex"] = (("samples",), np.array(sex, dtype=np.int8))
    return ds.assign(fields)


def test_genotype_columns__the_first_genotyped_biosample_stands_for_the_person() -> None:
    ds = samples([0, 0, 1, 2, 2, 3], [-1, 4, 0, 3, 1, -1])
    assert genotype_columns(ds).tolist() == [4, 0, 3, -1]


def said(words: list[str], values: list[int], kind: str = "category") -> xr.DataArray:
    attrs = {"kind": kind, "categories": words}
    return xr.DataArray(np.array(values, dtype=np.int16), dims="individuals", attrs=attrs)


def test_sexes__the_field_then_what_a_fam_said() -> None:
    ds = samples([0, 1, 2, 3], [0, 1, 2, 3], [1, 1, 2, 0])
    assert sexes(ds).tolist() == [1, 1, 2, 0]
    words = ["female", "male", "other"]
    assert sexes(ds.assign(individual_sex=said(words, [0, 1, 2, -1]))).tolist() == [2, 1, 2, 0]
    assert sexes(ds.drop_vars("sample_sex")).tolist() == [0] * 4
    number = said([], [1, 2, 1, 2], kind="number")
    assert sexes(ds.assign(individual_sex=number)).tolist() == [1, 1, 2, 0]


def test_sexes__of_the_biosample_whose_calls_count() -> None:
    """A tumour without genotypes lies before the normal of which a .fam gives the sex."""
    ds = samples([0, 0, 1], [-1, 0, 1], [0, 1, 2])
    assert genotype_columns(ds).tolist() == [0, 1]
    assert sexes(ds).tolist() == [1, 2]


# --- a panel's variants ---

CALLS = {"1:5:A:G": [0, 1, 2, 3, 0], "1:7:A:C": [1, 1, 1, 1, 1], "X:9:C:T": [2, 2, 0, 0, 3]}


def calls_of(ds: xr.Dataset, name: str = "call_genotype_packed") -> list[list[int]]:
    return unpack(ds[name].values, np.arange(5)).tolist()


def test_align_variants__in_the_panel_s_order_and_missing_where_not_held() -> None:
    ds = genotyped(CALLS)
    labels = ["X:9:C:T", "2:5:A:G", "1:5:A:G", "1:5:A:C"]
    found = align_variants(ds, labels)
    assert calls_of(found) == [[2, 2, 0, 0, 3], [3] * 5, [0, 1, 2, 3, 0], [3] * 5]
    assert found["variant_inheritance"].values.tolist() == [X, A, A, A]
    assert found["variant_split"].values.tolist() == [-1] * 4
    assert "variant_label" not in found


def test_align_variants__rows_of_split_records_follow() -> None:
    several = {
        "1:7:A:C": ([1, 0, 0, 0, 0], [0, 1, 0, 0, 3]),
        "X:9:C:T": ([2, 2, 0, 0, 0], [0, 0, 0, 2, 3]),
    }
    ds = genotyped(CALLS, split=several)
    found = align_variants(ds, ["X:9:C:T", "5:5:A:G", "1:5:A:G", "1:7:A:C"])
    assert found["variant_split"].values.tolist() == [0, -1, -1, 1]
    assert calls_of(found, "call_alt_packed") == [[2, 2, 0, 0, 0], [1, 0, 0, 0, 0]]
    assert calls_of(found, "call_other_packed") == [[0, 0, 0, 2, 3], [0, 1, 0, 0, 3]]
    some = align_variants(ds, ["1:7:A:C"])
    assert some["variant_split"].values.tolist() == [0]
    assert calls_of(some, "call_other_packed") == [[0, 1, 0, 0, 3]]
    assert align_variants(ds, ["1:5:A:G"])["call_alt_packed"].shape == (0, 2)


def test_align_variants__nothing_is_read_until_it_is_needed() -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("calls are read")

    with dask.config.set(scheduler=refuse):
        found = align_variants(genotyped(CALLS), ["1:5:A:G"])
    assert found["call_genotype_packed"].chunks is not None


def test_align_variants__without_variants_and_without_genotypes() -> None:
    assert align_variants(genotyped(CALLS), []).sizes["variants"] == 0
    ds = xr.Dataset({"individual_id": (("individuals",), np.array(["a"], dtype=object))})
    assert align_variants(ds, ["1:5:A:G"]) is ds
