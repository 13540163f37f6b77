"""What is left of public genotypes by the recommended policy: the document, and true of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import survives_genotypes
from genomes import POPULATIONS, asthma_alleles, asthma_people, lines_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "personal.md"
LEAST = 10
GENOTYPES = ["hom_ref", "het", "hom_alt"]


@pytest.fixture(scope="module")
def found(shared: Path, tmp_path_factory) -> dict[str, survives_genotypes.Kept]:
    return {
        study.name: survives_genotypes.kept(study, shared, tmp_path_factory.mktemp(study.name))
        for study in survives_genotypes.STUDIES
    }


@pytest.fixture(scope="module")
def counted(shared: Path, found: dict[str, survives_genotypes.Kept]) -> pd.DataFrame:
    """Packaged genotype counts of autosomal variants: a row a variant, (population, count)."""
    folder = shared / "germline_hapmap" / "expected"
    table = pd.read_csv(folder / "genotype_counts_by_population.tsv.gz", sep="\t")
    autosomal = pd.read_csv(folder / "plink2_autosome.acount.tsv", sep="\t")
    wide = table.pivot(index="gds_index", columns="population").swaplevel(axis=1)
    lines = lines_of(shared / "germline_hapmap" / "hapmap_279.vcf.gz")[1][1:]
    label = {int(row[7][4:]): ":".join((row[0], row[1], *row[3:5])) for row in lines}
    wide.index = wide.index.map(label)
    wide = wide[~wide.index.str.startswith("X:") & ~wide.index.duplicated()]
    assert len(wide) == len(autosomal) - 1  # one is there twice
    return wide


def test_survives__frequencies_are_those_of_enough_people_at_every_site(
    found: dict[str, survives_genotypes.Kept], counted: pd.DataFrame
) -> None:
    """By the packaged counts alone: 10 carriers and 10 others; for the test 10 of each genotype."""
    answer = found["hapmap"].answers[0].none.table.set_index("variant").loc[counted.index]
    alleles, number = (pd.Series(0, index=counted.index) for _ in range(2))
    stands, tested = alleles == 0, alleles == 0
    for population in POPULATIONS:
        rows = counted[population]
        stands &= (rows["het"] + rows["hom_alt"] >= LEAST) & (rows["hom_ref"] >= LEAST)
        tested &= (rows[GENOTYPES] >= LEAST).all(axis=1)
        alleles += rows["het"] + 2 * rows["hom_alt"]
        number += 2 * rows[GENOTYPES].sum(axis=1)
    assert 1000 < stands.sum() < 2000
    assert 10 < tested.sum() < 100
    assert ((~answer["suppressed"]) == stands).all()
    assert (answer["hwe_p_value"].notna() == tested).all()
    assert (answer["allele_count"][stands].astype(int) == alleles[stands]).all()
    assert (answer["allele_number"][stands].astype(int) == number[stands]).all()
    assert answer["frequency"][~stands].isna().all()


@pytest.mark.parametrize("aggregator", ["trusted", "masked"])
def test_survives__of_sums_nobody_sees_enough_is_left_without_any_population(
    found: dict[str, survives_genotypes.Kept], counted: pd.DataFrame, aggregator: str
) -> None:
    """By the packaged counts alone: 10 people in all, and 5 without those of any one site."""
    answer = getattr(found["hapmap"].answers[0], aggregator).table
    answer = answer.set_index("variant").loc[counted.index]

    def enough(*genotypes: str) -> pd.Series:
        parts = pd.concat([counted[p][list(genotypes)].sum(axis=1) for p in POPULATIONS], axis=1)
        n = parts.sum(axis=1)
        return (n >= LEAST) & (n - parts.max(axis=1) >= LEAST // 2)

    stands = enough("hom_ref") & enough("het", "hom_alt")
    assert ((~answer["suppressed"]) == stands).all()
    tested = enough("hom_ref") & enough("het") & enough("hom_alt")
    assert (answer["hwe_p_value"].notna() == tested).all()


def test_survives__of_one_site_the_same_rules_look_at_the_pool(
    found: dict[str, survives_genotypes.Kept], counted: pd.DataFrame
) -> None:
    answer = found["hapmap"].answers[0].one.table.set_index("variant").loc[counted.index]
    pool = sum(counted[population][GENOTYPES] for population in POPULATIONS)
    stands = (pool["het"] + pool["hom_alt"] >= LEAST) & (pool["hom_ref"] >= LEAST)
    tested = (pool >= LEAST).all(axis=1)
    assert ((~answer["suppressed"]) == stands).all()
    assert (answer["hwe_p_value"].notna() == tested).all()


@pytest.mark.parametrize(("number", "sexes"), [(2, 0), (3, 1)])
def test_survives__associations_shown_are_those_of_the_people_who_took_part(
    found: dict[str, survives_genotypes.Kept], shared: Path, number: int, sexes: int
) -> None:
    """Countries whose site refused are in nothing; missing calls are at the mean of the others."""
    answer = found["asthma"].answers[number].none
    assert answer.sites == sorted(survives_genotypes.LARGE)
    table = answer.table.set_index("variant")
    people = asthma_people(shared)
    people = people[people["country"].isin(answer.sites) & people["bmi"].notna()]
    rest = pd.get_dummies(people[["country", "gender"][: 1 + sexes]], drop_first=True, dtype=float)
    shown = 0
    for one in asthma_alleles(shared).itertuples():
        row = table.loc[one.variant]
        if row["suppressed"]:
            assert row[["beta", "se", "p_value", "n"]].isna().all()
            continue
        shown += 1
        dosage = people[one.snp].str.count(one.alt).astype(float)
        dosage = dosage.fillna(dosage.mean()).rename("dosage")
        x = sm.add_constant(pd.concat([dosage, people["age"], rest], axis=1))
        fit = sm.OLS(people["bmi"], x).fit()
        expected = [fit.params["dosage"], fit.bse["dosage"], fit.pvalues["dosage"]]
        ours = row[["beta", "se", "p_value"]].astype(float)
        np.testing.assert_allclose(ours, expected, rtol=1e-9)
    assert shown > 10


def test_survives__the_document_is_in_step(found: dict[str, survives_genotypes.Kept]) -> None:
    """If not: python tests/real/survives.py > docs/personal.md."""
    _, title, genotypes = DOCUMENT.read_text(encoding="utf-8").partition("\n## Genotypes\n")
    assert title.lstrip("\n") + genotypes == survives_genotypes.markdown(list(found.values()))
