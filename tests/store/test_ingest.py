"""Bringing files into a store: matching, assays, settings, and being told no."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from eucan_dask.errors import Invalid
from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from eucan_dask.store.open import open_store
from tests.store.store_tables import CLINICAL, MAF, changed, mutation, table, without

ASSAY = """
[[assays]]
id = "exome"
all_genes = true
samples = ["A-1", "B-2"]

[[assays]]
id = "panel"
genes = ["TP53", "TTN", "DNMT3A", "KRAS"]
"""


def maf_only(tmp_path: Path, maf: Path, **options: object) -> xr.Dataset:
    """What a store of the small tables holds, with these options of `ingest_maf`."""
    store = tmp_path / "made"
    clinical = table(tmp_path / "c.tsv", CLINICAL)
    ingest_clinical(clinical, store=store, mapping="plain", data_class="public")
    ingest_maf(maf, store=store, assembly="GRCh37", **options)  # type: ignore[arg-type]
    return open_store(store).dataset()


def assay_file(path: Path, text: str = ASSAY) -> Path:
    path.write_text(text)
    return path


def test_ingest__either_order_gives_one_freeze(maf: Path, clinical: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    ingest_maf(maf, store=one, assembly="GRCh37")
    ingest_clinical(clinical, store=one, mapping="plain", unmatched="keep")
    ingest_clinical(clinical, store=other, mapping="plain")
    ingest_maf(maf, store=other, assembly="GRCh37", unmatched="keep")
    assert open_store(one).manifest.digest == open_store(other).manifest.digest
    assert open_store(one).manifest.previous != open_store(other).manifest.previous


def test_ingest__again_is_told_and_does_nothing(store: Path, maf: Path, clinical: Path) -> None:
    before = {
        p: p.stat().st_mtime_ns for p in store.rglob("*") if p.is_file() and p.name != ".lock"
    }
    assayed = store.parent / "assayed.txt"
    again = ingest_maf(maf, store=store, assembly="GRCh37", assayed=assayed)
    assert again.unchanged
    assert again.notes == ("already in the store; nothing was done",)
    assert ingest_clinical(clinical, store=store, mapping="plain").unchanged
    after = {p: p.stat().st_mtime_ns for p in store.rglob("*") if p.is_file() and p.name != ".lock"}
    assert before == after
    with pytest.raises(Invalid, match=r"has mutations already.*store add"):
        ingest_maf(maf, store=store, assembly="GRCh37")


def test_ingest__other_file_of_a_kind(store: Path, tmp_path: Path) -> None:
    other = table(tmp_path / "other.maf", MAF[:2])
    with pytest.raises(Invalid, match=r"has mutations already.*store add"):
        ingest_maf(other, store=store, assembly="GRCh37")
    other = table(tmp_path / "other.tsv", CLINICAL[:2])
    with pytest.raises(Invalid, match=r"has a clinical table already.*store add"):
        ingest_clinical(other, store=store, mapping="plain")


def test_ingest__settings(store: Path, maf: Path, clinical: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="another assembly; expected GRCh37; found GRCh38"):
        ingest_maf(maf, store=store, assembly="GRCh38")
    with pytest.raises(Invalid, match="another data_class; expected personal; found public"):
        ingest_clinical(clinical, store=store, mapping="plain", data_class="public")
    with pytest.raises(Invalid, match="unknown assembly 'hg19'"):
        ingest_maf(maf, store=tmp_path / "new", assembly="hg19")
    with pytest.raises(Invalid, match="unknown data_class"):
        ingest_maf(maf, store=tmp_path / "new", assembly="GRCh37", data_class="secret")
    with pytest.raises(Invalid, match="unknown value of unmatched"):
        ingest_maf(maf, store=tmp_path / "new", assembly="GRCh37", unmatched="drop")
    assert not (tmp_path / "new").exists()
    head = json.loads((store / "eucan.json").read_text())
    assert (head["name"], head["assembly"], head["data_class"]) == ("store", "GRCh37", "personal")
    ingest_maf(maf, store=tmp_path / "n", assembly="GRCh37", data_class="public", name="North")
    assert open_store(tmp_path / "n").head.name == "North"


def test_ingest__several_files_are_one(maf: Path, tmp_path: Path) -> None:
    parts = [table(tmp_path / f"{i}.maf", MAF[i : i + 3]) for i in (0, 3)]
    one = ingest_maf(maf, store=tmp_path / "one", assembly="GRCh37")
    two = ingest_maf(parts, store=tmp_path / "two", assembly="GRCh37")
    assert one.digest == two.digest
    assert [i.name for i in two.inputs] == ["0.maf", "3.maf"]
    assert ingest_maf(parts[1:], store=tmp_path / "two", assembly="GRCh37").unchanged
    with pytest.raises(Invalid, match="no MAF file is named"):
        ingest_maf([], store=tmp_path / "three", assembly="GRCh37")


def test_ingest__duplicate_rows_collapse(tmp_path: Path) -> None:
    other_class = mutation(Variant_Classification="Splice_Site")
    path = table(tmp_path / "d.maf", [*MAF, MAF[0], mutation(Chromosome="chr17"), other_class])
    manifest = ingest_maf(path, store=tmp_path / "s", assembly="GRCh37")
    shard = manifest.shard("somatic")
    assert shard is not None
    assert shard.n_mutations == len(MAF) + 1
    assert "2 duplicate rows collapsed" in manifest.notes


def test_ingest__not_assayed_is_not_wild_type(maf: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"1 clinical samples have no sequenced sample \(D-1\)"):
        maf_only(tmp_path, maf)
    ds = maf_only(tmp_path, maf, unmatched="keep")
    assert ds.sample_id.values.tolist() == ["A-1", "B-1", "B-2", "C-1", "D-1"]
    assert ds.sample_assay.values.tolist() == [0, 0, 0, 0, -1]


def test_ingest__assayed_list(store: Path) -> None:
    assert open_store(store).dataset().sample_assay.values.tolist() == [0] * 5


def test_ingest__assays(maf: Path, tmp_path: Path) -> None:
    listed = tmp_path / "assayed.txt"
    listed.write_text("# more\nD-1\n\n")
    ds = maf_only(tmp_path, maf, assay=assay_file(tmp_path / "a.toml"), assayed=listed)
    assert ds.assay_id.values.tolist() == ["exome", "panel"]
    assert ds.assay_all_genes.values.tolist() == [True, False]
    assert ds.sample_assay.values.tolist() == [0, 1, 0, 1, 1]
    assert ds.gene_symbol.values.tolist() == ["DNMT3A", "IDH1", "KRAS", "TP53", "TTN"]
    assert ds.gene_assayed.values[:, 0].all()
    assert ds.gene_assayed.values[:, 1].tolist() == [True, False, True, True, True]


def test_ingest__assay_files(maf: Path, tmp_path: Path) -> None:
    (tmp_path / "genes.txt").write_text("TP53\nTTN\nDNMT3A\nKRAS\n")
    (tmp_path / "samples.txt").write_text("A-1\nB-2\n")
    text = ASSAY.replace('genes = ["TP53", "TTN", "DNMT3A", "KRAS"]', 'genes_file = "genes.txt"')
    text = text.replace('samples = ["A-1", "B-2"]', 'samples_file = "samples.txt"')
    made = [
        ingest_maf(
            maf, store=tmp_path / name, assembly="GRCh37", assay=assay_file(tmp_path / file, t)
        )
        for name, file, t in (("one", "a.toml", ASSAY), ("two", "b.toml", text))
    ]
    assert made[0].digest == made[1].digest
    assert made[0].inputs[0].options == made[1].inputs[0].options


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.replace('"TTN", ', ""),
            r"small\.maf, line 4: gene TTN is not covered .*'panel'",
        ),
        (
            lambda t: t + 'samples = ["A-1"]\n',
            "sample A-1 is named by two assays; found exome and panel",
        ),
        (lambda t: t + 'samples = ["C-1"]\n', "1 samples are in no assay; found B-1"),
        (
            lambda t: t.replace('samples = ["A-1", "B-2"]', ""),
            "only one assay may leave its samples out",
        ),
        (lambda t: t.replace('"panel"', '"exome"'), "needs assays, each with its own id"),
        (lambda t: t.replace("all_genes = true", ""), "name its genes, or set all_genes"),
        (
            lambda t: t.replace("all_genes = true", 'all_genes = true\ngenes = ["X"]'),
            "name its genes",
        ),
        (lambda t: t + 'genes_file = "x"\n', "both genes and genes_file"),
        (lambda t: t.replace("genes = [", "gene = ["), "unknown key 'gene'"),
        (lambda t: t.replace('genes = ["TP53"', "genes = [1"), "genes must be names"),
        (lambda t: "format = 2\n" + t, "format"),
        (lambda _: "assays = []", "needs assays"),
    ],
)
def test_ingest__bad_assays(
    maf: Path, tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    path = assay_file(tmp_path / "a.toml", change(ASSAY))
    with pytest.raises(Invalid, match=message):
        ingest_maf(maf, store=tmp_path / "s", assembly="GRCh37", assay=path)
    assert not (tmp_path / "s").exists()


def test_ingest__bad_lists(maf: Path, tmp_path: Path) -> None:
    listed = tmp_path / "assayed.txt"
    for text, message in (
        ("A-1\tx\n", r"assayed\.txt, line 1: more than one"),
        ("\n", "names nothing"),
    ):
        listed.write_text(text)
        with pytest.raises(Invalid, match=message):
            ingest_maf(maf, store=tmp_path / "s", assembly="GRCh37", assayed=listed)
    empty = table(tmp_path / "e.maf", MAF[:1])
    empty.write_text(empty.read_text().split("\n")[0] + "\n")
    with pytest.raises(Invalid, match="names no sample"):
        ingest_maf(empty, store=tmp_path / "s", assembly="GRCh37")
    listed.write_text("A-1\n")
    ingest_maf(empty, store=tmp_path / "s", assembly="GRCh37", assayed=listed)
    clinical = table(tmp_path / "c.tsv", CLINICAL[:1])
    ingest_clinical(clinical, store=tmp_path / "s", mapping="plain")
    ds = open_store(tmp_path / "s").dataset()
    assert ds.sizes["mutations"] == 0
    assert ds.mutation_allele.values.shape == (0, 2)


def test_ingest__unmatched_both_ways(tmp_path: Path) -> None:
    many = [mutation(Tumor_Sample_Barcode=f"X-{i}") for i in range(7)]
    maf = table(tmp_path / "m.maf", [*MAF, *many])
    with pytest.raises(Invalid) as error:
        maf_only(tmp_path, maf)
    message = str(error.value)
    assert "7 sequenced samples have no clinical row (X-0, X-1, X-2, X-3, X-4, ...)" in message
    assert "1 clinical samples have no sequenced sample (D-1)" in message
    assert "--unmatched keep" in message
    personal = tmp_path / "personal"
    ingest_clinical(table(tmp_path / "c.tsv", CLINICAL), store=personal, mapping="plain")
    with pytest.raises(Invalid, match=r"7 sequenced samples belong to nobody.*X-0.*count people"):
        ingest_maf(maf, store=personal, assembly="GRCh37", unmatched="keep")
    ds = maf_only(tmp_path, maf, unmatched="keep")
    assert ds.sizes["individuals"] == 4 + 7
    new = ds.individual_id.values.tolist().index("X-3")
    assert np.isnan(ds.individual_age_at_diagnosis.values[new])
    assert ds.individual_sex.values[new] == -1
    assert ds.individual_overall_survival_event.values[new] == -1


def test_ingest__people_without_sample_ids(tmp_path: Path) -> None:
    """The mapping's pattern finds the person; without one, sample and person share an id."""
    rows = without(changed(CLINICAL, 2, individual_id="E"), "sample_id")
    clinical = table(tmp_path / "c.tsv", rows)
    plain = tmp_path / "plain"
    ingest_clinical(clinical, store=plain, mapping="plain")
    assert open_store(plain).dataset().sample_id.values.tolist() == ["A", "B", "C", "D", "E"]
    maf = table(tmp_path / "m.maf", MAF)
    with pytest.raises(Invalid, match=r"4 sequenced samples .*5 clinical samples"):
        ingest_maf(maf, store=plain, assembly="GRCh37")
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        'format = 1\nname = "m"\nindividual_id = "individual_id"\nsample_pattern = "^(.)-"\n'
    )
    for first in ("clinical", "maf"):
        store = tmp_path / first
        if first == "maf":
            ingest_maf(maf, store=store, assembly="GRCh37")
        ingest_clinical(clinical, store=store, mapping=mapping, unmatched="keep")
        ingest_maf(
            maf, store=store, assembly="GRCh37", unmatched="refuse" if first == "maf" else "keep"
        )
        ds = open_store(store).dataset()
        assert ds.sample_id.values.tolist() == ["A-1", "B-1", "B-2", "C-1", "D", "E"]
        assert ds.sample_individual.values.tolist() == [0, 1, 1, 2, 3, 4]
        assert ds.sample_assay.values.tolist() == [0, 0, 0, 0, -1, -1]


def test_ingest__pattern_keeps_strangers_as_people(tmp_path: Path) -> None:
    rows = without(CLINICAL[:1], "sample_id")
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        'format = 1\nname = "m"\nindividual_id = "individual_id"\nsample_pattern = "^(.)-"\n'
    )
    store = tmp_path / "s"
    ingest_clinical(table(tmp_path / "c.tsv", rows), store=store, mapping=mapping)
    ingest_maf(table(tmp_path / "m.maf", MAF), store=store, assembly="GRCh37", unmatched="keep")
    ds = open_store(store).dataset()
    assert ds.individual_id.values.tolist() == ["A", "B", "C"]
    assert ds.sample_individual.values.tolist() == [0, 1, 1, 2]


def test_ingest__progress(maf: Path, clinical: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    ingest_maf(maf, store=tmp_path / "s", assembly="GRCh37", progress=lambda *a: seen.append(a))
    assert seen == [(0, 1, "small.maf: line 7"), (1, 1, "6 mutations")]
    ingest_clinical(
        clinical,
        store=tmp_path / "c",
        mapping="plain",
        progress=lambda done, total, what: seen.append((done, total, what)),
    )
    assert seen[-1] == (1, 1, "clinical.tsv: 4 individuals")


def test_ingest__unreadable_input_leaves_no_store(clinical: Path, tmp_path: Path) -> None:
    store = tmp_path / "new" / "store"
    for path in (tmp_path, tmp_path / "nowhere.maf"):
        with pytest.raises(Invalid, match="cannot be read"):
            ingest_maf(path, store=store, assembly="GRCh37")
        with pytest.raises(Invalid, match="cannot be read"):
            ingest_clinical(path, store=store, mapping="plain")
    garbage = tmp_path / "garbage.maf"
    garbage.write_bytes(bytes(range(256)))
    with pytest.raises(Invalid, match="is not a text file"):
        ingest_maf(garbage, store=store, assembly="GRCh37")
    assert not store.exists()
    with pytest.raises(Invalid, match="unknown mapping"):
        ingest_clinical(clinical, store=store, mapping="plane")
    with pytest.raises(Invalid, match="is a file"):
        ingest_clinical(clinical, store=clinical, mapping="plain")
    with pytest.raises(Invalid, match="is not empty and not a store"):
        ingest_clinical(clinical, store=tmp_path, mapping="plain")
