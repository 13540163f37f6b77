"""A finished answer: an xarray Dataset, and tidy tables that say what each row rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from eucan_dask.analysis import Analysis, Column, Table
from eucan_dask.errors import unknown
from eucan_dask.partial import Finding, Hidden

__all__ = ["Result", "SiteOutcome", "blank_hidden", "joined", "together"]

MANY_ROWS = 100_000


@dataclass(frozen=True)
class SiteOutcome:
    """How one site answered: facts about the run, never values.

    Parameters
    ----------
    status
        "answered", "refused", "invalid" or "unavailable".
    membership
        What the site says of whom the answer may leave out.
    bytes_in, bytes_out
        Bytes of all requests to the site and all releases from it.
    """

    site: str
    status: str
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    freeze: str = ""
    data_class: str = ""
    membership: str = ""
    n_tasks: int = 0
    seconds: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """The answer to one question.

    Parameters
    ----------
    dataset
        Finished variables, and for each record `<record>_n_sites` (sites a cell rests on),
        `<record>_n_hidden` (sites that hide it) and `<record>_pool_hidden` (codes of `Hidden`).
    outcomes
        One a site asked, in name order.
    n_rounds
        Rounds it took.
    """

    analysis: Analysis
    dataset: xr.Dataset
    outcomes: tuple[SiteOutcome, ...]
    run: str
    n_rounds: int
    seconds: float

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by name."""
        return {table.name: self.to_dataframe(table.name) for table in self.analysis.tables}

    def to_dataframe(self, table: str | None = None) -> pd.DataFrame:
        """A tidy table: one row a key, values, then n_sites, coverage, suppressed and reason.

        Suppressed values are missing and `suppressed` is true; undefined values are NaN with
        `suppressed` false. Coverage is the share of the sites asked that the row rests on.

        Raises
        ------
        Invalid
            If the analysis has no such table.
        """
        specs = {spec.name: spec for spec in self.analysis.tables}
        name = table or self.analysis.tables[0].name
        if name not in specs:
            raise unknown("table", name, specs, where=self.analysis.name)
        spec = specs[name]
        like = self._like(spec)
        rows: dict[str, Any] = {}
        for key in spec.keys:
            column, _, coord = key.partition("=")
            rows[column] = _flat(self.dataset[coord or f"{column}s"], like)
        for value in spec.columns:
            rows[value.name] = self._column(value, spec, like)
        record = spec.record
        n_sites = _flat(self.dataset[f"{record}_n_sites"], like)
        rows["n_sites"] = n_sites.astype(np.int64)
        rows["coverage"] = n_sites / max(len(self.outcomes), 1)
        rows["suppressed"] = self._hidden(record, like)
        rows["reason"] = self._reasons(record, like)
        return pd.DataFrame(rows)

    def _like(self, spec: Table) -> xr.DataArray:
        shape = tuple(self.dataset.sizes[dim] for dim in spec.dims)
        return xr.DataArray(np.zeros(shape), dims=spec.dims)

    def _column(self, column: Column, spec: Table, like: xr.DataArray) -> Any:
        values = _flat(self.dataset[column.variable or column.name], like)
        record = column.record or spec.record
        hidden = self._hidden(record, like)
        if column.interval:  # bounds stay unless nobody was there to be counted
            hidden = hidden & (_flat(self.dataset[f"{record}_n_sites"], like) == 0)
            hidden &= _flat(self.dataset[f"{record}_n_hidden"], like) == 0
        integers = self.dataset.attrs.get("integers", ())
        if values.dtype.kind in "iu" or (column.variable or column.name) in integers:
            whole = np.where(np.isnan(values) | hidden, 0, values).astype(np.int64)
            return pd.arrays.IntegerArray(whole, hidden)
        if values.dtype.kind == "f":
            return np.where(hidden, np.nan, values)
        return np.where(hidden, None, values)  # type: ignore[call-overload]

    def _pool(self, record: str, like: xr.DataArray) -> Any:
        return _flat(_pool_codes(self.dataset, record, like.dims), like)

    def _hidden(self, record: str, like: xr.DataArray) -> Any:
        shown = _flat(self.dataset[f"{record}_n_sites"], like) > 0
        some = _flat(self.dataset[f"{record}_n_hidden"], like) > 0
        return some | ~shown | (self._pool(record, like) > 0)

    def _reasons(self, record: str, like: xr.DataArray) -> list[str]:
        n_sites = _flat(self.dataset[f"{record}_n_sites"], like)
        n_hidden = _flat(self.dataset[f"{record}_n_hidden"], like)
        pool = self._pool(record, like)
        asked = len(self.outcomes)
        rows = list(zip(n_sites.tolist(), n_hidden.tolist(), pool.tolist(), strict=True))
        words = {row: _reason(*row, asked) for row in set(rows)}
        return [words[row] for row in rows]

    def __repr__(self) -> str:
        answered = sum(outcome.status == "answered" for outcome in self.outcomes)
        lines = [f"Result: {self.analysis.title}, {answered} of {len(self.outcomes)} sites"]
        for table in self.analysis.tables:
            n_rows = math.prod(self.dataset.sizes[dim] for dim in table.dims)
            told = f"  {table.name}: {n_rows:,} rows"
            if n_rows <= MANY_ROWS:
                told += f", {int(self.to_dataframe(table.name)['suppressed'].sum())} suppressed"
            lines.append(told)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<b>{self.analysis.title}</b>"]
        for table in self.analysis.tables:
            few = self.dataset.isel({dim: slice(20) for dim in table.dims})
            frame = replace(self, dataset=few).to_dataframe(table.name).head(20)
            parts.append(f"<p>{table.name}</p>{frame.to_html(index=False, na_rep='')}")
        return "".join(parts)


def together(outcomes: Sequence[SiteOutcome]) -> SiteOutcome:
    """How a site answered all blocks of a run: what it spent and hid, added up."""
    sums = {
        name: sum(getattr(o, name) for o in outcomes)
        for name in ("n_tasks", "seconds", "bytes_in", "bytes_out")
    }
    hidden: dict[tuple[str, str], Finding] = {}
    for finding in (f for outcome in outcomes for f in outcome.findings):
        before = hidden.get((finding.rule, finding.record))
        n_hidden = finding.n_hidden + (before.n_hidden if before else 0)
        hidden[finding.rule, finding.record] = replace(finding, n_hidden=n_hidden)
    return replace(outcomes[-1], findings=tuple(hidden.values()), **sums)


def joined(results: Sequence[Result]) -> Result:
    """The blocks of one run as one answer."""
    if len(results) == 1:
        return results[0]
    sites = zip(*(result.outcomes for result in results), strict=True)
    return replace(
        results[-1],
        dataset=xr.concat(
            [result.dataset for result in results],
            "variants",
            data_vars="minimal",
            coords="minimal",
        ),
        outcomes=tuple(together(outcomes) for outcomes in sites),
        run=results[-1].run.partition("-")[0],
        seconds=sum(result.seconds for result in results),
    )


def blank_hidden(dataset: xr.Dataset, analysis: Analysis) -> xr.Dataset:
    """`dataset` with NaN wherever a table says that the value is suppressed.

    A sum over the sites that show a cell is not the answer where another site hides it.
    """
    out = dataset.assign_attrs(
        integers=[str(n) for n, v in dataset.data_vars.items() if v.dtype.kind in "iu"]
    )
    for table in analysis.tables:
        for column in table.columns:
            values, record = out[column.variable or column.name], column.record or table.record
            if values.dtype.kind not in "iuf":
                continue
            n_sites, n_hidden = dataset[f"{record}_n_sites"], dataset[f"{record}_n_hidden"]
            hidden = (n_sites == 0) & (n_hidden == 0 if column.interval else True)
            if not column.interval:
                hidden = hidden | (n_hidden > 0) | (_pool_codes(out, record, values.dims) > 0)
            if bool(hidden.any()):
                out[column.variable or column.name] = (
                    values.astype(np.float64).where(~hidden).transpose(*values.dims)
                )
    return out


def _pool_codes(dataset: xr.Dataset, record: str, dims: tuple[Any, ...]) -> xr.DataArray:
    codes = dataset[f"{record}_pool_hidden"]
    extra = [dim for dim in codes.dims if dim not in dims]
    if not extra:
        return codes
    # A number over a whole grid stands unless the grid's end was cut.
    return (codes == Hidden.TAIL).any(extra) * np.uint8(Hidden.TAIL)


def _flat(values: xr.DataArray, like: xr.DataArray) -> Any:
    broadcast = values.drop_vars(list(values.coords)).broadcast_like(like)
    return broadcast.transpose(*like.dims).values.reshape(-1)


def _reason(n_sites: int, n_hidden: int, pool: int, asked: int) -> str:
    if n_hidden:
        return f"hidden at {n_hidden} of {asked} sites"
    if not n_sites:
        return "too few people"
    if pool == Hidden.MERGED:
        return "counted at the next grid point shown"
    if pool == Hidden.TAIL:
        return "too few people left"
    if pool:
        return "too small on the pool"
    return f"{asked - n_sites} of {asked} sites left out" if n_sites < asked else ""
