"""Federated equals pooled on TCGA-LAML: random centres, one of one person and one of nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cohorts import laml_twice
from peers import EVERYBODY, PURPOSE, assert_close, grid, mutated

from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.logistic_regression import LogisticRegression
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.analysis import Analysis
from eucan_dask.cohort import Cohort
from eucan_dask.federation import Federation
from eucan_dask.panel import Panel
from eucan_dask.terms import Term

Both = tuple[Federation, Federation]
Tables = dict[str, pd.DataFrame]
LARGE = ("a", "b", "c")
FAB = tuple(f"M{i}" for i in range(8))
CLASSES = ("non_silent", "Missense_Mutation", "Silent")
ABOUT_SITES = ["n_sites", "coverage", "reason"]


@pytest.fixture(scope="module", params=[1, 2])
def both(request: pytest.FixtureRequest, shared: Path, tmp_path_factory) -> Both:
    """LAML in random centres, and the same people in one; made by the real ingest.

    Everybody of the centre "nobody" is withdrawn again after the ingest.
    """
    table = shared / "laml_maftools" / "tcga_laml_annot.tsv"
    barcodes = pd.read_csv(table, sep="\t")["Tumor_Sample_Barcode"]
    rng = np.random.default_rng(request.param)
    of = dict(zip(barcodes, rng.choice(LARGE, p=(0.6, 0.3, 0.1), size=len(barcodes)), strict=True))
    few = rng.choice(barcodes, 4, replace=False)
    of |= {few[0]: "alone", **dict.fromkeys(few[1:], "nobody")}
    out = tmp_path_factory.mktemp("split") / "laml"
    split, pooled = laml_twice(out, shared, of.__getitem__, emptied="nobody")
    return Federation.open(split), Federation.open(pooled)


def answers(
    both: Both,
    analysis: Analysis,
    pooled: Analysis | None = None,
    cohorts: tuple[Cohort, ...] = EVERYBODY,
    panel: Panel | None = None,
) -> tuple[Tables, Tables]:
    """Tables of the federation of five and of the one centre; all five rest on every cell."""
    federated, one = (
        federation.run(asked, purpose=PURPOSE, cohorts=cohorts, panel=panel).tables
        for federation, asked in zip(both, (analysis, pooled or analysis), strict=True)
    )
    for table in federated.values():
        assert (table["n_sites"] == 5).all()
    return federated, one


def assert_same(both: tuple[Tables, Tables]) -> None:
    """Every table equals the other, to the last bit: all is made from integer totals."""
    for name, table in both[0].items():
        pd.testing.assert_frame_equal(
            table.drop(columns=ABOUT_SITES),
            both[1][name].drop(columns=ABOUT_SITES),
            check_exact=True,
        )


def test_mutation_frequency__every_gene_exact(both: Both, shared: Path) -> None:
    maf = pd.read_csv(shared / "laml_maftools" / "tcga_laml.maf.gz", sep="\t")
    genes = tuple(sorted(maf["Hugo_Symbol"].unique()))
    assert len(genes) == 1611
    cohorts = (*EVERYBODY, *mutated("DNMT3A"))
    asked = MutationFrequency(classes=CLASSES)
    assert_same(answers(both, asked, cohorts=cohorts, panel=Panel(genes=genes)))


def test_cohort_summary__exact(both: Both) -> None:
    fields = (
        SummaryField("fab_classification", levels=FAB),
        SummaryField("overall_survival_days", edges=(0.0, 365.0, 1095.0)),
        SummaryField("overall_survival_event"),
    )
    cohorts = (*EVERYBODY, *mutated("DNMT3A"))
    assert_same(answers(both, CohortSummary(fields=fields), cohorts=cohorts))


@pytest.mark.parametrize("width", [1, 90])
def test_survival__curves_exact_and_test_to_1e9(both: Both, width: int) -> None:
    horizons = (360.0, 1080.0)
    federated, pooled = answers(
        both,
        Survival(horizons=horizons),
        Survival(horizons=horizons, strata="centre"),
        cohorts=mutated("DNMT3A"),
        panel=grid("laml", width),
    )
    tests = [tables.pop("logrank").iloc[0] for tables in (federated, pooled)]
    assert_same((federated, pooled))
    assert tests[0]["df"] == tests[1]["df"] == 1
    for name in ("statistic", "p_value"):
        assert_close([tests[0][name]], [tests[1][name]], 1e-9)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox__to_1e8(both: Both, ties: str) -> None:
    terms = (Term(gene="DNMT3A"), Term(gene="FLT3"))
    federated, pooled = answers(
        both,
        CoxRegression(terms=terms, ties=ties),
        CoxRegression(terms=terms, ties=ties, strata="centre"),
    )
    for name in ("coef", "se"):
        assert_close(federated["terms"][name], pooled["terms"][name], 1e-8)
    for name in ("n", "n_event"):
        assert federated["fit"][name][0] == pooled["fit"][name][0]
    for table, name in (
        ("fit", "log_likelihood"),
        ("fit", "concordance"),
        ("convergence", "log_likelihood_null"),
    ):
        assert_close(federated[table][name], pooled[table][name], 1e-8)


def test_logistic__to_1e8(both: Both) -> None:
    """One person alone says nothing of the terms; pooled, that intercept would run off."""
    terms = (Term(gene="DNMT3A"), Term(gene="FLT3"))
    federated, pooled = answers(
        both,
        LogisticRegression(outcome=Term(gene="NPM1"), terms=terms),
        LogisticRegression(outcome=Term(gene="NPM1"), terms=(*terms, Term("centre", LARGE))),
    )
    for name in ("coef", "se"):
        assert_close(federated["terms"][name], pooled["terms"][name][:2], 1e-8)
    assert_close(federated["fit"]["log_likelihood"], pooled["fit"]["log_likelihood"], 1e-8)
