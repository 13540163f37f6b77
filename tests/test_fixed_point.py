"""Words that add up exactly: against Python's integers and fractions."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eucan_dask.errors import Invalid
from eucan_dask.fixed_point import MOST, PIECE, Layout, add, decode, encode, subtract

COUNT, SUM = np.dtype(np.int64), np.dtype(np.float64)
REALS = st.floats(allow_nan=False, allow_infinity=False, min_value=-(2.0**53), max_value=2.0**53)
SMALL = st.floats(allow_nan=False, min_value=-1.5, max_value=1.5)
WORDS = st.integers(0, 2**64 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)


def one(values, dtype=SUM):
    """A single array to be encoded, and what is known of it."""
    array = np.array(values, dtype)
    return {"x": array}, {"x": (array.shape, array.dtype)}


def integers(vector: np.ndarray, layout: Layout) -> list[int]:
    """The vector's numbers as Python integers: read as the module's text says, apart from it."""
    words = [int(w) for w in vector]
    pairs = words[layout.n_single :]
    return words[: layout.n_single] + [
        low + (high << 64) for low, high in zip(pairs[::2], pairs[1::2], strict=True)
    ]


def total_of(vectors, layout: Layout) -> np.ndarray:
    total = np.zeros(layout.n_words, np.uint64)
    for vector in vectors:
        for piece, paired in layout.pieces():
            add(total[piece], vector[piece], paired=paired)
    return total


def nearest(number: Fraction) -> float:
    """Python divides integers with one correct rounding."""
    return number.numerator / number.denominator


# --- layout ---


def test_layout__counts_come_first_then_sums_each_by_name() -> None:
    leaving = {"b": ((2,), COUNT), "d": ((1, 1), SUM), "a": ((), SUM), "c": ((1,), COUNT)}
    arrays = {
        "b": np.array([7, -1]),
        "d": np.array([[-0.5]]),
        "a": np.array(3.25),
        "c": np.array([9]),
    }
    vector = encode(arrays, leaving, n_sites=3)
    layout = Layout.of(leaving)
    assert (layout.n_single, layout.n_words) == (4, 8)
    expected = [1, 7, 2**64 - 1, 9, int(3.25 * 2**64), 2**128 - 2**63]
    assert integers(vector, layout) == expected
    found = decode(vector, leaving, n_sites=1)
    for name, values in arrays.items():
        assert not np.shares_memory(found[name], vector)  # the rest of it must not live on
        np.testing.assert_array_equal(found[name], values)
        assert (found[name].shape, found[name].dtype) == leaving[name]


def test_layout__the_order_of_the_declaration_does_not_matter() -> None:
    leaving = {"b": ((2,), COUNT), "a": ((3,), COUNT), "z": ((2,), SUM), "y": ((1,), SUM)}
    arrays = {n: np.arange(i, i + s[0]).astype(d) for i, (n, (s, d)) in enumerate(leaving.items())}
    backwards = dict(reversed(leaving.items()))
    np.testing.assert_array_equal(
        encode(arrays, leaving, n_sites=3), encode(arrays, backwards, n_sites=3)
    )


@pytest.mark.parametrize("counts", [0, 1, PIECE - 1, PIECE, PIECE + 1])
@pytest.mark.parametrize("sums", [0, 1, PIECE // 2, PIECE // 2 + 1])
def test_pieces__cover_every_word_once_and_split_no_pair(counts: int, sums: int) -> None:
    layout = Layout(counts, sums)
    seen = np.zeros(layout.n_words, np.int64)
    for piece, paired in layout.pieces():
        seen[piece] += 1
        assert 0 < piece.stop - piece.start <= PIECE
        assert (piece.start >= layout.n_single) == paired
        assert not paired or (piece.stop - piece.start) % 2 == 0
    assert (seen == 1).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int32, np.uint64, object])
def test_layout__of_another_dtype_is_refused(dtype) -> None:
    with pytest.raises(Invalid, match="cannot be masked"):
        Layout.of({"x": ((1,), np.dtype(dtype))})


# --- adding up ---


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=20), st.randoms())
@example([(2**64 - 1, 2**64 - 1), (0, 0), (2**64 - 1, 0)], None)
def test_add__is_addition_mod_two_to_the_128(pairs, random) -> None:
    other = [(b, a) for a, b in pairs]
    if random is not None:
        random.shuffle(other)
    layout = Layout(0, len(pairs))
    x, y = (np.array([0, *itertools.chain(*p)], np.uint64) for p in (pairs, other))
    total = x.copy()
    add(total[1:], y[1:], paired=True)
    as_integers = [integers(v, layout)[1:] for v in (x, y, total)]
    assert as_integers[2] == [(a + b) % 2**128 for a, b in zip(*as_integers[:2], strict=True)]
    subtract(total[1:], y[1:], paired=True)
    np.testing.assert_array_equal(total, x)
    subtract(total[1:], y[1:], paired=True)
    found = integers(total, layout)[1:]
    assert found == [(a - b) % 2**128 for a, b in zip(*as_integers[:2], strict=True)]


@given(st.lists(st.lists(INT64, min_size=4, max_size=4), min_size=1, max_size=9))
@example([[2**63 - 1] * 4, [1] * 4])
def test_decode__counts_are_exact_and_wrap_as_int64_does(sites) -> None:
    leaving = one(sites[0], COUNT)[1]
    vectors = [encode(one(s, COUNT)[0], leaving, n_sites=len(sites)) for s in sites]
    found = decode(total_of(vectors, Layout.of(leaving)), leaving, n_sites=len(sites))["x"]
    np.testing.assert_array_equal(found, np.array(sites, np.int64).sum(axis=0, dtype=np.int64))


@settings(max_examples=300)
@given(
    st.integers(1, 9).flatmap(
        lambda n: st.lists(
            st.lists(st.one_of(REALS, SMALL), min_size=n, max_size=n), min_size=1, max_size=9
        )
    )
)
@example([[-1e-20], [1e-20]])
@example([[-(2.0**-64)], [0.0]])
@example([[-(2.0**-66)], [-0.0]])
@example([[-1.0 + 2.0**-53], [1 - 2.0**-53], [-3.0000000000000004]])
def test_decode__sums_are_within_the_bound_and_rounded_once(sites) -> None:
    n = len(sites)
    arrays, leaving = one(sites[0])
    layout = Layout.of(leaving)
    vectors = [encode(one(s)[0], leaving, n_sites=n) for s in sites]
    for vector, values in zip(vectors, sites, strict=True):
        for word, value in zip(integers(vector, layout)[1:], values, strict=True):
            signed = word - (2**128 if word >= 2**127 else 0)
            assert abs(Fraction(signed, 2**64) - Fraction(value)) <= Fraction(1, 2**65)
    total = total_of(vectors, layout)
    found = decode(total, leaving, n_sites=n)["x"]
    for i, word in enumerate(integers(total, layout)[1:]):
        exact = sum(Fraction(values[i]) for values in sites)
        held = Fraction(word - (2**128 if word >= 2**127 else 0), 2**64)
        assert abs(held - exact) <= Fraction(n, 2**65)
        assert float(found[i]) == nearest(held)
    assert decode(vectors[0], leaving, n_sites=1)["x"].shape == arrays["x"].shape


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(-(2**127), 2**127 - 1), st.integers(0, 126)), min_size=1))
@example([(2**53 + 1, 0), (2**54 + 2, 0), (2**54 + 6, 0), (-(2**54) - 2, 0)])  # ties to even
@example([((2**53 + 1) << 64, 0), (((2**53 + 1) << 64) + 1, 0), (((2**53 + 1) << 64) - 1, 0)])
@example([((2**63 - 1) << 64, 0), (2**127 - 1, 0), (-(2**127), 0), (1 - 2**127, 0)])
@example([(2**64 - 1, 0), (2**64, 0), (-(2**64), 0), (1, 0), (-1, 0), (0, 0)])
def test_decode__rounds_any_words_to_the_nearest_double(numbers) -> None:
    """Shifted right, so that numbers of every size come up."""
    shifted = [number >> by for number, by in numbers]
    words = [1, *(w for v in shifted for w in (v % 2**64, (v >> 64) % 2**64))]
    found = decode(np.array(words, np.uint64), {"x": ((len(shifted),), SUM)}, n_sites=1)["x"]
    assert [float(v) for v in found] == [nearest(Fraction(v, 2**64)) for v in shifted]


def test_decode__many_numbers_are_as_few() -> None:
    """More than are looked at in one go."""
    rng = np.random.default_rng(7)
    n = 2 * PIECE + 3
    values = rng.normal(size=(3, n)) * 10.0 ** rng.integers(-15, 15, (3, n))
    counts = rng.integers(0, 1000, (3, n))
    leaving = {"n": ((n,), COUNT), "x": ((n,), SUM)}
    sites = [{"n": c, "x": v} for c, v in zip(counts, values, strict=True)]
    vectors = [encode(site, leaving, n_sites=3) for site in sites]
    found = decode(total_of(vectors, Layout.of(leaving)), leaving, n_sites=3)
    np.testing.assert_array_equal(found["n"], counts.sum(axis=0))
    for i in (0, 1, PIECE // 2, PIECE - 1, PIECE, PIECE + 1, n - 1):
        exact = sum(Fraction(float(v)) for v in values[:, i])
        least = abs(Fraction(float(np.spacing(found["x"][i])))) / 2 + Fraction(3, 2**65)
        assert abs(Fraction(float(found["x"][i])) - exact) <= least


def test_encode__tells_nothing_of_signs_but_that_of_the_total() -> None:
    """Summed apart, the high words of small sums would count the sites with a negative one."""
    leaving = {"x": ((1,), SUM)}

    def total(*values: float) -> list[int]:
        vectors = [encode({"x": np.array([v])}, leaving, n_sites=3) for v in values]
        return total_of(vectors, Layout.of(leaving)).tolist()

    assert total(0.25, -0.125, -0.0625) == total(0.03125, 0.015625, 0.015625)
    assert total(0.5, -0.5, 0.0) == total(0.0, 0.0, 0.0)


# --- what is refused ---


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, MOST / 3, -MOST / 3, 1e300])
def test_encode__a_sum_out_of_bounds_is_refused_without_its_value(bad: float) -> None:
    arrays, leaving = one([0.0] * (PIECE + 1))
    arrays["x"][PIECE] = bad
    with pytest.raises(Invalid, match="^x: a sum is not finite or too large to be masked") as told:
        encode(arrays, leaving, n_sites=3)
    assert "e+" not in str(told.value)
    arrays["x"][PIECE] = np.nextafter(MOST / 3, 0)
    assert encode(arrays, leaving, n_sites=3).size == 1 + 2 * (PIECE + 1)


def test_encode__the_greatest_sums_of_all_sites_do_not_overflow() -> None:
    assert MOST == 2.0**62, "what `encode` says of its bound"
    values = np.nextafter(MOST / 5, 0) * np.array([1.0, -1.0])
    leaving = {"x": ((2,), SUM)}
    vectors = [encode({"x": values}, leaving, n_sites=5) for _ in range(5)]
    found = decode(total_of(vectors, Layout.of(leaving)), leaving, n_sites=5)["x"]
    assert [float(v) for v in found] == [nearest(5 * Fraction(float(v))) for v in values]


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"x": np.zeros(3), "y": np.zeros(3)},
        {"x": np.zeros(2)},
        {"x": np.zeros((3, 1))},
        {"x": np.zeros(3, np.int64)},
        {"x": np.zeros(3, np.float32)},
    ],
)
def test_encode__other_arrays_than_declared_are_refused(arrays) -> None:
    with pytest.raises(Invalid):
        encode(arrays, {"x": ((3,), SUM)}, n_sites=3)


def test_encode__an_array_in_another_memory_order_is_the_same() -> None:
    values = np.arange(12.0).reshape(3, 4) - 5.5
    leaving = {"x": ((3, 4), SUM)}
    np.testing.assert_array_equal(
        encode({"x": np.asfortranarray(values)}, leaving, n_sites=3),
        encode({"x": values}, leaving, n_sites=3),
    )


def test_decode__a_total_of_other_sites_or_another_length_is_refused() -> None:
    arrays, leaving = one([1.5])
    vector = encode(arrays, leaving, n_sites=3)
    total = total_of([vector] * 3, Layout.of(leaving))
    assert decode(total, leaving, n_sites=3)["x"].tolist() == [4.5]
    with pytest.raises(Invalid, match="do not cancel"):
        decode(total, leaving, n_sites=4)
    for wrong in (total[:-1], np.append(total, total[:1]), total[None], total.view(np.int64)):
        with pytest.raises(Invalid, match="length"):
            decode(wrong, leaving, n_sites=3)
