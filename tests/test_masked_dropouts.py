"""Sites that leave, lie or come late under masks: the rest goes on, or the run waits for them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from eucan_dask import message, wire
from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.logistic_regression import LogisticRegression
from eucan_dask.errors import Invalid, NotEnoughSites, Refused, Unavailable
from eucan_dask.federation import Federation
from eucan_dask.job import read_job
from eucan_dask.keys import read_private
from eucan_dask.links import Link
from eucan_dask.opening import is_opening
from eucan_dask.result import Result
from eucan_dask.run import run_job
from eucan_dask.terms import Term
from eucan_dask.unmasking import unmasked
from tests.masked import Asked, Script, make_masked, scripted, site_of
from tests.scans import copied
from tests.simulated import edit

PURPOSE = "DUO:0000006"
SEX = CohortSummary(fields=(SummaryField(field="sex", levels=("female", "male")),))
FIT = LogisticRegression(outcome=Term(gene="TP53"), terms=(Term(field="age_at_diagnosis"),))
SIZES = (110, 95, 125, 102)
JOB = """format = 1
name = "masked"
purpose = "DUO:0000006"
aggregator = "masked"
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


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_masked(tmp_path_factory.mktemp("sites"), SIZES)


@pytest.fixture
def file(sites: Path, tmp_path: Path) -> Path:
    """The same sites with ledgers of their own."""
    return copied(sites, tmp_path / "own")


def ask(federation: Federation, analysis: object = SEX) -> Result:
    return federation.run(analysis, purpose=PURPOSE, aggregator="masked")


def summary(result: Result) -> list[int]:
    table = result.to_dataframe("summary").set_index("level")
    return table.loc[["female", "male"], "count"].tolist()


def statuses(result: Result) -> str:
    """First letters, site by site."""
    return "".join(outcome.status[0] for outcome in result.outcomes)


def away(raw: bytes, inner: Link) -> bytes:
    raise Unavailable("no answer since noon")


def away_for(what: Callable[[bytes], bool]) -> Script:
    return lambda raw, inner: away(raw, inner) if what(raw) else inner.send(raw)


def in_round(number: int) -> Callable[[bytes], bool]:
    return lambda raw: message.read_header(raw)["rounds"] == number and not is_opening(raw)


def expected(file: Path, names: str) -> list[int]:
    """Women and men of these sites, from the tables that went in."""
    sex = [site_of(file, name).store.dataset()["individual_sex"].values for name in names]
    return [int((np.concatenate(sex) == code).sum()) for code in (0, 1)]


# --- at the first round: the rest goes on ---


def refuses(file: Path) -> dict[str, Script]:
    edit(file.parent / "d" / "site" / "policy.toml", {"analyses": '["survival"]'})
    return {}


def silent(file: Path) -> dict[str, Script]:
    return {"d": away}


def late(file: Path) -> dict[str, Script]:
    def send(raw: bytes, inner: Link) -> bytes:
        inner.send(raw)
        return away(raw, inner)

    return {"d": send}


@pytest.mark.parametrize("leaves", [refuses, silent, late])
@pytest.mark.parametrize("analysis", [SEX, FIT], ids=["sums", "fit"])
def test_ask__goes_on_with_the_rest(
    file: Path, leaves: Callable[[Path], dict[str, Script]], analysis: object
) -> None:
    with scripted(file, **leaves(file)) as federation:
        result = ask(federation, analysis)
    assert statuses(result) == ("aaar" if leaves is refuses else "aaau")
    if analysis is SEX:
        assert summary(result) == expected(file, "abc")
    n_sites = next(v for n, v in result.dataset.items() if str(n).endswith("_n_sites"))
    assert (n_sites == 3).all()


def test_ask__answering_twice_changes_nothing(file: Path) -> None:
    seen = []

    def twice(raw: bytes, inner: Link) -> bytes:
        seen.append(
            (message.unpack(inner.send(raw)[:-64])[1], message.unpack(inner.send(raw)[:-64])[1])
        )
        return inner.send(raw)

    with scripted(file, d=twice) as federation:
        assert summary(ask(federation)) == expected(file, "abcd")
    for one, other in seen[:1]:
        np.testing.assert_array_equal(one["masked"], other["masked"])
    assert len(seen) == 2  # the answer, the opening


@pytest.mark.parametrize("names", ["cd", "bcd"])
@pytest.mark.parametrize(("leaves", "error"), [(silent, NotEnoughSites), (refuses, Refused)])
def test_ask__fewer_than_three_are_no_result(
    file: Path, names: str, leaves: Callable[[Path], object], error: type[Exception]
) -> None:
    scripts = {}
    for name in names:
        if leaves is silent:
            scripts[name] = away
        else:
            edit(file.parent / name / "site" / "policy.toml", {"analyses": '["survival"]'})
    with scripted(file, **scripts) as federation, pytest.raises(error):
        ask(federation)


def test_ask__two_sites_are_never_masked(file: Path) -> None:
    """Whatever the federation file says."""
    edit(file, {"min_sites": 2})
    with scripted(file, c=away, d=away) as federation, pytest.raises(NotEnoughSites):
        ask(federation)


# --- wrongly ---


def test_ask__an_answer_that_cannot_be_believed_is_named(file: Path) -> None:
    def altered(raw: bytes, inner: Link) -> bytes:
        return inner.send(raw)[:-1] + b"?"

    with scripted(file, d=altered) as federation, pytest.raises(Invalid, match="^d: .*signature"):
        ask(federation)


def test_ask__other_words_than_its_own_make_noise(file: Path) -> None:
    """A site, or whoever has its key, can spoil the sum; it cannot pass as one."""
    site = file.parent / "d" / "site"
    key = read_private(site / "keys" / "site.key")

    def lies(raw: bytes, inner: Link) -> bytes:
        answer = inner.send(raw)
        header, arrays = message.unpack(answer[:-64])
        if header["kind"] != "release":
            return answer
        arrays["masked"] = arrays["masked"] + np.uint64(1)
        body = message.pack(header, arrays)
        return body + wire.sign(key, wire.RELEASE, body)

    with scripted(file, d=lies) as federation, pytest.raises(Invalid, match="do not cancel"):
        ask(federation)


# --- what came late is of no use ---


def test_late__a_vector_with_all_else_does_not_decode(file: Path) -> None:
    """All of d but its consent: the sums of a, b and c were opened, so that of four never is."""
    four, three = Asked.of(file, SEX), Asked.of(file, SEX, sites="abc")
    four.answer()
    three.answer()
    three.open()
    sums = unmasked(three.request, list(three.releases.values()), list(three.keys.values()))
    assert sums["cohort_n_individuals"].tolist() == [sum(SIZES[:3])]
    for name in "abc":
        with pytest.raises(Refused, match="one_roster"):
            four.open(name)
    four.open("d")
    vectors = list(four.releases.values())
    for keys in product(*[(three.keys[n], bytes(32)) for n in "abc"]):
        with pytest.raises(Invalid, match="do not cancel"):
            unmasked(four.request, vectors, [*keys, four.keys["d"]])
    late = [*three.releases.values(), four.releases["d"]]
    keys = [*three.keys.values(), four.keys["d"]]
    with pytest.raises(Invalid, match="do not cancel"):
        unmasked(four.request, late, keys)


def test_ask__of_others_than_before_is_refused(file: Path) -> None:
    with scripted(file, d=away) as federation:
        ask(federation)
    with Federation.open(file) as federation:
        with pytest.raises(Refused, match="one_roster; ask a, b, c, as before"):
            ask(federation)
    with scripted(file, without="d") as federation:
        assert summary(ask(federation)) == expected(file, "abc")


# --- later: the run waits ---


def put(file: Path, out: Path, *, resume: bool = False, **scripts: Script) -> None:
    (file.parent / "job.toml").write_text(JOB)
    with scripted(file, **scripts) as federation:
        run_job(read_job(file.parent / "job.toml"), federation, out, resume=resume)


def tables(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.tsv"))}


@pytest.fixture(scope="module")
def whole(sites: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of a run that nothing disturbed."""
    root = tmp_path_factory.mktemp("whole")
    put(copied(sites, root / "own"), root / "out")
    found = tables(root / "out")
    assert len(found) == 5
    return found


LEAVING = {
    "round 1": away_for(in_round(1)),
    "round 3": away_for(in_round(3)),
    "opening": away_for(is_opening),
}


@pytest.mark.parametrize("when", LEAVING)
def test_run_job__waits_for_a_site_whose_sums_were_opened(
    file: Path, tmp_path: Path, whole: dict[str, bytes], when: str
) -> None:
    out = tmp_path / "out"
    for attempt in range(2):
        with pytest.raises(Unavailable, match=r"^d .*resume the run when it is back"):
            put(file, out, resume=attempt > 0, d=LEAVING[when])
    with pytest.raises(Unavailable, match=r"^d is part of sums that were opened"):
        put(file, out, resume=True, d=away)  # no fewer sites, though it is at the first round again
    put(file, out, resume=True)
    assert tables(out) == whole


def test_run_job__goes_on_with_the_roster_that_was_opened(file: Path, tmp_path: Path) -> None:
    """One that came back meanwhile is not asked: the others opened their sums without it."""
    out = tmp_path / "out"
    with pytest.raises(Unavailable, match=r"^c answered, but does not open"):
        put(file, out, d=away, c=away_for(is_opening))
    asked = []

    def noting(raw: bytes, inner: Link) -> bytes:
        asked.append(message.read_header(raw)["analysis"])
        return inner.send(raw)

    put(file, out, resume=True, d=noting)
    rows = (out / "1-cohort_summary.summary.tsv").read_text().splitlines()[1:]
    assert {row.split("\t")[-4] for row in rows} == {"3"}
    assert set(asked) == {"logistic_regression"}  # another question: all are asked
