"""Masked sums of every analysis: those of clear sums, of a processor, and of one big site."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analysis import Analysis
from eucan_dask.errors import Refused
from eucan_dask.federation import Federation
from eucan_dask.registry import registry
from eucan_dask.result import Result
from eucan_dask.steward import given
from eucan_dask.testing.cases import Example, assert_close, example, run_over, with_site
from eucan_dask.testing.data import dataset, people
from eucan_dask.unmasking import unmasked
from tests.asking import put
from tests.masked import Asked, decoded, forget, make_masked, site_of, totals

PURPOSE = "DUO:0000006"
REGISTRY = registry()
SIZES = (110, 95, 125, 102)
PEOPLE = people(sum(SIZES), seed=8)
SEX = CohortSummary(fields=(SummaryField(field="sex", levels=("female", "male")),))


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("public")
    return make_masked(directory, SIZES, policy="public", genotypes=True, some=PEOPLE)


@pytest.fixture(scope="module")
def personal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_masked(tmp_path_factory.mktemp("personal"), SIZES, genotypes=True, some=PEOPLE)


@cache
def run_once(file: Path, kind: type[Analysis], aggregator: str) -> Result:
    """As `run`; where nothing is remembered it can be asked once for all tests."""
    return run(file, kind, aggregator)


def run(file: Path, kind: type[Analysis], aggregator: str) -> Result:
    case = example(kind)
    with Federation.open(file) as federation:
        return federation.run(
            case.analysis,
            purpose=PURPOSE,
            cohorts=case.cohorts,
            panel=case.panel,
            tier="controlled",
            aggregator=aggregator,
        )


def finished(result: Result) -> xr.Dataset:
    """The finished numbers, without how many sites showed or hid a cell."""
    counts = [n for n in result.dataset if str(n).endswith(("_n_sites", "_n_hidden"))]
    return result.dataset.drop_vars(counts)


# --- every analysis ---


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=REGISTRY)
def test_unmasked__counts_are_exact_and_sums_within_the_bound(
    public: Path, kind: type[Analysis]
) -> None:
    """Against the sums, as fractions, of what every site gives to a processor in the clear."""
    case = example(kind)
    options = {"cohorts": case.cohorts, "panel": case.panel, "tier": "controlled"}
    asked = Asked.of(public, case.analysis, **options)
    asked.answer()
    asked.open()
    found = unmasked(asked.request, list(asked.releases.values()), list(asked.keys.values()))
    with Federation.open(public) as federation:
        clear = federation.request(case.analysis, purpose=PURPOSE, aggregator="trusted", **options)
    exact = totals([put(site_of(public, name), clear) for name in "abcd"])
    assert set(found) == set(exact)
    assert any(values.dtype == np.int64 and values.any() for values in found.values())
    for name, values in decoded(found).items():
        if found[name].dtype == np.int64:
            assert values == exact[name], name
        for value, true in zip(values, exact[name], strict=True):
            assert abs(value - true) <= 4 * 2.0**-65 + np.spacing(abs(value)) / 2, name


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=REGISTRY)
def test_run__masked_equals_clear_sums(public: Path, kind: type[Analysis]) -> None:
    results = {name: run_once(public, kind, name) for name in ("none", "trusted", "masked")}
    masked = results["masked"]
    for name in ("none", "trusted"):
        assert masked.n_rounds == results[name].n_rounds
        assert_close(finished(masked), finished(results[name]), 1e-9)


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=REGISTRY)
def test_run__masked_equals_one_site_that_holds_everybody(
    public: Path, kind: type[Analysis]
) -> None:
    case, of = example(kind), np.repeat(np.arange(4), SIZES)
    levels = tuple(f"site{i}" for i in range(4))
    together = Example(case.analysis.pooled("site", levels), case.panel)
    whole = with_site(dataset(PEOPLE), of, getattr(case.analysis, "strata", ""))
    _, pooled, _ = run_over(together, [whole])
    result = run_once(public, kind, "masked").dataset
    own = {d: result[d] for d in ("terms", "terms_2") if d in result.coords and d in pooled.dims}
    pooled = pooled.sel(own)
    numbers = [n for n in pooled.data_vars if n in result and pooled[n].dtype != object]
    names = [n for n in numbers if n != "log_likelihood_null"]  # the null model is another
    assert len(names) > 1
    assert_close(result[names], pooled[names], 1e-8)


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=REGISTRY)
def test_run__masked_shows_what_a_processor_may(personal: Path, kind: type[Analysis]) -> None:
    """The pool is judged by the same rules, whoever adds it up; of models all stands or falls."""
    found = {}
    for name in ("trusted", "masked"):
        forget(personal)
        found[name] = run(personal, kind, name)
    assert_close(finished(found["masked"]), finished(found["trusted"]), 1e-9)
    hidden = [v for n, v in found["masked"].dataset.items() if str(n).endswith("_pool_hidden")]
    assert any((v > 0).any() for v in hidden) == (kind.kind != "model")


# --- who is counted ---


def n_women_and_men(file: Path, aggregator: str) -> int:
    with Federation.open(file) as federation:
        result = federation.run(SEX, purpose=PURPOSE, aggregator=aggregator)
    counts = result.to_dataframe("summary").set_index("level")["count"]
    return int(counts[["female", "male"]].sum())


@pytest.mark.parametrize(
    ("compared", "trusted", "masked"),
    [(0, 120, 122), (10, 120, 120)],
    ids=["without a ledger", "recommended"],
)
def test_run__fewer_than_k_people_at_a_site(
    tmp_path: Path, compared: int, trusted: int, masked: int
) -> None:
    """Under masks one or two could be counted, which a processor leaves out.

    But the ledger answers on nobody in place of fewer people than it compares by.
    """
    settings = {"min_cohort_difference": compared}
    file = make_masked(tmp_path, (40, 40, 40, 2), settings=settings)
    assert n_women_and_men(file, "trusted") == trusted
    forget(file)
    assert n_women_and_men(file, "masked") == masked


def test_run__says_that_membership_may_differ(personal: Path) -> None:
    forget(personal)
    asked = Asked.of(personal, SEX)
    asked.answer()
    for release in asked.releases.values():
        assert release.header["membership"] == "may differ by fewer than 10 people"
        assert release.findings == ()
        assert set(release.arrays) == {"masked"}


def test_run__of_people_who_may_be_counted_twice_totals_need_twice_as_many(personal: Path) -> None:
    ages = CohortSummary(fields=(SummaryField(field="age_at_diagnosis", edges=(45.0, 50.0, 55.0)),))
    shown, text = {}, personal.read_text(encoding="utf-8")
    for overlap in ("excluded", "unknown"):
        forget(personal)
        file = personal.with_name(f"{overlap}.toml")
        said = text.replace('overlap = "excluded"', f'overlap = "{overlap}"')
        file.write_text(
            said.replace('"federation.key"', f'"{personal.stem}.key"'), encoding="utf-8"
        )
        with Federation.open(file) as federation:
            found = federation.run(ages, purpose=PURPOSE, aggregator="trusted")
        shown[overlap] = found.to_dataframe("summary").set_index("level")["count"].dropna()
        membership = {outcome.membership for outcome in found.outcomes}
        assert membership == {"may differ by fewer than 10 people"}
    assert 10 <= shown["excluded"][shown["excluded"] > 0].min() < 20
    assert (shown["unknown"] >= 20).all()
    assert len(shown["unknown"]) >= 1


# --- one way of giving ---


@pytest.mark.parametrize(("first", "then"), [("none", "masked"), ("masked", "trusted")])
def test_run__a_summand_is_given_in_one_way(personal: Path, first: str, then: str) -> None:
    forget(personal)
    with Federation.open(personal) as federation:
        federation.run(SEX, purpose=PURPOSE, aggregator=first)
        with pytest.raises(Refused, match=f'one_roster; .*ask with aggregator = "{first}"'):
            federation.run(SEX, purpose=PURPOSE, aggregator=then)
        federation.run(SEX, purpose=PURPOSE, aggregator=first)


def test_run__public_sites_remember_no_way(public: Path) -> None:
    for aggregator in ("none", "masked", "trusted", "none"):
        assert n_women_and_men(public, aggregator) == sum(SIZES)
    assert given(site_of(public, "a").ledger) == []
