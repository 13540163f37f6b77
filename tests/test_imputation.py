"""Missing dosages at a mean from outside: bounded, and only one for the same people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.cohort import Cohort
from eucan_dask.panel import Panel
from eucan_dask.partial import Hidden, Release
from eucan_dask.request import Request, Roster
from eucan_dask.site import Site
from eucan_dask.terms import Term
from eucan_dask.testing.data import people
from eucan_dask.versions import code_digest
from tests.asking import put
from tests.simulated import make_site

BODY_MASS = LinearAssociation(traits=(Term(field="body_mass_index"),))
FEW, NONE = "1:3000:C:T", "7:123:A:C"  # some lack a call of the first; nobody of the second


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """300 people under the recommended policy."""
    simulated = people(300, seed=4, missing=0.02, second_biosample=0)
    simulated.calls[NONE] = simulated.calls[NONE].clip(lower=0)
    path = make_site(
        tmp_path,
        "a",
        simulated,
        data_class="personal",
        settings={"controlled_aggregators": '["none"]'},
        genotypes=True,
    )
    return Site(path)


def answered(site: Site, factor: float, *, run: str) -> Release:
    """The second round, its means `factor` times those of the site."""
    request = Request(
        run=run,
        analysis=BODY_MASS,
        panel=Panel(variants=(FEW, NONE)),
        cohorts=(Cohort("everybody"),),
        purpose="DUO:0000006",
        tier="controlled",
        roster=Roster(("a",)),
        code_digest=code_digest(),
    )
    first = put(site, request)
    assert first.status == "released", first.findings
    totals = {n: v for n, v in first.arrays.items() if not n.endswith("_hidden")}
    missing = totals["n_individuals"] - totals["variant_n_called"]
    assert 1 <= missing[0] < 10
    assert missing[1] == 0
    totals["variant_dosage"] = totals["variant_dosage"] * factor
    again = request.next_round(totals)
    return put(site, again)


def hidden(release: Release) -> list[int]:
    assert release.status == "released", release.findings
    return list(map(int, release.arrays["association_hidden"]))


def test_answer__another_mean_hides_a_variant_few_lack(site: Site) -> None:
    first = answered(site, 1.0, run="r1")
    assert hidden(first) == [Hidden.SHOWN, Hidden.SHOWN]
    again = answered(site, 1.0, run="r2")
    np.testing.assert_array_equal(again.arrays["variant_trait"], first.arrays["variant_trait"])
    moved = answered(site, 0.999, run="r3")
    assert hidden(moved) == [Hidden.WHOLE, Hidden.SHOWN]  # nobody lacks a call of the second
    assert [f.rule for f in moved.findings] == ["one_mean"]
    assert not moved.arrays["variant_trait"][0].any()
    assert hidden(answered(site, 1.0, run="r4")) == [Hidden.SHOWN, Hidden.SHOWN]


def test_answer__the_mean_is_remembered_by_another_process(site: Site) -> None:
    answered(site, 1.0, run="r1")
    assert hidden(answered(Site(site.directory), 0.999, run="r2")) == [Hidden.WHOLE, Hidden.SHOWN]


@pytest.mark.parametrize("factor", [1e6, -1.0])
def test_answer__what_is_no_mean_of_dosages_is_refused(site: Site, factor: float) -> None:
    """At a huge mean the sums would be those of the people without a call alone."""
    release = answered(site, factor, run="r1")
    assert release.status == "refused"
    assert [f.rule for f in release.findings] == ["history"]
