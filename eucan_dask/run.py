"""A job run against a federation: result, tables, provenance, report in one directory."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from eucan_dask.analysis import parameters
from eucan_dask.catalogue import Catalogue
from eucan_dask.errors import Invalid
from eucan_dask.federation import Federation
from eucan_dask.job import Job, Question
from eucan_dask.result import Result
from eucan_dask.versions import code_digest, package_versions

__all__ = ["run_job", "write_table"]

FORMAT = 1
Progress = Callable[[int, int, str], None]


def run_job(
    job: Job,
    federation: Federation,
    out: Path,
    *,
    aggregator: str | None = None,
    progress: Progress | None = None,
    truth: Callable[[str, Result], Sequence[Mapping[str, Any]]] | None = None,
    resume: bool = False,
) -> dict[str, Result]:
    """Put every question of a job and write the run directory.

    Each finished question is written whole before the next is asked; with `resume`, questions
    that a former run of the same job finished are not asked again.

    Parameters
    ----------
    out
        Directory for `<id>.<table>.tsv`, `result.zarr`, `provenance.json`.
    truth
        For simulated data: planted and estimated numbers of a question.

    Raises
    ------
    Invalid
        If `out` holds another run, or the job uses names no site knows.
    Refused, NotEnoughSites, Unavailable
        As `Federation.run`; what was finished stays, and `resume` goes on from there.
    """
    started = _now()
    hellos = federation.hello()
    job.check(Catalogue(hellos))
    used = aggregator or job.aggregator or federation.aggregator
    freezes = {name: hello["freeze"] for name, hello in hellos.items()}
    digest = json.dumps([_describe(job, used), _asked(job), freezes], sort_keys=True)
    done = _open_directory(out, digest, resume=resume)
    results: dict[str, Result] = {}
    entries: list[dict[str, Any]] = []
    for number, question in enumerate(job.questions, start=1):
        identifier = f"{number}-{question.analysis.name}"
        if identifier in done:
            entries.append(done[identifier])
            continue
        result = federation.run(
            question.analysis,
            purpose=job.purpose,
            cohorts=question.cohorts,
            panel=job.panel,
            tier=job.tier,
            aggregator=used,
            complete=question.complete,
            progress=progress,
        )
        planted = list(truth(identifier, result)) if truth is not None else None
        entries.append(_write_question(out, identifier, question, result, planted))
        results[identifier] = result
        _write_json(out / "finished.json", {"job": digest, "analyses": entries})
    described = _describe(job, used)
    provenance = _provenance(described, federation, hellos, entries, started)
    _write_json(out / "provenance.json", provenance)
    (out / "finished.json").unlink(missing_ok=True)
    return results


def _open_directory(out: Path, digest: str, *, resume: bool) -> dict[str, dict[str, Any]]:
    """The questions finished before, by id; a directory that holds anything else is refused."""
    elsewhere = "choose another directory"
    if out.exists() and not out.is_dir():
        raise Invalid("is no directory", where=out, remedy=elsewhere)
    if (out / "provenance.json").exists():
        raise Invalid("holds a finished run", where=out, remedy=elsewhere)
    path = out / "finished.json"
    if not path.exists():
        if out.exists() and any(not _ours(p.name) for p in out.iterdir()):
            raise Invalid("holds other files", where=out, remedy=elsewhere)
        out.mkdir(parents=True, exist_ok=True)
        return {}
    if not resume:
        raise Invalid("holds an unfinished run", where=out, remedy="add --resume to go on with it")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        former, entries = found["job"], {entry["id"]: entry for entry in found["analyses"]}
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid("is damaged", where=path, remedy=elsewhere) from error
    if former != digest:
        raise Invalid("holds a run of another job", where=out, remedy=elsewhere)
    return entries


def _ours(name: str) -> bool:
    """Whether a file can be what a killed run left before its first question was finished."""
    return name == "result.zarr" or name.endswith((".tsv", ".tmp"))


def _write_question(
    out: Path,
    identifier: str,
    question: Question,
    result: Result,
    planted: list[Mapping[str, Any]] | None,
) -> dict[str, Any]:
    tables = {}
    for name, frame in result.tables.items():
        tables[name] = f"{identifier}.{name}.tsv"
        write_table(frame, out / tables[name])
    _write_zarr(result.dataset, out / "result.zarr", identifier)
    analysis = question.analysis
    equals = analysis.equals
    if "equals" in result.dataset:
        equals = str(result.dataset["equals"].values)
    return {
        "id": identifier,
        "name": analysis.name,
        "version": analysis.version,
        "title": analysis.title,
        "equals": equals,
        "parameters": parameters(analysis),
        "cohorts": [c.label for c in question.cohorts],
        "complete": list(question.complete),
        "tables": tables,
        "views": [dataclasses.asdict(view) for view in analysis.views],
        "truth": planted,
        "run": result.run,
        "rounds": result.n_rounds,
        "seconds": round(result.seconds, 3),
        "roster": [o.site for o in result.outcomes if o.status == "answered"],
        "sites": [
            {
                "site": o.site,
                "status": o.status,
                "reason": o.reason,
                "n_tasks": o.n_tasks,
                "seconds": round(o.seconds, 1),
                "bytes_in": o.bytes_in,
                "bytes_out": o.bytes_out,
                "n_suppressed_cells": sum(f.n_hidden for f in o.findings),
                "findings": [
                    {
                        "rule": f.rule,
                        "variable": f.record,
                        "message": f.message,
                        "threshold": f.threshold,
                        "n_hidden": f.n_hidden,
                    }
                    for f in o.findings
                ],
            }
            for o in result.outcomes
        ],
    }


def _provenance(
    described: dict[str, Any],
    federation: Federation,
    hellos: Mapping[str, Mapping[str, Any]],
    entries: list[dict[str, Any]],
    started: str,
) -> dict[str, Any]:
    order = ("personal", "public", "synthetic")
    classes = [hello["data_class"] for hello in hellos.values()]
    answered = {
        site["site"] for e in entries for site in e["sites"] if site["status"] == "answered"
    }
    lost = {s["site"]: s["status"] for e in entries for s in e["sites"]}
    reasons = {s["site"]: s["reason"] for e in entries for s in e["sites"] if s["reason"]}
    return {
        "format": FORMAT,
        **described,
        "federation": federation.name,
        "started": started,
        "finished": _now(),
        "data_class": min(classes, key=order.index),
        "public_policy": any(hello["public_policy"] for hello in hellos.values()),
        "versions": package_versions(),
        "code_digest": code_digest(),
        "min_sites": federation.min_sites,
        "sites": [
            {
                "site": member.name,
                "status": "answered" if member.name in answered else lost.get(member.name),
                "data_class": hellos.get(member.name, {}).get("data_class"),
                "freeze": hellos.get(member.name, {}).get("freeze"),
                "assembly": hellos.get(member.name, {}).get("assembly"),
                "reason": reasons.get(member.name),
            }
            for member in federation.members
        ],
        "analyses": entries,
    }


def _asked(job: Job) -> list[Any]:
    """Everything that makes a question: a run goes on only with the very same."""
    return [
        [
            q.analysis.name,
            parameters(q.analysis),
            list(q.complete),
            [(c.label, c.criteria) for c in q.cohorts],
        ]
        for q in job.questions
    ]


def _describe(job: Job, aggregator: str) -> dict[str, Any]:
    """The question as asked. Criteria can identify: publish them with care."""
    return {
        "name": job.name,
        "purpose": job.purpose,
        "tier": job.tier,
        "aggregator": aggregator,
        "panel": job.panel.to_json(),
        "cohorts": [{"label": c.label, "description": c.describe()} for c in job.cohorts],
    }


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """A tidy TSV: empty where suppressed, NA where undefined, true and false in words."""
    hidden = frame["suppressed"]
    text = {
        name: [_word(v, hidden=bool(h)) for v, h in zip(frame[name], hidden, strict=True)]
        for name in frame.columns
    }
    temporary = path.with_name(f".{path.name}.tmp")
    pd.DataFrame(text).to_csv(temporary, sep="\t", index=False)
    os.replace(temporary, path)


def _word(value: Any, *, hidden: bool) -> str:
    if pd.isna(value):
        return "" if hidden else "NA"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)


def _write_zarr(dataset: xr.Dataset, path: Path, group: str) -> None:
    shutil.rmtree(path / group, ignore_errors=True)
    plain = dataset.map(lambda v: v.astype(str) if v.dtype == object and not v.ndim else v)
    plain.to_zarr(path, group=group, mode="a", zarr_format=2)


def _write_json(path: Path, table: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(table, indent=2, ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, path)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
