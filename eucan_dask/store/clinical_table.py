"""Reading a clinical table by its mapping; every error names its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.arrays import Array
from eucan_dask.store.clinical import Clinical
from eucan_dask.store.mapping import Mapping
from eucan_dask.store.table import Table, read_table
from eucan_dask.store.values import read_columns

__all__ = ["read_clinical"]


def read_clinical(path: Path, mapping: Mapping) -> tuple[Clinical, list[str]]:
    """The people and biosamples of a table.

    Missing data: an empty value, or one the mapping lists as missing, is missing. A time without
    its status, or a status without its time, is missing in both.

    Returns
    -------
    The clinical shard, and remarks for the person at the terminal.

    Raises
    ------
    Invalid
        Naming file, line, field and value: a column is lacking, a value is not in the mapping or
        out of range, a person or biosample stands twice, or rows of one person disagree.
    """
    table = read_table(path, mapping)
    people = _ids(table, mapping.individual_id)
    samples = _samples(table, mapping)
    per_row, notes = read_columns(table, mapping)
    first = _first_rows(table, people, unique=samples is None, column=mapping.individual_id)
    _check_agreement(table, people, first, per_row)
    names = list(first)
    rank = {name: i for i, name in enumerate(names)}
    rows = {"individuals": list(first.values()), "samples": list(range(len(people)))}
    columns = {
        name: Array(a.dims, a.values[rows[a.dims[0]]], a.attrs) for name, a in per_row.items()
    }
    own = samples is not None
    clinical = Clinical(
        tuple(names),
        tuple(samples if samples is not None else names),
        tuple(rank[name] for name in (people if own else names)),
        columns,
        own,
        mapping.sample_pattern,
    )
    return clinical.canonical(), notes


def _ids(table: Table, column: str) -> list[str]:
    out = []
    for row, value in enumerate(table.column(column)):
        if value is None:
            raise Invalid(f"{column} is empty", where=table.line(row), expected="an id")
        out.append(value)
    return out


def _samples(table: Table, mapping: Mapping) -> list[str] | None:
    if mapping.sample_id is None or mapping.sample_id not in table.header:
        return None
    samples = _ids(table, mapping.sample_id)
    _first_rows(table, samples, unique=True, column=mapping.sample_id)
    return samples


def _first_rows(table: Table, ids: list[str], *, unique: bool, column: str) -> dict[str, int]:
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        if first.setdefault(name, row) != row and unique:
            raise Invalid(
                f"{column} {name} stands twice",
                where=table.line(row),
                found=f"also in line {table.numbers[first[name]]}",
                remedy="keep one row, or map sample_id if a row is a biosample",
            )
    return first


def _check_agreement(
    table: Table, people: list[str], first: dict[str, int], columns: dict[str, Array]
) -> None:
    origin = np.array([first[name] for name in people])
    for name, array in columns.items():
        if array.dims != ("individuals",):
            continue
        one, other = array.values, array.values[origin]
        differ = (one != other) & ~((one != one) & (other != other))
        if differ.any():
            row = int(np.argmax(differ))
            raise Invalid(
                f"{name.removeprefix('individual_')} disagrees between rows of one person",
                where=table.line(row),
                found=f"another value in line {table.numbers[int(origin[row])]}",
                remedy='correct the table, or give the field level = "sample"',
            )
