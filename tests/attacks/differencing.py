"""Attacks by subtraction: pairs, trackers, padding, solved systems; each before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.attack_people import Analyst, Strength, attack, attacked
from tests.attacks.crowd import (
    Criteria,
    Crowd,
    Pairwise,
    accuracy,
    count,
    crowd,
    either,
    every,
    never,
    person,
    ranks,
)

N = 120
FIELDS: dict[str, Criteria] = {
    "sex": {"field": "sex", "equals": "male"},
    "stage": {"field": "stage", "in": ["I", "II"]},
    "gene": {"gene": "PIK3CA", "mutated": True},
}
Bool = NDArray[np.bool_]
Weighted = list[tuple[int, Criteria]]
READ = "accuracy of reading whether one person is mutated; 0.5 is a guess"


def some(crowded: Crowd, n: int, *, seed: int) -> list[int]:
    """`n` people, by rank of age, half of them with the secret."""
    rng = np.random.default_rng([seed, 7])
    halves = [np.flatnonzero(crowded.secret), np.flatnonzero(~crowded.secret)]
    return [int(r) for half in halves for r in rng.choice(half, n // 2, replace=False)]


def fresh(analyst: Analyst, directory: Path, names: Sequence[object]) -> Iterator[Analyst]:
    """The analyst before ledgers that have seen nothing, once for each name."""
    for name in names:
        yield analyst.again(directory / f"again-{name}")


def asked_one_by_one(analyst: Analyst, sums: Weighted) -> float | None:
    """The weighted sum of shown counts; None where one is not shown."""
    found = [count(analyst, criteria)[0].carriers for _, criteria in sums]
    if any(value is None for value in found):
        return None
    return float(sum(w * v for (w, _), v in zip(sums, found, strict=True) if v is not None))


def in_the_clear(crowded: Crowd, sums: Weighted) -> float:
    """The same from counts that nobody looked at."""
    members = crowded.members(*(criteria for _, criteria in sums))
    return float(np.array([w for w, _ in sums]) @ (members & crowded.secret).sum(axis=1))


def guess(value: float | None) -> float | None:
    """The bit that a sum over one person says; no guess where it says nothing."""
    return value if value in (0.0, 1.0) else None


# --- A8: pairs ---


def pair(rank: int, window: Criteria) -> Weighted:
    """A group less the same group without one person."""
    group = either(window, person(rank))
    return [(1, group), (-1, every(group, never(person(rank))))]


@attack(
    "A8 pair differencing",
    learned="a mutation of one person, from a group with and without them",
    measure=READ,
    stopped_by="min_cohort_difference",
)
def pairs(directory: Path) -> Strength:
    crowded = crowd(N, seed=1)
    analyst = attacked(directory / "site", [crowded.people], protected=True)
    targets = some(crowded, 16, seed=1)
    truth = [bool(crowded.secret[rank]) for rank in targets]
    windows = [ranks(5 * i, 5 * i + 44) for i in range(len(targets))]
    sums = [pair(rank, window) for rank, window in zip(targets, windows, strict=True)]
    # the smaller group first and last: who comes second is compared with who came first
    sums = [weighted[:: -1 if i % 4 > 1 else 1] for i, weighted in enumerate(sums)]
    before = [guess(in_the_clear(crowded, one)) for one in sums]
    analysts = fresh(analyst, directory, targets)
    after = [guess(asked_one_by_one(who, one)) for who, one in zip(analysts, sums, strict=True)]
    return Strength(accuracy(before, truth), accuracy(after, truth))


# --- A10: trackers ---


def trackers(rank: int, field: Criteria) -> dict[str, Weighted]:
    """Sums over large groups that hold one person alone; `field` is the tracker."""
    one, wide = person(rank), ranks(10, 109)
    p, q, r, v = ranks(0, 24), ranks(25, 49), ranks(50, 74), ranks(75, 119)
    others = [every(part, never(one)) for part in (p, q, r, v)]
    p, q, r, v = others
    return {
        "individual": [(1, either(field, one)), (-1, every(field, never(one)))],
        "general": [(1, either(one, field)), (1, either(one, never(field))), (-1, {})],
        "double": [
            (1, wide),
            (1, either(one, every(field, wide))),
            (-1, every(field, wide)),
            (-1, every(never(every(one, field)), wide)),
        ],
        "three sets": [(1, either(p, q, one)), (-1, p), (-1, q)],
        "five sets": [
            (1, either(p, q, r, one)),
            (-1, either(p, v)),
            (-1, either(q, v)),
            (-1, either(r, v)),
            (3, v),
        ],
    }


def holds_alone(crowded: Crowd, rank: int, sums: Weighted) -> bool:
    """Whether a weighted sum is one person's: the tracker's own arithmetic, checked."""
    members = crowded.members(*(criteria for _, criteria in sums))
    return bool((np.array([w for w, _ in sums]) @ members == np.eye(crowded.n)[rank]).all())


def tracked(crowded: Crowd) -> list[tuple[int, Weighted]]:
    """Every tracker over every field, each against a person it isolates."""
    found: list[tuple[int, Weighted]] = []
    targets = some(crowded, 40, seed=2)
    for name in ("individual", "general", "double", "three sets", "five sets"):
        for field in FIELDS.values():
            for secret in (True, False):
                taken = {rank for rank, _ in found}
                rank = next(
                    r
                    for r in targets
                    if r not in taken
                    and crowded.secret[r] == secret
                    and holds_alone(crowded, r, trackers(r, field)[name])
                )
                found.append((rank, trackers(rank, field)[name]))
    return found


@attack(
    "A10 trackers",
    learned="a mutation of one person, from sums over large groups",
    measure=READ,
    stopped_by="min_cohort_difference (leverage)",
)
def all_trackers(directory: Path) -> Strength:
    crowded = crowd(N, seed=2)
    analyst = attacked(directory / "site", [crowded.people], protected=True)
    cases = tracked(crowded)
    truth = [bool(crowded.secret[rank]) for rank, _ in cases]
    before = [guess(in_the_clear(crowded, sums)) for _, sums in cases]
    analysts = fresh(analyst, directory, range(len(cases)))
    asked = zip(analysts, cases, strict=True)
    after = [guess(asked_one_by_one(who, sums)) for who, (_, sums) in asked]
    return Strength(accuracy(before, truth), accuracy(after, truth))


# --- A11: averaging ---

PADS = 200
SMALL = tuple(range(1, 10))
NOTHING = float(np.std(SMALL))  # error of who always guesses the middle


def padded(crowded: Crowd, rng: np.random.Generator) -> tuple[Criteria, list[Criteria]]:
    """A random padding of the base (ranks 0 to 19), and it with small groups of 1 to 9 more."""
    first = sorted(rng.choice(np.arange(30, crowded.n - 10), 3, replace=False))
    parts = [ranks(int(f), int(f) + int(rng.integers(4, 10))) for f in first]
    base = either(ranks(0, 19), *parts)
    return base, [either(base, ranks(20, 19 + x)) for x in SMALL]


def to_five(values: np.ndarray) -> np.ndarray:
    """Rounded to a multiple of five."""
    return np.asarray(5 * np.round(values / 5))


def error(estimates: Sequence[float]) -> float:
    """Root mean square error of the sizes of the small groups."""
    return float(np.sqrt(np.mean((np.array(estimates) - SMALL) ** 2)))


@attack(
    "A11 averaging by padding",
    learned="the size of a group of 1 to 9 people, from 200 padded pairs",
    measure="error of the size, in people; 2.6 is a guess (before: counts rounded to 5)",
    stopped_by="min_cohort_difference",
)
def averaging(directory: Path) -> Strength:
    crowded = crowd(N, seed=3)
    analyst = attacked(directory / "site", [crowded.people], protected=True)
    rng = np.random.default_rng(3)
    rounded, shown = [], []
    for _ in range(PADS):
        base, wider = padded(crowded, rng)
        sizes = crowded.members(base, *wider).sum(axis=1).astype(np.float64)
        rounded.append(to_five(sizes[1:]) - to_five(sizes[:1]))
        found = [one.n for one in count(analyst, base, *wider)]
        if None not in found:
            shown.append(np.diff(np.array(found, dtype=np.float64), prepend=found[0])[1:].cumsum())
    estimates = np.mean(shown, axis=0) if shown else np.zeros(len(SMALL))
    told = estimates if np.any(estimates) else np.full(len(SMALL), np.mean(SMALL))
    return Strength(error(np.mean(rounded, axis=0)), error(told))


# --- many ordinary questions, solved ---


def ordinary(rng: np.random.Generator, n: int) -> Criteria:
    """A question as a clinician puts it: an age range, and perhaps a sex, a stage or a gene."""
    low = int(rng.integers(0, n - 40))
    leaves = [ranks(low, low + int(rng.integers(25, n - low)))]
    leaves += [{"field": "sex", "equals": str(rng.choice(["male", "female"]))}][
        : rng.integers(0, 2)
    ]
    stages = [str(s) for s in rng.choice(["I", "II", "III", "IV"], 2, replace=False)]
    leaves += [{"field": "stage", "in": stages}][: rng.integers(0, 2)]
    whole = every(*leaves)
    return never(whole) if rng.random() < 0.3 else whole


def read_off(asked: Sequence[Bool], values: Sequence[int], truth: NDArray[np.bool_]) -> float:
    """Accuracy over those who stand alone in some combination of answers; nobody, a half."""
    if not asked:
        return 0.5
    basis = np.array(asked, dtype=np.float64)
    inverse = np.linalg.pinv(basis)
    alone = np.diag(inverse @ basis) > 1 - 1e-6
    found = np.round(inverse @ np.array(values, dtype=np.float64), 3)
    if not truth[alone].any() or truth[alone].all():
        return 0.5
    return accuracy([guess(v) for v in found[alone]], truth[alone])


def by_pairs(members: Bool, secret: Bool) -> float:
    """The same of a site that compares pairs of memberships, and nothing else."""
    rule = Pairwise()
    let_through = [m for m in members if rule.allows(m)]
    return read_off(let_through, [int((m & secret).sum()) for m in let_through], secret)


def one_by_one(
    analyst: Analyst, questions: Sequence[Criteria], members: Bool, secret: Bool, **options: Any
) -> float:
    """The same of a site that is asked."""
    asked, values = [], []
    for one, m in zip(questions, members, strict=True):
        carriers = count(analyst, one, **options)[0].carriers
        if carriers is not None:
            asked.append(m)
            values.append(carriers)
    return read_off(asked, values, secret)


@attack(
    "linear system",
    learned="mutations of everybody, from what 300 ordinary questions add up to",
    measure=READ + " (before: the rule that compares pairs)",
    stopped_by="min_cohort_difference (leverage)",
)
def system(directory: Path) -> Strength:
    crowded = crowd(N, seed=4)
    rng = np.random.default_rng(4)
    questions = [ordinary(rng, N) for _ in range(300)]
    members = crowded.members(*questions)
    analyst = attacked(directory / "site", [crowded.people], protected=True)
    return Strength(
        by_pairs(members, crowded.secret), one_by_one(analyst, questions, members, crowded.secret)
    )
