"""People to be attacked, an analyst who uses only what analysts have, and how strong attacks are.

An attack is a function from a directory to its `Strength` on unprotected answers and under the
recommended policy, registered by `attack`. Its test runs it once and asserts both numbers; the
generator in tests/attacks/table.py writes them down.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eucan_dask import wire
from eucan_dask.analysis import Analysis
from eucan_dask.cohort import Cohort
from eucan_dask.errors import EucanError
from eucan_dask.federation import Federation
from eucan_dask.init import init_federation
from eucan_dask.panel import Panel
from eucan_dask.request import Request
from eucan_dask.result import Result
from eucan_dask.testing.data import People, people
from tests.scans import copied
from tests.simulated import make_site

PURPOSE = "DUO:0000006"
EVERYBODY = (Cohort("everybody"),)
Arrays = dict[str, NDArray[Any]]
HEAD = struct.calcsize("<8sI")  # of a message: magic and version, length of its header

# --- attacks and their strengths ---


@dataclass(frozen=True)
class Strength:
    """How much an attack learns from unprotected answers, and under the recommended policy."""

    before: float
    after: float


@dataclass(frozen=True, eq=False)
class Attack:
    """One attack; `strength` runs it once.

    Parameters
    ----------
    name
        "A2 likelihood ratio": its number in the catalogue, and what it is called.
    learned
        What the attacker learns if it succeeds.
    measure
        What the two numbers are.
    stopped_by
        The rules that stop it.
    tolerance
        By how much the numbers in the document may differ from measured ones.
    """

    name: str
    learned: str
    measure: str
    stopped_by: str
    tolerance: float
    run: Callable[[Path], Strength]
    found: list[Strength] = field(default_factory=list)

    def strength(self, directory: Path) -> Strength:
        """Before and after, measured in an empty directory; the second time, remembered."""
        if not self.found:
            self.found.append(self.run(directory))
        return self.found[0]


ATTACKS: dict[str, Attack] = {}


def attack(
    name: str, *, learned: str, measure: str, stopped_by: str, tolerance: float = 0.02
) -> Callable[[Callable[[Path], Strength]], Attack]:
    """Register a function from an empty directory to its `Strength`; parameters as of `Attack`."""

    def register(run: Callable[[Path], Strength]) -> Attack:
        assert name not in ATTACKS, f"two attacks are called {name}"
        ATTACKS[name] = Attack(name, learned, measure, stopped_by, tolerance, run)
        return ATTACKS[name]

    return register


def power(inside: Any, outside: Any, *, alpha: float) -> float:
    """Share of those inside who lie above all but a share `alpha` of those outside."""
    limit = np.quantile(np.asarray(outside), 1 - alpha)
    return float((np.asarray(inside) > limit).mean())


def judge(found: Strength, *, works: float, allowed: float) -> None:
    """Fail unless an attack works unprotected, and is held to what is allowed.

    Parameters
    ----------
    works, allowed
        Least strength before, largest after.
    """
    assert found.before >= works, "the attack does not work: it would prove nothing"
    assert found.after <= allowed


# --- people ---


def ids_of(simulated: People) -> list[str]:
    """Ids of the individuals, sorted."""
    return sorted(set(simulated.clinical["individual_id"]))


def altered(simulated: People, person: str, **values: Any) -> People:
    """The same people, one of whom has other clinical values."""
    rows = simulated.clinical.copy()
    for name, value in values.items():
        rows.loc[rows["individual_id"] == person, name] = value
    return replace(simulated, clinical=rows)


def mutated(simulated: People, person: str, gene: str, *, yes: bool) -> People:
    """The same people, one of whom carries a missense mutation of a gene, or no mutation of it.

    The biosamples are assayed by an exome, so that the answer is known either way.
    """
    clinical = simulated.clinical
    own = list(clinical["sample_id"][clinical["individual_id"] == person])
    rows = simulated.mutations
    kept = rows[~(rows["sample_id"].isin(own) & (rows["gene"] == gene))]
    new = [(sample, gene, "Missense_Mutation", 1500) for sample in own if yes]
    added = pd.DataFrame(new, columns=["sample_id", "gene", "classification", "position"])
    both = pd.concat([kept, added]) if new else kept
    assay = {**simulated.sample_assay, **dict.fromkeys(own, "exome")}
    return replace(simulated, mutations=both.reset_index(drop=True), sample_assay=assay)


def called(simulated: People, person: str, **copies: int) -> People:
    """The same people, one of whom has other copies of ALT (-1 missing), by variant."""
    clinical = simulated.clinical
    own = list(clinical["sample_id"][clinical["individual_id"] == person])
    calls = simulated.calls.copy()
    for label, n in copies.items():
        calls.loc[own, label] = n
    return replace(simulated, calls=calls)


def without(simulated: People, *persons: str) -> People:
    """The same people but these."""
    rows = simulated.clinical[~simulated.clinical["individual_id"].isin(persons)]
    kept = list(rows["sample_id"])
    return People(
        rows.reset_index(drop=True),
        simulated.mutations[simulated.mutations["sample_id"].isin(kept)].reset_index(drop=True),
        {sample: simulated.sample_assay[sample] for sample in kept},
        simulated.calls[simulated.calls.index.isin(kept)],
    )


def genotyped_people(
    n: int, frequency: NDArray[np.float64], *, seed: int, centre: str = "", missing: float = 0.0
) -> People:
    """`n` people with one biosample each, genotyped at `labels_of(frequency)`, nothing missing."""
    shares = dict(zip(labels_of(frequency.size), map(float, frequency), strict=True))
    kinds = {"panel_share": 0.0, "second_biosample": 0.0}
    return people(n, seed=seed, centre=centre, missing=missing, variants=shares, **kinds)


def labels_of(n: int) -> tuple[str, ...]:
    """Variants on chromosome 1, in genome order."""
    return tuple(f"1:{1000 + 10 * i}:A:G" for i in range(n))


# --- what an analyst has ---


@dataclass(frozen=True)
class Message:
    """A request that went to a site and the bytes that came back."""

    site: str
    request: bytes
    answer: bytes

    @property
    def header(self) -> dict[str, Any]:
        """The header of the answer: status, findings, facts."""
        found: dict[str, Any] = json.loads(self.answer[HEAD : self._arrays_at])
        return found

    @property
    def _arrays_at(self) -> int:
        (length,) = struct.unpack_from("<I", self.answer, HEAD - 4)
        return HEAD + int(length)

    @property
    def arrays(self) -> Arrays:
        """What the answer says in clear, read from its bytes; nothing if it is sealed."""
        offset, found = self._arrays_at, {}
        for name, dtype, shape in self.header.get("arrays", []):
            n = int(np.prod(shape, dtype=np.int64))
            found[name] = np.frombuffer(self.answer, dtype, n, offset).reshape(shape)
            offset += found[name].nbytes
        return found


@dataclass(frozen=True)
class Answer:
    """What came of a question: a result or the words of a refusal, and every message."""

    result: Result | None
    words: str
    messages: tuple[Message, ...]

    def __bool__(self) -> bool:
        return self.result is not None

    @property
    def rules(self) -> set[str]:
        """Names of the rules that sites refused by."""
        refused = [m.header for m in self.messages if m.header["status"] != "released"]
        return {finding["rule"] for header in refused for finding in header["findings"]}

    def released(self, site: str) -> list[Arrays]:
        """Arrays that a site released, by round."""
        mine = [m for m in self.messages if m.site == site]
        return [m.arrays for m in mine if m.header["status"] == "released"]


class _Tap:
    """A link that keeps what passes."""

    def __init__(self, site: str, link: Any, seen: list[Message]) -> None:
        self._site, self._link, self._seen = site, link, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def send(self, raw: bytes) -> bytes:
        """The answer, noted."""
        answer: bytes = self._link.send(raw)
        self._seen.append(Message(self._site, raw, answer))
        return answer


class Analyst:
    """Who runs the coordinator: puts questions, and keeps all that comes back.

    Parameters
    ----------
    file
        The federation file.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.seen: list[Message] = []
        self.federation = Federation.open(file)
        self.federation.members = tuple(
            replace(member, link=_Tap(member.name, member.link, self.seen))
            for member in self.federation.members
        )

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites."""
        return tuple(member.name for member in self.federation.members)

    def ask(
        self,
        analysis: Analysis,
        *,
        cohorts: Sequence[Cohort] = EVERYBODY,
        panel: Panel | None = None,
        tier: str = "controlled",
        **options: Any,
    ) -> Answer:
        """The answer to a question, or why there is none."""
        start = len(self.seen)
        result, words = None, ""
        common = {"purpose": PURPOSE, "cohorts": cohorts, "panel": panel, "tier": tier}
        try:
            result = self.federation.run(analysis, **common, **options)
        except EucanError as error:
            words = str(error)
        return Answer(result, words, tuple(self.seen[start:]))

    def send(self, request: Request, *sites: str) -> Answer:
        """The answers of sites, or of these, to one round put by hand, its history crafted."""
        start = len(self.seen)
        key = getattr(self.federation, "key", None)
        raw = wire.encode_request(request, *([] if key is None else [key]))
        for member in self.federation.members:
            if member.name in (sites or self.sites):
                member.link.send(raw)
        return Answer(None, "", tuple(self.seen[start:]))

    def again(self, directory: Path) -> Analyst:
        """The same question to the same stores, whose ledgers have seen nothing yet."""
        return Analyst(copied(self.file, directory))

    def mailbox(self) -> list[bytes]:
        """Every byte string that passed, in order: what somebody reading the mailbox has."""
        return [raw for message in self.seen for raw in (message.request, message.answer)]


def attacked(
    directory: Path,
    parts: Sequence[People],
    *,
    protected: bool,
    genotypes: bool = False,
    settings: Mapping[str, object] | None = None,
    min_sites: int = 1,
) -> Analyst:
    """An analyst before sites "a", "b", ... with these people.

    Parameters
    ----------
    protected
        Personal data under the recommended policy; else their synthetic twins under the public
        one, whose value rules are off.
    settings
        Lines of the policy that differ from the shipped one.
    """
    sites = [
        make_site(
            directory,
            "abcdefgh"[number],
            simulated,
            data_class="personal" if protected else "synthetic",
            policy="recommended" if protected else "public",
            settings=settings,
            genotypes=genotypes,
        )
        for number, simulated in enumerate(parts)
    ]
    file = directory / "federation.toml"
    admit = {"admit": True} if "admit" in signature(init_federation).parameters else {}
    init_federation(
        file, [str(site) for site in sites], min_sites=min_sites, **admit, overlap="excluded"
    )
    return Analyst(file)


def both(
    directory: Path,
    parts: Sequence[People],
    *,
    settings: Mapping[str, object] | None = None,
    **options: Any,
) -> tuple[Analyst, Analyst]:
    """Analysts before the same people, unprotected and under the recommended policy.

    Parameters
    ----------
    settings
        Lines of the recommended policy that differ.
    """
    return (
        attacked(directory / "before", parts, protected=False, **options),
        attacked(directory / "after", parts, protected=True, settings=settings, **options),
    )
