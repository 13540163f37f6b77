"""What an answer says of one person: of each variant and gene, added up over everything told.

Whoever holds somebody's genome compares what is told with what it would be without that person.
A count tells most of those who are few in it: somebody who is one of c carriers moves it by c^-0.5
of its spread, so the evidence that the person is among the people, squared and added up over
independent numbers, is at most the sum of 1 / c; and its power Phi(sqrt(sum) - z) at a false alarm
rate of 1 - Phi(z): 0.10 at one false alarm in 100, where the sum is 1.09. So a variant costs what
it tells of its smallest group, never of the person who pays: a refusal says nothing of genotypes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis
from eucan_dask.panel import Panel
from eucan_dask.partial import PartialSpec, Record

__all__ = ["charges", "genes", "numbers"]

Floats = NDArray[np.float64]
Masks = Mapping[str, NDArray[np.uint8]]
OUTER = ("variants", "cohorts")
DIMS = ("variants", "genes")


def numbers(analysis: Analysis, panel: Panel) -> int:
    """Numbers an answer tells of each variant; 0 where it tells of none.

    A variant's allele frequency is one number. Its dosage and the square of it, or its genotypes
    by count, are two: who carries two copies is not told by the frequency. Of a variable with
    dimensions beside variants and cohorts each value is a number more. What stays at the site or
    with the gate counts nothing, nor do people called. All rounds of a question count once.

    Examples
    --------
    >>> from eucan_dask.analyses.allele_frequency import AlleleFrequency
    >>> numbers(AlleleFrequency(), Panel(variants=("1:1000:A:G", "1:3000:C:T")))
    2
    """
    coords = analysis.coords(panel, ("all",))
    shown = [s for s in analysis.yields if s.leaves and "variants" in s.dims]
    if not shown or not panel.variants:
        return 0
    alone, beside = 0, 0
    for spec in shown:
        inner = prod(len(coords[dim]) for dim in spec.dims if dim not in OUTER)
        if set(spec.dims) <= set(OUTER):
            alone += spec.kind == "sum"
        elif spec.kind == "sum":
            beside += inner
        else:
            beside += max(inner - 2, 0)  # parts of their people, and the alleles among them
    return max(alone, 1) + beside


def genes(analysis: Analysis, panel: Panel) -> int:
    """Counts of people by gene and class that an answer may tell of each cohort; 0 for none."""
    coords = analysis.coords(panel, ("all",))
    return sum(
        prod(len(coords[dim]) for dim in spec.dims if dim != "cohorts")
        for spec in analysis.yields
        if _of_genes(spec)
    )


def charges(
    analysis: Analysis,
    panel: Panel,
    partial: xr.Dataset,
    *,
    hidden: Masks | None,
    cohort_n: NDArray[np.int64],
    min_carriers: int,
) -> Floats:
    """What an answer costs each person of each cohort (cohorts,).

    Parameters
    ----------
    partial
        What the analysis computed at the site, supports included.
    hidden
        What the site hid, by record: only what it shows sets a price. None where a pool is judged
        instead: then all of it may be shown, and every gene asked for costs.
    cohort_n
        People in each cohort.
    min_carriers
        Groups of fewer people are never shown; a hidden variant costs as much as one of these.
    """
    total = np.zeros(cohort_n.size)
    if each := numbers(analysis, panel):
        floor = max(min_carriers, 1)
        cost = np.full((len(panel.variants), cohort_n.size), each / floor)
        told = np.zeros(cost.shape)
        for record in analysis.records:
            shown = _shown(record, partial, hidden)
            for group, weight in _groups(record, analysis, partial, each):
                price = np.where(shown, weight / np.maximum(group, floor), 0.0)
                told = np.maximum(told, np.broadcast_to(price, cost.shape))
        total += np.where(told > 0, told, cost).sum(axis=0)
    for record in analysis.records:
        for spec in (s for s in analysis.yields if s.name in record.variables and _of_genes(s)):
            total += _gene_costs(record, spec, partial, hidden)
    return total


def _groups(
    record: Record, analysis: Analysis, partial: xr.Dataset, each: int
) -> Iterator[tuple[NDArray[np.int64], float]]:
    """Fewest people (variants, cohorts) in a group that a record tells of, and its numbers.

    Carriers and others; where they are counted by allele, half the alleles, as a person may have
    two. Parts of the people, by genotype, tell the smallest part one number of each.
    """
    specs = [s for s in analysis.yields if s.name in record.variables and "variants" in s.dims]
    parts = [s for s in specs if s.kind == "count" and s.within]
    for spec in parts:
        value, whole = partial[spec.name], partial[spec.within]
        inner = [dim for dim in spec.dims if dim not in OUTER]
        if inner:
            some = value.where(value > 0, whole).min(inner)
            yield _by_cohort(some), 1.0
        else:
            yield (
                _by_cohort(xr.where(2 * value < whole, value, whole - value)) // spec.copies,
                float(each),
            )
    if record.carriers and not parts and any(s.kind == "sum" for s in specs):
        carriers, others = (partial[name] for name in record.carriers)
        yield _by_cohort(xr.where(carriers < others, carriers, others)), float(each)


def _by_cohort(values: xr.DataArray) -> NDArray[np.int64]:
    if "cohorts" not in values.dims:
        values = values.expand_dims("cohorts")
    return np.asarray(values.transpose(*OUTER).values)


def _shown(record: Record, partial: xr.Dataset, hidden: Masks | None) -> NDArray[np.bool_]:
    """Where (variants, cohorts) a record is shown; everywhere if its pool is judged."""
    if "variants" not in record.dims:
        return np.zeros((1, 1), dtype=bool)
    if hidden is None:
        return np.ones((1, 1), dtype=bool)
    return np.asarray(_by_cohort(xr.DataArray(hidden[record.name], dims=record.dims)) == 0)


def _of_genes(spec: PartialSpec) -> bool:
    return spec.kind == "count" and bool(spec.within) and "genes" in spec.dims


def _gene_costs(
    record: Record, spec: PartialSpec, partial: xr.Dataset, hidden: Masks | None
) -> Floats:
    """One number over the people assayed, for each count of a gene that is shown: (cohorts,)."""
    whole = np.maximum(partial[spec.within], 1)
    each = xr.zeros_like(partial[spec.name], dtype=np.float64) + 1 / whole
    if hidden is not None:
        each = each * (xr.DataArray(hidden[record.name], dims=record.dims) == 0)
    return np.asarray(each.sum([dim for dim in each.dims if dim != "cohorts"]).values)
