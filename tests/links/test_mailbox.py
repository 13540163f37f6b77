"""The mailbox: what is put, waited for, answered, remembered, refused and left alone."""

from __future__ import annotations

import fcntl
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucan_dask import site_pass as pass_module
from eucan_dask import wire
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.cli.terminal import progress
from eucan_dask.errors import Invalid, NotEnoughSites, Refused, Unavailable
from eucan_dask.federation import Federation
from eucan_dask.mailbox import read_name
from eucan_dask.message import read_header
from eucan_dask.result import Result
from eucan_dask.site import Site
from eucan_dask.waiting import TICK
from tests.asking import encoded, read_answer
from tests.cli.commands import Cli, refusal
from tests.links.parties import (
    FIT,
    LONG,
    PURPOSE,
    SEX,
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
    share,
)
from tests.simulated import edit

# --- all well ---


@pytest.mark.parametrize("analysis", [SEX, FIT], ids=["one round", "several rounds"])
@pytest.mark.parametrize("box", ["own", "shared"])
def test_run__equals_the_run_in_this_process(
    made: dict[str, Path], tmp_path: Path, analysis: Any, box: str
) -> None:
    parties = share(made, tmp_path, one_box=box == "shared")
    with passing(parties) as told:
        result = ask(parties, analysis)
    same(result, in_process(parties, tmp_path, analysis))
    assert (result.n_rounds > 3) == (analysis is FIT)
    assert parties.left() == [], "whatever was read is gone"
    for name in parties.sites:
        assert len(parties.answers(name)) == result.n_rounds
        lines = [line for line in told if line.startswith(f"{name}: run {result.run}")]
        assert [line.rpartition(": ")[2] for line in lines] == ["answered"] * result.n_rounds


def test_run__tells_who_is_awaited(parties: Parties) -> None:
    seen: list[tuple[float, str]] = []

    def told(done: int, total: int, what: str) -> None:
        seen.append((time.monotonic(), what))

    def later() -> None:
        time.sleep(1.6)
        passes(parties.sites["toronto"])

    thread = threading.Thread(target=later)
    thread.start()
    with passing(parties, "lyon"):
        ask(parties, progress=told)
    thread.join()
    assert any("waiting for toronto since " in what for _, what in seen)
    assert "waiting" not in seen[-1][1]
    gaps = np.diff([at for at, _ in seen])
    assert TICK < 1
    assert gaps.max() < 2, "told about every second, also on a busy machine"
    text = next(what for _, what in seen if "waiting" in what)
    assert time.strftime("%H:") in text
    assert text.startswith("Cohort summary, round 1; waiting for ")


def test_progress__prints_each_change_once(
    parties: Parties, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress() as report:
        for _ in range(3):
            report(0, 2, "Fit, round 1; waiting for lyon since 14:02, toronto since 14:02")
        report(1, 2, "Fit, round 1")
        report(1, 2, "Fit, round 1; waiting for lyon since 14:02")
        report(2, 2, "Fit, round 1")
    assert capsys.readouterr().err.splitlines() == [
        "Fit, round 1",
        "Fit, round 1; waiting for lyon since 14:02, toronto since 14:02",
        "Fit, round 1; waiting for lyon since 14:02",
    ]


def test_request__stays_until_every_site_of_the_roster_has_answered(both: Parties) -> None:
    result: list[Result] = []
    thread = threading.Thread(target=lambda: result.append(ask(both)))
    thread.start()
    path = both.boxes["lyon"] / "in"
    while not list(path.glob("*.request")):
        time.sleep(0.01)
    assert len(passes(both.sites["lyon"])) == 1
    time.sleep(0.5)
    (waiting_,) = path.glob("*.request")
    run = waiting_.name.partition(".")[0]
    assert passes(both.sites["lyon"]) == ["nothing waits"], "it has answered"
    assert release_of(both, "lyon", run=run).exists(), "kept until the result stands"
    assert len(passes(both.sites["toronto"])) == 1
    thread.join()
    assert len(result) == 1
    assert both.left() == []


# --- the deadline ---


def test_deadline__says_since_when(parties: Parties) -> None:
    with passing(parties, "lyon"), pytest.raises(NotEnoughSites) as caught:
        ask(parties, minutes=0.02)
    assert caught.value.exit_code == 4
    today = time.strftime("%Y-%m-%d")
    assert f"toronto: awaited since {today} " in str(caught.value)
    assert "no answer within 0.02 minutes" in str(caught.value)
    assert not list(parties.boxes["toronto"].glob("in/*")), "the request was taken back"
    assert not [n for n in parties.left() if "toronto" in n]


def test_deadline__enough_are_left(made: dict[str, Path], tmp_path: Path) -> None:
    parties = share(made, tmp_path, min_sites=1)
    put_request(parties, "lyon")
    passes(parties.sites["lyon"])
    result = ask(parties, minutes=SHORT, run="ab12")
    found = {o.site: o for o in result.outcomes}
    assert found["lyon"].status == "answered"
    assert found["toronto"].status == "unavailable"
    assert "awaited since" in found["toronto"].reason


def test_deadline__in_the_federation_file(parties: Parties) -> None:
    text = parties.federation.read_text()
    parties.federation.write_text(text.replace("format = 2", "format = 2\ndeadline_minutes = 0.01"))
    with Federation.open(parties.federation) as federation:
        with pytest.raises(NotEnoughSites, match=r"within 0\.01 minutes"):
            federation.run(SEX, purpose=PURPOSE)
    with pytest.raises(Invalid, match="a deadline is not above 0"):
        Federation.open(parties.federation, deadline=-1)


def test_mailbox__that_is_gone_is_told_at_once(parties: Parties) -> None:
    parties.boxes["toronto"].rename(parties.desk / "elsewhere")
    with passing(parties, "lyon"), pytest.raises(Unavailable) as caught:
        ask(parties)
    assert caught.value.exit_code == 5
    assert str(parties.boxes["toronto"]) in str(caught.value)
    with Federation.open(parties.federation, deadline=LONG) as federation:
        with pytest.raises(Unavailable, match="toronto: the mailbox cannot be used"):
            federation.hello()


def test_mailbox__may_be_away_for_a_while(parties: Parties) -> None:
    box = parties.boxes["toronto"]

    def flap() -> None:
        while not list(box.glob("in/*.request")):
            time.sleep(0.01)
        box.rename(box.with_name("away"))
        time.sleep(0.5)
        box.with_name("away").rename(box)
        passes(parties.sites["toronto"])

    thread = threading.Thread(target=flap)
    thread.start()
    with passing(parties, "lyon"):
        result = ask(parties)
    thread.join()
    assert {o.status for o in result.outcomes} == {"answered"}


# --- resume ---


class _DiedError(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


def _dies(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, *, after: bool, nth: int) -> None:
    real, calls = getattr(where, name), iter(range(10_000))

    def dying(*arguments: Any, **options: Any) -> Any:
        if next(calls) < nth:
            return real(*arguments, **options)
        if after:
            real(*arguments, **options)
        raise _DiedError

    monkeypatch.setattr(where, name, dying)


@pytest.mark.parametrize("round_", [0, 2])
def test_resume__uses_what_was_answered(
    parties: Parties, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, round_: int
) -> None:
    """The coordinator dies while it reads; what lies in `out` is used, nothing is asked again."""
    with passing(parties):
        with monkeypatch.context() as patch:
            _dies(patch, wire, "decode_release", after=False, nth=2 * round_ + 1)
            with pytest.raises(_DiedError):
                ask(parties, FIT, run="resumed")
    before = {name: parties.answers(name) for name in parties.sites}
    with passing(parties) as told:
        result = ask(parties, FIT, run="resumed")
    assert not [line for line in told if "again" in line], told
    same(result, in_process(parties, tmp_path, FIT))
    for name, kept in before.items():
        now = parties.answers(name)
        assert len(now) == result.n_rounds
        assert kept.items() <= now.items()
        assert len(ledger_rows(parties.sites[name])) == 1
    assert parties.left() == []


def test_resume__after_the_deadline(parties: Parties) -> None:
    put_request(parties, "lyon")
    passes(parties.sites["lyon"])
    with pytest.raises(NotEnoughSites):
        ask(parties, minutes=SHORT, run="ab12")
    assert parties.left() == ["ab12.0.lyon.release"]
    with passing(parties) as told:
        result = ask(parties, run="ab12")
    assert result.run == "ab12"
    assert sum("answered" in line for line in told) == 1, "lyon's answer lay there"
    assert len(ledger_rows(parties.sites["lyon"])) == 1


@pytest.mark.parametrize(
    ("nth", "when"),
    [(1, "before"), (1, "after"), (2, "before"), (2, "after")],
    ids=["computed", "kept", "about to be shown", "shown"],
)
def test_pass__that_died_goes_on(
    parties: Parties, monkeypatch: pytest.MonkeyPatch, nth: int, when: str
) -> None:
    """The writes of a pass: its hello, the answer it keeps, the release."""
    raw = put_request(parties, "lyon")
    with monkeypatch.context() as patch:
        _dies(patch, pass_module, "put", after=when == "after", nth=nth)
        with pytest.raises(_DiedError):
            passes(parties.sites["lyon"])
    kept = parties.answers("lyon")
    assert len(kept) == int((nth, when) != (1, "before"))
    told = passes(parties.sites["lyon"])
    shown = release_of(parties, "lyon").read_bytes()
    assert parties.answers("lyon") == {wire.request_digest(raw): shown}
    assert not kept or shown in kept.values()
    assert len(ledger_rows(parties.sites["lyon"])) == 1
    if (nth, when) == (2, "after"):
        assert told == ["nothing waits"]
    else:
        assert told[0].startswith("run ab12, cohort_summary, round 1: answered")
        assert told[0].endswith("(again)") == bool(kept)
    assert parties.left() == ["ab12.0.lyon.release", "ab12.0.request"]


# --- what a site does ---


def test_pass__nothing_waits(parties: Parties, cli: Cli) -> None:
    answer = cli("site", "pass", parties.sites["lyon"])
    assert (answer.code, answer.out) == (0, "nothing waits\n")


def test_pass__a_site_without_a_mailbox(made: dict[str, Path], cli: Cli) -> None:
    refusal(cli("site", "pass", made["lyon"]), "names no mailbox", 'add mailbox = "DIR"')


def test_pass__a_mailbox_that_is_gone(parties: Parties, cli: Cli) -> None:
    shutil.rmtree(parties.boxes["lyon"])
    refusal(cli("site", "pass", parties.sites["lyon"]), str(parties.boxes["lyon"]), code=5)


def test_pass__two_at_once(parties: Parties, cli: Cli) -> None:
    put_request(parties, "lyon")
    lock = Site(parties.sites["lyon"]).node / "pass.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        answer = cli("site", "pass", parties.sites["lyon"])
    assert (answer.code, answer.out) == (0, "another pass is running\n")
    assert not release_of(parties, "lyon").exists()


def test_pass__in_order_of_run_and_round(parties: Parties) -> None:
    for run in ("b", "a", "c"):
        put_request(parties, "lyon", run=run)
    told = passes(parties.sites["lyon"])
    assert [line.split(",")[0] for line in told] == ["run a", "run b", "run c"]
    assert sorted(["a.10.request", "a.9.request"], key=lambda n: read_name(n) or ("", 0)) == [
        "a.9.request",
        "a.10.request",
    ]


def test_pass__a_refusal_names_the_rule_and_is_remembered(parties: Parties) -> None:
    edit(parties.sites["lyon"] / "policy.toml", {"purposes": "[]"})
    put_request(parties, "lyon")
    (line,) = passes(parties.sites["lyon"])
    assert line == "run ab12, cohort_summary, round 1: refused, rule allow.purposes"
    first = release_of(parties, "lyon").read_bytes()
    release_of(parties, "lyon").unlink()
    edit(parties.sites["lyon"] / "policy.toml", {"purposes": f'["{PURPOSE}"]'})
    (line,) = passes(parties.sites["lyon"])
    assert line.endswith("refused, rule allow.purposes (again)")
    assert release_of(parties, "lyon").read_bytes() == first


def test_pass__a_question_this_site_cannot_answer(parties: Parties) -> None:
    fields = (SummaryField(field="shoe_size", edges=(40.0,)),)
    asked = request("lyon", analysis=CohortSummary(fields=fields))
    path = parties.boxes["lyon"] / "in" / "ab12.0.request"
    path.write_bytes(encoded(asked))
    (line,) = passes(parties.sites["lyon"])
    assert line.startswith("run ab12, cohort_summary, round 1: cannot be answered; ")
    assert "unknown field 'shoe_size'" in line
    assert read_header(release_of(parties, "lyon").read_bytes())["status"] == "invalid"


def test_run__refused_leaves_nothing_behind(parties: Parties) -> None:
    for site in parties.sites.values():
        edit(site / "policy.toml", {"purposes": "[]"})
    with passing(parties), pytest.raises(Refused, match=r"allow\.purposes"):
        ask(parties)
    assert parties.left() == []


def test_pass__other_bytes_of_a_run_are_a_new_question(parties: Parties) -> None:
    put_request(parties, "lyon")
    passes(parties.sites["lyon"])
    first = release_of(parties, "lyon").read_bytes()
    other = encoded(request("lyon", "toronto", "zagreb"))
    (parties.boxes["lyon"] / "in" / "ab12.0.request").write_bytes(other)
    (line,) = passes(parties.sites["lyon"])
    assert line.endswith("round 1: answered")
    assert release_of(parties, "lyon").read_bytes() != first
    assert len(parties.answers("lyon")) == 2


def test_send__an_answer_to_other_bytes_is_not_taken(parties: Parties) -> None:
    """As after a drop-out: the same run and round, a smaller roster."""
    put_request(parties, "lyon")
    passes(parties.sites["lyon"])
    stale = release_of(parties, "lyon").read_bytes()
    raw = encoded(request("lyon"))
    with Federation.open(parties.federation, deadline=SHORT) as federation:
        link = federation.members[0].link
        with pytest.raises(Unavailable, match="answers another request of this run"):
            link.send(raw)
    with Federation.open(parties.federation, deadline=LONG) as federation:
        with passing(parties, "lyon"):
            fresh = federation.members[0].link.send(raw)
    assert fresh != stale
    assert read_answer(fresh, raw, federation.members[0].key)


def test_pass__a_request_taken_back_meanwhile(
    parties: Parties, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_request(parties, "lyon")
    real = Site.answer

    def slow(site: Site, raw: bytes) -> bytes:
        (parties.boxes["lyon"] / "in" / "ab12.0.request").unlink()
        return real(site, raw)

    monkeypatch.setattr(Site, "answer", slow)
    assert passes(parties.sites["lyon"]) == [
        "run ab12, cohort_summary, round 1: answered, but no longer awaited"
    ]
    assert parties.left() == []
    assert len(parties.answers("lyon")) == 1


def test_pass__a_ledger_that_fails_is_tried_again(parties: Parties, cli: Cli) -> None:
    put_request(parties, "lyon")
    ledger = Site(parties.sites["lyon"]).node / "ledger.sqlite"
    ledger.write_bytes(b"this is no database, and never was one" * 99)
    answer = cli("site", "pass", parties.sites["lyon"])
    assert "not answered yet: the ledger" in answer.out
    refusal(answer, "the ledger", code=5)
    ledger.unlink()
    assert "round 1: answered" in cli("site", "pass", parties.sites["lyon"]).out


# --- several requests at once ---


def test_send__several_blocks_side_by_side(parties: Parties) -> None:
    """As a scan does: runs `x-0`, `x-1`, ... through one link, each with its own answer."""
    raws = [encoded(request("lyon", "toronto", run=f"x-{i}")) for i in range(6)]
    with Federation.open(parties.federation, deadline=LONG) as federation:
        member = federation.members[0]
        assert not member.link.prompt
        with ThreadPoolExecutor(max_workers=6) as pool:
            futures = [pool.submit(member.link.send, raw) for raw in raws]
            while len(list(parties.boxes["lyon"].glob("in/*.request"))) < 6:
                time.sleep(0.01)
            while member.link.since is None:
                time.sleep(0.01)
            assert len(passes(parties.sites["lyon"])) == 6
            answers = [future.result() for future in futures]
        assert member.link.since is None
        for raw, answer in zip(raws, answers, strict=True):
            found = read_answer(answer, raw, member.key)
            assert found.header["request"] == wire.request_digest(raw)
        member.link.done("x")
        assert len(parties.left()) == 12, "of another run"
        for i, raw in enumerate(raws):
            member.link.withdraw(raw)
            member.link.done(f"x-{i}")
        assert parties.left() == []
