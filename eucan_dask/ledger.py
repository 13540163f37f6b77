"""What a store's people were already counted in: the memory that stops subtraction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucan_dask.accounts import Budget, affordable, pay
from eucan_dask.cells import Classification, keep_classifications
from eucan_dask.errors import Refused, Unavailable
from eucan_dask.families import Families, Trial, keep_set
from eucan_dask.memory import Memory, n_refusals
from eucan_dask.people import People
from eucan_dask.settling import Settling
from eucan_dask.transcript import Evaluation, check_transcript, keep_transcript
from eucan_dask.vault import Box, Vault
from eucan_dask.ways import Way, check_way, keep_way

__all__ = ["Ask", "Decision", "Entry", "Ledger"]

Bool = NDArray[np.bool_]
Costs = Sequence[float] | NDArray[np.float64]
TOLD = ("at", "run", "analysis", "tier", "asker", "freeze", "n_individuals")


@dataclass(frozen=True, eq=False, repr=False)
class Ask:
    """Whom a request asks about.

    Parameters
    ----------
    individuals
        Everybody in the store.
    criteria
        Members by the criteria, (individuals, cohorts).
    eligible
        Whose needed fields are known, (individuals,).
    definitions
        What defines each cohort, as text: the same text is answered on the same people.
    scope
        What else picks people: needed fields.
    summands
        What is added up, and in which shape: `Analysis.summands`.
    least
        No combination of answers may rest on fewer people; 0 or 1 compares nothing.
    smallest
        Cohorts with fewer people are not answered, so neither compared nor recorded.
    classifications
        By which fields people are counted: each one's level (individuals,), below 0 if unknown.
    asker
        Who asks: refusals are counted by asker.
    max_refusals
        After so many the asker gets no new membership.
    budget
        What the answer may say about variants and genes; None charges nothing.
    way
        How the sums leave; None remembers nothing of it.
    evaluation
        Of a fit: what its state costs; None charges nothing.
    """

    individuals: Sequence[str]
    criteria: Bool
    eligible: Bool
    definitions: tuple[str, ...]
    scope: str
    summands: Mapping[str, str]
    least: int
    smallest: int
    classifications: tuple[NDArray[np.int64], ...] = ()
    asker: str = ""
    max_refusals: int = 1_000_000
    budget: Budget | None = None
    way: Way | None = None
    evaluation: Evaluation | None = None


@dataclass(frozen=True)
class Entry:
    """What an answer was released for, as the steward reads it.

    Parameters
    ----------
    sites
        Those of the roster.
    question
        Digest of what was asked.
    agreement
        Under what the asker was admitted.
    """

    run: str
    analysis: str
    freeze: str
    tier: str = ""
    purpose: str = ""
    aggregator: str = ""
    sites: tuple[str, ...] = ()
    question: str = ""
    agreement: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class Decision:
    """Whom to answer about: the people used, (individuals, cohorts), and what that would add."""

    ask: Ask
    used: Bool
    version: int
    trial: Trial
    classified: tuple[Classification, ...]


class Ledger(Memory):
    """The released memberships of one store, over all analysts, runs and freezes.

    Parameters
    ----------
    path
        A SQLite file; made if absent. Everything in it is sealed: see `vault`.
    key
        Secret of the site, 32 bytes.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self.vault = Vault(path, key)
        self.people = People()
        self._families = Families()

    def decide(self, ask: Ask) -> Decision:
        """Whom a request is answered about; writes nothing but people's rows, and refusals.

        A cohort may be answered on people who differ from it by fewer than `ask.least`: then on a
        membership released before, or one that is made of such.

        Raises
        ------
        Refused
            If a cohort comes too near to what was released, in its people or its shape, the asker
            was refused too often before, a person's exposure would pass its cap whatever is told,
            fits would tell more numbers than there are people, or the sums were given in another
            way.
        """
        try:
            with self.vault.open() as box:
                self.people.rows(box, ask.individuals)
            with self.vault.reading() as box:
                return self._decide(box, ask)
        except Refused as refusal:
            if refusal.rule == "min_cohort_difference":
                self.count_refusal(ask.asker)
            raise

    def record(self, decision: Decision, entry: Entry | None, costs: Costs = ()) -> None:
        """Record an answer before it leaves: all of it or, on any error, nothing.

        Parameters
        ----------
        costs
            What it says of each person of each cohort: `exposure.charges`; needed where the
            decision has a budget.
        entry
            None if a rule refused after looking at these people: that is an answer too, and people
            who differ by few are to get the same.

        Raises
        ------
        Unavailable
            If another answer recorded since the decision changes it.
        Refused
            If it says too much of a person, or was given in another way meanwhile. The first is
            counted: from many such refusals one could work out what was not told.
        """
        try:
            self._record(decision, entry, np.asarray(costs, dtype=np.float64))
        except Refused as refusal:
            if refusal.rule == "max_exposure":
                self.count_refusal(decision.ask.asker)
            raise

    def _record(self, decision: Decision, entry: Entry | None, costs: NDArray[np.float64]) -> None:
        ask = decision.ask
        with self.vault.writing() as box:
            if box.version != decision.version:
                again = self._decide(box, ask)
                if not np.array_equal(again.used, decision.used):
                    raise Unavailable("another question was asked at the same time; ask again")
                decision = again
            trial = decision.trial
            trial.write(box)
            if entry is not None:
                keep_classifications(box, decision.classified)
                self._released(box, ask, entry, decision.used, costs)
            version = box.version
        trial.written(version)

    def _released(self, box: Box, ask: Ask, entry: Entry, used: Bool, costs: Costs) -> None:
        """Charge what left, note its way, and tell the steward."""
        sets = _in_rows(used, self.people.rows(box, ask.individuals), self.people.count(box))
        if ask.budget is not None:
            pay(box, ask.budget, _answered(ask, sets), np.asarray(costs))
        if ask.evaluation is not None:
            keep_transcript(box, ask.evaluation, ask.summands, sets)
        if ask.way is not None and ask.way.aggregator != "masked":  # that is seen when opened
            keep_way(box, ask.summands, ask.way)
        self._tell(box, ask, entry, sets)

    def summary(self) -> list[dict[str, object]]:
        """What was released: when, which run and analysis, to whom, on how many people."""
        with self.vault.open() as box:
            found = [json.loads(raw) for raw in box.items("releases", b"")]
        return [{name: row[name] for name in TOLD} for row in found]

    def _decide(self, box: Box, ask: Ask) -> Decision:
        if ask.way is not None:
            check_way(box, ask.summands, ask.way)
        version, rows = box.version, self.people.rows(box, ask.individuals)
        trial = Trial(self._families, self.people.count(box), ask.least)
        settling = Settling(box, trial, ask, rows)
        used = np.zeros_like(ask.criteria)
        for number in range(ask.criteria.shape[1]):
            used[:, number] = settling.cohort(number)[rows]
        sets = _in_rows(used, rows, trial.n_people)
        told = _answered(ask, sets)  # a rule that looked at few people would tell of them
        if ask.budget is not None:
            wary = n_refusals(box, ask.asker) >= ask.max_refusals
            affordable(box, ask.budget, told, wary=wary)
        if ask.evaluation is not None:
            check_transcript(box, ask.evaluation, ask.summands, told)
        return Decision(ask, used, version, trial, settling.classified)

    def _tell(self, box: Box, ask: Ask, entry: Entry, sets: Bool) -> None:
        """Note an answer about each cohort, for the steward."""
        for members, criteria in zip(sets.T, ask.definitions, strict=True):
            n = int(members.sum())
            if n < max(ask.smallest, 1):
                continue
            tag = keep_set(box, members)
            told = box.tag("told", entry.run, entry.analysis, ask.asker, tag)
            if box.get("told", told) is not None:
                continue
            box.put("told", told)
            about = {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                **vars(entry),
                "asker": ask.asker,
                "criteria": criteria,
                "n_individuals": n,
                "members": tag.hex(),
            }
            box.append("releases", b"", json.dumps(about).encode())


def _in_rows(used: Bool, rows: NDArray[np.int64], n_people: int) -> Bool:
    out = np.zeros((n_people, used.shape[1]), dtype=bool)
    out[rows] = used
    return out


def _answered(ask: Ask, sets: Bool) -> Bool:
    """The sets without those of too few people, of whom nothing is told."""
    return np.asarray(sets & (sets.sum(axis=0) >= max(ask.smallest, 1)))
