"""A site: store, policy, cluster and ledger. `answer` is the only way anything leaves it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask import block, config, gate, wire
from eucan_dask.admission import allowed
from eucan_dask.analysis_set import AnalysisSet, analysis_set
from eucan_dask.asking import asking, costs, membership_note
from eucan_dask.case import Case
from eucan_dask.clusters import Cluster, open_cluster
from eucan_dask.errors import Invalid, Refused
from eucan_dask.hello import encode_hello
from eucan_dask.imputation import Means
from eucan_dask.keys import derive, read_private
from eucan_dask.ledger import Entry, Ledger
from eucan_dask.mask_keys import sign_mask_key
from eucan_dask.masking import covered, masks_of, payload_digest, words_of
from eucan_dask.opening import decode_opening, encode_opened, is_opening
from eucan_dask.overlap import Overlap
from eucan_dask.partial import Finding, Partial, Release, labelled
from eucan_dask.parties import Parties
from eucan_dask.policy import Policy, Thresholds
from eucan_dask.request import Request, history_digests
from eucan_dask.store.open import Store, open_store
from eucan_dask.versions import code_digest, package_versions

__all__ = ["Site"]

FORMAT = 2


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
        text, remedy = config.Key(str), 'add parties = "parties.toml", then set format = 2'
        table = config.check(
            config.read_format(path, FORMAT, remedy=remedy),
            {
                "format": config.Key(int),
                **dict.fromkeys(("name", "store", "policy", "parties", "node"), text),
                "mailbox": config.Key(str, default=""),
                "keys": config.Key(dict),
                "cluster": config.Key(dict),
            },
            where=str(path),
        )
        keys = config.check(
            table["keys"], {"private": text, "public": text}, where=f"{path} [keys]"
        )
        self.name: str = table["name"]
        self.policy = Policy.read(self.directory / table["policy"])
        self.parties = Parties.read(self.directory / table["parties"])
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
        public, signature = sign_mask_key(self._key, self.name)
        return {
            "site": self.name,
            "mask_key": public,
            "mask_key_signature": signature,
            "public_policy": self.policy.public,
            "versions": package_versions(),
            "code_digest": code_digest(),
            **self.store.catalogue(),
        }

    def signed_hello(self) -> bytes:
        """The hello as signed JSON."""
        return encode_hello(self.hello(), self._key)

    def admits(self, raw: bytes) -> bool:
        """Whether a request is signed by somebody who may ask; nothing else of it is read."""
        try:
            wire.signer(raw, self.parties.asker_keys)
        except Refused:
            return False
        return True

    def answer(self, raw: bytes) -> bytes:
        """The signed release for a request as bytes, or what an opening asks for.

        A refusal is a release without values.
        """
        digest = wire.request_digest(raw)
        try:
            if is_opening(raw):
                return self._open(raw)
            request = wire.decode_request(raw, self.parties.asker_keys)
        except Refused as refusal:
            release = _refused(Release(self.name, "", 0, "", status="refused"), refusal)
            return wire.encode_release(release, self._key, digest=digest)
        blank = Release(
            self.name, request.run, request.round, request.analysis.name, status="refused"
        )
        try:
            self.parties.check(request, self.name)
            release = self._release(request, blank)
            if request.roster.aggregator == "masked":
                release = self._masked(request, release, digest)
        except Refused as refusal:
            release = _refused(blank, refusal)
        except Invalid as mistake:
            finding = Finding("request", message=str(mistake))
            release = replace(blank, status="invalid", findings=(finding,))
        return wire.encode_release(release, self._key, digest=digest, request=request)

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
                classifications=people.classifications,
                asker=self.parties.name_of(request.asker),
                freeze=self.store.manifest.digest,
            )
        )
        people = replace(people, used=decision.used)
        partial = self._compute(request, people)
        means, ids = Means.of(request, partial, self.policy), people.individuals
        moved = None
        if means is not None:
            moved = means.among(self.ledger.moved_means(ids, people.used, means.few))
        case = self._case(request, people, moved)
        header = {
            "freeze": self.store.manifest.digest,
            "data_class": self.store.manifest.data_class,
            **membership_note(self.policy),
            "n_tasks": block.n_tasks(self.store, request.analysis, request.panel, len(ids)),
            "seconds": math.ceil(time.perf_counter() - start),
        }
        template = replace(blank, header=header)
        try:
            release = gate.release(partial, policy=self.policy, case=case, template=template)
        except Refused:
            self.ledger.record(decision, None)  # that these people are too few is an answer
            raise
        price = costs(request, self.policy, partial, release, people.used)
        self.ledger.record(decision, self._entry(request), price)
        if means is not None:
            self.ledger.remember_means(ids, people.used, means.few)
        self.ledger.answered(request.question, request.round)
        return release

    def _case(self, request: Request, people: AnalysisSet, moved: NDArray[np.bool_] | None) -> Case:
        return Case(
            analysis=request.analysis,
            panel=request.panel,
            arrays=labelled(request.coords),
            cohort_n=people.used.sum(axis=0, dtype=np.int64),
            overlap=Overlap.of_members(people.used),
            thresholds=self.policy.thresholds,
            aggregator=request.roster.aggregator,
            n_rounds=request.round + 1,
            public=self.policy.public,
            moved=moved,
            pool=Thresholds(**request.pool) if request.pool else None,  # type: ignore[arg-type]
        )

    def _masked(self, request: Request, release: Release, digest: str) -> Release:
        """The release under masks; the ledger remembers which payload they cover."""
        words = words_of(release, request)
        self.ledger.one_payload(digest, payload_digest(words))
        masks = masks_of(request, digest, key=self._key, site=self.name)
        return covered(release, words, masks, request)

    def _open(self, raw: bytes) -> bytes:
        """The key of this site's own mask over one answer; for one roster only."""
        asker = wire.signer(raw, self.parties.asker_keys)
        asked = decode_opening(raw)
        request = wire.decode_request(asked, (asker,))
        digest = wire.request_digest(asked)
        try:
            self.parties.check(request, self.name)
            self.ledger.was_masked(digest)
            if not self.policy.public:
                summands = request.analysis.summands(request.panel)
                self.ledger.open_roster(summands, request.roster.sites)
            found: bytes | Refused = masks_of(
                request, digest, key=self._key, site=self.name
            ).self_key()
        except Refused as refusal:
            found = refusal
        return encode_opened(self.name, self._key, opening=raw, request=request, found=found)

    def _analysis_set(self, request: Request) -> AnalysisSet:
        question = (request.analysis, request.cohorts, request.complete)  # the same in every block
        if self._set is None or self._set.question != question:
            least = self.policy.thresholds.min_cohort_difference
            self._set = analysis_set(self.store.dataset(), *question, least=least)
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
            purpose=request.purpose,
            aggregator=request.roster.aggregator,
            sites=request.roster.sites,
            question=request.question,
            agreement=self.parties.agreement_of(request.asker),
        )


def _refused(blank: Release, refusal: Refused) -> Release:
    return replace(blank, findings=(Finding(refusal.rule, message=refusal.remedy),))
