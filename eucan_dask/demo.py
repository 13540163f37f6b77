"""Three simulated centres on this machine, with planted truth beside what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eucan_dask.errors import Invalid
from eucan_dask.federation import Federation
from eucan_dask.init import init_federation, init_site
from eucan_dask.job import read_job
from eucan_dask.result import Result
from eucan_dask.run import Progress, run_job
from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from eucan_dask.testing.data import (
    GENE_FREQUENCY,
    TRUTH,
    covariates,
    log_hazard,
    people,
    write_tables,
)

__all__ = ["build_federation", "planted_beside_estimate", "run_demo"]

# Centres differ in size and baseline hazard (per day), as real ones do.
SEED = 2026
CENTRES = {"barcelona": (700, 0.0005), "heidelberg": (500, 0.0006), "toronto": (400, 0.0008)}


def run_demo(out: Path, *, progress: Progress | None = None) -> dict[str, Result]:
    """Simulate, ingest and ask; federation and run directory go into `out`.

    Raises
    ------
    Invalid
        If `out` exists and is not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise Invalid("is not empty", where=out, remedy="choose another directory with --out")
    file = build_federation(out / "federation", progress=progress)
    with as_file(files("eucan_dask") / "demo.toml") as path:
        job = read_job(path)
    with Federation.open(file) as federation:
        return run_job(
            job, federation, out / "run", progress=progress, truth=planted_beside_estimate
        )


def build_federation(out: Path, *, progress: Progress | None = None) -> Path:
    """Three centres' tables, stores and sites, and the federation file over them."""
    sites = []
    for number, (name, (n, hazard)) in enumerate(CENTRES.items()):
        centre = out / name
        simulated = people(n, seed=SEED + number, centre=name, hazard=hazard)
        clinical, maf, assays = write_tables(simulated, centre / "tables")
        store = centre / "store"
        ingest_clinical(
            clinical,
            store=store,
            mapping="plain",
            assembly="GRCh38",
            data_class="synthetic",
            progress=progress,
        )
        ingest_maf(
            maf,
            store=store,
            assembly="GRCh38",
            assay=assays,
            data_class="synthetic",
            unmatched="keep",
            progress=progress,
        )
        init_site(centre / "site", name=name, store=store, policy="public")
        sites.append(str(centre / "site"))
    init_federation(out / "federation.toml", sites, name="demo", min_sites=3)
    return out / "federation.toml"


def planted_beside_estimate(identifier: str, result: Result) -> Sequence[dict[str, Any]]:
    """Planted numbers and what the federation found, with its 95 % interval."""
    name = result.analysis.name
    if name in ("cox_regression", "logistic_regression"):
        prefix = "hr" if name == "cox_regression" else "or"
        frame = result.to_dataframe("terms").set_index("term")
        return [
            _row(f"{prefix.upper()} of {term}", np.exp(TRUTH[f"{prefix}:{term}"]), row, prefix)
            for term, row in frame.iterrows()
        ]
    if name == "mutation_frequency":
        frame = result.to_dataframe().set_index("gene")
        genes = {gene: f for gene, f in GENE_FREQUENCY.items() if gene != "TP53"}
        return [
            _row(f"share with {gene} mutated", f, frame.loc[gene], "frequency")
            for gene, f in genes.items()
        ]
    if name == "survival":
        frame = result.to_dataframe("curve")
        at = frame[frame["time"] == 1800].set_index("cohort")
        return [
            _row(
                f"survival at 1800 days, {cohort}",
                survival_at(1800, mutated),
                at.loc[cohort],
                "survival",
            )
            for cohort, mutated in (("TP53 mutated", True), ("TP53 not mutated", False))
        ]
    return [_male_share(result.to_dataframe("summary"))]


def _row(quantity: str, planted: float, row: Any, column: str) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "planted": float(planted),
        "estimate": float(row[column]),
        "low": float(row["low"]),
        "high": float(row["high"]),
    }


def _male_share(summary: pd.DataFrame) -> dict[str, Any]:
    """Share of men among those with and without TP53 mutated, together: planted at one half."""
    sex = summary[summary["field"] == "sex"].groupby("level")["count"].sum().astype(float)
    n = sex["female"] + sex["male"]
    share = sex["male"] / n
    half = 1.96 * np.sqrt(share * (1 - share) / n)
    return {
        "quantity": "share of men",
        "planted": 0.5,
        "estimate": float(share),
        "low": float(share - half),
        "high": float(share + half),
    }


def survival_at(day: float, mutated: bool) -> float:  # noqa: FBT001
    """Planted survival of people with TP53 mutated or not, averaged over 400,000 draws."""
    drawn = covariates(400_000, np.random.default_rng(20_000))
    own = drawn["TP53"] == mutated
    risk = np.exp(log_hazard(drawn)[own])
    sizes = np.array([n for n, _ in CENTRES.values()], dtype=float)
    curves = [np.exp(-hazard * day * risk).mean() for _, hazard in CENTRES.values()]
    return float(np.average(curves, weights=sizes))
