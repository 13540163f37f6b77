"""The rounds of one question: every site asked, answers verified, summed and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import xarray as xr
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eucan_dask import wire
from eucan_dask.analysis import IterativeAnalysis, State
from eucan_dask.errors import EucanError, Invalid, NotEnoughSites, Refused, Unavailable
from eucan_dask.links import Link
from eucan_dask.partial import Release
from eucan_dask.policy import Thresholds
from eucan_dask.request import Request
from eucan_dask.result import SiteOutcome
from eucan_dask.total import combine, gate_pool
from eucan_dask.waiting import Progress, side_by_side

__all__ = ["Asked", "Member", "Progress", "Rounds"]


@dataclass(frozen=True)
class Member:
    """A site as the coordinator knows it: a name, a link, the key its answers are signed with."""

    name: str
    link: Link
    key: Ed25519PublicKey


@dataclass
class Asked:
    """What is learned of one site over the rounds of a question."""

    outcome: SiteOutcome
    release: Release | None = None
    broken: bool = False  # the link, not the site


@dataclass
class Rounds:
    """One question while it is being asked.

    Parameters
    ----------
    members, min_sites, thresholds
        Those of the federation.
    known
        What is known of each site so far, by name.
    """

    members: Sequence[Member]
    min_sites: int
    thresholds: Thresholds
    progress: Progress | None
    known: dict[str, Asked] = field(default_factory=dict)

    def ask(self, request: Request) -> tuple[Request, xr.Dataset, State | None]:
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
                    names = [s.name for s in analysis.yields if s.leaves]
                    request = request.next_round({n: total[n].values for n in names})
                    continue
            pooled = gate_pool(analysis, request.panel, total, self.thresholds)
            return request, pooled, state

    def _round(self, request: Request) -> list[Release]:
        raw = wire.encode_request(request)
        asked = [m for m in self.members if m.name in request.roster]
        members = {member.name: member for member in asked}
        side_by_side(
            {member.name: member.link for member in asked},
            lambda name: self._ask(members[name], request, raw),
            what=f"{request.analysis.title}, round {request.round + 1}",
            progress=self.progress,
        )
        for member in asked:
            member.link.withdraw(raw)
        releases = [self.known[member.name].release for member in asked]
        answered = [release for release in releases if release is not None]
        if len(answered) < self.min_sites:
            error = self._too_few(request)
            if isinstance(error, Refused):  # it stands; after other failures a run goes on
                for member in self.members:
                    member.link.done(request.run)
            raise error
        return answered

    def _ask(self, member: Member, request: Request, raw: bytes) -> None:
        before = self.known.get(member.name, Asked(SiteOutcome(member.name, "unavailable"))).outcome
        outcome = replace(before, bytes_in=before.bytes_in + len(raw))
        release: Release | None = None
        broken = False
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
            broken = isinstance(error, OSError)
        except Invalid as error:
            lies = member.link.lies(raw)
            raise Invalid(
                f"its answer {error}",
                where=f"{member.name}, {lies}" if lies else member.name,
                remedy="remove that file and go on with --resume" if lies else None,
            ) from error
        kept = release if release is not None and release.status == "released" else None
        self.known[member.name] = Asked(outcome, kept, broken)

    def _too_few(self, request: Request) -> EucanError:
        outcomes = [ask.outcome for _, ask in sorted(self.known.items())]
        least = self.min_sites
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
        if len(outcomes) - sum(ask.broken for ask in self.known.values()) < least:
            return Unavailable(f"too few sites can be reached; {told}")
        return NotEnoughSites(f"fewer than {least} sites answered; {told}")


def _words(rule: str, message: str) -> str:
    return message if rule == "request" else f"rule {rule}; {message}"
