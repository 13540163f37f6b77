"""What genotypes cost: ingest against bio2zarr and plink2; bytes, tasks, memory and time of a scan.

Simulated calls, so that anyone can repeat it: `make bench-genomes`. CPU seconds are those of the
whole process tree; ratios are medians over runs made in turn. Memory is the peak of the summed
resident sets of the tree.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pysam

BIN = Path(sys.executable).parent
SITES = 3


def simulate(directory: Path, n: int, m: int, *, missing: float) -> tuple[Path, pd.DataFrame]:
    """A bgzipped, indexed VCF of `n` people and `m` variants of contig 22, and their table."""
    rng = np.random.default_rng(7)
    ids = [f"p{i:06d}" for i in range(n)]
    fixed = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT".split()
    words = np.array(["\t0/0", "\t0/1", "\t1/1", "\t./."])
    plain = directory / "calls.vcf"
    effect = np.zeros(n)
    with plain.open("w") as out:
        out.write("##fileformat=VCFv4.3\n##contig=<ID=22>\n")
        out.write('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n')
        out.write("\t".join([*fixed, *ids]) + "\n")
        for v in range(m):
            codes = rng.binomial(2, rng.beta(0.2, 1.2), n)
            effect += (v % 1000 == 0) * 0.3 * codes
            codes[rng.random(n) < missing] = 3
            out.write(f"22\t{1000 + 20 * v}\t.\tA\tG\t.\tPASS\t.\tGT{''.join(words[codes])}\n")
    packed = directory / "calls.vcf.gz"
    pysam.tabix_compress(str(plain), str(packed), force=True)
    pysam.tabix_index(str(packed), preset="vcf", force=True)
    plain.unlink()
    people = pd.DataFrame({"individual_id": ids, "sex": "female"})
    people["age_at_diagnosis"] = rng.normal(60, 10, n).clip(20, 90).round(1)
    people["body_mass_index"] = (25 + effect + rng.normal(0, 3, n)).clip(10, 80).round(3)
    return packed, people


def measured(command: Sequence[str | Path]) -> dict[str, float]:
    """Wall and CPU seconds and peak MiB of a command with all its children."""
    start = time.perf_counter()
    before = os.times()
    process = psutil.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _resident(process))
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user
    return {
        "wall_s": time.perf_counter() - start,
        "cpu_s": cpu - before.children_system,
        "peak_mib": peak / 2**20,
    }


def _resident(process: psutil.Process) -> int:
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        return total
    return total


def ingest(vcf: Path, directory: Path, repeats: int) -> None:
    """CPU seconds of ours, plink2 and bio2zarr on the same file, in turn."""
    ours = ["ingest", "vcf", vcf, "--assembly", "GRCh38", "--data-class", "synthetic", "--store"]
    commands = {
        "eucan-dask": [BIN / "eucan-dask", *ours, directory / "store"],
        "plink2": ["plink2", "--vcf", vcf, "--make-pgen", "--out", directory / "plink"],
        "bio2zarr": [BIN / "vcf2zarr", "convert", "--force", "--no-progress", vcf]
        + [directory / "zarr"],
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            shutil.rmtree(directory / "store", ignore_errors=True)
            found[name].append(measured(command))
    print("\ningest: median wall s, CPU s, peak MiB; CPU as a multiple of ours")
    for name, runs in found.items():
        wall, cpu, peak = (statistics.median(r[k] for r in runs) for k in runs[0])
        own = [r["cpu_s"] for r in found["eucan-dask"]]
        ratio = statistics.median(r["cpu_s"] / o for r, o in zip(runs, own, strict=True))
        print(f"  {name:12}{wall:8.1f}{cpu:8.1f}{peak:8.0f}{ratio:8.2f}")


def centres(vcf: Path, people: pd.DataFrame, directory: Path) -> Path:
    """A federation of sites that share the people out."""
    sites = []
    for number in range(SITES):
        own = people.iloc[number::SITES]
        home = directory / f"site{number}"
        home.mkdir()
        own.to_csv(home / "clinical.tsv", sep="\t", index=False)
        part = home / "calls.vcf.gz"
        (home / "ids").write_text("\n".join(own["individual_id"]) + "\n")
        subprocess.run(["bcftools", "view", "-S", home / "ids", "-Oz", "-o", part, vcf], check=True)
        common = ["--store", home / "store", "--assembly", "GRCh38", "--data-class", "synthetic"]
        for command in (
            ["ingest", "clinical", home / "clinical.tsv", "--mapping", "plain", *common],
            ["ingest", "vcf", part, *common],
            ["site", "init", home / "site", "--name", f"site{number}", "--store", home / "store"]
            + ["--public"],
        ):
            _ours(command)
        sites += ["--site", home / "site"]
    _ours(["federation", "init", directory / "federation.toml", "--admit", *sites])
    return directory / "federation.toml"


def _ours(command: Sequence[str | Path]) -> None:
    words = list(map(str, (BIN / "eucan-dask", *command)))
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


JOB = """format = 1
name = "bench"
purpose = "DUO:0000006"
tier = "controlled"
[panel]
variants_file = "panel.vcf.gz"
[[analyses]]
name = "{name}"
[analyses.parameters]
{parameters}
"""
PARAMETERS = {
    "allele_frequency": "",
    "linear_association": 'traits = ["body_mass_index"]\nterms = ["age_at_diagnosis"]',
}


def scans(vcf: Path, people: pd.DataFrame, directory: Path, repeats: int) -> None:
    """A run over every variant at three sites in one process, against plink2 on the pool."""
    federation = centres(vcf, people, directory)
    sites_only = ["bcftools", "view", "-G", "-Oz", "-o", directory / "panel.vcf.gz", vcf]
    subprocess.run(sites_only, check=True)
    table = people.assign(IID=people["individual_id"])
    table[["IID", "body_mass_index"]].to_csv(directory / "pheno", sep="\t", index=False)
    table[["IID", "age_at_diagnosis"]].to_csv(directory / "covar", sep="\t", index=False)
    pool = ["plink2", "--pfile", directory / "plink", "--out", directory / "peer"]
    model = ["--glm", "hide-covar", "--pheno", directory / "pheno", "--covar", directory / "covar"]
    peers = {
        "allele_frequency": [*pool, "--freq", "counts", "--hardy", "--missing"],
        "linear_association": [*pool, *model, "--covar-variance-standardize"],
    }
    print("\nscan: bytes in and out a site, tasks a site, wall s, CPU s, peak MiB; plink2's CPU s")
    for name, parameters in PARAMETERS.items():
        job = directory / f"{name}.toml"
        job.write_text(JOB.format(name=name, parameters=parameters))
        ours, theirs = [], []
        for number in range(repeats):
            out = directory / f"{name}{number}"
            run = [BIN / "eucan-dask", "run", job, "--federation", federation, "--out", out]
            ours.append(measured(run))
            theirs.append(measured(peers[name]))
        entry = json.loads((out / "provenance.json").read_text())["analyses"][0]
        site = entry["sites"][0]
        own = {k: statistics.median(r[k] for r in ours) for k in ours[0]}
        ratio = statistics.median(
            o["cpu_s"] / t["cpu_s"] for o, t in zip(ours, theirs, strict=True)
        )
        print(
            f"  {name:20}{site['bytes_in']:>12,}{site['bytes_out']:>12,}{site['n_tasks']:>5}"
            f"{own['wall_s']:>8.1f}{own['cpu_s']:>8.1f}{own['peak_mib']:>8.0f}"
            f"   ours / plink2, CPU: {ratio:.1f}"
        )


def main() -> None:
    """Simulate, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--people", type=int, default=2_500)
    arguments.add_argument("--variants", type=int, default=40_000)
    arguments.add_argument("--missing", type=float, default=0.002)
    arguments.add_argument("--repeats", type=int, default=3)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        vcf, people = simulate(directory, asked.people, asked.variants, missing=asked.missing)
        print(f"{asked.people:,} people, {asked.variants:,} variants, {vcf.stat().st_size:,} bytes")
        ingest(vcf, directory, asked.repeats)
        scans(vcf, people, directory, asked.repeats)


if __name__ == "__main__":
    main()
