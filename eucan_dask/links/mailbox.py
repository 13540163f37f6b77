"""The coordinator's side of a mailbox: put a request, wait, read the signed answer."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eucan_dask import wire
from eucan_dask.errors import Invalid, Unavailable
from eucan_dask.hello import MAX_HELLO, decode_hello, fingerprint
from eucan_dask.links import Link
from eucan_dask.mailbox import (
    IN,
    OUT,
    hello_path,
    put,
    release_path,
    releases_of,
    request_path,
    take,
    tidy,
)
from eucan_dask.message import MAX_BYTES, read_header, shortfall

__all__ = ["Mailbox"]

T = TypeVar("T")

FIRST, LONGEST, SLICE = 0.2, 5.0, 0.2  # seconds between two looks; how soon it can be stopped
SETTLED = 2.0  # seconds after which a file that cannot be believed is no longer being written
FLAPPING = 30.0  # seconds a mount may be away while a site is awaited


@dataclass
class _Wait:
    """One thing that is waited for, and what was seen meanwhile.

    Parameters
    ----------
    note
        What lies there that is not yet it.
    odd
        Digest of a file that cannot be believed, and when it was first seen so.
    """

    since: datetime
    note: str = ""
    odd: tuple[str, float] | None = None


@dataclass
class _Letter:
    """A request, and where it and its answer are to lie."""

    raw: bytes
    request: Path
    release: Path
    posted: bool = False


class Mailbox(Link):
    """The link to a site that looks into a shared directory.

    Parameters
    ----------
    directory
        The mailbox; may serve several sites.
    site, key
        Whose answers are awaited, and the key they must be signed with.
    minutes
        How long to wait for a hello, and for the answer to each request.
    """

    def __init__(
        self, directory: Path, *, site: str, key: Ed25519PublicKey, minutes: float
    ) -> None:
        self._directory, self._site, self._key = directory, site, key
        self._minutes = minutes
        self._waits: dict[int, _Wait] = {}  # several blocks may be asked for at once
        hello_path(directory, site)  # a name that cannot be part of a file's is told at once

    @property
    def since(self) -> datetime | None:  # type: ignore[override]
        """Since when the site is awaited, for whatever longest."""
        return min((wait.since for wait in list(self._waits.values())), default=None)

    def hello(self) -> dict[str, Any]:
        """What the site last said of itself.

        Raises
        ------
        Unavailable
            If there is no hello when the time is up.
        Invalid
            If it is not signed with the site's key.
        """
        return self._wait(self._hello)

    def send(self, raw: bytes) -> bytes:
        """The answer to a request, which is put into the mailbox unless the answer is there.

        Raises
        ------
        Unavailable
            If there is no answer when the time is up.
        ConnectionError
            If the mailbox is not there.
        """
        letter = self._letter(raw)
        return self._wait(lambda wait: self._answer(letter, wait))

    def lies(self, raw: bytes) -> str:
        """The file of the answer to a request."""
        return str(self._letter(raw).release)

    def withdraw(self, raw: bytes) -> None:
        """Remove a request; another link to the same mailbox may have done so."""
        with suppress(OSError):
            self._letter(raw).request.unlink()

    def done(self, run: str) -> None:
        """Remove this site's answers of a run, and what was left half-written for it."""
        with suppress(OSError):
            tidy(self._directory / IN, run)
            for path in releases_of(self._directory, run, self._site):
                path.unlink()

    def _letter(self, raw: bytes) -> _Letter:
        header = read_header(raw)
        run, round_, kind = str(header["run"]), int(header["rounds"]), str(header["kind"])
        return _Letter(
            raw,
            request_path(self._directory, run, round_, kind),
            release_path(self._directory, run, round_, self._site, kind),
        )

    def _hello(self, wait: _Wait) -> dict[str, Any] | None:
        path = hello_path(self._directory, self._site)
        raw = take(path, max_bytes=MAX_HELLO)
        if raw is None:
            self._there()
            return None
        found = decode_hello(raw, where=str(path))
        if found is None:
            wait.note = f"{path} is no whole hello"
            return None
        if found.key != self._key:
            raise Invalid(
                "is signed with another key than the federation file names",
                where=path,
                expected=fingerprint(self._key),
                found=fingerprint(found.key),
                remedy="ask the site, by another channel, which key is its own",
            )
        return found.told

    def _answer(self, letter: _Letter, wait: _Wait) -> bytes | None:
        answer = take(letter.release, max_bytes=MAX_BYTES)
        if answer is not None and self._is_final(answer, letter, wait):
            return answer
        if answer is None:
            self._there()
            wait.note = ""
        if not letter.posted:
            if take(letter.request, max_bytes=MAX_BYTES) != letter.raw:
                put(letter.request, letter.raw, writer=letter.request.name.partition(".")[0])
            letter.posted = True
        return None

    def _is_final(self, answer: bytes, letter: _Letter, wait: _Wait) -> bool:
        """Whether a file is there to stay: whole and signed, or odd and unchanged for a while."""
        try:
            lacks = shortfall(answer, tail=wire.RELEASE_TAIL)
            if lacks:
                wait.note = f"{letter.release} is cut off: it lacks {lacks} bytes or more"
                return False
            believed = wire.is_signed(answer, self._key)
        except Invalid:
            believed = False
        if not believed:
            digest = hashlib.sha256(answer).hexdigest()
            if wait.odd is None or wait.odd[0] != digest:
                wait.odd = digest, time.monotonic()
            return time.monotonic() - wait.odd[1] >= SETTLED
        return not self._is_stale(answer, letter, wait)

    def _is_stale(self, answer: bytes, letter: _Letter, wait: _Wait) -> bool:
        """Whether it answers other bytes of the same run and round, as after a drop-out."""
        header, asked = read_header(answer), read_header(letter.raw)
        about = header.get("header")
        digest = about.get("request") if isinstance(about, dict) else None
        same = (header.get("run"), header.get("round")) == (asked["run"], asked["rounds"])
        if same and digest != wire.request_digest(letter.raw):
            wait.note = f"{letter.release} answers another request of this run"
            return True
        return False

    def _there(self) -> None:
        """Raise `OSError` if the mailbox is not."""
        for name in (IN, OUT):
            (self._directory / name).stat()

    def _wait(self, look: Callable[[_Wait], T | None]) -> T:
        begin, seen, pause = time.monotonic(), None, FIRST
        wait = _Wait(datetime.now().astimezone())
        try:
            while True:
                try:
                    found = look(wait)
                    seen = time.monotonic()
                except OSError as error:
                    if seen is None or time.monotonic() - seen > FLAPPING:
                        raise ConnectionError(f"the mailbox cannot be used: {error}") from error
                    found = None
                if found is not None:
                    return found
                self._waits[id(wait)] = wait
                left = begin + 60 * self._minutes - time.monotonic()
                if left <= 0:
                    raise Unavailable(self._late(wait))
                self._pause(min(pause, left))
                pause = min(1.5 * pause, LONGEST)
        finally:
            self._waits.pop(id(wait), None)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self.patient:
                raise Unavailable("no longer awaited")
            time.sleep(min(left, SLICE))

    def _late(self, wait: _Wait) -> str:
        note = f"; {wait.note}" if wait.note else ""
        return (
            f"awaited since {wait.since:%Y-%m-%d %H:%M} in {self._directory}, "
            f"no answer within {self._minutes:g} minutes{note}"
        )
