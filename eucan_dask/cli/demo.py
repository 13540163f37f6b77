"""`demo`: three centres on this machine, in a minute."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from eucan_dask.cli.terminal import progress, show

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser."""
    demo = commands.add_parser("demo", help="three simulated centres, main jobs, one report")
    demo.add_argument("--out", type=Path, default=Path("demo-out"))
    demo.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> None:
    from eucan_dask.demo import planted_beside_estimate, run_demo
    from eucan_dask.report.page import write

    with progress() as report:
        results = run_demo(arguments.out, progress=report)
    for identifier, result in results.items():
        rows = pd.DataFrame(planted_beside_estimate(identifier, result))
        show(f"{result.analysis.title}: planted truth beside the estimate", rows, rows=20)
    federation = arguments.out / "federation" / "federation.toml"
    print(f"report: {write([arguments.out / 'run'])}")
    print(f"ask more: eucan-dask run jobs/survival.toml --federation {federation} --out answer")
