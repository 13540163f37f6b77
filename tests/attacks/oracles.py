"""Attacks that listen to how a site answers, not to what: refused, left out, changed, hidden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucan_dask.analyses.logistic_regression import LogisticRegression
from eucan_dask.analyses.survival import Survival
from eucan_dask.analysis import Analysis
from eucan_dask.cohort import Cohort
from eucan_dask.panel import Panel
from eucan_dask.terms import Term
from tests.attack_people import PURPOSE, Analyst, Strength, attack, attacked
from tests.attacks.crowd import (
    MUTATED,
    SECRET,
    Criteria,
    Crowd,
    accuracy,
    count,
    crowd,
    either,
    every,
    never,
    person,
    ranks,
)
from tests.attacks.differencing import READ, fresh, some

N = 120
LEAST = 10
Probe = Callable[[Analyst, int], Hashable]
Bool = NDArray[np.bool_]


def learned(observed: Sequence[Hashable], truth: Sequence[bool]) -> float:
    """Accuracy on every second person of what the others' observations teach.

    An observation says the bit that more of the others have; never seen, or as often, nothing.
    """
    votes: dict[Hashable, Counter[bool]] = {}
    pairs = list(zip(observed, truth, strict=True))
    for what, bit in pairs[::2]:
        votes.setdefault(what, Counter())[bit] += 1
    guesses = []
    for what, _ in pairs[1::2]:
        vote = votes.get(what, Counter())
        lead = vote[True] - vote[False]
        guesses.append(None if lead == 0 else float(lead > 0))
    return accuracy(guesses, [bit for _, bit in pairs[1::2]])


def listen(directory: Path, crowded: Crowd, probe: Probe, n: int = 20) -> float:
    """How well a probe tells the secret of people apart, each before fresh ledgers."""
    analyst = attacked(directory / "site", [crowded.people], protected=True)
    targets = some(crowded, n, seed=9)
    observed = [
        probe(who, rank)
        for who, rank in zip(fresh(analyst, directory, targets), targets, strict=True)
    ]
    return learned(observed, [bool(crowded.secret[rank]) for rank in targets])


def overhear(crowded: Crowd, probe: Callable[[int], Hashable], n: int = 20) -> float:
    """The same of a rule that the test itself applies."""
    targets = some(crowded, n, seed=9)
    truth = [bool(crowded.secret[rank]) for rank in targets]
    return learned([probe(rank) for rank in targets], truth)


def told(analyst: Analyst, *questions: Criteria) -> Hashable:
    """Words of each answer, and by how many people it differs from the first, if by few."""
    found = [count(analyst, question)[0] for question in questions]
    first = found[0].n
    sizes = [None if one.n is None or first is None else one.n - first for one in found]
    near = [size if size is not None and abs(size) < LEAST else None for size in sizes]
    return tuple((one.word, size) for one, size in zip(found, near, strict=True))


def isolates(members: Bool) -> bool:
    """Whether some combination of memberships may rest on fewer than `LEAST` people."""
    basis = members.astype(np.float64).T
    return bool(np.diag(basis @ np.linalg.pinv(basis)).max() >= 1 / (LEAST - 1) - 1e-9)


# --- a refusal says that the last set differs from what was answered ---


def sets_of(kind: str, rank: int) -> list[Criteria]:
    """Questions of which the last is refused, if one person is mutated, by a rule that refuses."""
    one, hit = person(rank), every(person(rank), MUTATED)
    group = either(ranks(0, 59), one) if rank % 2 else either(ranks(60, 119), one)
    p, q, r, v = (
        every(part, never(one))
        for part in (ranks(0, 29), ranks(30, 59), ranks(60, 89), ranks(90, 119))
    )
    return {
        "a pair": [group, every(group, never(hit))],
        "three sets": [p, q, either(p, q, hit)],
        "five sets": [either(p, v), either(q, v), either(r, v), v, either(p, q, r, hit)],
    }[kind]


@attack(
    "refusal as oracle",
    learned="a mutation of one person, from whether the last question is refused",
    measure=READ + " (before: leverage that refuses)",
    stopped_by="min_cohort_difference (snapped)",
)
def refusals(directory: Path) -> Strength:
    crowded = crowd(N, seed=11)
    kinds = ("a pair", "three sets", "five sets")

    def by_rule(rank: int, kind: str) -> Hashable:
        return isolates(crowded.members(*sets_of(kind, rank)))

    before = [overhear(crowded, lambda rank, kind=kind: by_rule(rank, kind)) for kind in kinds]
    after = [
        listen(
            directory / kind,
            crowded,
            lambda who, rank, kind=kind: told(who, *sets_of(kind, rank)),
            n=16,
        )
        for kind in kinds
    ]
    return Strength(min(before), max(after))


def overlapping(kind: str, rank: int) -> list[Criteria]:
    """Sets of which the second holds the person, who is in the first, only if mutated."""
    one, hit = person(rank), every(person(rank), MUTATED)
    p, q, r = ranks(0, 39), ranks(40, 79), ranks(80, 119)
    if 40 <= rank < 80:
        p, q = q, p
    if rank >= 80:
        p, r = r, p
    return {
        "everybody": [p, either(never(p), hit), {}],
        "a union": [p, either(q, hit), either(p, q)],
        "a rest": [either(p, q), either(r, hit), either(p, q, r)],
        "two unions": [either(p, q), either(q, r, hit), q, either(p, q, r)],
        "a part": [either(p, q), either(every(q, never(one)), hit), p],
    }[kind]


@attack(
    "refusal as oracle, reordered",
    learned="a mutation of one person, from whether sets asked first are found to overlap",
    measure=READ + " (before: leverage that refuses)",
    stopped_by="min_cohort_difference (snapped)",
)
def reordered(directory: Path) -> Strength:
    crowded = crowd(N, seed=16)
    kinds = ("everybody", "a union", "a rest", "two unions", "a part")

    def by_rule(rank: int, kind: str) -> Hashable:
        return isolates(crowded.members(*overlapping(kind, rank)))

    before = [overhear(crowded, lambda rank, kind=kind: by_rule(rank, kind)) for kind in kinds]
    after = [
        listen(
            directory / kind,
            crowded,
            lambda who, rank, kind=kind: told(who, *overlapping(kind, rank)),
            n=12,
        )
        for kind in kinds
    ]
    return Strength(max(before), max(after))


# --- so does a change of rule, or of the answer itself, at an edge ---


def groups(rank: int, size: int) -> list[Criteria]:
    """Groups of so many known people, without one person."""
    starts = [s for s in range(0, N - size, size) if not s <= rank < s + size]
    return [ranks(s, s + size - 1) for s in starts]


def known_size(rank: int) -> Criteria:
    """Forty people of known ages, and one more if mutated."""
    return either(sets_apart(rank)[0], every(person(rank), MUTATED))


def sets_apart(rank: int) -> list[Criteria]:
    """The youngest and the oldest forty, or the middle and the oldest, without a person."""
    thirds = [ranks(0, 39), ranks(40, 79), ranks(80, 119)]
    del thirds[rank // 40]
    return thirds


@attack(
    "needle",
    learned="a mutation of one person, from the size of a known group that it is added to",
    measure=READ,
    stopped_by="min_effect",
)
def needle(directory: Path) -> Strength:
    crowded = crowd(N, seed=17)

    def by_size(rank: int) -> Hashable:
        return int(crowded.members(known_size(rank)).sum())

    def probe(analyst: Analyst, rank: int) -> Hashable:
        return count(analyst, known_size(rank))[0].n

    return Strength(overhear(crowded, by_size), listen(directory, crowded, probe))


def crossing(rank: int) -> list[Criteria]:
    """The mutated of two groups that share one person alone, and of both."""
    group, other = (either(part, person(rank)) for part in sets_apart(rank))
    return [every(MUTATED, group), every(MUTATED, other), every(MUTATED, either(group, other))]


@attack(
    "refusal as oracle, crossing",
    learned="a mutation of one person, from whether two groups of mutated people share anybody",
    measure=READ + " (before: leverage that refuses)",
    stopped_by="min_cohort_difference (snapped)",
)
def crossings(directory: Path) -> Strength:
    crowded = crowd(N, seed=18)

    def by_rule(rank: int) -> Hashable:
        return isolates(crowded.members(*crossing(rank)))

    def probe(analyst: Analyst, rank: int) -> Hashable:
        return tuple(count(analyst, one)[0].word for one in crossing(rank))

    return Strength(overhear(crowded, by_rule), listen(directory, crowded, probe))


def edge_questions(rank: int) -> list[Criteria]:
    """Everybody; then all but nine known people, and one more if that one is mutated."""
    hit = every(person(rank), MUTATED)
    return [{}, *(never(either(group, hit)) for group in groups(rank, LEAST - 1)[:6])]


@attack(
    "edge of the difference",
    learned="a mutation of one person, from whether nine known people and they make ten",
    measure=READ,
    stopped_by="min_cohort_difference",
)
def edge_of_difference(directory: Path) -> Strength:
    crowded = crowd(N, seed=12)

    def by_rule(rank: int) -> Hashable:
        first, *others = crowded.members(*edge_questions(rank))
        return (first ^ others[0]).sum() >= LEAST

    def probe(analyst: Analyst, rank: int) -> Hashable:
        first, *others = edge_questions(rank)
        whole = count(analyst, first)[0].n
        found = [count(analyst, other)[0].n for other in others]
        return sum(n is None for n in found), sum(n == whole for n in found)

    return Strength(overhear(crowded, by_rule), listen(directory, crowded, probe))


def size_questions(rank: int) -> list[tuple[Criteria, Criteria]]:
    """The mutated of twenty known people; and with one person more."""
    windows = [ranks(s, s + 19) for s in range(0, N - 19, 13) if not s <= rank < s + 20]
    return [
        (every(MUTATED, window), every(MUTATED, either(window, person(rank)))) for window in windows
    ]


@attack(
    "edge of the size",
    learned="a mutation of one person, from whether a cohort left out is shown with them",
    measure=READ,
    stopped_by="min_individuals",
)
def edge_of_size(directory: Path) -> Strength:
    crowded = crowd(N, seed=13)

    def by_rule(rank: int) -> Hashable:
        pairs = [crowded.members(*pair).sum(axis=1) for pair in size_questions(rank)]
        return any(a < LEAST <= b for a, b in pairs)

    def probe(analyst: Analyst, rank: int) -> Hashable:
        for number, (smaller, larger) in enumerate(size_questions(rank)):
            order = (smaller, larger) if number % 2 else (larger, smaller)
            shown = {one is larger: count(analyst, one)[0].n is not None for one in order}
            if shown[True] and not shown[False]:
                return True
        return False

    return Strength(overhear(crowded, by_rule), listen(directory, crowded, probe))


def fitted(analyst: Analyst, criteria: Criteria, analysis: Analysis, panel: Panel) -> Hashable:
    """Rules a question was refused by; nothing where it was answered."""
    cohorts = (Cohort.of("c", criteria),)
    request = analyst.federation.request(analysis, purpose=PURPOSE, cohorts=cohorts, panel=panel)
    return tuple(sorted(analyst.send(request).rules))


def cell_questions(rank: int) -> list[tuple[Criteria, Criteria]]:
    """Forty known people, a quarter of them mutated; and with one person more."""
    windows = [ranks(s, s + 39) for s in range(0, N - 39, 5) if not s <= rank < s + 40]
    return [(window, either(window, person(rank))) for window in windows]


@attack(
    "edge of a cell",
    learned="a mutation of one person, from whether a model refused is fitted with them",
    measure=READ,
    stopped_by="min_cell_of_terms",
)
def edge_of_cell(directory: Path) -> Strength:
    crowded = crowd(N, seed=14, share=0.25)
    model = LogisticRegression(outcome=Term(gene=SECRET), terms=(Term(field="body_mass_index"),))

    def by_rule(rank: int) -> Hashable:
        pairs = [
            (crowded.members(*pair) & crowded.secret).sum(axis=1) for pair in cell_questions(rank)
        ]
        return any(a < LEAST <= b for a, b in pairs)

    def probe(analyst: Analyst, rank: int) -> Hashable:
        for smaller, larger in cell_questions(rank):
            if fitted(analyst, smaller, model, Panel()) == ("min_cell_of_terms",):
                if not fitted(analyst, larger, model, Panel()):
                    return True
        return False

    return Strength(overhear(crowded, by_rule), listen(directory, crowded, probe))


@attack(
    "rules as oracle",
    learned="a mutation of one person, from the rule by which another grid is refused",
    measure=READ + " (before: the rule that compares pairs)",
    stopped_by="one_shape",
)
def rules(directory: Path) -> Strength:
    crowded = crowd(N, seed=15)
    grids = [Panel(times=tuple(float(t) for t in range(0, 3601, step))) for step in (360, 400)]

    def by_rule(rank: int) -> Hashable:
        first, second = crowded.members(*sets_of("a pair", rank))
        return bool((first ^ second).any())  # one_shape of the same people, or too near

    def probe(analyst: Analyst, rank: int) -> Hashable:
        asked = zip(sets_of("a pair", rank), grids, strict=True)
        return tuple(fitted(analyst, criteria, Survival(), grid) for criteria, grid in asked)

    return Strength(overhear(crowded, by_rule), listen(directory, crowded, probe))
