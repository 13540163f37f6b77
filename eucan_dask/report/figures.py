"""From a declared view to its drawings: one function for each kind of figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from eucan_dask.config import Key, check
from eucan_dask.errors import Invalid
from eucan_dask.report.bars import bar_interval, histogram
from eucan_dask.report.curve import curve
from eucan_dask.report.forest import forest
from eucan_dask.report.look import Context, Drawing
from eucan_dask.report.run_directory import View
from eucan_dask.report.tables import TAIL, UNDEFINED, Table

__all__ = ["KINDS", "draw", "table"]

_MOST_FACETS = 24
_MOST_ROWS = 20_000  # of one figure: more would freeze the reader's browser


def table(view: View, rows: Table, context: Context) -> Drawing:  # noqa: ARG001
    """Show the rows themselves; the page prints them as an HTML table."""
    return Drawing(rows=rows)


KINDS: Mapping[str, Callable[[View, Table, Context], Drawing]] = {
    "bar_interval": bar_interval,
    "curve": curve,
    "forest": forest,
    "histogram": histogram,
    "table": table,
}
_COLUMN = Key(str | None, default=None)
_OPTIONS: Mapping[str, Mapping[str, Key]] = {
    "curve": {"at_risk": _COLUMN, "censored": _COLUMN, "logrank": Key(str, default="logrank")}
}


def draw(view: View, rows: Table, context: Context) -> list[Drawing]:
    """Draw one view: one drawing, or one for each level of its facet.

    Where several rows share the place that x (or, in a forest, y) and `by` give them, the first
    text column that tells them apart becomes the facet.

    Raises
    ------
    Invalid
        If the kind or an option is unknown, or a column is missing or holds no numbers.
    """
    if view.kind not in KINDS:
        raise Invalid(
            f"unknown kind of figure {view.kind!r}",
            where=view.where,
            expected=f"one of {', '.join(KINDS)}",
            remedy="change the analysis' view, or update eucan-dask",
        )
    options = check(view.options or {}, _OPTIONS.get(view.kind, {}), where=f"{view.where}, options")
    view = replace(view, options=options)
    if view.kind == "table":
        return [table(view, rows, context)]
    facet = view.facet or _facet(view, rows)
    levels = list(rows.groups(facet))
    drawings = [_one(view, part, context, _heading(level)) for level, part in levels[:_MOST_FACETS]]
    if len(levels) > _MOST_FACETS:
        note = f"The first {_MOST_FACETS} of {len(levels)} are drawn; all are in {rows.path.name}."
        drawings.append(Drawing(notes=(note,)))
    return drawings


def _one(view: View, rows: Table, context: Context, title: str) -> Drawing:
    if not len(rows):
        return Drawing(title=title, notes=("The table has no rows.",))
    if len(rows) > _MOST_ROWS:
        note = f"Too many rows to draw ({len(rows):,}): see {rows.path.name}."
        return Drawing(title=title, notes=(note,))
    return replace(KINDS[view.kind](view, rows, context), title=title)


def _heading(level: str) -> str:
    words = level.replace("_", " ")
    return words[:1].upper() + words[1:]


def _facet(view: View, rows: Table) -> str | None:
    """The column that must split the figure, if a place in it would hold several rows."""
    key = [c for c in (view.y if view.kind == "forest" else view.x, view.by) if c]
    if _distinct(rows, key):
        return None
    parts = {view.x, view.y, view.by, view.low, view.high, *TAIL}
    others = [c for c in rows.columns if c not in parts]
    return next((c for c in others if _names(rows, c) and _distinct(rows, [*key, c])), None)


def _distinct(rows: Table, columns: list[str]) -> bool:
    keys = list(zip(*(rows.text(c) for c in columns), strict=True))
    return len(set(keys)) == len(keys)


def _names(rows: Table, column: str) -> bool:
    """Whether a column holds a few names rather than numbers."""
    levels = set(rows.text(column))
    return len(levels) <= _MOST_FACETS and not all(_numeric(str(level)) for level in levels)


def _numeric(cell: str) -> bool:
    return cell in ("", UNDEFINED) or cell.replace(".", "", 1).lstrip("-").isdigit()
