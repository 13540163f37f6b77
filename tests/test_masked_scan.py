"""Many blocks of variants under masks: numbers of clear sums; killed, resumed, without a site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from eucan_dask import message
from eucan_dask.errors import Refused, Unavailable
from eucan_dask.job import read_job
from eucan_dask.links import Link
from eucan_dask.opening import is_opening
from eucan_dask.run import run_job
from eucan_dask.testing.data import people
from tests.masked import Script, make_masked, scripted
from tests.scans import IDS, JOB, LABELS, LIMITS, SHARES, copied, left, small_blocks
from tests.test_scan_killed import Killed, killed_at

SIZE = 6  # four blocks of the variants, the last one short
SIZES = (60, 50, 55, 65)
SETTINGS = {f"min_{name}": 5 for name in LIMITS} | {"max_parameter_ratio": 1.0}


@pytest.fixture(autouse=True)
def _cut(monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch, SIZE)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    some = people(sum(SIZES), seed=50, variants=SHARES)
    directory = tmp_path_factory.mktemp("scan")
    file = make_masked(directory, SIZES, settings=SETTINGS, genotypes=True, some=some)
    (directory / "panel.txt").write_text("\n".join(LABELS), encoding="utf-8")
    return file


@pytest.fixture
def file(sites: Path, tmp_path: Path) -> Path:
    return copied(sites, tmp_path / "own")


def put(
    file: Path, out: Path, *, aggregator: str = "masked", resume: bool = False, **scripts: Script
) -> None:
    job = JOB.replace("[panel]", f'aggregator = "{aggregator}"\n[panel]')
    (file.parent / "job.toml").write_text(job, encoding="utf-8")
    with scripted(file, **scripts) as federation:
        run_job(read_job(file.parent / "job.toml"), federation, out, resume=resume)


@pytest.fixture(scope="module")
def whole(sites: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, int]:
    """What a run that nobody disturbed left, and in how many steps."""
    root = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, killed_at(-1) as seen:
        small_blocks(patch, SIZE)
        put(copied(sites, root / "own"), root / "out")
    return left(root / "out"), seen[0]


def assert_left(out: Path, whole: tuple[Any, int]) -> None:
    """Tables byte for byte, and all numbers."""
    (tables, numbers), _ = whole
    own_tables, own_numbers = left(out)
    assert own_tables == tables
    for identifier in IDS:
        xr.testing.assert_identical(
            own_numbers[identifier].drop_attrs(), numbers[identifier].drop_attrs()
        )


def test_scan__equals_what_a_processor_adds_up(
    file: Path, tmp_path: Path, whole: tuple[Any, int]
) -> None:
    put(file, tmp_path / "out", aggregator="trusted")
    (tables, masked), _ = whole
    _, trusted = left(tmp_path / "out")
    for identifier in IDS:
        names = [n for n in masked[identifier] if not str(n).endswith(("_n_sites", "_n_hidden"))]
        for name in names:
            one, other = masked[identifier][name].values, trusted[identifier][name].values
            if one.dtype.kind == "f":
                np.testing.assert_allclose(one, other, rtol=1e-9, err_msg=str(name))
            else:
                np.testing.assert_array_equal(one, other, err_msg=str(name))
    assert np.isfinite(masked[IDS[1]]["beta"].values).sum() > 5


@pytest.mark.parametrize("share", [0.05, 0.3, 0.55, 0.99])
def test_scan__killed_and_resumed(
    file: Path, tmp_path: Path, whole: tuple[Any, int], share: float
) -> None:
    out = tmp_path / "out"
    with killed_at(max(2, int(share * whole[1]))), pytest.raises(Killed):
        put(file, out)
    put(file, out, resume=True)
    assert_left(out, whole)


def away(raw: bytes, inner: Link) -> bytes:
    raise Unavailable("no answer since noon")


def test_scan__the_first_block_decides_on_the_sites(file: Path, tmp_path: Path) -> None:
    """A site that is away then is not asked for the other blocks: the others would not open."""
    asked: list[str] = []

    def back_later(raw: bytes, inner: Link) -> bytes:
        asked.append(message.read_header(raw)["run"])
        return away(raw, inner) if len(asked) == 1 else inner.send(raw)

    out = tmp_path / "out"
    with pytest.raises(Refused, match="one_roster; ask a, b, c, as before"):
        put(file, out, d=back_later)  # the second question adds up the same: it asks all again
    assert [run.rpartition("-")[2] for run in asked] == ["000000", "000000"]
    frequencies = pd.read_csv(out / f"{IDS[0]}.frequency.tsv.gz", sep="\t")
    assert len(frequencies) == len(LABELS)
    assert set(frequencies["n_sites"]) == {3}


@pytest.mark.parametrize("kind", ["answer", "opening"])
def test_scan__waits_for_a_site_that_leaves_on_the_way(
    file: Path, tmp_path: Path, whole: tuple[Any, int], kind: str
) -> None:
    def leaves(raw: bytes, inner: Link) -> bytes:
        block = message.read_header(raw)["run"].endswith("-000002")
        return (
            away(raw, inner)
            if block and is_opening(raw) == (kind == "opening")
            else inner.send(raw)
        )

    out = tmp_path / "out"
    with pytest.raises(Unavailable, match=r"^d .*resume the run when it is back"):
        put(file, out, d=leaves)
    assert json.loads((out / "finished.json").read_text())["asking"]["opened"] == list("abcd")
    with pytest.raises(Unavailable, match=r"^d is part of sums that were opened"):
        put(file, out, resume=True, d=away)
    put(file, out, resume=True)
    assert_left(out, whole)
