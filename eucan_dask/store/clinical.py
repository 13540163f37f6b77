"""The clinical shard in memory: individuals, their biosamples, and fields of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.arrays import Array, strings
from eucan_dask.variables import Field

__all__ = ["OWN", "Clinical", "fields_of", "take"]

_MISSING = {"number": np.nan, "category": -1, "boolean": -1}
OWN = ("individual_id", "sample_id", "sample_individual")


@dataclass(frozen=True)
class Clinical:
    """The arrays of the shard.

    Parameters
    ----------
    individual_id, sample_id, sample_individual
        The people, the biosamples, and whose each biosample is.
    columns
        `individual_<field>` and `sample_<field>`, coded, with their attributes.
    own_samples
        True if the table named biosamples. Otherwise each person stands in as one biosample until
        a MAF names theirs.
    sample_pattern
        Finds a person's id in the id of a biosample, where the table named none.
    """

    individual_id: tuple[str, ...]
    sample_id: tuple[str, ...]
    sample_individual: tuple[int, ...]
    columns: Mapping[str, Array]
    own_samples: bool
    sample_pattern: str = ""

    def canonical(self) -> Clinical:
        """The same content in its one order: sorted ids, and no open category without a member."""
        people = sorted(range(len(self.individual_id)), key=self.individual_id.__getitem__)
        rank = {old: new for new, old in enumerate(people)}
        owners = [rank[i] for i in self.sample_individual]
        samples = sorted(range(len(owners)), key=lambda i: (owners[i], self.sample_id[i]))
        index = {"individuals": people, "samples": samples}
        columns = {n: _compact(take(a, index[a.dims[0]])) for n, a in sorted(self.columns.items())}
        return replace(
            self,
            individual_id=tuple(self.individual_id[i] for i in people),
            sample_id=tuple(self.sample_id[i] for i in samples),
            sample_individual=tuple(owners[i] for i in samples),
            columns=columns,
        )

    def without(self, individuals: Sequence[str]) -> Clinical:
        """The shard without some people and their biosamples."""
        gone = set(individuals)
        people = [i for i, name in enumerate(self.individual_id) if name not in gone]
        return self.of(
            people, [(s, i) for s, i in self._owned() if self.individual_id[i] not in gone]
        )

    def _owned(self) -> list[tuple[str, int]]:
        return list(zip(self.sample_id, self.sample_individual, strict=True))

    def of(
        self, people: Sequence[int], owned: Sequence[tuple[str, int]], new: Sequence[str] = ()
    ) -> Clinical:
        """The shard with these people and biosamples.

        Parameters
        ----------
        people
            Indices of the people kept.
        owned
            Each biosample's id and the index of its person; an index from the number of people on
            points into `new`.
        new
            Ids of people of whom nothing else is known: all their fields are missing.
        """
        kept = [*people, *range(len(self.individual_id), len(self.individual_id) + len(new))]
        names = (*self.individual_id, *new)
        rank = {old: i for i, old in enumerate(kept)}
        row = {sample: i for i, sample in enumerate(self.sample_id)}
        index = {
            "individuals": [i if i < len(self.individual_id) else -1 for i in kept],
            "samples": [row.get(sample, -1) for sample, _ in owned],
        }
        return replace(
            self,
            individual_id=tuple(names[i] for i in kept),
            sample_id=tuple(sample for sample, _ in owned),
            sample_individual=tuple(rank[i] for _, i in owned),
            columns={n: take(a, index[a.dims[0]]) for n, a in self.columns.items()},
        ).canonical()

    def joined(self, other: Clinical) -> Clinical:
        """Both shards in one; their people and biosamples are different ones.

        A field that only one of them has is missing for the people of the other.

        Raises
        ------
        Invalid
            If a person or biosample is in both, or a field has another kind, unit or vocabulary.
        """
        for kind in ("individual_id", "sample_id"):
            both = sorted(set(getattr(self, kind)) & set(getattr(other, kind)))
            if both:
                raise Invalid(
                    f"{len(both)} of {kind} are in the store already",
                    found=", ".join(both[:5]),
                    remedy="add new people only; to replace one, withdraw them first",
                )
        if (self.own_samples, self.sample_pattern) != (other.own_samples, other.sample_pattern):
            raise Invalid(
                "the two tables name biosamples in different ways", remedy="use the same mapping"
            )
        shift = len(self.individual_id)
        return replace(
            self,
            individual_id=self.individual_id + other.individual_id,
            sample_id=self.sample_id + other.sample_id,
            sample_individual=(
                *self.sample_individual,
                *(i + shift for i in other.sample_individual),
            ),
            columns={
                name: _joined(name, self, other) for name in {**self.columns, **other.columns}
            },
        ).canonical()

    def lengths(self) -> dict[str, int]:
        """How many individuals and samples there are."""
        return {"individuals": len(self.individual_id), "samples": len(self.sample_id)}

    def to_arrays(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """The arrays and attributes as the store's layout has them."""
        owners = np.array(self.sample_individual, dtype="int32")
        arrays = {
            "individual_id": Array(("individuals",), strings(self.individual_id)),
            "sample_id": Array(("samples",), strings(self.sample_id)),
            "sample_individual": Array(("samples",), owners),
        }
        attrs = {"own_samples": self.own_samples, "sample_pattern": self.sample_pattern}
        return arrays | dict(self.columns), attrs

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], attrs: Mapping[str, Any]) -> Clinical:
        """The shard from its arrays."""
        return cls(
            tuple(map(str, arrays["individual_id"].values)),
            tuple(map(str, arrays["sample_id"].values)),
            tuple(map(int, arrays["sample_individual"].values)),
            {name: array for name, array in arrays.items() if name not in OWN},
            attrs["own_samples"],
            attrs["sample_pattern"],
        )


def take(array: Array, index: Sequence[int]) -> Array:
    """The array's values at `index`; -1 takes the missing value of its kind."""
    missing = np.array([_MISSING[array.attrs["kind"]]], dtype=array.values.dtype)
    padded = np.concatenate([array.values, missing])
    return Array(array.dims, padded[np.asarray(index, dtype=np.int64)], array.attrs)


def _compact(array: Array) -> Array:
    if not array.attrs.get("open"):
        return array
    words = array.attrs["categories"]
    used = sorted({words[code] for code in np.unique(array.values) if code >= 0})
    lookup = np.array([used.index(w) if w in used else -1 for w in words] + [-1], dtype="int16")
    return Array(array.dims, lookup[array.values], {**array.attrs, "categories": used})


def _joined(name: str, first: Clinical, second: Clinical) -> Array:
    have = [c.columns.get(name) for c in (first, second)]
    known = next(array for array in have if array is not None)
    parts = []
    for clinical, array in zip((first, second), have, strict=True):
        length = clinical.lengths()[known.dims[0]]
        empty = replace(known, values=known.values[:0])
        parts.append(array if array is not None else take(empty, [-1] * length))
    attrs = [dict(part.attrs) for part in parts]
    words = [a.pop("categories", []) if a.get("open") else [] for a in attrs]
    if attrs[0] != attrs[1]:
        raise Invalid(
            f"{name} differs from the store's in kind, unit, range or vocabulary",
            remedy="use the mapping the store was made with",
        )
    if not known.attrs.get("open"):
        return replace(known, values=np.concatenate([part.values for part in parts]))
    every = [*dict.fromkeys([*words[0], *words[1]])]
    lookup = np.array([every.index(word) for word in words[1]] + [-1], dtype="int16")
    values = np.concatenate([parts[0].values, lookup[parts[1].values]])
    return Array(known.dims, values, {**known.attrs, "categories": every})


def fields_of(columns: Mapping[str, Array]) -> tuple[Field, ...]:
    """The fields a shard's columns are, sorted by name."""
    out = []
    for name, array in columns.items():
        attrs = array.attrs
        out.append(
            Field(
                name.split("_", 1)[1],
                attrs["kind"],
                attrs.get("unit", ""),
                tuple(attrs.get("categories", ())),
                attrs.get("open", False),
                array.dims[0],
            )
        )
    return tuple(sorted(out, key=lambda field: (field.dim, field.name)))
