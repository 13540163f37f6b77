"""Mutation frequency of every gene of real cohorts against maftools and an independent count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from peers import ask, read

from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.federation import Federation
from eucan_dask.panel import Panel

Federations = Callable[[str], Federation]
CLASSES = ("non_silent", "Missense_Mutation", "Splice_Site", "Silent")
# Counted by maftools and by the definition in words, not taken from the package.
SILENT = {
    *("3'UTR", "5'UTR", "3'Flank", "5'Flank", "Targeted_Region", "Silent", "Intron"),
    *("RNA", "IGR", "Splice_Region", "lincRNA"),
}


def calls(path: Path) -> pd.DataFrame:
    """Sample, gene and class of every row of a MAF."""
    columns = ["Hugo_Symbol", "Variant_Classification", "Tumor_Sample_Barcode"]
    return pd.read_csv(
        path, sep="\t", dtype=str, keep_default_na=False, comment="#", usecols=columns
    )


def counted(maf: pd.DataFrame, length: int | None) -> pd.DataFrame:
    """People, or barcodes, with a mutation: gene by class, by pandas alone."""
    who = maf["Tumor_Sample_Barcode"].str[:length]
    changed = ~maf["Variant_Classification"].isin(SILENT)
    wanted = {name: maf["Variant_Classification"] == name for name in CLASSES[1:]}
    found = {
        name: who[rows].groupby(maf["Hugo_Symbol"][rows]).nunique()
        for name, rows in {"non_silent": changed, **wanted}.items()
    }
    genes = sorted(maf["Hugo_Symbol"].unique())
    return pd.DataFrame(found).reindex(genes).fillna(0).astype(int)


def asked(federation: Federation, genes: list[str], n: int) -> pd.DataFrame:
    """The federation's counts, gene by class; exactly `n` people are assayed for each gene."""
    answer = ask(federation, MutationFrequency(classes=CLASSES), panel=Panel(genes=tuple(genes)))
    table = answer["genes"]
    assert (table["n_assayed"] == n).all()
    assert (table["frequency"] == table["n_mutated"].astype(float) / n).all()
    return table.pivot(index="gene", columns="class", values="n_mutated").astype(int)


def assert_maftools(found: pd.DataFrame, path: Path) -> None:
    """Non-silent counts equal `MutatedSamples` for every gene; 0 where it has no row."""
    summary = read(path).set_index("Hugo_Symbol")["MutatedSamples"]
    assert summary.index.isin(found.index).all()
    expected = summary.reindex(found.index).fillna(0).astype(int)
    assert found["non_silent"].to_dict() == expected.to_dict()


def test_laml__all_genes_equal_maftools(federation: Federations, shared: Path) -> None:
    """193 samples and 1,241 genes as published; each gene as packaged with the Firehose cohort."""
    maf = calls(shared / "laml_maftools" / "tcga_laml.maf.gz")
    expected = counted(maf, 12)
    published = read(shared / "laml_maftools" / "expected" / "published_maf_summary.tsv")
    stated = published.set_index("id")["summary"]
    found = asked(federation("laml"), list(expected.index), int(stated["Samples"]))
    assert int((found["non_silent"] > 0).sum()) == int(stated["nGenes"])
    folder = shared / "tcga_firehose" / "firehose_laml" / "expected"
    assert_maftools(found, folder / "maftools_gene_summary.tsv")
    pd.testing.assert_frame_equal(found[list(CLASSES)], expected, check_names=False)


@pytest.mark.parametrize(("cohort", "n_people"), [("kirc", 369), ("lgg", 511)])
def test_mc3__all_genes_equal_an_independent_count_of_people(
    federation: Federations, shared: Path, cohort: str, n_people: int
) -> None:
    """Exactly, each person once however many biosamples: characters 1-12 of the barcode."""
    maf = calls(shared / "tcga_mc3" / f"mc3_{cohort}" / "mutations.maf.gz")
    expected = counted(maf, 12)
    found = asked(federation(cohort), list(expected.index), n_people)
    pd.testing.assert_frame_equal(found[list(CLASSES)], expected, check_names=False)


@pytest.mark.parametrize(("cohort", "n_barcodes"), [("kirc", 370), ("lgg", 525)])
def test_mc3_barcodes__all_genes_equal_maftools(
    federation: Federations, shared: Path, cohort: str, n_barcodes: int
) -> None:
    """Exactly the packaged `MutatedSamples`, which counts every barcode."""
    folder = shared / "tcga_mc3" / f"mc3_{cohort}"
    expected = counted(calls(folder / "mutations.maf.gz"), None)
    found = asked(federation(f"{cohort} barcodes"), list(expected.index), n_barcodes)
    assert_maftools(found, folder / "expected" / "maftools_gene_summary.tsv")
    pd.testing.assert_frame_equal(found[list(CLASSES)], expected, check_names=False)
