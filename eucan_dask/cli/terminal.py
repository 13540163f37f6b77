"""What a person sees while something runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import pandas as pd

from eucan_dask.waiting import AWAITED

__all__ = ["key_values", "progress", "show"]

LONG = 10_000


@contextmanager
def progress() -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar on a terminal, with whom is awaited; a line for each change elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    console = Console(file=sys.stderr)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}
    said: set[str] = set()

    def report(done: int, total: int, what: str) -> None:
        step, _, awaited = what.partition(AWAITED)
        if step not in tasks:
            tasks[step] = bar.add_task(step, total=total)
        bar.update(tasks[step], completed=done, total=total, description=what)
        if not console.is_terminal:
            for line in dict.fromkeys((step, what)):
                if line not in said:
                    print(line, file=sys.stderr)
                    said.add(line)

    with bar:
        yield report


def show(title: str, frame: pd.DataFrame, *, rows: int = 12) -> None:
    """A table on the terminal, cut after `rows`; suppressed values are shown as "hidden".

    In a file or a pipe lines are as long as they need to be.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    last = [c for c in ("coverage", "reason") if c in frame.columns]
    shown = [c for c in frame.columns if c not in last and c != "suppressed"]
    for name in shown:
        justify: Literal["left", "right"] = "right" if frame[name].dtype.kind in "if" else "left"
        table.add_column(str(name), justify=justify, overflow="fold")
    hidden = frame["suppressed"] if "suppressed" in frame.columns else pd.Series(0, frame.index)
    for i in range(min(rows, len(frame))):
        cells = [_cell(frame[name].iloc[i], hidden=bool(hidden.iloc[i])) for name in shown]
        table.add_row(*cells)
    if len(frame) > rows:
        table.add_row(*(["..."] + [""] * (len(shown) - 1)))
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=LONG)
    console.print(table)


def _cell(value: Any, *, hidden: bool) -> str:
    if pd.isna(value):
        return "hidden" if hidden else "NA"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def key_values(rows: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> None:
    """Aligned names and values."""
    pairs = list(rows.items()) if isinstance(rows, Mapping) else list(rows)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        print(f"{name:<{width}}  {value}")
