"""Survival of real cohorts against the numbers packaged with the data, which count barcodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peers import (
    Tables,
    ask,
    assert_close,
    assert_fit,
    grid,
    groups,
    km_median,
    mutated,
    pick,
    read,
    terms,
)

from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.survival import Survival
from eucan_dask.federation import Federation
from eucan_dask.panel import Panel
from eucan_dask.terms import Term

Federations = Callable[[str], Federation]
RTOL = 1e-9
FIT_RTOL = 1e-8
# Fits packaged at coxph's default eps = 1e-9 stop up to 3e-7 standard errors short; at eps = 1e-13
# R and we agree to 1e-11 (test_regression has such fits).
DEFAULT_EPS = 1e-6
N_FITS = 6  # of the packaged one-gene fits: the most often mutated genes
FIT = {"n": "n", "n_event": "events", "log_likelihood": "loglik1", "log_likelihood_null": "loglik0"}
COHORTS = ("kirc", "lgg")


def expected(shared: Path, cohort: str, table: str) -> Path:
    return shared / "tcga_mc3" / f"mc3_{cohort}" / "expected" / f"{table}.tsv"


@pytest.mark.parametrize("cohort", COHORTS)
def test_kaplan_meier__every_row_of_the_packaged_curve(
    federation: Federations, shared: Path, cohort: str
) -> None:
    """Four centres, a grid of one day: counts exactly, survival and interval to 1e-9."""
    answer = ask(federation(f"{cohort} barcodes"), Survival(), panel=grid(cohort, 1))
    rows = read(expected(shared, cohort, "r_survival_KM_OS"))
    ours = answer["curve"].set_index("time")
    found = ours.loc[rows["time"]]
    for mine, theirs in (("n_at_risk", "n_risk"), ("n_event",) * 2, ("n_censored", "n_censor")):
        assert list(found[mine]) == list(rows[theirs])
    for mine, theirs in (("survival", "surv"), ("low", "lower_log"), ("high", "upper_log")):
        assert_close(found[mine], rows[theirs], RTOL)
    quiet = ours.drop(index=rows["time"])
    assert not quiet[["n_event", "n_censored"]].any(axis=None)


@pytest.mark.parametrize("cohort", COHORTS)
@pytest.mark.parametrize("strata", ["none", "tissue_source_site"])
def test_cox__packaged_age_and_sex(
    federation: Federations, shared: Path, cohort: str, strata: str
) -> None:
    """To 1e-8: four centres stratified by tissue source site, and one centre without strata."""
    one = strata == "none"
    asked = federation(f"{cohort} barcodes as one" if one else f"{cohort} barcodes")
    analysis = CoxRegression(terms=terms(cohort, "age+male"), strata="" if one else strata)
    rows = pick(read(expected(shared, cohort, "r_survival_cox_age_sex")), strata=strata)
    columns = {**FIT, "concordance": "concordance"}
    assert_fit(ask(asked, analysis), rows, rows.iloc[0], columns, FIT_RTOL)


def counts(answer: Tables) -> tuple[int, int, int, int]:
    """People, events, mutated people and events among them."""
    curve = answer["curve"]
    own = [pick(curve, cohort=label) for label in ("0", "1")]
    n = [int(part["n_at_risk"].iloc[0]) for part in own]
    events = [int(part["n_event"].sum()) for part in own]
    return sum(n), sum(events), n[1], events[1]


def assert_gene(answer: Tables, row: Any, medians: tuple[float, float]) -> None:
    """People, events and medians exactly; the log-rank statistic to 1e-9, its p value to 1e-7."""
    assert counts(answer)[:3] == (row.n, row.events, row.n_mut)
    (test,) = answer["logrank"].itertuples()
    assert_close([test.statistic], [row.logrank_chisq], RTOL)
    assert_close([test.p_value], [row.logrank_p], 1e-7)
    found = [km_median(pick(answer["curve"], cohort=label)) for label in ("0", "1")]
    assert_close(found, medians, 0)


@pytest.mark.parametrize("cohort", COHORTS)
def test_logrank__packaged_by_gene(federation: Federations, shared: Path, cohort: str) -> None:
    """All 15 genes, one centre; the grid is the days of the packaged curve: all days there are."""
    asked = federation(f"{cohort} barcodes as one")
    days = read(expected(shared, cohort, "r_survival_KM_OS"))["time"]
    panel = Panel(times=tuple(sorted({0.0, *days})))
    for row in read(expected(shared, cohort, "r_survival_OS_by_gene"), ("NA", "")).itertuples():
        answer = ask(asked, Survival(), cohorts=mutated(row.gene), panel=panel)
        assert counts(answer)[3] == row.events_mut
        assert_gene(answer, row, (row.median_wt, row.median_mut))


def assert_term(answer: Tables, coef: float, se: float) -> None:
    """The one coefficient within 1e-6 of a standard error, and that to 1e-6."""
    (term,) = answer["terms"].itertuples()
    assert abs(term.coef - coef) <= DEFAULT_EPS * se
    assert_close([term.se], [se], DEFAULT_EPS)


@pytest.mark.parametrize("cohort", COHORTS)
def test_cox__packaged_by_gene(federation: Federations, shared: Path, cohort: str) -> None:
    """The first of these genes as the only term: within R's default `eps`; log-likelihoods to 1e-9.

    By Efron's method; one gene by Breslow's too.
    """
    asked = federation(f"{cohort} barcodes as one")
    table = read(expected(shared, cohort, "r_survival_OS_by_gene"))
    rows = list(table.head(N_FITS).itertuples())
    for row in rows:
        answer = ask(asked, CoxRegression(terms=(Term(gene=row.gene),)))
        assert_term(answer, row.cox_efron_coef, row.cox_efron_se)
        (fit,) = answer["fit"].itertuples()
        (null,) = answer["convergence"]["log_likelihood_null"]
        likelihoods = (row.cox_efron_loglik0, row.cox_efron_loglik1)
        assert_close((null, fit.log_likelihood), likelihoods, RTOL)
    for row in rows[:1]:
        answer = ask(asked, CoxRegression(terms=(Term(gene=row.gene),), ties="breslow"))
        assert_term(answer, row.cox_breslow_coef, row.cox_breslow_se)


def test_laml__packaged_genes_and_pairs(federation: Federations, shared: Path) -> None:
    """182 patients of the MAF with a known time: 20 genes and 5 pairs.

    Cox for the first genes, each the only term.
    """
    asked = federation("laml as one")
    folder = shared / "laml_maftools"
    days = read(folder / "tcga_laml_annot.tsv", ("NA", "-Inf"))["days_to_last_followup"].dropna()
    panel = Panel(times=tuple(sorted({0.0, *days})))
    path = folder / "expected" / "r_survival_OS_top20_genes.tsv"
    for row in read(path, ("NA", "")).itertuples():
        genes = row.genes.split("_")
        answer = ask(asked, Survival(), cohorts=mutated(*genes), panel=panel)
        assert_gene(answer, row, (row.km_median_wt, row.km_median_mut))
        if row.Index < N_FITS:
            answer = ask(asked, CoxRegression(terms=(Term(gene=genes[0]),)))
            assert_term(answer, row.cox_efron_coef, row.cox_efron_se)
            assert_close(answer["terms"]["hr"], [row.cox_efron_hr], DEFAULT_EPS)


def test_laml__published_pairs(federation: Federations, shared: Path) -> None:
    """P values as the maftools vignette prints them: three significant digits."""
    table = read(shared / "laml_maftools" / "expected" / "published_survGroup_pairs.tsv")
    for row in table.itertuples():
        pair = mutated(*row.genes.split("_"))
        answer = ask(federation("laml as one"), Survival(), cohorts=pair, panel=grid("laml", 30))
        (test,) = answer["logrank"].itertuples()
        assert float(f"{test.p_value:.3g}") == row.p
        assert counts(answer)[0] == row.n_wt + row.n_mut
        assert counts(answer)[2] == row.n_mut


def test_people_and_barcodes__differ_where_people_gave_two_samples(
    federation: Federations,
) -> None:
    """510 people and 524 barcodes of LGG have a time: why we do not give the packaged numbers."""
    panel, cohorts = grid("lgg", 30), groups("idh1")
    found = {
        name: counts(ask(federation(name), Survival(), cohorts=cohorts, panel=panel))
        for name in ("lgg", "lgg barcodes")
    }
    assert found == {"lgg": (510, 123, 395, 72), "lgg barcodes": (524, 131, 406, 78)}
