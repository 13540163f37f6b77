"""What a reader can work out of a hidden count: integer bounds, given everything that is shown.

Counts over nested cohorts form trees, where bounds are passed up and down exactly; whatever else is
coupled (cohorts that lie across, classes within a class, the levels of a field) is a small integer
program.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from eucan_dask.errors import Refused
from eucan_dask.overlap import Overlap

__all__ = ["Table", "Tree"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tree:
    """Counts (R, C) of nested cohorts, of which a reader knows bounds and the people.

    Parameters
    ----------
    low, high
        What is known of each count, (R, C): the count itself where it is shown.
    people
        Those each count is a part of, (R, C).
    """

    overlap: Overlap
    low: Ints
    high: Ints
    people: Ints

    @cached_property
    def rest(self) -> Ints:
        """People (R, C) of each cohort who are in none inside it."""
        inner = [self.people[:, list(held)].sum(axis=1) for held in self.overlap.children]
        return np.asarray(self.people - np.stack(inner, axis=1))

    @cached_property
    def _up(self) -> tuple[Ints, Ints]:
        """Bounds given what is known of the cohorts inside."""
        low, high = self.low.copy(), self.high.copy()
        for c in self.overlap.from_inside:
            held = list(self.overlap.children[c])
            low[:, c] = np.maximum(low[:, c], low[:, held].sum(axis=1))
            high[:, c] = np.minimum(high[:, c], high[:, held].sum(axis=1) + self.rest[:, c])
        return low, high

    @cached_property
    def bounds(self) -> tuple[Ints, Ints]:
        """Least and most each count can be, (R, C), given everything."""
        low, high = (end.copy() for end in self._up)
        inner_low, inner_high = self._up
        for c in reversed(self.overlap.from_inside):
            held = list(self.overlap.children[c])
            least, most = inner_low[:, held].sum(axis=1), inner_high[:, held].sum(axis=1)
            for d in held:
                others = most - inner_high[:, d] + self.rest[:, c]
                low[:, d] = np.maximum(low[:, d], low[:, c] - others)
                high[:, d] = np.minimum(high[:, d], high[:, c] - (least - inner_low[:, d]))
        return low, high

    @cached_property
    def rest_bounds(self) -> tuple[Ints, Ints]:
        """Least and most of each count outside the cohorts inside it, (R, C)."""
        low, high = (end.copy() for end in self.bounds)
        inner_low, inner_high = self._up
        for c, inner in enumerate(self.overlap.children):
            held = list(inner)
            low[:, c] = np.maximum(low[:, c] - inner_high[:, held].sum(axis=1), 0)
            most = high[:, c] - inner_low[:, held].sum(axis=1)
            high[:, c] = np.minimum(most, self.rest[:, c])
        return low, high


@dataclass(frozen=True)
class Table:
    """Counts (I, C) of labels in cohorts, of which a reader knows bounds and the people.

    Parameters
    ----------
    overlap
        With its parts (A, C) and their sizes.
    low, high
        What is known of each count, (I, C): the count itself where it is shown.
    people
        Those that the labels are parts of, (C,).
    contains
        Pairs of labels of which the first holds everybody of the second.
    groups
        Sets of labels of which each person has one.
    """

    overlap: Overlap
    low: Ints
    high: Ints
    people: Ints
    contains: tuple[tuple[int, int], ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()

    @property
    def atoms(self) -> NDArray[np.bool_]:
        """Cohorts that hold each part, (A, C)."""
        if self.overlap.atoms is None:
            raise ValueError("the parts of the cohorts are not known")
        return self.overlap.atoms

    @cached_property
    def sizes(self) -> Ints:
        """People of each part, (A,), or their alleles: of nested cohorts those counted.

        Of cohorts that lie across, so many as could be counted.
        """
        n = np.maximum(np.diag(self.overlap.pairs), 1)
        sizes = np.asarray(self.overlap.sizes) * int(np.max(-(-self.people // n), initial=1))
        if not self.overlap.laminar:
            return np.asarray(sizes)
        for c, inner in enumerate(self.overlap.children):
            held = self.overlap.inside[c] | (np.arange(len(self.people)) == c)
            own = self.people[c] - self.people[list(inner)].sum()
            sizes = np.where((self.atoms == held).all(axis=1), own, sizes)
        return sizes

    @cached_property
    def _program(self) -> tuple[LinearConstraint, Bounds]:
        """Constraints over people (A,) and counts (I, A) of each part."""
        atoms = self.atoms.astype(np.float64)
        n_labels, n_atoms = len(self.low), len(atoms)
        rows: list[Floats] = [*self._row({-1: atoms[:, c]} for c in range(atoms.shape[1]))]
        least: list[float] = [float(n) for n in self.people]
        most = list(least)
        for i in range(n_labels):
            rows += self._row({i: atoms[:, c]} for c in range(atoms.shape[1]))
            least += map(float, self.low[i])
            most += map(float, self.high[i])
        one = np.eye(n_atoms)
        within = [(-1, i) for i in range(n_labels)] + list(self.contains)
        for whole, part in within:
            rows += self._row({whole: one[a], part: -one[a]} for a in range(n_atoms))
            least += [0.0] * n_atoms
            most += [np.inf] * n_atoms
        for group in self.groups:
            rows += self._row({-1: one[a], **dict.fromkeys(group, -one[a])} for a in range(n_atoms))
            least += [0.0] * n_atoms
            most += [0.0] * n_atoms
        upper = np.tile(self.sizes.astype(np.float64), n_labels + 1)
        return LinearConstraint(csr_array(np.array(rows)), least, most), Bounds(0, upper)

    def _row(self, parts: Iterable[dict[int, Floats]]) -> list[Floats]:
        """Rows of the constraints; label -1 stands for the people."""
        n_atoms, out = len(self.atoms), []
        for part in parts:
            row = np.zeros((len(self.low) + 1, n_atoms))
            for label, weights in part.items():
                row[label + 1] += weights
            out.append(row.ravel())
        return out

    def bounds(self, weights: Ints) -> tuple[int, int]:
        """Least and most of a sum over labels and parts with weights (I, A)."""
        constraint, limits = self._program
        goal = np.concatenate([np.zeros((1, weights.shape[1])), weights]).ravel()
        ends = []
        for sign in (1.0, -1.0):
            found = milp(sign * goal, constraints=constraint, bounds=limits, integrality=1)
            if found.x is None:
                raise Refused("bounds", "ask for fewer genes or cohorts at once")
            ends.append(round(float(goal @ np.round(found.x))))
        return ends[0], ends[1]
