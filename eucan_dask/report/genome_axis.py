"""The horizontal axis of a genome scan: contigs side by side, each as long as what was asked."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from bokeh.models import FixedTicker, Range1d
from bokeh.plotting import figure
from numpy.typing import NDArray

from eucan_dask.report.look import plain
from eucan_dask.report.tables import Number, Text
from eucan_dask.variant import contig_order

__all__ = ["Extent", "GenomeAxis"]

_MB = 1e6
_LEAST = 0.004  # of the axis: the width of a contig with a single variant
_LABEL = 0.024  # of the axis: what the label of a contig needs


@dataclass
class Extent:
    """First and last position seen of each contig."""

    ends: dict[str, tuple[float, float]] = field(default_factory=dict)

    def widen(self, contigs: Text, positions: Number) -> None:
        """Take in the variants of a piece."""
        for contig in dict.fromkeys(contigs):
            here = positions[contigs == contig]
            here = here[np.isfinite(here)]
            if len(here):
                first, last = self.ends.get(str(contig), (np.inf, -np.inf))
                least, most = float(here.min()), float(here.max())
                self.ends[str(contig)] = (min(first, least), max(last, most))


class GenomeAxis:
    """Where each position stands, in Mb: contigs in the usual order, with a small gap between.

    Parameters
    ----------
    extent
        At least one contig.
    """

    def __init__(self, extent: Extent) -> None:
        self.contigs = tuple(sorted(extent.ends, key=contig_order))
        spans = [extent.ends[c] for c in self.contigs]
        length = sum(last - first for first, last in spans) / _MB or 1e-4
        self.first = {c: first for c, (first, _) in zip(self.contigs, spans, strict=True)}
        self.width = {
            c: max((last - first) / _MB, _LEAST * length)
            for c, (first, last) in zip(self.contigs, spans, strict=True)
        }
        self.start = {}
        gap, at = 0.002 * length, 0.0
        for contig in self.contigs:
            self.start[contig] = at
            at += self.width[contig] + gap
        self.length = at - gap
        if self.alone:  # positions themselves
            self.start = {c: first / _MB for c, first in self.first.items()}

    @property
    def alone(self) -> bool:
        """Whether there is a single contig."""
        return len(self.contigs) == 1

    @property
    def left(self) -> float:
        """The position of the first variant on the axis."""
        return self.start[self.contigs[0]]

    @property
    def range(self) -> Range1d:
        """The range of the axis."""
        margin = 0.008 * self.length
        return Range1d(self.left - margin, self.left + self.length + margin)

    def at(self, contigs: Text, positions: Number) -> tuple[Number, NDArray[np.intp]]:
        """The place of each variant on the axis, and the number of its contig."""
        x, number = np.full(len(positions), np.nan), np.zeros(len(positions), dtype=np.intp)
        for contig in dict.fromkeys(map(str, contigs)):
            here = np.asarray(contigs == contig)
            x[here] = self.start[contig] + (positions[here] - self.first[contig]) / _MB
            number[here] = self.contigs.index(contig)
        return x, number

    def mark(self, plot: figure) -> None:
        """Label the x axis of `plot`: the contigs, or the positions on a single one."""
        plot.xgrid.grid_line_color = None
        if self.alone:
            plot.xaxis.axis_label = plain(f"Position on chromosome {self.contigs[0]} (Mb)")
            return
        middles = {c: self.start[c] + self.width[c] / 2 for c in self.contigs}
        shown, end = {}, -np.inf
        for contig, middle in middles.items():
            need = _LABEL * self.length * max(1.0, len(contig) / 2.5)
            if middle - need / 2 >= end:
                shown[middle] = contig
                end = middle + need / 2
        plot.xaxis.ticker = FixedTicker(ticks=list(shown))
        plot.xaxis.major_label_overrides = {x: plain(name) for x, name in shown.items()}
        plot.xaxis.axis_label = plain("Chromosome")

    def described(self) -> str:
        """The contigs in words: "chromosome 22" or "23 chromosomes"."""
        if self.alone:
            return f"chromosome {self.contigs[0]}"
        return f"{len(self.contigs)} chromosomes"
