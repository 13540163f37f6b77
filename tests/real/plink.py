"""plink2 on the pooled data: what the real cohorts' genotypes are held against."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

PRINTED = 6e-6  # plink2 prints six digits


def plink(program: str, out: Path, *arguments: str | Path) -> Path:
    """Run plink2; its results begin with `out`."""
    command = [program, *map(str, arguments), "--out", str(out), "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return out


def pooled(program: str, vcf: Path, people: pd.DataFrame, work: Path) -> Path:
    """The pooled VCF as a plink2 fileset with `people`'s column `sex`: F, M or empty."""
    work.mkdir(parents=True, exist_ok=True)
    codes = people["sex"].map({"F": "2", "M": "1"}).fillna("0")
    sexes = pd.DataFrame({"#IID": people["sample"], "SEX": codes})
    sexes.to_csv(work / "sex.txt", sep="\t", index=False)
    more = ("--update-sex", work / "sex.txt", "--set-all-var-ids", "@:#:$r:$a", "--make-pgen")
    return plink(program, work / "pooled", "--vcf", vcf, *more)


def counts(program: str, fileset: Path, samples: Iterable[str], work: Path) -> pd.DataFrame:
    """Of these people by variant: allele_count, allele_number, n_missing."""
    common = ("--pfile", fileset, *keep(samples, work))
    out = plink(program, work / "all", *common, "--freq", "counts", "--missing", "variant-only")
    return pd.DataFrame(
        {
            "allele_count": column(f"{out}.acount", "ALT_CTS"),
            "allele_number": column(f"{out}.acount", "OBS_CT"),
            "n_missing": column(f"{out}.vmiss", "MISSING_CT"),
        }
    )


def hardy(program: str, fileset: Path, samples: Iterable[str], work: Path) -> pd.DataFrame:
    """Of these people by variant: hwe_p_value, and joint_p on X.

    `joint_p` is what plink2 calls P on X: a test of women's proportions and men's frequency at
    once (Graffelman & Weir 2016). Ours is the one that plink2 gives for women alone.
    """
    common = ("--pfile", fileset, *keep(samples, work), "--hardy")
    out = plink(program, work / "both", *common)
    women = plink(program, work / "women", *common, "--keep-females")
    x = column(f"{women}.hardy.x", "P")
    autosomes = [column(f"{out}.hardy", "P")] if Path(f"{out}.hardy").exists() else []
    found = pd.concat([*autosomes, x]).astype(float).rename("hwe_p_value").to_frame()
    return found.assign(joint_p=column(f"{out}.hardy.x", "P").astype(float))


def keep(samples: Iterable[str], work: Path) -> tuple[str, Path]:
    """The flag that keeps only these people."""
    work.mkdir(parents=True, exist_ok=True)
    (work / "keep.txt").write_text("\n".join(["#IID", *samples]) + "\n")
    return ("--keep", work / "keep.txt")


def column(path: str, name: str) -> pd.Series:
    """A column by variant, each variant once; rows of one that stands twice are the same."""
    table = pd.read_csv(path, sep="\t", dtype={"#CHROM": str})
    found = table.drop_duplicates(["ID", name]).set_index("ID")[name]
    assert found.index.is_unique
    return found
