"""The golden tables are in step with R, with the splits and with the packaged expected numbers."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[2] / "shared" / "data"
TABLES = sorted(path.name for path in HERE.glob("*.tsv"))
EXPECTED = {
    *(f"km_{name}.tsv" for name in ("gbsg2", "kirc", "laml", "lgg", "lung")),
    *("cox_fit.tsv", "cox_terms.tsv", "logistic_fit.tsv", "logistic_terms.tsv"),
    *("logrank.tsv", "logrank_grid.tsv", "rmst.tsv"),
}
# golden column, packaged column
FIT_COLUMNS = (
    ("n", "n"),
    ("n_event", "events"),
    ("loglik_null", "loglik0"),
    ("loglik", "loglik1"),
    ("concordance", "concordance"),
)


def load(path: Path) -> ModuleType:
    """Load a file as a module, whatever the import path."""
    spec = importlib.util.spec_from_file_location(f"in_step_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path: Path) -> pd.DataFrame:
    """Read a golden or packaged table; only NA is missing."""
    return pd.read_csv(
        path,
        sep="\t",
        comment="#",
        float_precision="round_trip",
        keep_default_na=False,
        na_values=["NA"],
    )


def need(reason: str, *, present: bool) -> None:
    """Skip with the reason; fail where nothing may be skipped (CI=true)."""
    if present:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; under CI=true this may not be skipped")
    pytest.skip(reason)


def need_data() -> None:
    """Need the shared data."""
    need("the shared data is not beside the repository", present=DATA.is_dir())


def pick(table: pd.DataFrame, **key: object) -> pd.DataFrame:
    """Rows where every named column has the value; at least one."""
    for column, value in key.items():
        table = table[table[column] == value]
    assert len(table), f"no row with {key}"
    return table


def close(actual: pd.Series, expected: pd.Series, rtol: float = 1e-9) -> None:
    """Equal within rtol, positions not labels."""
    assert list(actual) == pytest.approx(list(expected), rel=rtol, abs=1e-13, nan_ok=True)


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All tables made again, about three seconds."""
    need_data()
    rscript = shutil.which("Rscript")
    need("Rscript is not installed", present=rscript is not None)
    probe = [str(rscript), "--vanilla", "-e", "library(survival)"]
    found = subprocess.run(probe, check=False, capture_output=True)  # noqa: S603
    need("R has no survival package", present=found.returncode == 0)
    out = tmp_path_factory.mktemp("golden")
    load(HERE / "make.py").make(out)
    return out


def test_tables__all_there() -> None:
    assert set(TABLES) == EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_tables__equal_what_r_says_now(remade: Path, name: str) -> None:
    pd.testing.assert_frame_equal(
        read(HERE / name), read(remade / name), check_exact=False, rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_tables__name_r_and_hold_no_ids(name: str) -> None:
    content = (HERE / name).read_text(encoding="utf-8")
    assert re.match(r"# R \d+\.\d+\.\d+, survival \d[\d.-]*; ", content)
    assert not re.search(r"TCGA-|gbsg2-\d", content)


@pytest.mark.parametrize(("cohort", "people"), [("kirc", 369), ("lgg", 511)])
def test_tcga_centre__every_site_listed_and_balanced(cohort: str, people: int) -> None:
    need_data()
    centres = load(HERE.parent / "centres.py")
    rows = read(DATA / "tcga_mc3" / f"mc3_{cohort}" / "clinical.tsv")
    ids = rows["Tumor_Sample_Barcode"].str[:12].drop_duplicates()
    sizes = ids.map(lambda barcode: centres.tcga_centre(barcode, cohort)).value_counts()
    assert set(centres.sites_of(cohort)) == set(ids.str[5:7])
    assert sizes.sum() == people
    assert len(sizes) == 4
    assert sizes.max() - sizes.min() <= 2


def test_seeded_centre__pinned() -> None:
    centres = load(HERE.parent / "centres.py")
    # printf '1:gbsg2-0001' | sha256sum, read as a hexadecimal number, modulo 3
    got = [centres.gbsg2_centre(centres.gbsg2_id(row)) for row in (1, 2, 3, 4, 5, 6)]
    assert got == [0, 1, 0, 1, 1, 0]
    sizes = pd.Series([centres.gbsg2_centre(centres.gbsg2_id(r + 1)) for r in range(686)])
    assert sorted(sizes.value_counts()) == [224, 228, 234]


def test_lung_centre__missing_institution_is_no_centre() -> None:
    centres = load(HERE.parent / "centres.py")
    assert centres.lung_centre(float("nan")) is None
    assert centres.lung_centre(1.0) == "first"
    assert len(centres.sites_of("lung")) == 18


@pytest.mark.parametrize("cohort", ["kirc", "lgg"])
def test_km__packaged(cohort: str) -> None:
    need_data()
    packaged = read(DATA / "tcga_mc3" / f"mc3_{cohort}" / "expected" / "r_survival_KM_OS.tsv")
    ours = pick(read(HERE / f"km_{cohort}.tsv"), unit="samples", by="none", width=1)
    both = ours.merge(packaged, on="time", suffixes=("", "_packaged"))
    assert len(both) == len(ours)
    close(both["survival"], both["surv"])
    close(both["log_low"], both["lower_log"])
    close(both["log_high"], both["upper_log"])
    # the packaged one is survfit$std.err, of log survival
    close(both["std_err"], both["std_err_packaged"] * both["surv"])
    for count in ("n_risk", "n_event", "n_censor"):
        close(both[count], both[f"{count}_packaged"])


@pytest.mark.parametrize("cohort", ["kirc", "lgg"])
def test_cox__packaged_age_sex(cohort: str) -> None:
    need_data()
    folder = DATA / "tcga_mc3" / f"mc3_{cohort}" / "expected"
    packaged = read(folder / "r_survival_cox_age_sex.tsv")
    key = {"dataset": cohort, "unit": "samples", "model": "age+male", "ties": "efron"}
    for theirs, ours in (("none", "none"), ("tissue_source_site", "centre+site")):
        rows = pick(packaged, strata=theirs)
        terms = pick(read(HERE / "cox_terms.tsv"), strata=ours, **key)
        fit = pick(read(HERE / "cox_fit.tsv"), strata=ours, **key)
        assert list(terms["term"]) == list(rows["term"])
        close(terms["coef"], rows["coef"])
        close(terms["se"], rows["se"])
        for mine, packed in FIT_COLUMNS:
            close(fit[mine], rows[packed][:1])


@pytest.mark.parametrize(
    ("dataset", "model", "theirs", "ours"),
    [
        ("gbsg2", "hormone+age+tsize+pnodes+progrec", "none", "none"),
        ("lung", "age+female+ecog", "inst", "inst"),
    ],
)
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox__packaged_clinical(
    dataset: str, model: str, theirs: str, ours: str, ties: str
) -> None:
    need_data()
    packaged = read(DATA / "survival" / "expected" / f"{dataset}_coxph.tsv")
    rows = pick(packaged, strata=theirs, ties=ties)
    key = {"dataset": dataset, "model": model, "strata": ours, "ties": ties}
    fit = pick(read(HERE / "cox_fit.tsv"), **key)
    terms = pick(read(HERE / "cox_terms.tsv"), **key)
    # the packaged fits stop at coxph's default eps of 1e-9; ours go on to 1e-13
    close(terms["coef"], rows["coef"], rtol=1e-7)
    close(terms["se"], rows["se"], rtol=1e-7)
    for mine, packed in FIT_COLUMNS:
        close(fit[mine], rows[packed][:1])


def test_logrank__packaged() -> None:
    need_data()
    ours = pick(read(HERE / "logrank.tsv"), strata="none")
    genes = read(DATA / "tcga_mc3" / "mc3_lgg" / "expected" / "r_survival_OS_by_gene.tsv")
    laml = read(DATA / "laml_maftools" / "expected" / "r_survival_OS_top20_genes.tsv")
    tests = read(DATA / "survival" / "expected" / "gbsg2_logrank.tsv")
    groups = read(DATA / "survival" / "expected" / "gbsg2_logrank_groups.tsv")
    lgg = pick(ours, dataset="lgg", unit="samples", contrast="idh1")
    close(lgg["chisq"][:1], pick(genes, gene="IDH1", endpoint="OS")["logrank_chisq"])
    close(lgg["expected"][1:], pick(genes, gene="IDH1", endpoint="OS")["exp_mut"])
    dnmt3a = pick(ours, dataset="laml")
    close(dnmt3a["chisq"][:1], pick(laml, genes="DNMT3A")["logrank_chisq"])
    hormone = pick(ours, dataset="gbsg2", contrast="hormone")
    close(hormone["chisq"][:1], pick(tests, test="logrank")["chisq"])
    close(hormone["expected"], groups["expected"])


def test_logrank_grid__idh1_as_near_as_stated() -> None:
    rows = pick(read(HERE / "logrank_grid.tsv"), contrast="idh1")
    for width, most in ((1, 0.0), (7, 0.012), (30, 0.039), (91, 0.068)):
        assert pick(rows, width=width)["relative_difference"].abs().max() <= most


def test_logistic__a_separated_centre_leaves_the_terms_finite() -> None:
    fit = pick(read(HERE / "logistic_fit.tsv"), dataset="lung", centre="inst")
    terms = pick(read(HERE / "logistic_terms.tsv"), dataset="lung", centre="inst")
    assert list(fit["n_separated"]) == [2]
    assert terms["se"].max() < 1
