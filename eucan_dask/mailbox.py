"""A mailbox: one directory that a coordinator and its sites reach, and how files come into it.

`in/<run>.<round>.request`, `out/<run>.<round>.<site>.release` and `out/<site>.hello`. The directory
may be a shared folder, an SFTP or an object-store mount: nothing here locks, links, renames across
directories or looks at times. A rename within one directory is the only step taken to be whole.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from eucan_dask.errors import Invalid

__all__ = [
    "IN",
    "OUT",
    "TEMPORARY",
    "hello_path",
    "put",
    "read_name",
    "release_path",
    "releases_of",
    "request_path",
    "shown",
    "take",
    "tidy",
    "token_of",
]

IN, OUT, TEMPORARY = "in", "out", ".tmp-"
REQUEST = re.compile(r"([0-9A-Za-z_-]{1,64})\.(0|[1-9][0-9]{0,3})\.(request|opening)")
ANSWERS = {"request": "release", "opening": "opened"}
MAX_SITE = 120
CANNOT_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF, errno.EACCES)


def request_path(directory: Path, run: str, round_: int, kind: str = "request") -> Path:
    """Where a request, or an opening, lies.

    Raises
    ------
    Invalid
        If the run's name cannot be part of a file name.
    """
    name = f"{run}.{round_}.{kind}"
    if REQUEST.fullmatch(name) is None:
        raise Invalid(
            "cannot name a file", where=f"run {shown(run)}", expected="letters, digits, - and _"
        )
    return directory / IN / name


def release_path(directory: Path, run: str, round_: int, site: str, kind: str = "request") -> Path:
    """Where the answer of a site to a request, or an opening, lies."""
    return directory / OUT / f"{run}.{round_}.{_quoted(site)}.{ANSWERS[kind]}"


def releases_of(directory: Path, run: str, site: str) -> list[Path]:
    """The answers of a site for all rounds of a run that lie there."""
    quoted = _quoted(site)
    names = [(name, name.split(".")) for name in os.listdir(directory / OUT)]
    return [
        directory / OUT / name
        for name, parts in names
        if len(parts) == 4
        and (parts[0], parts[2]) == (run, quoted)
        and parts[1].isdigit()
        and parts[3] in ANSWERS.values()
    ]


def token_of(site: str) -> str:
    """A site's name in the temporary names of what it writes."""
    return _quoted(site)


def hello_path(directory: Path, site: str) -> Path:
    """Where a site says hello."""
    return directory / OUT / f"{_quoted(site)}.hello"


def read_name(name: str) -> tuple[str, int, str] | None:
    """Run, round and kind of a request's file name; None for any other name."""
    found = REQUEST.fullmatch(name)
    return (found[1], int(found[2]), found[3]) if found else None


def shown(name: str) -> str:
    """A name for a terminal: whatever it holds, one line of ASCII."""
    return ascii(name)


def _quoted(site: str) -> str:
    """A site's name as part of a file name: no dot, slash or character that a mount may change."""
    name = quote(site, safe="").replace(".", "%2E")
    if not 0 < len(name) <= MAX_SITE:
        raise Invalid("cannot name a file", where=f"site {shown(site)}", remedy="a shorter name")
    return name


def put(path: Path, raw: bytes, *, writer: str) -> None:
    """Write a file whole: under a name of its own, to the disk, then renamed.

    Parameters
    ----------
    writer
        Part of the temporary name, by which its writer finds what it left when it was killed:
        a run's name or a site's as in file names, neither of which holds a dot.
    """
    temporary = path.with_name(f"{TEMPORARY}{writer}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
            file.write(raw)
            file.flush()
            _sync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    with suppress(OSError):  # some mounts open no directory
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _sync(file: int) -> None:
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise


def take(path: Path, *, max_bytes: int) -> bytes | None:
    """The bytes of a plain file; None if there is none. Links are not followed, pipes not opened.

    Raises
    ------
    Invalid
        If it is a link, a directory or anything else that is no plain file, or is too large.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise Invalid("is no plain file", where=shown(path.name), remedy="remove it")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Invalid("is no plain file", where=shown(path.name), remedy="remove it")
        if found.st_size > max_bytes:
            raise Invalid(
                "is too large",
                where=shown(path.name),
                expected=f"at most {max_bytes} bytes",
                found=found.st_size,
            )
        return file.read(max_bytes + 1)


def tidy(folder: Path, writer: str) -> None:
    """Remove what a writer left half-written when it was killed."""
    for name in os.listdir(folder):
        if name.startswith(f"{TEMPORARY}{writer}."):
            with suppress(OSError):
                (folder / name).unlink()
