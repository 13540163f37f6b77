"""Three simulated centres on this machine, with planted truth beside what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eucan_dask.analyses.mutation_frequency import wilson
from eucan_dask.errors import Invalid
from eucan_dask.federation import Federation
from eucan_dask.init import init_federation, init_site
from eucan_dask.job import read_job
from eucan_dask.result import Result
from eucan_dask.run import run_job
from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from eucan_dask.store.ingest_variants import ingest_vcf
from eucan_dask.testing.calls import VARIANT_FREQUENCY, write_vcf
from eucan_dask.testing.data import people, write_tables
from eucan_dask.testing.planted import GENE_FREQUENCY, TRUTH, covariates, log_hazard
from eucan_dask.variant_panel import VariantPanel
from eucan_dask.waiting import Progress

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
    path = out / "demo.toml"
    path.write_text((files("eucan_dask") / "demo.toml").read_text("utf-8"), encoding="utf-8")
    (out / "panel.txt").write_text("\n".join(demo_variants()) + "\n", encoding="utf-8")
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
        simulated = people(
            n, seed=SEED + number, centre=name, hazard=hazard, variants=demo_variants()
        )
        clinical, maf, assays = write_tables(simulated, centre / "tables")
        vcf = write_vcf(simulated.calls, centre / "tables" / "genotypes.vcf")
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
        ingest_vcf(
            vcf,
            store=store,
            assembly="GRCh38",
            data_class="synthetic",
            unmatched="keep",
            progress=progress,
        )
        init_site(centre / "site", name=name, store=store, policy="public")
        sites.append(str(centre / "site"))
    init_federation(
        out / "federation.toml", sites, name="demo", min_sites=3, overlap="excluded", admit=True
    )
    return out / "federation.toml"


def demo_variants() -> dict[str, float]:
    """Frequencies of ALT of variants all over the genome, most of them rare, in genome order."""
    rng = np.random.default_rng(SEED)
    drawn = dict(VARIANT_FREQUENCY)
    for contig in (*map(str, range(1, 23)), "X"):
        for position in 3_000_000 + np.sort(rng.choice(40_000_000, 45, replace=False)):
            ref, alt = rng.permutation(list("ACGT"))[:2]
            drawn[f"{contig}:{position}:{ref}:{alt}"] = float(rng.beta(0.5, 1.5))
    return {label: drawn[label] for label in VariantPanel.of(drawn).labels}


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
    if name == "allele_frequency":
        frame = result.to_dataframe().set_index("variant")
        return [
            _frequency(label, planted, frame.loc[label])
            for label, planted in VARIANT_FREQUENCY.items()
            if planted > 0
        ]
    if name == "linear_association":
        frame = result.to_dataframe("association").set_index("variant")
        rows = {label: frame.loc[label] for label in VARIANT_FREQUENCY if f"beta:{label}" in TRUTH}
        return [_effect(label, row) for label, row in rows.items()]
    return [_male_share(result.to_dataframe("summary"))]


def _row(quantity: str, planted: float, row: Any, column: str) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "planted": float(planted),
        "estimate": float(row[column]),
        "low": float(row["low"]),
        "high": float(row["high"]),
    }


def _frequency(label: str, planted: float, row: Any) -> dict[str, Any]:
    low, high = wilson(np.array(row["allele_count"]), np.array(row["allele_number"], float))
    ends = {"low": float(low), "high": float(high)}
    return _row(f"frequency of {label}", planted, {**row, **ends}, "frequency")


def _effect(label: str, row: Any) -> dict[str, Any]:
    half = 1.96 * row["se"]
    ends = {"low": row["beta"] - half, "high": row["beta"] + half}
    return _row(f"kg/m2 a copy of {label}", TRUTH[f"beta:{label}"], {**row, **ends}, "beta")


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
