"""A site: store, policy, cluster and ledger. `answer` is the only way anything leaves it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask import block, config, gate, wire
from eucan_dask.analysis import Analysis
from eucan_dask.asking import asking, membership_note
from eucan_dask.case import Case
from eucan_dask.clusters import Cluster, open_cluster
from eucan_dask.cohort import Cohort, known, membership
from eucan_dask.errors import Invalid, Refused, unknown
from eucan_dask.hello import encode_hello
from eucan_dask.imputation import Means
from eucan_dask.keys import derive, read_private
from eucan_dask.ledger import Entry, Ledger
from eucan_dask.panel import Panel
from eucan_dask.partial import Finding, Partial, Release, labelled
from eucan_dask.policy import TIERS, Policy
from eucan_dask.request import Request, history_digests
from eucan_dask.store.open import Store, open_store
from eucan_dask.versions import code_digest, package_versions

__all__ = ["AnalysisSet", "Site", "allowed", "analysis_set"]

FORMAT = 1
DATA = {"mutation_gene": "mutations", "sample_assay": "mutations", "sample_genotype": "genotypes"}


@dataclass(frozen=True)
class AnalysisSet:
    """Who answers: members by the criteria, and people used, both (individuals, cohorts).

    `eligible`, (individuals,), says whose needed fields are known.
    """

    question: tuple[object, ...]
    individuals: tuple[str, ...]
    criteria: NDArray[np.bool_]
    eligible: NDArray[np.bool_]
    used: NDArray[np.bool_]


class Site:
    """One centre.

    Parameters
    ----------
    directory
        Where `site.toml` lies.
    """

    def __init__(self, directory: Path | str, *, cluster: Cluster | None = None) -> None:
        self.directory = Path(directory)
        self._read(self.directory / "site.toml")
        self._cluster = cluster
        self._set: AnalysisSet | None = None

    def _read(self, path: Path) -> None:
        text = config.Key(str)
        table = config.check(
            config.read(path),
            {
                "format": config.Key(int),
                **dict.fromkeys(("name", "store", "policy", "node"), text),
                "mailbox": config.Key(str, default=""),
                "keys": config.Key(dict),
                "cluster": config.Key(dict),
            },
            where=str(path),
        )
        if table["format"] != FORMAT:
            raise Invalid("unknown format", where=path, expected=FORMAT, found=table["format"])
        keys = config.check(
            table["keys"], {"private": text, "public": text}, where=f"{path} [keys]"
        )
        self.name: str = table["name"]
        self.policy = Policy.read(self.directory / table["policy"])
        self._store_path = (self.directory / table["store"]).resolve()
        self._node: Path = self.directory / table["node"]
        named: str = table["mailbox"]
        self.mailbox: Path | None = self.directory / named if named else None
        self._cluster_table: Mapping[str, Any] = table["cluster"]
        self._key = read_private(self.directory / keys["private"])

    @cached_property
    def store(self) -> Store:
        """The store at its current freeze.

        Raises
        ------
        Invalid
            If its data are personal and the policy is the public one.
        """
        store = open_store(self._store_path)
        if store.manifest.data_class == "personal" and self.policy.public:
            raise Invalid(
                "a store of personal data cannot run a public policy",
                where=self.directory,
                remedy="run `eucan-dask site init --recommended`",
            )
        return store

    @property
    def node(self) -> Path:
        """The directory of what this site remembers; on its own disk."""
        self._node.mkdir(exist_ok=True)
        return self._node

    @cached_property
    def ledger(self) -> Ledger:
        """The memory of what was released."""
        return Ledger(self.node / "ledger.sqlite", derive(self._key, "ledger"))

    @property
    def cluster(self) -> Cluster:
        """The site's Dask, opened when first used."""
        if self._cluster is None:
            self._cluster = open_cluster(self._cluster_table, where=f"{self.name} [cluster]")
        return self._cluster

    def close(self) -> None:
        """Give the cluster back."""
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def hello(self) -> dict[str, Any]:
        """What may be told before any question: catalogue and versions; opens no cluster."""
        return {
            "site": self.name,
            "public_policy": self.policy.public,
            "versions": package_versions(),
            "code_digest": code_digest(),
            **self.store.catalogue(),
        }

    def signed_hello(self) -> bytes:
        """The hello as signed JSON."""
        return encode_hello(self.hello(), self._key)

    def answer(self, raw: bytes) -> bytes:
        """The signed release for a request as bytes. A refusal is a release without values."""
        request = wire.decode_request(raw)
        blank = Release(
            self.name, request.run, request.round, request.analysis.name, status="refused"
        )
        try:
            release = self._release(request, blank)
        except Refused as refusal:
            finding = Finding(refusal.rule, message=refusal.remedy)
            release = replace(blank, status="refused", findings=(finding,))
        except Invalid as mistake:
            finding = Finding("request", message=str(mistake))
            release = replace(blank, status="invalid", findings=(finding,))
        header = {**release.header, "request": wire.request_digest(raw)}
        return wire.encode_release(replace(release, header=header), self._key)

    def _release(self, request: Request, blank: Release) -> Release:
        start = time.perf_counter()
        allowed(request, self.policy, self.name)
        chain = (request.question, *history_digests(request))
        self.ledger.check_rounds(request.question, chain[1:])
        self.ledger.one_request(request.run, request.round, request.roster.sites, chain[-1])
        people = self._analysis_set(request)
        decision = self.ledger.decide(
            asking(
                request,
                self.policy,
                individuals=people.individuals,
                criteria=people.criteria,
                eligible=people.eligible,
            )
        )
        people = replace(people, used=decision.used)
        tasks = self.cluster.n_tasks
        partial = self._compute(request, people)
        means, ids = Means.of(request, partial, self.policy), people.individuals
        moved = None
        if means is not None:
            moved = means.among(self.ledger.moved_means(ids, people.used, means.few))
        case = Case(
            analysis=request.analysis,
            panel=request.panel,
            arrays=labelled(request.coords),
            cohort_n=people.used.sum(axis=0, dtype=np.int64),
            thresholds=self.policy.thresholds,
            aggregator=request.roster.aggregator,
            n_rounds=request.round + 1,
            public=self.policy.public,
            moved=moved,
        )
        header = {
            "freeze": self.store.manifest.digest,
            "data_class": self.store.manifest.data_class,
            **membership_note(self.policy),
            "n_tasks": self.cluster.n_tasks - tasks,
            "seconds": round(time.perf_counter() - start, 1),
        }
        release = gate.release(
            partial, policy=self.policy, case=case, template=replace(blank, header=header)
        )
        self.ledger.record(decision, self._entry(request))
        if means is not None:
            self.ledger.remember_means(ids, people.used, means.few)
        self.ledger.answered(request.question, request.round)
        return release

    def _analysis_set(self, request: Request) -> AnalysisSet:
        question = (request.analysis, request.cohorts, request.complete)  # the same in every block
        if self._set is None or self._set.question != question:
            self._set = analysis_set(self.store.dataset(), *question)
        return self._set

    def _compute(self, request: Request, people: AnalysisSet) -> Partial:
        """The partial, one pinned task a block, summed in a fixed tree on the site's cluster."""
        blocks = [
            (
                self._store_path,
                self.store.manifest.digest,
                request.analysis,
                request.panel,
                people.used,
                part,
                request.state(),
            )
            for part in block.plan(
                self.store, request.analysis, request.panel, len(people.individuals)
            )
        ]
        arrays = self.cluster.sum(block.compute, blocks)
        dims = {spec.name: spec.dims for spec in request.analysis.yields}
        undeclared = sorted(set(arrays) - set(dims))
        if undeclared:
            raise Invalid("the analysis returns what it does not declare", found=undeclared)
        return Partial(xr.Dataset({name: (dims[name], a) for name, a in arrays.items()}))

    def _entry(self, request: Request) -> Entry:
        return Entry(
            run=request.run.partition("-")[0],  # all blocks of a run are one
            analysis=request.analysis.name,
            freeze=self.store.manifest.digest,
            tier=request.tier,
        )


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
    if request.roster.aggregator != "none":
        raise Refused("aggregator", 'this version offers aggregator = "none"')
    least = dict(policy.kind_tier).get(kind)
    if least is None:
        raise Refused("tiers", f"the policy sets no tier for a {kind}")
    if TIERS.index(request.tier) < TIERS.index(least):
        raise Refused("tiers", f"a {kind} needs tier {least}")
    if request.n_blocks > policy.max_blocks:
        raise Refused("max_blocks", "ask for fewer variants")
    if request.round >= policy.max_rounds:
        raise Refused("max_rounds", "use fewer rounds")
    _wide_enough(request.analysis, request.panel, policy.min_grid_days)


def _wide_enough(analysis: Analysis, panel: Panel, least: float) -> None:
    uses_grid = any("times" in spec.dims for spec in analysis.yields)
    if uses_grid and len(panel.times) > 1 and min(np.diff(panel.times)) < least:
        raise Refused("min_grid_days", f"use a grid of at least {least:g} days a step")


def analysis_set(
    ds: xr.Dataset,
    analysis: Analysis,
    cohorts: tuple[Cohort, ...],
    complete: tuple[str, ...],
) -> AnalysisSet:
    """Who takes part: members by the criteria whose needed fields are known.

    Raises
    ------
    Invalid
        If the store lacks a field the analysis, a cohort or `complete` names.
    """
    for name in analysis.needs():
        if name not in ds and name in DATA:
            raise Invalid(f"there are no {DATA[name]} here", where=analysis.name)
        if name not in ds:
            short = name.removeprefix("individual_")
            names = [str(v).removeprefix("individual_") for v in ds.data_vars]
            raise unknown("field", short, names, where=analysis.name)
    criteria = membership(ds, cohorts)
    eligible = analysis.prepare(ds)["individual_eligible"].values.copy()
    for name in complete:
        eligible &= known(ds, name)
    ids = tuple(map(str, ds["individual_id"].values))
    question = (analysis, cohorts, complete)
    used = criteria & eligible[:, np.newaxis]
    return AnalysisSet(question, ids, criteria, eligible, used)
