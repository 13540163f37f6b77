"""From a declared view to its drawings: one function for each kind of figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from eucan_dask.config import Key, check
from eucan_dask.errors import Invalid
from eucan_dask.report.bars import bar_interval, histogram
from eucan_dask.report.curve import curve
from eucan_dask.report.forest import forest
from eucan_dask.report.long_table import AnyTable, LongTable
from eucan_dask.report.look import Context, Drawing
from eucan_dask.report.manhattan import manhattan
from eucan_dask.report.qq import qq
from eucan_dask.report.run_directory import View
from eucan_dask.report.spectrum import spectrum
from eucan_dask.report.tables import HEAD, TAIL, UNDEFINED, Table
from eucan_dask.report.top import smallest
from eucan_dask.report.wording import plural

__all__ = ["KINDS", "SCANS", "draw", "table"]

_MOST_FACETS = 24
_MOST_ROWS = 20_000  # of one figure: more would freeze the reader's browser


def table(view: View, rows: AnyTable, context: Context) -> list[Drawing]:  # noqa: ARG001
    """Show the rows themselves, which the page prints as an HTML table.

    With y, those with its smallest known values come first, and only the first of them (option
    "rows", 25 without it) are shown.
    """
    if not view.y:
        return [Drawing(rows=rows)]
    best = smallest(rows, view.y, min(max(view.option("rows"), 1), HEAD))
    many = plural(len(best), "row")
    name = view.y.replace("_", " ")
    note = f"The {many} with the smallest {name}; all {len(rows):,} are in {rows.path.name}."
    return [Drawing(rows=best, notes=(note,) if len(best) < len(rows) else ())]


KINDS: Mapping[str, Callable[[View, Table, Context], Drawing]] = {
    "bar_interval": bar_interval,
    "curve": curve,
    "forest": forest,
    "histogram": histogram,
}
# These read a table in pieces, however long it is, and split the figure themselves.
SCANS: Mapping[str, Callable[[View, AnyTable, Context], list[Drawing]]] = {
    "manhattan": manhattan,
    "qq": qq,
    "spectrum": spectrum,
    "table": table,
}
_COLUMN = Key(str | None, default=None)
_OPTIONS: Mapping[str, Mapping[str, Key]] = {
    "curve": {"at_risk": _COLUMN, "censored": _COLUMN, "logrank": Key(str, default="logrank")},
    "manhattan": {"contig": Key(str, default="contig"), "label": _COLUMN},
    "qq": {"inflation": Key(bool, default=True)},
    "spectrum": {"folded": Key(bool, default=True)},
    "table": {"rows": Key(int, default=25)},
}


def draw(view: View, rows: AnyTable, context: Context) -> list[Drawing]:
    """Draw one view: one drawing, or one for each level of its facet.

    Where several rows share the place that x (or, in a forest, y) and `by` give them, the first
    text column that tells them apart becomes the facet.

    Raises
    ------
    Invalid
        If the kind or an option is unknown, or a column is missing or holds no numbers.
    """
    if view.kind not in (*KINDS, *SCANS):
        raise Invalid(
            f"unknown kind of figure {view.kind!r}",
            where=view.where,
            expected=f"one of {', '.join(sorted([*KINDS, *SCANS]))}",
            remedy="change the analysis' view, or update eucan-dask",
        )
    options = check(view.options or {}, _OPTIONS.get(view.kind, {}), where=f"{view.where}, options")
    view = replace(view, options=options)
    if view.kind in SCANS:
        drawn = SCANS[view.kind](view, rows, context)
        return [replace(one, title=_heading(one.title)) for one in drawn]
    if isinstance(rows, LongTable):
        return [_too_long(rows)]
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
        return replace(_too_long(rows), title=title)
    return replace(KINDS[view.kind](view, rows, context), title=title)


def _too_long(rows: AnyTable) -> Drawing:
    return Drawing(notes=(f"Too many rows to draw ({len(rows):,}): see {rows.path.name}.",))


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
