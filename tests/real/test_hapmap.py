"""Allele counts, missing calls and Hardy-Weinberg tests of HapMap against plink2 on the pool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from genomes import FIXED, POPULATIONS, lines_of
from peers import PURPOSE, ask
from plink import PRINTED, counts, plink, pooled

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid
from eucan_dask.federation import Federation
from eucan_dask.panel import Panel
from eucan_dask.variant_panel import VariantPanel

Federations = Callable[[str], Federation]
COHORTS = (
    Cohort("everybody"),
    *(Cohort.of(name, {"field": "population", "equals": name}) for name in POPULATIONS),
)
COUNTS = ["allele_count", "allele_number", "n_missing"]
TWICE = "8:127661798:C:T"


@pytest.fixture(scope="module")
def vcf(shared: Path) -> Path:
    return shared / "germline_hapmap" / "hapmap_279.vcf.gz"


@pytest.fixture(scope="module")
def people(shared: Path) -> pd.DataFrame:
    path = shared / "germline_hapmap" / "samples.tsv"
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def records(vcf: Path) -> pd.DataFrame:
    """The records of the file, with labels; one variant is there twice."""
    _, (names, *rows) = lines_of(vcf)
    table = pd.DataFrame([row[:FIXED] for row in rows], columns=names[:FIXED])
    parts = (table[name] for name in ("#CHROM", "POS", "REF", "ALT"))
    labels = [":".join(part) for part in zip(*parts, strict=True)]
    gds = table["INFO"].str.removeprefix("GDS=").astype(int)
    return table.assign(variant=labels, gds_index=gds)


@pytest.fixture(scope="module")
def answer(federation: Federations, records: pd.DataFrame) -> pd.DataFrame:
    """All variants of four sites, each a population: two blocks."""
    panel = Panel(variants=tuple(dict.fromkeys(records["variant"])))
    table = ask(federation("hapmap"), AlleleFrequency(), cohorts=COHORTS, panel=panel)
    return table["frequency"].set_index("variant")


@pytest.fixture(scope="module")
def pool(
    plink2: str, vcf: Path, people: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return pooled(plink2, vcf, people, tmp_path_factory.mktemp("pool"))


def of(answer: pd.DataFrame, cohort: str) -> pd.DataFrame:
    return answer[answer["cohort"] == cohort]


def assert_counts(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Exactly, for every variant."""
    pd.testing.assert_frame_equal(
        ours[COUNTS].astype(int), theirs.loc[ours.index, COUNTS].astype(int), check_names=False
    )


def assert_p(ours: pd.Series, theirs: pd.Series) -> None:
    """To the digits printed."""
    np.testing.assert_allclose(
        ours.astype(float), theirs.loc[ours.index].astype(float), rtol=PRINTED
    )


@pytest.mark.parametrize("cohort", ["everybody", *POPULATIONS])
def test_allele_frequency__all_variants_equal_plink2_on_the_pool(
    answer: pd.DataFrame, pool: Path, plink2: str, people: pd.DataFrame, tmp_path: Path, cohort: str
) -> None:
    """9,087 variants, 365 of them on X."""
    who = people["sample"][(people["population"] == cohort) | (cohort == "everybody")]
    ours, theirs = of(answer, cohort), counts(plink2, pool, who, tmp_path)
    assert len(ours) == len(theirs) == 9087
    assert_counts(ours, theirs)
    # Where nobody has a call (17:rs12450687 in JPT) plink2 prints 1; ours is undefined.
    assert_p(ours["hwe_p_value"], theirs["hwe_p_value"].where(theirs["allele_number"] > 0))
    share = ours["allele_count"].astype(float) / ours["allele_number"].astype(float)
    assert (ours["frequency"] == share).all()


def test_hardy_weinberg__of_x_is_of_women_alone(
    answer: pd.DataFrame, pool: Path, plink2: str, people: pd.DataFrame, tmp_path: Path
) -> None:
    """plink2's own P on X also asks whether men and women differ, so it is another one."""
    ours = of(answer, "everybody")["hwe_p_value"]
    x = ours[ours.index.str.startswith("X:")].astype(float)
    joint = counts(plink2, pool, people["sample"], tmp_path)["joint_p"].loc[x.index]
    assert len(x) == 365
    assert (~np.isclose(x, joint, rtol=1e-3)).mean() > 0.9


def test_allele_frequency__equals_the_packaged_tables(
    answer: pd.DataFrame, records: pd.DataFrame, shared: Path
) -> None:
    """Counts by plink2 and by population, made while collecting: 8,723 autosomal records."""
    folder = shared / "germline_hapmap" / "expected"
    autosomal = records[records["#CHROM"] != "X"].reset_index(drop=True)
    counted = pd.read_csv(folder / "plink2_autosome.acount.tsv", sep="\t")
    hardy = pd.read_csv(folder / "plink2_autosome.hardy.tsv", sep="\t")
    assert (counted["ID"] == autosomal["ID"]).all()
    assert (hardy["ID"] == autosomal["ID"]).all()
    ours = of(answer, "everybody").loc[autosomal["variant"]]
    assert len(ours) == 8723
    assert (ours["allele_count"].astype(int).values == counted["ALT_CTS"]).all()
    assert (ours["allele_number"].astype(int).values == counted["OBS_CT"]).all()
    np.testing.assert_allclose(ours["hwe_p_value"].astype(float), hardy["P"], rtol=PRINTED)
    tables = pd.read_csv(folder / "genotype_counts_by_population.tsv.gz", sep="\t")
    for population in POPULATIONS:
        rows = tables[tables["population"] == population].set_index("gds_index")
        by_variant = rows.loc[autosomal["gds_index"]].set_index(autosomal["variant"])
        called = by_variant[["hom_ref", "het", "hom_alt"]].sum(axis=1)
        theirs = pd.DataFrame(
            {
                "allele_count": by_variant["het"] + 2 * by_variant["hom_alt"],
                "allele_number": 2 * called,
                "n_missing": by_variant["missing"],
            }
        )
        mine = of(answer, population).loc[autosomal["variant"].drop_duplicates()]
        assert_counts(mine, theirs[~theirs.index.duplicated()])


def test_panel__a_variant_that_is_in_the_file_twice(
    answer: pd.DataFrame, records: pd.DataFrame, vcf: Path
) -> None:
    """The file is a panel as it stands: the variant is asked for once, and counted once."""
    assert records["variant"][records["variant"].duplicated()].tolist() == [TWICE]
    panel = VariantPanel(path=vcf)
    assert len(panel) == 9087
    assert tuple(panel) == tuple(dict.fromkeys(records["variant"]))
    assert int(of(answer, "everybody").loc[TWICE, "allele_number"]) <= 2 * 279
    with pytest.raises(Invalid, match="twice"):
        VariantPanel.of(records["variant"]).digest  # noqa: B018 - a list is typed by somebody


def test_allele_frequency__sites_that_share_populations_give_the_same(
    federation: Federations, answer: pd.DataFrame
) -> None:
    """Bit for bit, however the people are spread over sites: 3 at random, or one."""
    labels = sorted(set(answer.index[::7]))
    expected = answer.loc[labels].reset_index()
    for name in ("hapmap at random", "hapmap as one"):
        found = ask(
            federation(name), AlleleFrequency(), cohorts=COHORTS, panel=Panel(variants=tuple(labels))
        )
        columns = ["variant", "cohort", *COUNTS, "frequency", "hwe_p_value"]
        pd.testing.assert_frame_equal(found["frequency"][columns], expected[columns])
