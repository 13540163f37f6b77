"""The exact test of Hardy-Weinberg proportions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["exact_p_value"]

Ints = NDArray[np.int64]
Float = NDArray[np.float64]

_CELLS = 1 << 21  # of the table of one batch
_TIE = 1e-8  # probabilities this close, relatively, are equal


def exact_p_value(hom_ref: Ints, het: Ints, hom_alt: Ints) -> Float:
    """Two-sided exact p-values (V,) from genotype counts (V,); NaN where nobody is counted.

    The sum of the probabilities of all numbers of heterozygotes that are no more probable than
    the observed one, given the allele counts.

    References
    ----------
    Wigginton, Cutler & Abecasis, Am J Hum Genet 2005;76:887.

    Examples
    --------
    >>> p = exact_p_value(np.array([1]), np.array([2]), np.array([1]))
    >>> float(p[0].round(12))
    1.0
    """
    n = hom_ref + het + hom_alt
    rare = 2 * np.minimum(hom_ref, hom_alt) + het
    out = np.full(n.shape, np.nan)
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n.max(initial=0) * 2 + 2)))])
    order = np.argsort(rare, kind="stable")
    order = order[n[order] > 0]
    start = 0
    while start < order.size:
        # Rows in order of the rare allele's count, so that a batch wastes little of its table.
        stop = start + 1
        while stop < order.size and (stop - start) * (rare[order[stop]] // 2 + 1) < _CELLS:
            stop += 1
        rows = order[start:stop]
        out[rows] = _batch(n[rows], rare[rows], het[rows], factorial)
        start = stop
    return out


def _batch(n: Ints, rare: Ints, het: Ints, factorial: Float) -> Float:
    pairs = np.arange(rare.max() // 2 + 1)[np.newaxis, :]  # homozygotes of the rare allele
    possible = pairs <= (rare // 2)[:, np.newaxis]
    both = np.where(possible, pairs, 0)
    single = rare[:, np.newaxis] - 2 * both
    rest = n[:, np.newaxis] - both - single
    log = single * np.log(2.0) - factorial[both] - factorial[single] - factorial[rest]
    log = np.where(possible, log, -np.inf)
    observed = np.take_along_axis(log, ((rare - het) // 2)[:, np.newaxis], axis=1)
    highest = log.max(axis=1, keepdims=True)
    whole = np.exp(log - highest).sum(axis=1)
    tail = np.exp(np.where(log <= observed + _TIE, log - observed, -np.inf)).sum(axis=1)
    p = np.exp(np.log(tail) + (observed - highest)[:, 0] - np.log(whole))
    return np.asarray(np.minimum(p, 1.0))
