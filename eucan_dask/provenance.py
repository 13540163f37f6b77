"""What a run directory says of its run: the question as asked, sites, versions, costs."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from eucan_dask.analysis import parameters
from eucan_dask.federation import Federation
from eucan_dask.job import Job, Question
from eucan_dask.result import Result
from eucan_dask.versions import code_digest, package_versions

__all__ = ["asked", "describe", "entry_of", "now", "provenance"]

FORMAT = 1


def entry_of(
    identifier: str,
    question: Question,
    result: Result,
    *,
    tables: Mapping[str, str],
    files: Sequence[str],
    planted: Sequence[Mapping[str, Any]] | None,
) -> dict[str, Any]:
    """What is said of one finished question."""
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
        "tables": dict(tables),
        "files": list(files),
        "views": [dataclasses.asdict(view) for view in analysis.views],
        "truth": None if planted is None else list(planted),
        "run": result.run,
        "rounds": result.n_rounds,
        "seconds": round(result.seconds, 3),
        "roster": [o.site for o in result.outcomes if o.status == "answered"],
        "sites": [
            {
                "site": o.site,
                "status": o.status,
                "reason": o.reason,
                "membership": o.membership,
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


def provenance(
    described: dict[str, Any],
    federation: Federation,
    hellos: Mapping[str, Mapping[str, Any]],
    entries: list[dict[str, Any]],
    started: str,
) -> dict[str, Any]:
    """The content of `provenance.json`."""
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
        "finished": now(),
        "data_class": min(classes, key=order.index),
        "public_policy": any(hello["public_policy"] for hello in hellos.values()),
        "versions": package_versions(),
        "code_digest": code_digest(),
        "min_sites": federation.min_sites,
        "overlap": federation.overlap,
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


def asked(job: Job) -> list[Any]:
    """Everything that makes a question: a run goes on only with the very same."""
    return [
        [
            q.analysis.name,
            parameters(q.analysis),
            list(q.complete),
            [(c.label, c.criteria) for c in q.cohorts],
            len(q.panel.variants) > 0,
        ]
        for q in job.questions
    ]


def describe(job: Job, aggregator: str) -> dict[str, Any]:
    """The question as asked. Criteria can identify: publish them with care."""
    return {
        "name": job.name,
        "purpose": job.purpose,
        "tier": job.tier,
        "aggregator": aggregator,
        "panel": _panel(job),
        "cohorts": [{"label": c.label, "description": c.describe()} for c in job.cohorts],
    }


def _panel(job: Job) -> dict[str, Any]:
    panel = {"genes": list(job.panel.genes), "times": list(job.panel.times)}
    if job.variants is None:
        return panel
    region = job.variants.region
    return {
        **panel,
        "n_variants": len(job.variants),
        "variants_digest": job.variants.digest,
        "region": None if region is None else str(region),
    }


def now() -> str:
    """The time, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
