"""What the vault holds of families: read back as it was written, under the names it is found by."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from eucan_dask.accounts import Budget
from eucan_dask.errors import Refused, Unavailable
from eucan_dask.families import Families, Family, Trial, read_span
from eucan_dask.ledger import Ask, Entry, Ledger
from eucan_dask.transcript import Evaluation
from eucan_dask.ways import Way

KEY = b"k" * 32
PEOPLE = tuple(f"person-{i:03d}" for i in range(100))
ALL = np.ones(100, bool)
HALF = np.arange(100) < 50


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", KEY)


def ask(ledger: Ledger, members: np.ndarray, **changes: object) -> np.ndarray:
    """Ask about these people, and be answered; whom the answer rests on."""
    options: dict[str, object] = {
        "individuals": PEOPLE,
        "criteria": members[:, np.newaxis],
        "eligible": np.ones(members.size, bool),
        "definitions": (str(np.flatnonzero(members).tolist()),),
        "scope": "",
        "summands": {"f": "weeks"},
        "least": 10,
        "smallest": 10,
        **changes,
    }
    decision = ledger.decide(Ask(**options))
    ledger.record(decision, Entry("r", "x", "0"), [0.5] if "budget" in changes else [])
    return decision.used[:, 0]


# --- reading back ---


def test_read_span__another_process_sees_shapes_as_they_were(tmp_path: Path) -> None:
    for half in (HALF, ~HALF):
        ask(Ledger(tmp_path / "ledger.sqlite", KEY), half)
    again = Ledger(tmp_path / "ledger.sqlite", KEY)
    with pytest.raises(Refused, match="one_shape"):
        ask(again, ALL, summands={"f": "months"})
    assert ask(again, ALL).all()
    with again.vault.open() as box:
        tag = Family("f", "weeks").shape_tag(box)
        assert read_span(box, "f", 100).shapes == [tag, tag]
        assert read_span(box, "*", 100).shapes == [b"", b""]


def test_read_span__leverage_of_everybody_and_of_nobody_who_came_since(ledger: Ledger) -> None:
    ask(ledger, ~HALF)
    with ledger.vault.open() as box:
        leverage = read_span(box, "f", 103).leverage
    np.testing.assert_allclose(leverage, [0.0] * 50 + [0.02] * 50 + [0.0] * 3)


def test_read_span__columns_that_were_all_lost_are_missed(ledger: Ledger) -> None:
    ask(ledger, HALF)
    with ledger.vault.open() as box:
        box.db.execute("delete from lists where kind = 'columns'")
        with pytest.raises(Unavailable, match="damaged"):
            read_span(box, "f", 100)
        assert read_span(box, "g", 100).rank == 0


# --- what a request adds ---


def test_trial__what_was_released_is_free_in_its_shape(ledger: Ledger) -> None:
    ask(ledger, HALF)
    with ledger.vault.open() as box:
        trial = Trial(Families(), 100, 10)
        for shape, kind in (("weeks", "free"), ("months", "shape"), ("", "shape")):
            verdict = trial.verdict(box, Family("f", shape), HALF, ALL)
            assert verdict.kind == kind
            np.testing.assert_array_equal(verdict.members, HALF)


def test_trial__accepts_those_it_is_given_whoever_was_judged_last(ledger: Ledger) -> None:
    with ledger.vault.writing() as box:
        trial = Trial(Families(), 100, 10)
        trial.verdict(box, Family("f"), HALF, ALL)
        trial.accept(box, Family("f"), ~HALF)
        trial.write(box)
        span = read_span(box, "f", 100)
        np.testing.assert_array_equal(span.members(0), ~HALF)
        np.testing.assert_allclose(span.leverage, 0.02 * ~HALF)


def test_trial__who_differs_by_ten_from_those_left_out_is_not_left_out(ledger: Ledger) -> None:
    ask(ledger, np.arange(100) < 9)
    assert not ask(ledger, np.arange(100) < 18).any()
    nineteen = (np.arange(100) >= 50) & (np.arange(100) < 60)
    ask(ledger, np.arange(100) < 9)
    assert ask(ledger, (np.arange(100) < 9) | nineteen).sum() == 19


def test_trial__people_left_out_are_noted_once(ledger: Ledger) -> None:
    for _ in range(2):
        ask(ledger, np.arange(100) < 9)
    with ledger.vault.open() as box:
        assert len(box.items("left out", b"")) == 1


def test_trial__raises_the_version_where_it_adds_anything(ledger: Ledger) -> None:
    """Whoever decided before looks again: at people left out and withdrawn as at memberships."""

    def version() -> int:
        with ledger.vault.open() as box:
            return box.version

    changes = [
        ({"withdrawn": HALF}, 1),
        ({"left_out": [HALF]}, 1),
        ({"known": {("f", b"t"): b""}}, 1),
        ({}, 0),
    ]
    for change, more in changes:
        before = version()
        with ledger.vault.writing() as box:
            Trial(Families(), 100, 10, **change).write(box)
        assert version() == before + more, change


def test_way__names_sites_only_where_they_mask_each_other() -> None:
    assert Way("none") == Way.of("none", ("a", "b"))
    assert Way.of("masked", ("b", "a", "b")) == Way("masked", ("a", "b"))


# --- names ---


KEPT = {
    "notes": {
        "answered": "1 a4339776",
        "asked": "1 af302fe0",
        "canonical": "4 942ef4ed",
        "charged": "2 5649c688",
        "evaluated": "1 6fb50b32",
        "exposure": "2 21d56093",
        "family": "2 39d339ec",
        "held out": "1 e3b0c442",
        "leverage": "2 39d339ec",
        "mean": "1 ae01a02a",
        "member": "4 d9ed5f18",
        "payload": "1 40c4c6eb",
        "refusals": "1 0f5c7d8c",
        "round": "1 e0d73743",
        "set": "3 e4c093f6",
        "told": "2 e0e33e53",
        "transcript": "1 63e3f816",
        "way": "1 2134da8b",
        "withdrawn": "1 e3b0c442",
    },
    "lists": {
        "columns": "4 c68d6254",
        "left out": "1 e3b0c442",
        "releases": "2 e3b0c442",
    },
}


def test_format__what_tells_one_shape_from_another(ledger: Ledger) -> None:
    with ledger.vault.open() as box:
        assert Family("f", "weeks").shape_tag(box).hex() == "bd0fb12e0c95f13a69bcacac23c68974"
        assert Family("f").shape_tag(box) == b""


def test_format__what_is_kept_is_found_under_the_same_names(ledger: Ledger) -> None:
    """A kind or tag by another name forgets what was told: it needs another `vault.FORMAT`.

    All tags follow from the key and what was asked; nothing else of the file does.
    """
    ask(
        ledger,
        HALF,
        asker="a",
        budget=Budget("registered", 2.0, "q", {"controlled": 3.0}),
        way=Way.of("none", ()),
        evaluation=Evaluation("place", 5.0),
    )
    ask(ledger, np.arange(100) < 9)
    gone = tuple(p for i, p in enumerate(PEOPLE) if i != 3)
    ask(ledger, np.ones(99, bool), individuals=gone)
    ledger.count_refusal("a")
    ledger.one_request("r", 0, ("a", "b"), "digest")
    ledger.check_rounds("question", [])
    ledger.answered("question", 0)
    ledger.check_rounds("question", ["first"])
    ledger.one_payload("request", "payload")
    ledger.remember_means(PEOPLE, HALF[:, np.newaxis], {"1:5:A:G": 0.5})
    found: dict[str, dict[str, str]] = {}
    with ledger.vault.open() as box:
        rows = {
            "notes": box.db.execute("select kind, tag from notes").fetchall(),
            "lists": box.db.execute("select kind, tag from lists").fetchall(),
        }
        for table, pairs in rows.items():
            tags = defaultdict(list)
            for kind, tag in pairs:
                tags[kind].append(tag)
            found[table] = {
                kind: f"{len(held)} {hashlib.sha256(b''.join(sorted(held))).hexdigest()[:8]}"
                for kind, held in sorted(tags.items())
            }
    assert {t: {k: found[t].get(k) for k in kinds} for t, kinds in KEPT.items()} == KEPT
