"""Rebuilding covariates from what a fit tells: sums at many coefficients, solved for the people."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, linear_sum_assignment

from eucan_dask.analyses.logistic_regression import LogisticRegression
from tests.attack_people import PURPOSE, Analyst, Arrays

Float = NDArray[np.float64]


def crafted(
    analyst: Analyst,
    analysis: LogisticRegression,
    betas: Float,
    *,
    first: Arrays,
    run: str,
) -> list[tuple[Float, Arrays]]:
    """What site "a" released of the rounds that totals of our own making lead to.

    Parameters
    ----------
    betas
        Coefficients to be evaluated, one a round; the first round is at 0.
    first
        What the site released of an honest first round.
    """
    n = int(first["n_individuals"])
    scale = np.sqrt(first["term_square"] / n - (first["term_sum"] / n) ** 2) / 1000  # no limit left
    request, found, before = analyst.federation.request(analysis, purpose=PURPOSE, run=run), [], 0.0
    for round_, beta in enumerate((*betas, None)):
        released = analyst.send(request, "a").released("a")
        if not released:
            break
        found.append((np.zeros(scale.size) + before, released[0]))
        if beta is None:
            break
        total = {name: values for name, values in released[0].items() if name != "fit_hidden"}
        total |= {
            "log_likelihood": np.array(float(round_)),
            "information": np.diag(scale**-2.0),
            "score": (beta - before) / scale**2,
            "term_sum": np.zeros(scale.size),
            "term_square": n * scale**2,
        }
        request, before = request.next_round(total), beta
    return found


def rebuilt(betas: Float, told: Float, start: Float, *, n_event: int, moved: Float) -> Float:
    """Covariates (N, P) that explain log-likelihoods and scores (B, 1 + P), by least squares.

    Parameters
    ----------
    betas, told
        Coefficients and what the fit told at each.
    start
        Where to begin, (N, P).
    moved
        Sum (P,) of the covariates over the people with the outcome.
    """
    shape = start.shape

    def misfit(flat: Float) -> Float:
        m, a, x, eta = _expected(flat.reshape(shape), betas, n_event)
        value = n_event * a + betas @ moved - np.logaddexp(0, a[:, None] + eta).sum(axis=1)
        return np.asarray((np.column_stack([value, moved - m @ x]) - told).ravel())

    def slope(flat: Float) -> Float:
        m, _, x, _ = _expected(flat.reshape(shape), betas, n_event)
        w = m * (1 - m)
        level = -(w @ x) / w.sum(axis=1, keepdims=True)  # how the intercept's move shows in a score
        pull = np.einsum("bk,bq->bkq", w, betas)
        score = np.einsum("bk,iq->bikq", m, np.eye(shape[1]))
        score = score + np.einsum("bkq,bki->bikq", pull, x[None] + level[:, None, :])
        value = np.einsum("bk,bq->bkq", m, betas)[:, None]
        return np.asarray(-np.concatenate([value, score], axis=1).reshape(-1, start.size))

    limits = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 300}
    method = "lm" if told.size >= start.size else "trf"
    return np.asarray(
        least_squares(misfit, start.ravel(), slope, method=method, **limits).x.reshape(shape)
    )


def share_rebuilt(guess: Float, truth: Float, *, within: float) -> float:
    """Share of people a guessed row of whom lies `within` of theirs in every covariate.

    Guesses name nobody: each is matched with one person, as near as all together can be.
    """
    apart = np.abs(guess[:, None] - truth[None]).max(axis=2)
    rows, columns = linear_sum_assignment(np.minimum(apart, 10 * within))
    return float((apart[rows, columns] <= within).mean())


def _expected(x: Float, betas: Float, n_event: int) -> tuple[Float, Float, Float, Float]:
    eta = betas @ x.T
    a = _intercepts(eta, n_event)
    return 1 / (1 + np.exp(-np.clip(a[:, None] + eta, -600, 600))), a, x, eta


def _intercepts(eta: Float, n_event: int) -> Float:
    """Intercept (B,) at which the expected number of events is the observed one."""
    a = np.zeros(eta.shape[0])
    for _ in range(60):
        m = 1 / (1 + np.exp(-np.clip(a[:, None] + eta, -600, 600)))
        step = (n_event - m.sum(axis=1)) / np.maximum((m * (1 - m)).sum(axis=1), 1e-300)
        a += np.clip(step, -2, 2)
        if np.abs(step).max(initial=0) < 1e-14:
            break
    return a


def weight_shares(x: Float, y: NDArray[np.bool_], beta: Float) -> Float:
    """Share of each person (N,) of the weight of a logistic model's sums at `beta`."""
    eta = (x @ beta)[None]
    m = 1 / (1 + np.exp(-np.clip(_intercepts(eta, int(y.sum()))[0] + eta[0], -600, 600)))
    w = m * (1 - m)
    return np.asarray(w / w.sum())


def cells_read(released: Arrays) -> list[int]:
    """People in each cell of two columns of 0 and 1, from a logistic model's sums at beta = 0."""
    n, n_event = int(released["n_individuals"]), int(released["n_event"])
    own, weight = released["term_sum"], n_event / n * (1 - n_event / n)
    both = released["information"] / weight + np.outer(own, own) / n
    found = []
    for i in range(own.size):
        for j in range(i):
            a, b, ab = own[i], own[j], both[i, j]
            found += [ab, a - ab, b - ab, n - a - b + ab]
    return [round(float(cell)) for cell in found]


def risk_set_rows(time: Float, x: Float, beta: Float) -> Float:
    """Covariates (N, P) from a textbook transcript of Cox's model: sums over risk sets.

    Wherever one person alone leaves between two times, the sums there differ by that person's
    weight and weighted covariates. NaN for the others.
    """
    weight = np.exp(x @ beta)
    times = np.unique(time)
    at_risk = time[None] >= times[:, None]
    s0, s1 = at_risk @ weight, at_risk @ (weight[:, None] * x)  # what each site sends
    out = np.full(x.shape, np.nan)
    left0 = s0 - np.append(s0[1:], 0)
    left1 = s1 - np.concatenate([s1[1:], np.zeros((1, x.shape[1]))])
    for i, one in enumerate(times):
        who = np.flatnonzero(time == one)
        if who.size == 1:
            out[who[0]] = left1[i] / left0[i]
    return out


def cox_rebuilt(
    told: list[tuple[float, NDArray[np.int64], Float]],
    time: Float,
    event: NDArray[np.bool_],
    start: Float,
) -> Float:
    """One standardised covariate (N,) that explains what fits of Cox's model told.

    The attacker knows everybody's time, status and stratum.

    Parameters
    ----------
    told
        Coefficient, strata (N,), and log-likelihood, score and information, of each round.
    """
    n = start.size

    def sums(x: Any) -> Any:
        parts = [x.sum(axis=1)[:, None], (x * x).sum(axis=1)[:, None] - n]
        for beta, strata, seen in told:
            parts.append(_cox(x, beta, time, event, strata) - seen)
        return np.concatenate(parts, axis=1)

    def slope(x: Float) -> Float:
        moved = sums(x[None] + 1e-30j * np.eye(n))  # a complex step: exact derivatives
        return np.asarray(moved.imag.T / 1e-30)

    limits = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 40}
    solved = least_squares(lambda x: sums(x[None])[0], start, slope, **limits)
    return np.asarray(solved.x)


def _cox(
    x: Any, beta: float, time: Float, event: NDArray[np.bool_], strata: NDArray[np.int64]
) -> Any:
    """Log partial likelihood, score, information (K, 3) of guesses (K, N), Breslow's ties."""
    out = 0
    for stratum in np.unique(strata):
        own = np.flatnonzero(strata == stratum)
        died = own[event[own]]
        risk = (time[own][:, None] >= time[died][None]).astype(float)
        weight = np.exp(beta * x[:, own])
        s0, s1, s2 = (weight * x[:, own] ** k @ risk for k in range(3))
        seen = ((beta * x[:, died] - np.log(s0)), x[:, died] - s1 / s0, s2 / s0 - (s1 / s0) ** 2)
        out = out + np.stack([part.sum(axis=1) for part in seen], axis=1)
    return out
