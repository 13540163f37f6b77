"""Withdrawing people from genotypes: their columns go, and what only they carried."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from eucan_dask.errors import Invalid
from eucan_dask.store import cutting
from eucan_dask.store.edit import withdraw
from eucan_dask.store.ingest import ingest_clinical
from eucan_dask.store.ingest_variants import ingest_vcf
from eucan_dask.store.inspect import describe, verify
from eucan_dask.store.manifest import read_head
from eucan_dask.store.open import open_store
from eucan_dask.store.pack import unpack
from tests.store.genotypes import ROWS, SAMPLES, Row, simulated, vcf
from tests.store.store_tables import CLINICAL, table

NAMES = ["A-1", "B-1", "B-2", "C-1", "D-1"]


def made(folder: Path, rows: list[Row], samples: list[str], **options: object) -> Path:
    store = folder / "s"
    ingest_vcf(vcf(folder / "a.vcf", rows, samples), store=store, assembly="GRCh37", **options)  # type: ignore[arg-type]
    return store


def shards(store: Path) -> list[xr.Dataset]:
    manifest = open_store(store).manifest
    freeze = store / "freezes" / manifest.digest
    return [xr.open_zarr(freeze / shard.path).compute() for shard in manifest.variants]


def variants(store: Path) -> list[str]:
    return [
        f"{ds.contig_id.values[0]}:{p}:{ref}:{alt}"
        for ds in shards(store)
        for p, (ref, alt) in zip(ds.variant_position.values, ds.variant_allele.values, strict=True)
    ]


def test_withdraw__equals_ingest_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All the bytes are those of an ingest of the others' calls, of variants they carry."""
    monkeypatch.setattr(cutting, "SHARD_VARIANTS", 40)
    rows, alleles = simulated(120, 9)
    names = [f"S{i}" for i in range(9)]
    store = made(tmp_path, rows, names)
    gone, kept = [1, 4, 8], [0, 2, 3, 5, 6, 7]
    seen: list[tuple[int, int, str]] = []
    manifest = withdraw(store, [names[i] for i in gone], progress=lambda *told: seen.append(told))
    assert seen[-1] == (3, 3, "shards of variants")
    alone = (alleles == 1).any(axis=(1, 2)) & ~(alleles[:, kept] == 1).any(axis=(1, 2))
    assert alone.sum() > 2
    for shard, ds in zip(manifest.variants, shards(store), strict=True):
        assert shard.n_samples == ds.sizes["samples"] == 6
    found = np.concatenate([ds.call_genotype.values for ds in shards(store)])
    np.testing.assert_array_equal(found, alleles[~alone][:, kept])
    rest = []
    for row, calls in zip(rows, alleles[:, kept], strict=True):
        text = " ".join("/".join(".01"[a + 1] for a in call) for call in calls)
        rest.append((*row[:5], text))
    monkeypatch.setattr(cutting, "SHARD_VARIANTS", 10**6)
    monkeypatch.undo()
    for start, stop, shard in zip((0, 40, 80), (40, 80, 120), manifest.variants, strict=True):
        some = [row for row, bad in list(zip(rest, alone, strict=True))[start:stop] if not bad]
        other = tmp_path / f"t{start}"
        other.mkdir()
        fresh = made(other, some, [names[i] for i in kept])
        assert open_store(fresh).manifest.variants == (shard,)
    assert not verify(store)


def test_withdraw__alt_of_a_record_goes(tmp_path: Path) -> None:
    """Only A carries T at 200 and the long ALT at 400: nothing tells that they were there."""
    rows: list[Row] = [
        ("1", 200, ".", "C", "T,G", "1/2 0/2 ./. 0/0 2/2"),
        ("1", 300, ".", "C", "T,G,A", "2/2 1/3 0/3 3/3 0/1"),
        ("1", 400, ".", "GTT", "G,GTA", "0/1 0/2 0/0 0/0 0/2"),
        ("1", 500, ".", "C", "T,G", "1/2 0/0 0/0 0/0 ./."),
        ("1", 600, ".", "C", "T,G", "0/0 0/0 0/2 0/0 0/0"),
        ("2", 10, ".", "C", "T", "0/1 0/0 0/0 0/0 0/0"),
    ]
    store = made(tmp_path, rows, NAMES)
    withdraw(store, ["A-1"])
    (ds,) = shards(store)
    # T at 600 was carried by nobody: the file listed it, not a person.
    assert variants(store) == [
        "1:200:C:G",
        "1:300:C:A",
        "1:300:C:T",
        "1:402:T:A",
        "1:600:C:G",
        "1:600:C:T",
    ]
    assert ds.record_position.values.tolist() == [200, 300, 402, 600]
    assert ds.record_allele.values.tolist() == ["C,G", "C,T,A", "T,A", "C,T,G"]
    assert ds.variant_record.values.tolist() == [0, 1, 1, 2, 3, 3]
    assert ds.variant_record_alt.values.tolist() == [1, 2, 1, 1, 2, 1]
    assert ds.variant_split.values.tolist() == [-1, 0, 1, -1, 2, 3]
    assert unpack(ds.call_alt_packed.values, 4).tolist() == [
        [1, 1, 2, 0],
        [1, 0, 0, 1],
        [0, 1, 0, 0],
        [0, 0, 0, 0],
    ]
    assert unpack(ds.call_other_packed.values, 4)[0].tolist() == [1, 0, 0, 1]
    assert unpack(ds.call_genotype_packed.values[[0]], 4).tolist() == [[1, 3, 0, 2]]
    assert not verify(store)


def test_withdraw__alt_of_a_record_in_two_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deletion lies in one shard, the substitution behind it in the next."""
    monkeypatch.setattr(cutting, "SHARD_VARIANTS", 1)
    rows: list[Row] = [("1", 400, ".", "GTT", "G,GTA", "0/1 0/2 0/0 0/0 0/2")]
    store = made(tmp_path, rows, NAMES)
    assert len(shards(store)) == 2
    withdraw(store, ["A-1"])
    (ds,) = shards(store)
    assert variants(store) == ["1:402:T:A"]
    assert ds.record_allele.values.tolist() == ["T,A"]
    assert ds.variant_split.values.tolist() == [-1]


def test_withdraw__person_of_two_samples(tmp_path: Path) -> None:
    store = tmp_path / "s"
    rows = [row for row in CLINICAL if row["sample_id"] in SAMPLES]
    ingest_clinical(table(tmp_path / "c.tsv", rows), store=store, mapping="plain")
    made(tmp_path, ROWS, list(SAMPLES))
    with pytest.raises(Invalid, match="1 ids are not in the store; found B-1"):
        withdraw(store, ["B-1"])
    withdraw(store, ["B"])
    ds = open_store(store).dataset()
    assert ds.sample_id.values.tolist() == ["A-1", "C-1"]
    assert ds.sample_genotype.values.tolist() == [0, 1]
    assert [s.sample_id.values.tolist() for s in shards(store)] == [["A-1", "C-1"]] * 2
    # Only B carried 1:100:A:G and X:5000000:A:C; A carries 1:300:G:T in half a call.
    assert variants(store) == ["1:200:C:G", "1:200:C:T", "1:300:G:T", "2:50:T:C"]
    assert describe(store)["n_genotyped"] == 2


def test_withdraw__who_has_no_genotypes(tmp_path: Path) -> None:
    """The shards are carried: the same files."""
    store = tmp_path / "s"
    ingest_clinical(table(tmp_path / "c.tsv", CLINICAL), store=store, mapping="plain")
    made(tmp_path, ROWS, list(SAMPLES), unmatched="keep")
    before = open_store(store).manifest
    after = withdraw(store, ["D"])
    assert after.variants == before.variants
    inodes = {
        (store / "freezes" / digest / before.variants[0].path / ".zgroup").stat().st_ino
        for digest in (before.digest, after.digest)
    }
    assert len(inodes) == 1


def test_withdraw__everybody(tmp_path: Path) -> None:
    store = made(tmp_path, ROWS[:1], list(SAMPLES))
    withdraw(store, list(SAMPLES))
    assert describe(store)["n_genotyped"] == describe(store)["n_variants"] == 0
    assert not verify(store)
    before = read_head(store).freeze
    with pytest.raises(Invalid, match="1 ids are not in the store"):
        withdraw(store, ["A-1"])
    assert read_head(store).freeze == before


@pytest.mark.parametrize("contents", ["sites", "triploid"])
def test_withdraw__not_analysed(tmp_path: Path, contents: str) -> None:
    if contents == "sites":
        store = made(tmp_path, [(*row[:5], "") for row in ROWS], [])
        rows = table(tmp_path / "c.tsv", CLINICAL)
        ingest_clinical(rows, store=store, mapping="plain")
        withdraw(store, ["A"])
        assert describe(store)["n_variants"] == 6
    else:
        rows = [("1", 9, ".", "A", "C", "0/0/1 0/0"), ("1", 10, ".", "A", "C", "0/0/1 0/1")]
        store = made(tmp_path, rows, ["P", "Q"])
        withdraw(store, ["P"])
        (ds,) = shards(store)
        assert ds.call_genotype.values.tolist() == [[[0, 1, -2]]]
