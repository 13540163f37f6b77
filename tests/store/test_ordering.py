"""Sorting and cutting while reading: nothing depends on where batches end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask.errors import Invalid
from eucan_dask.store import cutting
from eucan_dask.store.cutting import Cutter
from eucan_dask.store.normalise import WINDOW
from eucan_dask.store.ordering import Ordering

Key = tuple[int, str, str]


@dataclass(frozen=True)
class Batch:
    """A segment that is only in memory."""

    path: Path
    contig: str
    variants: tuple[Key, ...]
    last: int

    @property
    def n_variants(self) -> int:
        return len(self.variants)

    @property
    def source(self) -> str:
        return self.path.name

    def keys(self) -> tuple[np.ndarray, np.ndarray]:
        alleles = np.array([key[1:] for key in self.variants], dtype=object).reshape(-1, 2)
        position = np.array([key[0] for key in self.variants], dtype=np.int32)
        return position, alleles


def batches(records: list[tuple[int, Key]], sizes: list[int], contig: str = "1") -> list[Batch]:
    """Records, each a position and the variant it became, in batches of these sizes."""
    out, rest = [], list(records)
    for i, size in enumerate([*sizes, len(records)]):
        some, rest = rest[:size], rest[size:]
        if some:
            keys = tuple(sorted(key for _, key in some))
            out.append(Batch(Path(f"b{i}"), contig, keys, some[-1][0]))
    return out


@st.composite
def moved(draw: st.DrawFn) -> list[tuple[int, Key]]:
    """Records in order, whose variants lie up to `WINDOW` to the left, or to the right."""
    positions = sorted(draw(st.lists(st.integers(1, 6000), max_size=40)))
    shifts = draw(st.lists(st.integers(-WINDOW, 300), min_size=40, max_size=40))
    keys = {(max(1, p + s), "A", "C") for p, s in zip(positions, shifts, strict=False)}
    out = []
    for p, s in zip(positions, shifts, strict=False):
        key = (max(1, p + s), "A", "C")
        if key in keys:  # each variant once
            keys.remove(key)
            out.append((p, key))
    return out


@settings(deadline=None, derandomize=True)
@given(moved(), st.lists(st.integers(1, 9), max_size=12))
def test_ordering__is_what_sorting_gives(records: list[tuple[int, Key]], sizes: list[int]) -> None:
    ordering, parts, found = Ordering(), batches(records, sizes), []
    for number, batch in enumerate(parts):
        found.append(ordering.add(number, batch))  # type: ignore[arg-type]
    found.append(ordering.rest())
    rows = [(w, r) for ready in found for w, r in zip(ready.which, ready.row, strict=True)]
    assert [parts[w].variants[r] for w, r in rows] == sorted(key for _, key in records)
    assert [p for ready in found for p in ready.position] == sorted(k[0] for _, k in records)


@settings(deadline=None, derandomize=True)
@given(moved(), st.lists(st.integers(1, 9), max_size=12))
def test_cutter__does_not_depend_on_batches(
    records: list[tuple[int, Key]], sizes: list[int]
) -> None:
    def shards(sizes: list[int]) -> list[list[Key]]:
        cutter, cuts = Cutter(), []
        for contig in ("1", "2"):
            for batch in batches(records, sizes, contig):
                cuts += cutter.add(batch)  # type: ignore[arg-type]
        cuts += cutter.finish()
        return [
            [cut.segments[w].variants[r] for w, r in zip(cut.which, cut.row, strict=True)]  # type: ignore[attr-defined]
            for cut in cuts
        ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "SHARD_VARIANTS", 7)
        found = shards(sizes)
        assert found == shards([])
    n = -(-len(records) // 7)
    assert [len(shard) for shard in found] == 2 * [
        *[7] * (n - 1),
        *([len(records) - 7 * (n - 1)] * bool(n)),
    ]
    assert sum(found, []) == 2 * sorted(key for _, key in records)


def test_cutter__one_position_is_in_one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "SHARD_VARIANTS", 3)
    keys = [(1, "A", "C"), (2, "A", "C"), *[(5, "A", alt) for alt in "CGT"], (9, "A", "C")]
    keys += [(20, "A", "C" * i) for i in range(1, 6)]
    cutter = Cutter()
    cuts = cutter.add(Batch(Path("b"), "1", tuple(keys), 10**6))  # type: ignore[arg-type]
    cuts += cutter.finish()
    positions = [[keys[r][0] for r in cut.row] for cut in cuts]
    assert positions == [[1, 2], [5, 5, 5], [9], [20] * 5]


def test_ordering__overlapping_input() -> None:
    ordering = Ordering()
    ordering.add(0, Batch(Path("b0"), "1", ((9_000, "A", "C"),), 9_000))  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="b1: has records of contig 1 before position 9000"):
        ordering.add(1, Batch(Path("b1"), "1", ((7_000, "A", "C"),), 7_000))  # type: ignore[arg-type]


def test_cutter__contig_comes_back() -> None:
    cutter = Cutter()
    for contig in ("1", "2"):
        cutter.add(Batch(Path("b"), contig, ((1, "A", "C"),), 1))  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="contig 1 comes back"):
        cutter.add(Batch(Path("b"), "1", ((9, "A", "C"),), 9))  # type: ignore[arg-type]
