"""A reader of answers: taught on people whose bit is known, it guesses that of others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Features = dict[str, float]
Floats = NDArray[np.float64]
Bits = NDArray[np.bool_]
Guess = Callable[[Floats], Bits]


def table(seen: Sequence[Features], names: Sequence[str]) -> Floats:
    """Features by person and name; what is not there is 0."""
    return np.array([[one.get(name, 0.0) for name in names] for one in seen], dtype=np.float64)


def differences(names: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of one number in two answers: "0:n[3]" and "2:n[3]"."""
    alike = defaultdict(list)
    for at, name in enumerate(names):
        alike[name.split(":", 1)[1]].append(at)
    return [pair for group in alike.values() for pair in combinations(group, 2)]


def widened(x: Floats, pairs: Sequence[tuple[int, int]]) -> Floats:
    """The features, and differences of pairs of them."""
    if not pairs:
        return x
    left, right = np.array(pairs).T
    return np.concatenate([x, x[:, left] - x[:, right]], axis=1)


def stump(x: Floats, y: Bits) -> Guess:
    """One feature on one side of a threshold: the best of all."""
    order = np.argsort(x, axis=0, kind="stable")
    values, bits = np.take_along_axis(x, order, 0), y[order]
    # right if those up to the cut are called 0 and those after it 1
    right = np.cumsum(~bits, axis=0)[:-1] + (bits.sum(axis=0) - np.cumsum(bits, axis=0)[:-1])
    real = values[1:] > values[:-1] + 1e-9
    gain = np.where(real, np.abs(right - len(y) / 2), 0.0)
    cut, column = np.unravel_index(int(gain.argmax()), gain.shape)
    limit = (values[cut, column] + values[cut + 1, column]) / 2
    up = bool(right[cut, column] >= len(y) / 2)
    return lambda z: (z[:, column] > limit) == up


def linear(x: Floats, y: Bits) -> Guess:
    """Least squares on everything at once, barely damped: exact sums are found."""
    middle, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale == 0] = np.inf
    a = (x - middle) / scale
    weights = a.T @ np.linalg.solve(a @ a.T + 1e-7 * len(y) * np.eye(len(y)), y - y.mean())
    return lambda z: ((z - middle) / scale) @ weights > 0


def right(guessed: Bits, y: Bits) -> float:
    """Share guessed right, of either bit alike."""
    return float(((guessed == y)[y].mean() + (guessed == y)[~y].mean()) / 2)


def taught(seen: Sequence[Features], bits: Sequence[bool]) -> tuple[list[str], Guess]:
    """The better of both kinds of reader, as half of the people tell by the other half."""
    names = sorted({name for one in seen for name in one})
    x, y = table(seen, names), np.array(bits)
    pairs = differences(names)
    half = np.zeros(len(y), dtype=bool)
    for bit in (True, False):
        half[np.flatnonzero(y == bit)[::2]] = True

    def made(kind: Callable[[Floats, Bits], Guess], rows: Bits) -> Guess:
        if kind is linear:
            return linear(x[rows], y[rows])
        guess = stump(widened(x[rows], pairs), y[rows])
        return lambda z: guess(widened(z, pairs))

    def worth(kind: Callable[[Floats, Bits], Guess]) -> float:
        return sum(right(made(kind, rows)(x[~rows]), y[~rows]) for rows in (half, ~half))

    best = max((stump, linear), key=worth)
    return names, made(best, np.ones(len(y), dtype=bool))


def accuracy(
    train: Sequence[Features], bits: Sequence[bool], test: Sequence[Features], truth: Sequence[bool]
) -> float:
    """How well those of other stores are read."""
    names, guess = taught(train, bits)
    return right(guess(table(test, names)), np.array(truth))
