"""Adding, withdrawing, dropping, describing and verifying."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.store.edit import add_clinical, add_maf, drop_freeze, withdraw
from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from eucan_dask.store.inspect import describe, verify
from eucan_dask.store.manifest import read_head
from eucan_dask.store.open import open_store
from tests.store.store_tables import CLINICAL, MAF, changed, mutation, table

NEW_PERSON = changed(CLINICAL[:1], 0, individual_id="AA", sample_id="AA-1", tissue_source_site="S0")
NEW_MUTATION = mutation(
    Tumor_Sample_Barcode="AA-1", Hugo_Symbol="BRAF", Chromosome="7", Tumor_Seq_Allele2="TTT"
)


def add_both(store: Path, folder: Path) -> None:
    clinical = table(folder / "new.tsv", NEW_PERSON)
    add_clinical(clinical, store=store, mapping="plain", unmatched="keep")
    add_maf(table(folder / "new.maf", [NEW_MUTATION]), store=store)


def test_add__equals_ingest_of_everything(store: Path, tmp_path: Path) -> None:
    add_both(store, tmp_path)
    whole = tmp_path / "whole"
    clinical = table(tmp_path / "whole.tsv", [*CLINICAL, *NEW_PERSON])
    ingest_clinical(clinical, store=whole, mapping="plain")
    maf = table(tmp_path / "whole.maf", [NEW_MUTATION, *MAF])
    ingest_maf(maf, store=whole, assembly="GRCh37", assayed=tmp_path / "assayed.txt")
    assert read_head(store).freeze == read_head(whole).freeze
    ds = open_store(store).dataset()
    assert ds.individual_id.values.tolist() == ["A", "AA", "B", "C", "D"]
    assert ds.individual_tissue_source_site.attrs["categories"] == ["S0", "S1", "S2"]


def test_add__again_is_told(store: Path, tmp_path: Path) -> None:
    add_both(store, tmp_path)
    assert add_maf(tmp_path / "new.maf", store=store).unchanged
    again = add_clinical(tmp_path / "new.tsv", store=store, mapping="plain", unmatched="keep")
    assert again.unchanged
    manifest = open_store(store).manifest
    assert [i.name for i in manifest.inputs] == ["clinical.tsv", "small.maf", "new.tsv", "new.maf"]


def test_add__overlap(store: Path, tmp_path: Path) -> None:
    maf = table(tmp_path / "o.maf", [mutation(), NEW_MUTATION, mutation(Hugo_Symbol="KIT")])
    with pytest.raises(Invalid, match="1 samples are in the store already; found A-1"):
        add_maf(maf, store=store, unmatched="keep")
    clinical = table(tmp_path / "o.tsv", [CLINICAL[0], *NEW_PERSON])
    with pytest.raises(Invalid, match="1 of individual_id are in the store already; found A"):
        add_clinical(clinical, store=store, mapping="plain", unmatched="keep")
    clinical = table(tmp_path / "o.tsv", changed(CLINICAL[:1], 0, individual_id="E"))
    with pytest.raises(Invalid, match="1 of sample_id are in the store already; found A-1"):
        add_clinical(clinical, store=store, mapping="plain", unmatched="keep")


def test_add__one_kind_of_store(maf: Path, clinical: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    ingest_maf(maf, store=tmp_path / "m", assembly="GRCh37")
    add_maf([table(tmp_path / "n.maf", [NEW_MUTATION])], store=tmp_path / "m")
    assert describe(tmp_path / "m")["n_assayed"] == 5
    ingest_clinical(clinical, store=tmp_path / "c", mapping="plain")
    new = table(tmp_path / "n.tsv", NEW_PERSON)
    add_clinical(
        new,
        store=tmp_path / "c",
        mapping="plain",
        progress=lambda done, total, what: seen.append(f"{done}/{total} {what}"),
    )
    assert describe(tmp_path / "c")["n_individuals"] == 5
    assert seen == ["1/1 n.tsv: 1 individuals"]
    withdraw(tmp_path / "c", ["AA"])
    assert describe(tmp_path / "c")["n_individuals"] == 4


def test_add__must_match(store: Path, tmp_path: Path) -> None:
    clinical = table(tmp_path / "n.tsv", NEW_PERSON)
    with pytest.raises(Invalid, match=r"1 clinical samples have no sequenced sample \(AA-1\)"):
        add_clinical(clinical, store=store, mapping="plain")
    maf = table(tmp_path / "n.maf", [NEW_MUTATION])
    with pytest.raises(Invalid, match=r"1 sequenced samples have no clinical row \(AA-1\)"):
        add_maf(maf, store=store)
    with pytest.raises(Invalid, match="another assembly; expected GRCh37; found GRCh38"):
        add_maf(maf, store=store, assembly="GRCh38")


def test_add__other_assay_of_the_name(public_store: Path, tmp_path: Path) -> None:
    assay = tmp_path / "a.toml"
    assay.write_text('[[assays]]\nid = "exome"\ngenes = ["BRAF"]\n')
    maf = table(tmp_path / "n.maf", [NEW_MUTATION])
    with pytest.raises(Invalid, match="assay 'exome' covers other genes"):
        add_maf(maf, store=public_store, assay=assay, unmatched="keep")
    assay.write_text('[[assays]]\nid = "panel"\ngenes = ["BRAF", "KIT"]\n')
    add_maf(maf, store=public_store, assay=assay, unmatched="keep")
    ds = open_store(public_store).dataset()
    assert ds.assay_id.values.tolist() == ["exome", "panel"]
    assert ds.sample_assay.values.tolist() == [0, 1, 0, 0, 0, 0]
    covered = dict(zip(ds.gene_symbol.values, ds.gene_assayed.values[:, 1], strict=True))
    assert covered == {"BRAF": True, "KIT": True} | dict.fromkeys(
        ["DNMT3A", "IDH1", "TP53", "TTN"], False
    )


def test_add__fields_differ(store: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        'format = 1\nname = "m"\nindividual_id = "individual_id"\nsample_id = "sample_id"\n'
        '[[fields]]\nname = "sex"\ncolumn = "sex"\nkind = "category"\ncodes = { female = "f" }\n'
    )
    clinical = table(tmp_path / "n.tsv", NEW_PERSON)
    with pytest.raises(Invalid, match="individual_sex differs from the store's"):
        add_clinical(clinical, store=store, mapping=mapping, unmatched="keep")
    mapping.write_text('format = 1\nname = "m"\nindividual_id = "individual_id"\n')
    with pytest.raises(Invalid, match="name biosamples in different ways"):
        add_clinical(clinical, store=store, mapping=mapping, unmatched="keep")
    mapping.write_text(
        'format = 1\nname = "m"\nindividual_id = "individual_id"\nsample_id = "sample_id"\n'
        '[[fields]]\nname = "weight"\ncolumn = "age_at_diagnosis"\nkind = "number"\nunit = "kg"\n'
    )
    add_clinical(clinical, store=store, mapping=mapping, unmatched="keep")
    ds = open_store(store).dataset()
    np.testing.assert_array_equal(ds.individual_weight.values, [np.nan, 60, *[np.nan] * 3])
    assert ds.individual_sex.values[1] == -1


def test_add__nothing_to_add_to(maf: Path, clinical: Path, tmp_path: Path) -> None:
    ingest_maf(maf, store=tmp_path / "m", assembly="GRCh37")
    with pytest.raises(Invalid, match="nothing to add to; use `eucan-dask ingest clinical`"):
        add_clinical(clinical, store=tmp_path / "m", mapping="plain")
    ingest_clinical(clinical, store=tmp_path / "c", mapping="plain", assembly="GRCh37")
    with pytest.raises(Invalid, match="nothing to add to; use `eucan-dask ingest maf`"):
        add_maf(maf, store=tmp_path / "c")
    with pytest.raises(Invalid, match="is not a store"):
        add_maf(maf, store=tmp_path / "nowhere")


def test_withdraw__undoes_add(store: Path, tmp_path: Path) -> None:
    """Nothing tells that they were there: genes, contigs, alleles, sites are as before."""
    before = read_head(store).freeze
    add_both(store, tmp_path)
    last = read_head(store).freeze
    manifest = withdraw(store, ["AA"])
    assert manifest.digest == before
    assert f"freeze {last} still holds them" in manifest.notes[0]


def test_withdraw__every_shard(store: Path, clinical: Path) -> None:
    withdraw(store, ["B", "C"])
    ds = open_store(store).dataset().compute()
    assert ds.individual_id.values.tolist() == ["A", "D"]
    assert ds.sample_id.values.tolist() == ["A-1", "D-1"]
    assert ds.gene_symbol.values.tolist() == ["TP53"]
    assert ds.contig_id.values.tolist() == ["17"]
    assert ds.mutation_sample.values.tolist() == [0]
    assert open_store(store).manifest.inputs[-1].options == {"n_individuals": 2}
    assert not verify(store)
    # The table they were in does not bring them back.
    again = ingest_clinical(clinical, store=store, mapping="plain")
    assert again.unchanged
    assert "those withdrawn since stay withdrawn" in again.notes[0]
    withdraw(store, ["A", "D"])
    ds = open_store(store).dataset().compute()
    assert ds.sizes["individuals"] == ds.sizes["samples"] == ds.sizes["mutations"] == 0


def test_withdraw__unknown(store: Path) -> None:
    before = read_head(store)
    with pytest.raises(
        Invalid, match="2 ids are not in the store; found X, Y; nothing was withdrawn"
    ):
        withdraw(store, ["Y", "A", "X"])
    with pytest.raises(Invalid, match="no id is named"):
        withdraw(store, [])
    assert read_head(store) == before


def test_withdraw__without_clinical_table(maf: Path, tmp_path: Path) -> None:
    ingest_maf(maf, store=tmp_path / "s", assembly="GRCh37")
    with pytest.raises(Invalid, match="1 ids are not in the store"):
        withdraw(tmp_path / "s", ["B"])
    withdraw(tmp_path / "s", ["B-1"])
    assert describe(tmp_path / "s")["n_assayed"] == 3


def test_drop_freeze(store: Path) -> None:
    head, manifest = read_head(store), open_store(store).manifest
    assert manifest.previous
    with pytest.raises(Invalid, match="is the current one"):
        drop_freeze(store, head.freeze)
    with pytest.raises(Invalid, match="unknown freeze"):
        drop_freeze(store, "0" * 12)
    drop_freeze(store, manifest.previous)
    assert [p.name for p in (store / "freezes").iterdir()] == [head.freeze]
    assert not verify(store)
    open_store(store).dataset().compute()


def test_describe(store: Path) -> None:
    found = describe(store)
    assert found["n_individuals"] == 4
    assert found["n_samples"] == found["n_assayed"] == 5
    assert found["n_mutations"] == 6
    assert found["n_genes"] == 4
    assert found["assays"] == [{"id": "exome", "all_genes": True, "n_genes": None, "n_samples": 5}]
    assert len(found["freezes"]) == 2
    assert [i["name"] for i in found["inputs"]] == ["clinical.tsv", "small.maf"]
    fields = {field["name"]: field for field in found["fields"]}
    assert fields["stage"]["n_missing"] == fields["overall_survival_days"]["n_missing"] == 1
    assert fields["tissue_source_site"]["categories"] == ["S1", "S2"]


def test_describe__one_kind(maf: Path, clinical: Path, tmp_path: Path) -> None:
    ingest_clinical(clinical, store=tmp_path / "c", mapping="plain")
    found = describe(tmp_path / "c")
    assert (found["n_individuals"], found["n_assayed"], found["assays"]) == (4, 0, [])
    ingest_maf(maf, store=tmp_path / "m", assembly="GRCh37")
    assert describe(tmp_path / "m")["n_individuals"] == 0


def test_verify__flipped_bit(store: Path) -> None:
    assert verify(store) == ()
    digest = read_head(store).freeze
    path = store / "freezes" / digest / "somatic.zarr" / "mutation_position" / "0"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert verify(store) == (f"{digest}: somatic.zarr/mutation_position/0 was changed",)


def test_verify__missing_and_added(store: Path) -> None:
    digest = read_head(store).freeze
    freeze = store / "freezes" / digest
    (freeze / "clinical.zarr" / "individual_sex" / "0").unlink()
    (freeze / "clinical.zarr" / "note").write_text("hello")
    assert verify(store) == (
        f"{digest}: clinical.zarr/individual_sex/0 is missing",
        f"{digest}: clinical.zarr/note is not ours",
    )
    with pytest.raises(
        Invalid, match=r"lacks part of individual_sex; run `eucan-dask store verify`"
    ):
        open_store(store).dataset()


def test_verify__manifest_and_listing(store: Path) -> None:
    digest = read_head(store).freeze
    freeze = store / "freezes" / digest
    text = (freeze / "manifest.json").read_text()
    (freeze / "manifest.json").write_text(text.replace('"n_samples": 5', '"n_samples": 6'))
    assert verify(store) == (f"{digest}: manifest.json was changed",)
    (freeze / "manifest.json").write_text("{")
    assert "is not JSON" in verify(store)[0]
    (freeze / "manifest.json").write_text(text)
    (freeze / "clinical.zarr" / ".zattrs").write_text("{}")
    (freeze / "clinical.zarr.sha256").unlink()
    assert verify(store) == (f"{digest}: clinical.zarr differs",)
    freeze.rename(store / "freezes" / "gone")
    assert f"{digest}: the current freeze is missing" in verify(store)
