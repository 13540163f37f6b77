"""Changing a store: add, withdraw and drop; a change makes a new freeze."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eucan_dask.errors import Invalid, unknown
from eucan_dask.store.clinical import Clinical
from eucan_dask.store.clinical_table import read_clinical
from eucan_dask.store.freeze import Building, freezes, writing
from eucan_dask.store.ingest import Paths
from eucan_dask.store.inputs import clinical_input, maf_inputs, settings, unchanged
from eucan_dask.store.manifest import Input, Manifest
from eucan_dask.store.mapping import read_mapping
from eucan_dask.store.shards import (
    Genotyped,
    Progress,
    load_clinical,
    load_genotyped,
    load_somatic,
    matched,
    publish,
    read_mutations,
)
from eucan_dask.store.somatic import Somatic
from eucan_dask.store.withdraw_variants import without_samples

__all__ = ["add_clinical", "add_maf", "drop_freeze", "withdraw"]


def add_maf(
    inputs: Paths,
    *,
    store: Path | str,
    assembly: str | None = None,
    assay: Path | str | None = None,
    assayed: Path | str | None = None,
    unmatched: str = "refuse",
    progress: Progress | None = None,
) -> Manifest:
    """Append the mutations of new samples.

    Parameters
    ----------
    inputs, store, assay, assayed, unmatched, progress
        As for `ingest_maf`; only the new samples must have a clinical row.
    assembly
        The store's; may be left out.

    Raises
    ------
    Invalid
        If a sample is in the store already, an assay of one name covers other genes, or as for
        `ingest_maf`.
    """
    paths = [Path(p) for p in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    options = [Path(p) if p is not None else None for p in (assay, assayed)]
    with writing(Path(store)) as building:
        chosen = settings(building, assembly, None, unmatched)
        new = maf_inputs(paths, assay=options[0], assayed=options[1], unmatched=unmatched)
        if same := unchanged(building, new):
            return same
        present = load_somatic(building)
        if present is None:
            raise _nothing(building, "maf")
        more, notes = read_mutations(paths, options[0], options[1], chosen["assembly"], progress)
        somatic, _ = present.joined(more)
        clinical = load_clinical(building)
        if clinical:
            clinical, remarks = matched(
                clinical,
                somatic,
                load_genotyped(building),
                unmatched=unmatched,
                checked=more.sample_id,
                data_class=chosen["data_class"],
            )
            notes = (*notes, *remarks)
        shards = {"somatic": somatic, "clinical": clinical}
        return publish(building, shards, new, notes, name=None, **chosen)


def add_clinical(
    table: Path | str,
    *,
    store: Path | str,
    mapping: Path | str,
    unmatched: str = "refuse",
    progress: Progress | None = None,
) -> Manifest:
    """Append new people and their biosamples.

    Where the store has mutations too, add the people first with `unmatched="keep"`, then their
    mutations.

    Parameters
    ----------
    table, store, mapping, unmatched, progress
        As for `ingest_clinical`; only the new people must have a sequenced sample.

    Raises
    ------
    Invalid
        If a person or biosample is in the store already, a field differs from the store's, or as
        for `ingest_clinical`.
    """
    with writing(Path(store)) as building:
        chosen = settings(building, None, None, unmatched)
        rules = read_mapping(mapping)
        new = (clinical_input(Path(table), rules.path, unmatched=unmatched),)
        if same := unchanged(building, new):
            return same
        present = load_clinical(building)
        if present is None:
            raise _nothing(building, "clinical")
        more, notes = read_clinical(Path(table), rules)
        if progress:
            progress(1, 1, f"{Path(table).name}: {len(more.individual_id):,} individuals")
        clinical, remarks = matched(
            present.joined(more),
            load_somatic(building),
            load_genotyped(building),
            unmatched=unmatched,
            data_class=chosen["data_class"],
            checked=more.sample_id if more.own_samples else more.individual_id,
        )
        shards: dict[str, Clinical | Somatic | None] = {"clinical": clinical, "somatic": None}
        return publish(building, shards, new, (*notes, *remarks), name=None, **chosen)


def withdraw(
    store: Path | str, individuals: Sequence[str], *, progress: Progress | None = None
) -> Manifest:
    """A new freeze without these people, their biosamples, their mutations and genotypes.

    Genes, contigs, alleles, variants and values of open categories that only they had go with them.
    Earlier freezes still hold them until `drop_freeze` removes those. In a store without a clinical
    table the ids are those of samples.

    Raises
    ------
    Invalid
        If an id is not in the store; nothing is withdrawn then.
    """
    gone = sorted(set(individuals))
    with writing(Path(store)) as building:
        clinical, somatic = load_clinical(building), load_somatic(building)
        genotyped = load_genotyped(building)
        samples = (*(somatic.sample_id if somatic else ()), *_samples(genotyped))
        people: dict[str, set[str]] = {sample: {sample} for sample in samples}
        if clinical:
            people = {name: set() for name in clinical.individual_id}
            for sample, owner in zip(clinical.sample_id, clinical.sample_individual, strict=True):
                people[clinical.individual_id[owner]].add(sample)
        _check_known(gone, people, building)
        clinical = clinical.without(gone) if clinical else None
        lost = [sample for name in gone for sample in people[name]]
        somatic = somatic.without(lost) if somatic else None
        variants = without_samples(building, lost, progress=progress)
        old = building.head.freeze if building.head else ""
        note = f"freeze {old} still holds them: `eucan-dask store drop-freeze` removes it"
        new = (Input("withdrawal", "-", "", {"n_individuals": len(gone)}),)
        chosen = settings(building, None, None, "keep")
        shards = {"clinical": clinical, "somatic": somatic}
        return publish(building, shards, new, (note,), name=None, variants=variants, **chosen)


def drop_freeze(store: Path | str, digest: str) -> None:
    """Remove an earlier freeze for good.

    Raises
    ------
    Invalid
        If there is no such freeze, or it is the current one.
    """
    with writing(Path(store)) as building:
        if digest not in freezes(building.store):
            raise unknown("freeze", digest, freezes(building.store), where=store)
        if building.head and digest == building.head.freeze:
            raise Invalid(
                f"freeze {digest} is the current one",
                where=store,
                remedy="only earlier freezes can be dropped",
            )
        # Into the building, which is swept on the way out, or by the next ingest after a kill.
        (building.store / "freezes" / digest).rename(building.path / digest)


def _samples(genotyped: Genotyped | None) -> tuple[str, ...]:
    return genotyped.sample_id if genotyped else ()


def _check_known(gone: Sequence[str], people: dict[str, set[str]], building: Building) -> None:
    lost = [name for name in gone if name not in people]
    if lost or not gone:
        raise Invalid(
            f"{len(lost)} ids are not in the store" if gone else "no id is named",
            where=building.store,
            found=", ".join(lost[:5]) or None,
            remedy="nothing was withdrawn; correct the ids",
        )


def _nothing(building: Building, command: str) -> Invalid:
    return Invalid(
        "there is nothing to add to",
        where=building.store,
        remedy=f"use `eucan-dask ingest {command}`",
    )
