"""Sums and counts as words that add up exactly: what masks can hide and many sites can total.

Counts are integers mod 2^64, one word each. Sums are fixed-point numbers mod 2^128 with 64 bits
after the point, two words each, low before high. Carries travel from low to high: were the two
words summed apart, the high ones of small sums would tell how many sites hold a negative one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucan_dask.errors import Invalid

__all__ = ["Layout", "Leaving", "Words", "add", "decode", "encode", "subtract"]

Leaving = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
Words = NDArray[np.uint64]

PIECE = 2**15  # words looked at in one go; they stay in a core's cache; even, as pairs need
UNIT = 2.0**64
MOST = 2.0**62  # over the number of sites: the bound of a sum's size


@dataclass(frozen=True)
class Layout:
    """What lies where in a vector of words.

    The first word is 1 from every site: the total tells whether all masks cancelled. Then the
    counts in order of their names, then the sums in order of theirs, each array in C order.

    Parameters
    ----------
    n_counts, n_sums
        How many of each.
    """

    n_counts: int
    n_sums: int

    @classmethod
    def of(cls, leaving: Leaving) -> Layout:
        """The layout of arrays of these shapes and dtypes.

        Raises
        ------
        Invalid
            For another dtype than int64 and float64.
        """
        for name, (_, dtype) in leaving.items():
            if dtype not in (np.int64, np.float64):
                raise Invalid("cannot be masked", where=name, expected="int64, float64")
        sizes = [(math.prod(shape), dtype == np.float64) for shape, dtype in leaving.values()]
        return cls(
            n_counts=sum(size for size, is_sum in sizes if not is_sum),
            n_sums=sum(size for size, is_sum in sizes if is_sum),
        )

    @property
    def n_single(self) -> int:
        """Words that are numbers of their own; all after them are pairs."""
        return 1 + self.n_counts

    @property
    def n_words(self) -> int:
        """Length of the vector."""
        return self.n_single + 2 * self.n_sums

    def pieces(self) -> Iterator[tuple[slice, bool]]:
        """Slices of the vector, small and in order, and whether their words are pairs."""
        for begin, end, paired in ((0, self.n_single, False), (self.n_single, self.n_words, True)):
            for start in range(begin, end, PIECE):
                yield slice(start, min(start + PIECE, end)), paired

    def check(self, vector: Words) -> None:
        """Raise `Invalid` unless `vector` is so laid out."""
        if vector.dtype != np.uint64 or vector.shape != (self.n_words,):
            raise Invalid("is no vector of the length the request fixes", where="masked")


def encode(arrays: Mapping[str, NDArray[Any]], leaving: Leaving, *, n_sites: int) -> Words:
    """The words of one site's arrays.

    Parameters
    ----------
    arrays
        int64 counts, taken as they are, and float64 sums x, taken as round(x * 2^64).
    leaving
        The shape and dtype of each, as the request fixes them.
    n_sites
        Sites whose words will be added up.

    Returns
    -------
    Of `n_sites` such vectors the total is exact for counts; that of a sum is within
    n_sites * 2^-65 of the true one, before it is rounded to a double.

    Raises
    ------
    Invalid
        If the arrays are others than `leaving` says, or a sum is not finite or not below
        2^62 / n_sites in size.
    """
    layout = Layout.of(leaving)
    if set(arrays) != set(leaving):
        raise Invalid("other arrays than the request fixes", where="masked")
    vector = np.empty(layout.n_words, np.uint64)
    vector[0] = 1
    for name, place in _places(leaving):
        shape, dtype = leaving[name]
        values = np.ascontiguousarray(arrays[name])
        if (np.shape(arrays[name]), values.dtype) != (shape, dtype):
            raise Invalid("has another shape or dtype", where=name)
        if dtype == np.int64:
            vector[place] = values.reshape(-1).view(np.uint64)
        else:
            _fill(vector[place], values.reshape(-1), name, MOST / n_sites)
    return vector


def decode(total: Words, leaving: Leaving, *, n_sites: int) -> dict[str, NDArray[Any]]:
    """The arrays whose words add up to `total`; each sum rounded once, to the nearest double.

    Raises
    ------
    Invalid
        If it is not the total of `n_sites` vectors without their masks.
    """
    Layout.of(leaving).check(total)
    if int(total[0]) != n_sites:
        raise Invalid(
            "the masks do not cancel",
            where="masked",
            remedy="compare the sites' mask keys; a site may have opened another request",
        )
    arrays: dict[str, NDArray[Any]] = {}
    for name, place in _places(leaving):
        shape, dtype = leaving[name]
        if dtype == np.int64:
            arrays[name] = total[place].view(np.int64).reshape(shape).copy()
        else:
            arrays[name] = _rounded(total[place]).reshape(shape)
    return arrays


def add(total: Words, other: Words, *, paired: bool) -> None:
    """Add `other` to `total` in place."""
    if not paired:
        total += other
        return
    low, high = total[0::2], total[1::2]
    low += other[0::2]
    high += other[1::2]
    high += low < other[0::2]


def subtract(total: Words, other: Words, *, paired: bool) -> None:
    """Subtract `other` from `total` in place."""
    if not paired:
        total -= other
        return
    low, high = total[0::2], total[1::2]
    high -= low < other[0::2]
    low -= other[0::2]
    high -= other[1::2]


def _places(leaving: Leaving) -> Iterator[tuple[str, slice]]:
    start = 1
    for wanted, width in ((np.int64, 1), (np.float64, 2)):
        for name in sorted(leaving):
            shape, dtype = leaving[name]
            if dtype == wanted:
                stop = start + width * math.prod(shape)
                yield name, slice(start, stop)
                start = stop


def _fill(words: Words, values: NDArray[np.float64], name: str, most: float) -> None:
    """Write round(x * 2^64) as pairs of words, in two's complement."""
    for start in range(0, values.size, PIECE):
        x = values[start : start + PIECE]
        if not (np.abs(x) < most).all():  # what is not finite fails, too
            raise Invalid(
                "a sum is not finite or too large to be masked",
                where=name,
                remedy="measure in a larger unit",
            )
        whole = np.trunc(x)
        # Exact but for the rounding: the part after the point has 53 bits, and is below 1.
        low = np.rint(np.abs(x - whole) * UNIT).astype(np.uint64)
        below = (x < 0) & (low > 0)
        pairs = words[2 * start : 2 * (start + x.size)]
        pairs[0::2] = np.where(below, -low, low)
        pairs[1::2] = whole.astype(np.int64).view(np.uint64) - below


def _rounded(words: Words) -> NDArray[np.float64]:
    """Pairs of words, in two's complement, as the nearest doubles; ties to even."""
    values = np.empty(words.size // 2, np.float64)
    for start in range(0, values.size, PIECE):
        pairs = words[2 * start : 2 * (start + PIECE)]
        low, high = pairs[0::2], pairs[1::2]
        negative = high > np.uint64(2**63 - 1)
        high = np.where(negative, ~high + (low == 0), high)
        low = np.where(negative, -low, low)
        # The 64 leading bits, the last of them set if any after it is: no double needs more.
        shift = (64 - np.frexp(high.astype(np.float64))[1]).astype(np.uint64)
        top = (high << shift) | (low >> (np.uint64(64) - shift)) | ((low << shift) != 0)
        sign = np.where(negative, -1, 1)
        values[start : start + PIECE] = sign * np.ldexp(
            top.astype(np.float64), -shift.astype(np.int32)
        )
    return values
