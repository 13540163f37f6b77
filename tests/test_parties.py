"""Who may ask: the steward's list, what it refuses, and what a site makes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eucan_dask import wire
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid, Refused
from eucan_dask.init import init_site
from eucan_dask.keys import public_hex, public_pem
from eucan_dask.mask_keys import sign_mask_key
from eucan_dask.panel import Panel
from eucan_dask.parties import EMPTY, Parties, admit_asker, admit_peer
from eucan_dask.policy import TIERS, Policy
from eucan_dask.pool_thresholds import pool_of
from eucan_dask.request import AGGREGATORS, Request, Roster
from eucan_dask.site import Site
from eucan_dask.testing.data import people
from eucan_dask.versions import code_digest
from tests.asking import KEY, admit, put
from tests.simulated import edit, make_store, set_cluster

KEYS = {n: Ed25519PrivateKey.from_private_bytes(n.encode() * 32) for n in "abcde"}
SEX = CohortSummary(fields=(SummaryField(field="sex", levels=("female", "male")),))


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """As much of a site as its list of parties needs, and files of keys."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "site.toml").write_text('parties = "parties.toml"\n')
    (site / "parties.toml").write_text(EMPTY)
    for name, key in KEYS.items():
        (tmp_path / f"{name}.pub").write_bytes(public_pem(key.public_key()))
    return site


def key(site: Path, name: str) -> Path:
    return site.parent / f"{name}.pub"


def read(site: Path) -> Parties:
    return Parties.read(site / "parties.toml")


# --- admitting ---


def test_admit__one_after_the_other(bare: Path) -> None:
    admit_asker(bare, "Übersee / 'X'", key(bare, "a"), ["none"])
    admit_peer(bare, "north", key(bare, "b"))
    admit_asker(
        bare, "institute", key(bare, "c"), ["trusted", "masked"], tiers=["open", "controlled"]
    )
    found = read(bare)
    assert [(a.name, a.aggregators, a.tiers) for a in found.askers] == [
        ("Übersee / 'X'", ("none",), ("open",)),
        ("institute", ("trusted", "masked"), ("open", "controlled")),
    ]
    assert [p.name for p in found.peers] == ["north"]
    assert found.askers[0].key == KEYS["a"].public_key()
    assert found.peers[0].key == KEYS["b"].public_key()
    assert found.asker_keys == {public_hex(KEYS[n].public_key()) for n in "ac"}
    assert (bare / "parties.toml").read_text().startswith(EMPTY)
    assert not list(bare.glob(".tmp-*"))


def test_admit__the_keys_are_kept_at_the_site(bare: Path) -> None:
    admit_asker(bare, "site", key(bare, "a"), ["none"])
    admit_peer(bare, "site", key(bare, "b"))
    for name in KEYS:
        key(bare, name).unlink()
    found = read(bare)
    assert found.askers[0].key == KEYS["a"].public_key()
    assert found.peers[0].key == KEYS["b"].public_key()


def test_admit__the_same_again_changes_nothing(bare: Path) -> None:
    admit_asker(bare, "x", key(bare, "a"), ["none"])
    admit_peer(bare, "y", key(bare, "b"))
    before = (bare / "parties.toml").read_bytes()
    admit_asker(bare, "x", key(bare, "a"), ["none"])
    admit_peer(bare, "y", key(bare, "b"))
    assert (bare / "parties.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "file", "aggregators", "words"),
    [
        ("x", "b", ["none"], "another key is admitted under this name"),
        ("y", "a", ["none"], "this key is admitted under another name"),
        ("x", "a", ["none", "masked"], "edit the aggregators"),
        ("z", "c", [], "names no aggregator"),
        ("z", "c", ["none", "none"], "one twice"),
        ("z", "c", ["maskd"], "did you mean 'masked'"),
        ("  ", "c", ["none"], "has no name"),
    ],
)
def test_admit_asker__what_cannot_be(
    bare: Path, name: str, file: str, aggregators: list[str], words: str
) -> None:
    admit_asker(bare, "x", key(bare, "a"), ["none"])
    before = (bare / "parties.toml").read_bytes()
    with pytest.raises(Invalid, match=words):
        admit_asker(bare, name, key(bare, file), aggregators)
    assert (bare / "parties.toml").read_bytes() == before
    assert len(list((bare / "keys").rglob("*.pub"))) == 1


def test_admit_peer__another_key_under_the_same_name(bare: Path) -> None:
    admit_peer(bare, "north", key(bare, "a"))
    with pytest.raises(Invalid, match="another key.*by another channel"):
        admit_peer(bare, "north", key(bare, "b"))
    with pytest.raises(Invalid, match="under another name.*'north'"):
        admit_peer(bare, "south", key(bare, "a"))


def test_admit__a_private_key_is_not_taken(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no readable public key"):
        admit_peer(bare, "north", bare / "site.toml")


def test_admit__a_list_in_one_line_is_left_to_its_writer(bare: Path) -> None:
    (bare / "parties.toml").write_text("format = 1\naskers = []\n")
    with pytest.raises(Invalid, match="edit it by hand"):
        admit_asker(bare, "x", key(bare, "a"), ["none"])
    assert (bare / "parties.toml").read_text() == "format = 1\naskers = []\n"


# --- reading ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "unknown format"),
        ("format = 2\n", "expected 1; found 2"),
        ("format = true\n", "unknown format"),
        ("format = 1\nguests = []\n", "unknown key 'guests'"),
        ("format = 1\naskers = 3\n", "wrong type"),
        ("format = 1\n[[askers]]\nname = 'x'\n", "missing key"),
        ("format = 1\n[[askers]]\nname = 'x'\npublic_key_file = 'a.pub'\n", "'aggregators'"),
        (
            "format = 1\n[[askers]]\nname = 'x'\npublic_key_file = '../a.pub'\n"
            "aggregators = [3]\ntiers = ['open']\n",
            "unknown aggregator",
        ),
        (
            "format = 1\n[[askers]]\nname = 'x'\npublic_key_file = '../a.pub'\n"
            "aggregators = ['none']\n",
            "missing key 'tiers'",
        ),
        (
            "format = 1\n[[askers]]\nname = 'x'\npublic_key_file = '../a.pub'\n"
            "aggregators = ['none']\ntiers = ['opn']\n",
            "did you mean 'open'",
        ),
        (
            "format = 1\n[[askers]]\nname = 'x'\npublic_key_file = '../a.pub'\n"
            "aggregators = ['none']\ntiers = []\n",
            "names no tier",
        ),
        ("format = 1\n[[peers]]\nname = 'x'\npublic_key_file = 'nowhere.pub'\n", "nowhere.pub"),
        (
            "format = 1\n[[peers]]\nname = 'x'\npublic_key_file = '../a.pub'\nkey = 1\n",
            "unknown key 'key'",
        ),
        (
            "format = 1\n"
            + "[[peers]]\nname = 'x'\npublic_key_file = '../a.pub'\n"
            + "[[peers]]\nname = 'x'\npublic_key_file = '../b.pub'\n",
            "a name stands there twice",
        ),
        (
            "format = 1\n"
            + "[[peers]]\nname = 'x'\npublic_key_file = '../a.pub'\n"
            + "[[peers]]\nname = 'y'\npublic_key_file = '../a.pub'\n",
            "a key stands there twice",
        ),
    ],
)
def test_read__strictly(bare: Path, text: str, words: str) -> None:
    (bare / "parties.toml").write_text(text)
    with pytest.raises(Invalid, match=words):
        read(bare)


def test_read__an_empty_list_admits_nobody(bare: Path) -> None:
    assert read(bare) == Parties()
    assert not read(bare).asker_keys


# --- what a site makes of it ---


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"), people(60, seed=3))


@pytest.fixture
def site(tmp_path: Path, template: Path) -> Path:
    """A site that admits nobody."""
    init_site(tmp_path / "a", name="a", store=template)
    set_cluster(tmp_path / "a", "synchronous")
    for name, other in KEYS.items():
        (tmp_path / f"{name}.pub").write_bytes(public_pem(other.public_key()))
    return tmp_path / "a"


def asked(aggregator: str = "none", sites: tuple[str, ...] = ("a",), **changes: Any) -> Request:
    policy = Policy.read(Path(__file__).parents[1] / "eucan_dask/policies/recommended.toml")
    masked = aggregator == "masked"
    request = Request(
        run="r",
        analysis=SEX,
        panel=Panel(),
        cohorts=(Cohort("everybody"),),
        purpose="DUO:0000006",
        roster=Roster(sites, aggregator),
        code_digest=code_digest(),
        pool={} if aggregator == "none" else pool_of(policy.thresholds),
        mask_keys={n: sign_mask_key(KEYS[n], n) for n in sites} if masked else {},
    )
    return dataclasses.replace(request, **changes)


def rule(site: Path, request: Request, signed_by: Ed25519PrivateKey = KEY) -> str:
    found = put(site, request, signed_by)
    return found.findings[0].rule if found.status == "refused" else found.status


def test_answer__a_stranger_gets_no_word_of_content(site: Path) -> None:
    opened = Site(site)
    raw = wire.encode_request(asked(), KEY)
    answer = opened.answer(raw)
    release = put(site, asked())
    assert (release.run, release.round, release.analysis) == ("", 0, "")
    assert release.status == "refused"
    assert [f.rule for f in release.findings] == ["asker"]
    assert release.findings[0].message == "ask the steward to admit this key"
    assert set(release.header) == {"request"}
    other = wire.encode_request(asked(purpose="DUO:0000042", run="longer" * 9), KEY)
    assert len(opened.answer(other)) == len(answer)
    assert "store" not in vars(opened)
    assert "ledger" not in vars(opened)
    assert not (site / "node").exists()


def test_answer__once_admitted(site: Path) -> None:
    assert rule(site, asked()) == "asker"
    admit(site)
    assert rule(site, asked()) == "released"
    assert rule(site, asked(), KEYS["b"]) == "asker"


def test_answer__a_key_that_was_taken_off(site: Path) -> None:
    admit(site)
    (site / "parties.toml").write_text(EMPTY)
    assert rule(site, asked()) == "asker"


def test_answer__a_signature_that_is_not_the_asker_s(site: Path) -> None:
    admit(site)
    raw = wire.encode_request(asked(), KEY)
    forged = wire.encode_request(asked(), KEYS["b"])
    for bad in (
        raw[: -wire.RELEASE_TAIL] + forged[-wire.RELEASE_TAIL :],
        raw.replace(b"DUO:0000006", b"DUO:0000007"),
        forged[: -wire.REQUEST_TAIL] + raw[-wire.REQUEST_TAIL :],
        raw[:-1],
    ):
        header = Site(site).answer(bad)
        assert b'"rule": "asker"' in header
        assert b'"status": "refused"' in header


def test_answer__only_with_the_aggregators_admitted(site: Path) -> None:
    for name, aggregators in (("b", ["none"]), ("c", ["trusted"]), ("d", ["masked"])):
        admit_asker(site, name, site.parent / f"{name}.pub", aggregators)
    for name, own in (("b", "none"), ("c", "trusted"), ("d", "masked")):
        for aggregator in AGGREGATORS:
            found = rule(site, asked(aggregator), KEYS[name])
            assert (found == "asker") == (aggregator != own), (name, aggregator)


def test_answer__only_in_the_tiers_granted(site: Path) -> None:
    """Whoever asks names the tier: it counts for nothing unless the steward granted it."""
    granted = {"b": ["open"], "c": ["open", "registered"], "d": ["controlled"]}
    for name, tiers in granted.items():
        admit_asker(site, name, site.parent / f"{name}.pub", ["none"], tiers=tiers)
    for name, tiers in granted.items():
        for tier in TIERS:
            found = rule(site, asked(tier=tier), KEYS[name])
            assert (found == "asker") == (tier not in tiers), (name, tier)


# --- masks among known sites ---


def test_check__masks_need_three_sites_all_known(site: Path) -> None:
    admit(site)
    assert rule(site, asked("masked", ("a", "b"))) == "masked_sites"
    three = asked("masked", ("a", "b", "c"))
    assert rule(site, three) == "peers"
    admit_peer(site, "b", site.parent / "b.pub")
    assert rule(site, three) == "peers"
    admit_peer(site, "c", site.parent / "c.pub")
    assert rule(site, three) not in ("peers", "masked_sites", "asker")
    for name, pair in (
        ("b", sign_mask_key(KEYS["d"], "b")),  # of a stranger
        ("b", sign_mask_key(KEYS["b"], "c")),  # signed for another name
        ("b", (three.mask_keys["c"][0], three.mask_keys["b"][1])),
    ):
        keys = {**three.mask_keys, name: pair}
        assert rule(site, dataclasses.replace(three, mask_keys=keys)) == "peers"


def test_check__who_did_not_sign_is_refused() -> None:
    with pytest.raises(Refused, match="rule asker"):
        Parties().check(asked(), "a")


# --- as strict on the pool ---


@pytest.mark.parametrize("aggregator", ["trusted", "masked"])
def test_answer__a_laxer_pool_is_refused(site: Path, aggregator: str) -> None:
    admit(site)
    for name in ("b", "c"):
        admit_peer(site, name, site.parent / f"{name}.pub")
    request = asked(aggregator, ("a", "b", "c"))
    pool = {**request.pool, "min_cell": 9}
    assert rule(site, dataclasses.replace(request, pool=pool)) == "pool_thresholds"
    assert rule(site, request) != "pool_thresholds"
    edit(site / "policy.toml", {"min_cell": 9})
    assert rule(site, dataclasses.replace(request, pool=pool)) != "pool_thresholds"
    edit(site / "policy.toml", {"min_individuals": 11})
    assert rule(site, request) == "pool_thresholds"
