"""What does not belong into a mailbox: named, left where it is, and in nobody's way."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eucan_dask import message, wire
from eucan_dask import site_pass as pass_module
from eucan_dask.errors import Invalid, Unavailable
from eucan_dask.federation import Federation
from eucan_dask.keys import read_public
from eucan_dask.links import mailbox as link_module
from eucan_dask.mailbox import put, release_path
from tests.asking import KEY, admit, encoded, read_answer
from tests.cli.commands import Cli, refusal, tree
from tests.links.parties import (
    LONG,
    SHORT,
    Parties,
    ask,
    in_process,
    ledger_rows,
    passes,
    passing,
    put_request,
    release_of,
    request,
    same,
)

Put = Callable[[Path], object]


def _future(path: Path) -> None:
    raw = encoded(request("lyon", run="new"))
    path.write_bytes(message.MAGIC[:-1] + b"\3" + raw[len(message.MAGIC) :])


def _past(path: Path) -> None:
    """A request of version 1: nobody signed it."""
    body = encoded(request("lyon", run="new"))[: -wire.REQUEST_TAIL]
    path.write_bytes(message.MAGIC[:-1] + b"\1" + body[len(message.MAGIC) :])


def _unknown_key(path: Path) -> None:
    """A request of some later version that adds a key."""
    raw = encoded(request("lyon", run="new"))
    (length,) = struct.unpack_from("<I", raw, len(message.MAGIC))
    text = raw[message.PREFIX.size : message.PREFIX.size + length]
    text = text.replace(b'{"aggregator"', b'{"agent": 7, "aggregator"', 1)
    body = message.PREFIX.pack(message.MAGIC, len(text)) + text + raw[-wire.REQUEST_TAIL :][:32]
    path.write_bytes(body + KEY.sign(wire.REQUEST + body))


def _cut(path: Path) -> None:
    path.write_bytes(encoded(request("lyon", run="new"))[:-7])


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(message.MAX_BYTES + 1)


def _release(path: Path) -> None:
    """A whole message that is no request."""
    raw = encoded(request("lyon", run="new")).replace(b'"request"', b'"release"')
    path.write_bytes(raw)


BAD: dict[str, tuple[str, Put, str]] = {
    "foreign": ("report.docx", lambda p: p.write_bytes(b"PK"), "is no request"),
    "foreign content": ("new.0.request", lambda p: p.write_text("hi there " * 9), "not a message"),
    "odd name": ("a\x1b[2J\nb", lambda p: p.write_text(""), "is no request"),
    "not text": (os.fsdecode(b"\xff\xfe.0.request"), lambda p: p.write_text(""), "is no request"),
    "dots": ("...0.request", lambda p: p.write_text(""), "is no request"),
    "leading zero": ("new.00.request", lambda p: p.write_text(""), "is no request"),
    "hidden": (".DS_Store", lambda p: p.write_text(""), "is no request"),
    "empty": ("new.0.request", lambda p: p.write_bytes(b""), "is cut off"),
    "cut off": ("new.0.request", _cut, "is cut off: it lacks 7 bytes"),
    "future": ("new.0.request", _future, "has another version; expected 2; found 3; install"),
    "past": ("new.0.request", _past, "has another version; expected 2; found 1; install"),
    "unknown key": ("new.0.request", _unknown_key, "unknown key 'agent'"),
    "no request": ("new.0.request", _release, "is not a request"),
    "renamed run": (
        "other.0.request",
        lambda p: p.write_bytes(encoded(request("lyon", run="new"))),
        "was it renamed?",
    ),
    "renamed round": (
        "new.1.request",
        lambda p: p.write_bytes(encoded(request("lyon", run="new"))),
        "was it renamed?",
    ),
    "directory": ("new.0.request", lambda p: p.mkdir(), "is no plain file"),
    "link": ("new.0.request", lambda p: p.symlink_to("ab12.0.request"), "is no plain file"),
    "dangling link": ("new.0.request", lambda p: p.symlink_to("none"), "is no plain file"),
    "pipe": ("new.0.request", os.mkfifo, "is no plain file"),
    "large": ("new.0.request", _large, "is too large; expected at most"),
}


@pytest.mark.parametrize("kind", BAD)
def test_pass__names_what_is_bad_and_answers_the_rest(
    parties: Parties, cli: Cli, kind: str
) -> None:
    name, write, problem = BAD[kind]
    box = parties.boxes["lyon"]
    put_request(parties, "lyon")
    put_request(parties, "lyon", run="zz")
    write(box / "in" / name)
    before = tree(box / "in") if kind not in ("pipe", "large") else {}
    answer = cli("site", "pass", parties.sites["lyon"])
    refusal(answer, str(box / "in"), "holds what cannot be answered", ascii(name), "remove it")
    (line,) = [row for row in answer.out.splitlines() if row.startswith(ascii(name))]
    assert problem in line
    assert line.isprintable()
    assert line.count(ascii(name)) == 1
    for run in ("ab12", "zz"):
        assert release_of(parties, "lyon", run=run).exists(), "good ones are answered"
    assert not before or tree(box / "in") == before
    assert os.path.lexists(box / "in" / name), "left where it is"
    assert len(parties.answers("lyon")) == 2


def test_pass__a_link_is_not_followed(parties: Parties, tmp_path: Path) -> None:
    """A link to a secret is neither read nor answered, whatever lies behind it."""
    raw = encoded(request("lyon", run="new"))
    (tmp_path / "secret").write_bytes(raw)
    (parties.boxes["lyon"] / "in" / "new.0.request").symlink_to(tmp_path / "secret")
    with pytest.raises(Invalid, match="cannot be answered"):
        passes(parties.sites["lyon"])
    assert not parties.answers("lyon")


def test_pass__a_request_for_others_is_left_without_a_word(parties: Parties, cli: Cli) -> None:
    path = parties.boxes["lyon"] / "in" / "ab12.0.request"
    path.write_bytes(encoded(request("toronto")))
    answer = cli("site", "pass", parties.sites["lyon"])
    assert (answer.code, answer.out) == (0, "nothing waits\n")
    assert path.exists()
    assert not release_of(parties, "lyon").exists()


def test_pass__half_written_files_are_no_news(parties: Parties, cli: Cli) -> None:
    box = parties.boxes["lyon"]
    (box / "in" / ".tmp-ab12.0011aabb").write_bytes(b"half")
    (box / "in" / ".nfs0001").write_bytes(b"")
    (box / "out" / ".tmp-lyon.0011aabb").write_bytes(b"its own, from when it was killed")
    (box / "out" / ".tmp-lyon-est.0011aabb").write_bytes(b"another's")
    answer = cli("site", "pass", parties.sites["lyon"])
    assert (answer.code, answer.out) == (0, "nothing waits\n")
    left = {p.name for p in box.glob("*/.*")}
    assert left == {".tmp-ab12.0011aabb", ".nfs0001", ".tmp-lyon-est.0011aabb"}


def test_pass__something_in_the_place_of_the_answer(parties: Parties, cli: Cli) -> None:
    put_request(parties, "lyon")
    path = release_of(parties, "lyon")
    path.mkdir()
    answer = cli("site", "pass", parties.sites["lyon"])
    assert answer.code in (2, 5)
    refusal(answer, path.name if answer.code == 5 else "ab12.0.request", code=answer.code)
    path.rmdir()
    path.write_bytes(b"junk")
    answer = cli("site", "pass", parties.sites["lyon"])
    assert answer.code == 0
    assert answer.out.endswith("answered (again)\n")
    assert path.read_bytes() in parties.answers("lyon").values()


# --- at the coordinator ---


def _wrong_key(raw: bytes) -> bytes:
    body = raw[: -wire.RELEASE_TAIL]
    return body + Ed25519PrivateKey.generate().sign(body)


CHANGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "wrong key": (_wrong_key, "the signature does not fit"),
    "a flipped bit": (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "the signature does not fit"),
    "foreign": (lambda raw: b"this is no release at all" * 9, "the signature does not fit"),
    "longer": (lambda raw: raw + b"more", "the signature does not fit"),
    "future": (
        lambda raw: message.MAGIC[:-1] + b"\1" + raw[len(message.MAGIC) :],
        "the signature does not fit",
    ),
}


def _replaced(parties: Parties, make: Callable[[Path], object]) -> str:
    """Lyon's answer is there; put something in its place, and go on; what is told."""
    put_request(parties, "lyon")
    passes(parties.sites["lyon"])
    path = release_of(parties, "lyon")
    make(path)
    with pytest.raises(Invalid) as caught:
        ask(parties, run="ab12")
    assert os.path.lexists(path), "left where it is"
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(f"lyon, {path}: its answer ")
    assert "remove that file and go on with --resume" in str(caught.value)
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    with passing(parties) as told:
        result = ask(parties, run="ab12")
    assert {o.status for o in result.outcomes} == {"answered"}
    assert [line for line in told if line.startswith("lyon: run")] == [
        "lyon: run ab12, cohort_summary, round 1: answered (again)"
    ]
    assert parties.left() == []
    return str(caught.value)


@pytest.mark.parametrize("kind", CHANGES)
def test_run__an_answer_that_cannot_be_believed(parties: Parties, kind: str) -> None:
    change, problem = CHANGES[kind]
    told = _replaced(parties, lambda path: path.write_bytes(change(path.read_bytes())))
    assert problem in told


def test_run__a_renamed_answer(parties: Parties) -> None:
    def rename(path: Path) -> None:
        put_request(parties, "lyon", run="other")
        passes(parties.sites["lyon"])
        (parties.boxes["lyon"] / "in" / "other.0.request").unlink()
        release_of(parties, "lyon", run="other").rename(path)

    assert "answers another question" in _replaced(parties, rename)


@pytest.mark.parametrize("kind", ["link", "directory", "large"])
def test_run__no_plain_file_in_the_place_of_an_answer(parties: Parties, kind: str) -> None:
    def replace(path: Path) -> None:
        path.rename(parties.desk / "kept")
        if kind == "link":
            path.symlink_to(parties.desk / "kept")
        elif kind == "directory":
            path.mkdir()
        else:
            _large(path)

    told = _replaced(parties, replace)
    assert ("is too large" if kind == "large" else "is no plain file") in told


def test_run__does_not_wait_for_others_when_an_answer_is_bad(parties: Parties) -> None:
    """Toronto would be awaited for minutes; the bad file is told at once."""
    raw = encoded(request("lyon", "toronto"))
    release_of(parties, "lyon").write_bytes(b"this is no release at all" * 9)
    with pytest.raises(Invalid, match="remove that file"):
        ask(parties, run="ab12")
    assert (parties.boxes["toronto"] / "in" / "ab12.0.request").read_bytes() == raw


def test_run__a_file_that_is_not_all_there_yet_is_waited_for(
    parties: Parties, tmp_path: Path
) -> None:
    """Some mounts show a file before its content: neither empty, nor cut, nor zeros is final."""
    raw = put_request(parties, "lyon")
    passes(parties.sites["lyon"])
    path = release_of(parties, "lyon")
    whole = path.read_bytes()
    with Federation.open(parties.federation, deadline=SHORT / 10) as federation:
        link = federation.members[0].link
        for n in (0, 5, 11, 40, len(whole) - 64, len(whole) - 1):
            path.write_bytes(whole[:n])
            with pytest.raises(Unavailable, match=rf"{path.name} is cut off: it lacks \d+ bytes"):
                link.send(raw)
    with Federation.open(parties.federation, deadline=LONG) as federation:
        link = federation.members[0].link
        path.write_bytes(bytes(len(whole)))
        seen = []

        def settle(answer: bytes, *rest: object) -> bool:
            seen.append(answer)
            path.write_bytes(whole)
            return real(answer, *rest)

        real = link._is_final  # type: ignore[attr-defined]
        link._is_final = settle  # type: ignore[attr-defined]
        assert link.send(raw) == whole
    assert seen[0] == bytes(len(whole))


def test_run__files_of_others_are_left_alone(parties: Parties, tmp_path: Path) -> None:
    box = parties.boxes["lyon"] / "out"
    others = [
        release_path(parties.boxes["lyon"], "another", 0, "lyon"),
        release_path(parties.boxes["lyon"], "ab12", 0, "zagreb"),
        box / "notes.txt",
        box / "ab12.x.lyon.release",
        box / "ab12.0.lyon.release.bak",
    ]
    for path in others:
        path.write_text("of others")
    with passing(parties):
        result = ask(parties, run="ab12")
    same(result, in_process(parties, tmp_path))
    assert sorted(parties.left()) == sorted(path.name for path in others)


def test_run__a_run_that_cannot_name_a_file(parties: Parties) -> None:
    with pytest.raises(Invalid, match="expected letters, digits"):
        ask(parties, run="../../etc/passwd")


def test_put__leaves_nothing_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        put(tmp_path / "x", b"1", writer="t")
    assert list(tmp_path.iterdir()) == []


def test_put__where_nothing_can_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(_: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", cannot)
    put(tmp_path / "x", b"1", writer="t")
    assert (tmp_path / "x").read_bytes() == b"1"

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        put(tmp_path / "y", b"1", writer="t")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_pass__a_full_disk_is_not_an_answer(
    parties: Parties, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is shown that could not be kept."""
    put_request(parties, "lyon")
    real = pass_module.put

    def full(path: Path, raw: bytes, *, writer: str) -> None:
        if path.parent.name == "answers":
            raise OSError(28, "No space left on device")
        real(path, raw, writer=writer)

    with monkeypatch.context() as patch:
        patch.setattr(pass_module, "put", full)
        with pytest.raises(Unavailable, match="No space left"):
            passes(parties.sites["lyon"])
    assert parties.left() == ["ab12.0.request"]
    assert passes(parties.sites["lyon"])[0].endswith("answered")
    assert link_module.FIRST < 0.2, "the fixture hurries"


# --- who may ask ---


def test_pass__a_stranger_is_refused_and_nothing_is_kept(parties: Parties) -> None:
    site = parties.sites["lyon"]
    stranger = Ed25519PrivateKey.from_private_bytes(b"9" * 32)
    raw = wire.encode_request(request("lyon"), stranger)
    (parties.boxes["lyon"] / "in" / "ab12.0.request").write_bytes(raw)
    assert passes(site) == ["run ab12, cohort_summary, round 1: refused, rule asker"]
    first = release_of(parties, "lyon").read_bytes()
    assert parties.answers("lyon") == {}
    assert ledger_rows(site) == []
    assert passes(site) == ["nothing waits"], "it lies there already"
    assert release_of(parties, "lyon").read_bytes() == first
    admit(site, stranger, name="late")
    assert passes(site) == ["run ab12, cohort_summary, round 1: answered"]
    found = read_answer(release_of(parties, "lyon").read_bytes(), raw, key_of(site), stranger)
    assert found.status == "released"
    assert len(parties.answers("lyon")) == 1


def test_pass__who_was_taken_off_gets_no_kept_answer(parties: Parties) -> None:
    site = parties.sites["lyon"]
    raw = encoded(request("lyon"))
    put = parties.boxes["lyon"] / "in" / "ab12.0.request"
    put.write_bytes(raw)
    assert passes(site) == ["run ab12, cohort_summary, round 1: answered"]
    release_of(parties, "lyon").unlink()
    (site / "parties.toml").write_text("format = 1\n")
    assert passes(site) == ["run ab12, cohort_summary, round 1: refused, rule asker"]
    found = read_answer(release_of(parties, "lyon").read_bytes(), raw, key_of(site))
    assert (found.status, found.findings[0].rule) == ("refused", "asker")


def key_of(site: Path) -> Ed25519PublicKey:
    return read_public(site / "keys" / "site.pub")
