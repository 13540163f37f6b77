"""Who may ask a site, and with whom it masks its sums: its steward's list, `parties.toml`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eucan_dask import config
from eucan_dask.agreement import read_agreement
from eucan_dask.errors import Invalid, Refused, unknown
from eucan_dask.keys import public_hex, public_pem, read_public
from eucan_dask.mailbox import put, token_of
from eucan_dask.mask_keys import LEAST_SITES, check_mask_key
from eucan_dask.policy import TIERS
from eucan_dask.request import AGGREGATORS, Request

__all__ = ["EMPTY", "Asker", "Parties", "Peer", "admit_asker", "admit_peer"]

FORMAT = 1
WRITER = "parties"
EMPTY = """# Who may ask this site, and with whom it masks its sums. Nobody else gets an answer.
# Written by `eucan-dask site admit`; take somebody off by removing the entry.
#   askers.aggregators: who adds the sites up. "none": the asker sees this site's sums. "trusted":
#   a processor that is not the analyst sums in memory. "masked": nobody sees this site's sums.
#   askers.tiers: open, registered (named people under agreement), controlled (with a permit).
#   askers.agreement: a table for the regulator, kept with each answer: permit = "...",
#   approved = "2026-03-01", legal_basis, recipients and more (docs/steward.md).
#   peers: the other sites; needed for "masked" alone.
format = 1
"""


@dataclass(frozen=True)
class Asker:
    """Whoever holds a key that requests are signed with; the aggregators and tiers it may name.

    Parameters
    ----------
    agreement
        Under what it was admitted, for the record.
    """

    name: str
    key: Ed25519PublicKey
    aggregators: tuple[str, ...]
    tiers: tuple[str, ...]
    agreement: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Peer:
    """Another site, known by the key it signs with."""

    name: str
    key: Ed25519PublicKey


@dataclass(frozen=True, repr=False)
class Parties:
    """Everybody a site deals with."""

    askers: tuple[Asker, ...] = ()
    peers: tuple[Peer, ...] = ()

    def __post_init__(self) -> None:
        for kind in (self.askers, self.peers):
            names, keys = [p.name for p in kind], [public_hex(p.key) for p in kind]
            if len(set(names)) < len(names):
                raise Invalid("a name stands there twice", where="parties", found=sorted(names))
            if len(set(keys)) < len(keys):
                raise Invalid("a key stands there twice", where="parties", found=sorted(names))

    @classmethod
    def read(cls, path: Path) -> Parties:
        """The parties in a file.

        Raises
        ------
        Invalid
            For unknown or missing keys, aggregators, tiers or key files; a repeated name or key.
        """
        table = config.check(
            config.read_format(path, FORMAT, remedy="install the eucan-dask that wrote it"),
            {
                "format": config.Key(int),
                **dict.fromkeys(("askers", "peers"), config.Key(list, default=())),
            },
            where=str(path),
        )
        text, base = config.Key(str), path.parent
        peer = dict.fromkeys(("name", "public_key_file"), text)
        asker = {**peer, **dict.fromkeys(("aggregators", "tiers"), config.Key(list))}
        asker["agreement"] = config.Key(dict, default={})
        askers = [config.check(row, asker, where=f"{path} [[askers]]") for row in table["askers"]]
        peers = [config.check(row, peer, where=f"{path} [[peers]]") for row in table["peers"]]
        return cls(
            tuple(
                Asker(
                    row["name"],
                    read_public(base / row["public_key_file"]),
                    _some_of(
                        "aggregator", row["aggregators"], AGGREGATORS, where=f"{path} [[askers]]"
                    ),
                    _some_of("tier", row["tiers"], TIERS, where=f"{path} [[askers]]"),
                    read_agreement(row["agreement"], where=f"{path} [askers.agreement]"),
                )
                for row in askers
            ),
            tuple(Peer(row["name"], read_public(base / row["public_key_file"])) for row in peers),
        )

    @property
    def asker_keys(self) -> frozenset[str]:
        """Public keys of those who may ask, in hexadecimal."""
        return frozenset(public_hex(asker.key) for asker in self.askers)

    def name_of(self, key: str) -> str:
        """Who holds a public key, in hexadecimal; empty if nobody who may ask does."""
        return next((a.name for a in self.askers if public_hex(a.key) == key), "")

    def agreement_of(self, key: str) -> Mapping[str, str]:
        """Under what the holder of a public key, in hexadecimal, was admitted."""
        return next((a.agreement for a in self.askers if public_hex(a.key) == key), {})

    def check(self, request: Request, site: str) -> None:
        """Refuse an aggregator or tier its asker is not admitted with, and masks among strangers.

        Raises
        ------
        Refused
            Naming the rule, and what the steward could do.
        """
        asker = next((a for a in self.askers if public_hex(a.key) == request.asker), None)
        if asker is None:
            raise Refused("asker", "ask the steward to admit this key")
        if request.roster.aggregator not in asker.aggregators:
            raise Refused("asker", f"this key may ask with: {', '.join(asker.aggregators)}")
        if request.tier not in asker.tiers:
            raise Refused("asker", f"this key may ask in tier: {', '.join(asker.tiers)}")
        if request.roster.aggregator == "masked":
            self._check_masks(request, site)

    def _check_masks(self, request: Request, site: str) -> None:
        if len(request.roster) < LEAST_SITES:
            raise Refused("masked_sites", f"masks need at least {LEAST_SITES} sites")
        known = {peer.name: peer.key for peer in self.peers}
        for name in request.roster.sites:
            try:
                if name != site:
                    check_mask_key(known[name], name, *request.mask_keys[name])
            except (KeyError, Invalid) as error:
                remedy = "ask the steward to admit every site of the roster as a peer"
                raise Refused("peers", remedy) from error


def admit_asker(
    site: Path,
    name: str,
    key_file: Path,
    aggregators: Sequence[str],
    *,
    tiers: Sequence[str] = ("open",),
) -> None:
    """Let whoever holds a key ask a site, with these aggregators and in these tiers.

    Raises
    ------
    Invalid
        If the name, or the key, is admitted already and anything differs.
    """
    with_ = _some_of("aggregator", aggregators, AGGREGATORS, where="aggregators")
    in_ = _some_of("tier", tiers, TIERS, where="tiers")
    path, parties = _of_site(site)
    asker = Asker(name, read_public(key_file), with_, in_)
    if asker not in parties.askers:
        _check_new(name, asker.key, parties.askers, where=path)
        more = f"aggregators = {json.dumps(list(with_))}\ntiers = {json.dumps(list(in_))}\n"
        _append(path, "askers", name, asker.key, more)


def admit_peer(site: Path, name: str, key_file: Path) -> None:
    """Let a site mask its sums with another one.

    Raises
    ------
    Invalid
        If the name, or the key, is admitted already and the other differs.
    """
    path, parties = _of_site(site)
    peer = Peer(name, read_public(key_file))
    if peer not in parties.peers:
        _check_new(name, peer.key, parties.peers, where=path)
        _append(path, "peers", name, peer.key, "")


def _of_site(site: Path) -> tuple[Path, Parties]:
    table = config.read(site / "site.toml")
    path = site / str(config.Key(str).value(table, "parties", str(site / "site.toml")))
    return path, Parties.read(path)


def _check_new(
    name: str, key: Ed25519PublicKey, there: Sequence[Asker | Peer], *, where: Path
) -> None:
    if not name.strip():
        raise Invalid("a party has no name", where=where)
    for party in there:
        if party.name == name and party.key == key:
            remedy = "edit the aggregators or tiers of that entry"
            raise Invalid("is admitted already", where=where, found=repr(name), remedy=remedy)
        if party.name == name:
            raise Invalid(
                "another key is admitted under this name",
                where=where,
                found=repr(name),
                remedy="ask its owner, by another channel, and remove the entry that is wrong",
            )
        if party.key == key:
            raise Invalid(
                "this key is admitted under another name", where=where, found=repr(party.name)
            )


def _append(path: Path, kind: str, name: str, key: Ed25519PublicKey, more: str) -> None:
    """Keep the key, then put an entry at the end of the file, whole or not at all."""
    kept = Path("keys") / kind / f"{token_of(name)}.pub"
    entry = (
        f"\n[[{kind}]]\nname = {json.dumps(name)}\n"
        f"public_key_file = {json.dumps(kept.as_posix())}\n{more}"
    )
    text = path.read_text(encoding="utf-8") + entry
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:  # a list written by hand as one line
        raise Invalid("cannot be added to", where=path, remedy="edit it by hand") from error
    (path.parent / kept).parent.mkdir(parents=True, exist_ok=True)
    put(path.parent / kept, public_pem(key), writer=WRITER)
    put(path, text.encode(), writer=WRITER)


def _some_of(
    kind: str, values: Sequence[object], known: Sequence[str], *, where: str
) -> tuple[str, ...]:
    for value in values:
        if value not in known:
            raise unknown(kind, value, known, where=where)
    if not values or len(set(values)) < len(values):
        raise Invalid(f"names no {kind}, or one twice", where=where, expected=known)
    return tuple(map(str, values))
