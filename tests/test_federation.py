"""The coordinator: sites that refuse, are away, sign wrongly or drop out; rosters and coverage."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eucan_dask import wire
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.cohort import Cohort
from eucan_dask.errors import EucanError, Invalid, NotEnoughSites, Refused, Unavailable
from eucan_dask.federation import Federation
from eucan_dask.links import Link
from eucan_dask.message import MAGIC
from eucan_dask.panel import Panel
from eucan_dask.result import Result
from eucan_dask.rounds import Member
from eucan_dask.terms import Term
from tests.asking import read_answer
from tests.simulated import edit, make_federation

PURPOSE = "DUO:0000006"
SEX = CohortSummary(fields=(SummaryField(field="sex", levels=("female", "male")),))
COX = CoxRegression(terms=(Term(field="age_at_diagnosis"),))
SIZES = (150, 130, 140)


class Wrapped(Link):
    """A link that does something else from the n-th message on."""

    def __init__(self, inner: Link, *, fails: Callable[[], object], after: int = 0) -> None:
        self.inner, self.fails, self.after = inner, fails, after
        self.n_sent = 0

    def hello(self) -> dict[str, Any]:
        return self.inner.hello()

    def send(self, raw: bytes) -> bytes:
        self.n_sent += 1
        if self.n_sent > self.after:
            found = self.fails()
            if isinstance(found, bytes):
                return found
        return self.inner.send(raw)

    def close(self) -> None:
        self.inner.close()


def raising(error: Exception) -> Callable[[], object]:
    def fails() -> object:
        raise error

    return fails


AWAY = raising(Unavailable("no answer since noon"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("federation")
    return make_federation(directory, SIZES, min_sites=2, settings={"max_parameter_ratio": "1.0"})


@pytest.fixture
def federation(path: Path) -> Iterator[Federation]:
    with Federation.open(path) as opened:
        yield opened


def with_links(
    federation: Federation, **links: Callable[[], object] | tuple[Any, int]
) -> Federation:
    """The same federation, some links of which fail."""
    members = []
    for member in federation.members:
        link = member.link
        if member.name in links:
            fails = links[member.name]
            fails, after = fails if isinstance(fails, tuple) else (fails, 0)
            link = Wrapped(link, fails=fails, after=after)
        members.append(Member(member.name, link, member.key))
    return Federation(
        members,
        name=federation.name,
        min_sites=federation.min_sites,
        thresholds=federation.thresholds,
        key=federation.key,
        overlap="excluded",
    )


def ask(federation: Federation, analysis: Any = SEX, **options: Any) -> Result:
    return federation.run(analysis, purpose=PURPOSE, **options)


def statuses(result: Result) -> dict[str, str]:
    return {o.site: o.status for o in result.outcomes}


def people(path: Path, *sites: str) -> pd.DataFrame:
    """The tables that went into the stores of these sites, one row a person."""
    frames = [pd.read_csv(path.parent / s / "tables" / "clinical.tsv", sep="\t") for s in sites]
    return pd.concat(frames).drop_duplicates("individual_id")


# --- all well ---


def test_run__adds_up_the_tables_that_went_in(tmp_path: Path) -> None:
    own = make_federation(tmp_path, (30, 20, 25), min_sites=3, policy="public")
    with Federation.open(own) as federation:
        result = ask(federation)
    table = result.to_dataframe("summary").set_index("level")
    sex = people(own, "a", "b", "c")["sex"].value_counts()
    expected = [sex["female"], sex["male"], 0, 0]
    assert table.loc[["female", "male", "other", "missing"], "count"].tolist() == expected
    assert statuses(result) == dict.fromkeys("abc", "answered")
    assert result.n_rounds == 1
    assert table["n_sites"].tolist() == [3] * 4
    assert table["coverage"].tolist() == [1.0] * 4
    assert not table["suppressed"].any()
    assert set(table["reason"]) == {""}


def test_run__a_hidden_count_is_missing_and_says_why(federation: Federation) -> None:
    stages = CohortSummary(fields=(SummaryField(field="stage", levels=("I", "II", "III", "IV")),))
    table = ask(federation, stages).to_dataframe("summary").set_index("level")
    assert table.loc["missing", "suppressed"]
    assert pd.isna(table.loc["missing", "count"])
    assert table.loc["missing", "reason"] == "hidden at 3 of 3 sites"


def test_run__tells_what_went_over_the_link(federation: Federation) -> None:
    seen: list[tuple[int, int, str]] = []
    result = ask(federation, progress=lambda *told: seen.append(told))
    assert [told[:2] for told in seen] == [(1, 3), (2, 3), (3, 3)]
    assert "round 1" in seen[0][2]
    for outcome in result.outcomes:
        assert outcome.bytes_in > 0
        assert outcome.bytes_out > 0
        assert outcome.n_tasks == 1
        assert outcome.data_class == "synthetic"
        assert len(outcome.freeze) == 12


def test_run__a_fit_counts_bytes_and_tasks_of_all_rounds(federation: Federation) -> None:
    result = ask(federation, COX)
    assert result.n_rounds > 3
    assert all(o.n_tasks == result.n_rounds for o in result.outcomes)
    assert bool(result.dataset["converged"])


def test_run__each_site_is_asked_at_the_same_time(federation: Federation) -> None:
    together = threading.Barrier(3, timeout=20)
    links = dict.fromkeys("abc", lambda: together.wait())
    assert statuses(ask(with_links(federation, **links))) == dict.fromkeys("abc", "answered")


# --- one site is away or says no ---


@pytest.mark.parametrize(
    "error",
    [Unavailable("no answer since noon"), ConnectionResetError("reset"), TimeoutError("late")],
)
def test_run__a_site_that_is_away_is_left_out(
    path: Path, federation: Federation, error: Exception
) -> None:
    result = ask(with_links(federation, b=raising(error)))
    assert statuses(result) == {"a": "answered", "b": "unavailable", "c": "answered"}
    outcome = result.outcomes[1]
    assert outcome.reason == str(error)
    assert outcome.bytes_out == 0
    row = result.to_dataframe("individuals").iloc[0]
    assert row["n"] == len(people(path, "a", "c"))
    assert row["coverage"] == pytest.approx(2 / 3)
    assert row["n_sites"] == 2
    assert row["reason"] == "1 of 3 sites left out"
    assert not row["suppressed"]


def test_run__a_site_that_refuses_is_left_out(path: Path, tmp_path: Path) -> None:
    own = make_federation(tmp_path, (60, 60, 60), min_sites=2)
    edit(tmp_path / "b" / "site" / "policy.toml", {"purposes": '["DUO:0000042"]'})
    with Federation.open(own) as federation:
        result = ask(federation)
        outcome = result.outcomes[1]
        assert outcome.status == "refused"
        assert "allow.purposes" in outcome.reason
        assert outcome.findings[0].rule == "allow.purposes"
        assert result.to_dataframe("individuals")["n_sites"].tolist() == [2]


# --- too few ---


def test_run__too_few_for_being_away(federation: Federation) -> None:
    with pytest.raises(NotEnoughSites) as caught:
        ask(with_links(federation, a=AWAY, b=AWAY))
    assert caught.value.exit_code == 4
    assert "a: no answer since noon" in str(caught.value)
    assert "b: no answer since noon" in str(caught.value)


def test_run__too_few_for_refusals(federation: Federation) -> None:
    with pytest.raises(Refused) as caught:
        federation.run(SEX, purpose="DUO:0000011")
    assert caught.value.exit_code == 3
    assert caught.value.rule == "allow.purposes"
    assert caught.value.site == "a, b, c"  # in name order, whoever answers first
    assert "a: rule allow.purposes" in str(caught.value)


def test_run__too_few_for_both(path: Path, tmp_path: Path) -> None:
    """One away, one refusing: refusals alone do not take it below two."""
    own = make_federation(tmp_path, (60, 60, 60), min_sites=2)
    edit(tmp_path / "b" / "site" / "policy.toml", {"purposes": "[]"})
    with Federation.open(own) as federation:
        with pytest.raises(NotEnoughSites) as caught:
            ask(with_links(federation, c=AWAY))
        assert caught.value.exit_code == 4
        assert "allow.purposes" in str(caught.value)
        assert "no answer since noon" in str(caught.value)


def test_run__a_question_no_site_can_answer(federation: Federation) -> None:
    nonsense = CohortSummary(fields=(SummaryField(field="shoe_size", edges=(40.0,)),))
    with pytest.raises(Invalid) as caught:
        ask(federation, nonsense)
    assert caught.value.exit_code == 2
    assert "shoe_size" in str(caught.value)


# --- answers that cannot be ---


def answers(
    federation: Federation, name: str, change: Callable[[bytes, bytes], bytes]
) -> Federation:
    """The federation where the answers of one site are changed on the way."""
    members = []
    for member in federation.members:
        link: Any = member.link
        if member.name == name:

            class Between(Link):
                def __init__(self, inner: Link) -> None:
                    self.hello, self.close, self.inner = inner.hello, inner.close, inner

                def send(self, raw: bytes) -> bytes:
                    return change(raw, self.inner.send(raw))

            link = Between(member.link)
        members.append(Member(member.name, link, member.key))
    return Federation(
        members,
        name=federation.name,
        min_sites=federation.min_sites,
        thresholds=federation.thresholds,
        key=federation.key,
        overlap="excluded",
    )


def resigned(_: bytes, answer: bytes) -> bytes:
    body = answer[: -wire.RELEASE_TAIL]
    return body + Ed25519PrivateKey.generate().sign(body)


@pytest.mark.parametrize(
    "change",
    [
        resigned,
        lambda _, answer: answer[:-1],
        lambda _, answer: b"",
        lambda _, answer: MAGIC,
        lambda _, answer: bytes([answer[0] ^ 1]) + answer[1:],
    ],
    ids=["another key", "cut off", "nothing", "a bare prefix", "a flipped bit"],
)
def test_run__a_damaged_answer_names_the_site(
    federation: Federation, change: Callable[[bytes, bytes], bytes]
) -> None:
    with pytest.raises(EucanError) as caught:
        ask(answers(federation, "b", change))
    assert caught.value.exit_code in (2, 5)
    assert "b" in str(caught.value).split(":")[0], "which site was it?"


def test_run__an_answer_of_another_site_is_refused(federation: Federation) -> None:
    a, b, c = federation.members
    swapped = Federation(
        [Member("a", b.link, b.key), Member("b", a.link, a.key), c],
        name="swapped",
        min_sites=2,
        thresholds=federation.thresholds,
        key=federation.key,
        overlap="excluded",
    )
    with pytest.raises(Invalid, match="comes from another site"):
        ask(swapped)


def test_run__yesterday_s_answer_is_refused(federation: Federation) -> None:
    kept: list[bytes] = []

    def first(_: bytes, answer: bytes) -> bytes:
        kept.append(answer)
        return kept[0]

    replayed = answers(federation, "b", first)
    ask(replayed)
    with pytest.raises(Invalid, match="answers another question"):
        ask(replayed)


@pytest.mark.parametrize(
    "header",
    [{"seconds": "soon"}, {"n_tasks": "many"}, {"seconds": None}, {"n_tasks": [1]}],
    ids=str,
)
def test_run__a_header_that_says_nothing_is_invalid(
    federation: Federation, path: Path, header: Mapping[str, object]
) -> None:
    """What a site says about its run is checked like everything else, not trusted to be numbers."""
    from eucan_dask.keys import read_private

    key = read_private(path.parent / "b" / "site" / "keys" / "site.key")

    def change(raw: bytes, answer: bytes) -> bytes:
        member = federation.members[1]
        out = read_answer(answer, raw, member.key, federation.key)
        digest = wire.request_digest(raw)
        return wire.encode_release(
            replace(out, header={**out.header, **header}), key, digest=digest
        )

    try:
        ask(answers(federation, "b", change))
    except EucanError:
        return


# --- drop-outs of a fit ---


def test_run__a_drop_out_restarts_the_fit_with_the_smaller_roster(federation: Federation) -> None:
    broken = with_links(federation, b=(AWAY, 2))
    result = ask(broken, COX)
    assert statuses(result) == {"a": "answered", "b": "unavailable", "c": "answered"}
    a, _, c = federation.members
    without = Federation(
        [a, c],
        name="without",
        min_sites=2,
        thresholds=federation.thresholds,
        key=federation.key,
        overlap="excluded",
    )
    alone = ask(without, COX)
    for name in ("coef", "se", "n", "log_likelihood"):
        np.testing.assert_array_equal(result.dataset[name].values, alone.dataset[name].values)
    assert result.n_rounds == alone.n_rounds
    terms = result.to_dataframe("terms")
    assert terms["n_sites"].tolist() == [2]
    assert terms["coverage"].tolist() == [pytest.approx(2 / 3)]
    assert terms["reason"].tolist() == ["1 of 3 sites left out"]
    assert broken.members[1].link.n_sent == 3, "the site is not asked again"
    assert result.outcomes[1].bytes_out > 0


def test_run__a_drop_out_below_the_least_ends_the_fit(federation: Federation) -> None:
    broken = with_links(federation, b=(AWAY, 2), c=(AWAY, 1))
    with pytest.raises(NotEnoughSites, match=r"b: no answer.*|c: no answer"):
        ask(broken, COX)


def test_run__a_site_too_small_for_a_fit_is_left_out(tmp_path: Path) -> None:
    own = make_federation(
        tmp_path, (150, 12, 150), min_sites=2, settings={"max_parameter_ratio": "1.0"}
    )
    with Federation.open(own) as federation:
        result = ask(federation, COX)
        assert statuses(result)["b"] == "refused"
        assert result.to_dataframe("fit")["n_sites"].tolist() == [2]


# --- coverage and reasons ---


def test_run__a_small_cohort_at_one_site_is_no_part_of_the_number(tmp_path: Path) -> None:
    own = make_federation(tmp_path, (80, 8, 80), min_sites=1)
    with Federation.open(own) as federation:
        row = ask(federation).to_dataframe("individuals").iloc[0]
    assert row["n"] == 160
    assert row["n_sites"] == 2
    assert row["coverage"] == pytest.approx(2 / 3)
    assert not row["suppressed"]


def test_run__a_cohort_too_small_everywhere_says_so(tmp_path: Path) -> None:
    own = make_federation(tmp_path, (8, 8), min_sites=1)
    with Federation.open(own) as federation:
        row = ask(federation).to_dataframe("individuals").iloc[0]
    assert pd.isna(row["n"])
    assert row["suppressed"]
    assert row["reason"] == "too few people"
    assert row["n_sites"] == 0


def test_run__the_bounds_of_a_hidden_count_stay(federation: Federation) -> None:
    panel = Panel(genes=("TP53", "RB1"))
    table = ask(federation, MutationFrequency(), panel=panel).to_dataframe("genes")
    rb1 = table[table["gene"] == "RB1"].iloc[0]
    assert rb1["suppressed"]
    assert pd.isna(rb1["frequency"])
    assert pd.isna(rb1["n_mutated"])
    assert 0 <= rb1["low"] < rb1["high"] < 0.3
    tp53 = table[table["gene"] == "TP53"].iloc[0]
    assert not tp53["suppressed"]
    assert tp53["low"] < tp53["frequency"] < tp53["high"]


def test_run__the_dataset_holds_no_number_for_what_is_suppressed(federation: Federation) -> None:
    """Where a site hides a cell, a sum over the others is not the answer: undefined, not biased."""
    result = ask(federation, MutationFrequency(), panel=Panel(genes=("TP53", "RB1")))
    suppressed = result.to_dataframe("genes")["suppressed"].to_numpy()
    assert suppressed.any()
    frequency = result.dataset["frequency"].values.reshape(-1)
    assert np.isnan(frequency[suppressed]).all()


def test_run__cohorts_and_what_must_be_complete(path: Path, federation: Federation) -> None:
    cohorts = (Cohort.of("men", {"field": "sex", "equals": "male"}),)
    result = ask(federation, SEX, cohorts=cohorts)
    held = people(path, "a", "b", "c")
    n = result.to_dataframe("individuals")["n"].tolist()
    assert n == [int((held["sex"] == "male").sum())]


def test_run__survival_is_merged_on_the_pool(tmp_path: Path) -> None:
    own = make_federation(tmp_path, (300, 300), policy="public", min_sites=2)
    text = own.read_text().replace("min_cell = 0 ", "min_cell = 10 ")
    own.write_text(text)
    panel = Panel(times=tuple(float(t) for t in range(0, 1800, 60)))
    with Federation.open(own) as federation:
        curve = ask(federation, Survival(), panel=panel).to_dataframe("curve")
    merged = curve["reason"] == "counted at the next grid point shown"
    assert merged.any()
    assert curve.loc[merged, "suppressed"].all()
    shown = curve[~curve["suppressed"]]
    for column in ("n_event", "n_censored"):
        assert ((shown[column] == 0) | (shown[column] >= 10)).all()


# --- the file and the sites behind it ---


def test_open__reads_what_init_wrote(path: Path, federation: Federation) -> None:
    assert [m.name for m in federation.members] == ["a", "b", "c"]
    assert federation.min_sites == 2
    assert federation.aggregator == "none"
    assert federation.thresholds.min_cell == 10
    assert repr(federation) == "Federation('federation', ['a', 'b', 'c'])"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("format = 2", "format = 3", "unknown format"),
        ("format = 2", 'format = "2"', "unknown format"),
        ('private_key_file = "federation.key"', 'private_key_file = "x"', "no readable private"),
        ("min_sites = 2", "min_sites = 4", "min_sites cannot be met"),
        ("min_sites = 2", "min_sites = 0", "min_sites cannot be met"),
        ("min_sites = 2", "min_site = 2", "did you mean 'min_sites'"),
        ('aggregator = "none"', 'aggregator = "nobody"', "unknown value"),
        ('name = "b"', 'name = "a"', "two sites share a name"),
        ("in_process:b/site", "https:b", "not offered yet"),
        ("min_sites = 2", "min_sites = 2\ndeadline_minutes = 0", "a deadline is not above 0"),
        ("min_sites = 2", "min_sites = 2\ndeadline = 5", "did you mean 'deadline_minutes'"),
        ("in_process:b/site", "post:b", "unknown link"),
        ("in_process:b/site", "in_process:nowhere", "cannot be read"),
        ("min_cell = 10", "min_sell = 10", "did you mean 'min_cell'"),
        ("b/site/keys/site.pub", "b/site/keys/none.pub", "no readable public key"),
    ],
)
def test_open__a_wrong_file_says_what_is_wrong(
    path: Path, old: str, new: str, problem: str
) -> None:
    text = path.read_text()
    assert old in text
    wrong = path.with_name("wrong.toml")
    wrong.write_text(text.replace(old, new, 1))
    with pytest.raises(Invalid, match=problem):
        Federation.open(wrong)


def test_hello__of_every_site(federation: Federation) -> None:
    found = federation.hello()
    assert sorted(found) == ["a", "b", "c"]
    assert {f["name"] for f in found["a"]["fields"]} >= {"sex", "overall_survival_days"}


def test_hello__a_site_under_another_name_is_invalid(federation: Federation) -> None:
    a, b, c = federation.members
    wrong = Federation(
        [a, Member("x", b.link, b.key), c],
        name="f",
        min_sites=2,
        thresholds=federation.thresholds,
        key=federation.key,
        overlap="excluded",
    )
    with pytest.raises(Invalid, match="has another name"):
        wrong.hello()


def without_hello(federation: Federation, *names: str) -> Federation:
    """The federation where these sites do not even say hello."""

    class Gone(Wrapped):
        def hello(self) -> dict[str, Any]:
            raise Unavailable("no answer since noon")

    members = [
        Member(m.name, Gone(m.link, fails=AWAY) if m.name in names else m.link, m.key)
        for m in federation.members
    ]
    return Federation(
        members,
        name="f",
        min_sites=2,
        thresholds=federation.thresholds,
        key=federation.key,
        overlap="excluded",
    )


def test_hello__a_site_that_is_away_does_not_stop_the_others(federation: Federation) -> None:
    assert sorted(without_hello(federation, "b").hello()) == ["a", "c"]


def test_hello__too_few_say_so(federation: Federation) -> None:
    with pytest.raises(NotEnoughSites, match="a: no answer since noon; b: no answer"):
        without_hello(federation, "a", "b").hello()
    with pytest.raises(Unavailable, match="no site answers"):
        without_hello(federation, "a", "b", "c").hello()
