"""Put before every process of a test as `sitecustomize`: what it may not open, where it dies.

FORBIDDEN lists directories and files; whoever opens, lists or renames anything in them ends with
exit code 99. KILL_AT is `EVENT:TEXT:N`: at the N-th audit event of that name that has TEXT in an
argument, the process gets SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sys

EVENTS = ("open", "os.listdir", "os.scandir", "os.rename", "os.remove", "sqlite3.connect")
FORBIDDEN = tuple(os.path.realpath(p) for p in os.environ.get("FORBIDDEN", "").split(":") if p)
KILL_AT = os.environ.get("KILL_AT", "").split(":")


class Guard:
    """An audit hook."""

    def __init__(self) -> None:
        self.left = int(KILL_AT[2]) if len(KILL_AT) == 3 else 0

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in EVENTS:
            return
        paths = [os.fsdecode(a) for a in arguments if isinstance(a, str | bytes | os.PathLike)]
        for path in map(os.path.abspath, paths):
            if path.startswith(FORBIDDEN) and FORBIDDEN:
                os.write(2, f"guard: {event} of {path}\n".encode())
                os._exit(99)
        if self.left and event == KILL_AT[0] and any(KILL_AT[1] in path for path in paths):
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(Guard())
