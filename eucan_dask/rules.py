"""Value rules: pure functions, in visible tuples, by which cells are shown or hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import xarray as xr

from eucan_dask.bounds import bounds
from eucan_dask.case import Case, coded, within_cell
from eucan_dask.complement import complement
from eucan_dask.insider import half, insider
from eucan_dask.partial import Cells, Finding, Hidden, PartialSpec, Record
from eucan_dask.policy import Thresholds
from eucan_dask.structural import STRUCTURAL

__all__ = [
    "ON_POOL",
    "RULES",
    "TRUSTED",
    "at_site",
    "blank",
    "coarse",
    "fewest",
    "judge",
    "rule_names",
]

UNKNOWN_LEVELS = ("missing", "other")
FEWEST = 3  # people of a cohort whose sums a processor may see that is not the analyst


Rule = Callable[[Case, Record, Mapping[str, xr.DataArray]], xr.DataArray | None]


def blank(case: Case, record: Record) -> xr.DataArray:
    """A mask of a record that hides nothing."""
    sizes = {dim: case.arrays.sizes[dim] for dim in record.dims}
    return xr.DataArray(np.zeros(tuple(sizes.values()), np.uint8), dims=record.dims)


def min_individuals(
    case: Case, record: Record, masks: Mapping[str, xr.DataArray]
) -> xr.DataArray | None:
    """A cohort with too few people is left out, whatever its values."""
    if "cohorts" not in record.dims:
        return None
    few = xr.DataArray(case.cohort_n < case.thresholds.min_individuals, dims=("cohorts",))
    return coded(few, Hidden.SUPPORT)


def fewest(limits: Thresholds) -> int:
    """Least people of a cohort that a processor may sum."""
    return min(FEWEST, limits.min_individuals)


def few_people(
    case: Case, record: Record, masks: Mapping[str, xr.DataArray]
) -> xr.DataArray | None:
    """One or two people are left out of what a processor sums, whatever their values."""
    least, mask = fewest(case.thresholds), None
    if "cohorts" in record.dims:
        few = xr.DataArray(case.cohort_n < least, dims=("cohorts",))
        mask = coded(few, Hidden.SUPPORT)
    for name in record.variables:
        spec = case.spec(name)
        if spec.kind != "count" or spec.within or record.roster == "run":
            continue
        n = case.arrays[name]
        few = within_cell((n > 0) & (n < least), record)
        code = coded(few, Hidden.SUPPORT)
        mask = code if mask is None else xr.where(mask > 0, mask, code)
    return mask


def needed_records(
    case: Case, record: Record, masks: Mapping[str, xr.DataArray]
) -> xr.DataArray | None:
    """A record falls with one it needs."""
    mask = None
    for name in record.needs:
        other = masks[name]
        support = coded(other == Hidden.SUPPORT, Hidden.SUPPORT)
        code = xr.where(support > 0, support, coded(other > 0, Hidden.WHOLE))
        mask = code if mask is None else xr.where(mask > 0, mask, code)
    return mask


def min_support(
    case: Case, record: Record, masks: Mapping[str, xr.DataArray]
) -> xr.DataArray | None:
    """A denominator, or the people behind a sum, number at least `min_individuals`."""
    mask = None
    for name in record.variables:
        spec = case.spec(name)
        if spec.kind == "count" and not spec.within:
            few = case.arrays[name] < case.thresholds.min_individuals
        elif spec.kind == "sum" and spec.within:
            few = case.arrays[spec.within] < case.thresholds.min_individuals
        else:
            continue
        code = coded(within_cell(few, record), Hidden.SUPPORT)
        if record.roster == "all" and spec.kind == "count":  # after `min_carriers`: public data
            nobody = within_cell(case.arrays[name] == 0, record)
            code = xr.where(nobody, np.uint8(Hidden.ABSENT), code)
        mask = code if mask is None else xr.where(mask > 0, mask, code)
    return mask


def min_carriers(
    case: Case, record: Record, masks: Mapping[str, xr.DataArray]
) -> xr.DataArray | None:
    """People with the alternate allele, and without, are enough; and among cases and controls.

    The code does not say which of them is not: the count of alleles would be narrowed. Nor whether
    the variant is held at all, as files list what somebody carries: this rule comes before those
    that count people called. A site where fewer people could be called than carriers and others
    must be can never show a variant: it is left out with all it counted, whatever the genotypes,
    and the other sites' answer stands.
    """
    limits, mask = case.thresholds, None
    if record.expected:
        least = limits.min_carriers + limits.min_non_carriers
        mask = coded(case.arrays[record.expected] < least, Hidden.SUPPORT)
    for cells, limit in (*_carriers(case, record), *_case_carriers(case, record)):
        if cells.name in case.arrays:  # at the site, and where the pool is judged by supports
            few = (case.arrays[cells.name] < limit) & case.are_cells(cells)
            code = coded(within_cell(few, record), Hidden.WHOLE)
            mask = code if mask is None else xr.where(mask > 0, mask, code)
    return mask


def _carriers(case: Case, record: Record) -> Iterable[tuple[Cells, int]]:
    limits = (case.thresholds.min_carriers, case.thresholds.min_non_carriers)
    names = record.carriers or ()
    return zip(map(Cells, names), limits, strict=False)


def _case_carriers(case: Case, record: Record) -> Iterable[tuple[Cells, int]]:
    limits = (case.thresholds.min_case_carriers, case.thresholds.min_control_carriers)
    return zip(record.cases or (), limits, strict=False)


def one_mean(case: Case, record: Record, masks: Mapping[str, xr.DataArray]) -> xr.DataArray | None:
    """Missing dosages of few people are taken for one mean only, whichever sites are asked."""
    if case.moved is None or "variants" not in record.dims:
        return None
    return coded(xr.DataArray(case.moved, dims=("variants",)), Hidden.WHOLE)


def min_cell(case: Case, record: Record, masks: Mapping[str, xr.DataArray]) -> xr.DataArray | None:
    """A count, and the rest of the people it is a part of, are zero or at least `min_cell`.

    So are cells that the record's numbers can be solved for.
    """
    mask = None
    parts = any(case.spec(name).within for name in record.variables)
    for cells in record.cells:
        if cells.name in case.arrays:  # at the site, and where the pool is judged by supports
            few = within_cell(_few(case, cells), record)
            code = coded(few, Hidden.WHOLE if parts else Hidden.SUPPORT)
            mask = code if mask is None else xr.where(mask > 0, mask, code)
    for name in record.variables:
        spec = case.spec(name)
        if spec.kind != "count" or not spec.within:
            continue
        value = case.arrays[name]
        code = coded(_small(case, spec, value) & ~_unknown_zero(record, value), Hidden.LOW)
        if not record.grid:  # along a grid the rest is the people still at risk
            within = case.arrays[spec.within]
            rest = coded(_small(case, spec, within - value), Hidden.HIGH)
            code = xr.where(code > 0, code, rest)
            # Of so few people a small count and a small rest are not far apart: do not say which.
            close = (within < 2 * case.thresholds.min_cell).broadcast_like(code)
            code = xr.where((code > 0) & close, np.uint8(Hidden.EITHER), code)
        if set(spec.dims) != set(record.dims):
            code = coded(within_cell(code > 0, record), Hidden.WHOLE)
        mask = code if mask is None else xr.where(mask > 0, mask, code)
    if record.grid and mask is not None:
        left = coded(_few_left(case, record), Hidden.WHOLE)
        mask = xr.where(mask > 0, mask, left)
    return mask


def _few(case: Case, cells: Cells) -> xr.DataArray:
    """Cells of a support that hold some people, but few; or nobody, where that is hidden."""
    value = case.arrays[cells.name]
    few = value < case.thresholds.min_cell
    hide_zero = cells.zeros and case.thresholds.zeros_disclosive
    return (few if hide_zero else few & (value > 0)) & case.are_cells(cells)


def _few_left(case: Case, record: Record) -> xr.DataArray:
    """Where the people of a cohort less every flow along the grid are some, but few."""
    spec = case.spec(record.variables[0])
    left = case.arrays[spec.within]
    for name in record.variables:
        left = left - case.arrays[name].sum(record.grid)
    return (left > 0) & (left < case.thresholds.min_cell)


def _small(case: Case, spec: PartialSpec, value: xr.DataArray) -> xr.DataArray:
    few = value < case.thresholds.min_cell
    hide_zero = case.thresholds.zeros_disclosive and spec.zeros == "policy"
    return few if hide_zero else few & (value > 0)


def _unknown_zero(record: Record, value: xr.DataArray) -> xr.DataArray:
    """Zeros of "missing" and "other": that everything is known says nothing of anybody."""
    if not record.partition:
        return xr.zeros_like(value, dtype=bool)
    labels = value[record.partition].values
    rest = [str(label).split("|", 1)[-1] in UNKNOWN_LEVELS for label in labels]
    return (value == 0) & xr.DataArray(rest, dims=(record.partition,))


# Where the analyst sees a site's sums: the site's own cells are judged.
RULES: tuple[Rule, ...] = (
    min_individuals,
    needed_records,
    min_carriers,
    min_support,
    one_mean,
    min_cell,
    complement,
    bounds,
)
# Where a processor that is not the analyst does: no cell is hidden for its value.
TRUSTED: tuple[Rule, ...] = (few_people, needed_records, one_mean)
# Where nobody does: the site answers whole, by the structural rules.
MASKED: tuple[Rule, ...] = ()
# On the pool, which the analyst sees, under every aggregator.
ON_POOL: tuple[Rule, ...] = (
    needed_records,
    min_carriers,
    min_support,
    min_cell,
    insider,
    complement,
    bounds,
)
RECODING: tuple[Rule, ...] = (insider, complement, bounds)  # they change codes given before


def at_site(aggregator: str) -> tuple[Rule, ...]:
    """The value rules of a site."""
    return {"none": RULES, "trusted": TRUSTED, "masked": MASKED}[aggregator]


def rule_names() -> tuple[str, ...]:
    """Names of all rules, in the order they are applied: at the site, then on the pool."""
    every = (*STRUCTURAL, *RULES, *TRUSTED, *MASKED, *ON_POOL)
    return tuple(dict.fromkeys(rule.__name__ for rule in every))


def judge(
    case: Case, records: Iterable[Record], rules: Iterable[Rule] | None = None
) -> tuple[dict[str, xr.DataArray], tuple[Finding, ...]]:
    """Masks of each record (uint8 codes of `Hidden`) and what each rule hid.

    Parameters
    ----------
    rules
        Those of the site under the case's aggregator if left out.
    """
    chosen = tuple(at_site(case.aggregator) if rules is None else rules)
    masks: dict[str, xr.DataArray] = {}
    findings: list[Finding] = []
    for record in records:
        mask = blank(case, record)
        for rule in chosen:
            masks[record.name] = mask
            codes = rule(case, record, masks)
            if codes is None:
                continue
            codes = codes.broadcast_like(mask).transpose(*mask.dims)
            n_new = int(((mask == 0) & (codes > 0)).sum())
            recoded = rule in RECODING
            mask = (codes if recoded else xr.where(mask > 0, mask, codes)).astype(np.uint8)
            if n_new:
                findings.append(_finding(rule.__name__, record, case, n_new))
        masks[record.name] = mask
    return masks, tuple(findings)


_MESSAGES = {
    "min_individuals": "cohorts with too few people here are left out",
    "few_people": "cohorts with too few people here are left out",
    "needed_records": "falls with a denominator that is hidden",
    "min_support": "too few people were assayed or known",
    "min_carriers": "too few people with or without the allele",
    "one_mean": "answered with other sites, or another total, before",
    "min_cell": "small cells are hidden; widen classes, cohorts or the grid",
    "insider": "nearly all of it is one site's",
    "complement": "hidden so that no other cell can be computed",
    "bounds": "cohorts or classes that lie in one another would narrow what is hidden",
}


def _finding(rule: str, record: Record, case: Case, n_hidden: int) -> Finding:
    limits = case.thresholds
    limit = {
        "min_individuals": limits.min_individuals,
        "min_support": limits.min_individuals,
        "few_people": fewest(limits),
        "min_carriers": limits.min_carriers,
        "insider": half(limits.min_cell),
    }.get(rule, limits.min_cell)
    return Finding(rule, record.name, float(limit), coarse(n_hidden), _MESSAGES[rule])


def coarse(n: int) -> int:
    """`n` rounded up to 0, 1, 2, 5, 10, 20, 50, ...: an exact number of hidden cells speaks."""
    steps: list[int] = [0] + [m * 10**e for e in range(19) for m in (1, 2, 5)]
    return next(step for step in steps if n <= step)
