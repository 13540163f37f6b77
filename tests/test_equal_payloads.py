"""Two stores that differ in one person: refusals of equal bytes, releases of equal length."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucan_dask import message, wire
from eucan_dask.cohort import Cohort
from eucan_dask.keys import exchange_key, public_hex
from eucan_dask.partial import Finding, Release
from eucan_dask.registry import registry
from eucan_dask.request import Request, Roster
from eucan_dask.rules import RULES, coarse
from eucan_dask.site import Site
from eucan_dask.testing.data import People, people
from eucan_dask.versions import code_digest
from tests.asking import KEY, encoded
from tests.simulated import edit, make_site

REGISTRY = registry()
N = 120


def without(some: People, who: str) -> People:
    """The same people, all but one."""
    rows = some.clinical["individual_id"] != who
    samples = some.clinical.loc[~rows, "sample_id"]
    return dataclasses.replace(
        some,
        clinical=some.clinical[rows].reset_index(drop=True),
        mutations=some.mutations[~some.mutations["sample_id"].isin(samples)].reset_index(drop=True),
        sample_assay={s: a for s, a in some.sample_assay.items() if s not in set(samples)},
        calls=some.calls.drop(index=samples, errors="ignore"),
    )


def changed(some: People, who: str) -> People:
    """The same people, one of whom is older, of the other sex, alive and unmutated."""
    clinical = some.clinical.copy()
    rows = clinical["individual_id"] == who
    clinical.loc[rows, "age_at_diagnosis"] = 99.0
    clinical.loc[rows, "sex"] = np.where(clinical.loc[rows, "sex"] == "male", "female", "male")
    clinical.loc[rows, "overall_survival_event"] = 0
    clinical.loc[rows, "body_mass_index"] = 60.0
    samples = clinical.loc[rows, "sample_id"]
    mutations = some.mutations[~some.mutations["sample_id"].isin(samples)].reset_index(drop=True)
    calls = some.calls.copy()
    calls.loc[calls.index.isin(samples)] = 2
    return dataclasses.replace(some, clinical=clinical, mutations=mutations, calls=calls)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same centre thrice: as it is, one person changed, one person gone; under one key."""
    root = tmp_path_factory.mktemp("twins")
    some = people(N, seed=8, centre="x", hazard=0.0003)
    who = str(some.clinical["individual_id"].iloc[3])
    settings = {"controlled_aggregators": '["none"]'}
    made = [
        make_site(
            root / f"{i}", "a", twin, data_class="personal", settings=settings, genotypes=True
        )
        for i, twin in enumerate((some, changed(some, who), without(some, who)))
    ]
    for other in made[1:]:
        shutil.rmtree(other / "keys")
        shutil.copytree(made[0] / "keys", other / "keys")
    return made


def request_of(name: str, **changes: Any) -> Request:
    analysis, panel = REGISTRY[name].example()
    asked = Request(
        run="r",
        analysis=analysis,
        panel=panel,
        cohorts=(Cohort("everybody"),),
        purpose="DUO:0000006",
        roster=Roster(("a",)),
        code_digest=code_digest(),
        tier="controlled",
    )
    return dataclasses.replace(asked, **changes)


def answers(sites: list[Path], request: Request, policy: dict[str, object]) -> list[bytes]:
    """What each twin answers, its ledger empty."""
    found = []
    for site in sites:
        kept = (site / "policy.toml").read_text()
        shutil.rmtree(site / "node", ignore_errors=True)
        edit(site / "policy.toml", policy)
        try:
            found.append(Site(site).answer(encoded(request)))
        finally:
            (site / "policy.toml").write_text(kept)
    return found


LAX: dict[str, object] = {
    "min_individuals": 1,
    "min_cell": 0,
    "max_parameter_ratio": 100.0,
    "min_residual_dof": 0,
}
POLICIES: dict[str, dict[str, object]] = {
    "recommended": {},
    "lax": LAX,
    "strict": {"min_individuals": 1000, "min_cell": 1000},
    "few rounds": {"max_rounds": 0},
    "few bytes": {"max_bytes": 1},
}


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_answer__tells_nothing_by_its_length(sites: list[Path], name: str, policy: str) -> None:
    raws = answers(sites, request_of(name), POLICIES[policy])
    statuses = {message.read_header(raw)["status"] for raw in raws}
    if statuses == {"released"}:
        assert len({len(raw) for raw in raws}) == 1
        assert len({str(message.read_header(raw)["arrays"]) for raw in raws}) == 1
    else:
        assert statuses == {"refused"}, "one person decides here: choose other people"
        assert len(set(raws)) == 1, "signatures included: the key is the same, and Ed25519 is fixed"


def test_answer__both_kinds_were_seen(sites: list[Path]) -> None:
    """The test above looks at refusals and at releases, with and without hidden cells."""
    found: dict[str, set[str]] = {}
    for policy in ("recommended", "lax", "strict"):
        for name in REGISTRY:
            header = message.read_header(answers(sites[:1], request_of(name), POLICIES[policy])[0])
            kind = "hides" if header["findings"] else "shows"
            found.setdefault(policy, set()).add(f"{header['status']}, {kind}")
    assert found["lax"] == {"released, shows"}
    assert "released, hides" in found["recommended"]
    assert found["strict"] == {"released, hides", "refused, hides"}


def test_answer__a_question_nobody_can_answer(sites: list[Path]) -> None:
    lost = request_of("cohort_summary", complete=("shoe_size",))
    raws = answers(sites, lost, {})
    assert {message.read_header(raw)["status"] for raw in raws} == {"invalid"}
    assert len(set(raws)) == 1


@pytest.mark.parametrize("name", sorted(REGISTRY))
@pytest.mark.parametrize("aggregator", ["none", "trusted"])
def test_encode_release__as_long_however_much_is_hidden(name: str, aggregator: str) -> None:
    """No finding and all there can be; a second and a week; one task and millions."""
    reply = public_hex(exchange_key(KEY, "reply").public_key())
    request = request_of(name, roster=Roster(("a",), aggregator), reply_key=reply)
    arrays = {
        spec.name: np.zeros(spec.shape(request.coords), spec.dtype)
        for spec in request.analysis.yields
        if spec.kind in ("count", "sum")
    }
    most = tuple(
        Finding(rule.__name__, record.name, 10.0, coarse(10**18), "words " * 12)
        for record in request.analysis.records
        for rule in RULES
    )
    few = {"freeze": "f" * 64, "data_class": "personal", "n_tasks": 1, "seconds": 0}
    many = {**few, "n_tasks": 10**7, "seconds": 600_000}
    lengths = {
        len(_encoded(request, arrays, findings, header))
        for findings in ((), most[:1], most)
        for header in (few, many)
    }
    assert len(lengths) == 1


def _encoded(
    request: Request, arrays: Any, findings: tuple[Finding, ...], header: dict[str, Any]
) -> bytes:
    out = Release(
        "a", "r", 0, request.analysis.name, "released", arrays, findings=findings, header=header
    )
    return wire.encode_release(out, KEY, digest="0" * 64, request=request)


@pytest.mark.parametrize("rule", ["min_individuals", "one_shape", "a_rule_of_a_longer_name"])
def test_encode_release__refusals_are_as_long_as_each_other(rule: str) -> None:
    request = request_of("survival")
    lengths = set()
    for message_ in ("", "widen the cohort, or leave this site out", "w" * 400):
        out = Release(
            "a", "r", 0, "survival", "refused", findings=(Finding(rule, message=message_),)
        )
        lengths.add(len(wire.encode_release(out, KEY, digest="0" * 64, request=request)))
    assert len(lengths) == 1
