"""Federated genomics on Dask: one question, many centres, only disclosure-checked sums leave."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("eucan-dask")

# Public name -> module that defines it; loaded when first used.
_PUBLIC = {
    "AlleleFrequency": "eucan_dask.analyses.allele_frequency",
    "Analysis": "eucan_dask.analysis",
    "Catalogue": "eucan_dask.catalogue",
    "Cohort": "eucan_dask.cohort",
    "CohortSummary": "eucan_dask.analyses.cohort_summary",
    "CoxRegression": "eucan_dask.analyses.cox_regression",
    "EucanError": "eucan_dask.errors",
    "Federation": "eucan_dask.federation",
    "Invalid": "eucan_dask.errors",
    "IterativeAnalysis": "eucan_dask.analysis",
    "LinearAssociation": "eucan_dask.analyses.linear_association",
    "LogisticRegression": "eucan_dask.analyses.logistic_regression",
    "MutationFrequency": "eucan_dask.analyses.mutation_frequency",
    "NotEnoughSites": "eucan_dask.errors",
    "Panel": "eucan_dask.panel",
    "PartialSpec": "eucan_dask.partial",
    "Record": "eucan_dask.partial",
    "Refused": "eucan_dask.errors",
    "Result": "eucan_dask.result",
    "Roster": "eucan_dask.request",
    "Site": "eucan_dask.site",
    "SummaryField": "eucan_dask.analyses.cohort_summary",
    "Survival": "eucan_dask.analyses.survival",
    "Table": "eucan_dask.analysis",
    "Term": "eucan_dask.terms",
    "Unavailable": "eucan_dask.errors",
    "Variant": "eucan_dask.variant",
    "VariantPanel": "eucan_dask.variant_panel",
    "View": "eucan_dask.analysis",
    "export_vcf": "eucan_dask.store.export",
    "ingest_clinical": "eucan_dask.store.ingest",
    "ingest_maf": "eucan_dask.store.ingest",
    "ingest_plink": "eucan_dask.store.ingest_variants",
    "ingest_vcf": "eucan_dask.store.ingest_variants",
    "init_federation": "eucan_dask.init",
    "init_site": "eucan_dask.init",
    "open_store": "eucan_dask.store.open",
    "read_job": "eucan_dask.job",
    "run_job": "eucan_dask.run",
}

__all__ = ["__version__", *sorted(_PUBLIC)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'eucan_dask' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
