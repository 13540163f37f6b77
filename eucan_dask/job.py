"""A job: one TOML file a steward can read, asking one or more questions of a federation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eucan_dask import config
from eucan_dask.analysis import Analysis, check_cohorts
from eucan_dask.catalogue import Catalogue
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid, unknown
from eucan_dask.panel import Panel
from eucan_dask.policy import TIERS
from eucan_dask.registry import load
from eucan_dask.request import AGGREGATORS
from eucan_dask.variant_panel import Region, VariantPanel

__all__ = ["DUO_PURPOSES", "Job", "Question", "read_job"]

FORMAT = 1

DUO_PURPOSES = {
    "DUO:0000004": "no restriction",
    "DUO:0000006": "health, medical or biomedical research",
    "DUO:0000007": "disease-specific research",
    "DUO:0000011": "population origins or ancestry research",
    "DUO:0000042": "general research use",
}


@dataclass(frozen=True)
class Question:
    """One analysis of a job, with its cohorts and panel; of many variants the first block."""

    analysis: Analysis
    cohorts: tuple[Cohort, ...]
    complete: tuple[str, ...]
    panel: Panel


@dataclass(frozen=True)
class Job:
    """What a job file says.

    Parameters
    ----------
    variants
        All variants asked for, if any.
    unlisted_genes
        Accept genes that no site lists: real genes that happen to carry no mutation.
    """

    name: str
    purpose: str
    tier: str
    aggregator: str | None
    panel: Panel
    cohorts: tuple[Cohort, ...]
    questions: tuple[Question, ...]
    variants: VariantPanel | None = None
    unlisted_genes: bool = False

    def check(self, catalogue: Catalogue) -> None:
        """Raise `Invalid` for a field, level or gene that no site knows."""
        catalogue.check_assembly()
        for question in self.questions:
            catalogue.check(
                question.analysis,
                question.panel,
                question.cohorts,
                question.complete,
                unlisted_genes=self.unlisted_genes,
            )


def read_job(path: Path | str) -> Job:
    """The job in a TOML file; paths in it are relative to the file.

    Raises
    ------
    Invalid
        For unknown keys, analyses, parameters, cohorts or purposes, suggesting the nearest name.
    """
    path = Path(path)
    where = path.name
    text, tables = config.Key(str), config.Key(list, default=[])
    table = config.check(
        config.read(path),
        {
            "format": config.Key(int),
            "name": text,
            "purpose": text,
            "tier": config.Key(str, default="open", choices=TIERS),
            "aggregator": config.Key(str, default="", choices=("", *AGGREGATORS)),
            "panel": config.Key(dict, default={}),
            "cohorts": tables,
            "analyses": config.Key(list),
        },
        where=where,
    )
    if table["format"] != FORMAT:
        raise Invalid("unknown format", where=where, expected=FORMAT, found=table["format"])
    if table["purpose"] not in DUO_PURPOSES:
        raise unknown("purpose", table["purpose"], DUO_PURPOSES, where=where)
    panel_table = dict(table["panel"])
    flag = config.Key(bool, default=False)
    unlisted = flag.value(panel_table, "unlisted_genes", f"{where} [panel]")
    panel_table.pop("unlisted_genes", None)
    variants = _variants(panel_table, path)
    panel = Panel.from_toml(_with_files(panel_table, path), where=f"{where} [panel]")
    cohorts = tuple(_cohort(row, where) for row in table["cohorts"]) or (Cohort("everybody"),)
    labels = [cohort.label for cohort in cohorts]
    if len(set(labels)) < len(labels):
        raise Invalid("two cohorts share a label", where=f"{where} [[cohorts]]", found=labels)
    if not table["analyses"]:
        raise Invalid("asks nothing", where=where, remedy="add an [[analyses]] table")
    return Job(
        name=table["name"],
        purpose=table["purpose"],
        tier=table["tier"],
        aggregator=table["aggregator"] or None,
        panel=panel,
        cohorts=cohorts,
        questions=tuple(
            _question(row, cohorts, panel, variants, where) for row in table["analyses"]
        ),
        variants=variants,
        unlisted_genes=unlisted,
    )


def _variants(panel: dict[str, Any], job: Path) -> VariantPanel | None:
    """The variants a `[panel]` names, whose keys are taken out of it."""
    where = f"{job.name} [panel]"
    own = ("variants", "variants_file", "region", "variants_digest")
    for name in panel:
        if name not in (*own, "genes", "genes_file", "times"):
            raise unknown("key", name, (*own, "genes", "genes_file", "times"), where=where)
    found = {name: panel.pop(name) for name in own if name in panel}
    text = config.Key(str, default="")
    values = config.check(
        found,
        {"variants": config.Key(list, default=[]), **dict.fromkeys(own[1:], text)},
        where=where,
    )
    if not found:
        return None
    if bool(values["variants"]) == bool(values["variants_file"]):
        raise Invalid(
            "name the variants in one way",
            where=where,
            expected='variants = [...] or variants_file = "..."',
            remedy="a region selects from them: which variants a site holds is its data",
        )
    region = Region.parse(values["region"], where=where) if values["region"] else None
    if values["variants"]:
        if not all(isinstance(label, str) for label in values["variants"]):
            raise Invalid("variants must be labels", where=where)
        listed = VariantPanel.of(values["variants"], where=where)
        variants = replace(listed, region=region)
    else:
        variants = VariantPanel(path=job.parent / values["variants_file"], region=region)
    if not len(variants):
        raise Invalid("there is no variant in the region", where=where, found=values["region"])
    if values["variants_digest"] not in ("", variants.digest):
        raise Invalid(
            "the variants are others than the job means",
            where=f"{where} variants_digest",
            expected=values["variants_digest"],
            found=variants.digest,
        )
    return variants


def _with_files(table: Mapping[str, Any], job: Path) -> dict[str, Any]:
    panel = dict(table)
    if "genes_file" in panel:
        name = config.Key(str).value(panel, "genes_file", f"{job.name} [panel]")
        file = job.parent / name
        del panel["genes_file"]
        try:
            lines = file.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid("the genes file cannot be read", where=file) from error
        panel["genes"] = [*panel.get("genes", []), *lines]
    return panel


def _cohort(row: object, where: str) -> Cohort:
    keys = {"label": config.Key(str), "criteria": config.Key(dict, default={})}
    values = config.check(row, keys, where=f"{where} [[cohorts]]")
    return Cohort.of(values["label"], values["criteria"])


def _question(
    row: object,
    cohorts: tuple[Cohort, ...],
    panel: Panel,
    variants: VariantPanel | None,
    where: str,
) -> Question:
    names = config.Key(list, default=[])
    values = config.check(
        row,
        {
            "name": config.Key(str),
            "cohorts": names,
            "complete": names,
            "parameters": config.Key(dict, default={}),
        },
        where=f"{where} [[analyses]]",
    )
    analysis = load(values["name"], values["parameters"], where=where)
    known = {cohort.label: cohort for cohort in cohorts}
    for label in values["cohorts"]:
        if not isinstance(label, str) or label not in known:
            raise unknown("cohort", label, known, where=f"{where}, {analysis.name}")
    chosen = tuple(known[label] for label in values["cohorts"]) or cohorts
    check_cohorts(analysis, chosen)
    if variants is not None and analysis.block_dim == "variants":
        panel = replace(panel, variants=next(variants.blocks(), ()))
    analysis.check(panel)
    return Question(analysis, chosen, tuple(map(str, values["complete"])), panel)
