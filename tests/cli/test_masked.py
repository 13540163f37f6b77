"""`run --aggregator masked`, the steward's view of it, and the way back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import Cli, refusal
from tests.cli.test_ask import SUMMARY, job
from tests.masked import make_masked


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return make_masked(tmp_path / "federation", (60, 70, 80))


def test_run__masked(file: Path, tmp_path: Path, cli: Cli) -> None:
    path, out = job(tmp_path / "a.toml", SUMMARY), tmp_path / "out"
    answer = cli("run", path, "--federation", file, "--out", out, "--aggregator", "masked")
    assert answer.code == 0, answer.err
    assert "round 1, opening" in answer.err
    assert json.loads((out / "provenance.json").read_text())["aggregator"] == "masked"
    assert "3 of 3 sites" in answer.out
    again = ("run", path, "--federation", file, "--out", tmp_path / "again")
    words = ("refused by a, b, c", "rule one_roster", 'ask with aggregator = "masked", as before')
    refusal(cli(*again, "--aggregator", "none"), *words, code=3)
    site = file.parent / "a" / "site"
    told = cli("site", "ledger", site)
    assert "how sums are given" in told.out
    summand = next(w for w in told.out.split() if w.startswith("level:"))
    assert "a, b, c" in told.out
    forgot = cli("site", "ledger", site, "--forget-roster", summand)
    assert forgot.code == 0
    assert f"forgot how {summand} was given" in forgot.out
    assert "warning: what was given before is still out there" in forgot.out
    assert "was not given" in cli("site", "ledger", site, "--forget-roster", summand).out


def test_run__masked_for_an_asker_admitted_without(file: Path, tmp_path: Path, cli: Cli) -> None:
    for site in "abc":
        parties = file.parent / site / "site" / "parties.toml"
        text = parties.read_text()
        name = '[[askers]]\nname = "federation"'
        head, tail = text.split(name)
        tail = tail.replace('["none", "trusted", "masked"]', '["none"]', 1)
        parties.write_text(head + name + tail)
    where = ("--federation", file, "--out", tmp_path / "out", "--aggregator", "masked")
    words = ("rule asker", "this key may ask with: none")
    refusal(cli("run", job(tmp_path / "a.toml", SUMMARY), *where), *words, code=3)
