"""Shards of variants: the layout on disk, chunks, and the same bytes every time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numcodecs.blosc
import numpy as np
import pytest
import xarray as xr
import zarr

from eucan_dask.store import variants
from eucan_dask.store.arrays import read_arrays, strings
from eucan_dask.store.pack import unpack
from eucan_dask.store.variant_rows import VariantRows, join
from eucan_dask.store.variants import CallBlock, Cohort, chunk_rows, write_empty, write_variants

LAYOUT = {
    "variant_contig": ("variants", "i2"),
    "contig_id": ("contigs", "O"),
    "variant_position": ("variants", "i4"),
    "variant_allele": ("variants alleles", "O"),
    "variant_id": ("variants", "O"),
    "variant_quality": ("variants", "f4"),
    "variant_filter": ("variants filters", "?"),
    "filter_id": ("filters", "O"),
    "variant_length": ("variants", "i4"),
    "variant_par": ("variants", "?"),
    "variant_record": ("variants", "i4"),
    "variant_record_alt": ("variants", "i2"),
    "record_position": ("records", "i4"),
    "record_allele": ("records", "O"),
    "sample_id": ("samples", "O"),
    "sample_sex": ("samples", "i1"),
    "call_genotype": ("variants samples ploidy", "i1"),
    "call_genotype_phased": ("variants samples", "?"),
    "call_genotype_packed": ("variants sample_bytes", "u1"),
    "variant_split": ("variants", "i4"),
    "call_alt_packed": ("split_variants sample_bytes", "u1"),
    "call_other_packed": ("split_variants sample_bytes", "u1"),
}


def rows(n: int = 3, *, contig: str = "X") -> VariantRows:
    """One biallelic variant, then the two of one record, the last of them in no filter."""
    numbers = np.arange(n, dtype=np.int32)
    record = np.minimum(numbers, n - 2)
    return VariantRows(
        contig,
        60_000 + numbers,
        np.ones(n, dtype=np.int32),
        np.array([["A", "CGT"[i % 3]] for i in range(n)], dtype=object),
        strings("." * n),
        np.full(n, np.nan, dtype=np.float32),
        ("PASS", "q10"),
        np.array([[i < n - 1, i == 0] for i in range(n)]),
        record,
        np.where(numbers == n - 1, 2, 1).astype(np.int16),
        numbers >= n - 2,
        60_000 + np.unique(record),
        strings([*["A,C"] * (n - 2), "A,C,G"]),
    )


def cohort(n: int = 5, ploidy: int = 2) -> Cohort:
    names = [f"S{i}" for i in range(n)]
    return Cohort("GRCh37", names, np.arange(n) % 3, ploidy, reference_checked=False)


def block(n_variants: int = 3, n_samples: int = 5, ploidy: int = 2, *, seed: int = 3) -> CallBlock:
    rng = np.random.default_rng(seed)
    shape = (n_variants, n_samples, ploidy)
    copies = rng.integers(0, 4, size=(2, 2, n_samples)).astype(np.uint8)
    genotype = rng.integers(-1, 2, size=shape).astype(np.int8)
    return CallBlock(genotype, rng.random(shape[:2]) < 0.5, *copies)


def of(whole: CallBlock, split: np.ndarray, part: slice) -> CallBlock:
    before = int(split[: part.start].sum())
    here = slice(before, before + int(split[part].sum()))
    return CallBlock(whole.genotype[part], whole.phased[part], whole.alt[here], whole.other[here])


def test_write_variants__layout(tmp_path: Path) -> None:
    shard = write_variants(tmp_path, rows(), cohort(), lambda _: block())
    assert shard.path == "variants/X_60000_60002.zarr"
    assert (shard.contig, shard.start, shard.end) == ("X", 60_000, 60_002)
    assert (shard.n_variants, shard.n_samples) == (3, 5)
    with xr.open_zarr(tmp_path / shard.path, consolidated=True) as ds:
        found = {str(n): (" ".join(map(str, v.dims)), v.dtype) for n, v in ds.variables.items()}
        assert found == {name: (dims, np.dtype(kind)) for name, (dims, kind) in LAYOUT.items()}
        assert ds.attrs == {
            "format": 1,
            "vcf_zarr_version": "0.4",
            "source": "eucan-dask",
            "assembly": "GRCh37",
            "reference_checked": False,
        }
        assert not any("_FillValue" in v.encoding for v in ds.variables.values())
        ds = ds.compute()
    assert ds.variant_par.values.tolist() == [False, True, True]
    assert ds.variant_split.values.tolist() == [-1, 0, 1]
    assert ds.filter_id.values.tolist() == ["PASS", "q10"]
    assert ds.variant_filter.values.tolist() == [[True, True], [True, False], [False, False]]
    assert ds.record_allele.values.tolist() == ["A,C", "A,C,G"]
    assert ds.sample_sex.values.tolist() == [0, 1, 2, 0, 1]
    np.testing.assert_array_equal(ds.call_genotype, block().genotype)
    np.testing.assert_array_equal(ds.call_genotype_phased, block().phased)
    np.testing.assert_array_equal(unpack(ds.call_alt_packed.values, 5), block().alt)
    np.testing.assert_array_equal(unpack(ds.call_other_packed.values, 5), block().other)
    again = VariantRows.from_arrays(read_arrays(tmp_path / shard.path)[0])
    for name, value in vars(rows()).items():
        np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)


@pytest.mark.parametrize("ploidy", [0, 3])
def test_write_variants__without_packed_calls(tmp_path: Path, ploidy: int) -> None:
    shard = write_variants(tmp_path, rows(), cohort(5, ploidy), lambda _: block(ploidy=3))
    group = zarr.open_consolidated(str(tmp_path / shard.path))
    lacking = {"variant_split", "call_alt_packed", "call_other_packed", "call_genotype_packed"}
    if not ploidy:
        lacking |= {"call_genotype", "call_genotype_phased"}
    assert set(LAYOUT) - set(group.array_keys()) == lacking


def test_write_variants__chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of rows and of samples, neither of which divides the whole."""
    monkeypatch.setattr(variants, "_PACKED_BYTES", 9)  # four rows of two bytes
    monkeypatch.setattr(variants, "_CALL_BYTES", 35)  # four samples
    whole, some = block(11, 5), rows(11)
    seen: list[slice] = []

    def calls(part: slice) -> CallBlock:
        seen.append(part)
        return of(whole, some.split, part)

    shard = write_variants(tmp_path, some, cohort(), calls)
    assert seen == [slice(0, 4), slice(4, 8), slice(8, 11)]
    group = zarr.open_consolidated(str(tmp_path / shard.path))
    assert group["call_genotype"].chunks == (4, 4, 2)
    assert group["call_genotype_phased"].chunks == (4, 4)
    assert group["call_genotype_packed"].chunks == (4, 2)
    np.testing.assert_array_equal(group["call_genotype"], whole.genotype)
    missing = (whole.genotype < 0).any(axis=2)
    expected = np.where(missing, 3, whole.genotype.sum(axis=2))
    np.testing.assert_array_equal(unpack(group["call_genotype_packed"][...], 5), expected)
    np.testing.assert_array_equal(unpack(group["call_alt_packed"][...], 5), whole.alt)


@pytest.mark.parametrize("n", [0, 1, 3, 100, 2_048, 2_500, 50_000, 500_000, 50_000_000])
def test_chunk_rows__bounds(n: int) -> None:
    found = chunk_rows(n)
    assert 1 <= found <= 16_384
    assert found == 1 or found * -(-n // 4) <= 16e6
    assert found == 16_384 or found * -(-n // 4) >= 4e6


def test_write_variants__same_bytes_whatever_blosc_was_told(tmp_path: Path) -> None:
    n = 700
    whole, some = block(n, 1201), rows(n)
    digests = set()
    for i, threads in enumerate((1, 2)):
        before = numcodecs.blosc.set_nthreads(threads)
        use = numcodecs.blosc.use_threads
        numcodecs.blosc.use_threads = True
        try:
            shard = write_variants(
                tmp_path / str(i), some, cohort(1201), lambda part: of(whole, some.split, part)
            )
            assert numcodecs.blosc.use_threads is True
        finally:
            numcodecs.blosc.set_nthreads(before)
            numcodecs.blosc.use_threads = use
        digests.add(shard.sha256)
    assert len(digests) == 1


def test_write_empty(tmp_path: Path) -> None:
    shard = write_empty(tmp_path, cohort())
    assert (shard.path, shard.n_variants, shard.n_samples) == ("variants/_0_0.zarr", 0, 5)
    arrays = read_arrays(tmp_path / shard.path)[0]
    assert {n: (" ".join(a.dims), a.values.dtype) for n, a in arrays.items()} == {
        name: (dims, np.dtype(kind)) for name, (dims, kind) in LAYOUT.items()
    }
    assert len(VariantRows.from_arrays(arrays)) == 0
    assert arrays["sample_id"].values.tolist() == ["S0", "S1", "S2", "S3", "S4"]


def test_join__then_take() -> None:
    """Filters and records keep their meaning whoever is beside them."""
    first = rows()
    second = replace(rows(), filter_id=("PASS", "a5"), position=rows().position + 10)
    both = join([first, second])
    assert both.filter_id == ("PASS", "a5", "q10")
    assert both.filters[0].tolist() == [True, False, True]
    assert both.filters[3].tolist() == [True, True, False]
    assert both.record.tolist() == [0, 1, 1, 2, 3, 3]
    taken = both.take(np.array([5, 2, 1]))
    assert taken.position.tolist() == [60_012, 60_002, 60_001]
    assert taken.record.tolist() == [1, 0, 0]
    assert taken.record_allele.tolist() == ["A,C,G", "A,C,G"]
    assert taken.filter_id == ("PASS",)
    assert join([first]) is first
