"""Federations that mask their sums, what each party of one holds, and sums worked out apart."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray

from eucan_dask import wire
from eucan_dask.federation import Federation
from eucan_dask.init import init_federation
from eucan_dask.keys import read_public
from eucan_dask.links import Link
from eucan_dask.opening import decode_opened, encode_opening
from eucan_dask.partial import Release
from eucan_dask.request import Request
from eucan_dask.rounds import Member
from eucan_dask.site import Site
from eucan_dask.testing.data import People, people, split
from tests.asking import KEY, read_answer
from tests.simulated import make_site

__all__ = [
    "Asked",
    "Script",
    "Totals",
    "decoded",
    "forget",
    "make_masked",
    "scripted",
    "site_of",
    "totals",
]

NAMES = "abcdefgh"
Totals = dict[str, NDArray[Any]]
Script = Callable[[bytes, Link], bytes]


def make_masked(
    directory: Path,
    sizes: Sequence[int],
    *,
    policy: str = "recommended",
    settings: Mapping[str, object] | None = None,
    genotypes: bool = False,
    min_sites: int = 3,
    some: People | None = None,
) -> Path:
    """A federation over sites "a", "b", ... of so many people, that may mask with each other."""
    some = some or people(sum(sizes), seed=5)
    of = np.repeat(np.arange(len(sizes)), sizes)
    sites = [
        str(make_site(directory, name, part, policy=policy, settings=settings, genotypes=genotypes))
        for name, part in zip(NAMES, split(some, of), strict=False)
    ]
    init_federation(
        directory / "federation.toml", sites, min_sites=min_sites, admit=True, overlap="excluded"
    )
    return directory / "federation.toml"


def site_of(file: Path, name: str) -> Site:
    return Site(file.parent / name / "site")


def forget(file: Path) -> None:
    """Let every site begin with an empty ledger."""
    for node in file.parent.glob("*/site/node"):
        shutil.rmtree(node)


@dataclass
class Asked:
    """A masked request put to sites by hand, and what came back.

    Parameters
    ----------
    raw
        The request as it was sent.
    releases, keys
        What sites answered, and opened, by name.
    """

    file: Path
    request: Request
    key: Ed25519PrivateKey = KEY
    raw: bytes = b""
    releases: dict[str, Release] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.raw = wire.encode_request(self.request, self.key)

    @classmethod
    def of(cls, file: Path, analysis: Any, *, sites: str = "", **options: Any) -> Asked:
        """A question to some of the sites, or all."""
        with Federation.open(file) as federation:
            request = federation.request(
                analysis, purpose="DUO:0000006", aggregator="masked", **options
            )
        return cls(file, request.keep(sites) if sites else request)

    def public(self, name: str) -> Ed25519PublicKey:
        return read_public(self.file.parent / name / "site" / "keys" / "site.pub")

    def answer(self, *names: str) -> None:
        for name in names or self.request.roster.sites:
            answer = site_of(self.file, name).answer(self.raw)
            self.releases[name] = read_answer(answer, self.raw, self.public(name), self.key)

    def open(self, *names: str) -> None:
        """Ask sites to open; raises what they refuse."""
        message = encode_opening(self.raw, self.key)
        for name in names or self.request.roster.sites:
            answer = site_of(self.file, name).answer(message)
            self.keys[name] = decode_opened(
                answer, self.public(name), site=name, opening=message, own=self.key
            )


def totals(releases: Sequence[Release]) -> dict[str, list[Any]]:
    """Sums over releases without rounding, by name: integers, and fractions."""
    found = {}
    for name in releases[0].arrays:
        parts = [release.arrays[name] for release in releases]
        if parts[0].dtype == np.int64:
            found[name] = [
                sum(map(int, cell)) for cell in zip(*(p.flat for p in parts), strict=True)
            ]
        elif parts[0].dtype == np.float64:
            cells = zip(*(p.flat for p in parts), strict=True)
            found[name] = [sum(map(Fraction, map(float, cell))) for cell in cells]
    return found


def decoded(found: Totals) -> dict[str, list[Any]]:
    """Arrays as lists of plain numbers."""
    return {name: values.reshape(-1).tolist() for name, values in found.items()}


class Scripted(Link):
    """A link that sends by a script: it is given each message, and the inner link."""

    prompt = True

    def __init__(self, inner: Link, script: Script) -> None:
        self.inner, self.script = inner, script

    def hello(self) -> dict[str, Any]:
        return self.inner.hello()

    def send(self, raw: bytes) -> bytes:
        return self.script(raw, self.inner)

    def close(self) -> None:
        self.inner.close()


def scripted(file: Path, *, without: str = "", **scripts: Script) -> Federation:
    """The federation, with scripts at some of the links, and perhaps without a site."""
    opened = Federation.open(file)
    members = [
        Member(m.name, Scripted(m.link, scripts[m.name]) if m.name in scripts else m.link, m.key)
        for m in opened.members
        if m.name != without
    ]
    return Federation(
        members,
        name=opened.name,
        min_sites=opened.min_sites,
        thresholds=opened.thresholds,
        key=opened.key,
        overlap="excluded",
    )
