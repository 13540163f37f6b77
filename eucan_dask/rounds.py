"""The rounds of one question: every site asked, answers verified, summed and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import xarray as xr
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eucan_dask import wire
from eucan_dask.analysis import IterativeAnalysis, State
from eucan_dask.errors import EucanError, Invalid, NotEnoughSites, Refused, Unavailable
from eucan_dask.links import Link
from eucan_dask.mask_keys import LEAST_SITES
from eucan_dask.partial import Release
from eucan_dask.policy import Thresholds
from eucan_dask.request import Request
from eucan_dask.result import SiteOutcome
from eucan_dask.standing import Standing
from eucan_dask.total import combine, from_sums, gate_pool
from eucan_dask.unmasking import Opener, unmasked
from eucan_dask.waiting import Progress, side_by_side

__all__ = ["Asked", "Member", "Progress", "Rounds"]


NOT_ASKED = "was not there when the sums were asked for"


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
    members, min_sites, thresholds, key
        Those of the federation.
    standing
        The roster whose sums were opened under masks, if any was.
    known
        What is known of each site so far, by name.
    """

    members: Sequence[Member]
    min_sites: int
    thresholds: Thresholds
    key: Ed25519PrivateKey
    progress: Progress | None
    standing: Standing = field(default_factory=Standing)
    known: dict[str, Asked] = field(default_factory=dict)

    def ask(self, request: Request) -> tuple[Request, xr.Dataset, State | None]:
        """The last round's request, its total as the pool's gate leaves it, and its state."""
        analysis = request.analysis
        while True:
            releases = self._round(request)
            if len(releases) < len(request.roster) and _needs_all(request):
                request = self._without(request, releases)
                continue
            total = self._total(request, releases)
            state = request.state()
            if isinstance(analysis, IterativeAnalysis) and state is not None:
                state = analysis.update(state, total)
                if not int(state["done"]) and request.round + 1 < analysis.max_iterations:
                    names = [s.name for s in analysis.yields if s.leaves]
                    request = request.next_round({n: total[n].values for n in names})
                    continue
            if request.roster.aggregator == "none":
                total = gate_pool(analysis, request.panel, total, self.thresholds)
            return request, total, state

    def outcomes(self) -> tuple[SiteOutcome, ...]:
        """How every site fared, those that were not there to be asked among them."""
        absent = {m.name: SiteOutcome(m.name, "unavailable", NOT_ASKED) for m in self.members}
        return tuple((absent | {n: a.outcome for n, a in self.known.items()}).values())

    def _total(self, request: Request, releases: Sequence[Release]) -> xr.Dataset:
        """Totals over the releases; those of a pool that no site judged as its gate leaves them."""
        analysis, coords, aggregator = request.analysis, request.coords, request.roster.aggregator
        if aggregator == "none":
            return combine(analysis, coords, releases)
        if aggregator == "trusted":
            total = combine(analysis, coords, releases, aggregator=aggregator)
        else:
            keys = self._open(request)
            total = from_sums(
                analysis, coords, unmasked(request, releases, keys), len(request.roster)
            )
        return gate_pool(analysis, request.panel, total, self.thresholds)

    def _open(self, request: Request) -> list[bytes]:
        """The keys of all own masks; from here on the roster stands."""
        members = {m.name: m for m in self.members if m.name in request.roster}
        opener = Opener(
            {name: member.link for name, member in members.items()},
            {name: member.key for name, member in members.items()},
            self.key,
        )
        self.standing.opens(request.roster.sites)
        what = f"{request.analysis.title}, round {request.round + 1}, opening"
        raw = wire.encode_request(request, self.key)
        return opener.ask(raw, what=what, progress=self.progress)

    def _without(self, request: Request, releases: Sequence[Release]) -> Request:
        """The first round again with the sites that are left.

        Raises
        ------
        Unavailable
            If sums of all were seen under masks: without a site, the difference would be its own.
        """
        left = tuple(release.site for release in releases)
        self.standing.check(left)
        return request.keep(left)

    def _round(self, request: Request) -> list[Release]:
        raw = wire.encode_request(request, self.key)
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
        least = self.min_sites
        if request.roster.aggregator == "masked":
            least = max(least, LEAST_SITES)
        if len(answered) < least:
            error = self._too_few(request, least)
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
            release = wire.decode_release(
                answer, request, member.key, digest=wire.request_digest(raw), own=self.key
            )
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
                membership=str(release.header.get("membership", before.membership)),
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

    def _too_few(self, request: Request, least: int) -> EucanError:
        outcomes = [ask.outcome for _, ask in sorted(self.known.items())]
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


def _needs_all(request: Request) -> bool:
    """Whether there is nothing to sum unless the whole roster answers."""
    whole = any(record.roster == "run" for record in request.analysis.records)
    return whole or request.roster.aggregator == "masked"


def _words(rule: str, message: str) -> str:
    return message if rule == "request" else f"rule {rule}; {message}"
