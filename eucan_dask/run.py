"""A job run against a federation: result, tables, provenance, report in one directory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eucan_dask.catalogue import Catalogue
from eucan_dask.errors import Refused
from eucan_dask.federation import Federation
from eucan_dask.formats import FORMATS
from eucan_dask.growing import Growing, plain, write_table
from eucan_dask.job import Job, Question
from eucan_dask.provenance import asked, describe, entry_of, now, provenance
from eucan_dask.request import Request
from eucan_dask.result import Result, together
from eucan_dask.unfinished import Unfinished, write_json
from eucan_dask.variant_panel import VariantPanel
from eucan_dask.waiting import Progress

__all__ = ["run_job"]


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
    started = now()
    hellos = federation.hello()
    job.check(Catalogue(hellos))
    used = aggregator or job.aggregator or federation.aggregator
    freezes = {name: hello["freeze"] for name, hello in hellos.items()}
    digest = json.dumps([describe(job, used), asked(job), freezes], sort_keys=True)
    state = Unfinished.open(out, digest, resume=resume)
    for entry in state.entries.values():  # killed before the links were told
        federation.done(str(entry["run"]))
    about = {"job": job.name, **_common(hellos)}
    results: dict[str, Result] = {}
    for number, question in enumerate(job.questions, start=1):
        identifier = f"{number}-{question.analysis.name}"
        if identifier in state.entries:
            continue
        request = federation.request(
            question.analysis,
            purpose=job.purpose,
            cohorts=question.cohorts,
            panel=question.panel,
            tier=job.tier,
            aggregator=used,
            complete=question.complete,
            run=state.start(identifier),
        )
        variants = job.variants if question.panel.variants else None
        try:
            if variants is not None and variants.n_blocks > 1:
                result, tables = _scan(federation, request, variants, state, progress)
            else:
                result, tables = _once(federation, request, state, progress)
        except Refused:
            state.refused()
            raise
        planted = list(truth(identifier, result)) if truth is not None else None
        files = _formats(question, tables, out, identifier, about)
        names = {name: path.name for name, path in tables.items()}
        entry = entry_of(identifier, question, result, tables=names, files=files, planted=planted)
        state.finish(entry)
        federation.done(result.run)
        results[identifier] = result
    entries = list(state.entries.values())
    told = provenance(describe(job, used), federation, hellos, entries, started)
    write_json(out / "provenance.json", told)
    state.remove()
    return results


def _once(
    federation: Federation,
    request: Request,
    state: Unfinished,
    progress: Progress | None,
) -> tuple[Result, dict[str, Path]]:
    """A question that is one request: the answer, and the files of its tables."""
    out, identifier = state.out, str(state.asking["id"])
    result = federation.ask(request, progress=progress, standing=state.standing())
    tables = {}
    for name, frame in result.tables.items():
        tables[name] = out / f"{identifier}.{name}.tsv"
        write_table(frame, tables[name])
    store = out / "result.zarr"
    shutil.rmtree(store / identifier, ignore_errors=True)
    plain(result.dataset).to_zarr(store, group=identifier, mode="a", zarr_format=2)
    return result, tables


def _scan(
    federation: Federation,
    request: Request,
    variants: VariantPanel,
    state: Unfinished,
    progress: Progress | None,
) -> tuple[Result, dict[str, Path]]:
    """A question over many blocks: each is on disk, and remembered, before it is let go."""
    asking = state.asking
    grown = Growing(
        state.out,
        str(asking["id"]),
        request.analysis,
        dict(asking.get("sizes", {})),
        int(asking.get("n_variants", 0)),
    )
    grown.back()
    outcomes, first = state.outcomes(), int(asking["blocks"])
    roster = tuple(o.site for o in outcomes if o.status == "answered")
    results = federation.scan(
        request,
        variants,
        first=first,
        roster=roster,
        progress=progress,
        standing=state.standing(),
    )
    for number, result in enumerate(results, start=first):
        grown.append(result)
        pairs = zip(outcomes, result.outcomes, strict=True) if outcomes else ()
        outcomes = [together(pair) for pair in pairs] or list(result.outcomes)
        reached = {"blocks": number + 1, "sizes": grown.sizes, "n_variants": grown.n_variants}
        seconds = float(asking.get("seconds", 0.0)) + result.seconds
        state.step(outcomes, **reached, rounds=result.n_rounds, seconds=seconds)
        federation.done(result.run)
    whole = Result(
        request.analysis,
        grown.dataset(),
        tuple(outcomes),
        request.run,
        int(asking["rounds"]),
        float(asking["seconds"]),
    )
    return whole, grown.paths()


def _formats(
    question: Question,
    tables: Mapping[str, Path],
    out: Path,
    identifier: str,
    about: Mapping[str, Any],
) -> list[str]:
    """The field's own formats, written from the tables; their names."""
    told = {**about, "cohorts": [c.label for c in question.cohorts]}
    found: list[str] = []
    for name, table in question.analysis.formats:
        written = FORMATS[name](tables[table], out, identifier, told)
        found += [path.name for path in written]
    return found


def _common(hellos: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the sites have in common: the assembly, and the strictest class of data."""
    order = ("personal", "public", "synthetic")
    classes = [hello["data_class"] for hello in hellos.values()]
    assemblies = sorted({str(hello["assembly"]) for hello in hellos.values() if hello["assembly"]})
    return {
        "assembly": assemblies[0] if assemblies else "",
        "data_class": min(classes, key=order.index),
    }
