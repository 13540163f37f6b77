"""Bringing a site's files into its store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eucan_dask.store.clinical import Clinical
from eucan_dask.store.clinical_table import read_clinical
from eucan_dask.store.freeze import writing
from eucan_dask.store.inputs import (
    clinical_input,
    maf_inputs,
    refuse_second,
    settings,
    unchanged,
)
from eucan_dask.store.manifest import Manifest
from eucan_dask.store.mapping import read_mapping
from eucan_dask.store.shards import (
    Progress,
    load_clinical,
    load_genotyped,
    load_somatic,
    matched,
    publish,
    read_mutations,
)
from eucan_dask.store.somatic import Somatic

__all__ = ["Paths", "ingest_clinical", "ingest_maf"]

Paths = Path | str | Sequence[Path | str]


def ingest_maf(
    inputs: Paths,
    *,
    store: Path | str,
    assembly: str,
    assay: Path | str | None = None,
    assayed: Path | str | None = None,
    data_class: str | None = None,
    unmatched: str = "refuse",
    name: str | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Put the mutations of one or more MAF files into a store; the first ingest makes the store.

    Parameters
    ----------
    inputs
        MAF files, plain or gzip, that together are the store's mutations.
    store
        The store's directory.
    assembly
        NCBI36, GRCh37, GRCh38 or CHM13; every row of the files must agree.
    assay
        A TOML file of assays; without it everything is one exome.
    assayed
        A list of samples that were sequenced, one a line: those without a mutation are in no MAF,
        and a sample that is neither in a MAF nor listed is unknown, not wild type.
    data_class
        "personal" (where nothing is said), "public" or "synthetic".
    unmatched
        "refuse" samples that only the MAF or only the clinical table knows, or "keep" them.
    name
        The store's name; its directory's where nothing is said.
    progress
        Called with done, total and a word on what is being done.

    Returns
    -------
    The new freeze's manifest; `unchanged` if the same input is in the store already.

    Raises
    ------
    Invalid
        If a file cannot be read as MAF (names file and line), disagrees with the store, holds
        samples the clinical table does not know, or the store has mutations already.
    Unavailable
        If another ingest is at work on the store.
    """
    paths = [Path(p) for p in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    options = [Path(p) if p is not None else None for p in (assay, assayed)]
    with writing(Path(store), create=True) as building:
        chosen = settings(building, assembly, data_class, unmatched)
        new = maf_inputs(paths, assay=options[0], assayed=options[1], unmatched=unmatched)
        if same := unchanged(building, new):
            return same
        refuse_second(building, "somatic")
        somatic, notes = read_mutations(paths, options[0], options[1], assembly, progress)
        clinical = load_clinical(building)
        if clinical:
            clinical, more = matched(
                clinical,
                somatic,
                load_genotyped(building),
                unmatched=unmatched,
                data_class=chosen["data_class"],
            )
            notes = (*notes, *more)
        shards = {"somatic": somatic, "clinical": clinical}
        return publish(building, shards, new, notes, name=name, **chosen)


def ingest_clinical(
    table: Path | str,
    *,
    store: Path | str,
    mapping: Path | str,
    assembly: str | None = None,
    data_class: str | None = None,
    unmatched: str = "refuse",
    name: str | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Put a clinical table into a store; the first ingest makes the store.

    Parameters
    ----------
    table
        A text table with one row a person, or a biosample.
    mapping
        The name of a shipped mapping, or the path of a TOML file.
    store, assembly, data_class, unmatched, name, progress
        As for `ingest_maf`; a store of clinical data alone needs no assembly.

    Returns
    -------
    The new freeze's manifest; `unchanged` if the same table is in the store already.

    Raises
    ------
    Invalid
        If a value is not what the mapping says (names file, line, field and value), or as for
        `ingest_maf`.
    Unavailable
        If another ingest is at work on the store.
    """
    with writing(Path(store), create=True) as building:
        chosen = settings(building, assembly, data_class, unmatched)
        rules = read_mapping(mapping)
        new = (clinical_input(Path(table), rules.path, unmatched=unmatched),)
        if same := unchanged(building, new):
            return same
        refuse_second(building, "clinical")
        clinical, notes = read_clinical(Path(table), rules)
        if progress:
            progress(1, 1, f"{Path(table).name}: {len(clinical.individual_id):,} individuals")
        clinical, more = matched(
            clinical,
            load_somatic(building),
            load_genotyped(building),
            unmatched=unmatched,
            data_class=chosen["data_class"],
        )
        shards: dict[str, Clinical | Somatic | None] = {"clinical": clinical, "somatic": None}
        return publish(building, shards, new, (*notes, *more), name=name, **chosen)
