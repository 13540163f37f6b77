"""Partial likelihood of Cox's model within one stratum: log-likelihood, score, information."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["concordance_counts", "cox_sums", "relative_weight"]

Float = NDArray[np.float64]


def cox_sums(
    time: Float, event: NDArray[np.bool_], x: Float, beta: Float, *, efron: bool
) -> tuple[float, Float, Float]:
    """Log partial likelihood, score (P,) and information (P, P) of one stratum at `beta`.

    Parameters
    ----------
    time, event, x
        Times (N,), statuses (N,) and covariates (N, P), none missing.
    efron
        Efron's handling of tied events, else Breslow's.

    Notes
    -----
    Klein & Moeschberger 2003, eq. 8.4.1-8.4.3 (Breslow, Efron). Covariates are centred within the
    stratum, which changes neither result, so that large means do not cancel.
    """
    p = x.shape[1]
    if not event.any():
        return 0.0, np.zeros(p), np.zeros((p, p))
    order = np.argsort(-time, kind="stable")
    time, event, x = time[order], event[order], x[order] - x.mean(axis=0)
    eta = x @ beta
    weight = relative_weight(x, beta)
    died = np.flatnonzero(event)
    # Risk set of an event: everybody up to the last row with the same or a later time.
    last = np.searchsorted(-time, -time[died], side="right") - 1
    s0 = np.cumsum(weight)[last]
    s1 = np.cumsum(weight[:, np.newaxis] * x, axis=0)[last]
    pairs = x[:, :, np.newaxis] * x[:, np.newaxis, :]
    s2 = np.cumsum(weight[:, np.newaxis, np.newaxis] * pairs, axis=0)[last]
    if efron:
        s0, s1, s2 = _efron(time[died], weight[died], x[died], (s0, s1, s2))
    mean = s1 / s0[:, np.newaxis]
    log_likelihood = float((eta[died] - eta.max() - np.log(s0)).sum())
    score = (x[died] - mean).sum(axis=0)
    information = (s2 / s0[:, np.newaxis, np.newaxis]).sum(axis=0) - mean.T @ mean
    return log_likelihood, score, information


def relative_weight(x: Float, beta: Float) -> Float:
    """exp(x beta) relative to the largest, (N,).

    Never below exp(-600), so that a risk set of light people alone still has a weight.
    """
    eta = x @ beta
    return np.asarray(np.exp(np.maximum(eta - eta.max(initial=-np.inf), -600.0)))


def _efron(
    time: Float, weight: Float, x: Float, sums: tuple[Float, Float, Float]
) -> tuple[Float, Float, Float]:
    """Risk-set sums less l/d of the tied events' own, for the l-th of d events at a time."""
    _, of, n_tied = np.unique(-time, return_inverse=True, return_counts=True)
    rank = np.arange(time.size) - np.searchsorted(-time, -time, side="left")
    share = rank / n_tied[of]
    s0, s1, s2 = sums
    own = [np.zeros((n_tied.size, *s.shape[1:])) for s in sums]
    np.add.at(own[0], of, weight)
    np.add.at(own[1], of, weight[:, np.newaxis] * x)
    pairs = x[:, :, np.newaxis] * x[:, np.newaxis, :]
    np.add.at(own[2], of, weight[:, np.newaxis, np.newaxis] * pairs)
    return (
        s0 - share * own[0][of],
        s1 - share[:, np.newaxis] * own[1][of],
        s2 - share[:, np.newaxis, np.newaxis] * own[2][of],
    )


def concordance_counts(time: Float, event: NDArray[np.bool_], risk: Float) -> tuple[int, int, int]:
    """Concordant, discordant and risk-tied pairs of one stratum (Harrell).

    A pair counts if the shorter time is an event; at equal times an event comes before a
    withdrawal, and two events are no pair.
    """
    ranks = np.unique(risk, return_inverse=True)[1]
    tree = np.zeros(ranks.max(initial=-1) + 2, np.int64)
    held = concordant = discordant = tied = 0
    order = np.lexsort((event, -time))  # longest first; withdrawals before events at a time
    start = 0
    while start < order.size:
        stop = start
        first = order[start]
        while (
            stop < order.size
            and time[order[stop]] == time[first]
            and event[order[stop]] == event[first]
        ):
            stop += 1
        rows = order[start:stop]
        if event[first]:
            for row in rows:
                below = _prefix(tree, ranks[row])
                same = _prefix(tree, ranks[row] + 1) - below
                concordant += below
                tied += same
                discordant += held - below - same
        for row in rows:
            _insert(tree, ranks[row])
        held += rows.size
        start = stop
    return int(concordant), int(discordant), int(tied)


def _prefix(tree: NDArray[np.int64], stop: int) -> int:
    """Entries with rank below `stop`, in a Fenwick tree."""
    total = 0
    while stop > 0:
        total += int(tree[stop])
        stop -= stop & -stop
    return total


def _insert(tree: NDArray[np.int64], rank: int) -> None:
    at = rank + 1
    while at < tree.size:
        tree[at] += 1
        at += at & -at
