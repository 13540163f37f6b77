"""Waiting for several sites: who is told of, and how an error ends it for all."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

import pytest

from eucan_dask.errors import Invalid, NotEnoughSites, Unavailable
from eucan_dask.greet import greet
from eucan_dask.links import Link
from eucan_dask.waiting import moment, side_by_side, waiters, watched


class Slow(Link):
    """A link that waits until it is told not to."""

    def __init__(self, found: object = None) -> None:
        self.found = found

    def hello(self) -> dict[str, Any]:
        if isinstance(self.found, Exception):
            raise self.found
        if self.found is not None:
            return {"site": self.found}
        self.since = datetime.now()
        for _ in range(500):
            if not self.patient:
                raise Unavailable("no longer awaited")
            time.sleep(0.02)
        raise AssertionError("nobody told it to stop")

    def send(self, raw: bytes) -> bytes:
        raise NotImplementedError


def test_side_by_side__an_error_ends_the_waiting_for_others() -> None:
    links = {"a": Slow(Invalid("bad")), "b": Slow(), "c": Slow()}
    begin = time.monotonic()
    with pytest.raises(Invalid, match="bad"):
        side_by_side(links, lambda name: links[name].hello(), what="x", progress=None)
    assert time.monotonic() - begin < 5
    assert all(link.patient for link in links.values()), "another question may wait again"


def test_side_by_side__what_progress_raises_ends_it_too() -> None:
    """As Ctrl-C does."""
    links = {"a": Slow(), "b": Slow()}

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side(links, lambda name: links[name].hello(), what="x", progress=interrupted)


def test_side_by_side__tells_answers_and_whom_it_waits_for() -> None:
    links = {"b": Slow(), "a": Slow("a")}
    told: list[tuple[int, int, str]] = []

    def progress(done: int, total: int, what: str) -> None:
        told.append((done, total, what))
        if len(told) == 3:
            links["b"].found = "b"
            links["b"].patient = False

    def call(name: str) -> object:
        try:
            return links[name].hello()
        except Unavailable:
            return "late"

    found = side_by_side(links, call, what="step", progress=progress)
    assert found == {"b": "late", "a": {"site": "a"}}
    assert told[0] == (1, 2, "step")
    since = moment(datetime.now())
    assert told[1] == (1, 2, f"step; waiting for b since {since}") or "since" in told[1][2]
    assert told[-1] == (2, 2, "step")


def test_waiters__stop_when_the_block_fails() -> None:
    links = [Slow(), Slow()]
    futures: list[Future[Any]] = []

    def fails() -> None:
        with waiters(links, 2) as pool:
            futures.extend(pool.submit(link.hello) for link in links)
            raise Invalid("bad")

    with pytest.raises(Invalid):
        fails()
    for future in futures:
        with pytest.raises(Unavailable):
            future.result()


def test_watched__tells_at_its_step() -> None:
    link = Slow()
    link.since = datetime.now() - timedelta(days=1)
    future: Future[int] = Future()
    told: list[tuple[int, int, str]] = []

    def progress(*step: Any) -> None:
        told.append(step)
        future.set_result(7)

    found = watched(future, {"a": link}, step=(3, 9, "block 4"), progress=progress)
    assert found == 7
    assert told == [(3, 9, f"block 4; waiting for a since {link.since:%Y-%m-%d %H:%M}")]
    quiet: Future[int] = Future()
    threading.Timer(0.7, quiet.set_result, (1,)).start()
    assert watched(quiet, {"a": link}, step=(0, 1, "x"), progress=None) == 1


@pytest.mark.parametrize(
    ("found", "error", "problem"),
    [
        (("a", OSError("gone"), OSError("gone")), Unavailable, "too few sites can be reached"),
        (("a", OSError("gone"), Unavailable("late")), NotEnoughSites, "fewer than 2 sites"),
        (("a", Unavailable("x"), Unavailable("y")), NotEnoughSites, "b: x; c: y"),
        ((OSError("1"), Unavailable("2"), OSError("3")), Unavailable, "no site answers; a: 1"),
        (("a", "x", "c"), Invalid, "has another name; found x"),
    ],
)
def test_greet__too_few(found: tuple[object, ...], error: type[Exception], problem: str) -> None:
    links = {name: Slow(what) for name, what in zip("abc", found, strict=True)}
    with pytest.raises(error, match=problem):
        greet(links, min_sites=2)


def test_greet__says_nothing_unless_it_waits() -> None:
    told: list[object] = []
    links = {name: Slow(name) for name in "abc"}
    assert list(greet(links, min_sites=2, progress=lambda *step: told.append(step))) == list("abc")
    assert told == []
