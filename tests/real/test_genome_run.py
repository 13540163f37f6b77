"""HapMap asked on the command line, block by block, broken off and gone on with."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from plink import PRINTED, counts, plink, pooled

from eucan_dask.cli import main
from eucan_dask.links.in_process import InProcess
from eucan_dask.panel import BLOCK_VARIANTS

JOB = """format = 1
name = "hapmap"
purpose = "DUO:0000006"
tier = "controlled"
[panel]
variants_file = "sites.vcf.gz"
{region}
[[analyses]]
name = "allele_frequency"
[[analyses]]
name = "linear_association"
[analyses.parameters]
traits = ["male"]
"""
STOPPED = 130
NO_CALL_IN_JPT = "17:73103806:C:T"
N_CONSTANT = 8  # variants that do not vary: no estimate
REGION = "X:20,000,000-60,000,000"


@pytest.fixture(scope="module")
def folder(shared: Path, bcftools: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jobs over a sites-only VCF that bcftools made of the genotypes."""
    out = tmp_path_factory.mktemp("jobs")
    vcf = shared / "germline_hapmap" / "hapmap_279.vcf.gz"
    command = [bcftools, "view", "-G", "-Oz", "-o", out / "sites.vcf.gz", vcf]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    for name, region in (("genome", ""), ("region", f'region = "{REGION}"')):
        (out / f"{name}.toml").write_text(JOB.format(region=region), encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def genome(
    folder: Path, federation_file: Callable[[str], Path], tmp_path_factory
) -> tuple[Path, list[str]]:
    """The run directory of a run that broke off in the second block, and what was sent after."""
    out = tmp_path_factory.mktemp("run") / "out"
    command = ["run", str(folder / "genome.toml"), "--out", str(out)]
    command += ["--federation", str(federation_file("hapmap"))]
    sent: list[str] = []
    send = InProcess.send

    def counted(link: InProcess, raw: bytes) -> bytes:
        if stop and len(sent) >= 5:  # four sites have answered the first block, one the second
            raise KeyboardInterrupt
        sent.append(link._site.name)
        return send(link, raw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InProcess, "send", counted)
        stop = True
        assert main(command) == STOPPED
        assert not (out / "provenance.json").exists()
        assert main(command) == 2  # a directory with an unfinished run is not written over
        sent, stop = [], False
        assert main([*command, "--resume"]) == 0
    return out, sent


def test_run__the_first_block_is_not_asked_again(genome: tuple[Path, list[str]]) -> None:
    """One round for the second block of frequencies, two for each block of associations."""
    out, sent = genome
    assert len(sent) == 4 * (1 + 2 * 2)
    told = json.loads((out / "provenance.json").read_text())
    assert len(told["analyses"]) == 2
    assert (out / "report.html").exists()


def test_run__sites_vcf_read_by_bcftools_has_the_counts_of_plink2(
    genome: tuple[Path, list[str]],
    shared: Path,
    bcftools: str,
    plink2: str,
    tmp_path: Path,
) -> None:
    (vcf,) = genome[0].glob("1-allele_frequency*.vcf.gz")
    query = [bcftools, "query", "-f", r"%CHROM:%POS:%REF:%ALT\t%AC\t%AN\n", vcf]
    text = subprocess.run(query, check=True, capture_output=True, text=True).stdout  # noqa: S603
    rows = [line.split("\t") for line in text.splitlines()]
    folder = shared / "germline_hapmap"
    people = pd.read_csv(folder / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    pool = pooled(plink2, folder / "hapmap_279.vcf.gz", people, tmp_path)
    theirs = counts(plink2, pool, people["sample"], tmp_path / "counts")
    assert len(rows) == 9087 > BLOCK_VARIANTS
    assert [row[0] for row in rows] == list(theirs.index)
    assert [int(row[1]) for row in rows] == theirs["allele_count"].tolist()
    assert [int(row[2]) for row in rows] == theirs["allele_number"].tolist()


def test_run__gwas_ssf_has_the_estimates_of_plink2(
    genome: tuple[Path, list[str]], shared: Path, plink2: str, tmp_path: Path
) -> None:
    """Being male on autosomal variants, populations as dummies: those without a missing call."""
    (ssf,) = genome[0].glob("2-*.male.gwas-ssf.tsv.gz")
    with gzip.open(ssf, "rt") as stream:
        ours = pd.read_csv(stream, sep="\t", dtype={"chromosome": str})
    assert len(ours) == 9087 - N_CONSTANT
    places = ours["chromosome"] + ":" + ours["base_pair_location"].astype(str)
    ours.index = places + ":" + ours["other_allele"] + ":" + ours["effect_allele"]
    folder = shared / "germline_hapmap"
    people = pd.read_csv(folder / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    pool = pooled(plink2, folder / "hapmap_279.vcf.gz", people, tmp_path)
    sites = pd.get_dummies(people["population"], drop_first=True, dtype=int)
    table = pd.concat([people["sample"].rename("#IID"), sites], axis=1)
    table.to_csv(tmp_path / "covar.txt", sep="\t", index=False)
    male = (people["sex"] == "M") * 1.5  # plink2 takes 1 and 2 alone for cases and controls
    pd.DataFrame({"#IID": people["sample"], "male": male}).to_csv(
        tmp_path / "pheno.txt", sep="\t", index=False
    )
    files = ("--pheno", tmp_path / "pheno.txt", "--covar", tmp_path / "covar.txt")
    asked = ("--pfile", pool, "--autosome", *files, "--glm", "omit-ref", "hide-covar")
    out = plink(plink2, tmp_path / "glm", *asked)
    theirs = pd.read_csv(f"{out}.male.glm.linear", sep="\t").drop_duplicates("ID").set_index("ID")
    fitted = theirs["ERRCODE"] == "."
    # Nobody varies in the first; nobody of JPT has a call of the second, so that plink2's dummy
    # of JPT is constant, while ours takes JPT at the mean.
    assert set(theirs.index[~fitted]) == {"14:101854027:C:G", NO_CALL_IN_JPT}
    assert NO_CALL_IN_JPT in ours.index
    assert set(theirs.index[fitted]) <= set(ours.index)
    theirs = theirs[fitted & (theirs["OBS_CT"] == len(people))]
    assert len(theirs) > 3000
    ours = ours.loc[theirs.index]
    np.testing.assert_allclose(ours["beta"] * 1.5, theirs["BETA"], rtol=PRINTED, atol=1e-12)
    np.testing.assert_allclose(ours["standard_error"] * 1.5, theirs["SE"], rtol=PRINTED)
    np.testing.assert_allclose(ours["p_value"], theirs["P"], rtol=PRINTED)


def test_run__a_region_is_the_same_rows(
    folder: Path,
    genome: tuple[Path, list[str]],
    federation_file: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """The region's frequencies are those of the whole run."""
    command = ["run", str(folder / "region.toml"), "--out", str(tmp_path / "out")]
    assert main([*command, "--federation", str(federation_file("hapmap"))]) == 0
    part, whole = (
        pd.read_csv(next(out.glob("1-allele_frequency.frequency.tsv*")), sep="\t", dtype=str)
        for out in (tmp_path / "out", genome[0])
    )
    inside = (whole["contig"] == "X") & whole["position"].astype(int).between(20e6, 60e6)
    assert 20 < len(part) < 365
    pd.testing.assert_frame_equal(part, whole[inside].reset_index(drop=True))
