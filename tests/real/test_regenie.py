"""Linear association in the example of regenie against plink2 and statsmodels on the pool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from bed_reader import open_bed
from genomes import part_of_bed, regenie_people
from peers import ask
from plink import PRINTED, plink

from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.errors import Invalid
from eucan_dask.federation import Federation
from eucan_dask.panel import Panel
from eucan_dask.store.ingest_variants import ingest_plink
from eucan_dask.terms import Term

Federations = Callable[[str], Federation]
ANALYSIS = LinearAssociation(
    traits=(Term("y1"), Term("y2")), terms=(Term("v1"), Term("v2"), Term("v3"))
)
COVARIATES = ["V1", "V2", "V3"]
EXAMPLES = {"regenie": "example", "regenie 3chr": "example_3chr"}
FIT = ["beta", "se", "p_value"]


@pytest.fixture(scope="module")
def people(shared: Path) -> pd.DataFrame:
    """Everybody in the order of the filesets, with dummies of the sites b and c beside a."""
    table = regenie_people(shared / "gwas_regenie")
    numbers = table.astype({name: float for name in (*COVARIATES, "Y1", "Y2")})
    return numbers.assign(**{f"site_{s}": (numbers["site"] == s) * 1.0 for s in "bc"})


def filesets(shared: Path, work: Path, name: str) -> Path:
    """The pooled fileset with bases as alleles: 1 or D is A, 2 or d is C."""
    prefix = shared / "gwas_regenie" / EXAMPLES[name]
    with open_bed(prefix.with_suffix(".bed"), num_threads=1) as bed:
        return part_of_bed(prefix, work / "pool", list(bed.iid), letters=True)


def labels(prefix: Path) -> list[str]:
    """Allele 2 is REF, allele 1 is ALT."""
    bim = pd.read_csv(prefix.with_suffix(".bim"), sep="\t", header=None, dtype=str)
    return [":".join(row) for row in bim[[0, 3, 5, 4]].itertuples(index=False)]


def answered(federation: Federation, variants: list[str]) -> pd.DataFrame:
    """By trait and variant; people with the row of each."""
    tables = ask(federation, ANALYSIS, panel=Panel(variants=tuple(variants)))
    assert int(tables["fit"]["n_individuals"][0]) == 500
    assert int(tables["fit"]["dof"][0]) == 500 - 4 - len(federation.members)
    return tables["association"].set_index(["trait", "variant"])


def by_plink2(
    program: str, prefix: Path, people: pd.DataFrame, work: Path, covariates: list[str]
) -> pd.DataFrame:
    """Its --glm of both traits, by trait and variant, in the words of ours."""
    columns = people.rename(columns={"FID": "#FID"})
    for name, wanted in (("pheno", ["Y1", "Y2"]), ("covar", covariates)):
        columns[["#FID", "IID", *wanted]].to_csv(work / f"{name}.txt", sep="\t", index=False)
    files = ("--pheno", work / "pheno.txt", "--covar", work / "covar.txt")
    asked = ("--set-all-var-ids", "@:#:$r:$a", "--glm", "omit-ref", "hide-covar")
    out = plink(program, work / "glm", "--bfile", prefix, *files, *asked)
    found = {
        trait: pd.read_csv(f"{out}.{trait.upper()}.glm.linear", sep="\t").set_index("ID")
        for trait in ("y1", "y2")
    }
    table = pd.concat(found, names=["trait", "variant"])
    assert (table["A1"] == table["ALT"]).all()
    return table.rename(columns={"BETA": "beta", "SE": "se", "P": "p_value"})


def by_statsmodels(prefix: Path, people: pd.DataFrame, variants: list[str]) -> pd.DataFrame:
    """Ordinary least squares, one fit a variant and trait, copies of allele 1 as bed-reader has."""
    with open_bed(prefix.with_suffix(".bed"), num_threads=1) as bed:
        dosage = bed.read(dtype="float64")
    assert not np.isnan(dosage).any()
    rest = sm.add_constant(people[[*COVARIATES, "site_b", "site_c"]].to_numpy())
    rows = {}
    for i, variant in enumerate(variants):
        x = np.column_stack([dosage[:, i], rest])
        for trait in ("y1", "y2"):
            fit = sm.OLS(people[trait.upper()].to_numpy(), x).fit()
            rows[trait, variant] = (fit.params[0], fit.bse[0], fit.pvalues[0])
    return pd.DataFrame.from_dict(rows, orient="index", columns=FIT)


def assert_fits(ours: pd.DataFrame, theirs: pd.DataFrame, rtol: float) -> None:
    """Every variant; p of a large statistic carries its error times the square of it."""
    assert len(ours) == len(theirs)
    theirs = theirs.loc[list(ours.index)]
    for name in FIT:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=rtol, err_msg=name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_linear_association__equals_plink2_with_sites_as_dummies(
    federation: Federations,
    shared: Path,
    people: pd.DataFrame,
    plink2: str,
    tmp_path: Path,
    name: str,
) -> None:
    """Three sites of 250, 150 and 100 people, every variant, both traits."""
    prefix = filesets(shared, tmp_path, name)
    ours = answered(federation(name), labels(prefix))
    covariates = [*COVARIATES, "site_b", "site_c"]
    assert_fits(ours, by_plink2(plink2, prefix, people, tmp_path, covariates), PRINTED)


@pytest.mark.parametrize("name", EXAMPLES)
def test_linear_association__equals_statsmodels(
    federation: Federations, shared: Path, people: pd.DataFrame, tmp_path: Path, name: str
) -> None:
    """To nine digits."""
    prefix = filesets(shared, tmp_path, name)
    variants = labels(prefix)
    ours = answered(federation(name), variants)
    theirs = by_statsmodels(prefix, people, variants)
    assert_fits(ours, theirs, 1e-9)


def test_linear_association__one_site_equals_plink2_without_dummies(
    federation: Federations, shared: Path, people: pd.DataFrame, plink2: str, tmp_path: Path
) -> None:
    prefix = filesets(shared, tmp_path, "regenie")
    ours = answered(federation("regenie as one"), labels(prefix))
    assert_fits(ours, by_plink2(plink2, prefix, people, tmp_path, COVARIATES), PRINTED)


@pytest.mark.parametrize("trait", ["Y1", "Y2"])
def test_linear_association__beside_regenie_of_one_chromosome(
    federation: Federations, shared: Path, tmp_path: Path, trait: str
) -> None:
    """Regenie's step 2 leaves the tested chromosome out of its predictions: here nothing is left.

    So its beta, of allele 2, is that of plain regression with the sign turned. Its chi-square is a
    score test over n - 1, ours Student's t: chi-square = (n - 1) t^2 / (t^2 + dof).
    """
    variants = labels(filesets(shared, tmp_path, "regenie"))
    ours = answered(federation("regenie as one"), variants).loc[trait.lower()]
    theirs = read_regenie(shared, f"test_lin_out_{trait}")
    assert len(theirs) == len(ours) == 1000
    np.testing.assert_allclose(ours["beta"], -theirs["BETA"], rtol=PRINTED)
    np.testing.assert_allclose(ours["frequency"], 1 - theirs["A1FREQ"], atol=1e-6)
    square = ours["statistic"].astype(float) ** 2
    score = 499 * square / (square + 495)
    np.testing.assert_allclose(score, theirs["CHISQ"], rtol=2e-5)


@pytest.mark.parametrize("trait", ["Y1", "Y2"])
def test_linear_association__beside_regenie_of_three_chromosomes(
    federation: Federations, shared: Path, tmp_path: Path, trait: str
) -> None:
    """With other chromosomes' predictions taken out of the trait regenie's betas are near ours."""
    variants = labels(filesets(shared, tmp_path, "regenie 3chr"))
    ours = answered(federation("regenie 3chr as one"), variants).loc[trait.lower()]
    theirs = read_regenie(shared, f"test_lin_out_3chr_{trait}")
    theirs.index = theirs["CHROM"].astype(str) + ":" + theirs["GENPOS"].astype(str)
    places = ours["contig"].astype(str) + ":" + ours["position"].astype(str)
    ours = ours.set_index(places.values).loc[theirs.index]
    r = np.corrcoef(ours["beta"], -theirs["BETA"])[0, 1]
    assert 0.8 < r < 0.999999


def test_ingest__alleles_of_the_examples(shared: Path, tmp_path: Path) -> None:
    """Numbers are read as bases, with a note; the D and d of the other example are refused."""
    folder = shared / "gwas_regenie"
    manifest = ingest_plink(folder / "example", store=tmp_path / "s", assembly="GRCh37")
    assert any("1, 2, 3, 4 were read as A, C, G, T" in note for note in manifest.notes)
    with pytest.raises(Invalid, match="an allele is not made of bases"):
        ingest_plink(folder / "example_3chr", store=tmp_path / "t", assembly="GRCh37")


def read_regenie(shared: Path, name: str) -> pd.DataFrame:
    """A table of regenie's step 2."""
    return pd.read_csv(shared / "gwas_regenie" / "expected" / f"{name}.regenie", sep=" ")
