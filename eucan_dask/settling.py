"""Settling whom each cohort of a request is answered on, so that all its families agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eucan_dask.cells import Classification, Compared, level_codes
from eucan_dask.errors import Refused
from eucan_dask.families import EVERYTHING, Family, Trial, read_set, read_span
from eucan_dask.leverage import Verdict
from eucan_dask.memory import n_refusals
from eucan_dask.vault import Box
from eucan_dask.withdrawal import companions

__all__ = ["Settling"]

Bool = NDArray[np.bool_]
ATTEMPTS = 4


class Asked(Protocol):
    """What is settled: see `ledger.Ask`."""

    @property
    def criteria(self) -> Bool: ...
    @property
    def eligible(self) -> Bool: ...
    @property
    def definitions(self) -> tuple[str, ...]: ...
    @property
    def scope(self) -> str: ...
    @property
    def summands(self) -> Mapping[str, str]: ...
    @property
    def least(self) -> int: ...
    @property
    def smallest(self) -> int: ...
    @property
    def classifications(self) -> tuple[NDArray[np.int64], ...]: ...
    @property
    def asker(self) -> str: ...
    @property
    def max_refusals(self) -> int: ...


class Settling:
    """The cohorts of one request, settled one after the other; `trial` holds what they add.

    Parameters
    ----------
    rows
        The ledger's row of each individual of the store.
    """

    def __init__(self, box: Box, trial: Trial, ask: Asked, rows: NDArray[np.int64]) -> None:
        self._box, self._trial, self._ask, self._rows = box, trial, ask, rows
        self._full = n_refusals(box, ask.asker) >= ask.max_refusals
        self._staying = self._spread(np.ones(rows.size, dtype=bool))
        if ask.least > 1:
            self._staying &= ~self._held_out()
        self._eligible = self._spread(ask.eligible) & self._staying
        self._levels = [level_codes(c, rows, trial.n_people) for c in ask.classifications]
        self._compared = Compared(box, trial, self._staying)

    @property
    def classified(self) -> tuple[Classification, ...]:
        """Classifications that an answer would release."""
        return tuple(self._compared.added)

    def cohort(self, number: int) -> Bool:
        """The people (people,) a cohort is answered on; nobody, where they are too few.

        Whoever is left out stays so with a few people more: that a cohort is too small is an
        answer, and one that is large enough by one person would tell of this person.
        """
        ask = self._ask
        chosen = self._spread(ask.criteria[:, number]) & self._staying
        wanted = chosen & self._eligible
        if not wanted.any() or ask.least < 2:
            return wanted
        few = ask.smallest > 1 and self._trial.is_left_out(self._box, wanted)
        used = np.zeros_like(wanted) if few else self._settled(number, chosen, wanted)
        if used.sum() < ask.smallest:
            self._trial.left_out.append(wanted)
            return wanted if wanted.sum() < ask.smallest else np.zeros_like(wanted)
        return used

    def _settled(self, number: int, chosen: Bool, wanted: Bool) -> Bool:
        """The people a cohort would be answered on, noted where they are enough."""
        ask = self._ask
        everything, definition = Family(EVERYTHING), ask.definitions[number]
        fitted = self._fit(everything, chosen, self._staying, (definition,))
        settled = self._beside_no_cells(everything, fitted)
        families = [Family(name, shape) for name, shape in ask.summands.items()]
        used = self._agree(families, settled & self._eligible, (definition, ask.scope))
        if (used ^ wanted).sum() >= ask.least:
            raise _too_near()
        if used.sum() >= max(ask.smallest, 1):
            self._accept(everything, settled, (definition,))
            for family in families:
                self._accept(family, used, (definition, ask.scope))
            self._classify(settled, used)
        return used

    def _beside_no_cells(self, everything: Family, members: Bool) -> Bool:
        """These people, or the released cells that they lie few people beside."""
        for _ in range(ATTEMPTS):
            if self._trial.released(self._box, everything, members):
                return members
            cells = self._compared.beside(members)
            if cells is None:
                return members
            verdict = self._trial.verdict(self._box, everything, cells, self._staying)
            if verdict.kind != "new":  # of the span, leverage would have found it
                raise _too_near()
            self._may_be_new(verdict)
            members = cells
        raise _too_near()

    def _classify(self, settled: Bool, used: Bool) -> None:
        """Note that people are counted by levels: those used, or chosen if these differ by few.

        Complete cases are compared within a summand: few who are not do not keep fields apart.
        """
        apart = int((settled ^ used).sum())
        members = settled if apart < self._ask.least else used
        for codes in self._levels:
            if not self._compared.add(Classification(members, codes)):
                raise Refused(
                    "min_cohort_difference",
                    "use other levels, or a cohort that was asked before",
                )

    def _agree(self, families: list[Family], used: Bool, definition: tuple[str, ...]) -> Bool:
        """People that every family can be answered on."""
        agreed = 0
        for family in families * ATTEMPTS:
            if not used.any() or agreed == len(families):
                break
            found = self._fit(family, used, self._eligible, definition)
            agreed = agreed + 1 if np.array_equal(found, used) else 1
            used = found
        if used.any() and agreed < len(families):
            raise _too_near()
        return used

    def _fit(
        self, family: Family, members: Bool, allowed: Bool, definition: tuple[str, ...]
    ) -> Bool:
        """These people, or those near them that a family was or may be answered on."""
        first = self._first(family, definition)
        if first is not None and not (first & ~allowed).any():
            if (first ^ members).sum() < self._ask.least:
                members = first
        verdict = self._trial.verdict(self._box, family, members, allowed)
        if verdict.kind == "shape":
            raise Refused("one_shape", "use the grid, bins or levels that were asked before")
        if verdict.kind == "refused":
            raise _too_near()
        self._may_be_new(verdict)
        return verdict.members

    def _may_be_new(self, verdict: Verdict) -> None:
        if verdict.kind == "new" and self._full:
            raise Refused("max_refusals", "use a cohort that was asked before, or ask the steward")

    def _first(self, family: Family, definition: tuple[str, ...]) -> Bool | None:
        """Whom the same words were answered on the last time."""
        tag = self._box.tag("canonical", family.name, *definition)
        found = self._trial.canonical.get(tag)
        if found is not None:
            return found
        held = self._box.get("canonical", tag)
        return None if held is None else read_set(self._box, held, self._trial.n_people)

    def _accept(self, family: Family, members: Bool, definition: tuple[str, ...]) -> None:
        self._trial.accept(self._box, family, members)
        tag = self._box.tag("canonical", family.name, *definition)
        self._trial.canonical[tag] = members

    def _held_out(self) -> Bool:
        """People who stay out because others withdrew."""
        n = self._trial.n_people
        noted = _read_bits(self._box, "held out", n)
        gone = ~self._staying & ~noted & ~_read_bits(self._box, "withdrawn", n)
        if not gone.any():
            return noted
        names = [raw.decode() for raw in self._box.all("family")]
        spans = [read_span(self._box, name, n) for name in names]
        chosen = companions(
            self._box, spans, gone, staying=self._staying & ~noted, least=self._ask.least
        )
        self._trial.withdrawn, self._trial.held_out = ~self._staying, noted | chosen
        return noted | chosen

    def _spread(self, of_individuals: Bool) -> Bool:
        out = np.zeros(self._trial.n_people, dtype=bool)
        out[self._rows] = of_individuals
        return out


def _read_bits(box: Box, kind: str, n_people: int) -> Bool:
    out = np.zeros(n_people, dtype=bool)
    held = np.unpackbits(np.frombuffer(box.get(kind, b"") or b"", np.uint8))[:n_people]
    out[: held.size] = held.astype(bool)
    return out


def _too_near() -> Refused:
    return Refused(
        "min_cohort_difference",
        "use a cohort that was asked before, or one that differs more",
    )
