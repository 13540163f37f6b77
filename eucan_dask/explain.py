"""What a question would make leave, in words and numbers, before anything is computed."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections.abc import Mapping
from typing import Any

from eucan_dask.analysis import Analysis, IterativeAnalysis, parameters
from eucan_dask.catalogue import Catalogue
from eucan_dask.exposure import genes, numbers
from eucan_dask.federation import Federation
from eucan_dask.job import Job, Question
from eucan_dask.leaving import leaving
from eucan_dask.panel import Panel
from eucan_dask.partial import Coords
from eucan_dask.rules import ON_POOL, at_site
from eucan_dask.structural import STRUCTURAL
from eucan_dask.variant_panel import VariantPanel

__all__ = ["describe", "explain", "job_template"]


def describe(kind: type[Analysis]) -> str:
    """An analysis for a reader without Python: its docstring, parameters and what leaves."""
    lines = [f"{kind.name} (version {kind.version})", "", inspect.cleandoc(kind.__doc__ or ""), ""]
    lines += ["What leaves a site", "------------------"]
    lines += [_leaves(kind)]
    lines += ["", f"Equals: {kind.equals}", f"A job: eucan-dask analyses {kind.name} --template"]
    return "\n".join(lines)


def _leaves(kind: type[Analysis]) -> str:
    rows = []
    for spec in kind.yields:
        if spec.leaves:
            over = " x ".join(spec.dims) or "one number"
            part = f", part of {spec.within}" if spec.within else ""
            rows.append(f"{spec.name}: {spec.kind} over {over}{part}; {spec.doc}")
    return "\n".join(rows)


def explain(job: Job, federation: Federation, *, aggregator: str | None = None) -> str:
    """What each question of a job would make leave each site; asks for catalogues only.

    Parameters
    ----------
    aggregator
        Instead of the job's, or the federation's.

    Raises
    ------
    Invalid
        If the job uses a field, level or gene that no site knows.
    """
    catalogue = Catalogue(federation.hello())
    job.check(catalogue)
    used = aggregator or job.aggregator or federation.aggregator
    lines = [
        f"{job.name}: purpose {job.purpose}, tier {job.tier}, aggregator {used}, "
        f"overlap {federation.overlap}",
        f"asks {len(catalogue.sites)} sites: {', '.join(catalogue.sites)}; "
        f"no result from fewer than {federation.min_sites}",
    ]
    for question in job.questions:
        lines += ["", *_question(question, job.variants, len(catalogue.sites), used)]
    return "\n".join([*lines, "", *_rules(used)])


def _rules(aggregator: str) -> list[str]:
    """Which rules look at an answer, where, in the order they do."""
    at = [rule.__name__ for rule in (*STRUCTURAL, *at_site(aggregator))]
    on_pool = [rule.__name__ for rule in ON_POOL]
    lines = ["Rules at each site, with its own thresholds: " + ", ".join(at)]
    lines += [
        "Of its cohorts: min_effect. Over everything the site ever released:"
        " min_cohort_difference, one_shape, one_mean, one_roster, max_exposure, transcript"
    ]
    if aggregator != "none":
        lines += ["The request names the pool's thresholds; laxer than a site's: pool_thresholds"]
    return [*lines, "Rules on the pool, with the federation's: " + ", ".join(on_pool)]


def _question(
    question: Question, variants: VariantPanel | None, n_sites: int, aggregator: str
) -> list[str]:
    analysis = question.analysis
    labels = tuple(cohort.label for cohort in question.cohorts)
    coords = analysis.coords(question.panel, labels)
    n_variants = len(variants) if variants is not None and question.panel.variants else 0
    rounds = analysis.max_iterations if isinstance(analysis, IterativeAnalysis) else 1
    lines = [f"{analysis.title} ({analysis.name}); equals {analysis.equals}"]
    lines += [f"  cohort {c.label!r}: {c.describe()}" for c in question.cohorts]
    for spec in analysis.yields:
        if not spec.leaves:
            continue
        shape = tuple(
            n_variants if dim == "variants" else n
            for n, dim in zip(spec.shape(coords), spec.dims, strict=True)
        )
        sizes = " x ".join(f"{n} {dim}" for n, dim in zip(shape, spec.dims, strict=True))
        support = f", supported by {spec.within}" if spec.within else ""
        lines.append(f"  leaves: {spec.name} ({spec.kind}, {sizes or 'one number'}){support}")
    tested = [s for s in analysis.yields if not s.leaves]
    where = {"support": "never shown", "evidence": "stays at the site"}
    lines += [f"  tested: {s.name} ({s.doc}), {where[s.kind]}" for s in tested]
    for record in analysis.records:
        over = " x ".join(record.dims) or "the whole fit"
        lines.append(f"  stands or falls together: {', '.join(record.variables)}, for each {over}")
    if n_variants and variants is not None:
        region = f" of {variants.region}" if variants.region else ""
        many = f"{n_variants:,} variants{region} in {variants.n_blocks} block(s)"
        lines.append(f"  {many}; variants_digest {variants.digest}")
    size = _bytes(analysis, coords, aggregator, max(n_variants, 1))
    lines += _exposure(analysis, question.panel, n_variants)
    lines.append(
        f"  cost: up to {rounds} round(s) x {n_sites} sites x {size} bytes"
        f" = {rounds * n_sites * size} bytes, {aggregator}"
    )
    return lines


def _bytes(analysis: Analysis, coords: Coords, aggregator: str, n_variants: int) -> int:
    """Bytes of the arrays of one site's answer to all blocks of one round."""
    named = len(coords["variants"]) if "variants" in coords else 0
    whole = leaving(analysis, coords, aggregator)
    scale = n_variants / named if named else 1.0
    words = 8 if aggregator == "masked" else 0  # a sum takes two words under masks
    return sum(
        int((d.itemsize + (words if d.kind == "f" else 0)) * math.prod(shape) * scale)
        for shape, d in whole.values()
    )


def _exposure(analysis: Analysis, panel: Panel, n_variants: int) -> list[str]:
    """What it may cost people: each site has its own thresholds, which it does not tell."""
    lines, told = [], numbers(analysis, panel) if n_variants else 0
    if told:
        lines.append(
            f"  exposure of each person, for each variant and cohort: from {2 * told} / people to"
            f" {told} / min_carriers, which hidden variants cost"
        )
    if counts := genes(analysis, panel):
        lines.append(f"  exposure of each person, for each cohort: up to {counts} / people assayed")
    return lines


def job_template(kind: type[Analysis]) -> str:
    """A runnable job for an analysis, from its own example."""
    analysis, panel = kind.example()
    lines = [
        "format  = 1",
        f'name    = "{kind.name.replace("_", "-")}"',
        'purpose = "DUO:0000006"           # health, medical or biomedical research',
        'tier    = "open"',
        "",
    ]
    if panel.genes or panel.times or panel.variants:
        lines.append("[panel]                           # what fixes the shape of the answer")
    if panel.genes:
        lines.append(f"genes = {json.dumps(panel.genes)}")
    if panel.times:
        step = panel.times[1] - panel.times[0]
        stop = panel.times[-1]
        lines.append(f"times = {{ start = 0, stop = {stop:g}, step = {step:g} }}   # days")
    if panel.variants:
        lines.append(f"variants = {json.dumps(panel.variants)}")
    if kind.max_cohorts > 1:
        for label, criterion in (
            ("up to 60", '{ field = "age_at_diagnosis", max = 60 }'),
            ("over 60", '{ not = { field = "age_at_diagnosis", max = 60 } }'),
        ):
            lines += ["", "[[cohorts]]", f'label = "{label}"', f"criteria = {criterion}"]
    lines += ["", "[[analyses]]", f'name = "{kind.name}"', "[analyses.parameters]"]
    defaults = {f.name: f.default for f in dataclasses.fields(analysis)}
    for name, value in parameters(analysis).items():
        if value not in (defaults[name], [], ""):
            lines.append(f"{name} = {_toml(value)}")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    """A parameter as TOML, without the parts that hold nothing."""
    if isinstance(value, Mapping):
        inner = [f"{k} = {_toml(v)}" for k, v in value.items() if v not in ("", [], None)]
        return "{ " + ", ".join(inner) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value)
