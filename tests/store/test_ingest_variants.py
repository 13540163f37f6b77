"""Genotypes into a store: what sgkit and scikit-allel then count, and nothing by halves."""

from __future__ import annotations

import warnings
from pathlib import Path

import allel
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from eucan_dask.errors import Invalid
from eucan_dask.store import cutting, records, variants
from eucan_dask.store.edit import add_clinical, add_maf
from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from eucan_dask.store.ingest_variants import ingest_plink, ingest_vcf
from eucan_dask.store.inspect import describe, verify
from eucan_dask.store.manifest import Manifest, read_head, read_manifest
from eucan_dask.store.open import open_store
from eucan_dask.store.pack import unpack
from tests.store.genotypes import ROWS, SAMPLES, plink, simulated, vcf
from tests.store.store_tables import CLINICAL, MAF, changed, mutation, table


def shards(store: Path) -> list[xr.Dataset]:
    manifest = open_store(store).manifest
    freeze = store / "freezes" / manifest.digest
    return [xr.open_zarr(freeze / shard.path).compute() for shard in manifest.variants]


def ingest(path: Path | list[Path], store: Path, **options: object) -> Manifest:
    return ingest_vcf(path, store=store, assembly="GRCh37", **options)  # type: ignore[arg-type]


def test_ingest_vcf__what_is_stored(tmp_path: Path) -> None:
    manifest = ingest(vcf(tmp_path / "a.vcf"), tmp_path / "s", data_class="public")
    assert [(s.contig, s.start, s.end, s.n_variants) for s in manifest.variants] == [
        ("1", 100, 300, 4),
        ("2", 50, 50, 1),
        ("X", 5_000_000, 5_000_000, 1),
    ]
    assert not manifest.reference_checked
    assert any("no --reference was given" in note for note in manifest.notes)
    one, two, x = shards(tmp_path / "s")
    assert one.variant_position.values.tolist() == [100, 200, 200, 300]
    assert one.variant_allele.values[:, 1].tolist() == ["G", "G", "T", "T"]
    assert one.variant_record_alt.values.tolist() == [1, 2, 1, 1]
    assert one.variant_record.values.tolist() == [0, 1, 1, 2]
    assert one.variant_id.values.tolist() == ["rs1", ".", ".", "."]
    assert one.variant_quality.values.tolist() == [30] * 4
    assert one.record_allele.values.tolist() == ["A,G", "C,T,G", "G,T"]
    assert one.call_genotype.values[1].tolist() == [[0, -1], [-1, 1], [1, 1], [0, 1]]
    assert one.call_genotype.values[2].tolist() == [[0, 1], [1, -1], [-1, -1], [0, -1]]
    assert one.call_genotype_phased.values[1].tolist() == [True, False, False, False]
    assert unpack(one.call_genotype_packed.values, 4).tolist() == [
        [0, 1, 2, 3],
        [3, 3, 2, 1],
        [1, 3, 3, 3],
        [3, 0, 0, 0],
    ]
    assert one.variant_split.values.tolist() == [-1, 0, 1, -1]
    assert unpack(one.call_alt_packed.values, 4).tolist() == [[0, 1, 2, 1], [1, 1, 0, 0]]
    assert unpack(one.call_other_packed.values, 4).tolist() == [[1, 1, 0, 0], [0, 1, 2, 1]]
    assert two.call_genotype.values.tolist() == [[[0, 0], [0, 0], [0, 0], [0, 1]]]
    assert x.call_genotype.values.tolist() == [[[0, -2], [0, 1], [1, -2], [0, 0]]]
    assert unpack(x.call_genotype_packed.values, 4).tolist() == [[0, 1, 2, 0]]
    for ds in (one, two, x):
        assert ds.sample_id.values.tolist() == list(SAMPLES)
    assert not verify(tmp_path / "s")


def test_ingest_vcf__sgkit_agrees_with_allel(tmp_path: Path) -> None:
    """The peer opens a shard as it is; its counts are those of scikit-allel on the source."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        import sgkit
    rows, alleles = simulated(90, 61)
    names = [f"S{i}" for i in range(61)]
    manifest = ingest(vcf(tmp_path / "a.vcf", rows, names), tmp_path / "s", data_class="public")
    path = tmp_path / "s" / "freezes" / manifest.digest / manifest.variants[1].path
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        ds = sgkit.load_dataset(str(path))
        stats = sgkit.variant_stats(ds).compute()
        hwe = sgkit.hardy_weinberg_test(ds, alleles=2, ploidy=2).compute()
    truth = allel.GenotypeArray(alleles[30:])
    np.testing.assert_array_equal(stats.variant_allele_count, truth.count_alleles(max_allele=1))
    np.testing.assert_array_equal(stats.variant_n_het, truth.count_het(axis=1))
    np.testing.assert_array_equal(stats.variant_n_hom_alt, truth.count_hom_alt(axis=1))
    np.testing.assert_array_equal(stats.variant_n_called, truth.count_called(axis=1))
    observed = [truth.count_het(axis=1), truth.count_hom_ref(axis=1), truth.count_hom_alt(axis=1)]
    for p_value, counts in zip(hwe.variant_hwe_p_value.values, np.stack(observed, 1), strict=True):
        assert p_value == pytest.approx(exact_hwe(*counts), rel=1e-9)
    copies = unpack(ds.call_genotype_packed.values, 61)
    np.testing.assert_array_equal((copies == 1).sum(axis=1), truth.count_het(axis=1))
    np.testing.assert_array_equal((copies == 3).sum(axis=1), truth.count_missing(axis=1))
    keep = (copies != 3).all(axis=1) & (copies.std(axis=1) > 0)
    dosage = copies[keep].astype(float)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        some = ds.isel(variants=np.flatnonzero(keep)).compute()
        some["call_genotype_mask"] = some.call_genotype < 0
        found = sgkit.pca(some, n_components=2, merge=False)
        projection = found.sample_pca_projection.compute().values
    wanted, _ = allel.pca(dosage, n_components=2, scaler="patterson")
    np.testing.assert_allclose(np.abs(projection), np.abs(wanted), atol=1e-4)


def exact_hwe(het: int, hom1: int, hom2: int) -> float:
    """The exact test of Wigginton 2005, straight from its formula."""
    from math import comb, isclose

    n, rare = het + hom1 + hom2, 2 * min(hom1, hom2) + het
    weights = {}
    for h in range(rare % 2, rare + 1, 2):
        a = (rare - h) // 2
        weights[h] = comb(n, a) * comb(n - a, h) * 2**h
    total, own = sum(weights.values()), weights[het]
    return sum(w for w in weights.values() if w <= own or isclose(w, own)) / total


def test_ingest_vcf__same_bytes_with_two_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither workers, units, files nor compression show in the freeze."""
    monkeypatch.setattr(cutting, "SHARD_VARIANTS", 100)
    rows, _ = simulated(700, 40)
    names = [f"S{i}" for i in range(40)]
    whole = vcf(tmp_path / "a.vcf.gz", rows, names)
    plain = vcf(tmp_path / "a.vcf", rows, names)
    cut = 400
    parts = [vcf(tmp_path / "p.vcf", rows[:cut], names), vcf(tmp_path / "q.vcf", rows[cut:], names)]
    digests = [
        ingest(whole, tmp_path / "s1", workers=1).digest,
        ingest(whole, tmp_path / "s2", workers=2).digest,
        ingest(plain, tmp_path / "s3", workers=1).digest,
        ingest(parts, tmp_path / "s4", workers=2).digest,
    ]
    assert len(set(digests)) == 1
    manifest = open_store(tmp_path / "s2").manifest
    assert [s.n_variants for s in manifest.variants] == [100, 100, 33, 100, 100, 100, 100, 67]
    assert not verify(tmp_path / "s2")
    assert not list((tmp_path / "s2").glob("freezes/.*"))


def test_ingest_vcf__progress(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    ingest(vcf(tmp_path / "a.vcf"), tmp_path / "s", progress=lambda *told: seen.append(told))
    assert seen[-1] == (6, 6, "variants")
    assert all(done <= total for done, total, _ in seen)


def test_ingest_vcf__same_input_again(tmp_path: Path) -> None:
    path, store = vcf(tmp_path / "a.vcf"), tmp_path / "s"
    first = ingest(path, store)
    again = ingest(path, store)
    assert again.unchanged
    assert again.digest == first.digest
    assert "nothing was done" in again.notes[0]
    other = vcf(tmp_path / "b.vcf", ROWS[:1])
    with pytest.raises(Invalid, match=r"has genotypes already.*name all files at once.*merge"):
        ingest(other, store)
    with pytest.raises(Invalid, match="has another assembly"):
        ingest_vcf(path, store=store, assembly="GRCh38")
    assert read_head(store).freeze == first.digest


@pytest.mark.parametrize("order", ["clinical first", "genotypes first"])
def test_ingest_vcf__matched_in_either_order(tmp_path: Path, order: str) -> None:
    path = vcf(tmp_path / "a.vcf")
    rows = [row for row in CLINICAL if row["sample_id"] in SAMPLES]
    clinical, store = table(tmp_path / "c.tsv", rows[::-1]), tmp_path / "s"
    if order == "clinical first":
        ingest_clinical(clinical, store=store, mapping="plain")
        ingest(path, store)
    else:
        ingest(path, store)
        ingest_clinical(clinical, store=store, mapping="plain")
    ds = open_store(store).dataset()
    assert ds.sample_id.values.tolist() == ["A-1", "B-1", "B-2", "C-1"]
    assert ds.sample_genotype.dtype == np.int32
    assert ds.sample_genotype.dims == ("samples",)
    assert ds.sample_genotype.values.tolist() == [0, 1, 2, 3]
    assert set(ds.dims) == {"individuals", "samples"}
    assert not verify(store)


def test_ingest_vcf__unmatched(tmp_path: Path) -> None:
    path, store = vcf(tmp_path / "a.vcf"), tmp_path / "s"
    clinical = table(tmp_path / "c.tsv", CLINICAL)
    ingest_clinical(clinical, store=store, mapping="plain")
    with pytest.raises(
        Invalid,
        match=r"table and the VCF do not match; found 1 clinical samples have no genotyped sample "
        r"\(D-1\); correct the ids, or pass --unmatched keep",
    ):
        ingest(path, store)
    manifest = ingest(path, store, unmatched="keep")
    assert any("1 clinical samples have no genotyped sample" in note for note in manifest.notes)
    assert open_store(store).dataset().sample_genotype.values.tolist() == [0, 1, 2, 3, -1]
    more = vcf(tmp_path / "b.vcf", [("1", 5, ".", "A", "C", "0/1")], ["Q-1"])
    other = tmp_path / "t"
    ingest_clinical(clinical, store=other, mapping="plain")
    with pytest.raises(Invalid, match=r"1 genotyped samples have no clinical row \(Q-1\)"):
        ingest(more, other)
    with pytest.raises(Invalid, match="1 genotyped samples belong to nobody in the clinical table"):
        ingest(more, other, unmatched="keep")


def test_ingest_vcf__beside_mutations(store: Path, tmp_path: Path) -> None:
    """Sequenced tumours and genotyped normals of the same people; both are edited afterwards."""
    names = ["C-1", "A-1", "B-1"]
    rows = [("1", 5, ".", "A", "C", "0/1 1/1 0/0")]
    ingest(vcf(tmp_path / "a.vcf", rows, names), store)
    ds = open_store(store).dataset()
    assert ds.sample_genotype.values.tolist() == [1, 2, -1, 0, -1]
    assert ds.sample_assay.values.tolist() == [0] * 5
    new = table(tmp_path / "n.tsv", changed(CLINICAL[:1], 0, individual_id="E", sample_id="E-1"))
    with pytest.raises(Invalid, match=r"1 clinical samples have no sequenced or genotyped sample"):
        add_clinical(new, store=store, mapping="plain")
    before = open_store(store).manifest.variants
    add_clinical(new, store=store, mapping="plain", unmatched="keep")
    add_maf(table(tmp_path / "n.maf", [mutation(Tumor_Sample_Barcode="E-1")]), store=store)
    assert open_store(store).manifest.variants == before
    assert open_store(store).dataset().sample_genotype.values.tolist() == [1, 2, -1, 0, -1, -1]
    assert not verify(store)


def test_ingest_maf__after_genotypes(maf: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    ingest(vcf(tmp_path / "a.vcf", samples=["A-1", "B-1", "B-2", "D-1"]), store)
    ingest_clinical(
        table(tmp_path / "c.tsv", CLINICAL), store=store, mapping="plain", unmatched="keep"
    )
    ingest_maf(maf, store=store, assembly="GRCh37")  # C-1 is in it, D-1 has genotypes
    ds = open_store(store).dataset()
    assert ds.sample_genotype.values.tolist() == [0, 1, 2, -1, 3]
    assert ds.sample_assay.values.tolist() == [0, 0, 0, 0, -1]


def test_ingest_maf__strangers_beside_genotypes(tmp_path: Path) -> None:
    store = tmp_path / "s"
    ingest(vcf(tmp_path / "a.vcf"), store)
    rows = [row for row in CLINICAL if row["sample_id"] in SAMPLES]
    ingest_clinical(table(tmp_path / "c.tsv", rows), store=store, mapping="plain")
    maf = table(tmp_path / "m.maf", changed(MAF, 0, Tumor_Sample_Barcode="Q-1"))
    with pytest.raises(
        Invalid, match=r"the MAF and VCF do not match; found 1 sequenced or genotyped"
    ):
        ingest_maf(maf, store=store, assembly="GRCh37")


def test_ingest_vcf__without_genotypes(tmp_path: Path) -> None:
    store = tmp_path / "s"
    rows = [(*row[:5], "") for row in ROWS]
    manifest = ingest(vcf(tmp_path / "a.vcf", rows, []), store)
    assert any("no genotypes" in note for note in manifest.notes)
    assert "call_genotype" not in shards(store)[0]
    assert describe(store)["n_variants"] == 6
    ingest_clinical(table(tmp_path / "c.tsv", CLINICAL), store=store, mapping="plain")
    assert open_store(store).dataset().sample_genotype.values.tolist() == [-1] * 5
    assert open_store(store).catalogue()["variants"]["n_genotyped"] == 0


def test_ingest_vcf__no_record(tmp_path: Path) -> None:
    """The samples are known all the same."""
    store = tmp_path / "s"
    rows = [row for row in CLINICAL if row["sample_id"] in SAMPLES]
    ingest(vcf(tmp_path / "a.vcf", []), store)
    ingest_clinical(table(tmp_path / "c.tsv", rows), store=store, mapping="plain")
    assert open_store(store).dataset().sample_genotype.values.tolist() == [0, 1, 2, 3]
    assert describe(store)["variants"] == []
    assert not verify(store)


@pytest.mark.parametrize("apart", [False, True])
def test_ingest_vcf__variant_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, apart: bool
) -> None:
    """HapMap has one: the same calls are kept, other calls are refused."""
    if apart:  # a batch and a chunk for each record
        monkeypatch.setattr(records, "BATCH_ROWS", 1)
        monkeypatch.setattr(variants, "_CHUNK_VARIANTS", 1)
    rows = [ROWS[0], ("1", 100, ".", "A", "G", "0/0 1|0 1/1 ./.")]
    manifest = ingest(vcf(tmp_path / "a.vcf", rows), tmp_path / "s")
    assert "1 variants are there twice, with the same calls; both are kept" in manifest.notes
    assert shards(tmp_path / "s")[0].variant_id.values.tolist() == ["rs1", "."]
    rows[1] = ("1", 100, ".", "A", "G", "0/0 1|0 1/1 0/0")
    message = (
        r"a\.vcf, record 2: holds a variant with other calls than .* record 1; found 1:100 A>G"
    )
    with pytest.raises(Invalid, match=message):
        ingest(vcf(tmp_path / "a.vcf", rows), tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_ingest_vcf__symbolic_twice(tmp_path: Path) -> None:
    """Two deletions that begin at one base are two."""
    rows = [("1", 9, ".", "A", "<DEL>", "0/1"), ("1", 9, ".", "A", "<DEL>", "0/0")]
    manifest = ingest(vcf(tmp_path / "a.vcf", rows, ["P"]), tmp_path / "s")
    assert manifest.variants[0].n_variants == 2


def test_ingest_vcf__no_file(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no file is named"):
        ingest([], tmp_path / "s")
    with pytest.raises(Invalid, match=r"none\.vcf: cannot be read"):
        ingest(tmp_path / "none.vcf", tmp_path / "s")
    assert not (tmp_path / "s").exists()


COPIES = np.array([[0, 1, 2, -1], [1, 1, 0, 0], [2, 2, 2, 1]])


def test_ingest_plink__what_is_stored(tmp_path: Path) -> None:
    prefix = plink(tmp_path / "p", COPIES, SAMPLES, [2, 1, 1, 0])
    manifest = ingest_plink(prefix, store=tmp_path / "s", assembly="GRCh37")
    assert [(i.kind, i.name) for i in manifest.inputs] == [
        ("plink", "p.bed"),
        ("plink", "p.bim"),
        ("plink", "p.fam"),
    ]
    (ds,) = shards(tmp_path / "s")
    assert ds.sample_sex.values.tolist() == [2, 1, 1, 0]
    assert ds.variant_allele.values.tolist() == [["A", "G"]] * 3
    np.testing.assert_array_equal(unpack(ds.call_genotype_packed.values, 4), COPIES % 4)
    bed = prefix.with_suffix(".bed")
    assert ingest_plink(bed, store=tmp_path / "s", assembly="GRCh37").unchanged


@pytest.mark.parametrize("order", ["clinical first", "genotypes first"])
def test_ingest_plink__sex_contradicts(tmp_path: Path, order: str) -> None:
    rows = [row for row in CLINICAL if row["sample_id"] in SAMPLES]  # female, male, male, female
    clinical, store = table(tmp_path / "c.tsv", rows), tmp_path / "s"
    same = plink(tmp_path / "same", COPIES, SAMPLES, [2, 1, 0, 2])
    swapped = plink(tmp_path / "swapped", COPIES, SAMPLES, [1, 1, 2, 2])
    message = r"sex differs .* for 2 samples; found A-1, B-2; find out whether samples were swapped"
    if order == "clinical first":
        ingest_clinical(clinical, store=store, mapping="plain")
        with pytest.raises(Invalid, match=message):
            ingest_plink(swapped, store=store, assembly="GRCh37")
        ingest_plink(same, store=store, assembly="GRCh37")
    else:
        other = tmp_path / "t"
        ingest_plink(swapped, store=other, assembly="GRCh37")
        with pytest.raises(Invalid, match=message):
            ingest_clinical(clinical, store=other, mapping="plain")
        ingest_plink(same, store=store, assembly="GRCh37")
        ingest_clinical(clinical, store=store, mapping="plain")
    assert open_store(store).dataset().sample_genotype.values.tolist() == [0, 1, 2, 3]


def test_catalogue__variants(tmp_path: Path) -> None:
    """Of personal data: contigs, the nearest of 1, 2, 5, 10, ... variants, samples in tens."""
    store = tmp_path / "s"
    rows = [row for row in CLINICAL if row["sample_id"] in SAMPLES]
    ingest_clinical(table(tmp_path / "c.tsv", rows), store=store, mapping="plain")
    assert open_store(store).catalogue()["variants"] == {
        "reference_checked": False,
        "n_genotyped": 0,
        "n_variants": 0,
        "contigs": [],
    }
    ingest(vcf(tmp_path / "a.vcf"), store)
    assert open_store(store).catalogue()["variants"] == {
        "reference_checked": False,
        "n_genotyped": 10,
        "n_variants": 5,
        "contigs": ["1", "2", "X"],
    }
    found = describe(store)
    assert (found["n_variants"], found["n_genotyped"]) == (6, 4)
    assert found["inputs"][-1]["kind"] == "vcf"
    assert found["variants"] == [
        {"contig": "1", "start": 100, "end": 300, "n_variants": 4},
        {"contig": "2", "start": 50, "end": 50, "n_variants": 1},
        {"contig": "X", "start": 5_000_000, "end": 5_000_000, "n_variants": 1},
    ]


def test_catalogue__variants_of_other_data(tmp_path: Path) -> None:
    store = tmp_path / "s"
    rows = [row for row in CLINICAL if row["sample_id"] in SAMPLES]
    clinical = table(tmp_path / "c.tsv", rows)
    ingest_clinical(clinical, store=store, mapping="plain", data_class="synthetic")
    ingest(vcf(tmp_path / "a.vcf"), store)
    found = open_store(store).catalogue()["variants"]
    assert (found["n_variants"], found["n_genotyped"]) == (6, 4)


def test_ingest_vcf__with_reference(tmp_path: Path) -> None:
    fasta = tmp_path / "g.fa"
    fasta.write_text(">1\n" + "A" * 150 + "\n")
    path = vcf(tmp_path / "a.vcf", [("1", 100, ".", "A", "G", "0/0 0/1 1/1 ./.")])
    store = tmp_path / "s"
    manifest = ingest(path, store, reference=fasta)
    assert manifest.reference_checked
    assert shards(store)[0].attrs["reference_checked"]
    assert not any("--reference" in note for note in manifest.notes)
    assert read_manifest(store, manifest.digest).reference_checked
    text = (store / "freezes" / manifest.digest / "manifest.json").read_text()
    changed_text = text.replace('"reference_checked": true', '"reference_checked": false')
    (store / "freezes" / manifest.digest / "manifest.json").write_text(changed_text)
    assert verify(store) == (f"{manifest.digest}: manifest.json was changed",)
    ingest(path, tmp_path / "t")
    assert read_head(tmp_path / "t").freeze != manifest.digest


def test_ingest_vcf__hapmap_counts_as_plink2_has_them(shared: Path, tmp_path: Path) -> None:
    folder = shared / "germline_hapmap"
    store = tmp_path / "s"
    manifest = ingest_vcf(folder / "hapmap_279.vcf.gz", store=store, assembly="NCBI36")
    assert any("1 variants are there twice" in note for note in manifest.notes)
    counted = pd.read_csv(folder / "expected" / "plink2_autosome.acount.tsv", sep="\t")
    found = [ds for ds in shards(store) if ds.contig_id.values[0].isdigit()]
    copies = np.concatenate([unpack(ds.call_genotype_packed.values, 279) for ds in found])
    known = copies != 3
    np.testing.assert_array_equal(counted["ALT_CTS"], (copies * known).sum(axis=1))
    np.testing.assert_array_equal(counted["OBS_CT"], 2 * known.sum(axis=1))
