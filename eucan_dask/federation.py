"""The coordinator: asks every site the same question, sums the releases, finishes the numbers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eucan_dask.analysis import Analysis, IterativeAnalysis
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid, unknown
from eucan_dask.federation_file import OVERLAP, read_federation
from eucan_dask.greet import greet
from eucan_dask.mask_keys import MaskKey, gather
from eucan_dask.panel import BLOCK_VARIANTS, Panel
from eucan_dask.partial import indexed
from eucan_dask.policy import Thresholds
from eucan_dask.pool_thresholds import pool_of
from eucan_dask.request import Request, Roster
from eucan_dask.result import Result, blank_hidden, joined
from eucan_dask.rounds import Member, Progress, Rounds
from eucan_dask.scanning import in_order
from eucan_dask.standing import Standing
from eucan_dask.variant_panel import VariantPanel
from eucan_dask.versions import code_digest

__all__ = ["Federation", "new_run"]

EVERYBODY = (Cohort("everybody"),)


class Federation:
    """Named links to sites, and the least number of sites an answer rests on.

    Parameters
    ----------
    members
        The sites.
    min_sites
        Fewer answers than this are no result.
    thresholds
        The federation's own, for totals.
    overlap
        "excluded": nobody is counted at two sites. "unknown": somebody may be, so totals need
        twice as many people.
    key
        The coordinator's: requests are signed with it, and sealed answers opened.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        name: str,
        min_sites: int,
        thresholds: Thresholds,
        key: Ed25519PrivateKey,
        aggregator: str = "none",
        overlap: str = "unknown",
    ) -> None:
        self.members = tuple(sorted(members, key=lambda member: member.name))
        names = [member.name for member in self.members]
        if len(set(names)) < len(names):
            raise Invalid("two sites share a name", where=name, found=names)
        if not 1 <= min_sites <= len(names):
            raise Invalid(
                "min_sites cannot be met", where=name, expected=f"1..{len(names)}", found=min_sites
            )
        if overlap not in OVERLAP:
            raise unknown("overlap", overlap, OVERLAP, where=name)
        self.name, self.min_sites, self.overlap = name, min_sites, overlap
        self.thresholds = thresholds if overlap == "excluded" else thresholds.doubled()
        self.aggregator, self.key = aggregator, key
        self._mask_keys: dict[str, MaskKey] | None = None

    @classmethod
    def open(cls, path: Path | str, *, deadline: float | None = None) -> Federation:
        """The federation that a `federation.toml` describes.

        Parameters
        ----------
        deadline
            Minutes a mailbox is waited for in each round, instead of those the file says.

        Raises
        ------
        Invalid
            For unknown or missing keys, links or key files.
        """
        return cls(**read_federation(Path(path), deadline))

    def __repr__(self) -> str:
        return f"Federation({self.name!r}, {[member.name for member in self.members]})"

    def __enter__(self) -> Federation:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let every site go."""
        for member in self.members:
            member.link.close()

    def hello(self, *, progress: Progress | None = None) -> dict[str, dict[str, Any]]:
        """Catalogue and versions of every site that answers, by name.

        Raises
        ------
        Unavailable, NotEnoughSites
            If none answers, or fewer than `min_sites` do.
        Invalid
            If a site calls itself something else than the federation file does.
        """
        links = {member.name: member.link for member in self.members}
        return greet(links, min_sites=self.min_sites, progress=progress)

    def run(
        self,
        analysis: Analysis,
        *,
        purpose: str,
        cohorts: Sequence[Cohort] = EVERYBODY,
        panel: Panel | None = None,
        tier: str = "open",
        aggregator: str | None = None,
        complete: Sequence[str] = (),
        progress: Progress | None = None,
        run: str | None = None,
    ) -> Result:
        """Ask every site and finish the answer.

        A fit needs the same sites in every round: if one drops out, it starts again without it,
        as long as `min_sites` are left. More variants than a block holds are asked for block by
        block; `scan` gives each block as it comes.

        Parameters
        ----------
        run
            Identifier of the run; of a run that died, to ask nothing twice.

        Raises
        ------
        Refused
            If refusals alone leave fewer than `min_sites`.
        NotEnoughSites
            If fewer than `min_sites` answer for other reasons.
        Invalid
            If the question cannot be put, or no site knows what it asks about.
        """
        panel = panel or Panel()
        request = self.request(
            analysis,
            purpose=purpose,
            cohorts=cohorts,
            panel=replace(panel, variants=panel.variants[:BLOCK_VARIANTS]),
            tier=tier,
            aggregator=aggregator,
            complete=complete,
            run=run,
        )
        if len(panel.variants) <= BLOCK_VARIANTS:
            results = [self.ask(request, progress=progress)]
        else:
            variants = VariantPanel.of(panel.variants)
            results = list(self.scan(request, variants, progress=progress))
        for result in results:
            self.done(result.run)
        return joined(results)

    def request(
        self,
        analysis: Analysis,
        *,
        purpose: str,
        cohorts: Sequence[Cohort] = EVERYBODY,
        panel: Panel | None = None,
        tier: str = "open",
        aggregator: str | None = None,
        complete: Sequence[str] = (),
        run: str | None = None,
    ) -> Request:
        """The question as it would travel; parameters as for `run`.

        For masked sums the sites' mask keys come with it: they are asked for once.
        """
        roster = Roster(tuple(m.name for m in self.members), aggregator or self.aggregator)
        masks = self._masks() if roster.aggregator == "masked" else {}
        return Request(
            run=run or new_run(),
            analysis=analysis,
            panel=panel or Panel(),
            cohorts=tuple(cohorts),
            purpose=purpose,
            roster=roster.keep(masks) if masks else roster,
            tier=tier,
            complete=tuple(complete),
            code_digest=code_digest(),
            pool={} if roster.aggregator == "none" else pool_of(self.thresholds),
            mask_keys=masks,
        )

    def _masks(self) -> dict[str, MaskKey]:
        """The mask keys of the sites that are there."""
        if self._mask_keys is None:
            keys = {member.name: member.key for member in self.members}
            self._mask_keys = gather(self.hello(), keys)
        return self._mask_keys

    def scan(
        self,
        request: Request,
        variants: VariantPanel,
        *,
        first: int = 0,
        roster: tuple[str, ...] = (),
        progress: Progress | None = None,
        standing: Standing | None = None,
    ) -> Iterator[Result]:
        """Ask for the variants block by block, a few blocks ahead; results in order.

        The sites that answer the first block answer all, or the scan stops: it can be resumed.

        Parameters
        ----------
        first
            The first block asked for; those before were finished by a former run.
        roster
            The sites that answered those.
        standing
            As of `ask`.

        Raises
        ------
        Unavailable
            If a site stops answering on the way.
        """
        n_blocks, standing = variants.n_blocks, standing or Standing()
        blocks = (
            replace(
                request,
                run=f"{request.run}-{number:06d}",
                panel=replace(request.panel, variants=block),
                n_blocks=n_blocks,
            )
            for number, block in enumerate(variants.blocks())
            if number >= first
        )
        return in_order(
            partial(self.ask, standing=standing),
            blocks,
            numbers=range(first, n_blocks),
            links={member.name: member.link for member in self.members},
            roster=roster,
            standing=standing if request.roster.aggregator == "masked" else None,
            what=f"{request.analysis.title}, blocks",
            progress=progress,
        )

    def done(self, run: str) -> None:
        """Tell the links that the answers to a run were used: what is left of it may go."""
        for member in self.members:
            member.link.done(run)

    def ask(
        self,
        request: Request,
        *,
        progress: Progress | None = None,
        standing: Standing | None = None,
    ) -> Result:
        """Put one request, all its rounds, to every site.

        Parameters
        ----------
        standing
            What is known of the roster whose masked sums were opened for this question.
        """
        start = time.perf_counter()
        analysis, standing = request.analysis, standing or Standing()
        rounds = Rounds(
            self.members,
            self.min_sites,
            self.thresholds,
            self.key,
            progress,
            standing,
        )
        request, total, state = rounds.ask(standing.narrowed(request))
        finished = (
            analysis.finalize(total, state)
            if isinstance(analysis, IterativeAnalysis)
            else analysis.finalize(total)
        )
        suffixes = ("_n_sites", "_n_hidden", "_pool_hidden")
        kept = {f"{r.name}{s}": total[f"{r.name}{s}"] for r in analysis.records for s in suffixes}
        dataset = finished.assign(kept).assign_coords(
            {name: total[name] for name in total.coords if name not in finished.coords}
        )
        dataset = indexed(blank_hidden(dataset, analysis))
        seconds = time.perf_counter() - start
        return Result(analysis, dataset, rounds.outcomes(), request.run, request.round + 1, seconds)


def new_run() -> str:
    """An identifier no other run has."""
    return secrets.token_hex(8)
