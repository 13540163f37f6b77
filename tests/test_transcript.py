"""Numbers that fits tell, added up over runs, cohorts and askers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.analyses.logistic_regression import LogisticRegression
from eucan_dask.analysis import Analysis
from eucan_dask.asking import asking
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Refused
from eucan_dask.ledger import Ledger
from eucan_dask.panel import Panel
from eucan_dask.policy import Policy
from eucan_dask.request import Request, Roster
from eucan_dask.terms import Term
from eucan_dask.testing.data import people
from eucan_dask.transcript import Evaluation, keep_transcript, told
from eucan_dask.versions import code_digest
from tests.asking import put
from tests.simulated import make_site
from tests.test_ledger import ENTRY, FIRST, KEY, PEOPLE, ask, members, question

FIVE = Evaluation("a state", 5.0)
AGE, INDEX = Term(field="age_at_diagnosis"), Term(field="body_mass_index")
SEX = Term(field="sex", levels=("female", "male"))
COX = CoxRegression(terms=(AGE, SEX))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", KEY)


def state(number: int, **changes: Any) -> Evaluation:
    return replace(FIVE, place=str(number), **changes)


def spent(ledger: Ledger, summand: str = "f") -> np.ndarray:
    with ledger.vault.open() as box:
        return told(box, summand, len(PEOPLE))


def test_decide__as_many_numbers_as_people(ledger: Ledger) -> None:
    """Ten states of five numbers over fifty people, whoever asks in whichever run."""
    for number in range(10):
        ask(ledger, FIRST, evaluation=state(number), asker=str(number), run=str(number))
    np.testing.assert_allclose(spent(ledger), FIRST)
    with pytest.raises(Refused, match="transcript") as caught:
        ask(ledger, FIRST, evaluation=state(10))
    assert not any(ch.isdigit() for ch in str(caught.value))
    ask(ledger, FIRST, evaluation=state(3))  # told before
    ask(ledger, ~FIRST, evaluation=state(10))  # other people
    ask(ledger, FIRST, evaluation=state(10), summand="g")  # another sum
    np.testing.assert_allclose(spent(ledger, "g"), FIRST * 0.1)


def test_decide__who_is_in_several_cohorts_pays_in_each(ledger: Ledger) -> None:
    for number in range(8):
        ask(ledger, FIRST, evaluation=state(number))
    half = members(*range(25))
    ask(ledger, half, evaluation=state(0))  # 5 / 25 more
    with pytest.raises(Refused, match="transcript"):
        ask(ledger, half, evaluation=state(1))
    ask(ledger, FIRST & ~half, evaluation=state(1))


def test_decide__sums_of_several_sites_tell_less_of_each(ledger: Ledger) -> None:
    ask(ledger, FIRST, evaluation=replace(FIVE, n_sites=4))
    np.testing.assert_allclose(spent(ledger), FIRST * 5 / 50 / 4)


def test_decide__writes_nothing_and_a_restart_forgets_nothing(ledger: Ledger) -> None:
    ledger.decide(question(FIRST, evaluation=FIVE))
    assert not spent(ledger).any()
    ask(ledger, FIRST, evaluation=FIVE)
    again = Ledger(ledger.vault.path, KEY)
    np.testing.assert_allclose(spent(again), FIRST * 0.1)


def test_record__two_answers_at_once_do_not_pass_the_limit(ledger: Ledger) -> None:
    most = replace(FIVE, numbers=30.0)
    both = [ledger.decide(question(FIRST, evaluation=replace(most, place=p))) for p in "ab"]
    ledger.record(both[0], ENTRY)
    with pytest.raises(Refused, match="transcript"):
        ledger.record(both[1], ENTRY)
    np.testing.assert_allclose(spent(ledger), FIRST * 0.6)


def test_keep__of_one_person_one_number_and_of_nobody_none(ledger: Ledger) -> None:
    """A cohort of nobody beside it takes no share."""
    sets = np.stack([members(3), members()], axis=1)
    with ledger.vault.open() as box:
        keep_transcript(box, replace(FIVE, numbers=1.0), ["f"], sets)
        np.testing.assert_array_equal(told(box, "f", len(PEOPLE)), members(3))
        with pytest.raises(Refused):
            keep_transcript(box, state(1, numbers=0.1), ["f"], sets)


# --- what a state is ---


def asked(analysis: Analysis, **changes: Any) -> Request:
    values: dict[str, Any] = {
        "run": "r",
        "analysis": analysis,
        "panel": Panel(),
        "cohorts": (Cohort("everybody"),),
        "purpose": "DUO:0000006",
        "roster": Roster(("a", "b")),
    }
    return Request(**{**values, **changes})


def evaluated(request: Request, *, freeze: str = "1", public: bool = False) -> Evaluation | None:
    own = Policy.read(Path(__file__).parents[1] / "eucan_dask/policies/recommended.toml")
    nobody = np.zeros(0, bool)
    return asking(
        request,
        replace(own, public=public),
        individuals=(),
        criteria=nobody,
        eligible=nobody,
        freeze=freeze,
    ).evaluation


@pytest.mark.parametrize(
    "changes",
    [{"run": "other"}, {"purpose": "DUO:0000042"}, {"tier": "registered"}, {"roster": Roster("a")}],
    ids=str,
)
def test_asking__the_same_state(changes: dict[str, Any]) -> None:
    one = evaluated(asked(COX))
    assert one is not None
    assert one.numbers == 2 * (2 + 3) / 2
    assert one.n_sites == 1
    assert evaluated(asked(COX, **changes)) == one
    assert evaluated(asked(replace(COX, tolerance=1e-5, max_iterations=4))) == one


@pytest.mark.parametrize(
    "other",
    [
        replace(COX, ties="breslow"),
        replace(COX, strata="stage"),
        replace(COX, endpoint="progression_free"),
        replace(COX, terms=(SEX, AGE)),
        replace(COX, terms=(AGE, Term(field="sex", levels=("male", "female")))),
        LogisticRegression(outcome=Term(gene="TP53"), terms=COX.terms),
    ],
    ids=repr,
)
def test_asking__another_state(other: Analysis) -> None:
    one, changed = evaluated(asked(COX)), evaluated(asked(other))
    assert one is not None
    assert changed is not None
    assert one.place != changed.place


def test_asking__another_state__by_history_freeze_and_aggregator() -> None:
    p = len(COX.labels)
    sizes = {"terms": p, "terms_2": p}
    shapes = {s.name: tuple(sizes[d] for d in s.dims) for s in COX.yields if s.leaves}
    total = {name: np.ones(shape) for name, shape in shapes.items()}
    total |= {"information": np.eye(p), "term_square": np.full(p, 2.0)}
    first = asked(COX)
    second = first.next_round(total)
    third = first.next_round({**total, "score": np.full(p, 1.5)})
    places = [evaluated(r).place for r in (first, second, third)]  # type: ignore[union-attr]
    places.append(evaluated(first, freeze="2").place)  # type: ignore[union-attr]
    for name, sites in (("trusted", "abc"), ("trusted", "abcd"), ("masked", "abc")):
        found = evaluated(asked(COX, roster=Roster(tuple(sites), name)))
        assert found is not None
        assert found.n_sites == len(sites)
        places.append(found.place)
    assert len(set(places)) == 7


def test_asking__no_state() -> None:
    assert evaluated(asked(COX), public=True) is None
    scan = LinearAssociation(traits=(INDEX,), terms=(AGE,))
    assert evaluated(asked(scan, panel=Panel(variants=("1:1000:A:G",)))) is None


def test_summands__levels_do_not_name_another_sum() -> None:
    other = replace(COX, terms=(AGE, Term(field="sex", levels=("male", "female"))))
    assert other.summands(Panel()) == COX.summands(Panel())


# --- a site ---


def test_answer__states_of_several_runs_are_added_up(tmp_path: Path) -> None:
    """Sixty people, one term: thirty states of two numbers, however they are spread over runs."""
    simulated = people(60, seed=3, centre="a", missing=0.0)
    site = make_site(tmp_path, "a", simulated, data_class="personal")
    analysis = CoxRegression(terms=(AGE,))
    first = asked(analysis, roster=Roster(("a",)), code_digest=code_digest())
    n_told, rules, n = 0, set(), 0
    for number in range(40):
        request = replace(first, run=f"r{number}", tier="open")
        release = put(site, request)
        n = int(release.arrays["n_individuals"])  # at the start: free from the second run on
        total = {k: v for k, v in release.arrays.items() if k != "fit_hidden"}
        scale = np.sqrt(total["term_square"] / n - (total["term_sum"] / n) ** 2)
        total["information"] = 1 / scale[:, None] ** 2
        total["score"] = np.array([0.01 * (number + 1)]) / scale**3
        found = put(site, request.next_round(total))
        n_told += found.status == "released"
        rules |= {f.rule for f in found.findings if found.status == "refused"}
    assert n_told == n // 2 - 1
    assert rules == {"transcript"}


@pytest.mark.parametrize("n", [0, 1, 4, 9])
def test_answer__too_few_people_are_refused_in_the_same_words(tmp_path: Path, n: int) -> None:
    """Five numbers of four people would be too many: that is not said, nor of whom it is true."""
    simulated = people(60, seed=3, centre="a", missing=0.0)
    ages = np.sort(simulated.clinical["age_at_diagnosis"].unique())
    least = {"field": "age_at_diagnosis", "max": float(ages[n] + ages[n - 1]) / 2 if n else 0.0}
    site = make_site(tmp_path, "a", simulated, data_class="personal")
    request = asked(COX, roster=Roster(("a",)), code_digest=code_digest(), tier="open")
    found = put(site, replace(request, cohorts=(Cohort.of("few", least),)))
    assert [f.rule for f in found.findings] == ["min_individuals"]
