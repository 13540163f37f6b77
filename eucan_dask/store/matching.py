"""Whose sample is it: the clinical table, MAF and VCF must name the same samples."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from eucan_dask.errors import Invalid
from eucan_dask.store.clinical import Clinical

__all__ = ["UNMATCHED", "Assayed", "match"]

UNMATCHED = ("refuse", "keep")

# Sample ids by what names them: "MAF", "VCF", "PLINK file".
Assayed = Mapping[str, Sequence[str]]


def match(
    clinical: Clinical,
    assayed: Assayed,
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
        Ids of the samples that were sequenced or genotyped; a sample may be both.
    unmatched
        "refuse", or "keep": samples only the clinical table knows are not assayed; samples only
        the others know become people of whom nothing else is known.
    data_class
        Of personal data a sample that no clinical row knows is refused even with "keep": two such
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
        sample belongs to nobody in the clinical table.
    """
    samples = list(dict.fromkeys(sample for ids in assayed.values() for sample in ids))
    what = _what(assayed)
    owners = _owners(clinical, samples)
    strangers = [sample for sample in samples if owners[sample] is None]
    lonely = _without_sample(clinical, owners)
    if checked is not None:
        asked = set(checked)
        found_strangers = [s for s in strangers if s in asked]
        found_lonely = [s for s in lonely if s in asked]
    else:
        found_strangers, found_lonely = strangers, lonely
    if unmatched == "refuse" and (found_strangers or found_lonely):
        raise _mismatch(found_strangers, found_lonely, assayed)
    nobody = [s for s in strangers if _person(s, clinical.sample_pattern) == s]
    if nobody and data_class == "personal":
        raise Invalid(
            f"{len(nobody)} {what} samples belong to nobody in the clinical table",
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
        notes.append(f"{len(lonely)} clinical samples have no {what} sample; not assayed")
    return _with_samples(clinical, owners), tuple(notes)


def _what(assayed: Assayed) -> str:
    words = ["sequenced" if source == "MAF" else "genotyped" for source in assayed]
    return " or ".join(sorted(set(words), reverse=True))


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


def _mismatch(strangers: list[str], lonely: list[str], assayed: Assayed) -> Invalid:
    parts, what = [], _what(assayed)
    for ids, text in (
        (strangers, f"{what} samples have no clinical row"),
        (lonely, f"clinical samples have no {what} sample"),
    ):
        if ids:
            more = ", ..." if len(ids) > 5 else ""
            parts.append(f"{len(ids)} {text} ({', '.join(sorted(ids)[:5])}{more})")
    listed = "list samples without a mutation with --assayed, " if "MAF" in assayed else ""
    return Invalid(
        f"the clinical table and the {' and '.join(assayed)} do not match",
        found="; ".join(parts),
        remedy=f"correct the ids, {listed}or pass --unmatched keep",
    )
