"""Value rules: pure functions, in one visible tuple, by which cells are shown or hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.case import Case
from eucan_dask.partial import Finding, Hidden, PartialSpec, Record
from eucan_dask.policy import Thresholds
from eucan_dask.structural import STRUCTURAL

__all__ = ["RULES", "blank", "coarse", "judge", "rule_names"]

Mask = NDArray[np.uint8]
UNKNOWN_LEVELS = ("missing", "other")


Rule = Callable[[Case, Record, Mapping[str, xr.DataArray]], xr.DataArray | None]


def blank(case: Case, record: Record) -> xr.DataArray:
    """A mask of a record that hides nothing."""
    sizes = {dim: case.arrays.sizes[dim] for dim in record.dims}
    return xr.DataArray(np.zeros(tuple(sizes.values()), np.uint8), dims=record.dims)


def _codes(where: xr.DataArray, code: Hidden) -> xr.DataArray:
    codes: xr.DataArray = xr.where(where, np.uint8(code), np.uint8(0)).astype(np.uint8)
    return codes


def min_individuals(
    case: Case, record: Record, masks: Mapping[str, xr.DataArray]
) -> xr.DataArray | None:
    """A cohort with too few people is left out, whatever its values."""
    if "cohorts" not in record.dims:
        return None
    few = xr.DataArray(case.cohort_n < case.thresholds.min_individuals, dims=("cohorts",))
    return _codes(few, Hidden.SUPPORT)


def needed_records(
    case: Case, record: Record, masks: Mapping[str, xr.DataArray]
) -> xr.DataArray | None:
    """A record falls with one it needs."""
    mask = None
    for name in record.needs:
        other = masks[name]
        support = _codes(other == Hidden.SUPPORT, Hidden.SUPPORT)
        code = xr.where(support > 0, support, _codes(other > 0, Hidden.WHOLE))
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
        code = _codes(_within_cell(few, record), Hidden.SUPPORT)
        if record.roster == "all" and spec.kind == "count":
            nobody = _within_cell(case.arrays[name] == 0, record)
            code = xr.where(nobody, np.uint8(Hidden.ABSENT), code)
        mask = code if mask is None else xr.where(mask > 0, mask, code)
    return mask


def min_carriers(
    case: Case, record: Record, masks: Mapping[str, xr.DataArray]
) -> xr.DataArray | None:
    """People with the alternate allele, and without, are enough; and among cases and controls.

    The code does not say which of them is not: the count of alleles would be narrowed. A site where
    fewer people are called than carriers and others must be can never show a variant: it is left
    out with all it counted, whatever the genotypes, and the other sites' answer stands.
    """
    limits = case.thresholds
    pairs = (
        (record.carriers, (limits.min_carriers, limits.min_non_carriers)),
        (record.cases, (limits.min_case_carriers, limits.min_control_carriers)),
    )
    mask = None
    for other in case.analysis.records:
        if other.carriers and other.carriers[0] in case.arrays:
            if other.name == record.name or record.name in other.needs:
                n_called = case.arrays[other.carriers[0]] + case.arrays[other.carriers[1]]
                never = n_called < limits.min_carriers + limits.min_non_carriers
                mask = _codes(never, Hidden.SUPPORT)
    for names, least in pairs:
        for name, limit in zip(names or (), least, strict=bool(names)):
            if name in case.arrays:  # evidence stays at the site: the pool has none
                code = _codes(case.arrays[name] < limit, Hidden.WHOLE)
                mask = code if mask is None else xr.where(mask > 0, mask, code)
    return mask


def one_mean(case: Case, record: Record, masks: Mapping[str, xr.DataArray]) -> xr.DataArray | None:
    """Missing dosages of few people are taken for one mean only, whichever sites are asked."""
    if case.moved is None or "variants" not in record.dims:
        return None
    return _codes(xr.DataArray(case.moved, dims=("variants",)), Hidden.WHOLE)


def min_cell(case: Case, record: Record, masks: Mapping[str, xr.DataArray]) -> xr.DataArray | None:
    """A count, and the rest of the people it is a part of, are zero or at least `min_cell`.

    So are cells that the record's numbers can be solved for.
    """
    mask = None
    if record.cells and record.cells[0] in case.arrays:  # evidence stays at the site
        fewest, *empty = (case.arrays[name] for name in record.cells)
        few = (fewest > 0) & (fewest < case.thresholds.min_cell)
        if case.thresholds.zeros_disclosive and case.thresholds.min_cell:
            few = few | sum((n > 0 for n in empty), start=xr.zeros_like(few))
        parts = any(case.spec(name).within for name in record.variables)
        mask = _codes(few, Hidden.WHOLE if parts else Hidden.SUPPORT)
    for name in record.variables:
        spec = case.spec(name)
        if spec.kind != "count" or not spec.within:
            continue
        value = case.arrays[name]
        code = _codes(_small(case, spec, value) & ~_unknown_zero(record, value), Hidden.LOW)
        if not record.grid:  # along a grid the rest is the people still at risk
            within = case.arrays[spec.within]
            rest = _codes(_small(case, spec, within - value), Hidden.HIGH)
            code = xr.where(code > 0, code, rest)
            # Of so few people a small count and a small rest are not far apart: do not say which.
            close = (within < 2 * case.thresholds.min_cell).broadcast_like(code)
            code = xr.where((code > 0) & close, np.uint8(Hidden.EITHER), code)
        if set(spec.dims) != set(record.dims):
            code = _codes(_within_cell(code > 0, record), Hidden.WHOLE)
        mask = code if mask is None else xr.where(mask > 0, mask, code)
    if record.grid and mask is not None:
        left = _codes(_few_left(case, record), Hidden.WHOLE)
        mask = xr.where(mask > 0, mask, left)
    return mask


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


def _within_cell(failing: xr.DataArray, record: Record) -> xr.DataArray:
    inner = [dim for dim in failing.dims if dim not in record.dims]
    return failing.any(inner) if inner else failing


def complement(
    case: Case, record: Record, masks: Mapping[str, xr.DataArray]
) -> xr.DataArray | None:
    """Hidden cells of one classification protect each other.

    They number at least two, and given their sum each can hold `min_cell` - 1 values or more. All
    carry one code: which of them is small would narrow the others.
    """
    if not record.partition:
        return None
    (name,) = record.variables
    own = masks[record.name]
    counts = case.arrays[name].transpose(..., record.partition)
    codes = own.transpose(..., record.partition).values.copy()
    labels = [str(v).split("|", 1)[0] for v in case.arrays[record.partition].values]
    groups = [np.array([x == g for x in labels]) for g in dict.fromkeys(labels)]
    flat_counts = counts.values.reshape(-1, len(labels))
    flat_codes = codes.reshape(-1, len(labels))
    for row_counts, row_codes in zip(flat_counts, flat_codes, strict=True):
        for group in groups:
            _complete(row_counts, row_codes, group, case.thresholds)
    dims = tuple(d for d in own.dims if d != record.partition) + (record.partition,)
    return xr.DataArray(codes, dims=dims).transpose(*own.dims)


def _complete(
    counts: NDArray[np.int64], codes: Mask, group: NDArray[np.bool_], limits: Thresholds
) -> None:
    """Hide the smallest shown cells of `group` until the hidden ones protect each other."""
    if not codes[group].any() or (codes[group] == Hidden.SUPPORT).all():
        return
    least = 0 if limits.zeros_disclosive else 1
    while True:
        hidden, shown = group & (codes > 0), np.flatnonzero(group & (codes == 0))
        codes[hidden] = Hidden.COMPLEMENT
        total, n = counts[hidden].sum(), hidden.sum()
        held, empty = shown[counts[shown] > 0], shown[counts[shown] == 0]
        enough = n >= 2 and total - least * n + 1 >= limits.min_cell - 1
        enough = enough and total >= limits.min_cell
        # Shown cells as large as all hidden ones together: which cell came along tells nothing.
        if held.size and not (enough and (counts[held] > total - least).all()):
            codes[held[np.argmin(counts[held])]] = Hidden.COMPLEMENT
        elif empty.size and (not enough or total < 2 * limits.min_cell):
            codes[empty] = Hidden.COMPLEMENT
        else:
            return


RULES: tuple[Rule, ...] = (
    min_individuals,
    needed_records,
    min_support,
    min_carriers,
    one_mean,
    min_cell,
    complement,
)


def rule_names() -> tuple[str, ...]:
    """Names of all rules, in the order they are applied."""
    return tuple(rule.__name__ for rule in (*STRUCTURAL, *RULES))


def judge(
    case: Case, records: Iterable[Record]
) -> tuple[dict[str, xr.DataArray], tuple[Finding, ...]]:
    """Masks of each record (uint8 codes of `Hidden`) and what each rule hid."""
    masks: dict[str, xr.DataArray] = {}
    findings: list[Finding] = []
    for record in records:
        mask = blank(case, record)
        for rule in RULES:
            masks[record.name] = mask
            codes = rule(case, record, masks)
            if codes is None:
                continue
            codes = codes.broadcast_like(mask).transpose(*mask.dims)
            n_new = int(((mask == 0) & (codes > 0)).sum())
            recoded = rule is complement
            mask = (codes if recoded else xr.where(mask > 0, mask, codes)).astype(np.uint8)
            if n_new:
                findings.append(_finding(rule.__name__, record, case, n_new))
        masks[record.name] = mask
    return masks, tuple(findings)


_MESSAGES = {
    "min_individuals": "cohorts with too few people here are left out",
    "needed_records": "falls with a denominator that is hidden",
    "min_support": "too few people were assayed or known",
    "min_carriers": "too few people with or without the allele",
    "one_mean": "answered with other sites, or another total, before",
    "min_cell": "small cells are hidden; widen classes, cohorts or the grid",
    "complement": "hidden so that no other cell can be computed",
}


def _finding(rule: str, record: Record, case: Case, n_hidden: int) -> Finding:
    individuals = rule in ("min_individuals", "min_support")
    limit = case.thresholds.min_individuals if individuals else case.thresholds.min_cell
    limit = case.thresholds.min_carriers if rule == "min_carriers" else limit
    return Finding(rule, record.name, float(limit), coarse(n_hidden), _MESSAGES[rule])


def coarse(n: int) -> int:
    """`n` rounded up to 0, 1, 2, 5, 10, 20, 50, ...: an exact number of hidden cells speaks."""
    steps: list[int] = [0] + [m * 10**e for e in range(19) for m in (1, 2, 5)]
    return next(step for step in steps if n <= step)
