"""Federations of real public cohorts, made through the real ingest, for tests and documents."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pandas as pd

from eucan_dask.init import init_federation, init_site
from eucan_dask.store.edit import withdraw
from eucan_dask.store.ingest import ingest_clinical, ingest_maf
from eucan_dask.store.open import open_store

HERE = Path(__file__).parent

CENTRE = """
[[fields]]
name = "centre"
column = "centre"
kind = "category"
open = true
"""


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
    emptied: Sequence[str] = (),
    genotypes: Callable[..., object] | None = None,
) -> Path:
    """A federation file over one cohort: each centre ingests its own rows of both tables.

    `centre_of` gives the centre of a row of the clinical table; None leaves the row out. From
    centres named in `emptied` everybody is withdrawn again. `genotypes` is given a centre's folder
    and rows, and ingests the calls of these people.
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
        if genotypes is not None:
            genotypes(own, held, store=store, **common)
        if centre in emptied:
            withdraw(store, list(open_store(store).dataset()["individual_id"].values))
        init_site(own / "site", name=str(centre), store=store, policy=policy)
        site = own / "site" / "site.toml"
        text = site.read_text().replace('kind = "local"', 'kind = "threads"')
        site.write_text(text.replace("threads = 2\n", ""))
        sites.append(str(own / "site"))
    init_federation(
        out / "federation.toml", sites, min_sites=min_sites, admit=True, overlap="excluded"
    )
    return out / "federation.toml"


def one_centre(row: pd.Series) -> str:
    """The centre where one centre holds everybody."""
    return "everybody"


def laml(
    out: Path,
    shared: Path,
    *,
    centre_of: Callable[[pd.Series], Hashable] | None = None,
    **options: str,
) -> Path:
    """TCGA-LAML of maftools, in three seeded centres unless `centre_of` says otherwise."""
    folder = shared / "laml_maftools"
    return federate(
        out,
        folder / "tcga_laml_annot.tsv",
        mapping="maftools_laml",
        maf=folder / "tcga_laml.maf.gz",
        centre_of=centre_of
        or (lambda row: f"centre{centres.laml_centre(row['Tumor_Sample_Barcode'])}"),
        **options,
    )


def laml_twice(
    out: Path, shared: Path, centre_of: Callable[[str], str], *, emptied: str
) -> tuple[Path, Path]:
    """TCGA-LAML in the centres that `centre_of` gives to a barcode, and the same people as one.

    Each person's centre is also a field, so that one centre that holds everybody can be asked for
    what the federation answers. The people of the centre `emptied` are withdrawn from it.
    """
    folder = shared / "laml_maftools"
    out.mkdir(parents=True)
    rows = pd.read_csv(folder / "tcga_laml_annot.tsv", sep="\t", dtype=str, keep_default_na=False)
    rows["centre"] = rows["Tumor_Sample_Barcode"].map(centre_of)
    rows.to_csv(out / "clinical.tsv", sep="\t", index=False)
    mapping = write_mapping(out / "mapping.toml", shipped("maftools_laml") + CENTRE)
    common = {"mapping": mapping, "maf": folder / "tcga_laml.maf.gz"}
    split = federate(
        out / "split",
        out / "clinical.tsv",
        centre_of=lambda row: row["centre"],
        emptied=(emptied,),
        **common,
    )
    pooled = federate(
        out / "pooled",
        out / "clinical.tsv",
        centre_of=lambda row: None if row["centre"] == emptied else "everybody",
        **common,
    )
    return split, pooled


def mc3(
    out: Path,
    shared: Path,
    cohort: str,
    *,
    mapping: str | Path = "tcga_cdr",
    centre_of: Callable[[pd.Series], Hashable] | None = None,
    **options: str,
) -> Path:
    """TCGA-KIRC or -LGG of MC3, tissue source sites grouped into four centres by default."""
    folder = shared / "tcga_mc3" / f"mc3_{cohort}"
    return federate(
        out,
        folder / "clinical.tsv",
        mapping=mapping,
        maf=folder / "mutations.maf.gz",
        centre_of=centre_of
        or (lambda row: centres.tcga_centre(row["Tumor_Sample_Barcode"], cohort)),
        **options,
    )


def mc3_barcodes(
    out: Path,
    shared: Path,
    cohort: str,
    *,
    centre_of: Callable[[pd.Series], Hashable] | None = None,
) -> Path:
    """The same with each barcode as an individual of its own, as packaged tables count."""
    out.mkdir(parents=True)
    text = shipped("tcga_cdr")
    lines = (
        'individual_id = "Tumor_Sample_Barcode_min"\nsample_id = "Tumor_Sample_Barcode"\n',
        'individual_id = "Tumor_Sample_Barcode"\n',
    )
    if lines[0] not in text:
        raise ValueError("the shipped mapping tcga_cdr names its ids in another way now")
    mapping = write_mapping(out / "barcodes.toml", text.replace(*lines))
    return mc3(out / "centres", shared, cohort, mapping=mapping, centre_of=centre_of)


def lung(
    out: Path,
    shared: Path,
    *,
    centre_of: Callable[[float], str | None] = centres.lung_centre,
) -> Path:
    """NCCTG lung cancer, institutions grouped into three centres by default.

    `centre_of` takes the institution, NaN where it is not known.
    """
    rows = _with_ids(shared / "survival" / "lung.tsv", out, lambda row: f"lung-{row:04d}")
    return federate(
        out,
        rows,
        mapping=HERE / "real" / "lung.toml",
        centre_of=lambda row: centre_of(float(row["inst"].replace("NA", "nan"))),
    )


def lung_institution(inst: float) -> str | None:
    """Each institution as a centre; None where it is not known."""
    return None if centres.lung_centre(inst) is None else f"institution{int(inst):02d}"


def lung_known(inst: float) -> str | None:
    """One centre for everybody whose institution is known."""
    return None if centres.lung_centre(inst) is None else "everybody"


def gbsg2(
    out: Path, shared: Path, *, centre_of: Callable[[pd.Series], Hashable] | None = None
) -> Path:
    """German breast cancer study 2, in three seeded centres unless `centre_of` says otherwise."""
    rows = _with_ids(shared / "survival" / "gbsg2.tsv", out, centres.gbsg2_id)
    return federate(
        out,
        rows,
        mapping=HERE / "real" / "gbsg2.toml",
        centre_of=centre_of or (lambda row: f"centre{centres.gbsg2_centre(row['person'])}"),
    )


def shipped(name: str) -> str:
    """The text of a shipped mapping."""
    return (files("eucan_dask.store") / "mappings" / f"{name}.toml").read_text(encoding="utf-8")


def write_mapping(path: Path, text: str) -> Path:
    """`path`, with a mapping written to it."""
    path.write_text(text, encoding="utf-8")
    return path


def _with_ids(table: Path, out: Path, id_of: Callable[[int], str]) -> Path:
    """A copy of a table without ids, with the column `person`: `id_of` the 1-based row."""
    out.mkdir(parents=True)
    rows = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False)
    rows["person"] = [id_of(row + 1) for row in range(len(rows))]
    path = out / "people.tsv"
    rows.to_csv(path, sep="\t", index=False)
    return path


BUILDERS: dict[str, Callable[[Path, Path], Path]] = {
    "laml": laml,
    "laml as one": partial(laml, centre_of=one_centre),
    "kirc": partial(mc3, cohort="kirc"),
    "kirc as one": partial(mc3, cohort="kirc", centre_of=one_centre),
    "kirc barcodes": partial(mc3_barcodes, cohort="kirc"),
    "kirc barcodes as one": partial(mc3_barcodes, cohort="kirc", centre_of=one_centre),
    "lgg": partial(mc3, cohort="lgg"),
    "lgg as one": partial(mc3, cohort="lgg", centre_of=one_centre),
    "lgg barcodes": partial(mc3_barcodes, cohort="lgg"),
    "lgg barcodes as one": partial(mc3_barcodes, cohort="lgg", centre_of=one_centre),
    "lung": lung,
    "lung as one": partial(lung, centre_of=lung_known),
    "lung institutions": partial(lung, centre_of=lung_institution),
    "gbsg2": gbsg2,
    "gbsg2 as one": partial(gbsg2, centre_of=one_centre),
}
