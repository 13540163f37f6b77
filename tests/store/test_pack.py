"""Packed calls: what a slow count by hand gives, for any number of samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eucan_dask.store.pack import pack_calls, pack_codes, packed_bytes, unpack

# Written out from the layout: (first allele, second allele) -> code.
CODES = {
    (0, 0): 0,
    (0, 1): 1,
    (1, 0): 1,
    (1, 1): 2,
    (0, -2): 0,
    (1, -2): 2,
    **{pair: 3 for pair in [(-1, -1), (-1, 0), (0, -1), (-1, 1), (1, -1), (-1, -2), (-2, -2)]},
}


@st.composite
def calls(draw: st.DrawFn) -> np.ndarray:
    shape = (draw(st.integers(0, 5)), draw(st.integers(0, 13)))
    pairs = np.array(sorted(CODES), dtype=np.int8)
    chosen = draw(arrays(np.int64, shape, elements=st.integers(0, len(pairs) - 1)))
    return pairs[chosen]


@settings(deadline=None, derandomize=True)
@given(calls())
def test_pack_calls__by_hand(genotype: np.ndarray) -> None:
    packed = pack_calls(genotype)
    n_variants, n_samples, _ = genotype.shape
    assert packed.shape == (n_variants, packed_bytes(n_samples))
    assert packed.dtype == np.uint8
    for variant in range(n_variants):
        for i in range(4 * packed.shape[1]):
            code = packed[variant, i // 4] >> (2 * (i % 4)) & 3
            alleles = genotype[variant, i] if i < n_samples else (-1, -1)
            assert code == CODES[tuple(map(int, alleles))]


@settings(deadline=None, derandomize=True)
@given(
    arrays(np.uint8, st.tuples(st.integers(0, 5), st.integers(0, 13)), elements=st.integers(0, 3))
)
def test_unpack__undoes_pack_codes(codes: np.ndarray) -> None:
    packed = pack_codes(codes)
    assert packed.shape == (len(codes), packed_bytes(codes.shape[1]))
    np.testing.assert_array_equal(unpack(packed, codes.shape[1]), codes)
    if codes.shape[1] % 4 and len(codes):
        assert (packed[:, -1] >> (2 * (codes.shape[1] % 4))).max() == 4 ** (
            4 - codes.shape[1] % 4
        ) - 1


def test_pack_calls__more_than_a_block() -> None:
    """Longer than the blocks it works through, and not contiguous."""
    rng = np.random.default_rng(5)
    genotype = rng.choice(np.array([-1, 0, 1], dtype=np.int8), size=(2, 700, 1201, 2))[1]
    expected = np.where((genotype < 0).any(axis=2), 3, genotype.sum(axis=2)).astype(np.uint8)
    np.testing.assert_array_equal(unpack(pack_calls(genotype), 1201), expected)
    some = genotype[::3, ::2]
    np.testing.assert_array_equal(unpack(pack_calls(some), 601), expected[::3, ::2])
    np.testing.assert_array_equal(pack_codes(expected), pack_calls(genotype))


@pytest.mark.parametrize(("n", "expected"), [(0, 0), (1, 1), (4, 1), (5, 2), (2500, 625)])
def test_packed_bytes(n: int, expected: int) -> None:
    assert packed_bytes(n) == expected
