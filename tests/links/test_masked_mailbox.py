"""Masked sums over mailboxes: numbers of clear ones, late answers, openings kept and repeated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from eucan_dask import message, wire
from eucan_dask.errors import NotEnoughSites, Unavailable
from eucan_dask.federation import Federation
from eucan_dask.keys import read_private
from eucan_dask.opening import encode_opening
from eucan_dask.site import Site
from tests.links.parties import (
    FIT,
    SEX,
    Parties,
    ask,
    befriend,
    make_sites,
    passes,
    passing,
    share,
)

PURPOSE = "DUO:0000006"
SIZES = {"heidelberg": 150, "lyon": 130, "toronto": 140, "turin": 120}
SHORT = 0.05  # minutes


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_sites(tmp_path_factory.mktemp("sites"), SIZES)


@pytest.fixture
def parties(sites: dict[str, Path], tmp_path: Path) -> Parties:
    found = share(sites, tmp_path, min_sites=3)
    befriend(found)
    return found


@pytest.mark.parametrize("analysis", [SEX, FIT], ids=["sums", "fit"])
def test_mailbox__masked_as_in_process(
    parties: Parties, sites: dict[str, Path], tmp_path: Path, analysis: object
) -> None:
    with passing(parties) as told:
        masked = ask(parties, analysis, aggregator="masked")
    other = share(sites, tmp_path / "trusted", min_sites=3)
    with passing(other):
        trusted = ask(other, analysis, aggregator="trusted")
    for name, table in masked.tables.items():
        assert (
            table.drop(columns="n_sites")
            .round(9)
            .equals(trusted.tables[name].drop(columns="n_sites").round(9))
        )
    assert [line for line in told if line.endswith("opened")]
    assert parties.left() == []


def test_mailbox__a_site_that_is_silent_and_comes_late(parties: Parties) -> None:
    """Its answer to the first request stays what it was: noise."""
    three = [name for name in parties.sites if name != "turin"]
    with passing(parties, *three):
        result = ask(parties, minutes=SHORT, aggregator="masked")
    assert [o.status[0] for o in result.outcomes] == ["a", "a", "a", "u"]
    assert result.to_dataframe("individuals")["n"].tolist() == [420]
    assert passes(parties.sites["turin"]) == ["nothing waits"]


def test_mailbox__two_sites_are_too_few(parties: Parties) -> None:
    with passing(parties, "lyon", "turin"), pytest.raises((NotEnoughSites, Unavailable)):
        ask(parties, minutes=SHORT, aggregator="masked")


@dataclass(frozen=True)
class Letters:
    """A masked request and its opening, as files for one site."""

    parties: Parties
    run: str
    raw: dict[str, bytes]

    @classmethod
    def of(cls, parties: Parties) -> Letters:
        with Federation.open(parties.federation) as federation:
            request = federation.request(SEX, purpose=PURPOSE, aggregator="masked")
        key = read_private(parties.desk / "federation.key")
        raw = wire.encode_request(request, key)
        return cls(parties, request.run, {"request": raw, "opening": encode_opening(raw, key)})

    def put(self, kind: str) -> None:
        path = self.parties.boxes["lyon"] / "in" / f"{self.run}.0.{kind}"
        path.write_bytes(self.raw[kind])

    def passed(self) -> list[str]:
        """What the site says of each file it answers."""
        lines = passes(self.parties.sites["lyon"])
        return [line.partition("round 1: ")[2] for line in lines]

    def answers(self) -> dict[Path, bytes]:
        box = self.parties.boxes["lyon"] / "out"
        return {path: path.read_bytes() for path in box.iterdir() if path.suffix != ".hello"}


def test_mailbox__an_opening_before_its_request_is_refused(parties: Parties) -> None:
    letters = Letters.of(parties)
    letters.put("opening")
    assert letters.passed() == ["not opened, rule opening"]


def test_mailbox__an_opening_is_answered_after_its_request_and_repeated(parties: Parties) -> None:
    """Byte for byte, as any answer, whatever the ledger would say by then."""
    letters = Letters.of(parties)
    letters.put("opening")
    letters.put("request")
    assert letters.passed() == ["answered", "opened"]
    first = letters.answers()
    kinds = sorted(message.read_header(data)["kind"] for data in first.values())
    assert kinds == ["opened", "release"]
    for path in first:
        path.unlink()
    Site(parties.sites["lyon"]).ledger.forget_roster("level:sex")
    assert letters.passed() == ["answered (again)", "opened (again)"]
    assert letters.answers() == first
