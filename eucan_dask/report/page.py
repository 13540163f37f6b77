"""Write run directories as one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bokeh.embed import components
from bokeh.model import Model
from bokeh.resources import Resources

from eucan_dask.errors import Invalid
from eucan_dask.report import content, figures, run_directory
from eucan_dask.report.grid import of_table
from eucan_dask.report.look import Context, Drawing, theme
from eucan_dask.report.run_directory import Analysis, Run, View
from eucan_dask.report.style import CSS, SORT
from eucan_dask.report.tables import Table
from eucan_dask.report.template import PAGE, environment

__all__ = ["write"]


def write(directories: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of one or several run directories and return its path.

    The page carries its style, scripts and data; a content security policy in it forbids the
    browser to fetch anything and to run any script but those written here, so that text from
    the files cannot act even if it were not escaped.

    Parameters
    ----------
    directories
        What `eucan-dask run --out` wrote; shown in this order.
    out
        The HTML file; `report.html` in the first directory without one. Replaced atomically.

    Raises
    ------
    Invalid
        If no directory is given, one is missing, foreign, incomplete or of a newer format, a
        view is of an unknown kind or names a missing column, or `out` cannot be written.
    """
    if not directories:
        raise Invalid("no run directory given", remedy="name at least one")
    runs = [run_directory.read(Path(directory)) for directory in directories]
    target = out if out is not None else Path(directories[0]) / "report.html"
    _replace(target, render(runs))
    return target


def render(runs: Sequence[Run]) -> str:
    """The HTML of `runs`."""
    plots: dict[str, Model] = {}
    shown = [_run(run, number, plots) for number, run in enumerate(runs, start=1)]
    scripts, divs = [SORT], dict[str, str]()
    if plots:
        drawing, divs = components(plots, wrap_script=False, theme=theme())
        scripts = [
            *Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw,
            drawing,
            SORT,
        ]
    page = (
        environment()
        .from_string(PAGE)
        .render(
            title=runs[0].record["name"] if len(runs) == 1 else f"{len(runs)} federated runs",
            runs=shown,
            divs=divs,
            css=CSS,
            scripts=scripts,
            policy=_policy(scripts),
            version=_version(),
        )
    )
    return page.lstrip()


def _run(run: Run, number: int, plots: dict[str, Model]) -> dict[str, Any]:
    """What the template shows of one run; its plots are added to `plots`."""
    anchor = f"run-{number}"
    labels = [cohort["label"] for cohort in run.cohorts]
    colours = Context(series=labels)
    return {
        "number": number,
        "anchor": anchor,
        "name": run.record["name"],
        "banners": content.banners(run),
        "summary": content.summary(run),
        "facts": content.facts(run),
        "cohorts": [{**c, "colour": colours.colour(c["label"])} for c in run.cohorts],
        "analyses": [
            _analysis(analysis, f"{anchor}-{place}", labels, plots)
            for place, analysis in enumerate(run.analyses, start=1)
        ],
        "sites": content.sites(run),
        "provenance": content.provenance(run),
        "records": content.records(run),
        "panel": content.panel(run),
    }


def _analysis(
    analysis: Analysis, anchor: str, labels: Sequence[str], plots: dict[str, Model]
) -> dict[str, Any]:
    """What the template shows of one analysis: its views, then the tables behind them."""
    held = {name: table for name, table in analysis.tables.items() if isinstance(table, Table)}
    context = Context(tables=held, series=labels)
    in_full = {view.table for view in analysis.views if view.kind == "table" and not view.y}
    return {
        "anchor": anchor,
        "title": analysis.title,
        "equals": analysis.equals,
        "views": [
            _view(view, figures.draw(view, analysis.tables[view.table], context), anchor, plots)
            | ({"title": ""} if view.title == analysis.title else {})
            for view in analysis.views
        ],
        "truth": content.truth(analysis),
        "tables": [
            {
                "name": name,
                "n_rows": len(table),
                "n_hidden": table.n_hidden(),
                "rows": of_table(table),
            }
            for name, table in analysis.tables.items()
            if name not in in_full
        ],
        "footer": content.footer(analysis),
    }


def _view(
    view: View, drawings: Sequence[Drawing], anchor: str, plots: dict[str, Model]
) -> dict[str, Any]:
    """One view's drawings, with the key to colours and marks they share."""
    shown = []
    for drawing in drawings:
        name = ""
        if drawing.plot is not None:
            name = f"{anchor}-{len(plots)}"
            plots[name] = drawing.plot
        shown.append(
            {
                "title": drawing.title,
                "wide": drawing.wide,
                "plot": name,
                "notes": drawing.notes,
                "alt": drawing.alt,
                "rows": None if drawing.rows is None else of_table(drawing.rows),
            }
        )
    keys = dict(pair for drawing in drawings for pair in drawing.key)
    marks = frozenset().union(*(drawing.marks for drawing in drawings))
    return {"title": view.title, "drawings": shown, "key": list(keys.items()), "marks": marks}


def _policy(scripts: Sequence[str]) -> str:
    """A content security policy that allows these scripts by digest, and no request at all."""
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _version() -> str:
    try:
        return version("eucan-dask")
    except PackageNotFoundError:
        return "(not installed)"


def _replace(target: Path, text: str) -> None:
    """Write beside the target and rename, so that a reader never sees half a page."""
    beside = target.with_name(f".tmp-{target.name}")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(beside, target)
    except OSError as error:
        raise Invalid(
            "the page cannot be written",
            where=target,
            found=error.strerror,
            remedy="give a file in a directory that exists and can be written to",
        ) from error
