"""Sequences of questions, drawn at random and bred, that try to tell one bit of a known person.

As in QueryCheetah (Stevanoski et al.): a program of questions about a person whose sex, stage and
age are known is put to stores with people whose bit is known; from answers and refusals alike a
reader is taught, and tried on people of other stores. Programs that separate are kept and varied.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.logistic_regression import LogisticRegression
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.analysis import Analysis
from eucan_dask.cohort import Cohort
from eucan_dask.errors import EucanError
from eucan_dask.panel import Panel
from eucan_dask.store.open import Store
from eucan_dask.terms import Term
from tests.attack_people import PURPOSE, Analyst, Answer, attacked
from tests.attacks.crowd import SECRET, STEP, YOUNGEST, Criteria, crowd, every, ranks
from tests.attacks.reader import Features, accuracy

N = 120
EACH = 8  # persons asked about in one store
Tree = tuple[Any, ...]
EVERYBODY: Tree = ("everybody",)
SELF: Tree = ("self",)
HIT: Tree = ("all", SELF, ("mutated",))
SEX = SummaryField(field="sex", levels=("female", "male"))
AGES = SummaryField(field="age_at_diagnosis", edges=(35.0, 50.0, 65.0))
STAGES = SummaryField(field="stage", levels=("I", "II", "III", "IV"))
AGE = Term(field="age_at_diagnosis")
GENE = Term(gene=SECRET)
GENES = Panel(genes=(SECRET, "PIK3CA"))


def grid(step: int) -> Panel:
    """Grid points over ten years."""
    return Panel(times=tuple(float(t) for t in range(0, 3601, step)))


ANALYSES: dict[str, tuple[Analysis, Panel]] = {
    "frequency": (MutationFrequency(), GENES),
    "classes": (MutationFrequency(classes=("non_silent", "Missense_Mutation")), GENES),
    "sexes": (CohortSummary(fields=(SEX,)), Panel()),
    "fields": (CohortSummary(fields=(STAGES, AGES)), Panel()),
    "curve": (Survival(), grid(720)),
    "other curve": (Survival(strata="sex"), grid(900)),
    "odds": (LogisticRegression(outcome=GENE, terms=(AGE,)), Panel()),
    "odds of death": (
        LogisticRegression(outcome=Term(field="overall_survival_event"), terms=(GENE,)),
        Panel(),
    ),
    "hazard": (CoxRegression(terms=(GENE,)), Panel()),
}
COMPLETE = ((), (), (), ("stage",), ("overall_survival_days",), (f"gene:{SECRET}",))


# --- programs ---


@dataclass(frozen=True)
class Question:
    """One question about a person who is not named yet."""

    analysis: str
    cohorts: tuple[Tree, ...]
    complete: tuple[str, ...] = ()


Program = tuple[Question, ...]


def leaf(rng: np.random.Generator) -> Tree:
    """A criterion: about the person, or about anybody."""
    choices: tuple[Tree, ...] = (
        SELF,
        ("mutated",),
        ("same", "sex"),
        ("same", "stage"),
        ("near", int(rng.integers(4, 30))),
        ("younger", int(rng.integers(20, N - 20))),
        ("gene", "PIK3CA"),
    )
    return choices[rng.choice(len(choices), p=(0.1, 0.1, 0.15, 0.1, 0.3, 0.2, 0.05))]


def tree(rng: np.random.Generator, depth: int = 2) -> Tree:
    """A random expression."""
    if depth == 0 or rng.random() < 0.35:
        return leaf(rng) if rng.random() < 0.9 else EVERYBODY
    kind = str(rng.choice(["all", "any", "not"], p=(0.5, 0.3, 0.2)))
    parts = [tree(rng, depth - 1) for _ in range(1 if kind == "not" else 2)]
    return (kind, *parts)


def edited(rng: np.random.Generator, old: Tree) -> Tree:
    """Nearly the same expression: with or without the person, or the person if mutated."""
    who = (SELF, HIT, leaf(rng))[rng.choice(3, p=(0.4, 0.4, 0.2))]
    kinds: tuple[Tree, ...] = (
        ("all", old, ("not", who)),
        ("any", old, who),
        ("all", old, who),
        ("not", old),
        ("all", old, ("mutated",)),
    )
    return kinds[rng.choice(5, p=(0.4, 0.25, 0.1, 0.1, 0.15))]


def question(rng: np.random.Generator) -> Question:
    """A random question."""
    analysis = str(rng.choice(list(ANALYSES)))
    many = 2 if rng.random() < 0.2 and analysis in ("frequency", "sexes", "curve") else 1
    cohorts = tuple(tree(rng) for _ in range(many))
    return Question(analysis, cohorts, COMPLETE[rng.integers(len(COMPLETE))])


def follow(rng: np.random.Generator, old: Question) -> Question:
    """A question that follows from another: its cohort edited, or another analysis of it."""
    if rng.random() < 0.25:
        return replace(old, analysis=str(rng.choice(list(ANALYSES))), cohorts=old.cohorts[:1])
    if rng.random() < 0.15:
        return replace(old, complete=COMPLETE[rng.integers(len(COMPLETE))])
    return replace(old, cohorts=(edited(rng, old.cohorts[0]), *old.cohorts[1:]))


def program(rng: np.random.Generator, length: int) -> Program:
    """A random sequence; every second question follows from an earlier one."""
    found = [question(rng)]
    while len(found) < length:
        again = rng.random() < 0.6
        found.append(follow(rng, found[rng.integers(len(found))]) if again else question(rng))
    return tuple(found)


def varied(rng: np.random.Generator, old: Program) -> Program:
    """The program with a question replaced, added after another, dropped, or two swapped."""
    asked, at = list(old), int(rng.integers(len(old)))
    kind = rng.choice(["replace", "follow", "drop", "swap"])
    if kind == "replace":
        asked[at] = question(rng)
    elif kind == "follow":
        asked.insert(at + 1, follow(rng, asked[at]))
    elif kind == "drop" and len(asked) > 1:
        del asked[at]
    else:
        other = int(rng.integers(len(old)))
        asked[at], asked[other] = asked[other], asked[at]
    return tuple(asked[:8])


# --- people and stores ---


@dataclass(frozen=True)
class Person:
    """Somebody whose sex, stage and rank of age are known, and whose bit is not."""

    store: int
    rank: int
    sex: str
    stage: str
    bit: bool

    def criteria(self, what: Tree) -> Criteria:
        """An expression about this person, as a job states it."""
        kind, *rest = what
        if kind in ("all", "any"):
            return {kind: [self.criteria(part) for part in rest]}
        if kind == "not":
            return {"not": self.criteria(rest[0])}
        known = {"sex": self.sex, "stage": self.stage}
        return {
            "everybody": {"field": "sex", "present": True},
            "self": every(ranks(self.rank, self.rank), {"field": "sex", "equals": self.sex}),
            "mutated": {"gene": SECRET, "mutated": True},
            "same": {"field": rest[0], "equals": known.get(rest[0])} if kind == "same" else {},
            "near": ranks(self.rank - rest[0], self.rank + rest[0]) if kind == "near" else {},
            "younger": ranks(0, rest[0]) if kind == "younger" else {},
            "gene": {"gene": rest[0], "mutated": True} if kind == "gene" else {},
        }[kind]


class Stores:
    """Stores of other people each, drawn anew; those asked about have either bit as often.

    Parameters
    ----------
    directory
        Where they lie.
    protected, settings
        As for `attacked`.
    """

    def __init__(
        self, directory: Path, *, protected: bool, settings: dict[str, object] | None = None
    ) -> None:
        self.directory, self.protected, self.settings = directory, protected, settings

    @cache  # noqa: B019
    def people(self, store: int) -> list[Person]:
        """The persons of a store who may be asked about; the store is made if absent."""
        rng = np.random.default_rng([store, 11])
        drawn = crowd(N, seed=1000 + store, share=float(rng.uniform(0.35, 0.65)))
        rows = drawn.people.clinical.copy()
        rows.loc[
            rng.random(len(rows)) < 0.04, ["overall_survival_days", "overall_survival_event"]
        ] = np.nan
        whole = rows["stage"].notna()
        rows.loc[rng.random(len(rows)) < 0.04, "stage"] = None
        rank = ((rows["age_at_diagnosis"] - YOUNGEST) / STEP).round().astype(int)
        usable = rows[whole & rows["stage"].notna()].assign(rank=rank)
        attacked(
            self.directory / str(store),
            [replace(drawn.people, clinical=rows)],
            protected=self.protected,
            settings=self.settings,
        )
        found = []
        for bit in (True, False):
            own = usable[drawn.secret[usable["rank"]] == bit]
            for _, row in own.iloc[rng.permutation(len(own))[: EACH // 2]].iterrows():
                found.append(Person(store, int(row["rank"]), row["sex"], row["stage"], bit))
        return found

    def analyst(self, store: int) -> Analyst:
        """An analyst before a store whose ledger has seen nothing."""
        file = self.directory / str(store) / "federation.toml"
        for node in file.parent.glob("*/site/node"):
            shutil.rmtree(node)
        return Analyst(file)

    def ask(self, asked: Program, who: Person) -> Features:
        """All that is seen when a program is put about a person."""
        analyst = self.analyst(who.store)
        seen: Features = {}
        for number, one in enumerate(asked):
            seen |= {f"{number}:{name}": v for name, v in put(analyst, one, who).items()}
        return seen


def put(analyst: Analyst, one: Question, who: Person) -> Features:
    """What is seen of one question."""
    analysis, panel = ANALYSES[one.analysis]
    cohorts = tuple(Cohort.of(f"c{i}", who.criteria(c)) for i, c in enumerate(one.cohorts))
    try:
        request = analyst.federation.request(
            analysis, purpose=PURPOSE, cohorts=cohorts, panel=panel, complete=one.complete
        )
    except EucanError as error:
        return {f"error:{type(error).__name__}": 1.0}
    return features(analyst.send(request))


def features(answer: Answer) -> Features:
    """Status, rules, findings, length, masks and values of an answer, by name."""
    (message,) = answer.messages
    header = message.header
    found = {f"status {header['status']}": 1.0, "length": float(len(message.answer))}
    for finding in header["findings"]:
        name = f"{finding['rule']} {finding['record']} {finding['message']}"
        found[name] = 1.0 + finding["n_hidden"]
    for name, values in message.arrays.items():
        for place, value in enumerate(values.ravel()):
            found[f"{name}[{place}]"] = float(value)
    return found


@contextmanager
def remembered() -> Iterator[None]:
    """Stores that read each freeze once, and no search for a calendar that is not installed."""
    read, held = Store.dataset, {}

    def dataset(self: Store) -> Any:
        if self.manifest.digest not in held:
            held[self.manifest.digest] = read(self)
        return held[self.manifest.digest]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "dataset", dataset)
        if find_spec("cftime") is None:
            patch.setitem(sys.modules, "cftime", None)
        yield


# --- the hunt ---

SCREEN = ((0,), (1,))  # stores to be taught on, and to be tried on
MORE = ((2, 3), (4, 5))
ONE = ("near", 25)
KNOWN: tuple[Program, ...] = tuple(
    tuple(Question(analysis, (cohort,)) for cohort in cohorts)
    for analysis, cohorts in (
        ("frequency", (("any", ONE, SELF), ("all", ONE, ("not", SELF)))),
        ("frequency", (("any", ONE, SELF), ("all", ONE, ("not", HIT)))),
        ("sexes", (("any", SELF, ONE), ("any", SELF, ("not", ONE)), EVERYBODY)),
        ("frequency", (("any", HIT, ONE), ("any", HIT, ("not", ONE)), EVERYBODY)),
        ("curve", (("younger", 60), ("any", HIT, ("younger", 60)))),
        ("frequency", (("all", ("mutated",), ("near", 10)), ("all", ("mutated",), ("near", 11)))),
        ("curve", (("all", ("near", 20), ("mutated",), ("not", SELF)),)),
        ("odds", (HIT,)),
    )
)


def trial(stores: Stores, asked: Program, where: tuple[Sequence[int], Sequence[int]]) -> float:
    """Accuracy of a program on people of other stores than it was taught on."""
    train, test = ([p for n in numbers for p in stores.people(n)] for numbers in where)
    seen = [[stores.ask(asked, person) for person in people] for people in (train, test)]
    bits = [[person.bit for person in people] for people in (train, test)]
    return accuracy(seen[0], bits[0], seen[1], bits[1])


@dataclass(frozen=True)
class Found:
    """The best program of a hunt, its accuracy so far, and how many were tried."""

    program: Program
    score: float
    tried: int


def hunt(
    stores: Stores,
    *,
    seed: int,
    goal: float,
    more: Callable[[int], bool],
    first: Sequence[Program] = (),
) -> Found:
    """Breed programs while `more(tried)` holds and none reaches the goal.

    A program that separates people of one store, taught on another, is tried again on more, and
    the mean counts. Those of `first` are tried first; then half are variations of the best.
    """
    rng = np.random.default_rng(seed)
    ranked: list[tuple[float, int, Program]] = []
    while more(len(ranked)) and not (ranked and ranked[0][0] >= goal):
        breed = bool(ranked) and rng.random() < 0.5
        parent = ranked[int(rng.integers(min(4, len(ranked))))][2] if breed else ()
        asked = varied(rng, parent) if parent else program(rng, int(rng.integers(2, 6)))
        asked = first[len(ranked)] if len(ranked) < len(first) else asked
        score = trial(stores, asked, SCREEN)
        if score >= 0.75:
            score = (score + trial(stores, asked, MORE)) / 2
        ranked = sorted([*ranked, (score, len(ranked), asked)], reverse=True)[:200]
    score, _, asked = ranked[0]
    return Found(asked, score, len(ranked))
