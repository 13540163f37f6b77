"""Three sites and a coordinator, four processes that share nothing but mailboxes; and kills."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from eucan_dask import wire
from eucan_dask.init import init_federation
from tests.links.parties import (
    Parties,
    ledger_rows,
    make_sites,
    passes,
    passing,
    put_request,
    release_of,
    share,
)

SIZES = {"heidelberg": 150, "lyon": 130, "toronto": 140}
SEED = 2026
JOB = """
format = 1
name = "three processes"
purpose = "DUO:0000006"

[[analyses]]
name = "cohort_summary"
[analyses.parameters]
fields = [{ field = "sex", levels = ["female", "male"] }]

[[analyses]]
name = "logistic_regression"
[analyses.parameters]
outcome = { gene = "TP53" }
terms = ["age_at_diagnosis"]
"""


@dataclass
class World:
    """Everybody's own directory, and what each may not open.

    Parameters
    ----------
    told
        Lines of the sites' passes, by site.
    """

    root: Path
    parties: Parties
    told: dict[str, list[str]] = field(default_factory=dict)

    def environment(self, name: str, **more: str) -> dict[str, str]:
        """Of one party: a home of its own, and the others' places forbidden."""
        parties = self.parties
        places = {site: [d.parent, parties.boxes[site]] for site, d in parties.sites.items()}
        places["desk"] = [parties.desk]
        own = set(places[name]) | (set(parties.boxes.values()) if name == "desk" else set())
        others = [p for site, found in places.items() if site != name for p in found]
        home = self.home(name)
        return {
            **os.environ,  # numeric libraries choose their kernels by it
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join(
                [str(self.root / "guard"), *filter(None, [os.environ.get("PYTHONPATH")])]
            ),
            "FORBIDDEN": ":".join(str(p) for p in others if p not in own),
            **more,
        }

    def home(self, name: str) -> Path:
        home = self.parties.desk if name == "desk" else self.parties.sites[name].parent
        return home

    def start(self, name: str, *arguments: object, **more: str) -> subprocess.Popen[str]:
        script = Path(sys.executable).with_name("eucan-dask")
        return subprocess.Popen(
            [str(script), *map(str, arguments)],
            cwd=self.home(name),
            env=self.environment(name, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, name: str, *arguments: object, **more: str) -> tuple[int, str, str]:
        process = self.start(name, *arguments, **more)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def site_pass(self, name: str, **more: str) -> tuple[int, str, str]:
        return self.call(name, "site", "pass", "site", **more)

    def run(self, *options: object, **more: str) -> subprocess.Popen[str]:
        where = ("--federation", "federation.toml", "--out", "out")
        return self.start("desk", "run", "job.toml", *where, *options, **more)

    def _unanswered(self, name: str) -> bool:
        """Whether a request lies there whose answer does not."""
        box = self.parties.boxes[name]
        asked = {p.stem for p in box.glob("in/*.request")}
        return bool(asked - {p.name.rsplit(".", 2)[0] for p in box.glob("out/*.release")})

    @contextmanager
    def cron(self, names: Sequence[str] = (), *, kill: float = 0.0) -> Iterator[None]:
        """Sites that pass when something lies there, or every five seconds.

        With `kill`, that share of passes meets SIGKILL.
        """
        stop, failed = threading.Event(), []
        rng = random.Random(SEED)

        def loop(name: str) -> None:
            while not stop.is_set():
                process = self.start(name, "site", "pass", "site")
                if rng.random() < kill:
                    time.sleep(rng.uniform(0.6, 2.0))
                    process.kill()
                out, err = process.communicate(timeout=120)
                self.told.setdefault(name, []).extend(out.splitlines())
                if process.returncode not in (0, -signal.SIGKILL):
                    failed.append(f"{name}: {process.returncode} {err}")
                    return
                for _ in range(100):
                    if stop.wait(0.05) or self._unanswered(name):
                        break

        threads = [threading.Thread(target=loop, args=(n,)) for n in names or self.parties.sites]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            assert not failed, failed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_sites(tmp_path_factory.mktemp("sites"), SIZES)


@pytest.fixture(scope="module")
def expected(made: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of the same sites asked in one process, by directory."""
    root = tmp_path_factory.mktemp("expected")
    left_out = shutil.ignore_patterns("node")
    sites = [str(shutil.copytree(s, root / name, ignore=left_out)) for name, s in made.items()]
    init_federation(root / "federation.toml", sites, min_sites=3, admit=True, overlap="excluded")
    (root / "job.toml").write_text(JOB)
    script = Path(sys.executable).with_name("eucan-dask")
    words = ("run", "job.toml", "--federation", "federation.toml", "--out", "out")
    subprocess.run([script, *words], cwd=root, check=True, capture_output=True, timeout=120)
    return tables(root / "out")


@pytest.fixture
def world(made: dict[str, Path], tmp_path: Path) -> World:
    """Own copies of sites and stores, so that each lies under its owner's root alone."""
    parties = share(made, tmp_path)
    for name, site in made.items():
        store = shutil.copytree(site.parent / "store", tmp_path / name / "store")
        text = (parties.sites[name] / "site.toml").read_text()
        text = text.replace(json.dumps(str(site.parent / "store")), json.dumps(str(store)))
        (parties.sites[name] / "site.toml").write_text(text)
    (parties.desk / "job.toml").write_text(JOB)
    guard = tmp_path / "guard"
    guard.mkdir()
    shutil.copy(Path(__file__).with_name("guard.py"), guard / "sitecustomize.py")
    return World(tmp_path, parties)


def tables(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.tsv"))}


def checked(world: World, expected: Mapping[str, bytes]) -> None:
    """The run is there, equals the one in one process, and asked everything once."""
    out = world.parties.desk / "out"
    assert tables(out) == expected
    assert len(expected) == 5
    record = json.loads((out / "provenance.json").read_text())
    rounds = [entry["rounds"] for entry in record["analyses"]]
    assert rounds[0] == 1
    assert rounds[1] > 3
    assert world.parties.left() == []
    for name, site in world.parties.sites.items():
        assert len(world.parties.answers(name)) == sum(rounds)
        runs = {row[0] for row in ledger_rows(site)}
        assert runs == {entry["run"] for entry in record["analyses"]}
        assert len(ledger_rows(site)) == 2, "one row a question"


def test_run__four_processes_equal_one(world: World, expected: dict[str, bytes]) -> None:
    names = {p.name for p in world.parties.desk.iterdir()}
    own = {"federation.toml", "federation.key", "federation.pub"}
    assert names == {*own, "job.toml", *(f"{name}.pub" for name in SIZES)}
    for name in SIZES:
        home = world.home(name)
        assert {p.name for p in home.iterdir()} == {"site", "store"}
        text = (home / "site" / "site.toml").read_text()
        assert not [other for other in SIZES if other != name and other in text]
    with world.cron():
        process = world.run("--deadline", 2)
        out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert "report: out/report.html" in out
    assert "waiting for heidelberg since " in err
    checked(world, expected)
    for name in SIZES:
        answered = [line for line in world.told[name] if line.startswith("run ")]
        assert all(line.endswith(": answered") for line in answered)
        assert len(answered) == len(world.parties.answers(name))


@pytest.mark.parametrize("name", ["heidelberg", "desk"])
def test_guard__tells_who_opens_what_is_not_theirs(world: World, name: str) -> None:
    """The walls of these tests are there: a site that names another's store ends at them."""
    if name == "desk":
        file = world.parties.federation
        text = file.read_text().replace("mailbox:../boxes/lyon", "in_process:../lyon/site")
        file.write_text(text)
        code, _, err = world.call("desk", "catalogue", "--federation", "federation.toml")
    else:
        file = world.parties.sites[name] / "site.toml"
        file.write_text(file.read_text().replace(f"/{name}/store", "/lyon/store"))
        code, _, err = world.site_pass(name)
    assert code == 99
    assert f"{world.root}/lyon/" in err


def test_run__a_site_that_never_answers(world: World) -> None:
    with passing(world.parties, "heidelberg", "lyon"):
        process = world.run("--deadline", 0.1)
        _, err = process.communicate(timeout=180)
    assert process.returncode == 4, err
    told = err.splitlines()[-1]
    assert told.startswith("eucan-dask: fewer than 3 sites answered; ")
    assert "toronto: awaited since " in told
    assert "no answer within 0.1 minutes" in told
    assert "Traceback" not in err


def test_run__stopped_with_ctrl_c(world: World) -> None:
    """It ends at once, says how to go on, and leaves the request for who goes on."""
    process = world.run()
    while not list(world.parties.boxes["lyon"].glob("in/*.request")):
        assert process.poll() is None
        time.sleep(0.02)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - begin < 20
    assert process.returncode == 130
    assert err.splitlines()[-1] == "eucan-dask: stopped; add --resume to go on"
    assert len([name for name in world.parties.left() if name.endswith(".0.request")]) == 3


# --- kills ---

PASS_KILLS = {
    "before it says hello": "os.rename:lyon.hello:1",
    "computed": "os.rename:/answers/:1",
    "kept": "os.rename:lyon.release:1",
    "shown": "open:/out:4",
}


@pytest.mark.parametrize("moment", ["computed", "kept", "shown"])
def test_kill__a_pass(world: World, moment: str) -> None:
    _kill_pass(world, PASS_KILLS[moment])


def _kill_pass(world: World, where: str) -> None:
    parties = world.parties
    raw = put_request(parties, "lyon")
    code, _, err = world.site_pass("lyon", KILL_AT=where)
    assert code == -signal.SIGKILL, err
    kept, rows = parties.answers("lyon"), ledger_rows(parties.sites["lyon"])
    told = passes(parties.sites["lyon"])
    assert told == ["nothing waits"] or told[0].startswith("run ab12, cohort_summary, round 1: ")
    shown = release_of(parties, "lyon").read_bytes()
    assert parties.answers("lyon") == {wire.request_digest(raw): shown}
    assert not kept or list(kept.values()) == [shown]
    now = ledger_rows(parties.sites["lyon"])
    assert len(now) == 1
    assert not rows or rows == now
    assert parties.left() == ["ab12.0.lyon.release", "ab12.0.request"]


RUN_KILLS = {
    "first request": "os.rename:.request:1",
    "reading": "open:lyon.release:1",
    "second question": "open:.2.lyon.release:1",
    "third round": "os.rename:.3.request:1",
    "table": "os.rename:cohort_summary.summary.tsv:1",
}


@pytest.mark.parametrize("moment", ["second question"])
def test_kill__a_run_and_resume(world: World, expected: dict[str, bytes], moment: str) -> None:
    _kill_run(world, expected, RUN_KILLS[moment])


def _kill_run(world: World, expected: dict[str, bytes], where: str) -> None:
    with passing(world.parties):
        process = world.run("--deadline", 2, KILL_AT=where)
        _, err = process.communicate(timeout=180)
        assert process.returncode == -signal.SIGKILL, err
        process = world.run("--deadline", 2, "--resume")
        _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    checked(world, expected)


@pytest.mark.long
@pytest.mark.parametrize("moment", sorted(set(RUN_KILLS) - {"second question"}))
def test_kill__a_run_at_other_moments(
    world: World, expected: dict[str, bytes], moment: str
) -> None:
    _kill_run(world, expected, RUN_KILLS[moment])


@pytest.mark.long
def test_kill__a_pass_before_it_says_hello(world: World) -> None:
    _kill_pass(world, PASS_KILLS["before it says hello"])


@pytest.mark.long
@pytest.mark.parametrize("number", range(8))
def test_kill__everybody_at_random(world: World, expected: dict[str, bytes], number: int) -> None:
    """A third of the passes are killed, and the run itself three times."""
    rng = random.Random(SEED + number)
    with world.cron(kill=0.33):
        for _ in range(3):
            process = world.run("--deadline", 2, "--resume")
            time.sleep(rng.uniform(1.0, 12.0))
            process.kill()
            process.communicate()
            if (world.parties.desk / "out" / "provenance.json").exists():
                break
        else:
            process = world.run("--deadline", 2, "--resume")
            _, err = process.communicate(timeout=300)
            assert process.returncode == 0, err
    checked(world, expected)
