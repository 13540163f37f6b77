"""Hellos: signed, waited for, compared; and the files that setting up writes."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eucan_dask import config
from eucan_dask.clusters import Cluster
from eucan_dask.errors import Invalid, NotEnoughSites
from eucan_dask.federation import Federation
from eucan_dask.hello import encode_hello, fingerprint
from eucan_dask.init import init_federation, init_site
from eucan_dask.keys import read_private, read_public
from eucan_dask.mailbox import hello_path
from eucan_dask.parties import admit_asker
from eucan_dask.site import Site
from tests.cli.commands import Cli, refusal
from tests.links.parties import LONG, PURPOSE, SEX, SHORT, Parties, passes, passing, set_mailbox


def test_hello__opens_no_cluster_and_is_what_the_site_says(
    parties: Parties, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> Cluster:
        raise AssertionError("a cluster was opened")

    monkeypatch.setattr("eucan_dask.site.open_cluster", never)
    passes(parties.sites["lyon"])
    with Federation.open(parties.federation, deadline=LONG) as federation:
        told = federation.hello()
    assert told["lyon"] == json.loads(json.dumps(Site(parties.sites["lyon"]).hello()))
    assert "dashboard" not in told["lyon"]


def test_hello__is_waited_for(parties: Parties) -> None:
    path = hello_path(parties.boxes["lyon"], "lyon")
    path.unlink()
    with Federation.open(parties.federation, deadline=SHORT) as federation:
        with pytest.raises(NotEnoughSites, match="lyon: awaited since"):
            federation.hello()
    seen: list[str] = []

    def told(done: int, total: int, what: str) -> None:
        seen.append(what)
        passes(parties.sites["lyon"])

    with Federation.open(parties.federation, deadline=LONG) as federation:
        assert sorted(federation.hello(progress=told)) == ["lyon", "toronto"]
    assert seen[0].startswith("catalogues of the sites; waiting for lyon since ")


def test_hello__cut_off_is_waited_for(parties: Parties) -> None:
    path = hello_path(parties.boxes["lyon"], "lyon")
    path.write_bytes(path.read_bytes()[:-9])
    with Federation.open(parties.federation, deadline=SHORT) as federation:
        with pytest.raises(NotEnoughSites, match=r"lyon\.hello is no whole hello"):
            federation.hello()


def _foreign(site: Path) -> bytes:
    return encode_hello(Site(site).hello(), Ed25519PrivateKey.generate())


def _changed(site: Path) -> bytes:
    found = json.loads(Site(site).signed_hello())
    found["hello"]["public_policy"] = True
    return json.dumps(found).encode()


def _format(site: Path) -> bytes:
    return json.dumps({**json.loads(Site(site).signed_hello()), "format": 2}).encode()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_foreign, "signed with another key than the federation file names"),
        (_changed, "its signature does not fit"),
        (_format, "hello of another format; expected 1; found 2"),
        (lambda _: b'{"hello": {}}', "missing key"),
        (lambda _: b"[]", "not a table"),
    ],
    ids=["another key", "changed", "format", "keys", "no table"],
)
def test_hello__that_cannot_be_believed(
    parties: Parties, change: Callable[[Path], bytes], problem: str
) -> None:
    path = hello_path(parties.boxes["lyon"], "lyon")
    path.write_bytes(change(parties.sites["lyon"]))
    with Federation.open(parties.federation, deadline=LONG) as federation:
        with pytest.raises(Invalid, match=problem) as caught:
            federation.hello()
    assert str(path) in str(caught.value)


def test_hello__a_release_cannot_pass_for_one(parties: Parties) -> None:
    """Both are signed with the same key; what is signed differs from the first byte."""
    key = read_private(parties.sites["lyon"] / "keys" / "site.key")
    found = json.loads(Site(parties.sites["lyon"]).signed_hello())
    del found["signature"]
    plain = json.dumps(found, sort_keys=True, separators=(",", ":")).encode()
    forged = json.dumps({**found, "signature": key.sign(plain).hex()}).encode()
    hello_path(parties.boxes["lyon"], "lyon").write_bytes(forged)
    with Federation.open(parties.federation, deadline=LONG) as federation:
        with pytest.raises(Invalid, match="its signature does not fit"):
            federation.hello()


# --- setting up ---


def store_of(site: Path) -> Path:
    return Path(config.read(site / "site.toml")["store"])


def test_init__by_mailboxes_alone(made: dict[str, Path], tmp_path: Path, cli: Cli) -> None:
    """Two sites and a coordinator set up at the command line, then asked."""
    printed = {}
    for name, other in made.items():
        site, box = tmp_path / name, tmp_path / "boxes" / name
        where = ("--store", store_of(other), "--mailbox", box)
        made_site = cli("site", "init", site, "--name", name, *where)
        assert made_site.code == 0, made_site.err
        printed[name] = made_site.out.splitlines()[-1].rpartition(": ")[2]
        assert hello_path(box, name).exists()
    file = tmp_path / "desk" / "federation.toml"
    links = [word for name in made for word in ("--site", f"mailbox:{tmp_path}/boxes/{name}")]
    answer = cli("federation", "init", file, *links)
    assert answer.code == 0, answer.err
    for name, key in printed.items():
        public = read_public(tmp_path / name / "keys" / "site.pub")
        assert key == fingerprint(public)
        assert f"fingerprint of {name}: {key}\n" in answer.out
        assert read_public(file.parent / f"{name}.pub") == public
    assert "by telephone" in answer.out
    own = fingerprint(read_public(file.with_suffix(".pub")))
    assert f"fingerprint of federation: {own}\n" in answer.out
    lines = [line for line in answer.out.splitlines() if "site admit" in line]
    assert len(lines) == 2
    for name, line in zip(made, lines, strict=True):
        words = shlex.split(line.partition("eucan-dask ")[2])
        admitted = cli(*[str(tmp_path / name) if word == "DIR" else word for word in words])
        assert admitted.code == 0
        assert f"fingerprint of federation: {own}\n" in admitted.out
    assert [r["link"] for r in config.read(file)["sites"]] == [
        "mailbox:../boxes/lyon",
        "mailbox:../boxes/toronto",
    ]
    sites = {name: tmp_path / name for name in made}
    parties = Parties(file.parent, sites, {n: tmp_path / "boxes" / n for n in made})
    with passing(parties), Federation.open(file, deadline=LONG) as federation:
        assert federation.thresholds.min_cell == 20
        result = federation.run(SEX, purpose=PURPOSE)
    assert {o.status for o in result.outcomes} == {"answered"}


def test_init_federation__every_site_of_a_shared_mailbox(both: Parties) -> None:
    file = both.desk / "again.toml"
    keys = init_federation(file, [f"mailbox:{both.boxes['lyon']}"] * 2, min_sites=2)
    assert list(keys) == ["lyon", "toronto"]
    with Federation.open(file) as federation:
        assert [m.name for m in federation.members] == ["lyon", "toronto"]


def test_init_federation__mailboxes_and_directories(parties: Parties) -> None:
    file = parties.desk / "again.toml"
    links = [f"mailbox:{parties.boxes['lyon']}", str(parties.sites["toronto"])]
    assert list(init_federation(file, links, admit=True)) == ["lyon"]
    admit_asker(parties.sites["lyon"], "again", file.with_suffix(".pub"), ["none"])
    with passing(parties, "lyon"), Federation.open(file, deadline=LONG) as federation:
        result = federation.run(SEX, purpose=PURPOSE)
    assert {o.status for o in result.outcomes} == {"answered"}


def test_init_federation__another_key_lies_there(parties: Parties) -> None:
    shutil.copy(parties.sites["toronto"] / "keys" / "site.pub", parties.desk / "lyon.pub")
    with pytest.raises(Invalid, match="another key of this site lies there"):
        init_federation(parties.desk / "again.toml", [f"mailbox:{parties.boxes['lyon']}"])
    assert not (parties.desk / "again.toml").exists()


def test_init_federation__mailboxes_where_nobody_is(parties: Parties) -> None:
    box = parties.boxes["lyon"]
    hello = hello_path(box, "lyon")
    file = parties.desk / "again.toml"
    raw = hello.read_bytes()
    for content, problem in (
        (raw[:-9], "is no whole hello"),
        (raw.replace(b"lyon", b"nice"), "its signature does not fit"),
    ):
        hello.write_bytes(content)
        with pytest.raises(Invalid, match=problem):
            init_federation(file, [f"mailbox:{box}"])
    hello.write_bytes(hello_path(parties.boxes["toronto"], "toronto").read_bytes())
    with pytest.raises(Invalid, match="is the hello of another site; found 'toronto'"):
        init_federation(file, [f"mailbox:{box}"])
    hello.unlink()
    with pytest.raises(Invalid, match="no site has said hello there; run `site pass`"):
        init_federation(file, [f"mailbox:{box}"])
    with pytest.raises(Invalid, match="is no mailbox"):
        init_federation(file, [f"mailbox:{box}/nowhere"])
    assert not file.exists()


def test_init_site__a_name_that_is_taken_in_the_mailbox(parties: Parties, tmp_path: Path) -> None:
    store = store_of(parties.sites["lyon"])
    with pytest.raises(Invalid, match="another site says hello under this name"):
        init_site(tmp_path / "x", name="lyon", store=store, mailbox=parties.boxes["lyon"])
    assert not (tmp_path / "x").exists()


def test_init_site__a_mailbox_that_cannot_be(parties: Parties, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "file").write_text("")
    store = store_of(parties.sites["lyon"])
    words = ("site", "init", tmp_path / "x", "--name", "x", "--store", store)
    answer = cli(*words, "--mailbox", tmp_path / "file")
    refusal(answer, "is no directory to write in")
    assert not (tmp_path / "x").exists()
    refusal(cli("site", "pass", tmp_path / "x"), "cannot be read")


@pytest.mark.parametrize(
    "name", ["..", "a/b", 'the "old" hospital', "Zürich", "a.b.release", "a-b"]
)
def test_site__of_any_name(parties: Parties, tmp_path: Path, name: str) -> None:
    """A name is quoted in file names: it leads nowhere else and is read back as it was."""
    site, box = tmp_path / "odd", tmp_path / "box"
    init_site(site, name=name, store=store_of(parties.sites["lyon"]), mailbox=box)
    file = tmp_path / "f" / "federation.toml"
    init_federation(file, [f"mailbox:{box}"])
    admit_asker(site, name, file.with_suffix(".pub"), ["none"])
    odd = Parties(file.parent, {name: site}, {name: box})
    with passing(odd), Federation.open(file, deadline=LONG) as federation:
        result = federation.run(SEX, purpose=PURPOSE)
    assert [(o.site, o.status) for o in result.outcomes] == [(name, "answered")]
    assert odd.left() == []
    assert {p.name for p in box.iterdir()} == {"in", "out"}


def test_site__of_too_long_a_name(parties: Parties, tmp_path: Path) -> None:
    store = store_of(parties.sites["lyon"])
    with pytest.raises(Invalid, match="cannot name a file"):
        init_site(tmp_path / "x", name="x" * 121, store=store, mailbox=tmp_path / "box")


def test_site_toml__a_mailbox_relative_to_it(parties: Parties) -> None:
    site = parties.sites["lyon"]
    set_mailbox(site, Path("near"))
    assert Site(site).mailbox == site / "near"
    assert hello_path(site / "near", "lyon").exists()
