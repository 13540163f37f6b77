"""How the cohorts of one request lie: nested, apart or across, and the people in each part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Overlap"]

Bool = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Overlap:
    """The cohorts of one request as sets.

    Parameters
    ----------
    pairs
        People of each cohort who are not in each other one, (C, C); on the diagonal all of its own.
        These add up over sites.
    atoms, sizes
        The cohorts that hold each part, (A, C), and its people at most, (A,); None where only
        pairs are known and some lie across.
    """

    pairs: Ints
    atoms: Bool | None = None
    sizes: Ints | None = None

    @classmethod
    def of_members(cls, members: Bool) -> Overlap:
        """Of people (N, C)."""
        held = members[members.any(axis=1)]
        atoms, sizes = np.unique(held, axis=0, return_counts=True)
        both = held.T.astype(np.int64) @ held.astype(np.int64)
        pairs = np.diag(both)[:, np.newaxis] - both
        np.fill_diagonal(pairs, np.diag(both))
        return cls(pairs, atoms, sizes.astype(np.int64))

    def without(self, left_out: Bool) -> Overlap:
        """The same where nobody of some cohorts, (C,), takes part."""
        pairs = np.where(left_out[:, np.newaxis], 0, self.pairs)
        n = np.diag(pairs)
        pairs = np.where(left_out & ~np.eye(n.size, dtype=bool), n[:, np.newaxis], pairs)
        return Overlap(pairs)

    @cached_property
    def common(self) -> Ints:
        """People of both cohorts, (C, C)."""
        n = np.diag(self.pairs)
        both = n[:, np.newaxis] - self.pairs
        np.fill_diagonal(both, n)
        return both

    @cached_property
    def inside(self) -> Bool:
        """Whether a cohort (rows) lies in another (columns); of two equal ones the later does."""
        n = np.diag(self.pairs)
        nested = (self.pairs == 0) & (n > 0)[:, np.newaxis]
        equal = nested & nested.T
        later = np.tri(n.size, k=-1, dtype=bool)
        nested = nested & (~equal | later)
        np.fill_diagonal(nested, val=False)
        return np.asarray(nested)

    @cached_property
    def coupled(self) -> Bool:
        """Pairs of cohorts that share people, (C, C)."""
        shared = self.common > 0
        np.fill_diagonal(shared, val=False)
        return shared

    @property
    def laminar(self) -> bool:
        """Whether any two cohorts are nested or apart."""
        return bool((~self.coupled | self.inside | self.inside.T).all())

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Of nested cohorts, the largest ones inside each."""
        parents = [self._parent(c) for c in range(len(self.pairs))]
        return tuple(
            tuple(d for d, parent in enumerate(parents) if parent == c) for c in range(len(parents))
        )

    def _parent(self, cohort: int) -> int:
        """The smallest cohort that holds this one; -1 for none."""
        holders = np.flatnonzero(self.inside[cohort])
        deep = [int(self.inside[h].sum()) for h in holders]  # the innermost lies in most others
        return int(holders[int(np.argmax(deep))]) if holders.size else -1

    @cached_property
    def from_inside(self) -> tuple[int, ...]:
        """Cohorts in an order in which each comes after those inside it."""
        depth = self.inside.sum(axis=1)
        return tuple(int(c) for c in np.argsort(-depth, kind="stable"))

    def nested(self) -> Overlap:
        """The same with the parts that nested cohorts form: each less those inside it."""
        held = self.inside | np.eye(len(self.pairs), dtype=bool)
        n = np.diag(self.pairs)
        own = np.array([n[c] - n[list(inner)].sum() for c, inner in enumerate(self.children)])
        return replace(self, atoms=held, sizes=own.astype(np.int64))

    def pair(self, one: int, other: int) -> Overlap:
        """These two alone, with their parts."""
        chosen = np.ix_([one, other], [one, other])
        atoms = np.array([[True, False], [False, True], [True, True]])
        sizes = (self.pairs[one, other], self.pairs[other, one], self.common[one, other])
        return Overlap(self.pairs[chosen], atoms, np.array(sizes, dtype=np.int64))
