"""The coordinator: asks every site the same question, sums the releases, finishes the numbers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import xarray as xr
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eucan_dask import config, wire
from eucan_dask.analysis import Analysis, IterativeAnalysis, State
from eucan_dask.cohort import Cohort
from eucan_dask.errors import EucanError, Invalid, NotEnoughSites, Refused, Unavailable
from eucan_dask.keys import read_public
from eucan_dask.links import Link, open_link
from eucan_dask.panel import Panel
from eucan_dask.partial import Release, indexed
from eucan_dask.policy import Thresholds
from eucan_dask.request import AGGREGATORS, Request, Roster
from eucan_dask.result import Result, SiteOutcome, blank_hidden
from eucan_dask.total import combine, gate_pool
from eucan_dask.versions import code_digest

__all__ = ["Federation", "Member"]

FORMAT = 1
Progress = Callable[[int, int, str], None]
EVERYBODY = (Cohort("everybody"),)


@dataclass(frozen=True)
class Member:
    """A site as the coordinator knows it: a name, a link, the key its answers are signed with."""

    name: str
    link: Link
    key: Ed25519PublicKey


@dataclass
class _Ask:
    """What is learned of one site over the rounds of a question."""

    outcome: SiteOutcome
    release: Release | None = None


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
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        name: str,
        min_sites: int,
        thresholds: Thresholds,
        aggregator: str = "none",
    ) -> None:
        self.members = tuple(sorted(members, key=lambda member: member.name))
        names = [member.name for member in self.members]
        if len(set(names)) < len(names):
            raise Invalid("two sites share a name", where=name, found=names)
        if not 1 <= min_sites <= len(names):
            raise Invalid(
                "min_sites cannot be met", where=name, expected=f"1..{len(names)}", found=min_sites
            )
        self.name, self.min_sites, self.thresholds = name, min_sites, thresholds
        self.aggregator = aggregator

    @classmethod
    def open(cls, path: Path | str) -> Federation:
        """The federation that a `federation.toml` describes.

        Raises
        ------
        Invalid
            For unknown or missing keys, links or key files.
        """
        path = Path(path)
        text = config.Key(str)
        table = config.check(
            config.read(path),
            {
                "format": config.Key(int),
                "name": text,
                "min_sites": config.Key(int),
                "aggregator": config.Key(str, choices=AGGREGATORS),
                "policy": config.Key(dict),
                "sites": config.Key(list),
            },
            where=str(path),
        )
        if table["format"] != FORMAT:
            raise Invalid("unknown format", where=path, expected=FORMAT, found=table["format"])
        keys = dict.fromkeys(("name", "link", "public_key_file"), text)
        rows = [config.check(row, keys, where=f"{path} [[sites]]") for row in table["sites"]]
        policy = config.check(
            table["policy"],
            {"thresholds": config.Key(dict), "zeros": config.Key(dict)},
            where=f"{path} [policy]",
        )
        base = path.parent
        members = [
            Member(
                row["name"],
                open_link(row["link"], base=base),
                read_public(base / row["public_key_file"]),
            )
            for row in rows
        ]
        return cls(
            members,
            name=table["name"],
            min_sites=table["min_sites"],
            thresholds=Thresholds.from_toml(policy["thresholds"], policy["zeros"], where=str(path)),
            aggregator=table["aggregator"],
        )

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

    def hello(self) -> dict[str, dict[str, Any]]:
        """Catalogue and versions of every site that answers, by name.

        Raises
        ------
        Unavailable, NotEnoughSites
            If none answers, or fewer than `min_sites` do.
        Invalid
            If a site calls itself something else than the federation file does.
        """
        hellos, away = {}, {}
        for member in self.members:
            try:
                found = member.link.hello()
            except (Unavailable, OSError) as error:
                away[member.name] = str(error)
                continue
            if found["site"] != member.name:
                raise Invalid(
                    "the site behind the link has another name",
                    where=member.name,
                    found=found["site"],
                    remedy="correct the federation file",
                )
            hellos[member.name] = found
        told = "; ".join(f"{name}: {reason}" for name, reason in away.items())
        if not hellos:
            raise Unavailable(f"no site answers; {told}")
        if len(hellos) < self.min_sites:
            raise NotEnoughSites(f"fewer than {self.min_sites} sites answer; {told}")
        return hellos

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
    ) -> Result:
        """Ask every site and finish the answer.

        A fit needs the same sites in every round: if one drops out, it starts again without it,
        as long as `min_sites` are left.

        Raises
        ------
        Refused
            If refusals alone leave fewer than `min_sites`.
        NotEnoughSites
            If fewer than `min_sites` answer for other reasons.
        Invalid
            If the question cannot be put, or no site knows what it asks about.
        """
        start = time.perf_counter()
        ask = _Question(self, progress)
        request = Request(
            run=secrets.token_hex(8),
            analysis=analysis,
            panel=panel or Panel(),
            cohorts=tuple(cohorts),
            purpose=purpose,
            roster=Roster(
                tuple(member.name for member in self.members), aggregator or self.aggregator
            ),
            tier=tier,
            complete=tuple(complete),
            code_digest=code_digest(),
        )
        request, total, state = ask.rounds(request)
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
        outcomes = tuple(ask.known[m.name].outcome for m in self.members)
        seconds = time.perf_counter() - start
        return Result(analysis, dataset, outcomes, request.run, request.round + 1, seconds)


@dataclass
class _Question:
    """One question while it is being asked."""

    federation: Federation
    progress: Progress | None
    known: dict[str, _Ask] = field(default_factory=dict)

    def rounds(self, request: Request) -> tuple[Request, xr.Dataset, State | None]:
        """The last round's request, its total as the pool's gate leaves it, and its state."""
        analysis = request.analysis
        while True:
            releases = self._round(request)
            if any(r.roster == "run" for r in analysis.records) and len(releases) < len(
                request.roster
            ):
                roster = request.roster.keep(release.site for release in releases)
                request = replace(request, roster=roster, round=0, history=())
                continue
            total = combine(analysis, request.coords, releases)
            state = request.state()
            if isinstance(analysis, IterativeAnalysis) and state is not None:
                state = analysis.update(state, total)
                if not int(state["done"]) and request.round + 1 < analysis.max_iterations:
                    names = [s.name for s in analysis.yields if s.kind != "evidence"]
                    request = request.next_round({n: total[n].values for n in names})
                    continue
            pooled = gate_pool(analysis, request.panel, total, self.federation.thresholds)
            return request, pooled, state

    def _round(self, request: Request) -> list[Release]:
        raw = wire.encode_request(request)
        asked = [m for m in self.federation.members if m.name in request.roster]
        with ThreadPoolExecutor(max_workers=len(asked)) as pool:
            futures = [pool.submit(self._ask, member, request, raw) for member in asked]
            for done, future in enumerate(futures, start=1):
                future.result()
                if self.progress is not None:
                    what = f"{request.analysis.title}, round {request.round + 1}"
                    self.progress(done, len(asked), what)
        releases = [self.known[member.name].release for member in asked]
        answered = [release for release in releases if release is not None]
        if len(answered) < self.federation.min_sites:
            raise self._too_few(request)
        return answered

    def _ask(self, member: Member, request: Request, raw: bytes) -> None:
        before = self.known.get(member.name, _Ask(SiteOutcome(member.name, "unavailable"))).outcome
        outcome = replace(before, bytes_in=before.bytes_in + len(raw))
        release: Release | None = None
        try:
            answer = member.link.send(raw)
            release = wire.decode_release(answer, request, member.key)
            if release.site != member.name:
                raise Invalid("comes from another site", found=release.site)
            outcome = replace(
                outcome,
                status="answered" if release.status == "released" else release.status,
                reason="; ".join(_words(f.rule, f.message) for f in release.findings)
                if release.status != "released"
                else "",
                findings=release.findings,
                freeze=str(release.header.get("freeze", before.freeze)),
                data_class=str(release.header.get("data_class", before.data_class)),
                n_tasks=before.n_tasks + int(release.header.get("n_tasks", 0)),
                seconds=before.seconds + float(release.header.get("seconds", 0.0)),
                bytes_out=before.bytes_out + len(answer),
            )
        except (Unavailable, OSError) as error:
            outcome = replace(outcome, status="unavailable", reason=str(error))
        except Invalid as error:
            raise Invalid(f"its answer {error}", where=member.name) from error
        kept = release if release is not None and release.status == "released" else None
        self.known[member.name] = _Ask(outcome, kept)

    def _too_few(self, request: Request) -> EucanError:
        outcomes = [ask.outcome for _, ask in sorted(self.known.items())]
        least = self.federation.min_sites
        lost = [o for o in outcomes if o.status != "answered"]
        told = "; ".join(f"{o.site}: {o.reason}" for o in lost)
        invalid = [o for o in lost if o.status == "invalid"]
        if len(outcomes) - len(invalid) < least and invalid:
            return Invalid(f"sites cannot answer {request.analysis.name}", where=told)
        refused = [o for o in lost if o.status == "refused"]
        if len(outcomes) - len(refused) < least:
            rules = {f.rule for o in refused for f in o.findings}
            names = ", ".join(o.site for o in refused)
            return Refused(", ".join(sorted(rules)), told, site=names)
        return NotEnoughSites(f"fewer than {least} sites answered; {told}")


def _words(rule: str, message: str) -> str:
    return message if rule == "request" else f"rule {rule}; {message}"
