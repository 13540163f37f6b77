"""Manhattan plots: -log10 p along the genome, one figure for each trait."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Range1d
from bokeh.models.annotations import Label, Span
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure
from numpy.typing import NDArray

from eucan_dask.errors import Invalid
from eucan_dask.report.genome_axis import Extent, GenomeAxis
from eucan_dask.report.lanes import described
from eucan_dask.report.long_table import AnyTable
from eucan_dask.report.look import MUTED, Context, Drawing, blank, hover, plain
from eucan_dask.report.run_directory import View
from eucan_dask.report.tables import Mask, Table
from eucan_dask.report.tally import GENOME_WIDE, LEAST, Tally, probabilities
from eucan_dask.report.thinning import Thinned
from eucan_dask.report.wording import plural

__all__ = ["manhattan"]

_SINGLE = 1e-3  # a smaller p is a point of its own
_POINTS, _LEAST_POINTS = 6_000, 600  # points of all figures of a view, and of each at least
_COLUMNS = 48_000  # likewise of the grids' columns: 120 to 480 a figure
_MOST = 24  # figures
_COLOURS = ("#0072B2", "#7A8794")  # of every other contig
_WORDS = ("beta", "se", "frequency", "n", "n_sites")  # columns that a tooltip tells, if there


def manhattan(view: View, table: AnyTable, context: Context) -> list[Drawing]:  # noqa: ARG001
    """Draw -log10 of y at the position x of each variant, a figure for each level of `by`.

    The smallest p-values are points with tooltips; the rest are boxes that hold the count of
    variants on a fine grid. Option "contig" names the column of contigs, "label" that of names.

    Raises
    ------
    Invalid
        If a column is missing or holds no numbers, or y holds a number that is no probability.
    """
    tallies, axis = _survey(view, table)
    drawn = {name: tally for name, tally in list(tallies.items())[:_MOST] if tally.n}
    scans = _thin(view, table, drawn, axis) if axis else {}
    drawings = []
    for name, tally in list(tallies.items())[:_MOST]:
        if axis and name in scans:
            drawings.append(_drawing(view, name, tally, axis, scans[name]))
        else:
            notes = ("There is no p-value to draw.", *tally.said())
            drawings.append(Drawing(title=name, notes=notes))
    if len(tallies) > _MOST:
        more = f"The first {_MOST} of {len(tallies)} are drawn; all are in {table.path.name}."
        drawings.append(Drawing(notes=(more,)))
    return drawings or [Drawing(notes=("The table has no rows.",))]


def _survey(view: View, table: AnyTable) -> tuple[dict[str, Tally], GenomeAxis | None]:
    """First reading: what there is of each trait, and the axis."""
    extent, tallies = Extent(), dict[str, Tally]()
    y = view.column("y")
    for piece in table.pieces([*_columns(view), "reason"]):
        places = piece.number(view.column("x"))
        if not np.isfinite(places).all():
            raise Invalid("a variant has no position", where=view.where, found=view.x)
        extent.widen(piece.text(view.option("contig")), places)
        for name, rows in piece.groups(view.by):
            p = probabilities(rows, y, view.where)
            tallies.setdefault(name, Tally()).add(rows, p, y, _names(view, rows))
    return tallies, GenomeAxis(extent) if extent.ends else None


def _columns(view: View) -> list[str]:
    names = [view.column("x"), view.column("y"), view.option("contig"), view.option("label")]
    return [name for name in [*names, view.by] if name]


def _names(view: View, rows: Table) -> Sequence[str]:
    if view.option("label"):
        return list(rows.text(view.option("label")))
    places = zip(rows.text(view.option("contig")), rows.text(view.column("x")), strict=True)
    return [f"{contig}:{position}" for contig, position in places]


def _thin(
    view: View, table: AnyTable, tallies: dict[str, Tally], axis: GenomeAxis
) -> dict[str, Thinned]:
    """Second reading: the points and grids of the traits in `tallies`."""
    share = max(len(tallies), 1)
    most = max(_POINTS // share, _LEAST_POINTS)
    columns = int(np.clip(_COLUMNS // share, 120, 480))
    scans = {
        name: Thinned(most, axis.left, axis.length, _top(tally), columns)
        for name, tally in tallies.items()
    }
    known = table.head.columns
    wanted = [*_columns(view), *(c for c in _WORDS if c in known)]
    for piece in table.pieces(wanted):
        for name, rows in piece.groups(view.by):
            if name not in scans:
                continue
            p = rows.number(view.column("y"))
            told = rows.rows(np.isfinite(p))
            p = p[np.isfinite(p)]
            x, contig = axis.at(told.text(view.option("contig")), told.number(view.column("x")))
            y = -np.log10(np.maximum(p, LEAST))
            y[p < LEAST] = _top(tallies[name])
            n = tallies[name].n  # where few p-values are small, others use the points left
            single = p < (np.inf if n <= most else max(_SINGLE, 0.7 * most / n))
            kept = Table(told.path, {c: told.cells[c] for c in (*wanted, "suppressed")})
            scans[name].add(kept, x, y, contig, np.asarray(single))
    return scans


def _top(tally: Tally) -> float:
    """The height at which p below `LEAST` is drawn, and where the grid ends."""
    return 1.06 * max(tally.height, 8.0)


def _drawing(view: View, name: str, tally: Tally, axis: GenomeAxis, scan: Thinned) -> Drawing:
    plot = blank(
        height=340,
        x_range=axis.range,
        y_range=Range1d(0, 1.04 * _top(tally)),
        output_backend="canvas",  # thousands of marks: as drawing elements they would be slow
        min_border_right=16,
    )
    axis.mark(plot)
    plot.yaxis.axis_label = plain("\N{MINUS SIGN}log\u2081\u2080 p")
    line = -math.log10(GENOME_WIDE)
    plot.add_layout(Span(location=line, dimension="width", line_color=MUTED, line_dash="dashed"))
    words = Label(
        x=6,
        y=line,
        x_units="screen",
        y_offset=2,
        text="p = 5 \N{MULTIPLICATION SIGN} 10\u207b\u2078",
    )
    words.text_color = MUTED
    plot.add_layout(words)
    for colour in (0, 1):
        _boxes(plot, scan, colour)
    _points(plot, view, scan)
    what = f"{plural(tally.n, 'variant')} on {axis.described()}"
    alt = f"Manhattan plot of {what}: {tally.found()}"
    return Drawing(title=name, plot=plot, notes=_notes(tally, scan), alt=alt)


def _boxes(plot: figure, scan: Thinned, colour: int) -> None:
    boxes = scan.boxes(colour)
    if not len(boxes.count):
        return
    data = {
        "left": boxes.left.astype(np.float32),
        "right": boxes.right.astype(np.float32),
        "bottom": boxes.bottom.astype(np.float32),
        "top": boxes.top.astype(np.float32),
        "n": boxes.count.astype(np.int32),
    }
    drawn = plot.quad(
        left="left",
        right="right",
        bottom="bottom",
        top="top",
        source=ColumnDataSource(data),
        fill_color=_COLOURS[colour],
        line_color=None,
        name=f"boxes:{colour}",
    )
    hover(
        plot,
        [drawn],
        [("variants", "@n"), ("\u2212log\u2081\u2080 p", "@bottom{0.00} to @top{0.00}")],
    )


def _points(plot: figure, view: View, scan: Thinned) -> None:
    kept = scan.points()
    if kept is None:
        return
    rows, x, y, contig = kept
    columns, tips = described(rows)
    data = {name: np.array(texts, dtype=object) for name, texts in columns.items()}
    zero = np.asarray(rows.number(view.column("y")) < LEAST)
    drawn: list[GlyphRenderer] = []
    for name, marker, where in (
        ("points:0", "circle", ~zero & (contig % 2 == 0)),
        ("points:1", "circle", ~zero & (contig % 2 == 1)),
        ("zero:0", "triangle", zero & (contig % 2 == 0)),
        ("zero:1", "triangle", zero & (contig % 2 == 1)),
    ):
        drawn += _marks(plot, name, marker, {**data, "x": x, "y": y}, where)
    hover(plot, drawn, tips)


def _marks(
    plot: figure, name: str, marker: str, data: Mapping[str, NDArray[Any]], where: Mask
) -> list[GlyphRenderer]:
    if not where.any():
        return []
    wide = data["y"][where] > -math.log10(GENOME_WIDE)
    source = ColumnDataSource(
        {
            **{key: cells[where] for key, cells in data.items()},
            "size": np.where(wide, 9 if marker == "triangle" else 6, 4).astype(np.uint8),
        }
    )
    colour = _COLOURS[int(name[-1])]
    return [
        plot.scatter("x", "y", size="size", marker=marker, source=source, color=colour, name=name)
    ]


def _notes(tally: Tally, scan: Thinned) -> tuple[str, ...]:
    words = [f"{plural(tally.n, 'variant')}; {tally.found()}"]
    if scan.cells.any():
        words.append(
            f"The {scan.n_kept:,} with the smallest p are points; the others are drawn as boxes "
            "that say how many variants they hold."
        )
    return (" ".join([*words, *tally.said()]),)
