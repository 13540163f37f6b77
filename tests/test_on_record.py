"""The steward's record: agreements kept with each answer, and copies that show what was changed."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import tomllib
from pathlib import Path
from typing import Any

import pytest

from eucan_dask.agreement import AGREEMENT, read_agreement
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid
from eucan_dask.on_record import check_copy, lines, write_copy
from eucan_dask.panel import Panel
from eucan_dask.parties import Parties
from eucan_dask.request import Request, Roster
from eucan_dask.site import Site
from eucan_dask.testing.data import people
from eucan_dask.versions import code_digest
from tests.asking import put
from tests.simulated import make_site

PERMIT = {"permit": "2026/117", "approved": "2026-03-01", "recipients": "Institut Nord (FR)"}
SEX = CohortSummary(fields=(SummaryField(field="sex", levels=("female", "male")),))
WOMEN = Cohort.of("women", {"field": "sex", "equals": "female"})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site whose asker has a permit."""
    directory = make_site(tmp_path, "a", people(120, seed=4, second_biosample=0))
    agreement = "".join(f"{name} = {json.dumps(text)}\n" for name, text in PERMIT.items())
    with (directory / "parties.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[askers.agreement]\n{agreement}")
    return Site(directory)


def ask(site: Site, run: str, *cohorts: Cohort) -> None:
    request = Request(
        run=run,
        analysis=SEX,
        panel=Panel(),
        cohorts=cohorts,
        purpose="DUO:0000006",
        roster=Roster(("a",)),
        code_digest=code_digest(),
    )
    assert put(site, request).status == "released"


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_lines__say_what_was_asked_by_whom_and_under_what(site: Site) -> None:
    ask(site, "r1", Cohort("everybody"), WOMEN)
    everybody, women = lines(site.ledger)
    for line in (everybody, women):
        assert line["agreement"] == PERMIT
        assert line["asker"] == "tests"
        assert line["purpose"] == "DUO:0000006"
        assert (line["aggregator"], line["sites"]) == ("none", ["a"])
        assert line["freeze"] == site.store.manifest.digest
        assert re.fullmatch("[0-9a-f]{64}", line["question"])
        assert "members" not in line
    assert everybody["criteria"] == "{}"
    assert json.loads(women["criteria"]) == WOMEN.tree
    assert everybody["n_individuals"] == 120


def test_lines__the_chain_is_that_of_the_commitments(site: Site) -> None:
    ask(site, "r1", Cohort("everybody"), WOMEN)
    chain = hashlib.sha256(b"eucan-dask record 1")
    for line in lines(site.ledger):
        chain.update(bytes.fromhex(line["commitment"]))
        assert line["chain"] == chain.hexdigest()


def test_check_copy__what_was_there_is_there(site: Site, tmp_path: Path) -> None:
    ask(site, "r1", Cohort("everybody"))
    assert write_copy(site.ledger, tmp_path / "march.jsonl") == 1
    ask(site, "r2", WOMEN)
    assert write_copy(site.ledger, tmp_path / "april.jsonl") == 2
    assert check_copy(Site(site.directory).ledger, tmp_path / "march.jsonl") == 1
    assert check_copy(site.ledger, tmp_path / "april.jsonl") == 2
    assert read(tmp_path / "april.jsonl")[:1] == read(tmp_path / "march.jsonl")


def test_check_copy__names_may_be_erased(site: Site, tmp_path: Path) -> None:
    ask(site, "r1", Cohort("everybody"))
    write_copy(site.ledger, tmp_path / "a.jsonl")
    (line,) = read(tmp_path / "a.jsonl")
    erased = {name: line[name] for name in ("commitment", "chain")}
    (tmp_path / "b.jsonl").write_text(json.dumps(erased), encoding="utf-8")
    assert check_copy(site.ledger, tmp_path / "b.jsonl") == 1


def test_check_copy__a_line_taken_away(site: Site, tmp_path: Path) -> None:
    ask(site, "r1", Cohort("everybody"))
    ask(site, "r2", WOMEN)
    write_copy(site.ledger, tmp_path / "a.jsonl")
    with sqlite3.connect(site.node / "ledger.sqlite") as db:
        gone = db.execute("delete from lists where kind = 'releases' and number = 1").rowcount
    db.close()
    assert gone == 1
    with pytest.raises(Invalid, match=r"a\.jsonl, line 2"):
        check_copy(Site(site.directory).ledger, tmp_path / "a.jsonl")


def test_check_copy__a_line_changed(site: Site, tmp_path: Path) -> None:
    ask(site, "r1", Cohort("everybody"))
    write_copy(site.ledger, tmp_path / "a.jsonl")
    (line,) = read(tmp_path / "a.jsonl")
    line["commitment"] = "0" * 32
    (tmp_path / "a.jsonl").write_text(json.dumps(line), encoding="utf-8")
    with pytest.raises(Invalid, match="does not hold this line"):
        check_copy(site.ledger, tmp_path / "a.jsonl")


@pytest.mark.parametrize("text", ["{", "[1]", '{"chain": "x"}', "1"])
def test_check_copy__what_is_no_record(site: Site, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(Invalid, match="is no record"):
        check_copy(site.ledger, tmp_path / "a.jsonl")


def test_write_copy__never_over_another(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("mine", encoding="utf-8")
    with pytest.raises(Invalid, match="exists already"):
        write_copy(site.ledger, tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8") == "mine"


# --- agreements ---


def test_read_agreement__leaves_out_what_is_not_said() -> None:
    assert read_agreement({**PERMIT, "ethics": ""}, where="x") == PERMIT
    every = dict.fromkeys(AGREEMENT, "2026-03-01")
    assert read_agreement(every, where="x") == every


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"permitt": "x"}, "permit"),
        ({"permit": 17}, "wrong type"),
        ({"approved": "last spring"}, "x approved: is no date; expected YYYY-MM-DD"),
        ({"assessed": "2026-02-30"}, "x assessed: is no date"),
    ],
)
def test_read_agreement__what_cannot_be(table: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        read_agreement(table, where="x")


def test_parties__the_example_of_the_steward_s_guide(site: Site) -> None:
    text = (Path(__file__).parents[1] / "docs" / "steward.md").read_text(encoding="utf-8")
    (example,) = (t for t in text.split("```") if t.strip().startswith("[askers.agreement]"))
    table = tomllib.loads(example.replace("askers.agreement", "agreement"))["agreement"]
    assert read_agreement(table, where="steward.md") == table
    assert set(AGREEMENT) - set(table) == {"processor"}


def test_parties__an_agreement_of_nobody_who_may_ask(site: Site) -> None:
    parties = Parties.read(site.directory / "parties.toml")
    assert parties.agreement_of("00" * 32) == {}
