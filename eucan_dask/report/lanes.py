"""The vertical axis of bars and forests: one band a category, one lane in it a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bokeh.models import FixedTicker, Range1d
from bokeh.models.annotations import BoxAnnotation
from bokeh.plotting import figure

from eucan_dask.report.look import HIDDEN, plain
from eucan_dask.report.tables import TAIL, Number, Table
from eucan_dask.report.wording import clipped, shortened

__all__ = ["Lanes", "described"]

_BAND = "#f5f6f8"
_FILL = 0.82  # the part of a category's band that its lanes take
_PIXELS = {1: 24, 2: 32}  # height of a category by its number of lanes; 12 px each beyond


@dataclass(frozen=True)
class Lanes:
    """Where each (category, series) stands: category i is centred at -i, so the first is on top.

    Parameters
    ----------
    categories
        From top to bottom.
    series
        From top to bottom inside a category.
    """

    categories: tuple[str, ...]
    series: tuple[str, ...]

    @property
    def thickness(self) -> float:
        """The height of a lane in units of the axis."""
        return _FILL / max(len(self.series), 1)

    @property
    def height(self) -> int:
        """The height of all categories in px."""
        each = _PIXELS.get(len(self.series), 12 * len(self.series) + 8)
        return each * len(self.categories)

    @property
    def range(self) -> Range1d:
        """The range of the axis."""
        return Range1d(-len(self.categories) + 0.5, 0.5)

    def at(self, categories: Sequence[object], series: str) -> Number:
        """The position of one series in each of `categories` (rows)."""
        place = {name: -i for i, name in enumerate(self.categories)}
        offset = (len(self.series) - 1) / 2 - self.series.index(series)
        return np.array([place[str(c)] + offset * self.thickness for c in categories], dtype=float)

    def mark(self, plot: figure, *, length: int = 34) -> None:
        """Label the categories on the y axis of `plot` and tint every second one."""
        plot.yaxis.ticker = FixedTicker(ticks=[-i for i in range(len(self.categories))])
        plot.yaxis.major_label_overrides = {
            -i: plain(clipped(name, length=length)) for i, name in enumerate(self.categories)
        }
        plot.yaxis.axis_line_color = plot.yaxis.major_tick_line_color = None
        plot.ygrid.grid_line_color = None
        self.tint(plot)

    def tint(self, plot: figure) -> None:
        """Tint every second category."""
        for i in range(0, len(self.categories), 2):
            style = {"fill_color": _BAND, "fill_alpha": 1, "line_color": None, "level": "image"}
            plot.add_layout(BoxAnnotation(bottom=-i - 0.5, top=-i + 0.5, **style))


def described(rows: Table) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Columns and tooltips that say what a row of the table holds; hidden cells are named so."""
    columns, tips = {}, []
    for i, name in enumerate(c for c in rows.columns if c not in ("suppressed", "reason")):
        hidden = rows.hidden(name) if name not in TAIL else np.zeros(len(rows), dtype=bool)
        cells = zip(rows.text(name), hidden, strict=True)
        columns[f"tip_{i}"] = [HIDDEN if gone else shortened(str(cell)) for cell, gone in cells]
        tips.append((name.replace("_", " "), f"@tip_{i}"))
    return columns, tips
