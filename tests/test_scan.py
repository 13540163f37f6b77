"""Many variants asked for block by block: the numbers of one block, sites that drop out, limits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.analysis import Analysis
from eucan_dask.errors import Refused, Unavailable
from eucan_dask.federation import Federation
from eucan_dask.panel import Panel
from eucan_dask.result import Result
from eucan_dask.run import run_job
from eucan_dask.site import Site
from eucan_dask.terms import Term
from eucan_dask.testing.cases import run_over
from eucan_dask.testing.data import dataset
from eucan_dask.unfinished import Unfinished
from tests.asking import read_back
from tests.genotyped import asked
from tests.scans import (
    COMPLETE,
    LABELS,
    LACKING,
    LIMITS,
    PURPOSE,
    assert_same,
    copied,
    counted,
    job_of,
    left,
    make_scan_federation,
    put,
    sites_people,
    small_blocks,
)
from tests.simulated import edit

FREQUENCY = AlleleFrequency()
ASSOCIATION = LinearAssociation(
    traits=(Term(field="body_mass_index"),), terms=(Term(field="age_at_diagnosis"),)
)
AWAY = Unavailable("no answer since noon")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scan_federation(tmp_path_factory.mktemp("scan"))


def ask(file: Path, analysis: Analysis, *, complete: tuple[str, ...] = COMPLETE) -> Result:
    with Federation.open(file) as federation:
        return federation.run(
            analysis,
            purpose=PURPOSE,
            panel=Panel(variants=LABELS),
            tier="controlled",
            complete=complete,
        )


# --- one block or many ---


@pytest.mark.parametrize(
    ("analysis", "size"),
    [(FREQUENCY, 4), (FREQUENCY, 20), (ASSOCIATION, 5)],
    ids=lambda x: getattr(x, "name", str(x)),
)
def test_run__blocks_give_what_one_gives(
    file: Path, analysis: Analysis, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ask(file, analysis)
    small_blocks(monkeypatch, size)
    many = ask(file, analysis)
    assert tuple(many.dataset["variants"].values) == LABELS
    # counts to the bit; of a product of matrices the last ones depend on how many rows it has
    xr.testing.assert_allclose(many.dataset, one.dataset, rtol=1e-12, atol=0)
    for name, table in one.tables.items():
        if analysis is FREQUENCY:
            assert many.tables[name].equals(table), name
        for column in ("suppressed", "reason", "n_sites"):
            assert many.tables[name][column].equals(table[column])
    assert one.to_dataframe()["suppressed"].any()
    assert not one.to_dataframe()["suppressed"].all()
    for a, b in zip(one.outcomes, many.outcomes, strict=True):
        assert (a.site, a.status, a.freeze) == (b.site, b.status, b.freeze)
        assert b.bytes_in > a.bytes_in
    assert len(many.run) == len(one.run)


def test_run__shards_of_a_store_give_what_memory_gives(file: Path, tmp_path: Path) -> None:
    """And a variant outside every shard is missing, not an error."""
    own = copied(file, tmp_path)
    zero = {f"min_{name}": 0 for name in LIMITS} | {"disclosive": "false"}
    for path in (own, *own.parent.glob("*/site/policy.toml")):
        edit(path, zero)
    found = ask(own, FREQUENCY, complete=()).dataset
    case = asked(FREQUENCY, LABELS)
    held = [dataset(some) for some in sites_people()]
    _, expected, _ = run_over(case, held)
    for name in expected.data_vars:
        np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=name)
    lacking = found.sel(variants=list(LACKING))
    assert not lacking["allele_number"].any()
    assert (lacking["n_missing"] == 130).all()


# --- sites that do not go along ---


def test_scan__a_site_that_drops_out_stops_it_and_it_goes_on_later(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_blocks(monkeypatch, 6)
    whole, own = tmp_path / "whole", copied(file, tmp_path / "own")
    put(copied(file, tmp_path / "other"), whole)
    broken, _ = counted(own, b=(AWAY, 3))
    with broken, pytest.raises(Unavailable, match=r"b did not answer every block; resume"):
        run_job(job_of(own), broken, tmp_path / "out")
    assert Unfinished.open(tmp_path / "out", _job_digest(tmp_path), resume=True).asking[
        "blocks"
    ] == 3  # fmt: skip
    put(own, tmp_path / "out", resume=True)
    assert_same(tmp_path / "out", left(whole))


def _job_digest(tmp_path: Path) -> str:
    found: str = json.loads((tmp_path / "out" / "finished.json").read_text())["job"]
    return found


def test_scan__resumed_without_a_site_it_stops_again(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else blocks of one table rest on other sites than its beginning, without a word."""
    small_blocks(monkeypatch, 6)
    own = copied(file, tmp_path / "own")
    broken, _ = counted(own, b=(AWAY, 3))
    with broken, pytest.raises(Unavailable):
        run_job(job_of(own), broken, tmp_path / "out")
    still, _ = counted(own, b=(AWAY, 0))
    with still, pytest.raises(Unavailable, match="did not answer every block"):
        run_job(job_of(own), still, tmp_path / "out", resume=True)


def test_scan__more_blocks_than_a_site_allows(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = copied(file, tmp_path / "own")
    for name in "ab":
        edit(own.parent / name / "site" / "policy.toml", {"max_blocks": 5})
    small_blocks(monkeypatch, 4)
    federation, links = counted(own)
    with federation, pytest.raises(Refused, match="max_blocks"):
        federation.run(FREQUENCY, purpose=PURPOSE, panel=Panel(variants=LABELS), tier="controlled")
    assert [len(link.sent) for link in links] == [1, 1]  # the first block is refused already
    assert Site(own.parent / "a" / "site").ledger.summary() == []
    small_blocks(monkeypatch, 5)
    assert len(ask(own, FREQUENCY).dataset["variants"]) == len(LABELS)


def test_scan__the_ledger_notes_one_answer_a_run(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = copied(file, tmp_path / "own")
    small_blocks(monkeypatch, 4)
    ask(own, ASSOCIATION)
    (row,) = Site(own.parent / "a" / "site").ledger.summary()
    assert row["analysis"] == "linear_association"
    assert "-" not in str(row["run"])


def test_scan__every_block_is_asked_once_and_names_its_number(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = copied(file, tmp_path / "own")
    small_blocks(monkeypatch, 4)
    federation, links = counted(own)
    with federation:
        federation.run(
            ASSOCIATION, purpose=PURPOSE, panel=Panel(variants=LABELS), tier="controlled"
        )
    requests = [read_back(raw, federation.key) for raw in links[0].sent]
    runs = [(r.run.partition("-")[2], r.round) for r in requests]
    assert runs == [(f"{n:06d}", k) for n in range(6) for k in range(2)]
    assert {r.n_blocks for r in requests} == {6}
    assert sum((r.panel.variants for r in requests[::2]), ()) == LABELS


# --- memory ---

PEAK = """
import resource, sys
from pathlib import Path
import pytest
from tests.scans import job_of, put, small_blocks
file, n = Path(sys.argv[1]), int(sys.argv[2])
small_blocks(pytest.MonkeyPatch(), 1000)
labels = [f"3:{i + 1}:A:G" for i in range(1000 * n)]
(file.parent / "panel.txt").write_text("\\n".join(labels))
text = (file.parent / "job.toml").read_text()
(file.parent / "job.toml").write_text(text.split("[[analyses]]")[0] +
    '[[analyses]]\\nname = "allele_frequency"\\n')
put(file, file.parent / f"out{n}")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_scan__memory_does_not_grow_with_the_blocks(file: Path, tmp_path: Path) -> None:
    """Peak MB of eight blocks is that of two: a block's answer is let go when it is written."""
    own = copied(file, tmp_path / "own")
    root = Path(__file__).parent.parent
    peaks = []
    for n in (2, 8):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(own), str(n)],
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 12, peaks
