"""Public cohorts against what other programs counted in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from eucan_dask.errors import Invalid
from eucan_dask.store.clinical import Clinical
from eucan_dask.store.clinical_table import read_clinical
from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from eucan_dask.store.maf import read_maf
from eucan_dask.store.mapping import read_mapping
from eucan_dask.store.open import open_store
from eucan_dask.variables import NON_SILENT, VARIANT_CLASSIFICATIONS, VARIANT_TYPES

COHORTS = ("kirc", "lgg", "meso", "paad", "thca", "ucs")


@pytest.fixture(scope="module", params=COHORTS)
def cohort(request: pytest.FixtureRequest, shared: Path) -> Path:
    return shared / "tcga_mc3" / f"mc3_{request.param}"


def opened(folder: Path, store: Path) -> xr.Dataset:
    ingest_clinical(folder / "clinical.tsv", store=store, mapping="tcga_cdr", data_class="public")
    ingest_maf(folder / "mutations.maf.gz", store=store, assembly="GRCh37")
    return open_store(store).dataset().compute()


def frame(ds: xr.Dataset) -> pd.DataFrame:
    """The non-silent mutations, by name."""
    codes = ds.mutation_classification.values
    rows = codes < len(NON_SILENT)
    return pd.DataFrame(
        {
            "sample": ds.sample_id.values[ds.mutation_sample.values[rows]],
            "gene": ds.gene_symbol.values[ds.mutation_gene.values[rows]],
            "class": np.array(VARIANT_CLASSIFICATIONS)[codes[rows]],
            "type": np.array(VARIANT_TYPES)[ds.mutation_variant_type.values[rows]],
        }
    )


def test_mc3__equals_maftools(cohort: Path, tmp_path: Path) -> None:
    found = frame(opened(cohort, tmp_path / "store"))
    expected = pd.read_csv(cohort / "expected" / "maftools_gene_summary.tsv", sep="\t", index_col=0)
    mutated = found.groupby("gene")["sample"].nunique()
    assert mutated.to_dict() == expected["MutatedSamples"].to_dict()
    assert found.groupby("gene").size().to_dict() == expected["total"].to_dict()
    for column, file in (("class", "variant_classification"), ("type", "variant_type")):
        table = pd.read_csv(
            cohort / "expected" / f"maftools_{file}_by_sample.tsv", sep="\t", index_col=0
        ).drop(columns="total")
        counts = pd.crosstab(found["sample"], found[column])
        counts = counts.reindex(index=table.index, columns=table.columns, fill_value=0)
        pd.testing.assert_frame_equal(counts, table, check_names=False, check_dtype=False)


def test_mc3__endpoints_equal_r(cohort: Path) -> None:
    """R counted rows, which are biosamples; a few people have two."""
    found, _ = read_clinical(cohort / "clinical.tsv", read_mapping("tcga_cdr"))
    owner = np.array(found.sample_individual)
    days = found.columns["individual_overall_survival_days"].values[owner]
    event = found.columns["individual_overall_survival_event"].values[owner]
    expected = pd.read_csv(cohort / "expected" / "r_survival_OS_by_gene.tsv", sep="\t")
    assert np.isfinite(days).sum() == (event >= 0).sum() == expected["n"][0]
    assert (event == 1).sum() == expected["events"][0]
    curve = pd.read_csv(cohort / "expected" / "r_survival_KM_OS.tsv", sep="\t")
    events = pd.Series(event == 1).groupby(days).sum()
    assert events.to_dict() == curve.set_index("time")["n_event"].to_dict()


def test_mc3__mutated_and_dead_equal_r(cohort: Path, tmp_path: Path) -> None:
    ds = opened(cohort, tmp_path / "store")
    found = frame(ds)
    owner = ds.sample_individual.values
    event = pd.Series(ds.individual_overall_survival_event.values[owner], index=ds.sample_id.values)
    expected = pd.read_csv(cohort / "expected" / "r_survival_OS_by_gene.tsv", sep="\t")
    for row in expected.itertuples():
        mutated = found.loc[found["gene"] == row.gene, "sample"].unique()
        assert (event[mutated] >= 0).sum() == row.n_mut
        assert (event[mutated] == 1).sum() == row.events_mut


def counts(clinical: Clinical) -> tuple[int, int]:
    return len(clinical.individual_id), len(clinical.sample_id)


@pytest.mark.parametrize(
    ("name", "n_people", "n_samples"),
    [
        ("kirc", 369, 370),
        ("lgg", 511, 525),
        ("paad", 177, 178),
        ("thca", 492, 500),
        ("ucs", 57, 57),
    ],
)
def test_mc3__people_are_fewer_than_samples(
    shared: Path, name: str, n_people: int, n_samples: int
) -> None:
    path = shared / "tcga_mc3" / f"mc3_{name}" / "clinical.tsv"
    assert counts(read_clinical(path, read_mapping("tcga_cdr"))[0]) == (n_people, n_samples)


def test_mc3__a_site_called_na(shared: Path) -> None:
    path = shared / "tcga_mc3" / "mc3_ucs" / "clinical.tsv"
    site = read_clinical(path, read_mapping("tcga_cdr"))[0].columns["individual_tissue_source_site"]
    assert "NA" in site.attrs["categories"]
    assert site.values.min() == 0


@pytest.mark.parametrize(
    "path", ["laml_maftools/tcga_laml.maf.gz", "tcga_firehose/firehose_laml/mutations.maf.gz"]
)
def test_laml__equals_published(shared: Path, tmp_path: Path, path: str) -> None:
    """Two pipelines' files of one cohort; numbers of the maftools vignette."""
    folder = shared / "laml_maftools"
    store = tmp_path / "store"
    ingest_clinical(folder / "tcga_laml_annot.tsv", store=store, mapping="maftools_laml")
    with pytest.raises(Invalid, match="7 clinical samples have no sequenced sample"):
        ingest_maf(shared / path, store=store, assembly="GRCh37")
    ingest_maf(shared / path, store=store, assembly="GRCh37", unmatched="keep")
    ds = open_store(store).dataset().compute()
    assert ds.sizes["mutations"] == 2207
    assert (ds.sample_assay.values >= 0).sum() == 193
    assert ds.sizes["individuals"] == 200
    assert ds.sizes["genes"] == 1611
    found = frame(ds)
    assert found["gene"].nunique() == 1241
    assert len(found) == 1732
    expected = pd.read_csv(folder / "expected" / "published_maf_summary.tsv", sep="\t", index_col=0)
    for name, n in found["class"].value_counts().items():
        assert int(expected.loc[name, "summary"]) == n
    sequenced = ds.sample_assay.values >= 0
    known = np.isfinite(ds.individual_overall_survival_days.values[ds.sample_individual.values])
    survival = pd.read_csv(folder / "expected" / "r_survival_OS_top20_genes.tsv", sep="\t")
    assert (sequenced & known).sum() == survival["n"][0]
    died = ds.individual_overall_survival_event.values[ds.sample_individual.values] == 1
    assert (sequenced & known & died).sum() == survival["events"][0]


def test_apl__is_refused_for_what_it_is(shared: Path) -> None:
    """Its internal tandem duplications have neither position nor alleles."""
    with pytest.raises(Invalid, match=r"APL_primary\.maf\.gz, line \d+: .*NA"):
        read_maf([shared / "laml_maftools" / "APL_primary.maf.gz"], assembly="GRCh37")


@pytest.mark.parametrize(
    ("name", "assembly", "n"),
    [
        ("test.maf", "GRCh37", 20),
        ("test_output.vep_isoforms.maf", "GRCh37", 20),
        ("test_b38_output.maf", "GRCh38", 25),
    ],
)
def test_vcf2maf__reads(shared: Path, name: str, assembly: str, n: int) -> None:
    calls, _ = read_maf([shared / "vcf2maf_callers" / name], assembly=assembly)
    assert len(calls.columns["line"]) == n


CBIOPORTAL = "cbioportal_studies"
FINE = (
    "ms",
    "vs",
    "some_silent",
    "silent_alternative",
    "validation_status",
    "wrong_aa_change",
    "missing_swissprot",
    "invalid_swissprot",
    "not_loaded_ms",
    "missing_aa_change_column",
)
DEFECTS = {
    "invalid_utf8": "line 2: is not UTF-8 text",
    "invalid_variant_classification": "Variant_Classification: unknown class ''",
    "wrong_gene_position": "line 2: ",
    "check_special_cases_allele": "line 2: no tumour allele differs from the reference",
    "test_variant_types": "Variant_Classification: unknown class 'Unknown'|no allele",
    "too_long_hgvsp_short": "unknown variant type 'DUP:TANDEM'",
    "custom_tiers_column_more_than_50_characters": "lacks the columns Reference_Allele",
}


@pytest.mark.parametrize("name", FINE)
def test_cbioportal__mutations_read(shared: Path, name: str) -> None:
    """Valid, or defective only in columns nobody reads here."""
    path = shared / CBIOPORTAL / "mutations" / f"data_mutations_{name}.maf"
    assert len(read_maf([path], assembly="GRCh37")[0].columns["line"]) > 0


@pytest.mark.parametrize("name", DEFECTS)
def test_cbioportal__mutations_refused(shared: Path, name: str) -> None:
    path = shared / CBIOPORTAL / "mutations" / f"data_mutations_{name}.maf"
    with pytest.raises(Invalid, match=DEFECTS[name]):
        read_maf([path], assembly="GRCh37")


def test_cbioportal__study(shared: Path, tmp_path: Path) -> None:
    folder = shared / CBIOPORTAL / "study_es_0"
    store = tmp_path / "store"
    clinical = folder / "data_clinical_patients.txt"
    ingest_clinical(clinical, store=store, mapping="cbioportal", data_class="public")
    ingest_maf(
        folder / "data_mutations_extended.maf", store=store, assembly="GRCh37", unmatched="keep"
    )
    ds = open_store(store).dataset().compute()
    assert (ds.sample_assay.values >= 0).sum() == 21
    # One person has two samples; eight test samples follow no rule and became people.
    assert (ds.sizes["individuals"], ds.sizes["samples"]) == (841 + 8, 841 + 8 + 1)
    assert all(
        s.startswith(p)
        for s, p in zip(
            ds.sample_id.values, ds.individual_id.values[ds.sample_individual.values], strict=True
        )
    )
    raw = pd.read_csv(clinical, sep="\t", comment="#", index_col="PATIENT_ID")
    months = pd.to_numeric(raw["OS_MONTHS"], errors="coerce")
    known = months.notna() & raw["OS_STATUS"].isin(["0:LIVING", "1:DECEASED"])
    days = pd.Series(ds.individual_overall_survival_days.values, index=ds.individual_id.values)
    np.testing.assert_allclose(days[months.index[known]], months[known] * 365.25 / 12)
    assert np.isfinite(days).sum() == known.sum()
    events = ds.individual_overall_survival_event.values
    assert (events == 1).sum() == (known & (raw["OS_STATUS"] == "1:DECEASED")).sum()
