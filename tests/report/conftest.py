"""Build run directories as `run --out` writes them: plausible glioma data, nothing real."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

TAIL = ["n_sites", "coverage", "suppressed", "reason"]
FEW = "fewer than 5 individuals"
COHORTS = ("IDH mutant, 1p/19q codeleted", "IDH mutant", "IDH wild type")
GENES = (
    "IDH1 TP53 ATRX CIC EGFR FUBP1 PTEN NOTCH1 PIK3CA NF1 PIK3R1 SMARCA4 ARID1A ZBTB20 TCF12 RB1 "
    "SETD2 IDH2 BCOR DNMT3A PTPN11 PDGFRA"
).split()


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a result table; rows hold the own columns and the last four."""
    lines = ["\t".join([*columns, *TAIL]), *("\t".join(map(_cell, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "NA" if np.isnan(value) else repr(float(value))
    return str(value)


def shown(*cells: object, n_sites: int = 2) -> list[object]:
    """A row with nothing hidden."""
    return [*cells, n_sites, 0.97, False, ""]


def hidden(*cells: object, reason: str = FEW) -> list[object]:
    """A row with a hidden cell: None."""
    return [*cells, 2, 0.97, True, reason]


def curve_rows(
    cohorts: Mapping[str, tuple[int, float]], *, last: int = 3650, step: int = 30, seed: int = 3
) -> list[list[object]]:
    """Kaplan-Meier rows for exponential times: (number, median in days) for each cohort."""
    rng = np.random.default_rng(seed)
    rows = []
    for label, (n, median) in cohorts.items():
        times = rng.exponential(median / np.log(2), n)
        ends = rng.uniform(0.15 * last, 1.3 * last, n)
        survival, variance = 1.0, 0.0
        for time in range(0, last + 1, step):
            before = time - step
            seen = np.minimum(times, ends)
            at_risk = int((seen > before).sum())
            event = int(((times <= ends) & (times > before) & (times <= time)).sum())
            censored = int(((ends < times) & (ends > before) & (ends <= time)).sum())
            if at_risk < 10 and time:
                rows.append(hidden(label, time, None, None, None, None, None, None))
                continue
            survival *= 1 - event / at_risk
            variance += event / (at_risk * max(at_risk - event, 1))
            half = 1.96 * np.sqrt(variance) / max(-np.log(survival), 1e-9) if survival < 1 else 0
            low, high = (survival ** np.exp(s * half) for s in (1, -1))
            rows.append(shown(label, time, at_risk, event, censored, survival, low, high))
    return rows


def gene_rows(genes: Sequence[str], cohorts: Sequence[str], *, seed: int = 5) -> list[list[object]]:
    """Frequencies that fall along `genes`; some hidden with an interval, some without, some NA."""
    rng = np.random.default_rng(seed)
    rows = []
    for j, cohort in enumerate(cohorts):
        n = (169, 248, 92, 60, 120, 77)[j % 6]
        for i, gene in enumerate(genes):
            k = int(rng.binomial(n, min(0.9, 0.75 * np.exp(-0.28 * i) * rng.uniform(0.2, 1.6))))
            p, z = k / n, 1.96
            centre = (p + z * z / (2 * n)) / (1 + z * z / n)
            half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
            low, high = max(centre - half, 0.0), centre + half
            if (i, j) in {(4, 0), (9, 2)}:
                rows.append(shown(gene, "non_silent", cohort, *[float("nan")] * 5, n_sites=0))
            elif 0 < k < 4 and (i + j) % 3:
                rows.append(hidden(gene, "non_silent", cohort, None, n, None, 0.0, 5 / n + 0.03))
            elif 0 < k < 5:
                rows.append(hidden(gene, "non_silent", cohort, None, n, None, None, None))
            else:
                rows.append(shown(gene, "non_silent", cohort, k, n, p, low, high))
    return rows


def cox_rows() -> list[list[object]]:
    """A Cox model's terms: a wide interval, a hidden term and an undefined one among them."""
    nan = float("nan")
    terms = [
        ("age at diagnosis, per 10 years", 0.548, 0.071, 1.3e-14),
        ("sex: male", 0.131, 0.118, 0.267),
        ("grade: G3", 0.774, 0.149, 2.1e-7),
        ("IDH1 mutated", -1.122, 0.163, 5.8e-12),
        ("TP53 mutated", 0.087, 0.141, 0.537),
        ("CIC mutated", -0.545, 0.226, 0.016),
        ("EGFR mutated", 0.916, 0.2, 4.6e-6),
        ("PTPN11 mutated", 2.9, 1.4, 0.038),
    ]
    rows = [
        shown(t, b, se, *(float(np.exp(b + z * se)) for z in (0, -1.96, 1.96)), p)
        for t, b, se, p in terms
    ]
    rows.insert(7, hidden("PDGFRA mutated", *[None] * 6))
    return [*rows, shown("site: Lyon", nan, nan, nan, nan, nan, nan)]


def level_rows(cohorts: Sequence[str], *, seed: int = 11) -> list[list[object]]:
    """Counts of the levels of a few clinical fields."""
    rng = np.random.default_rng(seed)
    fields = {
        "sex": ("female", "male"),
        "grade": ("G2", "G3", "not reported"),
        "histology": ("astrocytoma", "oligoastrocytoma", "oligodendroglioma", "glioblastoma"),
        "age_at_diagnosis": (
            "18 to 29",
            "30 to 39",
            "40 to 49",
            "50 to 59",
            "60 to 69",
            "70 to 90",
        ),
    }
    rows = []
    for field, levels in fields.items():
        for cohort, n in zip(cohorts, (169, 248, 92, 60, 120, 77), strict=False):
            for level, k in zip(
                levels, rng.multinomial(n, rng.dirichlet([2.0] * len(levels))), strict=True
            ):
                few = 0 < k < 8
                rows.append(
                    (hidden if few else shown)(cohort, field, level, None if few else int(k))
                )
    place = next(i for i, r in enumerate(rows) if r[:3] == [cohorts[0], "grade", "G3"])
    rows[place] = shown(cohorts[0], "grade", "G3", float("nan"))
    return rows


def provenance(**changes: Any) -> dict[str, Any]:
    """The keys of a run that is not about any one analysis."""
    return {
        "format": 1,
        "name": "lgg-drivers",
        "purpose": "DUO:0000006",
        "tier": "open",
        "aggregator": "none",
        "started": "2025-05-14T09:27:41+00:00",
        "finished": "2025-05-14T09:31:02+00:00",
        "data_class": "synthetic",
        "public_policy": False,
        "versions": {"eucan-dask": "0.1.0", "dask": "2024.8.0", "xarray": "2025.1.2"},
        "code_digest": "sha256:3f1c9a7be22d",
        "min_sites": 2,
        "overlap": "unknown",
        "sites": [site("Barcelona"), site("Berlin"), site("Lyon", "refused")],
        "cohorts": [],
        "analyses": [],
        **changes,
    }


def site(name: str, status: str = "answered") -> dict[str, Any]:
    """A site of the run."""
    reason = "rule purposes: DUO:0000006 is not among this site's purposes; ask its data steward"
    return {
        "site": name,
        "status": status,
        "data_class": "synthetic",
        "freeze": "9f2c41d07ab3" if status == "answered" else None,
        "assembly": "GRCh37",
        "reason": None if status == "answered" else reason,
    }


def analysis(
    name: str, tables: Sequence[str], views: Sequence[dict[str, Any]], **changes: Any
) -> dict[str, Any]:
    """An analysis of the run whose tables are `1-<name>.<table>.tsv`."""
    finding = {
        "rule": "min_cell",
        "variable": "gene_n_mutated",
        "message": "7 cells hidden",
        "threshold": 5,
    }
    return {
        "id": f"1-{name}",
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "equals": None,
        "tables": {table: f"1-{name}.{table}.tsv" for table in tables},
        "views": list(views),
        "truth": None,
        "rounds": 1,
        "seconds": 2.4,
        "roster": ["Barcelona", "Berlin"],
        "sites": [
            {
                "site": s,
                "status": "answered",
                "membership": "may differ by fewer than 10 people",
                "n_tasks": n,
                "seconds": t,
                "bytes_in": 1840,
                "bytes_out": out,
                "n_suppressed_cells": gone,
                "findings": [finding] if gone else [],
            }
            for s, n, t, out, gone in (
                ("Barcelona", 14, 1.84, 23_410, 7),
                ("Berlin", 9, 1.21, 23_410, 0),
            )
        ],
        **changes,
    }


VIEWS: dict[str, dict[str, Any]] = {
    "curve": {
        "kind": "curve",
        "table": "curve",
        "title": "Overall survival",
        "x": "time",
        "y": "survival",
        "by": "cohort",
        "low": "low",
        "high": "high",
        "options": {"at_risk": "n_at_risk", "censored": "n_censored"},
    },
    "bar_interval": {
        "kind": "bar_interval",
        "table": "genes",
        "title": "Individuals with a mutation",
        "x": "gene",
        "y": "frequency",
        "by": "cohort",
        "low": "low",
        "high": "high",
        "options": {},
    },
    "forest": {
        "kind": "forest",
        "table": "terms",
        "title": "Hazard ratios",
        "x": "hr",
        "y": "term",
        "by": None,
        "low": "low",
        "high": "high",
        "options": {},
    },
    "histogram": {
        "kind": "histogram",
        "table": "summary",
        "title": "Levels of each field",
        "x": "level",
        "y": "count",
        "by": "cohort",
        "facet": "field",
    },
    "table": {
        "kind": "table",
        "table": "rmst",
        "title": "Restricted mean survival time",
        "x": None,
        "y": None,
    },
}
COLUMNS = {
    "summary": ["cohort", "field", "level", "count"],
    "genes": ["gene", "class", "cohort", "n_mutated", "n_assayed", "frequency", "low", "high"],
    "curve": ["cohort", "time", "n_at_risk", "n_event", "n_censored", "survival", "low", "high"],
    "logrank": ["contrast", "strata", "statistic", "df", "p_value"],
    "rmst": ["cohort", "horizon", "rmst", "se"],
    "terms": ["term", "coef", "se", "hr", "low", "high", "p_value"],
}


def write_run(
    directory: Path, record: Mapping[str, Any], rows: Mapping[str, Sequence[Sequence[object]]]
) -> Path:
    """Write provenance.json and the table of each name in `rows`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    for entry in record["analyses"]:
        for name, file in entry["tables"].items():
            write_table(directory / file, COLUMNS[name], rows[name])
    return directory


def glioma(
    directory: Path,
    *,
    cohorts: Sequence[str] = COHORTS,
    genes: Sequence[str] = GENES,
    **changes: Any,
) -> Path:
    """A run with every kind of figure, hidden and undefined cells, and a site that refuses."""
    medians = (3600.0, 2300.0, 760.0, 1500.0, 2900.0, 1100.0)
    numbers = (169, 248, 92, 60, 120, 77)
    groups = {c: (n, m) for c, n, m in zip(cohorts, numbers, medians, strict=False)}
    rows = {
        "summary": level_rows(cohorts),
        "genes": gene_rows(genes, cohorts),
        "curve": curve_rows(groups),
        "logrank": [shown("all cohorts", "none", 118.2, len(cohorts) - 1, 2.1e-26)],
        "rmst": [shown(c, 1825, 1825 * 0.4 + m / 5, 41.237519) for c, (_, m) in groups.items()],
        "terms": cox_rows(),
    }
    rows["rmst"][-1] = hidden(cohorts[-1], 1825, None, None)
    truth = [
        {
            "quantity": "hazard ratio, IDH1 mutated",
            "planted": 0.33,
            "estimate": 0.3256,
            "low": 0.2366,
            "high": 0.4482,
        },
        {
            "quantity": "hazard ratio, grade G3",
            "planted": 3.1,
            "estimate": 2.168,
            "low": 1.619,
            "high": 2.904,
        },
    ]
    record = provenance(
        cohorts=[
            {"label": c, "description": f"individuals with field molecular_subtype equal to {c!r}"}
            for c in cohorts
        ],
        analyses=[
            analysis(
                "cohort_summary", ["summary"], [VIEWS["histogram"]], equals="table(field, cohort)"
            ),
            analysis(
                "mutation_frequency",
                ["genes"],
                [VIEWS["bar_interval"]],
                equals="maftools::getGeneSummary; binom::binom.wilson",
            ),
            analysis(
                "survival",
                ["curve", "logrank", "rmst"],
                [VIEWS["curve"], VIEWS["table"]],
                equals="survival::survfit(Surv(time, event) ~ cohort); survdiff",
            ),
            analysis(
                "cox_regression",
                ["terms"],
                [VIEWS["forest"]],
                rounds=5,
                truth=truth,
                equals='survival::coxph(Surv(time, event) ~ age + sex + ..., ties = "breslow")',
            ),
        ],
        **changes,
    )
    return write_run(directory, record, rows)


@pytest.fixture
def build() -> SimpleNamespace:
    """The builders of this file, for tests that need another run than `run_directory`."""
    return SimpleNamespace(
        analysis=analysis,
        columns=COLUMNS,
        curve_rows=curve_rows,
        glioma=glioma,
        hidden=hidden,
        provenance=provenance,
        shown=shown,
        views=VIEWS,
        write_run=write_run,
        write_table=write_table,
    )


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """The run of `glioma` in a fresh directory."""
    return glioma(tmp_path / "run")
