"""Whose tumour sample is it: the clinical table and the MAF must name the same samples."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from eucan_dask.errors import Invalid
from eucan_dask.store.clinical import Clinical

__all__ = ["UNMATCHED", "match"]

UNMATCHED = ("refuse", "keep")


def match(
    clinical: Clinical,
    assayed: Sequence[str],
    *,
    unmatched: str,
    data_class: str,
    checked: Collection[str] | None = None,
) -> tuple[Clinical, tuple[str, ...]]:
    """The clinical shard with every assayed sample in it.

    Where the table names biosamples, an assayed sample is the biosample of the same id. Where it
    does not, the mapping's `sample_pattern` finds the person's id in the sample's id; without a
    pattern the two are one. A person without an assayed sample is then one biosample that was not
    assayed, under the person's id.

    Parameters
    ----------
    clinical
        The shard.
    assayed
        Ids of the samples of the somatic shard.
    unmatched
        "refuse", or "keep": samples only the clinical table knows are not assayed; samples only
        the MAF knows become people of whom nothing else is known.
    data_class
        Of personal data a sample that only the MAF knows is refused even with "keep": two such
        samples of one patient would count as two people.
    checked
        The ids (of samples or people) whose matches are asked for; None for all of them.

    Returns
    -------
    The shard, and remarks for the person at the terminal.

    Raises
    ------
    Invalid
        With "refuse", if a sample is on one side only; lists up to five. Of personal data, if a
        sequenced sample belongs to nobody in the clinical table.
    """
    owners = _owners(clinical, assayed)
    strangers = [sample for sample in assayed if owners[sample] is None]
    lonely = _without_sample(clinical, owners)
    if checked is not None:
        asked = set(checked)
        found_strangers = [s for s in strangers if s in asked]
        found_lonely = [s for s in lonely if s in asked]
    else:
        found_strangers, found_lonely = strangers, lonely
    if unmatched == "refuse" and (found_strangers or found_lonely):
        raise _mismatch(found_strangers, found_lonely)
    nobody = [s for s in strangers if _person(s, clinical.sample_pattern) == s]
    if nobody and data_class == "personal":
        raise Invalid(
            f"{len(nobody)} sequenced samples belong to nobody in the clinical table",
            found=", ".join(sorted(nobody)[:5]),
            remedy="add their people to it: thresholds count people, and so must personal data",
        )
    notes = []
    if strangers:
        notes.append(
            f"{len(strangers)} samples have no clinical row; each without a known person was taken "
            "for a person of its own, of whom nothing else is known"
        )
    if lonely:
        notes.append(f"{len(lonely)} clinical samples have no sequenced sample; not assayed")
    return _with_samples(clinical, owners), tuple(notes)


def _owners(clinical: Clinical, assayed: Sequence[str]) -> dict[str, str | None]:
    """The person of each assayed sample; None where nobody is known."""
    people = set(clinical.individual_id)
    known = {
        sample: clinical.individual_id[i]
        for sample, i in zip(clinical.sample_id, clinical.sample_individual, strict=True)
    }
    if clinical.own_samples:
        return {sample: known.get(sample) for sample in assayed}
    out: dict[str, str | None] = {}
    for sample in assayed:
        person = _person(sample, clinical.sample_pattern)
        out[sample] = known.get(sample) or (person if person in people else None)
    return out


def _person(sample: str, pattern: str) -> str:
    """The person's id a sample's id holds; the whole id where the pattern does not match."""
    found = re.search(pattern, sample) if pattern else None
    return found[1] if found and found[1] else sample


def _without_sample(clinical: Clinical, owners: dict[str, str | None]) -> list[str]:
    """Biosamples the table names, or people where it names none, that were not assayed."""
    if clinical.own_samples:
        return [sample for sample in clinical.sample_id if sample not in owners]
    have = set(owners.values())
    return [person for person in clinical.individual_id if person not in have]


def _with_samples(clinical: Clinical, owners: dict[str, str | None]) -> Clinical:
    index = {person: i for i, person in enumerate(clinical.individual_id)}
    new: list[str] = []
    owned: dict[str, int] = {}
    for sample, owner in owners.items():
        person = owner or _person(sample, clinical.sample_pattern)
        if person not in index:
            index[person] = len(clinical.individual_id) + len(new)
            new.append(person)
        owned[sample] = index[person]
    served = set(owned.values())
    for sample, i in zip(clinical.sample_id, clinical.sample_individual, strict=True):
        if clinical.own_samples or i not in served:
            owned.setdefault(sample, i)
    return clinical.of(range(len(clinical.individual_id)), list(owned.items()), new)


def _mismatch(strangers: list[str], lonely: list[str]) -> Invalid:
    parts = []
    for ids, what in (
        (strangers, "sequenced samples have no clinical row"),
        (lonely, "clinical samples have no sequenced sample"),
    ):
        if ids:
            more = ", ..." if len(ids) > 5 else ""
            parts.append(f"{len(ids)} {what} ({', '.join(sorted(ids)[:5])}{more})")
    return Invalid(
        "the clinical table and the MAF do not match",
        found="; ".join(parts),
        remedy="correct the ids, list samples without a mutation with --assayed, "
        "or pass --unmatched keep",
    )
