"""Simulated people with known truth, as tables to ingest or as a store's dataset in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.testing.calls import VARIANT_FREQUENCY, draw_calls, packed_calls
from eucan_dask.testing.planted import (
    GENE_FREQUENCY,
    HAZARD_PER_DAY,
    body_mass,
    covariates,
    log_hazard,
)
from eucan_dask.variables import VARIANT_CLASSIFICATIONS

__all__ = [
    "People",
    "dataset",
    "people",
    "renamed",
    "split",
    "write_tables",
]

STAGES = ("0", "I", "II", "III", "IV")
TARGETED = ("BRAF", "EGFR", "IDH1", "KRAS", "PIK3CA", "TP53")  # genes of the panel assay
CLASSES = ("Missense_Mutation", "Nonsense_Mutation", "Silent")


@dataclass(frozen=True)
class People:
    """Simulated people.

    Parameters
    ----------
    clinical
        One row a biosample: individual_id, sample_id, age_at_diagnosis (years), sex, stage,
        overall_survival_days, overall_survival_event, body_mass_index (kg/m2); NaN or None
        where missing.
    mutations
        One row a mutation: sample_id, gene, classification, position.
    sample_assay
        "exome" (every gene), "panel" (`TARGETED`) or "" (not assayed), by sample_id.
    calls
        Copies of ALT as a column a variant (-1 missing) and a row a genotyped biosample, by
        sample_id.
    """

    clinical: pd.DataFrame
    mutations: pd.DataFrame
    sample_assay: Mapping[str, str]
    calls: pd.DataFrame = field(default_factory=pd.DataFrame)


def people(
    n: int,
    *,
    seed: int,
    centre: str = "",
    hazard: float = HAZARD_PER_DAY,
    missing: float = 0.03,
    panel_share: float = 0.2,
    second_biosample: float = 0.1,
    variants: Mapping[str, float] = VARIANT_FREQUENCY,
) -> People:
    """`n` simulated people of one centre.

    Survival is exponential with the hazard ratios of `TRUTH`; TP53 follows the odds ratios;
    other genes are independent with `GENE_FREQUENCY`. Withdrawal is uniform over 500-4,000 days.

    Parameters
    ----------
    missing
        Share of ages, stages and endpoints that are missing.
    panel_share
        Share of people assayed by a panel only.
    second_biosample
        Share of people with a second biosample that repeats the mutations of the first.
    variants
        Frequency of ALT of each variant that everybody was genotyped for.
    """
    rng = np.random.default_rng(seed)
    drawn = covariates(n, rng)
    age, male = drawn["age_at_diagnosis"], drawn["male"]
    mutated = {g: rng.random(n) < f for g, f in GENE_FREQUENCY.items()}
    mutated["TP53"] = drawn["TP53"]
    log_hr = log_hazard(drawn)
    death = rng.exponential(1 / (hazard * np.exp(log_hr)))
    withdrawal = rng.uniform(500, 4000, n)
    lacks = rng.random((3, n)) < missing
    ids = [f"{centre}{'-' if centre else ''}p{i:05d}" for i in range(n)]
    frame = pd.DataFrame(
        {
            "individual_id": ids,
            "sample_id": [f"{person}-t1" for person in ids],
            "age_at_diagnosis": np.where(lacks[0], np.nan, age),
            "sex": np.where(male, "male", "female"),
            "stage": pd.Series(rng.choice(STAGES[1:], n)).mask(lacks[1], None),
            "overall_survival_days": np.where(
                lacks[2], np.nan, np.ceil(np.minimum(death, withdrawal))
            ),
            "overall_survival_event": np.where(lacks[2], np.nan, (death <= withdrawal) * 1.0),
        }
    )
    assay = np.where(rng.random(n) < panel_share, "panel", "exome")
    assay[rng.random(n) < missing] = ""
    simulated = _with_biosamples(frame, mutated, assay, rng.random(n) < second_biosample, rng)
    return _with_calls(simulated, drawn, variants, seed=seed, missing=missing)


def _with_calls(
    simulated: People,
    drawn: Mapping[str, NDArray[Any]],
    frequency: Mapping[str, float],
    *,
    seed: int,
    missing: float,
) -> People:
    """The same people genotyped, a person's biosamples alike, and with a body-mass index."""
    rows = simulated.clinical
    calls = draw_calls(rows["individual_id"], rows["sex"], frequency, seed=seed, missing=missing)
    first = ~rows["individual_id"].duplicated()
    index = body_mass(drawn, calls[first.to_numpy()], seed=seed)
    index[np.random.default_rng([seed, 3]).random(index.size) < missing] = np.nan
    ids = dict(zip(rows["individual_id"][first], index, strict=True))
    return replace(
        simulated,
        clinical=rows.assign(body_mass_index=rows["individual_id"].map(ids)),
        calls=calls.set_axis(rows["sample_id"]),
    )


def _with_biosamples(
    frame: pd.DataFrame,
    mutated: Mapping[str, NDArray[Any]],
    assay: NDArray[Any],
    twice: NDArray[Any],
    rng: np.random.Generator,
) -> People:
    rows = []
    for g, (gene, carriers) in enumerate(mutated.items()):
        silent = rng.random(len(frame)) < 0.02
        for i in np.flatnonzero(carriers | silent):
            if not assay[i] or (assay[i] == "panel" and gene not in TARGETED):
                continue
            kind = CLASSES[int(rng.random() < 0.3)] if carriers[i] else "Silent"
            position = 1000 * (g + 1) + int(rng.integers(0, 900))
            rows.append((frame["sample_id"][i], gene, kind, position))
    mutations = pd.DataFrame(rows, columns=["sample_id", "gene", "classification", "position"])
    second = frame[twice].assign(sample_id=frame["individual_id"][twice] + "-t2")
    to_second = dict(zip(frame["sample_id"][twice], second["sample_id"], strict=True))
    repeated = mutations[mutations["sample_id"].isin(list(to_second))]
    repeated = repeated.assign(sample_id=repeated["sample_id"].map(to_second))
    sample_assay = dict(zip(frame["sample_id"], map(str, assay), strict=True))
    sample_assay |= {b: sample_assay[a] for a, b in to_second.items()}
    clinical = pd.concat([frame, second]).sort_values(["individual_id", "sample_id"])
    everything = pd.concat([mutations, repeated]).sort_values(["sample_id", "position"])
    return People(clinical.reset_index(drop=True), everything.reset_index(drop=True), sample_assay)


def dataset(simulated: People) -> xr.Dataset:
    """The dataset a store of these people opens as, without the store."""
    rows = simulated.clinical.sort_values(["individual_id", "sample_id"])
    persons = rows.drop_duplicates("individual_id")
    ids = persons["individual_id"].to_numpy(object)
    samples = rows["sample_id"].to_numpy(object)
    owner = np.searchsorted(ids.astype(str), rows["individual_id"].to_numpy(str))
    number = {"kind": "number"}
    missing = pd.Series(np.nan, index=persons.index)
    event = persons["overall_survival_event"].to_numpy(np.float64)
    one, many = ("individuals",), ("samples",)
    ds = xr.Dataset(
        {
            "individual_id": (one, ids),
            "individual_age_at_diagnosis": (
                one,
                persons["age_at_diagnosis"].to_numpy(np.float64),
                {**number, "unit": "years"},
            ),
            "individual_body_mass_index": (
                one,
                persons.get("body_mass_index", missing).to_numpy(np.float64),
                {**number, "unit": "kg/m2"},
            ),
            "individual_sex": (one, *_codes(persons["sex"], ("female", "male", "other"))),
            "individual_stage": (one, *_codes(persons["stage"], STAGES)),
            "individual_overall_survival_days": (
                one,
                persons["overall_survival_days"].to_numpy(np.float64),
                {**number, "unit": "days"},
            ),
            "individual_overall_survival_event": (
                one,
                np.where(np.isnan(event), -1, event).astype(np.int8),
                {"kind": "boolean"},
            ),
            "sample_id": (many, samples),
            "sample_individual": (many, owner.astype(np.int32)),
        }
    )
    return (
        ds.assign_attrs(assembly="GRCh38")
        .merge(_somatic(simulated, samples))
        .merge(packed_calls(simulated, samples))
    )


def _codes(values: pd.Series, categories: Sequence[str]) -> tuple[NDArray[Any], dict[str, object]]:
    codes = pd.Categorical(values, categories=list(categories)).codes.astype(np.int16)
    return codes, {"kind": "category", "categories": list(categories), "open": False}


def _somatic(simulated: People, samples: NDArray[Any]) -> xr.Dataset:
    genes = np.array(sorted(GENE_FREQUENCY), dtype=object)
    assays = ("exome", "panel")
    index = {sample: i for i, sample in enumerate(samples)}
    rows = simulated.mutations
    owner = rows["sample_id"].map(index).to_numpy(np.int64)
    order = np.argsort(owner, kind="stable")
    gene = np.searchsorted(genes.astype(str), rows["gene"].to_numpy(str))[order]
    kind = [VARIANT_CLASSIFICATIONS.index(c) for c in rows["classification"].iloc[order]]
    assayed = [simulated.sample_assay[sample] for sample in samples]
    covered = np.array([[True, gene in TARGETED] for gene in genes])
    chunk = max(1, order.size // 2)

    def lazy(values: NDArray[Any]) -> Any:
        return da.from_array(values, chunks=chunk)

    return xr.Dataset(
        {
            "sample_assay": (
                ("samples",),
                np.array([assays.index(a) if a else -1 for a in assayed], np.int16),
            ),
            "assay_id": (("assays",), np.array(assays, dtype=object)),
            "assay_all_genes": (("assays",), np.array([True, False])),
            "gene_symbol": (("genes",), genes),
            "gene_assayed": (("genes", "assays"), covered),
            "mutation_sample": (("mutations",), lazy(owner[order].astype(np.int32))),
            "mutation_gene": (("mutations",), lazy(gene.astype(np.int32))),
            "mutation_classification": (("mutations",), lazy(np.array(kind, np.int8))),
        }
    )


def split(simulated: People, of: NDArray[Any]) -> list[People]:
    """The same people over several sites.

    Parameters
    ----------
    of
        Site number of each person, in order of individual id; -1 leaves a person out. Sites
        0 .. max are returned, empty ones too.
    """
    ids = sorted(set(simulated.clinical["individual_id"]))
    site = dict(zip(ids, of, strict=True))
    where = simulated.clinical["individual_id"].map(site)
    parts = []
    for number in range(int(of.max(initial=-1)) + 1):
        rows = simulated.clinical[where == number]
        kept = simulated.mutations["sample_id"].isin(rows["sample_id"])
        assay = {s: simulated.sample_assay[s] for s in rows["sample_id"]}
        calls = simulated.calls[simulated.calls.index.isin(rows["sample_id"])]
        parts.append(People(rows, simulated.mutations[kept], assay, calls))
    return parts


def renamed(simulated: People, rng: np.random.Generator) -> People:
    """The same people under shuffled names, and so in another order."""
    old = sorted(set(simulated.clinical["individual_id"]))
    new = dict(zip(old, [f"q{i:05d}" for i in rng.permutation(len(old))], strict=True))
    rows = simulated.clinical
    person = rows["individual_id"].map(new)
    own = person + "-" + rows["sample_id"].str.rsplit("-", n=1).str[-1]
    samples = dict(zip(rows["sample_id"], own, strict=True))
    mutations = simulated.mutations
    return People(
        rows.assign(individual_id=person, sample_id=own),
        mutations.assign(sample_id=mutations["sample_id"].map(samples)),
        {samples[sample]: kind for sample, kind in simulated.sample_assay.items()},
        simulated.calls.rename(index=samples),
    )


def write_tables(simulated: People, directory: Path) -> tuple[Path, Path, Path]:
    """A centre's tables: clinical.tsv (mapping "plain"), mutations.maf, assays.toml."""
    directory.mkdir(parents=True, exist_ok=True)
    clinical, maf, assays = (
        directory / name for name in ("clinical.tsv", "mutations.maf", "assays.toml")
    )
    frame = simulated.clinical.copy()
    frame["overall_survival_event"] = frame["overall_survival_event"].astype("Int64")
    frame.to_csv(clinical, sep="\t", index=False, na_rep="NA")
    rows = simulated.mutations
    pd.DataFrame(
        {
            "Hugo_Symbol": rows["gene"],
            "NCBI_Build": "GRCh38",
            "Chromosome": "1",
            "Start_Position": rows["position"],
            "End_Position": rows["position"],
            "Variant_Classification": rows["classification"],
            "Variant_Type": "SNP",
            "Reference_Allele": "C",
            "Tumor_Seq_Allele1": "C",
            "Tumor_Seq_Allele2": "T",
            "Tumor_Sample_Barcode": rows["sample_id"],
        }
    ).to_csv(maf, sep="\t", index=False)
    held = {
        kind: [s for s, a in simulated.sample_assay.items() if a == kind]
        for kind in ("exome", "panel")
    }
    quoted = {kind: ", ".join(f'"{s}"' for s in samples) for kind, samples in held.items()}
    genes = ", ".join(f'"{gene}"' for gene in TARGETED)
    assays.write_text(
        f'[[assays]]\nid = "exome"\nall_genes = true\nsamples = [{quoted["exome"]}]\n\n'
        f'[[assays]]\nid = "panel"\ngenes = [{genes}]\nsamples = [{quoted["panel"]}]\n',
        encoding="utf-8",
    )
    return clinical, maf, assays
