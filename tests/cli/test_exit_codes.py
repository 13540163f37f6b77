"""Refusals and failures for real: codes 3, 4 and 5, and a run that stands without a site."""

from __future__ import annotations

import fcntl
import functools
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eucan_dask.init import init_federation
from eucan_dask.testing.data import people
from tests.cli.commands import Cli, console, refusal, tree
from tests.cli.test_ask import COHORTS, COX, FREQUENCY, PANEL, SUMMARY, SURVIVAL, job, sites
from tests.simulated import make_federation, make_site


@pytest.fixture(scope="session")
def personal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Personal data under the recommended policy: 200, 150 and 16 people."""
    return make_federation(
        tmp_path_factory.mktemp("personal"), (200, 150, 16), min_sites=3, data_class="personal"
    )


def _run(cli: Cli, federation: Path, path: Path, *options: str) -> Any:
    out = path.parent / "out"
    return cli("run", path, "--federation", federation, "--out", out, *options)


def test_refused__purpose(personal: Path, tmp_path: Path, cli: Cli) -> None:
    path = job(tmp_path / "a.toml", SUMMARY)
    path.write_text(path.read_text().replace("DUO:0000006", "DUO:0000004"))
    words = ("refused by a, b, c", "rule allow.purposes", "purposes allowed: DUO:0000006")
    refusal(_run(cli, personal, path), *words, code=3)
    assert not list((tmp_path / "out").glob("*.tsv"))


def test_refused__by_rule(personal: Path, tmp_path: Path, cli: Cli) -> None:
    path = job(tmp_path / "a.toml", PANEL.replace("step = 30", "step = 1"), SURVIVAL)
    words = ("refused by", "rule min_grid_days;", "a grid of at least 7 days")
    refusal(_run(cli, personal, path), *words, code=3)


KNOWN = 'complete = ["age_at_diagnosis"]\n[analyses.'
SMALL_FIT = ("max_parameter_ratio", "min_cell_of_terms")  # whichever is looked at first


def test_refused__too_small_a_fit(personal: Path, tmp_path: Path, cli: Cli) -> None:
    answer = _run(cli, personal, job(tmp_path / "a.toml", COX))
    refusal(answer, "refused by c: rule ", "or widen the cohort", code=3)
    assert any(f"rule {rule};" in answer.err for rule in SMALL_FIT)
    assert not list((tmp_path / "out").glob("*.tsv"))


def test_refused__too_close_to_an_earlier_cohort(tmp_path: Path, cli: Cli) -> None:
    """The two oldest left out: answered on everybody. Those of known age alone: refused."""
    federation = make_federation(tmp_path / "f", (200,), data_class="personal")
    path = job(tmp_path / "a.toml", SUMMARY)
    assert _run(cli, federation, path).code == 0
    ages = sorted(
        float(row.split("\t")[2])
        for row in (tmp_path / "f" / "a" / "tables" / "clinical.tsv").read_text().splitlines()[1:]
        if row.split("\t")[2] != "NA"
    )
    near = '[[cohorts]]\nlabel = "near"\n[cohorts.criteria]\n'
    criterion = f'not = {{ field = "age_at_diagnosis", min = {ages[-2]} }}\n'
    second = job(tmp_path / "b.toml", near, criterion, SUMMARY)
    answer = cli("run", second, "--federation", federation, "--out", tmp_path / "near")
    assert answer.code == 0, answer.err
    tables = [tmp_path / name / "1-cohort_summary.summary.tsv" for name in ("out", "near")]
    everybody, others = (
        [row.split("\t")[3:] for row in table.read_text().splitlines()] for table in tables
    )
    assert everybody == others
    third = job(tmp_path / "c.toml", SUMMARY.replace("[analyses.", KNOWN))
    answer = cli("run", third, "--federation", federation, "--out", tmp_path / "known")
    refusal(answer, "rule min_cohort_difference", "asked before", code=3)
    again = cli("run", path, "--federation", federation, "--out", tmp_path / "out4")
    assert again.code == 0, again.err


def test_refused__through_the_console(personal: Path, tmp_path: Path) -> None:
    path = job(tmp_path / "a.toml", COX)
    answer = console("run", path, "--federation", personal, "--out", tmp_path / "out")
    refusal(answer, "refused by c: rule ", "or widen the cohort", code=3)


# --- a site that fails -------------------------------------------------------------------------


def _break_ledger(site: Path) -> None:
    (site / "node").mkdir(exist_ok=True)
    (site / "node" / "ledger.sqlite").write_bytes(b"this is no database, and never was one" * 99)


def _lose_cluster(site: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    text = (site / "site.toml").read_text()
    head = text[: text.index("[cluster]")]
    cluster = f'[cluster]\nkind = "address"\naddress = "tcp://127.0.0.1:{port}"\n'
    (site / "site.toml").write_text(head + cluster)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that waits half a second for a scheduler, not ten."""
    import distributed

    real = distributed.Client

    def hurried(*arguments: Any, **settings: Any) -> Any:
        return real(*arguments, **{**settings, "timeout": 0.5})

    monkeypatch.setattr(distributed, "Client", functools.wraps(real)(hurried))


def _least(federation: Path, n: int) -> None:
    text, found = re.subn(r"(?m)^min_sites = \d+", f"min_sites = {n}", federation.read_text())
    assert found == 1
    federation.write_text(text)


# Too few answered, or a link or cluster failed: either is told with its own code.
FAILURES: dict[str, tuple[Callable[[Path], None], tuple[int, ...]]] = {
    "ledger": (_break_ledger, (4,)),
    "cluster": (_lose_cluster, (4, 5)),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.usefixtures("impatient")
def test_site_fails__one_is_missing(name: str, own_demo: Path, tmp_path: Path, cli: Cli) -> None:
    """Three must answer and one cannot: no result, and the message says which and why."""
    harm, codes = FAILURES[name]
    harm(sites(own_demo)[2])
    path = job(tmp_path / "a.toml", SUMMARY)
    answer = _run(cli, own_demo, path)
    assert answer.code in codes, answer.err
    refusal(answer, "toronto", code=answer.code)
    assert not (tmp_path / "out" / "provenance.json").exists()


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.usefixtures("impatient")
def test_site_fails__enough_are_left(name: str, own_demo: Path, tmp_path: Path, cli: Cli) -> None:
    """Two are enough: the run stands, and its record says who is missing and why."""
    FAILURES[name][0](sites(own_demo)[2])
    _least(own_demo, 2)
    path = job(tmp_path / "a.toml", SUMMARY)
    answer = _run(cli, own_demo, path)
    assert answer.code == 0, answer.err
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    (entry,) = record["analyses"]
    assert entry["roster"] == ["barcelona", "heidelberg"]
    for listed in (record["sites"], entry["sites"]):
        found = {site["site"]: site for site in listed}
        assert found["toronto"]["status"] == "unavailable"
        assert found["toronto"]["reason"]
        assert found["barcelona"]["status"] == "answered"
    table = (tmp_path / "out" / "1-cohort_summary.summary.tsv").read_text().splitlines()
    assert all("1 of 3 sites left out" in row for row in table[1:])


def test_site_fails__its_directory_is_elsewhere(own_demo: Path, tmp_path: Path, cli: Cli) -> None:
    """A wrong path in the federation file or a lost disk: no result, and the path is named."""
    site = sites(own_demo)[2]
    site.rename(site.with_name("moved"))
    answer = _run(cli, own_demo, job(tmp_path / "a.toml", SUMMARY))
    assert answer.code in (2, 4, 5)
    refusal(answer, str(site), code=answer.code)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("impatient")
def test_cluster_fails__everywhere(own_demo: Path, tmp_path: Path, cli: Cli) -> None:
    for site in sites(own_demo):
        _lose_cluster(site)
    answer = _run(cli, own_demo, job(tmp_path / "a.toml", SUMMARY))
    refusal(answer, "no scheduler answers at tcp://127.0.0.1:", code=5)


@pytest.mark.parametrize("address", ["nowhere", "ftp://127.0.0.1:1", "tcp://127.0.0.1:port"])
@pytest.mark.usefixtures("impatient")
def test_cluster_fails__address_that_is_none(
    address: str, own_demo: Path, tmp_path: Path, cli: Cli
) -> None:
    for site in sites(own_demo):
        _lose_cluster(site)
        file = site / "site.toml"
        file.write_text(re.sub(r'"tcp://.*"', f'"{address}"', file.read_text()))
    answer = _run(cli, own_demo, job(tmp_path / "a.toml", SUMMARY))
    assert answer.code in (2, 5)
    refusal(answer, address, code=answer.code)


def test_cluster__unknown_kind(own_demo: Path, tmp_path: Path, cli: Cli) -> None:
    file = sites(own_demo)[0] / "site.toml"
    file.write_text(file.read_text().replace('kind = "threads"', 'kind = "thread"'))
    answer = _run(cli, own_demo, job(tmp_path / "a.toml", SUMMARY))
    refusal(answer, "barcelona [cluster]", "did you mean 'threads'?")


def test_ingest__while_another_is_at_work(store: Path, maf: Path, cli: Cli) -> None:
    before = tree(store)
    with (store / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = cli("ingest", "maf", maf, "--store", store, "--assembly", "GRCh37")
    refusal(answer, "another ingest or edit of this store is running", "try again", code=5)
    assert tree(store) == before


def test_mixed_answers__a_refusing_site_is_left_out(tmp_path: Path, cli: Cli) -> None:
    """A site with too few people for the fit refuses; the others' answer stands."""
    own = {"min_individuals": 10}
    made = [
        make_site(tmp_path, name, people(n, seed=n, centre=name), settings=own)
        for name, n in (("large", 400), ("middle", 300), ("small", 16))
    ]
    federation = tmp_path / "federation.toml"
    init_federation(
        federation, [str(site) for site in made], min_sites=2, admit=True, overlap="excluded"
    )
    path = job(tmp_path / "a.toml", COX)
    answer = _run(cli, federation, path)
    assert answer.code == 0, answer.err
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    (small,) = [site for site in record["sites"] if site["site"] == "small"]
    assert small["status"] == "refused"
    assert small["reason"].startswith(tuple(f"rule {rule};" for rule in SMALL_FIT))
    assert "Result: Cox regression, 2 of 3 sites" in answer.out
    _least(federation, 3)
    refused = cli("run", path, "--federation", federation, "--out", tmp_path / "out2")
    refusal(refused, "refused by small: rule ", "or widen the cohort", code=3)


def test_hidden_cells__empty_in_the_table(personal: Path, tmp_path: Path, cli: Cli) -> None:
    """The real gate hides, and the table shows an empty cell, never a zero."""
    path = job(tmp_path / "a.toml", PANEL.replace('"KRAS"', '"RB1"'), COHORTS, FREQUENCY)
    answer = _run(cli, personal, path)
    assert answer.code == 0, answer.err
    rows = (tmp_path / "out" / "1-mutation_frequency.genes.tsv").read_text().splitlines()
    names = rows[0].split("\t")
    hidden = [dict(zip(names, row.split("\t"), strict=True)) for row in rows[1:]]
    hidden = [row for row in hidden if row["suppressed"] == "true"]
    assert hidden
    for row in hidden:
        assert row["n_mutated"] == row["frequency"] == ""
        assert row["reason"].startswith(("hidden at", "too few", "too small"))
