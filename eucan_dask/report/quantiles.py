"""Quantiles of very many p-values in bounded memory: the smallest exactly, the rest by bins."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from eucan_dask.report.tables import Number

__all__ = ["EXACT", "Quantiles"]

EXACT = 5_000  # the smallest p-values that are kept as they are
_BODY = 100_000  # bins of equal width in p, from 0 to 1
_TAIL = 1e-3  # below, bins have equal width in -log10 p
_FINE = 100  # of those bins, one for each 0.01
_DEEPEST = 324.0  # beyond the smallest float
_SMALLEST = float(np.nextafter(0.0, 1.0))

Ranks = NDArray[np.int64]


def _tail_bins() -> int:
    return int((_DEEPEST + np.log10(_TAIL)) * _FINE)


@dataclass
class Quantiles:
    """The distribution of p-values taken in piece by piece; up to `EXACT` of them, exactly."""

    n: int = 0
    parts: list[Number] = field(default_factory=list)
    n_kept: int = 0

    def __post_init__(self) -> None:
        self.body = np.zeros(_BODY, dtype=np.int64)
        self.tail = np.zeros(_tail_bins(), dtype=np.int64)

    def add(self, p: Number) -> None:
        """Take in p-values, none missing."""
        self.n += len(p)
        self.n_kept += len(p)
        self.parts.append(p)
        if self.n_kept > 4 * EXACT:
            self._trim()

    def _trim(self) -> None:
        p = np.sort(np.concatenate(self.parts))
        self.parts, rest = [p[:EXACT]], p[EXACT:]
        self.n_kept = len(self.parts[0])
        deep = rest[rest < _TAIL]
        y = -np.log10(np.maximum(deep, _SMALLEST)) + np.log10(_TAIL)
        place = np.clip((y * _FINE).astype(np.intp), 0, len(self.tail) - 1)
        np.add.at(self.tail, place, 1)
        place = np.minimum((rest[rest >= _TAIL] * _BODY).astype(np.intp), _BODY - 1)
        self.body += np.bincount(place, minlength=_BODY)

    def at(self, ranks: Ranks) -> Number:
        """The p-values of these ranks, from 1 (the smallest) to `n`."""
        if self.n_kept > EXACT:
            self._trim()
        kept = np.sort(np.concatenate([*self.parts, np.zeros(0)]))
        found = np.empty(len(ranks))
        exact = ranks <= len(kept)
        found[exact] = kept[ranks[exact] - 1]
        if not exact.all():
            found[~exact] = self._binned(ranks[~exact] - len(kept))
        return found

    def _binned(self, ranks: Ranks) -> Number:
        """The p-values of ranks among those in bins, each spread evenly over its bin."""
        counts = np.concatenate([self.tail[::-1], self.body])
        ends = counts.cumsum()
        place = np.searchsorted(ends, ranks, side="left")
        part = (ranks - 0.5 - (ends[place] - counts[place])) / counts[place]
        deep = place < len(self.tail)
        depth = len(self.tail) - place - part  # in bins below the tail's start
        p = np.empty(len(ranks))
        p[deep] = _TAIL * 10 ** (-depth[deep] / _FINE)
        p[~deep] = (place[~deep] - len(self.tail) + part[~deep]) / _BODY
        return p

    def inflation(self) -> float:
        """Genomic inflation: the median of chi-square with one degree of freedom, by 0.4549."""
        if not self.n:
            return float("nan")
        middle = np.array([(self.n + 1) // 2, self.n // 2 + 1], dtype=np.int64)
        return float(chi2.isf(self.at(middle), 1).mean() / chi2.ppf(0.5, 1))
