"""Simulated sites and federations, made through the real ingest, for tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from eucan_dask.init import init_federation, init_site
from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from eucan_dask.store.ingest_variants import ingest_vcf
from eucan_dask.testing.calls import write_vcf
from eucan_dask.testing.data import People, people, write_tables
from tests.asking import admit


def make_store(
    directory: Path,
    simulated: People,
    *,
    data_class: str = "synthetic",
    mutations: bool = True,
    genotypes: bool = False,
) -> Path:
    """A store of these people."""
    clinical, maf, assays = write_tables(simulated, directory / "tables")
    store = directory / "store"
    common = {"data_class": data_class, "unmatched": "keep"}
    ingest_clinical(clinical, store=store, mapping="plain", assembly="GRCh38", **common)
    if mutations:
        ingest_maf(maf, store=store, assembly="GRCh38", assay=assays, **common)
    if genotypes:
        vcf = write_vcf(simulated.calls, directory / "tables" / "calls.vcf")
        ingest_vcf(vcf, store=store, assembly="GRCh38", **common)
    return store


def edit(file: Path, values: Mapping[str, object]) -> None:
    """Set keys of a TOML file, each of which stands at the start of one line."""
    text = file.read_text(encoding="utf-8")
    for key, value in values.items():
        text, n = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert n == 1, f"{key} stands in {file.name} {n} times"
    file.write_text(text, encoding="utf-8")


def make_site(
    directory: Path,
    name: str,
    simulated: People,
    *,
    data_class: str = "synthetic",
    policy: str = "recommended",
    settings: Mapping[str, object] | None = None,
    kind: str = "synchronous",
    genotypes: bool = False,
) -> Path:
    """A site directory; `settings` are lines of its policy."""
    store = make_store(directory / name, simulated, data_class=data_class, genotypes=genotypes)
    site = directory / name / "site"
    init_site(site, name=name, store=store, policy=policy)
    edit(site / "policy.toml", settings or {})
    set_cluster(site, kind)
    admit(site)
    return site


def set_cluster(site: Path, kind: str) -> None:
    """The kind of cluster of a site."""
    text = (site / "site.toml").read_text(encoding="utf-8")
    head = text[: text.index("[cluster]")]
    (site / "site.toml").write_text(f'{head}[cluster]\nkind = "{kind}"\n', encoding="utf-8")


def make_federation(
    directory: Path,
    sizes: Sequence[int],
    *,
    seed: int = 0,
    min_sites: int = 1,
    policy: str = "recommended",
    settings: Mapping[str, object] | None = None,
    data_class: str = "synthetic",
) -> Path:
    """A federation file over sites "a", "b", ... of so many people each."""
    sites = []
    for number, size in enumerate(sizes):
        name = "abcdefgh"[number]
        simulated = people(size, seed=seed + number, centre=name)
        sites.append(
            str(
                make_site(
                    directory,
                    name,
                    simulated,
                    policy=policy,
                    settings=settings,
                    data_class=data_class,
                )
            )
        )
    init_federation(
        directory / "federation.toml", sites, min_sites=min_sites, admit=True, overlap="excluded"
    )
    return directory / "federation.toml"
