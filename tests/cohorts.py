"""Federations of real public cohorts, made through the real ingest, for tests and documents."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Hashable
from pathlib import Path
from types import ModuleType

import pandas as pd

from eucan_dask.init import init_federation, init_site
from eucan_dask.store.ingest import ingest_clinical, ingest_maf

HERE = Path(__file__).parent


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


centres = _load("centres")


def federate(
    out: Path,
    clinical: Path,
    *,
    mapping: str | Path,
    centre_of: Callable[[pd.Series], Hashable],
    maf: Path | None = None,
    barcode: str = "Tumor_Sample_Barcode",
    assembly: str = "GRCh37",
    data_class: str = "public",
    policy: str = "public",
    min_sites: int | None = None,
    comment: str | None = None,
) -> Path:
    """A federation file over one cohort: each centre ingests its own rows of both tables.

    `centre_of` gives the centre of a row of the clinical table; None leaves the row out.
    """
    rows = pd.read_csv(clinical, sep="\t", dtype=str, keep_default_na=False, comment=comment)
    where = rows.apply(centre_of, axis=1)
    mutations = None
    if maf is not None:
        mutations = pd.read_csv(maf, sep="\t", dtype=str, keep_default_na=False, comment="#")
    sites = []
    for centre in sorted(c for c in where.unique() if c is not None):
        own = out / str(centre)
        own.mkdir(parents=True)
        held = rows[where == centre]
        held.to_csv(own / "clinical.tsv", sep="\t", index=False)
        store = own / "store"
        common = {"assembly": assembly, "data_class": data_class, "unmatched": "keep"}
        ingest_clinical(own / "clinical.tsv", store=store, mapping=mapping, **common)
        if mutations is not None:
            mine = mutations[mutations[barcode].isin(held[barcode])]
            mine.to_csv(own / "mutations.maf", sep="\t", index=False)
            ingest_maf(own / "mutations.maf", store=store, **common)
        init_site(own / "site", name=str(centre), store=store, policy=policy)
        site = own / "site" / "site.toml"
        text = site.read_text().replace('kind = "local"', 'kind = "threads"')
        site.write_text(text.replace("threads = 2\n", ""))
        sites.append(str(own / "site"))
    init_federation(out / "federation.toml", sites, min_sites=min_sites)
    return out / "federation.toml"


def laml(out: Path, shared: Path, **options: str) -> Path:
    """TCGA-LAML of maftools in three seeded centres."""
    folder = shared / "laml_maftools"
    return federate(
        out,
        folder / "tcga_laml_annot.tsv",
        mapping="maftools_laml",
        maf=folder / "tcga_laml.maf.gz",
        centre_of=lambda row: f"centre{centres.laml_centre(row['Tumor_Sample_Barcode'])}",
        **options,
    )


def mc3(out: Path, shared: Path, cohort: str, **options: str) -> Path:
    """TCGA-KIRC or -LGG of MC3, tissue source sites grouped into four centres."""
    folder = shared / "tcga_mc3" / f"mc3_{cohort}"
    return federate(
        out,
        folder / "clinical.tsv",
        mapping="tcga_cdr",
        maf=folder / "mutations.maf.gz",
        centre_of=lambda row: centres.tcga_centre(row["Tumor_Sample_Barcode"], cohort),
        **options,
    )
