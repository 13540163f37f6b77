"""What is beside the values tells nobody apart; hostile files and jobs run no code."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from eucan_dask import message, wire
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.clusters import open_cluster
from eucan_dask.cohort import Cohort
from eucan_dask.errors import EucanError
from eucan_dask.mailbox import IN, OUT, put, request_path
from eucan_dask.panel import Panel
from eucan_dask.partial import Partial
from eucan_dask.site import Site
from eucan_dask.site_pass import site_pass
from eucan_dask.testing.data import People, people
from tests.attack_people import PURPOSE, Analyst, attacked
from tests.attacks import channels, hostile

PERSON = "zzp0"  # ids of everybody begin with it
PANEL = Panel(genes=("TP53", "KRAS"))


@pytest.fixture
def planted() -> People:
    """People whose ids cannot be mistaken."""
    drawn = people(80, seed=4)
    rows = drawn.clinical

    def renamed(name: str) -> str:
        return name.replace("p0", PERSON, 1)

    return People(
        rows.assign(
            individual_id=rows["individual_id"].map(renamed),
            sample_id=rows["sample_id"].map(renamed),
        ),
        drawn.mutations.assign(sample_id=drawn.mutations["sample_id"].map(renamed)),
        {renamed(k): v for k, v in drawn.sample_assay.items()},
        drawn.calls.rename(index=renamed),
    )


def asked(analyst: Analyst) -> list[str]:
    """Words of questions that are answered, refused and wrong, tracebacks and all."""
    words = []
    for cohort in (
        Cohort("everybody"),
        Cohort.of("nobody", {"field": "age_at_diagnosis", "min": 119}),
        Cohort.of("wrong", {"field": "stage", "equals": "Zzyzx"}),
        Cohort.of("wrong", {"field": "individual_id", "equals": "x"}),
        Cohort.of("wrong", {"field": "sample_id", "present": True}),
    ):
        for analysis, panel in (
            (MutationFrequency(), PANEL),
            (Survival(), Panel(times=(0.0, 1.0))),
        ):
            try:
                analyst.federation.run(analysis, purpose=PURPOSE, cohorts=(cohort,), panel=panel)
            except EucanError as error:
                words += traceback.format_exception(error)
    return words


def test_side_channels(memory: Path) -> None:
    found = channels.side_channels.strength(memory)
    assert found.before >= 0.3
    assert found.after == 0.0


def test_words__no_id_in_logs_tasks_tracebacks_and_representations(
    memory: Path, planted: People
) -> None:
    analyst = attacked(memory, [planted], protected=True)
    with channels.heard() as heard:
        words = asked(analyst)
    assert any("compute" in word for word in heard), "no task was seen: the test says nothing"
    found = channels.represented()
    assert {"Site", "Federation", "Policy"} <= {name.partition(":")[0] for name in found}
    sent = [raw.decode("latin-1") for raw in analyst.mailbox()]
    for what, texts in (("log", heard), ("words", words), ("repr", found), ("message", sent)):
        assert not {text[:40] for text in texts if PERSON in text}, what


def test_words__no_id_in_tasks_and_names_of_a_cluster(memory: Path, planted: People) -> None:
    """What a scheduler and its dashboard show: keys and names of tasks, workers, addresses."""
    analyst = attacked(memory, [planted], protected=True)
    site = Site(memory / "a" / "site", cluster=open_cluster({"kind": "local", "threads": 1}))
    request = analyst.federation.request(MutationFrequency(), purpose=PURPOSE, panel=PANEL)
    try:
        answer = site.answer(wire.encode_request(request, analyst.federation.key))
        scheduler = site.cluster._client.cluster.scheduler
        log = [repr(entry) for entry in scheduler.transition_log]
        shown = [repr(scheduler.identity()), repr(scheduler.workers), site.cluster.dashboard or ""]
    finally:
        site.close()
    assert message.read_header(answer)["status"] == "released"
    assert any("compute" in entry for entry in log), "no task was seen: the test says nothing"
    assert not [text for text in (*log, *shown) if PERSON in text]


def test_words__a_failure_inside_leaves_nothing(
    memory: Path, planted: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of an analysis that names a person ends the pass at the site: nothing is published."""

    def fails(self: object, *_: object) -> Partial:
        raise ValueError(f"bad row of {PERSON}0010")

    monkeypatch.setattr(MutationFrequency, "partial", fails)
    analyst = attacked(memory / "site", [planted], protected=True)
    mailbox, site = memory / "mailbox", memory / "site" / "a" / "site"
    for name in (IN, OUT):
        (mailbox / name).mkdir(parents=True)
    with (site / "site.toml").open("r+", encoding="utf-8") as file:
        text = file.read()
        file.seek(0)
        file.write(text.replace("\n[keys]", f'\nmailbox = "{mailbox}"\n\n[keys]', 1))
    request = analyst.federation.request(MutationFrequency(), purpose=PURPOSE, panel=PANEL)
    raw = wire.encode_request(request, analyst.federation.key)
    put(request_path(mailbox, request.run, 0), raw, writer="c")
    told: list[str] = []
    with pytest.raises(ValueError, match=PERSON):
        site_pass(Site(site), tell=told.append)
    assert [path.name for path in (mailbox / OUT).iterdir()] == ["a.hello"]
    assert PERSON not in "".join(told) + (mailbox / OUT / "a.hello").read_text()


def test_code_in_the_data(memory: Path) -> None:
    found = hostile.code.strength(memory)
    assert found.before == 3
    assert found.after == 0


def test_code_in_the_data__all_of_it_is_refused(memory: Path) -> None:
    for outcome in hostile.outcomes(memory):
        assert outcome.refused, outcome.name
