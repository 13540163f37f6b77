"""Calling the command line as a person does, and telling whether a store changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eucan_dask.cli import main
from eucan_dask.demo import build_federation
from tests.simulated import set_cluster

__all__ = [
    "CENTRES",
    "JOBS",
    "ROOT",
    "Answer",
    "Cli",
    "console",
    "demo_federation",
    "refusal",
    "tree",
]

ROOT = Path(__file__).parent.parent.parent
JOBS = ROOT / "jobs"
CENTRES = ("barcelona", "heidelberg", "toronto")


@dataclass(frozen=True)
class Answer:
    """What a command left behind: its exit code and what it wrote."""

    code: int
    out: str
    err: str


Cli = Callable[..., Answer]


def demo_federation(directory: Path) -> Path:
    """The demo's three centres without a scheduler of their own: threads start at once."""
    file = build_federation(directory)
    for centre in CENTRES:
        set_cluster(directory / centre / "site", "threads")
    return file


def tree(*directories: Path) -> dict[str, str]:
    """The sha256 of every file under some directories, and the name of every directory."""
    found = {}
    for directory in directories:
        for path in sorted(directory.rglob("*")):
            data = path.read_bytes() if path.is_file() else b""
            found[str(path)] = hashlib.sha256(data).hexdigest() if path.is_file() else "directory"
    return found


def refusal(answer: Answer, *words: str, code: int = 2) -> None:
    """Assert that a command failed in one plain line that holds all of `words`."""
    text = answer.out + answer.err
    assert answer.code == code, text
    assert "Traceback" not in text, text
    (line,) = [row for row in answer.err.splitlines() if row.startswith("eucan-dask: ")]
    for word in words:
        assert word in line, f"{word!r} is not in: {line}"


def console(
    *arguments: object,
    env: Mapping[str, str] | None = None,
    within: Sequence[str] = (),
    timeout: float = 120,
) -> Answer:
    """The installed console script in a process of its own; `within` is put before it."""
    script = Path(sys.executable).with_name("eucan-dask")
    done = subprocess.run(
        [*within, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def call(arguments: Sequence[object]) -> int:
    """`main` with its exit code, also where argparse leaves by itself."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        return int(leaving.code or 0)
