"""Cells of released classifications: no released cohort, and no other cell, lies few people beside.

A classification of people by the levels of a field is a number of counts of people. Whoever knows
them knows the size of any union of cells, and a cohort that differs from one by few people would
tell how many these are. Cells of few people are hidden, and another with them: these are one cell.
The same cell of two cohorts tells of the people of one cohort only, where it is shown of both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eucan_dask.families import EVERYTHING, SPANNED, Trial, keep_set, read_set, set_tag
from eucan_dask.vault import TAG, Box

__all__ = ["Classification", "Compared", "cells_of", "keep_classifications", "level_codes"]

Bool = NDArray[np.bool_]
Codes = NDArray[np.uint16]
Words = NDArray[np.uint64]
KIND = "classified"
STORED = "<u2"


@dataclass(frozen=True, eq=False, repr=False)
class Classification:
    """Whom a released classification counts (people,), and everybody's level: 0 if none is known.

    The level is that of a field at one time, whoever is counted.
    """

    members: Bool
    codes: Codes

    def tag(self, box: Box) -> bytes:
        """What tells it from others: the same however many people came since."""
        codes = np.trim_zeros(self.codes, "b").astype(STORED)
        return set_tag(box, self.members) + box.tag("codes", codes.tobytes())


class Cells:
    """The cells of one classification, as far as they are shown.

    Parameters
    ----------
    of
        Each person's cell (people,); 0 outside.
    """

    def __init__(self, of: NDArray[np.intp]) -> None:
        self._of = of
        self._sizes = np.bincount(of)

    def nearest(self, members: Bool) -> tuple[Bool, int]:
        """The union of cells nearest to a cohort (people,), and by how many people they differ.

        Where every cell holds k people or more and this union is no, or k, people away, so is any.
        """
        inside = np.bincount(self._of[members], minlength=self._sizes.size)
        taken = 2 * inside > self._sizes
        taken[0] = False
        apart = np.minimum(inside, self._sizes - inside)
        apart[0] = inside[0]
        return taken[self._of], int(apart.sum())

    def apart(self, cohorts: Words) -> NDArray[np.int64]:
        """How far the nearest union is from each cohort (cohorts,), given as bits."""
        out = np.bitwise_count(cohorts).sum(axis=1, dtype=np.int64)
        for cell in range(1, self._sizes.size):
            own = _in_words(np.packbits(self._of == cell)[np.newaxis])
            inside = np.bitwise_count(cohorts & own).sum(axis=1, dtype=np.int64)
            out -= np.maximum(2 * inside - self._sizes[cell], 0)
        return np.asarray(out)


def level_codes(codes: NDArray[np.int64], rows: NDArray[np.int64], n_people: int) -> Codes:
    """Levels of a store's individuals (individuals,), below 0 where unknown, by person."""
    out = np.zeros(n_people, np.uint16)
    out[rows] = np.maximum(codes + 1, 0)
    return out


def cells_of(one: Classification, staying: Bool, least: int) -> Cells:
    """The cells of those who stay, merged as far as any gate hides them.

    Cells of fewer than `least` people are one; where that is as small, with the next larger one.
    """
    levels = np.where(one.members & staying, one.codes.astype(np.intp) + 1, 0)
    sizes = np.bincount(levels)
    held = np.flatnonzero(sizes)
    held = held[held > 0]
    ordered = held[np.argsort(sizes[held], kind="stable")]
    below = np.cumsum(sizes[ordered]) - sizes[ordered]  # people of all smaller cells
    few = (sizes[ordered] < least) | ((below > 0) & (below < least))
    cell = np.zeros(sizes.size, dtype=np.intp)
    cell[ordered[few]] = 1
    cell[ordered[~few]] = np.arange(1, 1 + (~few).sum()) + few.any()
    return Cells(cell[levels])


def few_between(one: Classification, other: Classification, staying: Bool, least: int) -> bool:
    """Whether a cell of both, of `least` people or more, differs by some people, but fewer.

    Two classifications are the same where they agree on everybody whose level both know: people
    may have come since.
    """
    codes = np.maximum(one.codes, other.codes)
    if ((one.codes > 0) & (other.codes > 0) & (one.codes != other.codes)).any():
        return False
    mine, theirs = one.members & staying, other.members & staying
    n = int(codes.max(initial=0)) + 1
    sizes = [np.bincount(codes[who], minlength=n) for who in (mine, theirs)]
    apart = np.bincount(codes[mine ^ theirs], minlength=n)
    shown = np.minimum(*sizes) >= least
    return bool((shown & (apart > 0) & (apart < least)).any())


class Compared:
    """What a request is compared with: classifications and cohorts of before, and its own.

    Parameters
    ----------
    staying
        Who is in answers from now on (people,): who left did so with others, of any cell.

    Attributes
    ----------
    added
        Classifications of the request that were not released before.
    """

    def __init__(self, box: Box, trial: Trial, staying: Bool) -> None:
        self._box, self._trial, self._staying = box, trial, staying
        self.added: list[Classification] = []

    @cached_property
    def _before(self) -> list[Classification]:
        return read_classifications(self._box, self._trial.n_people)

    @cached_property
    def _held(self) -> dict[bytes, Cells]:
        return {one.tag(self._box): self._merged(one) for one in self._before}

    def beside(self, cohort: Bool) -> Bool | None:
        """The union of cells that a cohort lies few people beside, if there is one."""
        for cells in self._held.values():
            union, apart = cells.nearest(cohort & self._staying)
            if 0 < apart < self._trial.least:
                return union
        return None

    def add(self, one: Classification) -> bool:
        """Add a classification to what the request adds, unless a cohort lies few people beside.

        Nor if a cell of one before does; those of one request are judged together by the gate.
        """
        tag = one.tag(self._box)
        if tag in self._held:
            return True
        if any(few_between(one, other, self._staying, self._trial.least) for other in self._before):
            return False
        cells = self._merged(one)
        apart = cells.apart(self._cohorts() & _in_words(np.packbits(self._staying)[np.newaxis]))
        if ((apart > 0) & (apart < self._trial.least)).any():
            return False
        self._held[tag] = cells
        self.added.append(one)
        return True

    def _merged(self, one: Classification) -> Cells:
        return cells_of(one, self._staying, self._trial.least)

    def _cohorts(self) -> Words:
        """Every cohort that was released, (cohorts, words): the basis of the span, and others."""
        trial, n = self._trial, self._trial.n_people
        basis = trial.span(self._box, EVERYTHING).packed
        held = [read_set(self._box, tag, n) for tag in self._box.items(SPANNED, b"")]
        others = [np.packbits(members) for members in (*held, *trial.spanned.values())]
        return _in_words(np.concatenate([basis, *(row[np.newaxis] for row in others)]))


def keep_classifications(box: Box, added: Iterable[Classification]) -> None:
    """Keep classifications that are released."""
    for one in added:
        tag = one.tag(box)
        keep_set(box, one.members)
        box.put("codes", tag[-TAG:], one.codes.astype(STORED).tobytes())
        box.append(KIND, b"", tag)
        box.raise_version()


def read_classifications(box: Box, n_people: int) -> list[Classification]:
    """Every classification that was released."""
    sets: dict[bytes, Bool] = {}
    codes: dict[bytes, Codes] = {}
    found = []
    for tags in box.items(KIND, b""):
        own, levels = tags[:-TAG], tags[-TAG:]
        if own not in sets:
            sets[own] = read_set(box, own, n_people)
        if levels not in codes:
            held = np.frombuffer(box.need("codes", levels), STORED)
            codes[levels] = np.zeros(n_people, np.uint16)
            codes[levels][: held.size] = held
        found.append(Classification(sets[own], codes[levels]))
    return found


def _in_words(packed: NDArray[np.uint8]) -> Words:
    """Rows of bytes as rows of words, to be counted eight times as fast."""
    padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    return np.ascontiguousarray(padded).view(np.uint64)
