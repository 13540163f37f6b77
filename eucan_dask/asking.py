"""What a request asks of the ledger: whom, of which sums, at what cost, under which policy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eucan_dask.accounts import Budget
from eucan_dask.analysis import parameters
from eucan_dask.exposure import charges, genes, numbers
from eucan_dask.ledger import Ask
from eucan_dask.partial import Partial, Release
from eucan_dask.policy import TIERS, Policy
from eucan_dask.request import Request
from eucan_dask.transcript import Evaluation
from eucan_dask.ways import Way

__all__ = ["asking", "costs", "membership_note"]


def asking(
    request: Request,
    policy: Policy,
    *,
    individuals: Sequence[str],
    criteria: NDArray[np.bool_],
    eligible: NDArray[np.bool_],
    classifications: Sequence[NDArray[np.int64]] = (),
    asker: str = "",
    freeze: str = "",
) -> Ask:
    """What the ledger is asked about the data of a freeze; parameters as of `Ask`."""
    analysis, thresholds = request.analysis, policy.thresholds
    return Ask(
        individuals=individuals,
        criteria=criteria,
        eligible=eligible,
        definitions=tuple(cohort.criteria for cohort in request.cohorts),
        scope=json.dumps([analysis.needs(), request.complete]),
        summands=analysis.summands(request.panel),
        least=thresholds.min_cohort_difference,
        # Where sites do not hide small cohorts, these are compared and remembered as well.
        smallest=thresholds.min_individuals if request.roster.aggregator == "none" else 1,
        classifications=tuple(classifications),
        asker=asker,
        max_refusals=policy.max_refusals,
        budget=None if policy.public else _budget(request, policy),
        way=None if policy.public else Way.of(request.roster.aggregator, request.roster.sites),
        evaluation=None if policy.public else _evaluation(request, freeze),
    )


def costs(
    request: Request, policy: Policy, partial: Partial, release: Release, used: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What a release says of each person of each cohort: `exposure.charges`.

    Under `none` priced by what the gate shows; under other aggregators the site does not know what
    the pool will show, so all of it.
    """
    hidden = None
    if request.roster.aggregator == "none":
        hidden = {r.name: release.arrays[f"{r.name}_hidden"] for r in request.analysis.records}
    return charges(
        request.analysis,
        request.panel,
        partial.dataset,
        hidden=hidden,
        cohort_n=used.sum(axis=0, dtype=np.int64),
        min_carriers=policy.thresholds.min_carriers,
    )


def _budget(request: Request, policy: Policy) -> Budget | None:
    """What its numbers about variants and genes may cost; None where it tells none."""
    analysis, panel = request.analysis, request.panel
    told = numbers(analysis, panel) * len(panel.variants)
    counts = genes(analysis, panel)
    if not told and not counts:
        return None
    question = [analysis.name, analysis.version, parameters(analysis), panel.to_json()]
    return Budget(
        tier=request.tier,
        cap=policy.max_exposure[request.tier],
        question=json.dumps(question, sort_keys=True),
        above={tier: policy.max_exposure[tier] for tier in TIERS[TIERS.index(request.tier) + 1 :]},
        told=told,
        genes=counts,
        floor=max(policy.thresholds.min_carriers, 1),
    )


def _evaluation(request: Request, freeze: str) -> Evaluation | None:
    """What the state of a fit costs; None where there is no model.

    Nor where missing dosages are imputed: only that depends on the state, and `one_mean` looks at
    it. What says when to stop is left out, as an honest fit asked again is the same.
    """
    analysis, roster = request.analysis, request.roster
    p = analysis.n_parameters(request.panel)
    if not p or analysis.imputes:
        return None
    given = {n: v for n, v in parameters(analysis).items() if n not in analysis.stopping}
    together = roster.aggregator != "none"
    sites = roster.sites if together else ()
    digest = hashlib.sha256()
    for name, values in sorted((request.state() or {}).items()):
        digest.update(f"{name} {values.dtype.str} {values.shape} ".encode() + values.tobytes())
    about = [analysis.name, analysis.version, given, request.panel.to_json(), freeze]
    place = [*about, roster.aggregator, sites, digest.hexdigest()]
    return Evaluation(
        place=json.dumps(place, sort_keys=True),
        numbers=p * (p + 3) / 2,
        n_sites=len(roster) if together else 1,
    )


def membership_note(policy: Policy) -> dict[str, str]:
    """The words beside every answer: the same whether it was given on other people or not."""
    k = policy.thresholds.min_cohort_difference
    return {"membership": f"may differ by fewer than {k} people"} if k > 1 else {}
