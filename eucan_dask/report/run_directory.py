"""A run directory as typed values: provenance.json and the tables it names, strictly checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eucan_dask.config import Key, check
from eucan_dask.errors import Invalid, unknown
from eucan_dask.report.long_table import AnyTable, open_table

__all__ = ["FORMAT", "Analysis", "Run", "View", "read"]

FORMAT = 1
_WRITTEN_BY = "give a directory written by `eucan-dask run --out`"
_STATUS = ("answered", "refused", "invalid", "unavailable")
_TEXT = Key(str)
_MAYBE = Key(str | None, default=None)
_COUNT = Key(int, default=0)
_SECONDS = Key(int | float, default=0.0)
_LIST = Key(list)

_RUN = {
    "format": Key(int),
    "name": _TEXT,
    "purpose": _TEXT,
    "tier": _MAYBE,
    "aggregator": _TEXT,
    "started": _TEXT,
    "finished": _TEXT,
    "data_class": Key(str, choices=("public", "synthetic", "personal")),
    "public_policy": Key(bool),
    "versions": Key(dict),
    "code_digest": _TEXT,
    "min_sites": Key(int),
    "overlap": Key(str | None, default=None),
    "sites": _LIST,
    "cohorts": _LIST,
    "analyses": _LIST,
    "federation": _MAYBE,
    "panel": Key(dict | None, default=None),
}
_SITE = {
    "site": _TEXT,
    "status": Key(str, choices=_STATUS),
    "data_class": _MAYBE,
    "freeze": _MAYBE,
    "assembly": _MAYBE,
    "reason": _MAYBE,
}
_COHORT = {"label": _TEXT, "description": Key(str, default="")}
_ANALYSIS = {
    "id": _TEXT,
    "name": _TEXT,
    "version": Key(int, default=1),
    "title": _TEXT,
    "equals": _MAYBE,
    "parameters": Key(dict, default={}),
    "cohorts": Key(list, default=[]),
    "complete": Key(list, default=[]),
    "tables": Key(dict),
    "files": Key(list, default=[]),
    "views": Key(list, default=[]),
    "truth": Key(list | None, default=None),
    "run": _MAYBE,
    "rounds": Key(int, default=1),
    "seconds": _SECONDS,
    "roster": Key(list, default=[]),
    "sites": Key(list, default=[]),
}
_ANALYSIS_SITE = {
    "site": _TEXT,
    "status": Key(str, choices=_STATUS),
    "reason": _MAYBE,
    "membership": _MAYBE,
    "n_tasks": _COUNT,
    "seconds": _SECONDS,
    "bytes_in": _COUNT,
    "bytes_out": _COUNT,
    "n_suppressed_cells": _COUNT,
    "findings": Key(list, default=[]),
}
_FINDING = {
    "rule": _TEXT,
    "variable": _MAYBE,
    "message": Key(str, default=""),
    "threshold": Key(int | float | str | None, default=None),
    "n_hidden": _COUNT,
}
_VALUE = Key(int | float | None, default=None)
_TRUTH = {"quantity": _TEXT, "planted": _VALUE, "estimate": _VALUE, "low": _VALUE, "high": _VALUE}
_VIEW = {
    "kind": _TEXT,
    "table": _TEXT,
    "title": _MAYBE,
    "x": _MAYBE,
    "y": _MAYBE,
    "by": _MAYBE,
    "low": _MAYBE,
    "high": _MAYBE,
    "facet": _MAYBE,
    "options": Key(dict | None, default=None),
}


@dataclass(frozen=True)
class View:
    """One declared figure: its kind, its table and which column plays which part."""

    kind: str
    table: str
    where: str
    title: str = ""
    x: str | None = None
    y: str | None = None
    by: str | None = None
    low: str | None = None
    high: str | None = None
    facet: str | None = None
    options: Mapping[str, Any] | None = None

    def column(self, part: str) -> str:
        """The column that plays `part`: "x", "y", "low" or "high".

        Raises
        ------
        Invalid
            If the view names none.
        """
        name = getattr(self, part)
        if not name:
            raise Invalid(
                f"a view of kind {self.kind!r} needs {part!r}",
                where=self.where,
                remedy=f"name the column of table {self.table!r} to draw as {part}",
            )
        return str(name)

    def option(self, name: str) -> Any:
        """The value of an option; None if the view has none of that name."""
        return (self.options or {}).get(name)


@dataclass(frozen=True)
class Analysis:
    """One analysis of a run: what it equals, its tables, its views and what each site did."""

    id: str
    name: str
    version: int
    title: str
    equals: str | None
    parameters: Mapping[str, Any]
    cohorts: tuple[str, ...]
    complete: tuple[str, ...]
    files: tuple[str, ...]
    tables: Mapping[str, AnyTable]
    views: tuple[View, ...]
    truth: tuple[dict[str, Any], ...]
    run: str | None
    rounds: int
    seconds: float
    roster: tuple[str, ...]
    sites: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Run:
    """A whole run directory; `record` holds the checked keys of provenance.json."""

    path: Path
    record: Mapping[str, Any]
    sites: tuple[dict[str, Any], ...]
    cohorts: tuple[dict[str, Any], ...]
    analyses: tuple[Analysis, ...]


def read(directory: Path) -> Run:
    """Read and check one run directory.

    Raises
    ------
    Invalid
        If the directory or a file in it is missing, is of another program or of a newer format,
        or holds a key or type this version does not know. Names the path and the remedy.
    """
    path = directory / "provenance.json"
    where = str(path)
    record = check(_document(directory, path), _RUN, where=where)
    return Run(
        path=directory,
        record=record,
        sites=_each(record["sites"], _SITE, f"{where}, sites"),
        cohorts=_each(record["cohorts"], _COHORT, f"{where}, cohorts"),
        analyses=tuple(
            _analysis(directory, entry, f"{where}, analyses[{i}]")
            for i, entry in enumerate(record["analyses"])
        ),
    )


def _document(directory: Path, path: Path) -> Mapping[str, Any]:
    """The JSON object of a provenance file whose format this version reads."""
    if not directory.is_dir():
        raise Invalid("is not a directory", where=directory, remedy=_WRITTEN_BY)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Invalid(
            "cannot be read", where=path, found=error.strerror, remedy=_WRITTEN_BY
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Invalid(
            "is not valid JSON", where=path, found=str(error), remedy=_WRITTEN_BY
        ) from error
    number = document.get("format") if isinstance(document, dict) else None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise Invalid(
            "is not the provenance of a run",
            where=path,
            expected="a whole number under 'format'",
            remedy=_WRITTEN_BY,
        )
    if number > FORMAT:
        raise Invalid(
            "was written by a newer version",
            where=path,
            expected=f"format {FORMAT}",
            found=number,
            remedy="update eucan-dask and report again",
        )
    return dict(document)


def _each(entries: list[Any], keys: Mapping[str, Key], where: str) -> tuple[dict[str, Any], ...]:
    return tuple(check(entry, keys, where=f"{where}[{i}]") for i, entry in enumerate(entries))


def _analysis(directory: Path, entry: object, where: str) -> Analysis:
    record = check(entry, _ANALYSIS, where=where)
    record["tables"] = {
        name: open_table(_inside(directory, file, where)) for name, file in record["tables"].items()
    }
    record["views"] = tuple(
        _view(view, record["tables"], f"{where}, views[{i}]")
        for i, view in enumerate(record["views"])
    )
    record["truth"] = _each(record["truth"] or [], _TRUTH, f"{where}, truth")
    record["sites"] = _each(record["sites"], _ANALYSIS_SITE, f"{where}, sites")
    for site in record["sites"]:
        site["findings"] = _each(site["findings"], _FINDING, f"{where}, findings")
    for name in ("roster", "cohorts", "complete", "files"):
        record[name] = tuple(map(str, record[name]))
    return Analysis(**record)


def _inside(directory: Path, file: object, where: str) -> Path:
    """The path of a table; a name that leads out of the run directory is refused."""
    if not isinstance(file, str) or Path(file).name != file:
        raise Invalid(
            "a table must be a file of the run directory itself",
            where=where,
            expected="a plain file name",
            found=file,
        )
    return directory / file


def _view(entry: object, known: Mapping[str, AnyTable], where: str) -> View:
    record = check(entry, _VIEW, where=where)
    if record["table"] not in known:
        raise unknown("table", record["table"], known, where=where)
    options = dict(record["options"] or {})
    record["facet"] = options.pop("facet", None) or record["facet"]
    for part in ("x", "y", "by", "low", "high", "facet"):
        record[part] = record[part] or None
    record["title"] = record["title"] or ""
    return View(**{**record, "options": options, "where": where})
