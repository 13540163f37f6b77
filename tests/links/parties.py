"""Sites and a coordinator that share nothing but mailboxes."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.logistic_regression import LogisticRegression
from eucan_dask.federation import EVERYBODY, Federation
from eucan_dask.init import init_federation
from eucan_dask.mailbox import release_path
from eucan_dask.panel import Panel
from eucan_dask.parties import admit_peer
from eucan_dask.request import Request, Roster
from eucan_dask.result import Result
from eucan_dask.site import Site
from eucan_dask.site_pass import say_hello, site_pass
from eucan_dask.terms import Term
from eucan_dask.testing.data import people
from eucan_dask.versions import code_digest
from tests.asking import encoded, write_key
from tests.simulated import make_site

__all__ = [
    "FIT",
    "LONG",
    "PURPOSE",
    "SEX",
    "SHORT",
    "Parties",
    "ask",
    "befriend",
    "in_process",
    "ledger_rows",
    "make_sites",
    "passes",
    "passing",
    "put_request",
    "release_of",
    "request",
    "same",
    "set_mailbox",
    "share",
]

SETTINGS = {"max_parameter_ratio": "1.0"}
PURPOSE = "DUO:0000006"
SEX = CohortSummary(fields=(SummaryField(field="sex", levels=("female", "male")),))
FIT = LogisticRegression(outcome=Term(gene="TP53"), terms=(Term(field="age_at_diagnosis"),))
LONG = 3.0  # minutes: longer than any of these tests takes
SHORT = 0.02


@dataclass(frozen=True)
class Parties:
    """Where everybody is.

    Parameters
    ----------
    desk
        The coordinator's directory.
    boxes
        The mailbox of each site; one for all, if they share it.
    """

    desk: Path
    sites: dict[str, Path]
    boxes: dict[str, Path]

    @property
    def federation(self) -> Path:
        return self.desk / "federation.toml"

    def answers(self, name: str) -> dict[str, bytes]:
        """What a site remembers to have answered."""
        found = (self.sites[name] / "node" / "answers").glob("[!.]*")
        return {path.name: path.read_bytes() for path in found}

    def left(self) -> list[str]:
        """What lies in the mailboxes, hellos aside."""
        found = {p for box in self.boxes.values() for p in box.glob("*/*")}
        return sorted(p.name for p in found if p.suffix != ".hello")


def make_sites(root: Path, sizes: dict[str, int]) -> dict[str, Path]:
    """Sites of so many people, each with its store in a directory of its own."""
    return {
        name: make_site(root, name, people(n, seed=i, centre=name), settings=SETTINGS)
        for i, (name, n) in enumerate(sizes.items())
    }


def set_mailbox(site: Path, box: Path) -> None:
    """Name the mailbox in a site's file, and say hello in it."""
    text, n = re.subn(
        r"(?m)^#? ?mailbox = .*$", f'mailbox = "{box}"', (site / "site.toml").read_text()
    )
    assert n == 1
    (site / "site.toml").write_text(text)
    for folder in ("in", "out"):
        (site / box / folder).mkdir(parents=True, exist_ok=True)
    say_hello(Site(site))


def share(
    sites: dict[str, Path], root: Path, *, one_box: bool = False, min_sites: int | None = None
) -> Parties:
    """Copies of sites with ledgers of their own, mailboxes, and a coordinator who knows these."""
    own, boxes = {}, {}
    for name, site in sites.items():
        left_out = shutil.ignore_patterns("node")
        own[name] = Path(shutil.copytree(site, root / name / "site", ignore=left_out))
        boxes[name] = root / "boxes" / ("all" if one_box else name)
        set_mailbox(own[name], boxes[name])
    parties = Parties(root / "desk", own, boxes)
    links = [f"mailbox:{box}" for box in dict.fromkeys(boxes.values())]
    write_key(parties.desk / "federation.key")  # requests may be put by hand as well
    init_federation(
        parties.federation, links, min_sites=min_sites or len(sites), overlap="excluded"
    )
    return parties


def befriend(parties: Parties) -> None:
    """Let all sites mask with each other, as their stewards would one by one."""
    for name, site in parties.sites.items():
        for other, directory in parties.sites.items():
            if other != name:
                admit_peer(site, other, directory / "keys" / "site.pub")


def passes(site: Path) -> list[str]:
    """One pass in this process: the lines it told."""
    told: list[str] = []
    site_pass(Site(site), tell=told.append)
    return told


def ledger_rows(site: Path) -> Sequence[tuple[object, ...]]:
    """What a site's ledger says of answers, times aside."""
    rows = Site(site).ledger.summary()
    return sorted((r["run"], r["analysis"], r["freeze"], r["n_individuals"]) for r in rows)


def request(*names: str, run: str = "ab12", analysis: Any = SEX) -> Request:
    return Request(
        run=run,
        analysis=analysis,
        panel=Panel(),
        cohorts=EVERYBODY,
        purpose=PURPOSE,
        roster=Roster(tuple(sorted(names))),
        code_digest=code_digest(),
    )


def put_request(parties: Parties, name: str, *, run: str = "ab12") -> bytes:
    """Put a request to both sites into the mailbox of one."""
    raw = encoded(request("lyon", "toronto", run=run))
    (parties.boxes[name] / "in" / f"{run}.0.request").write_bytes(raw)
    return raw


def release_of(parties: Parties, name: str, *, run: str = "ab12", round_: int = 0) -> Path:
    return release_path(parties.boxes[name], run, round_, name)


@contextmanager
def passing(parties: Parties, *names: str) -> Iterator[list[str]]:
    """Sites that look into their mailboxes again and again, like cron; the lines they tell."""
    told: list[str] = []
    stop = threading.Event()

    def loop(name: str) -> None:
        while not stop.wait(0.02):
            told.extend(f"{name}: {line}" for line in passes(parties.sites[name]))

    threads = [threading.Thread(target=loop, args=(n,)) for n in names or parties.sites]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def ask(parties: Parties, analysis: Any = SEX, *, minutes: float = LONG, **options: Any) -> Result:
    with Federation.open(parties.federation, deadline=minutes) as federation:
        return federation.run(analysis, purpose=PURPOSE, **options)


def in_process(parties: Parties, tmp_path: Path, analysis: Any = SEX) -> Result:
    """The same sites, asked without a mailbox, with ledgers of their own."""
    copies = [
        str(shutil.copytree(site, tmp_path / "copy" / name, ignore=shutil.ignore_patterns("node")))
        for name, site in parties.sites.items()
    ]
    file = tmp_path / "copy" / "federation.toml"
    init_federation(file, copies, min_sites=len(copies), admit=True, overlap="excluded")
    with Federation.open(file) as federation:
        return federation.run(analysis, purpose=PURPOSE)


def same(one: Result, other: Result) -> None:
    assert set(one.tables) == set(other.tables)
    for name, table in one.tables.items():
        assert table.equals(other.tables[name]), name
    for name in one.dataset.data_vars:
        np.testing.assert_array_equal(one.dataset[name].values, other.dataset[name].values)
