"""What answers about variants say of one person: numbers a variant, over people, added up.

Whoever holds somebody's genome finds out, from m independent frequencies of n people, whether that
person is among them, with power Phi(sqrt(m / n) - z) at a false alarm rate of 1 - Phi(z). Other
numbers of a variant, such as its product with a trait, say as much again each.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis
from eucan_dask.panel import Panel

__all__ = ["charge", "shares"]

OUTER = ("variants", "cohorts")


def charge(analysis: Analysis, panel: Panel) -> float:
    """Numbers an answer tells about variants, all variants together; 0 where it tells none.

    A variant's allele frequency is one number. Its dosage and the square of it, or its genotypes
    by count, are two: who carries two copies is not told by the frequency. Of a variable with
    dimensions beside variants and cohorts each value is a number more. What stays at the site or
    with the gate counts nothing, nor do people called. All rounds of a question count once.

    Examples
    --------
    >>> from eucan_dask.analyses.allele_frequency import AlleleFrequency
    >>> charge(AlleleFrequency(), Panel(variants=("1:1000:A:G", "1:3000:C:T")))
    4.0
    """
    coords = analysis.coords(panel, ("all",))
    shown = [s for s in analysis.yields if s.kind in ("count", "sum") and "variants" in s.dims]
    if not shown:
        return 0.0
    alone, beside = 0, 0
    for spec in shown:
        inner = prod(len(coords[dim]) for dim in spec.dims if dim not in OUTER)
        if set(spec.dims) <= set(OUTER):
            alone += spec.kind == "sum"
        elif spec.kind == "sum":
            beside += inner
        else:
            beside += max(inner - 2, 0)  # parts of their people, and the alleles among them
    return float(len(coords["variants"]) * (max(alone, 1) + beside))


def shares(used: NDArray[np.bool_], charged: float) -> NDArray[np.float64]:
    """What an answer adds to each person's exposure (individuals,): its charge over the people.

    Parameters
    ----------
    used
        Who the answer rests on, (individuals, cohorts).
    charged
        Numbers told of each cohort.
    """
    n = np.maximum(used.sum(axis=0), 1)
    return np.asarray(used @ (charged / n))
