"""What a question about variants costs at a site; above the cap nothing is worked out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.clusters import Cluster
from eucan_dask.cohort import Cohort
from eucan_dask.panel import Panel
from eucan_dask.partial import Release
from eucan_dask.request import Request, Roster
from eucan_dask.site import Site
from eucan_dask.steward import about_person, exposure_table
from eucan_dask.testing.data import people
from eucan_dask.versions import code_digest
from tests.asking import put
from tests.simulated import edit, make_site

VARIANTS = ("1:1000:A:G", "1:3000:C:T", "7:123:A:C")


PEOPLE = people(300, seed=4, missing=0.02, second_biosample=0)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """300 people under the recommended policy, but for the tier of frequencies."""
    settings = {"variant_counts": '"open"', "controlled_aggregators": '["none"]'}
    return Site(make_site(tmp_path, "a", PEOPLE, settings=settings, genotypes=True))


def price(*variants: str) -> float:
    """Two numbers over half the rarer alleles, or one over the rarest genotype, what is more."""
    total = 0.0
    for variant in variants:
        calls = PEOPLE.calls[variant]
        genotypes = calls[calls >= 0].value_counts()
        assert genotypes.min() >= 10  # nothing is hidden
        alleles = calls[calls >= 0].sum()
        rarer = min(alleles, 2 * (calls >= 0).sum() - alleles)
        total += max(2 / (rarer // 2), 1 / genotypes.min())
    return total


def answered(site: Site, *variants: str, run: str, tier: str = "open") -> Release:
    request = Request(
        run=run,
        analysis=AlleleFrequency(),
        panel=Panel(variants=variants),
        cohorts=(Cohort("everybody"),),
        purpose="DUO:0000006",
        roster=Roster(("a",)),
        tier=tier,
        code_digest=code_digest(),
    )
    return put(site, request)


def spent(site: Site) -> list[float]:
    return [row["largest"] for row in exposure_table(site.ledger, site.policy)]


def test_answer__is_charged_to_its_tier_and_once(site: Site) -> None:
    for run in ("r1", "r2"):
        assert answered(site, *VARIANTS, run=run).status == "released"
    assert spent(site) == pytest.approx([price(*VARIANTS)] * 3)
    assert answered(site, *VARIANTS[:2], run="r3", tier="controlled").status == "released"
    both = price(*VARIANTS) + price(*VARIANTS[:2])  # who sees the upper tier sees the lower ones
    assert spent(site) == pytest.approx([price(*VARIANTS), price(*VARIANTS), both])
    person = str(site.store.dataset()["individual_id"].values[0])
    assert about_person(site.ledger, person)[1]["open"] == pytest.approx(price(*VARIANTS))


def test_answer__blocks_of_a_run_are_charged_one_by_one(site: Site) -> None:
    for block, variant in enumerate(VARIANTS):
        assert answered(site, variant, run=f"r-{block:06d}").status == "released"
    assert spent(site)[0] == pytest.approx(price(*VARIANTS))


def test_answer__above_the_cap_nothing_is_worked_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(site.directory / "policy.toml", {"open": price(*VARIANTS) + 0.01})
    again = Site(site.directory)
    assert answered(again, *VARIANTS, run="r1").status == "released"

    def fails(self: Cluster, *_: Any) -> Any:
        raise AssertionError("something was computed")

    monkeypatch.setattr(Cluster, "sum", fails)
    found = answered(again, "X:70000000:T:C", run="r2")
    assert [f.rule for f in found.findings] == ["max_exposure"]
    assert spent(again)[0] == pytest.approx(price(*VARIANTS))


def test_answer__a_public_policy_charges_nothing(tmp_path: Path) -> None:
    simulated = people(40, seed=4, second_biosample=0)
    public = Site(make_site(tmp_path, "a", simulated, policy="public", genotypes=True))
    assert answered(public, *VARIANTS, run="r1").status == "released"
    assert spent(public) == [0, 0, 0]
