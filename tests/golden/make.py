"""Make the golden tables: prepare the public cohorts, let R's survival package compute, write TSVs.

Run `python tests/golden/make.py` from anywhere; needs Rscript with the survival package and the
shared data beside the repository. Per-person tables exist only in a temporary directory.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DATA = ROOT.parent / "shared" / "data"


def load(path: Path) -> ModuleType:
    """Load a file as a module, without putting its folder on the import path."""
    spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


centres = load(HERE.parent / "centres.py")


def non_silent() -> tuple[str, ...]:
    """Read `NON_SILENT` of eucan_dask/variables.py from the source, so no package is needed."""
    tree = ast.parse((ROOT / "eucan_dask" / "variables.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "NON_SILENT":
            return tuple(ast.literal_eval(node.value))
    raise LookupError("eucan_dask/variables.py has no NON_SILENT")


def text(path: Path) -> pd.DataFrame:
    """Table of text; nothing is read as missing."""
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)


def number(column: pd.Series) -> pd.Series:
    """Floats; what is no finite number (empty, NA, -Inf, [Not Available]) is missing."""
    values = pd.to_numeric(column, errors="coerce")
    return values.where(np.isfinite(values))


def mutated(maf: pd.DataFrame, gene: str, ids: pd.Series, length: int | None) -> pd.Series:
    """1 where an id (first `length` characters of the barcode) is non-silently mutated, else 0."""
    rows = maf[(maf["Hugo_Symbol"] == gene) & maf["Variant_Classification"].isin(non_silent())]
    return ids.str[:length].isin(rows["Tumor_Sample_Barcode"].str[:length]).astype(int)


def tcga(cohort: str, unit: str) -> pd.DataFrame:
    """MC3 cohort, one row a person (`individuals`) or a sample barcode (`samples`)."""
    folder = DATA / "tcga_mc3" / f"mc3_{cohort}"
    maf = text(folder / "mutations.maf.gz")
    rows = text(folder / "clinical.tsv")
    rows = rows[rows["Tumor_Sample_Barcode"].isin(maf["Tumor_Sample_Barcode"])]
    length = None
    if unit == "individuals":
        length = 12
        rows = rows[~rows["Tumor_Sample_Barcode"].str[:12].duplicated()]
    ids = rows["Tumor_Sample_Barcode"]
    grade = rows["CDR_histological_grade"]
    return pd.DataFrame(
        {
            "time": number(rows["CDR_OS.time"]),
            "event": number(rows["CDR_OS"]),
            "age": number(rows["CDR_age_at_initial_pathologic_diagnosis"]),
            "male": rows["CDR_gender"].map({"MALE": 1, "FEMALE": 0}),
            "idh1": mutated(maf, "IDH1", ids, length),
            "histology": rows["CDR_histological_type"],
            "grade": grade.where(grade.str.fullmatch(r"G[1-4]")),
            "centre": [centres.tcga_centre(barcode, cohort) for barcode in ids],
            "site": ids.str[5:7],
        }
    )


def laml() -> pd.DataFrame:
    """TCGA LAML of maftools: the people of the MAF."""
    maf = text(DATA / "laml_maftools" / "tcga_laml.maf.gz")
    rows = text(DATA / "laml_maftools" / "tcga_laml_annot.tsv")
    ids = rows["Tumor_Sample_Barcode"].str[:12]
    rows = rows[ids.isin(maf["Tumor_Sample_Barcode"].str[:12])]
    ids = rows["Tumor_Sample_Barcode"]
    return pd.DataFrame(
        {
            "time": number(rows["days_to_last_followup"]),
            "event": number(rows["Overall_Survival_Status"]),
            "dnmt3a": mutated(maf, "DNMT3A", ids, 12),
            "centre": [centres.laml_centre(barcode) for barcode in ids],
        }
    )


def lung() -> pd.DataFrame:
    """NCCTG lung cancer without the one person whose institution is not known."""
    rows = pd.read_csv(DATA / "survival" / "lung.tsv", sep="\t")
    rows = rows[rows["inst"].notna()]
    return pd.DataFrame(
        {
            "time": rows["time"],
            "event": (rows["status"] == 2).astype(int),
            "age": rows["age"],
            "female": rows["sex"] - 1,
            "ecog": rows["ph.ecog"],
            "inst": rows["inst"].astype(int),
            "centre": rows["inst"].map(centres.lung_centre),
        }
    )


def gbsg2() -> pd.DataFrame:
    """German breast cancer study 2."""
    rows = pd.read_csv(DATA / "survival" / "gbsg2.tsv", sep="\t")
    ids = [centres.gbsg2_id(row + 1) for row in range(len(rows))]
    kept = rows[["time", "age", "tsize", "pnodes", "progrec", "tgrade"]]
    return kept.assign(
        event=rows["cens"],
        hormone=(rows["horTh"] == "yes").astype(int),
        centre=[centres.gbsg2_centre(person) for person in ids],
    )


def write_inputs(folder: Path) -> None:
    """Write the per-person tables R reads; missing is NA. No ids are written."""
    for cohort in ("kirc", "lgg"):
        for unit in ("individuals", "samples"):
            frame = tcga(cohort, unit)
            frame.to_csv(folder / f"{cohort}_{unit}.tsv", sep="\t", index=False, na_rep="NA")
    for name, frame in (("laml", laml()), ("lung", lung()), ("gbsg2", gbsg2())):
        path = folder / f"{name}_individuals.tsv"
        frame.to_csv(path, sep="\t", index=False, na_rep="NA")


def make(out: Path) -> None:
    """Write all golden tables into `out`.

    Raises
    ------
    FileNotFoundError
        Rscript or the shared data is absent.
    subprocess.CalledProcessError
        R stopped; its own words are on stderr.
    """
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise FileNotFoundError("Rscript is not installed: apt-get install r-cran-survival")
    if not DATA.is_dir():
        raise FileNotFoundError("the shared data is not beside the repository (../shared/data)")
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        command = [rscript, "--vanilla", str(HERE / "survival.R"), folder, str(out)]
        subprocess.run(command, check=True, timeout=600)  # noqa: S603  (our own script)


def main(arguments: list[str]) -> None:
    """Command line: `--out DIR`, by default this folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE)
    make(parser.parse_args(arguments).out)


if __name__ == "__main__":
    main(sys.argv[1:])
