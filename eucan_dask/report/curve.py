"""Step curves over time with confidence bands, censor ticks and the numbers at risk."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, FixedTicker, NumeralTickFormatter, Range1d
from bokeh.models.annotations import Label, Span
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure
from numpy.typing import NDArray

from eucan_dask.report.look import HIDDEN, MUTED, Context, Drawing, blank, hover, legend, plain
from eucan_dask.report.run_directory import View
from eucan_dask.report.tables import Mask, Number, Table
from eucan_dask.report.time_axis import YEAR, TimeAxis, at_risk, left_border
from eucan_dask.report.wording import clipped, p_value, plural, shortened, significant

__all__ = ["curve"]

_HEIGHT = 400
_BAND = 0.12  # opacity
_TESTS = 4  # log-rank lines written into the plot


def curve(view: View, table: Table, context: Context) -> Drawing:
    """Draw y as a step function of x (days), constant to the right, for each level of `by`.

    A hidden value is passed over: the step runs on to the next one shown, which is where the
    grid's merged steps are counted, and the curve ends with the last one shown. An undefined
    value breaks the line. Neither is ever drawn as 0. The glyphs' x are the days of the table:
    only the axis' labels turn to years.

    Raises
    ------
    Invalid
        If a column that the view names is missing or holds no numbers.
    """
    time, risk = view.column("x"), view.option("at_risk")
    series = [(label, _sorted(rows, time)) for label, rows in table.groups(view.by)]
    axis = TimeAxis(float(np.nanmax(table.number(time), initial=1.0)))
    notes = [note for label, rows in series if (note := _gap(view, rows, label, axis))]
    if not np.isfinite(table.number(view.column("y"))).any():
        return Drawing(notes=(*notes, *_comparisons(view, context), "There is no value to draw."))
    border = left_border([label for label, _ in series] if risk else [])
    plot = _plot(view, table, axis, border)
    items = [
        (label, _series(plot, view, _shown(view, rows), label, context, place))
        for place, (label, rows) in enumerate(series)
        if len(_shown(view, rows))
    ]
    _hover(plot, view, [drawn[-1] for _, drawn in items])
    if view.by:
        legend(plot, items)
    _annotate(plot, _comparisons(view, context))
    parts = [plot]
    if risk:
        parts.append(at_risk(series, axis, context, time=time, count=risk, border=border))
        if any(axis.off_grid(rows.number(time)) for _, rows in series):
            notes.append("At risk: counted at the table's last time not after the tick.")
    return Drawing(plot=column(*parts, sizing_mode="stretch_width"), notes=tuple(notes))


def _sorted(rows: Table, time: str) -> Table:
    return rows.rows(np.argsort(rows.number(time), kind="stable"))


def _shown(view: View, rows: Table) -> Table:
    return rows.rows(~rows.hidden(view.column("y")))


def _plot(view: View, table: Table, axis: TimeAxis, border: int) -> figure:
    """The empty plot: a proportion gets percent and a line at one half."""
    columns = [c for c in (view.column("y"), view.high) if c]
    highest = max(float(np.nanmax(table.number(c), initial=0.0)) for c in columns)
    plot = blank(
        height=_HEIGHT,
        x_range=axis.range,
        y_range=Range1d(0, 1.03 if highest <= 1.0 else 1.05 * highest),
        min_border_left=border,
        min_border_right=24,
    )
    axis.mark(plot)
    name = (view.x or "").replace("_", " ").capitalize()
    plot.xaxis.axis_label = plain(f"{name} ({axis.unit_name})")
    plot.yaxis.axis_label = plain((view.y or "").replace("_", " ").capitalize())
    if highest <= 1.0:
        plot.yaxis.ticker = FixedTicker(ticks=[0, 0.25, 0.5, 0.75, 1])
        plot.yaxis.formatter = NumeralTickFormatter(format="0 %")
        plot.add_layout(Span(location=0.5, dimension="width", line_color=MUTED, line_dash="dotted"))
    return plot


def _series(
    plot: figure, view: View, rows: Table, label: str, context: Context, place: int
) -> list[GlyphRenderer]:
    """Band, line, censor ticks and points of one cohort; the points, for hovering, come last."""
    time, value = rows.number(view.column("x")), rows.number(view.column("y"))
    colour = context.colour(label, place)
    drawn = _bands(plot, view, rows, label, colour)
    source = ColumnDataSource(_columns(view, rows, label))
    drawn.append(
        plot.step(
            "x",
            "y",
            source=source,
            mode="after",
            line_color=colour,
            line_width=2.2,
            line_dash=context.dash(label, place),
            name=f"line:{label}",
        )
    )
    if view.option("censored"):
        at = (rows.number(view.option("censored")) > 0) & np.isfinite(value)
        ticks = plot.scatter(
            "x",
            "y",
            source=ColumnDataSource({"x": time[at], "y": value[at]}),
            marker="dash",
            angle=math.pi / 2,
            size=9,
            line_color=colour,
            line_width=1.3,
            name=f"censored:{label}",
        )
        drawn.append(ticks)
    points = plot.scatter("x", "y", source=source, size=9, alpha=0, hover_alpha=0.9, color=colour)
    return [*drawn, points]


def _bands(plot: figure, view: View, rows: Table, label: str, colour: str) -> list[GlyphRenderer]:
    """The confidence band: one stepped area for each unbroken stretch of both limits."""
    if not (view.low and view.high):
        return []
    time = rows.number(view.column("x"))
    low, high = rows.number(view.low), rows.number(view.high)
    return [
        plot.varea_step(
            "x",
            "low",
            "high",
            source=ColumnDataSource({"x": time[run], "low": low[run], "high": high[run]}),
            step_mode="after",
            fill_color=colour,
            fill_alpha=_BAND,
            name=f"band:{label}",
        )
        for run in _stretches(np.isfinite(time + low + high))
    ]


def _stretches(finite: Mask) -> list[NDArray[np.intp]]:
    """Positions of the stretches of two or more finite rows."""
    where = np.flatnonzero(finite)
    parts = np.split(where, np.flatnonzero(np.diff(where) > 1) + 1)
    return [part for part in parts if len(part) > 1]


def _columns(view: View, rows: Table, label: str) -> dict[str, Number | list[str]]:
    """The data behind a line, and the words of its tooltip."""
    time, value = rows.number(view.column("x")), rows.number(view.column("y"))
    columns: dict[str, Number | list[str]] = {
        "x": time,
        "y": value,
        "label": [label] * len(rows),
        "when": [f"{t:g} days ({t / YEAR:.1f} years)" for t in time],
        "value": [significant(v) for v in value],
    }
    if view.low and view.high:
        pairs = zip(rows.number(view.low), rows.number(view.high), strict=True)
        columns["interval"] = [f"{significant(a)} to {significant(b)}" for a, b in pairs]
    if view.option("at_risk"):
        columns["at_risk"] = [
            shortened(str(c)) or HIDDEN for c in rows.text(view.option("at_risk"))
        ]
    return columns


def _hover(plot: figure, view: View, points: Sequence[GlyphRenderer]) -> None:
    tips = [("Time", "@when"), ((view.y or "").capitalize(), "@value")]
    if view.by:
        tips.insert(0, (view.by.capitalize(), "@label"))
    if view.low and view.high:
        tips.append(("Interval", "@interval"))
    if view.option("at_risk"):
        tips.append(("At risk", "@at_risk"))
    hover(plot, points, tips)


def _annotate(plot: figure, lines: Sequence[str]) -> None:
    """Write `lines` into the lower left corner, which a survival curve reaches last."""
    if lines:
        plot.add_layout(
            Label(
                x=16,
                y=10,
                x_units="screen",
                y_units="screen",
                text=plain("\n".join(lines)),
                background_fill_color="white",
                background_fill_alpha=0.8,
            )
        )


def _comparisons(view: View, context: Context) -> list[str]:
    """The log-rank tests in words, if the analysis has a table of them."""
    tests = context.tables.get(view.option("logrank"))
    if tests is None or view.y != "survival" or "p_value" not in tests.columns:
        return []
    blank_names = np.array([""] * len(tests), dtype=object)
    names = tests.text("contrast") if "contrast" in tests.columns else blank_names
    strata = tests.text("strata") if "strata" in tests.columns else blank_names
    hidden, values = tests.hidden("p_value"), tests.number("p_value")
    lines = []
    for row in range(min(len(tests), _TESTS)):
        said = "p hidden" if hidden[row] else f"p {p_value(values[row])}"
        by = f", stratified by {strata[row]}" if strata[row] not in ("", "NA", "none") else ""
        name = f": {clipped(str(names[row]), length=60)}" if len(tests) > 1 else ""
        lines.append(f"Log-rank {said}{by}{name}")
    if len(tests) > _TESTS:
        lines.append(f"{plural(len(tests) - _TESTS, 'more comparison')} in the table below")
    return lines


def _gap(view: View, rows: Table, label: str, axis: TimeAxis) -> str:
    """A sentence on what of a curve is hidden, and from when on; empty if nothing is."""
    hidden = rows.hidden(view.column("y"))
    who = f"{label}: " if label else ""
    if not hidden.any():
        return ""
    if hidden.all():
        return f"{who}hidden throughout{_why(rows)}."
    end = len(rows) - int(np.argmin(hidden[::-1]))
    inner, tail = rows.rows(slice(end)).rows(hidden[:end]), rows.rows(slice(end, None))
    said = []
    if len(inner):
        said.append(f"{plural(len(inner), 'time')} hidden{_why(inner)}")
    if len(tail):
        when = tail.number(view.column("x"))[0] / axis.unit
        said.append(f"hidden from {significant(when)} {axis.unit_name} on{_why(tail)}")
    return f"{who}{'; '.join(said)}."


def _why(rows: Table) -> str:
    reasons = [str(reason) for reason in dict.fromkeys(rows.text("reason")) if reason]
    return f" ({'; '.join(reasons)})" if reasons else ""
