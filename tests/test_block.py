"""Blocks of a question: which shard holds which variants, and how their sums are put together."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eucan_dask import block
from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.block import Block, add, part_of_panel, plan, widen
from eucan_dask.panel import Panel
from eucan_dask.store.open import Store
from eucan_dask.store.variant_read import shard_runs
from eucan_dask.terms import Term


def shard(contig: str, start: int, end: int, n_samples: int = 100) -> Any:
    path = f"variants/{contig}_{start}_{end}.zarr"
    return SimpleNamespace(path=path, contig=contig, start=start, end=end, n_samples=n_samples)


SHARDS = (shard("1", 100, 200), shard("1", 201, 300), shard("1", 400, 500), shard("X", 5, 9))


def manifest(*shards: Any) -> Any:
    return SimpleNamespace(variants=shards)


def labels(*places: str) -> tuple[str, ...]:
    return tuple(f"{place}:A:G" for place in places)


def named(runs: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    return [(path.removeprefix("variants/").removesuffix(".zarr"), a, b) for path, a, b in runs]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ((), []),
        (("1:100", "1:200"), [("1_100_200", 0, 2)]),
        (("1:99", "1:100"), [("", 0, 1), ("1_100_200", 1, 2)]),
        (("1:200", "1:201"), [("1_100_200", 0, 1), ("1_201_300", 1, 2)]),
        (("1:300", "1:301", "1:400"), [("1_201_300", 0, 1), ("", 1, 2), ("1_400_500", 2, 3)]),
        (("1:501", "2:100", "X:4"), [("", 0, 3)]),
        (("1:150", "X:7", "1:150"), [("1_100_200", 0, 1), ("X_5_9", 1, 2), ("1_100_200", 2, 3)]),
        (("X:5", "X:9", "X:10"), [("X_5_9", 0, 2), ("", 2, 3)]),
    ],
    ids=str,
)  # fmt: skip
def test_shard_runs__by_hand(places: tuple[str, ...], expected: list[tuple[str, int, int]]) -> None:
    assert named(shard_runs(manifest(*SHARDS), labels(*places))) == expected


def test_shard_runs__a_store_without_variants() -> None:
    assert shard_runs(manifest(), labels("1:5", "2:5")) == [("", 0, 2)]


def store(*shards: Any) -> Store:
    return Store(Path(), None, manifest(*shards))  # type: ignore[arg-type]


def test_plan__every_variant_once_and_no_block_over_two_shards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(block, "BLOCK_BYTES", 26 * 64)  # of 26 bytes a variant
    panel = Panel(variants=labels(*(f"1:{p}" for p in range(90, 310)), "X:7", "Y:7"))
    blocks = plan(store(*SHARDS), AlleleFrequency(), panel, 1000)
    covered = [i for b in blocks for i in range(b.start, b.stop)]
    assert covered == list(range(len(panel.variants)))
    assert all(b.stop - b.start <= 64 for b in blocks)
    held = {b.shard: b for b in blocks}
    assert [name.split("/")[-1] for name in held] == [
        "", "1_100_200.zarr", "1_201_300.zarr", "X_5_9.zarr",
    ]  # fmt: skip
    assert plan(store(*SHARDS), AlleleFrequency(), panel, 5) == blocks


def test_plan__a_block_holds_some_variants_however_many_people() -> None:
    panel = Panel(variants=labels(*(f"1:{p}" for p in range(100, 201))))
    blocks = plan(store(shard("1", 1, 900, n_samples=10**9)), AlleleFrequency(), panel, 1)
    assert [b.stop - b.start for b in blocks] == [64, 37]
    whole = plan(store(shard("1", 1, 900, n_samples=10)), AlleleFrequency(), panel, 1)
    assert whole == [Block(0, 101, "variants/1_1_900.zarr")]


def test_part_of_panel__the_state_of_its_variants() -> None:
    panel = Panel(genes=("A",), variants=labels("1:1", "1:2", "1:3"))
    state = {"variant_mean": np.array([0.1, 0.2, 0.3]), "done": np.zeros((), np.int64)}
    part, own = part_of_panel(panel, state, 1, 3)
    assert part == Panel(genes=("A",), variants=labels("1:2", "1:3"))
    assert own is not None
    assert own["variant_mean"].tolist() == [0.2, 0.3]
    assert own["done"] is state["done"]
    assert part_of_panel(panel, None, 0, 1) == (Panel(genes=("A",), variants=labels("1:1")), None)


ASSOCIATION = LinearAssociation(traits=(Term(field="y"), Term(field="z")))


def arrays(analysis: Any, variants: tuple[str, ...], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    coords = analysis.coords(Panel(variants=variants), ("a", "b"))
    return {
        s.name: rng.integers(1, 9, size=s.shape(coords)).astype(s.dtype) for s in analysis.yields
    }


@pytest.mark.parametrize("analysis", [AlleleFrequency(), ASSOCIATION], ids=lambda a: a.name)
@pytest.mark.parametrize("cuts", [(0, 5), (0, 2, 5), (0, 1, 2, 3, 4, 5)])
def test_widen__blocks_add_up_to_the_whole(analysis: Any, cuts: tuple[int, ...]) -> None:
    """Whatever has no dimension of variants is the same in every block, and counts once."""
    every = labels("1:1", "1:2", "1:3", "1:4", "1:5")
    whole = arrays(analysis, every, 1)
    dims = {s.name: s.dims for s in analysis.yields}
    total: dict[str, np.ndarray] | None = None
    for start, stop in zip(cuts[:-1], cuts[1:], strict=True):
        part = {
            name: np.take(values, range(start, stop), axis=dims[name].index("variants"))
            if "variants" in dims[name]
            else values
            for name, values in whole.items()
        }
        wide = widen(analysis, part, 5, start)
        total = wide if total is None else add(total, wide)
    assert total is not None
    assert set(total) == set(whole)
    for name, values in whole.items():
        np.testing.assert_array_equal(total[name], values, err_msg=name)
        assert total[name].dtype == values.dtype
