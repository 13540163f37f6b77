"""The time axis of a curve, and the numbers at risk written under its ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, Range1d
from bokeh.models.annotations import Title
from bokeh.plotting import figure

from eucan_dask.report.look import Context, blank, plain
from eucan_dask.report.tables import Number, Table
from eucan_dask.report.wording import clipped, shortened

__all__ = ["YEAR", "TimeAxis", "at_risk", "left_border"]

YEAR = 365.25
_STEPS = {1.0: (7, 14, 30, 60, 90, 180, 365), YEAR: (0.5, 1, 2, 5, 10, 20)}
_ROW = 20  # px a line of the at-risk table
_LABEL = 30  # characters of a cohort's name beside it
_DASH = "\N{EN DASH}"


class TimeAxis:
    """A range in days, labelled in years where it spans two or more, else in days.

    Parameters
    ----------
    last
        The last time, in days.
    """

    def __init__(self, last: float) -> None:
        self.unit = YEAR if last >= 2 * YEAR - 10 else 1.0
        steps = [s for s in _STEPS[self.unit] if last / (s * self.unit) <= 10.5]
        step = (steps[0] if steps else math.ceil(last / self.unit / 10)) * self.unit
        self.ticks = [k * step for k in range(int(last * 1.01 // step) + 1)]
        self.range = Range1d(-0.06 * last, 1.025 * last)

    @property
    def unit_name(self) -> str:
        """The word for the unit."""
        return "years" if self.unit == YEAR else "days"

    def off_grid(self, times: Number) -> bool:
        """Whether a tick falls between two of the `times`, which are sorted."""
        inside = [t for t in self.ticks if len(times) and times[0] < t < times[-1]]
        return bool(np.setdiff1d(inside, times).size)

    def mark(self, plot: figure) -> None:
        """Put ticks and their labels on the x axis of `plot`."""
        plot.xaxis.ticker = FixedTicker(ticks=self.ticks)
        plot.xaxis.major_label_overrides = {t: f"{t / self.unit:g}" for t in self.ticks}
        plot.xgrid.grid_line_color = None


def left_border(labels: Sequence[str]) -> int:
    """Room for the y axis and for cohorts' names beside the at-risk table, in px."""
    longest = max((len(clipped(label, length=_LABEL)) for label in labels), default=0)
    return max(70, 7 * longest + 26)


def at_risk(
    series: Sequence[tuple[str, Table]],
    axis: TimeAxis,
    context: Context,
    *,
    time: str,
    count: str,
    border: int,
) -> figure:
    """The table under a curve: `count` at the last `time` not after each tick.

    A hidden count is a dash, an undefined one NA; after a cohort's last row nothing stands.
    """
    height = _ROW * len(series)
    plot = blank(
        height=height + 26,
        x_range=axis.range,
        y_range=Range1d(-len(series) + 0.5, 0.5),
        min_border_left=border,
        min_border_right=24,
        min_border_bottom=0,
        toolbar_location=None,
    )
    title = Title(text=plain("Number at risk"), text_font_style="bold", offset=2)
    plot.add_layout(title, "above")
    for place, (label, rows) in enumerate(series):
        marks = ColumnDataSource({"x": [axis.range.start], "y": [-place]})
        colour = context.colour(label, place)
        plot.scatter("x", "y", source=marks, marker="square", size=9, color=colour)
        plot.text(
            "x",
            "y",
            "text",
            source=ColumnDataSource(_counts(rows, axis, time, count, -place)),
            text_align="center",
            text_baseline="middle",
            text_font_size="12px",
            name=f"at_risk:{label}",
        )
    plot.yaxis.ticker = FixedTicker(ticks=[-p for p in range(len(series))])
    plot.yaxis.major_label_overrides = {
        -p: plain(clipped(label or "All", length=_LABEL)) for p, (label, _) in enumerate(series)
    }
    plot.yaxis.axis_line_color = plot.yaxis.major_tick_line_color = None
    plot.xaxis.visible = False
    plot.grid.grid_line_color = None
    return plot


def _counts(
    rows: Table, axis: TimeAxis, time: str, count: str, y: float
) -> dict[str, list[float | str]]:
    """The texts of one line of the at-risk table and where they stand; `rows` sorted by time."""
    times, cells = rows.number(time), rows.text(count)
    ticks = [t for t in axis.ticks if times[0] <= t <= times[-1] + 0.1 * axis.unit]
    at = np.searchsorted(times, ticks, side="right") - 1
    return {
        "x": list(ticks),
        "y": [y] * len(ticks),
        "text": [shortened(str(cells[k])) or _DASH for k in at],
    }
