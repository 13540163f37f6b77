"""Mask keys: one a site, signed by it, bound to its name, and exactly the roster's."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eucan_dask.errors import Invalid, NotEnoughSites
from eucan_dask.federation import Federation
from eucan_dask.keys import derive, public_hex
from eucan_dask.mask_keys import (
    check_mask_key,
    gather,
    mask_private,
    read_mask_keys,
    sign_mask_key,
)
from eucan_dask.rounds import Member
from tests.scans import Counting
from tests.simulated import make_federation

ONE, OTHER = (Ed25519PrivateKey.from_private_bytes(c * 32) for c in (b"1", b"2"))


def test_sign_mask_key__fits() -> None:
    public, signature = sign_mask_key(ONE, "north")
    found = check_mask_key(ONE.public_key(), "north", public, signature)
    assert found == mask_private(ONE).public_key()
    assert mask_private(ONE).private_bytes_raw() == derive(ONE, "masks")
    text = b"eucan-dask mask key\nnorth\n" + bytes.fromhex(public)
    ONE.public_key().verify(bytes.fromhex(signature), text)
    assert sign_mask_key(ONE, "north") == (public, signature)


def test_check_mask_key__of_another_site_name_or_key() -> None:
    public, signature = sign_mask_key(ONE, "north")
    other, other_signature = sign_mask_key(OTHER, "north")
    for key, name, *pair in (
        (OTHER, "north", public, signature),
        (ONE, "south", public, signature),
        (ONE, "north", other, signature),
        (ONE, "north", public, other_signature),
        (ONE, "north", public.upper(), signature),
        (ONE, "north", public[:-2], signature),
        (ONE, "north", public, signature[:-2]),
        (ONE, "north", "", ""),
        (ONE, "north", "None", "None"),
    ):
        with pytest.raises(Invalid, match=f"mask key of {name}"):
            check_mask_key(key.public_key(), name, *pair)


def test_read_mask_keys__exactly_the_roster_s() -> None:
    table = {name: list(sign_mask_key(ONE, name)) for name in "abc"}
    assert read_mask_keys(table, ("a", "b", "c")) == {n: tuple(p) for n, p in table.items()}
    for sites in (("a", "b"), ("a", "b", "c", "d"), ()):
        with pytest.raises(Invalid, match="not those of the roster"):
            read_mask_keys(table, sites)
    assert read_mask_keys({}, ()) == {}


@pytest.mark.parametrize(
    "pair", [None, [], ["x", "y"], ["0" * 64], ["0" * 64, "0" * 126], ["0" * 64, 3], "0" * 64]
)
def test_read_mask_keys__what_is_none(pair: object) -> None:
    with pytest.raises(Invalid, match=r"request\.mask_keys"):
        read_mask_keys({"a": pair}, ("a",))
    with pytest.raises(Invalid):
        read_mask_keys({"a": ["0" * 63, "0" * 128]}, ("a",))


def test_gather__too_few_or_without() -> None:
    keys = dict.fromkeys("abc", ONE.public_key())
    told = {}
    for name in "abc":
        public, signature = sign_mask_key(ONE, name)
        told[name] = {"mask_key": public, "mask_key_signature": signature}
    assert set(gather(told, keys)) == set("abc")
    with pytest.raises(NotEnoughSites, match="masks need 3 sites; there are 2"):
        gather({n: told[n] for n in "ab"}, keys)
    with pytest.raises(Invalid, match="mask key of a"):
        gather({**told, "a": {}}, keys)
    with pytest.raises(Invalid, match="mask key of a"):
        gather({**told, "a": told["b"]}, keys)


# --- as the coordinator gathers them ---


class Greeted(Counting):
    """A link that counts the hellos."""

    n_hellos = 0

    def hello(self) -> dict[str, object]:
        self.n_hellos += 1
        return super().hello()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_federation(tmp_path_factory.mktemp("federation"), (30, 30, 30), min_sites=2)


def federation_of(file: Path, names: str) -> tuple[Federation, list[Greeted]]:
    opened = Federation.open(file)
    links = [Greeted(m.link) for m in opened.members if m.name in names]
    members = [m for m in opened.members if m.name in names]
    again = Federation(
        [Member(m.name, link, m.key) for m, link in zip(members, links, strict=True)],
        name="f",
        min_sites=2,
        thresholds=opened.thresholds,
        key=opened.key,
        overlap="excluded",
    )
    return again, links


def test_request__names_the_mask_keys_after_one_round_of_hellos(file: Path) -> None:
    from tests.test_parties import SEX

    federation, links = federation_of(file, "abc")
    for _ in range(2):
        request = federation.request(SEX, purpose="DUO:0000006", aggregator="masked")
    assert [link.n_hellos for link in links] == [1, 1, 1]
    assert set(request.mask_keys) == {"a", "b", "c"}
    for member in federation.members:
        check_mask_key(member.key, member.name, *request.mask_keys[member.name])
    assert request.pool["min_cell"] == federation.thresholds.min_cell
    left = request.keep(["a", "c"])
    assert set(left.mask_keys) == {"a", "c"} == set(left.roster.sites)
    none = federation.request(SEX, purpose="DUO:0000006")
    assert (none.pool, none.mask_keys) == ({}, {})


def test_request__masks_of_two_sites_are_refused(file: Path) -> None:
    from tests.test_parties import SEX

    federation, _ = federation_of(file, "ab")
    with pytest.raises(NotEnoughSites, match="masks need 3 sites"):
        federation.request(SEX, purpose="DUO:0000006", aggregator="masked")


def test_hello__a_mask_key_of_its_own(file: Path) -> None:
    with Federation.open(file) as federation:
        found = {hello["mask_key"] for hello in federation.hello().values()}
    assert len(found) == 3
    assert public_hex(mask_private(ONE).public_key()) not in found
