"""Opening: what comes out is what went in, in the order of people, and lazily."""

from __future__ import annotations

from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
import zarr

from eucan_dask.errors import Invalid
from eucan_dask.store.edit import withdraw
from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from eucan_dask.store.lazy import Order, lazy
from eucan_dask.store.open import open_store
from eucan_dask.variables import VARIANT_CLASSIFICATIONS, VARIANT_TYPES
from tests.store.store_tables import CLINICAL, MAF, changed, mutation, table

LAYOUT = {
    "individual_id": ("individuals", "O"),
    "individual_age_at_diagnosis": ("individuals", "f8"),
    "individual_sex": ("individuals", "i2"),
    "individual_stage": ("individuals", "i2"),
    "individual_tissue_source_site": ("individuals", "i2"),
    "individual_overall_survival_days": ("individuals", "f8"),
    "individual_overall_survival_event": ("individuals", "i1"),
    "sample_id": ("samples", "O"),
    "sample_individual": ("samples", "i4"),
    "sample_assay": ("samples", "i2"),
    "assay_id": ("assays", "O"),
    "assay_all_genes": ("assays", "?"),
    "gene_symbol": ("genes", "O"),
    "gene_assayed": ("genes assays", "?"),
    "contig_id": ("contigs", "O"),
    "mutation_contig": ("mutations", "i2"),
    "mutation_position": ("mutations", "i4"),
    "mutation_end_position": ("mutations", "i4"),
    "mutation_sample": ("mutations", "i4"),
    "mutation_gene": ("mutations", "i4"),
    "mutation_classification": ("mutations", "i1"),
    "mutation_variant_type": ("mutations", "i1"),
    "mutation_allele": ("mutations alleles", "O"),
}


def test_dataset__dims_and_dtypes(store: Path) -> None:
    ds = open_store(store).dataset()
    found = {str(n): (" ".join(map(str, v.dims)), v.dtype) for n, v in ds.variables.items()}
    assert found == {name: (dims, np.dtype(kind)) for name, (dims, kind) in LAYOUT.items()}


@pytest.mark.parametrize("kind", ["clinical", "somatic"])
def test_shard__xarray_reads_it_as_it_is(store: Path, kind: str) -> None:
    with xr.open_zarr(open_store(store).shard_path(kind), consolidated=True) as ds:
        names = {"clinical": ("individual_", "sample_i"), "somatic": ("sample_", "assay_", "gene_")}
        for name, variable in ds.variables.items():
            dims, dtype = LAYOUT[str(name)]
            assert (" ".join(map(str, variable.dims)), variable.dtype) == (dims, np.dtype(dtype))
            assert "_FillValue" not in variable.encoding or variable.encoding["_FillValue"] is None
        assert all(any(str(n).startswith(p) for n in ds.variables) for p in names[kind])


def test_dataset__values(store: Path) -> None:
    ds = open_store(store).dataset()
    assert ds.attrs["assembly"] == "GRCh37"
    assert ds.attrs["data_class"] == "personal"
    assert ds.sample_id.values.tolist() == ["A-1", "B-1", "B-2", "C-1", "D-1"]
    assert ds.contig_id.values.tolist() == ["2", "10", "17", "X"]
    genes = [*ds.gene_symbol.values, ""]
    rows = [
        (
            ds.sample_id.values[ds.mutation_sample.values[i]],
            ds.contig_id.values[ds.mutation_contig.values[i]],
            int(ds.mutation_position.values[i]),
            genes[ds.mutation_gene.values[i]],
            VARIANT_CLASSIFICATIONS[ds.mutation_classification.values[i]],
            *ds.mutation_allele.values[i],
        )
        for i in range(ds.sizes["mutations"])
    ]
    assert rows == [
        ("A-1", "17", 7577120, "TP53", "Missense_Mutation", "C", "T"),
        ("B-1", "2", 179400000, "TTN", "Frame_Shift_Del", "AT", "-"),
        ("B-1", "17", 7577539, "TP53", "Silent", "G", "A"),
        ("B-2", "2", 209113112, "IDH1", "Missense_Mutation", "C", "T"),
        ("C-1", "10", 5, "DNMT3A", "Intron", "A", "G"),
        ("C-1", "X", 100, "", "IGR", "-", "A"),
    ]
    assert ds.mutation_classification.attrs["categories"] == list(VARIANT_CLASSIFICATIONS)
    assert ds.mutation_variant_type.attrs["categories"] == list(VARIANT_TYPES)


def test_dataset__samples_in_another_order_than_their_ids(tmp_path: Path) -> None:
    """Sorted by person first: person A has sample Z, person Z has sample A."""
    rows = [
        {**CLINICAL[0], "individual_id": p, "sample_id": s}
        for p, s in (("A", "Z"), ("M", "M"), ("Z", "A"), ("Z", "B"))
    ]
    muts = [
        mutation(Tumor_Sample_Barcode=s, Start_Position=str(i + 1)) for i, s in enumerate("AZBAMZA")
    ]
    store = tmp_path / "s"
    ingest_clinical(table(tmp_path / "c.tsv", rows), store=store, mapping="plain")
    ingest_maf(table(tmp_path / "m.maf", muts), store=store, assembly="GRCh37")
    ds = open_store(store).dataset()
    assert ds.sample_id.values.tolist() == ["Z", "M", "A", "B"]
    assert ds.mutation_sample.values.tolist() == [0, 0, 1, 2, 2, 2, 3]
    assert ds.mutation_position.values.tolist() == [2, 6, 5, 1, 4, 7, 3]
    assert ds.mutation_allele.values[:, 0].tolist() == ["C"] * 7


def test_lazy__any_order_and_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    samples = np.sort(rng.integers(0, 20, 1000))
    position = rng.permutation(25)[:20].astype("int32")
    array = zarr.open(str(tmp_path / "a"), mode="w", shape=1000, chunks=64, dtype="i4")
    array[:] = samples
    monkeypatch.setattr("eucan_dask.store.lazy.CHUNK", 97)
    order = Order(samples, position)
    found = lazy(array, order, name="x", codes=position).compute(scheduler="synchronous")
    np.testing.assert_array_equal(found, np.sort(position[samples]))
    rows = lazy(array, order, name="y").compute(scheduler="synchronous")
    np.testing.assert_array_equal(rows, samples[np.argsort(position[samples], kind="stable")])


def test_dataset__mutations_are_lazy_and_graphs_repeat(store: Path) -> None:
    one, other = open_store(store).dataset(), open_store(store).dataset()
    for name, variable in one.variables.items():
        lazily = str(name).startswith("mutation_")
        assert dask.is_dask_collection(variable) is lazily
        if lazily:
            assert variable.data.name == other[name].data.name


def test_dataset__needs_people(maf: Path, tmp_path: Path) -> None:
    ingest_maf(maf, store=tmp_path / "s", assembly="GRCh37")
    store = open_store(tmp_path / "s")
    for read in (store.dataset, store.catalogue):
        with pytest.raises(
            Invalid, match="ingest the clinical table first: thresholds count people"
        ):
            read()


def test_dataset__clinical_alone(clinical: Path, tmp_path: Path) -> None:
    ingest_clinical(clinical, store=tmp_path / "s", mapping="plain")
    store = open_store(tmp_path / "s")
    ds = store.dataset()
    assert set(ds.dims) == {"individuals", "samples"}
    assert ds.attrs["assembly"] == ""
    found = store.catalogue()
    assert found["assembly"] is None
    assert found["assays"] == found["genes"] == []


def test_catalogue__personal(store: Path, tmp_path: Path) -> None:
    found = open_store(store).catalogue()
    assert found["assays"] == [{"id": "exome", "all_genes": True}]
    assert found["genes"] == []
    fields = {field["name"]: field for field in found["fields"]}
    assert fields["tissue_source_site"]["open"]
    assert fields["tissue_source_site"]["categories"] == []
    assert fields["stage"]["categories"] == ["0", "I", "II", "III", "IV"]
    assert fields["overall_survival_days"]["unit"] == "days"
    assert fields["overall_survival_event"]["kind"] == "boolean"


def test_catalogue__public_and_panels(maf: Path, clinical: Path, tmp_path: Path) -> None:
    public = tmp_path / "public"
    ingest_clinical(clinical, store=public, mapping="plain", data_class="public")
    ingest_maf(maf, store=public, assembly="GRCh37", unmatched="keep")
    found = open_store(public).catalogue()
    assert found["genes"] == ["DNMT3A", "IDH1", "TP53", "TTN"]
    fields = {field["name"]: field for field in found["fields"]}
    assert fields["tissue_source_site"]["categories"] == ["S1", "S2"]
    panels = tmp_path / "panels"
    assay = tmp_path / "a.toml"
    assay.write_text(
        '[[assays]]\nid = "exome"\nall_genes = true\n'
        '[[assays]]\nid = "panel"\ngenes = ["TP53", "KIT"]\nsamples = ["A-1"]\n'
    )
    ingest_clinical(clinical, store=panels, mapping="plain")
    ingest_maf(maf, store=panels, assembly="GRCh37", assay=assay, unmatched="keep")
    assert open_store(panels).catalogue()["genes"] == ["KIT", "TP53"]


def test_open__earlier_freeze(store: Path) -> None:
    before = open_store(store).manifest.digest
    withdraw(store, ["A"])
    assert open_store(store, freeze=before).dataset().sizes["individuals"] == 4
    assert open_store(store).dataset().sizes["individuals"] == 3
    with pytest.raises(Invalid, match="unknown freeze '000000000000'"):
        open_store(store, freeze="0" * 12)


def test_open__shard_of_a_newer_format(store: Path) -> None:
    path = open_store(store).shard_path("somatic") / ".zmetadata"
    path.write_text(path.read_text().replace('"format": 1', '"format": 4'))
    with pytest.raises(Invalid, match=r"newer version of eucan-dask \(format 4"):
        open_store(store).dataset()


def test_open__damaged(store: Path) -> None:
    path = open_store(store).shard_path("somatic")
    (path / "sample_id" / "0").write_bytes(b"\0" * 40)
    with pytest.raises(Invalid, match="is damaged; run `eucan-dask store verify`"):
        open_store(store).dataset()
    (path / ".zmetadata").unlink()
    with pytest.raises(Invalid, match="is damaged"):
        open_store(store).dataset()


def test_open__samples_that_no_one_owns(store: Path, tmp_path: Path) -> None:
    """A shard that was put there by hand."""
    other = tmp_path / "other"
    rows = changed(MAF, 0, Tumor_Sample_Barcode="Q-1")
    ingest_maf(table(tmp_path / "q.maf", rows), store=other, assembly="GRCh37")
    shard = open_store(store).shard_path("somatic")
    for path in open_store(other).shard_path("somatic").rglob("*"):
        if path.is_file():
            target = shard / path.relative_to(open_store(other).shard_path("somatic"))
            target.write_bytes(path.read_bytes())
    with pytest.raises(Invalid, match="1 assayed samples are not in the clinical table"):
        open_store(store).dataset()
