"""Forest plots: ratios with intervals on a log axis, and their numbers beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, LinearAxis, Range1d
from bokeh.models.annotations import Span
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure
from numpy.typing import NDArray

from eucan_dask.report.lanes import Lanes, described
from eucan_dask.report.look import (
    COLOURS,
    HIDDEN,
    INK,
    Context,
    Drawing,
    blank,
    hover,
    legend,
    plain,
)
from eucan_dask.report.run_directory import View
from eucan_dask.report.tables import Mask, Number, Table
from eucan_dask.report.wording import p_value, ratio

__all__ = ["forest"]

MOST = 60  # terms drawn; the rest stays in the table
_REACH = 50.0  # the axis ends at a ratio of 50 or 1/50: arrows point further
_RATIOS = {"hr": ("Hazard ratio", "HR", "hazard"), "or": ("Odds ratio", "OR", "odds")}
_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
_FINE = (0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2)
_HEAD = 0.85  # where the heads of the printed columns stand; the first term is at 0


@dataclass(frozen=True)
class _Axis:
    """The log axis in ratios."""

    start: float
    end: float

    @property
    def ticks(self) -> list[float]:
        ticks = _TICKS if self.end / self.start > 4 else _FINE
        return [tick for tick in ticks if self.start <= tick <= self.end]


def forest(view: View, table: Table, context: Context) -> Drawing:
    """Draw the ratio x with low and high for each term y (and `by`), log scale, line at 1.

    Numbers stand at the right: ratio (low to high) and, if there is a column `p_value`, p. A
    hidden ratio has no mark and says "hidden"; an undefined one says "not estimable". An interval
    that leaves the axis ends in an arrow.

    Raises
    ------
    Invalid
        If a column is missing or holds no numbers.
    """
    notes = []
    names = list(dict.fromkeys(map(str, table.text(view.column("y")))))
    if len(names) > MOST:
        notes.append(f"The first {MOST} of {len(names)} are drawn; all are in {table.path.name}.")
        names = names[:MOST]
        table = table.rows(np.isin(table.text(view.column("y")).astype(str), names))
    series = list(table.groups(view.by))
    lanes = Lanes(tuple(names), tuple(label for label, _ in series))
    axis = _axis(view, table)
    plot = _plot(view, lanes, axis)
    items = []
    numbers, p = dict[float, str](), dict[float, str]()
    for place, (label, rows) in enumerate(series):
        at = lanes.at(list(rows.text(view.column("y"))), label)
        colour = context.colour(label, place) if view.by else COLOURS[0]
        items.append((label, _marks(plot, view, rows, at, label, colour, axis)))
        texts, values = _printed(view, rows)
        numbers |= dict(zip(at.tolist(), texts, strict=True))
        p |= dict(zip(at.tolist(), values, strict=False))
    short = _words(view)[1]
    _column(plot, f"{short} (95 % CI)" if view.low and view.high else short, numbers, "numbers")
    if p:
        _column(plot, "p", p, "p")
    if view.by:
        legend(plot, items)
    return Drawing(plot=plot, notes=tuple(notes))


def _axis(view: View, table: Table) -> _Axis:
    """All intervals, and 1, but no further than `_REACH`."""
    columns = [view.column("x"), *(c for c in (view.low, view.high) if c)]
    values = np.concatenate([table.number(c) for c in columns])
    values = values[np.isfinite(values) & (values > 0)]
    start = float(np.min(values, initial=0.8))
    end = float(np.max(values, initial=1.25))
    return _Axis(max(start / 1.15, 1 / _REACH), min(end * 1.15, _REACH))


def _plot(view: View, lanes: Lanes, axis: _Axis) -> figure:
    """The empty plot with its line at 1."""
    margin = (axis.end / axis.start) ** 0.015  # room for an arrow at either end
    plot = blank(
        height=lanes.height + 100,
        x_range=Range1d(axis.start / margin, axis.end * margin),
        y_range=Range1d(-len(lanes.categories) + 0.5, _HEAD + 0.4),
        x_axis_type="log",
        min_border_right=8,
    )
    lanes.mark(plot)
    plot.xaxis.ticker = plot.xgrid.ticker = FixedTicker(ticks=axis.ticks)
    plot.xaxis.major_label_overrides = {t: f"{t:g}" for t in axis.ticks}
    name, _, what = _words(view)
    hint = f"log scale; right of 1: higher {what}"
    plot.xaxis.axis_label = plain(f"{name} ({hint})")
    plot.add_layout(Span(location=1, dimension="height", line_color=INK, line_width=1))
    return plot


def _words(view: View) -> tuple[str, str, str]:
    """The ratio's name, its short form and what it is a ratio of."""
    column = view.column("x")
    return _RATIOS.get(column, (column.capitalize(), column, "value"))


def _marks(
    plot: figure, view: View, rows: Table, at: Number, label: str, colour: str, axis: _Axis
) -> list[GlyphRenderer]:
    """Intervals, arrows where they leave the axis, and squares at the ratios."""
    x, start, end = rows.number(view.column("x")), axis.start, axis.end
    low = rows.number(view.low) if view.low else np.full(len(rows), np.nan)
    high = rows.number(view.high) if view.high else np.full(len(rows), np.nan)
    columns, tips = described(rows)
    known = np.isfinite(x) & (x > 0)
    both = known & ~np.isnan(low) & ~np.isnan(high)
    data: dict[str, NDArray[np.generic]] = {
        **{name: np.array(texts, dtype=object) for name, texts in columns.items()},
        "at": at,
        "x": x,
        "low": low,
        "high": high,
        "from": np.maximum(low, start),
        "to": np.minimum(high, end),
    }
    style = {"color": colour, "source": _source(data, both)}
    lines = plot.segment(
        "from", "at", "to", "at", line_width=1.8, name=f"interval:{label}", **style
    )
    inside = known & (x >= start) & (x <= end)
    style["source"] = _source(data, inside)
    squares = plot.scatter("x", "at", marker="square", size=9, name=f"point:{label}", **style)
    drawn = [lines, squares]
    for beyond, where, angle in ((low < start, "from", np.pi / 2), (high > end, "to", -np.pi / 2)):
        style["source"] = _source(data, both & beyond)
        drawn.append(plot.scatter(where, "at", marker="triangle", angle=angle, size=8, **style))
    hover(plot, [lines, squares], tips)
    return drawn


def _source(data: dict[str, NDArray[np.generic]], wanted: Mask) -> ColumnDataSource:
    return ColumnDataSource({name: cells[wanted] for name, cells in data.items()})


def _printed(view: View, rows: Table) -> tuple[list[str], list[str]]:
    """The ratios with their intervals, and the p-values, in words (rows)."""
    x = rows.number(view.column("x"))
    texts = [ratio(value) for value in x]
    if view.low and view.high:
        limits = zip(x, rows.number(view.low), rows.number(view.high), strict=True)
        texts = [_with_limits(*triple) for triple in limits]
    texts = [t if np.isfinite(v) else "not estimable" for t, v in zip(texts, x, strict=True)]
    texts = _unless(rows.hidden(view.column("x")), texts)
    if "p_value" not in rows.columns:
        return texts, []
    values = [p_value(value).removeprefix("= ") for value in rows.number("p_value")]
    return texts, _unless(rows.hidden("p_value"), values)


def _with_limits(value: float, low: float, high: float) -> str:
    texts = [ratio(v, width=high - low) for v in (value, low, high)]
    return "{} ({} to {})".format(*texts)


def _unless(hidden: Mask, texts: Sequence[str]) -> list[str]:
    return [HIDDEN if gone else text for gone, text in zip(hidden, texts, strict=True)]


def _column(plot: figure, head: str, texts: Mapping[float, str], name: str) -> None:
    """Print `texts` beside the plot at their heights, as an axis: bokeh then makes room."""
    at = {_HEAD: head, **texts}
    axis = LinearAxis(
        ticker=FixedTicker(ticks=list(at)),
        major_label_overrides={y: plain(text) for y, text in at.items()},
        major_label_text_align="left",
        major_label_standoff=14,
        axis_line_color=None,
        major_tick_line_color=None,
        name=name,
    )
    plot.add_layout(axis, "right")
