"""Linear association against statsmodels with dummies of the sites; its gate."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xarray as xr

from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid, Refused
from eucan_dask.panel import Panel
from eucan_dask.partial import Hidden
from eucan_dask.terms import Term
from eucan_dask.testing.calls import VARIANT_FREQUENCY
from eucan_dask.testing.cases import nobody, run_over, thresholds
from eucan_dask.testing.data import People, dataset, people, split
from tests.genotyped import asked, genotyped

LABELS = tuple(VARIANT_FREQUENCY)
N = 150
BMI, AGE = Term(field="body_mass_index"), Term(field="age_at_diagnosis")
DEATH = Term(field="overall_survival_event")
SEX = Term(field="sex", levels=("female", "male"))
YOUNG = Cohort.of("young", {"field": "age_at_diagnosis", "max": 62})


@pytest.fixture(scope="module")
def simulated() -> People:
    return people(N, seed=9, missing=0.08, second_biosample=0.3)


def cut(some: People, n_sites: int = 3) -> list[People]:
    return split(some, np.arange(N) % n_sites)


def frame_of(parts: list[People]) -> pd.DataFrame:
    """A row a person of all sites: fields, dosages (NaN where missing) and the site."""
    frames = []
    for number, part in enumerate(parts):
        rows = part.clinical.sort_values(["individual_id", "sample_id"])
        first = rows.drop_duplicates("individual_id").set_index("sample_id").join(part.calls)
        frames.append(first.assign(site=number))
    frame = pd.concat(frames)
    male = frame["sex"] == "male"
    for label in LABELS:
        codes = frame[label].astype(float)
        once = male if label[0] in "XY" else pd.Series(label[:2] == "MT", frame.index)
        codes[(codes < 0) | (once & (codes == 1))] = np.nan
        if label[0] == "Y":
            codes[~male] = np.nan
        frame[label] = codes
    return frame.assign(male=male * 1.0)


def by_ols(frame: pd.DataFrame, label: str, trait: str, terms: list[str]) -> list[float]:
    """beta, se, statistic, p, n and half the mean dosage."""
    known = frame.dropna(subset=[trait, *terms])
    dosage = known[label]
    dummies = pd.get_dummies(known["site"], dtype=float)
    if (
        not dosage.notna().any()
        or dosage.fillna(dosage.mean()).groupby(known["site"]).nunique().max() < 2
    ):
        mean = dosage.mean() / 2
        return [np.nan] * 4 + [float(dosage.notna().sum()), mean]
    x = np.column_stack([dosage.fillna(dosage.mean()), known[terms], dummies])
    fit = sm.OLS(known[trait], x).fit()
    numbers = [fit.params.iloc[0], fit.bse.iloc[0], fit.tvalues.iloc[0], fit.pvalues.iloc[0]]
    return [*map(float, numbers), float(dosage.notna().sum()), float(dosage.mean() / 2)]


COLUMNS = ("beta", "se", "statistic", "p_value")


def check(found: xr.Dataset, frame: pd.DataFrame, traits: list[str], terms: list[str]) -> None:
    """Every variant and trait is what statsmodels says."""
    together = frame.dropna(subset=traits)
    for v, label in enumerate(found["variants"].values):
        for t, trait in enumerate(traits):
            *expected, n, mean = by_ols(together, str(label), trait, terms)
            values = [float(found[name][v, t]) for name in COLUMNS]
            np.testing.assert_allclose(values, expected, rtol=1e-9, err_msg=f"{label} {trait}")
            assert int(found["n"][v]) == n
            np.testing.assert_allclose(float(found["frequency"][v]), mean, rtol=1e-12)
    whole = together.dropna(subset=terms)
    assert int(found["n_individuals"]) == len(whole)
    assert int(found["dof"]) == len(whole) - whole["site"].nunique() - len(terms) - 1


QUESTIONS: list[tuple[tuple[Term, ...], tuple[Term, ...], tuple[str, ...], tuple[str, ...]]] = [
    ((BMI,), (), ("body_mass_index",), ()),
    ((BMI,), (AGE, SEX), ("body_mass_index",), ("age_at_diagnosis", "male")),
    ((BMI, DEATH), (AGE,), ("body_mass_index", "overall_survival_event"), ("age_at_diagnosis",)),
]


@pytest.mark.parametrize("n_sites", [1, 3])
@pytest.mark.parametrize("question", QUESTIONS, ids=["plain", "terms", "two traits"])
def test_finalize__as_statsmodels(simulated: People, question: Any, n_sites: int) -> None:
    traits, terms, trait_names, term_names = question
    case = asked(LinearAssociation(traits=traits, terms=terms), LABELS)
    parts = cut(simulated, n_sites)
    _, found, _ = run_over(case, [dataset(part) for part in parts])
    check(found, frame_of(parts), list(trait_names), list(term_names))


def test_finalize__sites_without_the_variant_or_without_people(simulated: People) -> None:
    parts = cut(simulated)
    calls = parts[1].calls.drop(columns=list(LABELS[:3]))
    parts[1] = dataclasses.replace(parts[1], calls=calls)
    case = asked(LinearAssociation(traits=(BMI,), terms=(AGE,)), LABELS)
    _, found, _ = run_over(case, [*map(dataset, parts), nobody(simulated)])
    check(found, frame_of(parts), ["body_mass_index"], ["age_at_diagnosis"])


def test_finalize__of_a_cohort(simulated: People) -> None:
    case = asked(LinearAssociation(traits=(BMI,), terms=(SEX,)), LABELS, YOUNG)
    parts = cut(simulated)
    _, found, _ = run_over(case, [dataset(part) for part in parts])
    frame = frame_of(parts)
    check(found, frame[frame["age_at_diagnosis"] <= 62], ["body_mass_index"], ["male"])


def test_finalize__by_hand() -> None:
    """Dosages 0, 1, 2 and traits 1, 3, 5.. at one site, the same 10 higher at another."""
    ds = [
        genotyped({"1:5:A:G": [0, 1, 2, 0]}, numbers={"y": [1 + k, 3 + k, 5 + k, 1.5 + k]})
        for k in (0, 10)
    ]
    case = asked(LinearAssociation(traits=(Term(field="y"),)), ["1:5:A:G"])
    _, found, _ = run_over(case, ds)
    # centred dosages -.75 .25 1.25 -.75, square 2.75; products with y 5.125: beta = 41 / 22
    assert float(found["beta"][0, 0]) == pytest.approx(41 / 22, rel=1e-12)
    assert int(found["dof"]) == 8 - 2 - 1
    y = np.array([1, 3, 5, 1.5]) - 2.625
    rss = 2 * ((y - 41 / 22 * np.array([-0.75, 0.25, 1.25, -0.75])) ** 2).sum()
    assert float(found["se"][0, 0]) == pytest.approx(np.sqrt(rss / 5 / 5.5), rel=1e-12)


def test_finalize__split_records_take_another_allele_for_missing() -> None:
    """As `call_genotype_packed` has it: a person with another ALT has no dosage of this one."""
    label, y = "1:5:A:G", [1.0, 2.0, 4.0, 8.0, 16.0]
    plain = genotyped({label: [0, 1, 2, -1, 0]}, numbers={"y": y})
    several = {label: ([0, 1, 2, 1, 0], [0, 0, 0, 1, 0])}
    record = genotyped({label: [0, 1, 2, -1, 0]}, numbers={"y": y}, split=several)
    case = asked(LinearAssociation(traits=(Term(field="y"),)), [label])
    xr.testing.assert_identical(run_over(case, [plain])[1], run_over(case, [record])[1])


def test_finalize__without_degrees_of_freedom_is_undefined() -> None:
    ds = genotyped({"1:5:A:G": [0, 1]}, numbers={"y": [1.0, 2.0]})
    case = asked(LinearAssociation(traits=(Term(field="y"),)), ["1:5:A:G"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, found, _ = run_over(case, [ds])
    assert int(found["dof"]) == 0
    assert np.isnan(found["p_value"]).all()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"traits": ()}, "needs traits"),
        ({"traits": (BMI,), "max_iterations": 3}, "has two rounds"),
        ({"traits": (SEX,)}, "a trait has no levels"),
        ({"traits": (BMI, BMI)}, "named twice"),
        ({"traits": (BMI,), "terms": (BMI,)}, "named twice"),
    ],
    ids=str,
)
def test_parameters__that_make_no_question(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        LinearAssociation(**options)


def test_check__needs_variants() -> None:
    with pytest.raises(Invalid, match="variants_file"):
        LinearAssociation(traits=(BMI,)).check(Panel())


def test_prepare__a_trait_that_is_a_category() -> None:
    ds = genotyped({"1:5:A:G": [0, 1]}, sex=["male", "female"])
    case = asked(LinearAssociation(traits=(Term(field="sex"),)), ["1:5:A:G"])
    with pytest.raises(Invalid, match="a category needs its levels"):
        run_over(case, [ds])


# --- the gate ---


def site(
    hom_ref: int, het: int, hom_alt: int, missing: int, *, cases: tuple[int, ...] = ()
) -> xr.Dataset:
    """A site; `cases`, how many of each genotype have the yes/no trait."""
    sizes = (hom_ref, het, hom_alt, missing)
    calls = np.repeat([0, 1, 2, -1], sizes)
    y = np.random.default_rng(3).normal(20, 4, size=calls.size)
    if cases:
        y = np.concatenate([np.arange(n) < k for n, k in zip(sizes, cases, strict=True)]) * 1.0
    return genotyped({"1:5:A:G": calls.tolist()}, numbers={"y": y.tolist()})


Y = LinearAssociation(traits=(Term(field="y"),))
CASE = asked(Y, ["1:5:A:G"])


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((60, 30, 12, 12), Hidden.SHOWN),
        ((105, 9, 0, 0), Hidden.WHOLE),
        ((9, 60, 45, 0), Hidden.WHOLE),
        ((114, 0, 0, 0), Hidden.WHOLE),
        ((4, 5, 0, 105), Hidden.WHOLE),
        ((0, 0, 0, 114), Hidden.WHOLE),  # as if held, and carried by nobody
    ],
    ids=str,
)
def test_gate__a_variant_by_hand(sizes: tuple[int, int, int, int], expected: Hidden) -> None:
    other = site(60, 30, 12, 12)
    total, _, releases = run_over(CASE, [site(*sizes), other], thresholds(10))
    assert releases[0].arrays["association_hidden"].tolist() == [expected]
    for name in CASE.analysis.records[1].variables:
        assert (expected == Hidden.SHOWN) or not releases[0].arrays[name].any()
    # roster "all": a site with too few takes the variant down everywhere
    assert int(total["association_n_hidden"][0]) == (expected != Hidden.SHOWN)


def test_gate__of_public_data_a_site_without_the_variant_adds_nothing() -> None:
    parts = [site(0, 0, 0, 114), site(60, 30, 12, 12)]
    total, _, releases = run_over(CASE, parts, replace(thresholds(0), min_individuals=1))
    assert releases[0].arrays["association_hidden"].tolist() == [Hidden.ABSENT]
    assert int(total["association_n_sites"][0]) == 1
    assert int(total["association_n_hidden"][0]) == 0


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ((20, 15, 10, 5), Hidden.SHOWN),
        ((40, 9, 0, 0), Hidden.WHOLE),  # nine carriers among the cases
        ((0, 30, 3, 12), Hidden.WHOLE),  # nine among the controls
    ],
    ids=str,
)
def test_gate__carriers_among_cases_and_controls(cases: tuple[int, ...], expected: Hidden) -> None:
    parts = [site(60, 30, 12, 12, cases=cases)] * 2
    _, _, releases = run_over(CASE, parts, thresholds(10))
    assert releases[0].arrays["association_hidden"].tolist() == [expected]


def test_gate__few_cases_refuse_the_fit() -> None:
    limits = thresholds(10)
    with pytest.raises(Refused):
        run_over(CASE, [site(60, 30, 12, 12, cases=(5, 2, 2, 0))], limits)


def test_gate__too_small_a_site_is_left_out_of_the_whole_fit(simulated: People) -> None:
    """And everything else is what the others give alone."""
    large, small = [site(60, 30, 12, 12)] * 2, site(3, 3, 2, 0)
    _, with_it, releases = run_over(CASE, [*large, small], thresholds(10))
    _, without, _ = run_over(CASE, large, thresholds(10))
    assert len(releases) == 2
    xr.testing.assert_identical(with_it, without)
