"""Frequency spectra: how many variants lie in each bin of allele frequency, by cohort."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, NumeralTickFormatter, Range1d
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure
from numpy.typing import NDArray

from eucan_dask.errors import Invalid
from eucan_dask.report.long_table import AnyTable
from eucan_dask.report.look import HIDDEN, Context, Drawing, blank, hover, legend, plain
from eucan_dask.report.run_directory import View
from eucan_dask.report.tables import Number, Table
from eucan_dask.report.wording import clipped, plural

__all__ = ["spectrum"]

_MOST = 8  # series side by side
_RARE = (0.001, 0.005, 0.01, 0.05, 0.1)  # upper ends of the bins; of the rest, every 0.1
_LAST = float(np.nextafter(1.0, 0.0))
_DASH = "\N{EN DASH}"


@dataclass
class _Series:
    """One cohort: variants in each bin, and those in none."""

    bins: NDArray[np.int64]
    n_undefined: int = 0
    hidden: Counter[str] = field(default_factory=Counter)

    @property
    def n_hidden(self) -> int:
        return sum(self.hidden.values())


def spectrum(view: View, table: AnyTable, context: Context) -> list[Drawing]:
    """Count the variants in each bin of the frequency x, a series for each level of `by`.

    Bins are of the minor allele, or of the alternate one where option "folded" is false. Each
    holds its upper end; "0" are variants that nobody, or everybody, carries. Hidden frequencies
    are counted apart, with a hatch: which bin they belong to is not known.

    Raises
    ------
    Invalid
        If a column is missing or holds no numbers, or x lies outside 0 to 1.
    """
    folded = view.option("folded") is not False
    ends, labels = _ends(folded=folded)
    series = _read(view, table, ends, folded=folded)
    drawn = dict(list(series.items())[:_MOST])
    notes = [note for name, one in drawn.items() if (note := _note(name, one))]
    if len(series) > _MOST:
        notes.append(f"The first {_MOST} of {len(series)} are drawn; all are in {table.path.name}.")
    if not sum(int(one.bins.sum()) + one.n_hidden for one in drawn.values()):
        return [Drawing(notes=("There is no frequency to draw.", *notes))]
    if any(one.hidden for one in drawn.values()):
        labels = [*labels, HIDDEN]
    plot = _plot(labels, drawn, folded=folded)
    items = [
        (name, _bars(plot, place, len(drawn), one, labels, context.colour(name, place), name))
        for place, (name, one) in enumerate(drawn.items())
    ]
    if view.by:
        legend(plot, items)
    return [Drawing(plot=plot, notes=tuple(notes), alt=_alt(drawn, labels, folded=folded))]


def _ends(*, folded: bool) -> tuple[list[float], list[str]]:
    """Upper ends of all bins but the last, and the labels of all bins."""
    ends = [0.0, *_RARE, 0.2, 0.3, 0.4, 0.5]
    if not folded:
        ends += [0.6, 0.7, 0.8, 0.9, *(round(1 - f, 3) for f in reversed(_RARE[:-1])), _LAST]
    words = [f"{_percent(a)}{_DASH}{_percent(b)} %" for a, b in zip(ends, ends[1:], strict=False)]
    labels = ["0", f"\N{LESS-THAN OR EQUAL TO} {_percent(ends[1])} %", *words[1:]]
    if folded:
        return ends[:-1], labels
    return ends, [*labels, "100 %"]


def _percent(share: float) -> str:
    return f"{100 * share:.4g}"


def _read(view: View, table: AnyTable, ends: list[float], *, folded: bool) -> dict[str, _Series]:
    x = view.column("x")
    series = dict[str, _Series]()
    for piece in table.pieces([x, "reason", *([view.by] if view.by else [])]):
        for name, rows in piece.groups(view.by):
            one = series.setdefault(name, _Series(np.zeros(len(ends) + 1, dtype=np.int64)))
            _count(one, rows, x, _known(rows, x, view.where), ends, folded=folded)
    return series


def _known(rows: Table, column: str, where: str) -> Number:
    values = rows.number(column)
    if np.any((values < 0) | (values > 1)):
        raise Invalid(f"column {column!r} holds no frequencies", where=where, expected="0 to 1")
    known: Number = values[np.isfinite(values)]
    return known


def _count(
    one: _Series, rows: Table, column: str, values: Number, ends: list[float], *, folded: bool
) -> None:
    if folded:  # rounded: 1 - 0.999 is more than 0.001
        values = np.minimum(values, np.round(1 - values, 12))
    one.bins += np.bincount(np.searchsorted(ends, values), minlength=len(ends) + 1)
    one.n_undefined += int(rows.undefined(column).sum())
    one.hidden.update(map(str, rows.text("reason")[rows.hidden(column)]))


def _plot(labels: list[str], series: dict[str, _Series], *, folded: bool) -> figure:
    top = max(max(int(one.bins.max()), one.n_hidden) for one in series.values())
    plot = blank(
        height=300,
        x_range=Range1d(-0.5, len(labels) - 0.5),
        y_range=Range1d(0, 1.05 * top),
        min_border_right=16,
    )
    ticks = list(range(len(labels)))
    plot.xaxis.ticker = FixedTicker(ticks=ticks)
    plot.xaxis.major_label_overrides = {i: plain(labels[i]) for i in ticks}
    if len(labels) > 14:
        plot.xaxis.major_label_orientation = 0.9
    plot.xgrid.grid_line_color = None
    which = "minor" if folded else "alternate"
    plot.xaxis.axis_label = plain(f"Frequency of the {which} allele")
    plot.yaxis.axis_label = plain("Variants")
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    return plot


def _bars(
    plot: figure,
    place: int,
    n: int,
    one: _Series,
    labels: list[str],
    colour: str,
    name: str,
) -> list[GlyphRenderer]:
    counts = [*one.bins.tolist(), one.n_hidden][: len(labels)]
    total = max(sum(counts), 1)
    wide = 0.84 / n
    data = {
        "x": np.arange(len(labels)) - 0.42 + (place + 0.5) * wide,
        "count": np.array(counts),
        "bin": labels,
        "share": [f"{100 * count / total:.3g} %" for count in counts],
        "series": [clipped(name, length=60)] * len(labels),
        "fill": [0.1 if label == HIDDEN else 0.85 for label in labels],
        "hatch": ["/" if label == HIDDEN else " " for label in labels],
    }
    bars = plot.vbar(
        x="x",
        top="count",
        width=wide * 0.92,
        source=ColumnDataSource(data),
        color=colour,
        fill_alpha="fill",
        line_alpha=0.6,
        hatch_pattern="hatch",
        hatch_color=colour,
        hatch_alpha=0.6,
        hatch_scale=6,
        hatch_weight=1,
        name=f"spectrum:{name}",
    )
    tips = [("cohort", "@series"), ("frequency", "@bin"), ("variants", "@count{0,0}")]
    hover(plot, [bars], [*(tips if name else tips[1:]), ("share", "@share")])
    return [bars]


def _note(name: str, one: _Series) -> str:
    """What is not in the bins, in words; empty where nothing is."""
    words = []
    if one.hidden:
        reasons = "; ".join(reason for reason, _ in one.hidden.most_common(3) if reason)
        why = f" ({reasons})" if reasons else ""
        words.append(f"{plural(one.n_hidden, 'variant')} hidden{why}, counted apart")
    if one.n_undefined:
        words.append(f"{plural(one.n_undefined, 'variant')} without a frequency (NA)")
    if not words:
        return ""
    n = plural(int(one.bins.sum()), "variant")
    return f"{clipped(name, length=60) or 'All'}: {n} in the bins; {'; '.join(words)}."


def _alt(series: dict[str, _Series], labels: list[str], *, folded: bool) -> str:
    which = "minor" if folded else "alternate"
    said = []
    for name, one in series.items():
        counts = [*one.bins.tolist(), one.n_hidden]
        bins = ", ".join(f"{label}: {n:,}" for label, n in zip(labels, counts, strict=False))
        said.append(f"{name or 'All'}: {bins}.")
    return f"Variants by frequency of the {which} allele. {' '.join(said)}"
