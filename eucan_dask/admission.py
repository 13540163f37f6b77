"""What a policy lets in: looked at before any data are read."""

from __future__ import annotations

import numpy as np

from eucan_dask.analysis import Analysis
from eucan_dask.errors import Refused
from eucan_dask.exposure import numbers
from eucan_dask.panel import Panel
from eucan_dask.policy import TIERS, Policy
from eucan_dask.pool_thresholds import laxer
from eucan_dask.request import Request
from eucan_dask.versions import code_digest

__all__ = ["allowed"]


def allowed(request: Request, policy: Policy, site: str) -> None:
    """Refuse what the policy does not allow, before any data are read.

    Raises
    ------
    Refused
        Naming the rule and what would be allowed.
    """
    if site not in request.roster:
        raise Refused("roster", "name this site in the federation file")
    if request.code_digest != code_digest():
        raise Refused("code_digest", "install the same eucan-dask everywhere")
    name, kind = request.analysis.name, request.analysis.kind
    if "*" not in policy.analyses and name not in policy.analyses:
        raise Refused("allow.analyses", f"ask the steward to allow {name}")
    if request.purpose not in policy.purposes:
        raise Refused("allow.purposes", f"purposes allowed: {', '.join(policy.purposes)}")
    if request.tier not in policy.tiers:
        raise Refused("allow.tiers", f"tiers allowed: {', '.join(policy.tiers)}")
    if request.roster.aggregator not in policy.aggregators:
        raise Refused("allow.aggregators", f"allowed: {', '.join(policy.aggregators)}")
    if request.roster.aggregator != "none" and laxer(request.pool, policy.thresholds):
        raise Refused("pool_thresholds", "judge the pool as strictly as each site its own answers")
    least = dict(policy.kind_tier).get(kind)
    if least is None:
        raise Refused("tiers", f"the policy sets no tier for a {kind}")
    if TIERS.index(request.tier) < TIERS.index(least):
        raise Refused("tiers", f"a {kind} needs tier {least}")
    if request.tier == "controlled" and numbers(request.analysis, request.panel):
        _check_aggregator(request, policy)
    if request.n_blocks > policy.max_blocks:
        raise Refused("max_blocks", "ask for fewer variants")
    if request.round >= policy.max_rounds:
        raise Refused("max_rounds", "use fewer rounds")
    _wide_enough(request.analysis, request.panel, policy.min_grid_days)


def _check_aggregator(request: Request, policy: Policy) -> None:
    """What is treated as personal data leaves only in sums that no analyst sees site by site."""
    if request.roster.aggregator not in policy.controlled_aggregators:
        chosen = ", ".join(policy.controlled_aggregators) or "none at all"
        raise Refused("tiers", f"in tier controlled numbers of variants need aggregator: {chosen}")


def _wide_enough(analysis: Analysis, panel: Panel, least: float) -> None:
    uses_grid = any("times" in spec.dims for spec in analysis.yields)
    if uses_grid and len(panel.times) > 1 and min(np.diff(panel.times)) < least:
        raise Refused("min_grid_days", f"use a grid of at least {least:g} days a step")
