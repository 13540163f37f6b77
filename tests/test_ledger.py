"""The ledger: pairs that would single somebody out, crashes, two processes, and its privacy."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask.errors import EucanError, Invalid, Refused, Unavailable
from eucan_dask.ledger import Ledger

KEY = b"k" * 32
PEOPLE = tuple(f"person-{i:03d}" for i in range(100))
FORK = multiprocessing.get_context("fork")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def members(*numbers: int) -> np.ndarray:
    """A membership vector."""
    chosen = np.zeros(len(PEOPLE), dtype=bool)
    chosen[list(numbers)] = True
    return chosen


FIRST = members(*range(50))


def ask(
    ledger: Ledger,
    criteria: np.ndarray,
    *,
    used: np.ndarray | None = None,
    summand: str = "f",
    shape: str = "",
    least: int = 10,
    smallest: int = 10,
    people: tuple[str, ...] = PEOPLE,
) -> None:
    """One answer about one or more cohorts; columns are cohorts."""
    columns = criteria.reshape(len(people), -1)
    ledger.check_and_record(
        people,
        criteria=columns,
        used=columns if used is None else used.reshape(len(people), -1),
        summands={summand: shape},
        least=least,
        smallest=smallest,
        run="r",
        analysis="x",
        freeze="0",
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", KEY)


@pytest.mark.parametrize(
    ("second", "refused"),
    [
        (members(*range(49)), True),  # one fewer
        (members(*range(51)), True),  # one more
        (members(*range(41)), True),  # nine fewer
        (members(*range(40)), False),  # ten fewer
        (members(*range(5, 54)), True),  # five out, four in
        (members(*range(5, 55)), False),  # five out, five in
        (members(*range(50)), False),  # the same people
        (members(*range(50, 100)), False),
        (members(*range(9)), False),  # too small to be answered at all
    ],
)
def test_check_and_record__second_cohort(
    ledger: Ledger, second: np.ndarray, *, refused: bool
) -> None:
    ask(ledger, FIRST)
    if not refused:
        ask(ledger, second)
        return
    with pytest.raises(Refused) as caught:
        ask(ledger, second)
    assert caught.value.rule == "min_cohort_difference"
    assert not any(ch.isdigit() for ch in str(caught.value))


def test_check_and_record__cohorts_of_one_request_are_compared_too(ledger: Ledger) -> None:
    both = np.stack([FIRST, members(*range(49))], axis=1)
    with pytest.raises(Refused):
        ask(ledger, both)
    assert ledger.summary() == []


def test_check_and_record__a_refusal_records_nothing(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    both = np.stack([members(*range(50, 80)), members(*range(49))], axis=1)
    with pytest.raises(Refused):
        ask(ledger, both)
    ask(ledger, members(*range(50, 81)))  # would be refused, had the first cohort been recorded
    assert len(ledger.summary()) == 2


def test_check_and_record__people_used_are_compared_within_a_summand(ledger: Ledger) -> None:
    ask(ledger, FIRST, used=members(*range(50)), summand="f")
    with pytest.raises(Refused):
        ask(ledger, FIRST, used=members(*range(49)), summand="f")
    ask(ledger, FIRST, used=members(*range(49)), summand="g")


def test_check_and_record__the_same_people_are_shown_in_one_shape(ledger: Ledger) -> None:
    """Two grids or two sets of bins over the same people differ by the few between two edges."""
    ask(ledger, FIRST, summand="survival", shape="0, 30, 60")
    ask(ledger, FIRST, summand="survival", shape="0, 30, 60")
    with pytest.raises(Refused) as caught:
        ask(ledger, FIRST, summand="survival", shape="0, 31, 60")
    assert caught.value.rule == "one_shape"
    ask(ledger, FIRST, summand="age", shape="0, 31, 60")
    ask(ledger, members(*range(50, 100)), summand="survival", shape="0, 31, 60")


def test_check_and_record__criteria_are_compared_over_everything(ledger: Ledger) -> None:
    ask(ledger, FIRST, summand="f")
    with pytest.raises(Refused):
        ask(ledger, members(*range(49)), used=members(*range(50, 80)), summand="g")


def test_check_and_record__small_cohorts_are_neither_compared_nor_recorded(ledger: Ledger) -> None:
    ask(ledger, members(*range(9)))
    ask(ledger, members(*range(10)))
    assert [row["n_individuals"] for row in ledger.summary()] == [10]


@pytest.mark.parametrize("least", [0, 1])
def test_check_and_record__without_a_difference_nothing_is_compared(
    ledger: Ledger, least: int
) -> None:
    ask(ledger, FIRST, least=least, smallest=0)
    ask(ledger, members(*range(49)), least=least, smallest=0)
    ask(ledger, members(), least=least, smallest=0)  # nobody: nothing to record
    assert len(ledger.summary()) == 2


def test_check_and_record__rows_follow_people_not_their_order(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    order = np.random.default_rng(0).permutation(len(PEOPLE))
    ask(ledger, FIRST[order], people=tuple(PEOPLE[i] for i in order))
    assert len(ledger.summary()) == 1


def test_check_and_record__new_and_withdrawn_people(ledger: Ledger) -> None:
    ask(ledger, FIRST)
    more = (*PEOPLE, "new-a", "new-b")
    with pytest.raises(Refused):  # everybody of before and one who came
        ask(ledger, np.append(FIRST, [True, False]), people=more)
    with pytest.raises(Refused):  # one withdrew
        ask(ledger, FIRST[1:], people=PEOPLE[1:])
    ask(ledger, np.append(FIRST, [False, False]), people=more)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(cohorts=st.lists(st.sets(st.integers(0, 29), min_size=5), min_size=2, max_size=6))
def test_check_and_record__any_two_recorded_are_equal_or_far_apart(
    tmp_path_factory: pytest.TempPathFactory, cohorts: list[set[int]]
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite", KEY)
    answered: list[set[int]] = []
    for cohort in cohorts:
        near = any(0 < len(cohort ^ other) < 5 for other in answered)
        try:
            ask(ledger, members(*cohort), least=5, smallest=5)
        except Refused:
            assert near
        else:
            assert not near
            answered.append(cohort)


def test_ledger__holds_no_id_and_depends_on_the_key(tmp_path: Path, ledger: Ledger) -> None:
    ask(ledger, FIRST)
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"person-" not in raw
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        keys = {row[0] for row in db.execute("select key from people")}
    db.close()
    Ledger(tmp_path / "other.sqlite", b"o" * 32).check_rounds("q", ())
    ask(Ledger(tmp_path / "other.sqlite", b"o" * 32), FIRST)
    with sqlite3.connect(tmp_path / "other.sqlite") as db:
        others = {row[0] for row in db.execute("select key from people")}
    db.close()
    assert len(keys) == len(others) == len(PEOPLE)
    assert not keys & others


def test_summary__says_what_was_released(ledger: Ledger) -> None:
    ask(ledger, np.stack([FIRST, members(*range(50, 100))], axis=1))
    (first, second) = ledger.summary()
    assert (first["run"], first["analysis"], first["freeze"]) == ("r", "x", "0")
    assert [first["n_individuals"], second["n_individuals"]] == [50, 50]
    assert first["at"]


# --- rounds ---


def test_check_rounds__a_history_that_goes_on_is_taken(ledger: Ledger) -> None:
    for digests in ((), ("a",), ("a", "b"), ("a",), ("a", "b", "c"), ()):
        ledger.check_rounds("q", digests)  # asked again after an answer was lost
        ledger.answered("q", len(digests))


def test_check_rounds__a_contradiction_is_refused(ledger: Ledger) -> None:
    for digests in ((), ("a",), ("a", "b")):
        ledger.check_rounds("q", digests)
        ledger.answered("q", len(digests))
    with pytest.raises(Refused):
        ledger.check_rounds("new", ("a",))  # round 0 of it was never answered
    for other in (("x",), ("a", "x"), ("x", "b", "c")):
        with pytest.raises(Refused) as caught:
            ledger.check_rounds("q", other)
        assert caught.value.rule == "history"
    ledger.check_rounds("other question", ())
    ledger.answered("other question", 0)
    ledger.check_rounds("other question", ("x",))
    ledger.check_rounds("q", ("a", "b", "c"))


@pytest.mark.parametrize("digests", [("a",), ("a", "b"), ("a", "b", "c")])
def test_check_rounds__a_history_out_of_nothing_is_refused(
    ledger: Ledger, digests: tuple[str, ...]
) -> None:
    with pytest.raises(Refused, match="rule history"):
        ledger.check_rounds("q", digests)
    ledger.check_rounds("q", ())
    ledger.answered("q", 0)
    if len(digests) > 1:  # one round was answered, not so many
        with pytest.raises(Refused, match="rule history"):
            ledger.check_rounds("q", digests)


# --- the file ---


def test_ledger__another_format_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.sqlite", KEY)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("update meta set format = 2")
    db.close()
    with pytest.raises(Invalid, match="another format"):
        Ledger(tmp_path / "ledger.sqlite", KEY)


def test_ledger__reopened_it_remembers(tmp_path: Path) -> None:
    ask(Ledger(tmp_path / "ledger.sqlite", KEY), FIRST)
    with pytest.raises(Refused):
        ask(Ledger(tmp_path / "ledger.sqlite", KEY), members(*range(49)))


def test_ledger__a_file_that_is_no_ledger_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 9)
    with pytest.raises(Unavailable, match=r"ledger\.sqlite cannot be used"):
        Ledger(tmp_path / "ledger.sqlite", KEY)


def test_ledger__no_directory_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be opened"):
        Ledger(tmp_path / "absent" / "ledger.sqlite", KEY)


# --- crashes and company ---


class _Bomb(np.ndarray):
    """A membership whose second cohort kills the process while the transaction is open."""

    @property
    def T(self) -> object:  # noqa: N802
        def columns() -> object:
            yield np.asarray(self)[:, 0]
            os.kill(os.getpid(), signal.SIGKILL)

        return columns()


def _die_between(path: Path) -> None:
    two = np.stack([members(*range(50, 80)), FIRST], axis=1).view(_Bomb)
    Ledger(path, KEY).check_and_record(
        PEOPLE,
        criteria=two,
        used=two,
        summands={"f": ""},
        least=10,
        smallest=10,
        run="killed",
        analysis="x",
        freeze="0",
    )


def test_ledger__killed_between_two_cohorts_it_holds_neither(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ask(Ledger(path, KEY), FIRST)
    process = FORK.Process(target=_die_between, args=(path,))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    again = Ledger(path, KEY)
    assert [row["run"] for row in again.summary()] == ["r"]
    ask(again, members(*range(50, 81)))  # one off the cohort of the killed process
    with sqlite3.connect(path) as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    db.close()


def _contend(path: Path, queue: object, start: object, numbers: range) -> None:
    start.wait(30)  # type: ignore[attr-defined]
    try:
        ask(Ledger(path, KEY), members(*numbers))
    except EucanError as error:
        queue.put(type(error).__name__)  # type: ignore[attr-defined]
    else:
        queue.put("answered")  # type: ignore[attr-defined]


def test_ledger__of_two_processes_at_once_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path, KEY)
    queue, start = FORK.Queue(), FORK.Event()
    pair = (range(50), range(49))
    processes = [
        FORK.Process(target=_contend, args=(path, queue, start, numbers)) for numbers in pair
    ]
    for process in processes:
        process.start()
    start.set()
    found = sorted(queue.get(timeout=60) for _ in pair)
    for process in processes:
        process.join(30)
    assert found == ["Refused", "answered"]
    assert len(Ledger(path, KEY).summary()) == 1


def test_ledger__what_another_process_writes_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    mine = Ledger(path, KEY)
    process = FORK.Process(target=ask, args=(Ledger(path, KEY), FIRST))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    with pytest.raises(Refused):
        ask(mine, members(*range(49)))
