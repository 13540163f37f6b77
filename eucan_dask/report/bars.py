"""Horizontal bars by category and cohort: frequencies with intervals, and counts of levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, LinearAxis, NumeralTickFormatter, Range1d
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure
from numpy.typing import NDArray

from eucan_dask.errors import Invalid
from eucan_dask.report.lanes import Lanes, described
from eucan_dask.report.look import HIDDEN, MUTED, Context, Drawing, blank, hover, legend, plain
from eucan_dask.report.run_directory import View
from eucan_dask.report.tables import UNDEFINED, Mask, Table

__all__ = ["bar_interval", "histogram"]

_TALL = 500  # px: a taller plot has its axis above, too
MOST = 60  # categories drawn; the rest stays in the table


def bar_interval(view: View, table: Table, context: Context) -> Drawing:
    """Draw y with its interval for each x and `by`; categories with the highest y come first.

    A hidden y with a known interval is a hatched range without a point; one without an interval
    says "hidden". NA says so. Zero is a point at 0.

    Raises
    ------
    Invalid
        If a column is missing or holds no numbers, or x and `by` name a row twice.
    """
    highest: dict[str, float] = {}
    value = np.nan_to_num(table.number(view.column("y")), nan=-np.inf)
    for name, known in zip(table.text(view.column("x")), value, strict=True):
        highest[str(name)] = max(highest.get(str(name), -np.inf), known)
    order = sorted(highest, key=lambda name: -highest[name])
    return _bars(view, table, order, context, counted=False)


def histogram(view: View, table: Table, context: Context) -> Drawing:
    """Draw the count y of each level x, in the order of the table, for each level of `by`.

    The count is written at the end of its bar; a hidden one says "hidden", NA says so.

    Raises
    ------
    Invalid
        If a column is missing or holds no numbers, or x and `by` name a row twice.
    """
    order = list(dict.fromkeys(map(str, table.text(view.column("x")))))
    return _bars(view, table, order, context, counted=True)


@dataclass(frozen=True)
class _Lane:
    """One cohort's rows as columns for glyphs: at, value, low, high and the tooltips' texts."""

    label: str
    colour: str
    thickness: float
    hidden: Mask
    data: dict[str, NDArray[Any]]
    tips: list[tuple[str, str]]

    @property
    def known(self) -> Mask:
        return np.asarray(np.isfinite(self.data["value"]))

    @property
    def bounded(self) -> Mask:
        return np.asarray(np.isfinite(self.data["low"] + self.data["high"]))

    @property
    def ranged(self) -> Mask:
        """Where the value is hidden, but the range it lies in is known."""
        return self.hidden & self.bounded & ~self.known

    @property
    def marks(self) -> frozenset[str]:
        """Which of its marks the page must explain."""
        silent = ~self.known & ~self.ranged
        used = {
            "range": self.ranged,
            "hidden": silent & self.hidden,
            "undefined": silent & ~self.hidden,
        }
        return frozenset(name for name, where in used.items() if where.any())

    def source(self, wanted: Mask) -> ColumnDataSource:
        return ColumnDataSource({name: cells[wanted] for name, cells in self.data.items()})


def _bars(
    view: View, table: Table, order: Sequence[str], context: Context, *, counted: bool
) -> Drawing:
    notes = []
    if len(order) > MOST:
        notes.append(f"The first {MOST} of {len(order)} are drawn; all are in {table.path.name}.")
        order = order[:MOST]
        table = table.rows(np.isin(table.text(view.column("x")).astype(str), order))
    series = list(table.groups(view.by))
    lanes = Lanes(tuple(order), tuple(label for label, _ in series))
    plot = _plot(view, table, lanes, counted=counted)
    items, marks = [], frozenset[str]()
    for place, (label, rows) in enumerate(series):
        lane = _lane(view, rows, lanes, label, context.colour(label, place))
        items.append((label, _draw(plot, lane, counted=counted)))
        marks |= lane.marks
    if view.by and not counted:
        legend(plot, items)
    return Drawing(
        plot=plot,
        notes=tuple(notes),
        key=_key(series, context) if view.by and counted else (),
        marks=marks,
        wide=not counted,
    )


def _key(series: Sequence[tuple[str, Table]], context: Context) -> tuple[tuple[str, str], ...]:
    return tuple((label, context.colour(label, i)) for i, (label, _) in enumerate(series))


def _plot(view: View, table: Table, lanes: Lanes, *, counted: bool) -> figure:
    """The empty plot; counts stand at their bars, so they need no axis."""
    columns = [c for c in (view.column("y"), view.high) if c]
    top = max(float(np.nanmax(table.number(c), initial=0.0)) for c in columns) or 1.0
    plot = blank(
        height=lanes.height + (16 if counted else 58),
        x_range=Range1d(0 if counted else -0.01 * top, top * (1.25 if counted else 1.04)),
        y_range=lanes.range,
        min_border_right=16,
        toolbar_location=None if counted else "right",
    )
    lanes.mark(plot, length=26 if counted else 34)
    plot.xaxis.visible = plot.xgrid.visible = not counted
    plot.xaxis.axis_label = plain((view.y or "").replace("_", " ").capitalize())
    if not counted and lanes.height > _TALL:
        plot.add_layout(LinearAxis(), "above")
    if top <= 1.0:
        plot.xaxis.formatter = NumeralTickFormatter(format="0.[0] %")
    return plot


def _lane(view: View, rows: Table, lanes: Lanes, label: str, colour: str) -> _Lane:
    names = list(rows.text(view.column("x")))
    if len(set(names)) != len(names):
        # Two rows for one bar would cover each other.
        raise Invalid(
            f"{view.x!r} and {view.by!r} do not tell the rows of {rows.path.name} apart",
            where=view.where,
            remedy="name the column that does as 'facet'",
        )
    y = view.column("y")
    nothing = np.full(len(rows), np.nan)
    columns, tips = described(rows)
    data: dict[str, NDArray[Any]] = {k: np.array(v, dtype=object) for k, v in columns.items()}
    data["at"] = lanes.at(names, label)
    data["value"] = rows.number(y)
    data["low"] = rows.number(view.low) if view.low else nothing
    data["high"] = rows.number(view.high) if view.high else nothing
    return _Lane(label, colour, lanes.thickness, rows.hidden(y), data, tips)


def _draw(plot: figure, lane: _Lane, *, counted: bool) -> list[GlyphRenderer]:
    """All glyphs of one cohort; they are hidden and shown together."""
    drawn = [_boxes(plot, lane, counted=counted)]
    if not counted:
        drawn += _points(plot, lane)
    hover(plot, drawn, lane.tips)
    return drawn + _words(plot, lane, counted=counted)


def _boxes(plot: figure, lane: _Lane, *, counted: bool) -> GlyphRenderer:
    """A bar from 0 for each known value, a hatched range for each hidden one with bounds.

    The known ones come first, because the first is what the legend shows.
    """
    data = {
        name: np.concatenate([cells[lane.known], cells[lane.ranged]])
        for name, cells in lane.data.items()
    }
    n_known, n_ranged = int(lane.known.sum()), int(lane.ranged.sum())
    data["left"] = np.concatenate([np.zeros(n_known), lane.data["low"][lane.ranged]])
    data["right"] = np.concatenate([lane.data["value"][lane.known], lane.data["high"][lane.ranged]])
    data["fill"] = np.repeat([0.85 if counted else 0.3, 0.08], [n_known, n_ranged])
    data["hatch"] = np.repeat(np.array([" ", "/"], dtype=object), [n_known, n_ranged])
    data["line"] = np.repeat([0.0, 0.6], [n_known, n_ranged])
    boxes: GlyphRenderer = plot.hbar(
        y="at",
        left="left",
        right="right",
        height=lane.thickness * (0.86 if counted else 0.62),
        source=ColumnDataSource(data),
        color=lane.colour,
        fill_alpha="fill",
        line_alpha="line",
        hatch_pattern="hatch",
        hatch_color=lane.colour,
        hatch_alpha=0.6,
        hatch_scale=6,
        hatch_weight=1,
        name=f"bar:{lane.label}",
    )
    return boxes


def _points(plot: figure, lane: _Lane) -> list[GlyphRenderer]:
    """Whiskers and a point for each known value."""
    whiskers = plot.segment(
        "low",
        "at",
        "high",
        "at",
        source=lane.source(lane.known & lane.bounded),
        line_color=lane.colour,
        line_width=1.6,
        name=f"interval:{lane.label}",
    )
    points = plot.scatter(
        "value",
        "at",
        source=lane.source(lane.known),
        size=7,
        color=lane.colour,
        name=f"point:{lane.label}",
    )
    return [whiskers, points]


def _words(plot: figure, lane: _Lane, *, counted: bool) -> list[GlyphRenderer]:
    """What stands in words: hidden and undefined values, and counts beside their bars."""
    silent = ~lane.known & ~lane.ranged
    words = np.where(lane.hidden, HIDDEN, UNDEFINED)
    shown = [("absent", silent, words, np.zeros(len(words)), "italic", MUTED)]
    if counted:
        numbers = np.array([f"{v:.0f}" if np.isfinite(v) else "" for v in lane.data["value"]])
        shown.append(("count", lane.known, numbers, lane.data["value"], "normal", "#1b1f24"))
    drawn = []
    for name, where, texts, x, style, colour in shown:
        if not where.any():
            continue
        data = {"x": x[where], "y": lane.data["at"][where], "text": texts[where].tolist()}
        drawn.append(
            plot.text(
                "x",
                "y",
                "text",
                source=ColumnDataSource(data),
                x_offset=5,
                text_baseline="middle",
                text_font_size="11px",
                text_font_style=style,
                text_color=colour,
                name=f"{name}:{lane.label}",
            )
        )
    return drawn
