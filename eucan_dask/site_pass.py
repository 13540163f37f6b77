"""One pass of a site over its mailbox: say hello, answer what waits, remember what was said.

Killed at any moment, the next pass goes on: an answer is kept under the digest of the request
before it is shown, so that the same request gets the same bytes, and nothing is asked twice of
the data or the ledger.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eucan_dask import wire
from eucan_dask.errors import Invalid, Unavailable
from eucan_dask.mailbox import (
    IN,
    OUT,
    TEMPORARY,
    hello_path,
    put,
    read_name,
    release_path,
    shown,
    take,
    tidy,
    token_of,
)
from eucan_dask.message import MAX_BYTES, read_header, shortfall
from eucan_dask.site import Site

__all__ = ["say_hello", "site_pass"]

Tell = Callable[[str], None]
KEPT = "answer"  # the writer of what is kept
IGNORED = (TEMPORARY, ".nfs")  # half-written; what NFS keeps of an open file that was removed


def site_pass(site: Site, *, tell: Tell) -> None:
    """Answer everything that waits in the site's mailbox, once.

    Parameters
    ----------
    tell
        Gets one line for each request, and one if nothing waits or another pass is running.

    Raises
    ------
    Invalid
        At the end, if files lie in the mailbox that cannot be answered; they stay where they are.
    Unavailable
        If the mailbox is not there, or at the end, if the cluster or the ledger failed.
    """
    directory = _directory(site)
    with _alone(site.node / "pass.lock") as alone:
        if not alone:
            tell("another pass is running")
            return
        now = _Pass(site, directory, tell)
        try:
            for name in now.begin():
                now.look(name)
        except OSError as error:
            raise Unavailable(f"the pass over {directory} was broken off: {error}") from error
        now.end()


def say_hello(site: Site) -> None:
    """Write what the site says of itself into its mailbox."""
    directory = _directory(site)
    put(hello_path(directory, site.name), site.signed_hello(), writer=token_of(site.name))


def _directory(site: Site) -> Path:
    if site.mailbox is None:
        raise Invalid(
            "names no mailbox", where=site.directory / "site.toml", remedy='add mailbox = "DIR"'
        )
    return site.mailbox


@contextmanager
def _alone(lock: Path) -> Iterator[bool]:
    """Whether no other pass of this site is running; the lock is on the site's own disk."""
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@dataclass
class _Pass:
    """What one pass sees."""

    site: Site
    directory: Path
    tell: Tell
    n_answered: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def begin(self) -> list[str]:
        """Sweep, say hello, and list what lies there in the order of run and round."""
        tidy(self.directory / OUT, token_of(self.site.name))
        if (kept := self.site.node / "answers").is_dir():
            tidy(kept, KEPT)
        names = [n for n in os.listdir(self.directory / IN) if not n.startswith(IGNORED)]
        say_hello(self.site)
        return sorted(names, key=_place)

    def look(self, name: str) -> None:
        """Answer a file, or say why not."""
        try:
            self._request(name)
        except Invalid as error:
            self.wrong.append(shown(name))
            told = str(error).removeprefix("wire: ").removeprefix(f"{shown(name)}: ")
            self.tell(f"{shown(name)}: not answered: {told}")
        except Unavailable as error:
            self.failed.append(str(error))
            self.tell(f"{shown(name)}: not answered yet: {error}")

    def end(self) -> None:
        """Say if nothing waited, and what a person has to look at."""
        if self.wrong:
            raise Invalid(
                "holds what cannot be answered",
                where=self.directory / IN,
                found=", ".join(self.wrong),
                remedy="ask whoever put it there, or remove it",
            )
        if self.failed:
            raise Unavailable("; ".join(dict.fromkeys(self.failed)))
        if not self.n_answered:
            self.tell("nothing waits")

    def _request(self, name: str) -> None:
        named = read_name(name)
        path = self.directory / IN / name
        raw = take(path, max_bytes=wire.MAX_REQUEST)
        if raw is None:
            return  # taken back meanwhile
        if named is None:
            raise Invalid("is no request", remedy="expected RUN.ROUND.request or .opening")
        if lacks := shortfall(raw, tail=wire.REQUEST_TAIL):
            raise Invalid(f"is cut off: it lacks {lacks} bytes or more")
        header = read_header(raw)
        roster = header.get("roster")
        if not isinstance(roster, list) or header.get("kind") not in ("request", "opening"):
            raise Invalid("is not a request")
        if self.site.name not in roster:
            return  # for others
        if (header.get("run"), header.get("rounds"), header.get("kind")) != named:
            raise Invalid("its name is not that of its run and round: was it renamed?")
        self._answer(path, raw, header)

    def _answer(self, path: Path, raw: bytes, header: dict[str, Any]) -> None:
        """Publish the answer kept for these bytes; make it first if there is none.

        Nothing is kept for strangers, and nobody gets what was kept before they were taken off.
        """
        run, round_, kind = header["run"], header["rounds"], header["kind"]
        kept = self.site.node / "answers" / wire.request_digest(raw)
        release = release_path(self.directory, run, round_, self.site.name, kind)
        known = self.site.admits(raw)
        answer, before = take(kept, max_bytes=MAX_BYTES) if known else None, True
        if answer is None:
            answer, before = self.site.answer(raw), False
        if known and not before:
            kept.parent.mkdir(exist_ok=True)
            put(kept, answer, writer=KEPT)
        if (before or not known) and take(release, max_bytes=MAX_BYTES) == answer:
            return  # it waits for other sites, or to be read
        words = _words(answer)
        self.n_answered += 1
        if path.exists():
            put(release, answer, writer=token_of(self.site.name))
        else:
            words += ", but no longer awaited"
        again = " (again)" if before else ""
        analysis = str(header.get("analysis"))
        self.tell(f"run {run}, {shown(analysis)[1:-1]}, round {round_ + 1}: {words}{again}")


def _place(name: str) -> tuple[tuple[str, int], bool, str]:
    """Order of files: a run's rounds one after the other, each before its opening."""
    run, round_, kind = read_name(name) or ("", -1, "")
    return (run, round_), kind == "opening", name


def _words(answer: bytes) -> str:
    header = read_header(answer)
    if header["kind"] == "opened":
        return f"not opened, rule {header['rule']}" if header["rule"] else "opened"
    if header["status"] == "released":
        return "answered"
    rules = dict.fromkeys(f["rule"] for f in header["findings"])
    if header["status"] == "refused":
        return f"refused, rule {', '.join(rules)}"
    return "; ".join(["cannot be answered", *(f["message"] for f in header["findings"])])
