"""Quantile-quantile plots of p-values against those that chance alone would give."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from bokeh.models import ColumnDataSource, Range1d
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure
from scipy.stats import beta

from eucan_dask.report.long_table import AnyTable
from eucan_dask.report.look import MUTED, Context, Drawing, blank, hover, legend, plain
from eucan_dask.report.quantiles import Quantiles, Ranks
from eucan_dask.report.run_directory import View
from eucan_dask.report.tables import Number, Table
from eucan_dask.report.tally import LEAST, Tally, probabilities
from eucan_dask.report.wording import clipped, plural

__all__ = ["qq"]

_MOST = 14  # series in one figure
_EACH = 1_500  # the smallest p-values drawn one by one
_BETWEEN = 300  # quantiles that stand for the others
_LOG = "\N{MINUS SIGN}log\u2081\u2080 p"


@dataclass
class _Series:
    """One level of `by`: its quantiles and what is not among them."""

    p: Quantiles = field(default_factory=Quantiles)
    tally: Tally = field(default_factory=Tally)

    def add(self, rows: Table, p: Number, column: str) -> None:
        """Take in rows with the p-values of `column`."""
        self.p.add(p[np.isfinite(p)])
        self.tally.add(rows, p, column)

    def ranks(self) -> Ranks:
        """Which of the sorted p-values are drawn: all of the tail, and a few hundred more."""
        n = self.p.n
        each = np.arange(1, min(n, _EACH) + 1)
        between = np.geomspace(1, n, _BETWEEN).round()
        ranks: Ranks = np.unique(np.concatenate([each, between]).astype(np.int64))
        return ranks


def qq(view: View, table: AnyTable, context: Context) -> list[Drawing]:
    """Draw the sorted -log10 of y against its expectation, a series for each level of `by`.

    The grey band holds 95 % of each quantile where there is no association at all. Unless option
    "inflation" is false, the caption says genomic inflation: the median of chi-square with one
    degree of freedom, divided by 0.4549.

    Raises
    ------
    Invalid
        If a column is missing or holds no numbers, or y holds a number that is no probability.
    """
    series = _read(view, table)
    known = {name: one for name, one in list(series.items())[:_MOST] if one.p.n}
    notes = _notes(series, said=view.option("inflation") is not False)
    if len(series) > _MOST:
        notes.append(f"The first {_MOST} of {len(series)} are drawn.")
    if not known:
        return [Drawing(notes=("There is no p-value to draw.", *notes))]
    largest = max(known.values(), key=lambda one: one.p.n)
    points = {name: _points(one) for name, one in known.items()}
    highest = max(float(y[y < np.inf].max(initial=0)) for _, y, _ in points.values())
    plot = _plot(largest, highest)
    top = 0.985 * plot.y_range.end  # where vanishing p-values stand
    items = []
    for place, (name, (x, y, p)) in enumerate(points.items()):
        drawn = _draw(plot, name, x, np.minimum(y, top), p)
        drawn[0].glyph.update(fill_color=context.colour(name, place), line_color=None)
        items.append((name, drawn))
    if view.by and len(items) > 1:
        legend(plot, items)
    sizes = plural(largest.p.n, "p-value")
    notes.append(f"Band: 95 % of the quantiles of {sizes} that are uniform and independent.")
    alt = f"Quantile-quantile plot of {sizes}. {' '.join(notes)}"
    return [Drawing(plot=plot, notes=tuple(notes), alt=alt)]


def _read(view: View, table: AnyTable) -> dict[str, _Series]:
    y = view.column("y")
    columns = [y, "reason", *([view.by] if view.by else [])]
    series = dict[str, _Series]()
    for piece in table.pieces(columns):
        for name, rows in piece.groups(view.by):
            series.setdefault(name, _Series()).add(rows, probabilities(rows, y, view.where), y)
    return series


def _points(one: _Series) -> tuple[Number, Number, Number]:
    """Expected and observed -log10 p, infinite below `LEAST`, and p itself."""
    ranks = one.ranks()
    p = one.p.at(ranks)
    with np.errstate(divide="ignore"):
        y = np.where(p < LEAST, np.inf, -np.log10(p))
    return -np.log10((ranks - 0.5) / one.p.n), y, p


def _plot(largest: _Series, highest: float) -> figure:
    """The empty plot with the band and the line of what is expected."""
    n, ranks = largest.p.n, largest.ranks()
    expected = -np.log10((ranks - 0.5) / n)
    right = float(expected.max()) * 1.04
    plot = blank(
        height=400,
        x_range=Range1d(0, right),
        y_range=Range1d(0, 1.08 * max(highest, right) + 0.25),
        output_backend="canvas",
        max_width=560,
    )
    plot.xaxis.axis_label = plain(f"Expected {_LOG}")
    plot.yaxis.axis_label = plain(f"Observed {_LOG}")
    low, high = (-np.log10(beta.ppf(q, ranks, n - ranks + 1)) for q in (0.975, 0.025))
    plot.varea(
        x="x",
        y1="low",
        y2="high",
        source=ColumnDataSource({"x": expected, "low": low, "high": high}),
        fill_color=MUTED,
        fill_alpha=0.2,
        name="band",
    )
    plot.line([0, right], [0, right], line_color=MUTED, line_dash="dashed")
    return plot


def _draw(plot: figure, name: str, x: Number, y: Number, p: Number) -> list[GlyphRenderer]:
    source = ColumnDataSource({"x": x, "y": y, "p": p})
    drawn = plot.scatter("x", "y", size=4, source=source, name=f"qq:{name}")
    tips = [("p", "@p{0.00e+0}"), ("expected", "@x{0.00}"), ("observed", "@y{0.00}")]
    hover(plot, [drawn], tips)
    return [drawn]


def _notes(series: dict[str, _Series], *, said: bool) -> list[str]:
    notes = []
    for name, one in list(series.items())[:_MOST]:
        words = " ".join([_counted(one, said=said), *one.tally.said()])
        notes.append(f"{clipped(name, length=60)}: {words}" if name else words)
    return notes


def _counted(one: _Series, *, said: bool) -> str:
    count = plural(one.p.n, "p-value")
    if not said or not one.p.n:
        return f"{count}."
    return (
        f"genomic inflation \u03bb = {one.p.inflation():.3f} "
        f"(median \u03c7\N{SUPERSCRIPT TWO} / 0.4549, {count})."
    )
