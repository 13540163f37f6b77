"""Scans in small blocks: a federation with genotypes, a job over them, and what it leaves."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from eucan_dask import federation as federation_module
from eucan_dask import panel, variant_panel
from eucan_dask.federation import Federation
from eucan_dask.init import init_federation, init_site
from eucan_dask.job import Job, read_job
from eucan_dask.links import Link
from eucan_dask.rounds import Member
from eucan_dask.run import run_job
from eucan_dask.testing.data import People, people
from eucan_dask.variant_panel import VariantPanel
from tests.simulated import edit, make_store, set_cluster

IDS = ("1-allele_frequency", "2-linear_association")
PURPOSE = "DUO:0000006"
# Shares of ALT; with a limit of five some variants are hidden at some sites.
SHARES: Mapping[str, float] = {
    **{f"1:{1000 + 10 * i}:A:G": (0.4, 0.06, 0.2, 0.0)[i % 4] for i in range(9)},
    **{f"2:{500 + i}:C:CT": 0.1 * i for i in range(1, 6)},
    "X:20000:G:T": 0.3,
    "X:70000000:T:C": 0.35,
    "Y:20000000:A:T": 0.4,
    "MT:150:C:T": 0.3,
}
HELD = tuple(SHARES)
LIMITS = ("individuals", "cell", "carriers", "non_carriers", "residual_dof")
LACKING = ("1:1005:A:G", "1:1040:A:T", "3:7:A:G")  # no site has them
COMPLETE = ("body_mass_index", "age_at_diagnosis")  # so that both ask about the same people
LABELS = tuple(VariantPanel.of([*HELD, *LACKING]))
JOB = """format = 1
name = "scan"
purpose = "DUO:0000006"
tier = "controlled"
[panel]
variants_file = "panel.txt"
[[analyses]]
name = "allele_frequency"
complete = ["body_mass_index", "age_at_diagnosis"]
[[analyses]]
name = "linear_association"
[analyses.parameters]
traits = ["body_mass_index"]
terms = ["age_at_diagnosis"]
"""


def sites_people() -> list[People]:
    """Who is at the sites "a" and "b"."""
    return [
        people(size, seed=50 + number, centre="ab"[number], variants=SHARES)
        for number, size in enumerate((70, 60))
    ]


def make_scan_federation(directory: Path) -> Path:
    """A federation over two sites, without somatic mutations."""
    settings = {f"min_{name}": 5 for name in LIMITS} | {"max_parameter_ratio": 1.0}
    sites = []
    for name, some in zip("ab", sites_people(), strict=True):
        store = make_store(directory / name, some, mutations=False, genotypes=True)
        site = directory / name / "site"
        init_site(site, name=name, store=store, policy="recommended")
        edit(site / "policy.toml", settings | {"controlled_aggregators": '["none"]'})
        set_cluster(site, "synchronous")
        sites.append(str(site))
    init_federation(
        directory / "federation.toml", sites, min_sites=1, admit=True, overlap="excluded"
    )
    (directory / "panel.txt").write_text("\n".join(LABELS), encoding="utf-8")
    (directory / "job.toml").write_text(JOB, encoding="utf-8")
    return directory / "federation.toml"


def copied(file: Path, to: Path) -> Path:
    """The same sites with ledgers of their own; the stores are shared."""
    shutil.copytree(
        file.parent,
        to,
        ignore=shutil.ignore_patterns("store", "tables", "node"),
        dirs_exist_ok=True,
    )
    for site in to.glob("*/site"):
        store = file.parent / site.parent.name / "store"
        edit(site / "site.toml", {"store": json.dumps(str(store))})
    return to / file.name


def small_blocks(patch: pytest.MonkeyPatch, size: int) -> None:
    """Blocks of `size` variants, wherever that is looked up."""
    for module in (panel, variant_panel, federation_module):
        patch.setattr(module, "BLOCK_VARIANTS", size)
    patch.setattr(VariantPanel.blocks, "__defaults__", (size,))


class Counting(Link):
    """A link that notes the run and round of everything sent; it may fail from some message on."""

    prompt = True

    def __init__(self, inner: Link, *, fails: Exception | None = None, after: int = 0) -> None:
        self.inner, self.fails, self.after = inner, fails, after
        self.sent: list[bytes] = []

    def hello(self) -> dict[str, Any]:
        return self.inner.hello()

    def send(self, raw: bytes) -> bytes:
        if self.fails is not None and len(self.sent) >= self.after:
            raise self.fails
        self.sent.append(raw)
        return self.inner.send(raw)

    def close(self) -> None:
        self.inner.close()


def counted(file: Path, **links: tuple[Exception, int]) -> tuple[Federation, list[Counting]]:
    """The federation with links that count; some of which fail after so many messages."""
    opened = Federation.open(file)
    wrapped = []
    for member in opened.members:
        error, after = links.get(member.name, (None, 0))
        wrapped.append(Counting(member.link, fails=error, after=after))
    members = [Member(m.name, w, m.key) for m, w in zip(opened.members, wrapped, strict=True)]
    again = Federation(
        members,
        name=opened.name,
        min_sites=opened.min_sites,
        thresholds=opened.thresholds,
        key=opened.key,
        overlap="excluded",
    )
    return again, wrapped


def put(file: Path, out: Path, *, resume: bool = False) -> None:
    """The job of this federation run, or gone on with."""
    with Federation.open(file) as federation:
        run_job(job_of(file), federation, out, resume=resume)


def job_of(file: Path) -> Job:
    return read_job(file.parent / "job.toml")


def left(out: Path) -> tuple[dict[str, bytes], dict[str, xr.Dataset]]:
    """Content of every table and format of a run, and its numbers."""
    tables = {}
    for path in sorted(out.iterdir()):
        if path.is_file() and path.name != "provenance.json":
            data = path.read_bytes()
            packed = path.name.endswith(".gz") and not path.name.endswith(".vcf.gz")
            tables[path.name] = gzip.decompress(data) if packed else data
    numbers = {}
    for identifier in IDS:
        with xr.open_zarr(out / "result.zarr", group=identifier) as ds:
            numbers[identifier] = ds.load()
    return tables, numbers


def assert_same(out: Path, whole: tuple[dict[str, bytes], dict[str, xr.Dataset]]) -> None:
    """A run left what the unbroken one did."""
    tables, numbers = left(out)
    assert set(tables) == set(whole[0])
    for name, data in whole[0].items():
        assert tables[name] == data, name
    for identifier, ds in whole[1].items():
        xr.testing.assert_identical(numbers[identifier].drop_attrs(), ds.drop_attrs())
        for coord in ("variants", "variant_contig"):
            np.testing.assert_array_equal(numbers[identifier][coord], ds[coord])
