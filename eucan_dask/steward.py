"""What the steward reads of the ledger: releases, families, exposure, refusals, rosters."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from eucan_dask.accounts import exposures
from eucan_dask.families import read_set, read_span
from eucan_dask.ledger import TOLD, Ledger
from eucan_dask.policy import TIERS, Policy
from eucan_dask.ways import ways

__all__ = ["about_person", "exposure_table", "families", "given", "refusals"]

Rows = list[dict[str, Any]]


def families(ledger: Ledger, policy: Policy) -> Rows:
    """For each summand, memberships released and the largest leverage, against its limit."""
    limit = 1 / max(policy.thresholds.min_cohort_difference - 1, 1)
    rows = []
    with ledger.vault.open() as box:
        n = ledger.people.count(box)
        for name in sorted(raw.decode() for raw in box.all("family")):
            span = read_span(box, name, n)
            largest = float(span.leverage.max(initial=0))
            rows.append({"summand": name, "rank": span.rank, "largest": largest, "limit": limit})
    return rows


def exposure_table(ledger: Ledger, policy: Policy) -> Rows:
    """For each tier, the largest and the middle exposure of those who have any."""
    rows = []
    with ledger.vault.open() as box:
        n = ledger.people.count(box)
        for tier in TIERS:
            held = exposures(box, tier, n)
            some = held[held > 0]
            rows.append(
                {
                    "tier": tier,
                    "n_individuals": some.size,
                    "largest": float(some.max(initial=0)),
                    "median": float(np.median(some)) if some.size else 0.0,
                    "limit": policy.max_exposure[tier],
                }
            )
    return rows


def refusals(ledger: Ledger, policy: Policy) -> Rows:
    """How often who was refused for coming too near."""
    with ledger.vault.open() as box:
        found = [json.loads(raw) for raw in box.all("refusals")]
    rows = [{**row, "limit": policy.max_refusals} for row in found]
    return sorted(rows, key=lambda row: str(row["asker"]))


def given(ledger: Ledger) -> Rows:
    """How each summand is given: with which aggregator and, where opened, together with whom."""
    with ledger.vault.open() as box:
        found = ways(box)
    return [
        {"summand": name, "aggregator": way.aggregator, "sites": ", ".join(way.sites)}
        for name, way in found.items()
    ]


def about_person(ledger: Ledger, individual: str) -> tuple[Rows, dict[str, float]]:
    """The releases that rest on a person among others, and their exposure by tier."""
    with ledger.vault.open() as box:
        row, n = ledger.people.find(box, individual), ledger.people.count(box)
        if row is None:
            return [], dict.fromkeys(TIERS, 0.0)
        found = [json.loads(raw) for raw in box.items("releases", b"")]
        sets = {r["members"]: read_set(box, bytes.fromhex(r["members"]), n) for r in found}
        held = {tier: float(exposures(box, tier, n)[row]) for tier in TIERS}
    told = [{name: r[name] for name in TOLD} for r in found if sets[r["members"]][row]]
    return told, held
