"""The command line: every command is a call of the Python API."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from eucan_dask.errors import EucanError

__all__ = ["main", "parser"]


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    from eucan_dask.cli import demo, question, site, store

    top = argparse.ArgumentParser(
        prog="eucan-dask",
        description="One question to many centres; only checked sums come back.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (demo, store, site, question):
        module.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    0 done; 2 bad input; 3 refused by policy; 4 not enough sites; 5 cluster or transport failure.
    """
    import dask

    dask.config.set({"logging": {"distributed": "warning"}})
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except EucanError as error:
        print(f"eucan-dask: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        hint = "; add --resume to go on" if arguments.command == "run" else ""
        print(f"eucan-dask: stopped{hint}", file=sys.stderr)
        return 130


def run() -> None:
    """The console script."""
    sys.exit(main())
