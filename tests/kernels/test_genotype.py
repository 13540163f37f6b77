"""Packed calls counted and unpacked, against a recount person by person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask.kernels.genotype import FIELDS, lane_mask, tally, tiles, unpack

MISSING = 3
Codes = np.ndarray


def packed(codes: Codes) -> np.ndarray:
    """Codes (V, N) as the store packs them, one after the other."""
    n_variants, n = codes.shape
    out = np.full((n_variants, -(-n // 4)), 255, dtype=np.uint8)
    for v in range(n_variants):
        for i in range(n):
            shift = 2 * (i % 4)
            out[v, i // 4] &= 255 ^ (3 << shift)
            out[v, i // 4] |= int(codes[v, i]) << shift
    return out


def recount(
    code: Codes,
    diploid: list[int],
    haploid: list[int],
    alleles: tuple[Codes, Codes] | None = None,
) -> list[int]:
    """`FIELDS` of one variant, by looking at each person."""
    found = dict.fromkeys(FIELDS, 0)
    for i in diploid:
        if code[i] != MISSING:
            found[("hom_ref", "het", "hom_alt")[code[i]]] += 1
        copies = code[i] if alleles is None else alleles[0][i]
        if copies != MISSING:
            found["n_called"] += 1
            found["allele_number"] += 2
            found["allele_count"] += int(copies)
            found["n_carriers"] += int(copies > 0)
    for i in haploid:
        ours = code[i] if alleles is None else alleles[0][i]
        other = 0 if alleles is None else alleles[1][i]
        if MISSING in (ours, other) or 1 in (ours, other):
            continue  # half of one copy is no call
        found["n_called"] += 1
        found["allele_number"] += 1
        found["allele_count"] += int(ours == 2)
        found["n_carriers"] += int(ours == 2)
        found["n_single"] += 1
        found["n_single_alt"] += int(ours == 2)
    return [found[name] for name in FIELDS]


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[Codes, list[int], list[int]]:
    """Calls of some people, and who of them count, with two copies or with one."""
    n = draw(st.integers(0, 70))
    n_variants = draw(st.integers(0, 4))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, size=(n_variants, n)).astype(np.uint8)
    role = rng.integers(0, draw(st.integers(1, 3)), size=n)
    return codes, np.flatnonzero(role == 0).tolist(), np.flatnonzero(role == 1).tolist()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(drawn=cohorts())
def test_tally__as_counted_person_by_person(drawn: tuple[Codes, list[int], list[int]]) -> None:
    codes, diploid, haploid = drawn
    bits = packed(codes)
    masks = [lane_mask(np.array(who, dtype=np.int32), bits.shape[1]) for who in (diploid, haploid)]
    found = tally(bits, diploid=masks[0], haploid=masks[1])
    assert found.shape == (len(codes), len(FIELDS))
    assert found.dtype == np.int64
    assert found.tolist() == [recount(code, diploid, haploid) for code in codes]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(drawn=cohorts(), seed=st.integers(0, 2**32 - 1))
def test_tally__split_records_count_people_with_another_allele(
    drawn: tuple[Codes, list[int], list[int]], seed: int
) -> None:
    codes, diploid, haploid = drawn
    rng = np.random.default_rng(seed)
    alt = np.where(codes == MISSING, rng.choice([0, 1, 3], size=codes.shape), codes)
    other = np.where(codes == MISSING, rng.choice([1, 2], size=codes.shape), 0)
    other = np.where(alt == MISSING, MISSING, np.minimum(other, 2 - np.minimum(alt, 2)))
    alt, other = alt.astype(np.uint8), other.astype(np.uint8)
    bits, ours, theirs = packed(codes), packed(alt), packed(other)
    masks = [lane_mask(np.array(who, dtype=np.int64), bits.shape[1]) for who in (diploid, haploid)]
    found = tally(bits, diploid=masks[0], haploid=masks[1], alleles=(ours, theirs))
    rows = zip(codes, alt, other, strict=True)
    expected = [recount(code, diploid, haploid, (a, o)) for code, a, o in rows]
    assert found.tolist() == expected


def test_tally__by_hand() -> None:
    """A/A, A/G, G/G, none; a man with G, one with A, one half called."""
    codes = np.array([[0, 1, 2, 3, 2, 0, 1]], dtype=np.uint8)
    bits = packed(codes)
    found = tally(
        bits,
        diploid=lane_mask(np.arange(4), bits.shape[1]),
        haploid=lane_mask(np.arange(4, 7), bits.shape[1]),
    )
    assert dict(zip(FIELDS, found[0].tolist(), strict=True)) == {
        "n_called": 5,
        "allele_number": 8,
        "allele_count": 4,
        "n_carriers": 3,
        "hom_ref": 1,
        "het": 1,
        "hom_alt": 1,
        "n_single": 2,
        "n_single_alt": 1,
    }


def test_tally__more_rows_than_a_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eucan_dask.kernels.genotype._TILE_WORDS", 16)
    codes = np.random.default_rng(3).integers(0, 4, size=(67, 41)).astype(np.uint8)
    bits = packed(codes)
    everybody = lane_mask(np.arange(41), bits.shape[1])
    found = tally(bits, diploid=everybody, haploid=np.zeros_like(everybody))
    assert found.tolist() == [recount(code, list(range(41)), []) for code in codes]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    n=st.integers(1, 40),
    n_variants=st.integers(0, 5),
    seed=st.integers(0, 2**32 - 1),
    neighbours=st.booleans(),
)
def test_unpack__the_samples_asked_for(
    n: int, n_variants: int, seed: int, *, neighbours: bool
) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, size=(n_variants, n)).astype(np.uint8)
    first, last = sorted(rng.integers(0, n + 1, size=2).tolist())
    columns = np.arange(first, last) if neighbours else rng.permutation(n)[: rng.integers(0, n + 1)]
    np.testing.assert_array_equal(unpack(packed(codes), columns), codes[:, columns])


def test_lane_mask__without_samples_or_bytes_is_empty() -> None:
    assert lane_mask(np.array([], dtype=np.int32), 0).tolist() == []
    assert lane_mask(np.array([], dtype=np.int32), 3).tolist() == [0]
    assert lane_mask(np.array([0, 5, 33]), 9).tolist() == [1 | 1 << 10, 1 << 2]


@pytest.mark.parametrize("n", [0, 1, 16, 17, 100])
def test_tiles__cover_every_row_once(n: int) -> None:
    rows = [i for part in tiles(n, 7, words=50) for i in range(part.start, part.stop)]
    assert rows == list(range(n))
