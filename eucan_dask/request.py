"""One question as it travels: analysis, panel, cohorts, purpose, roster and the rounds so far."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask import config
from eucan_dask.analysis import Analysis, IterativeAnalysis, State, check_cohorts, parameters
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid, unknown
from eucan_dask.mask_keys import MaskKey, read_mask_keys
from eucan_dask.panel import Panel
from eucan_dask.partial import Coords
from eucan_dask.pool_thresholds import Pool, read_pool
from eucan_dask.registry import find, load

__all__ = ["AGGREGATORS", "Request", "Roster", "history_digests"]

AGGREGATORS = ("none", "trusted", "masked")
Totals = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Roster:
    """The sites of one run, frozen at round 0, and who adds them up: part of the run's hash.

    Parameters
    ----------
    sites
        Names of the sites asked, sorted, each once.
    aggregator
        "none" (the analyst), "trusted" (a processor that keeps nothing) or "masked" (nobody).
    """

    sites: tuple[str, ...]
    aggregator: str = "none"

    def __post_init__(self) -> None:
        if not self.sites or list(self.sites) != sorted(set(self.sites)):
            raise Invalid("a roster names sites in order, each once", found=self.sites)
        if self.aggregator not in AGGREGATORS:
            raise unknown("aggregator", self.aggregator, AGGREGATORS, where="roster")

    def __contains__(self, site: object) -> bool:
        return site in self.sites

    def __len__(self) -> int:
        return len(self.sites)

    def keep(self, sites: Iterable[str]) -> Roster:
        """The roster of those that are left."""
        return replace(self, sites=tuple(sorted(sites)))


@dataclass(frozen=True, repr=False, eq=False)
class Request:
    """One round of one question.

    Parameters
    ----------
    run
        Identifier of the run; with the roster it binds every round and release.
    analysis, panel, cohorts
        What is asked, and the shape of the answer.
    complete
        Fields that must be known for a person to take part, beyond what the analysis needs.
    purpose
        A DUO code.
    roster
        The sites asked and who adds them up.
    n_blocks
        Blocks of variants the whole run asks for; this is one of them, and its run is named
        `<run>-<block>`.
    history
        Totals of the rounds before this one: a site replays the state from them.
    pool
        What the pool is judged by, where not every site judges for itself: with any aggregator
        but "none".
    mask_keys
        The key each site of the roster masks with, signed by it: with "masked".
    asker
        The public key that signed the request; filled in where it is decoded.
    reply_key
        The public key that sealed answers are for; filled in where it is encoded.
    """

    run: str
    analysis: Analysis
    panel: Panel
    cohorts: tuple[Cohort, ...]
    purpose: str
    roster: Roster
    tier: str = "open"
    complete: tuple[str, ...] = ()
    round: int = 0
    code_digest: str = ""
    n_blocks: int = 1
    history: tuple[Totals, ...] = field(default=())
    pool: Pool = field(default_factory=dict)
    mask_keys: Mapping[str, MaskKey] = field(default_factory=dict)
    asker: str = ""
    reply_key: str = ""

    def __post_init__(self) -> None:
        check_cohorts(self.analysis, self.cohorts)
        self.analysis.check(self.panel)
        if self.n_blocks < 1:
            raise Invalid("a run has no block", where="request.n_blocks", found=self.n_blocks)
        if self.round != len(self.history):
            raise Invalid("rounds and history differ", where="request", found=self.round)

    def __repr__(self) -> str:
        return f"Request({self.analysis.name!r}, run {self.run!r}, round {self.round})"

    @property
    def coords(self) -> Coords:
        """Labels of every dimension of the answer."""
        labels = tuple(cohort.label for cohort in self.cohorts)
        return self.analysis.coords(self.panel, labels)

    def header(self) -> dict[str, Any]:
        """The question as plain values, without the rounds so far."""
        return {
            "run": self.run,
            "analysis": self.analysis.name,
            "version": self.analysis.version,
            "parameters": parameters(self.analysis),
            "panel": self.panel.to_json(),
            "cohorts": [{"label": c.label, "criteria": c.tree} for c in self.cohorts],
            "complete": list(self.complete),
            "purpose": self.purpose,
            "tier": self.tier,
            "aggregator": self.roster.aggregator,
            "roster": list(self.roster.sites),
            "code_digest": self.code_digest,
            "n_blocks": self.n_blocks,
            "pool": dict(self.pool),
            "mask_keys": {name: list(pair) for name, pair in self.mask_keys.items()},
            "reply_key": self.reply_key,
        }

    @classmethod
    def from_header(cls, header: Mapping[str, Any], history: tuple[Totals, ...]) -> Request:
        """The request that `header` and the rounds so far describe.

        Raises
        ------
        Invalid
            For unknown keys, an unknown analysis or another version of it.
        """
        text, names = config.Key(str), config.Key(list)
        values = config.check(
            header,
            {
                **dict.fromkeys(("run", "analysis", "purpose", "tier", "code_digest"), text),
                "reply_key": text,
                "aggregator": config.Key(str, choices=AGGREGATORS),
                **dict.fromkeys(("version", "n_blocks"), config.Key(int)),
                **dict.fromkeys(("parameters", "panel", "pool", "mask_keys"), config.Key(dict)),
                **dict.fromkeys(("cohorts", "complete", "roster"), names),
            },
            where="request",
        )
        kind = find(values["analysis"], where="request")
        if kind.version != values["version"]:
            raise Invalid(
                f"{kind.name} has another version here",
                where="request",
                expected=kind.version,
                found=values["version"],
                remedy="install the same eucan-dask at every site",
            )
        roster = Roster(tuple(map(str, values["roster"])), values["aggregator"])
        pool, mask_keys = _of_aggregator(roster, values["pool"], values["mask_keys"])
        keys = {"label": config.Key(str), "criteria": config.Key(dict)}
        cohorts = [config.check(c, keys, where="request.cohorts") for c in values["cohorts"]]
        return cls(
            run=values["run"],
            analysis=load(kind.name, values["parameters"], where="request"),
            panel=Panel.from_json(values["panel"]),
            cohorts=tuple(Cohort.of(c["label"], c["criteria"]) for c in cohorts),
            purpose=values["purpose"],
            roster=roster,
            tier=values["tier"],
            complete=tuple(map(str, values["complete"])),
            round=len(history),
            code_digest=values["code_digest"],
            n_blocks=values["n_blocks"],
            history=history,
            pool=pool,
            mask_keys=mask_keys,
            reply_key=values["reply_key"],
        )

    @property
    def question(self) -> str:
        """Digest of the question: the same in every round, and whoever asks."""
        table = {name: value for name, value in self.header().items() if name != "reply_key"}
        text = json.dumps(table, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def next_round(self, totals: Totals) -> Request:
        """The next round, its history extended by the totals of this one."""
        return replace(self, round=self.round + 1, history=(*self.history, totals))

    def keep(self, sites: Iterable[str]) -> Request:
        """The first round again, for those sites of the roster that are left."""
        roster = self.roster.keep(sites)
        masks = {name: pair for name, pair in self.mask_keys.items() if name in roster}
        return replace(self, roster=roster, mask_keys=masks, round=0, history=())

    def total(self, totals: Totals) -> xr.Dataset:
        """Totals of a round as `update` takes them, without labels."""
        leaving = [spec for spec in self.analysis.yields if spec.leaves]
        return xr.Dataset({s.name: (s.dims, np.asarray(totals[s.name])) for s in leaving})

    def state(self) -> State | None:
        """The state of this round, replayed from the history; None if there are no rounds."""
        if not isinstance(self.analysis, IterativeAnalysis):
            return None
        state = self.analysis.start(self.panel)
        for totals in self.history:
            state = self.analysis.update(state, self.total(totals))
        return state


def _of_aggregator(
    roster: Roster, pool: Mapping[str, object], mask_keys: Mapping[str, object]
) -> tuple[Pool, Mapping[str, MaskKey]]:
    """What comes with an aggregator: the pool's thresholds, the keys of masks, or neither."""
    masked = roster.sites if roster.aggregator == "masked" else ()
    if roster.aggregator == "none":
        if pool:
            raise Invalid("names thresholds of a pool nobody else judges", where="request.pool")
        return {}, read_mask_keys(mask_keys, masked)
    return read_pool(pool), read_mask_keys(mask_keys, masked)


def history_digests(request: Request) -> tuple[str, ...]:
    """A hash chain over the rounds so far: each digest covers the question and all before it."""
    digest, chain = request.question, []
    for totals in request.history:
        state = hashlib.sha256(digest.encode())
        for name in sorted(totals):
            state.update(name.encode() + np.ascontiguousarray(totals[name]).tobytes())
        digest = state.hexdigest()
        chain.append(digest)
    return tuple(chain)
