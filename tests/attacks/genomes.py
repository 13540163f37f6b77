"""What statistics make of frequencies and betas: who is among the people, and what they have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.cohort import Cohort
from eucan_dask.panel import Panel
from tests.attack_people import EVERYBODY, PURPOSE, Analyst, Arrays

Float = NDArray[np.float64]


def harvest(
    analyst: Analyst,
    labels: Sequence[str],
    *,
    tier: str,
    block: int,
    cohorts: Sequence[Cohort] = EVERYBODY,
) -> list[Arrays]:
    """Counts that site "a" released, asked for block by block, a run each, until it refuses."""
    found = []
    for start in range(0, len(labels), block):
        panel = Panel(variants=tuple(labels[start : start + block]))
        request = analyst.federation.request(
            AlleleFrequency(), purpose=PURPOSE, panel=panel, tier=tier, cohorts=cohorts
        )
        released = analyst.send(request, "a").released("a")
        if not released:
            break
        found += released
    return found


def joined(found: Sequence[Arrays]) -> Arrays:
    """Blocks side by side along variants; empty if there is none."""
    return {n: np.concatenate([a[n] for a in found]) for n in found[0]} if found else {}


def genotype_evidence(found: Arrays, p: Float, cohort: int = 0) -> Float:
    """Log-likelihood ratios (V, 3) that somebody with 0, 1, 2 copies is among the people.

    From genotype counts where they are shown, else from allele counts (Sankararaman 2009), else 0.

    Parameters
    ----------
    p
        Frequencies in the population.
    """
    n_variants = found["alleles_hidden"].shape[0]
    p, out = p[:n_variants], np.zeros((n_variants, 3))
    expected = np.stack([(1 - p) ** 2, 2 * p * (1 - p), p**2], axis=1)
    counts = found["variant_genotype_count"][:, :, cohort].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.log(counts / counts.sum(axis=1, keepdims=True) / expected)
        number = found["variant_allele_number"][:, cohort]
        share = found["variant_allele_count"][:, cohort] / number
        alt, ref = np.log(share / p), np.log((1 - share) / (1 - p))
    alleles = np.stack([2 * ref, alt + ref, 2 * alt], axis=1)
    shown = found["genotypes_hidden"][:, cohort] == 0
    shown &= (counts > 0).all(axis=1)
    partly = ~shown & (found["alleles_hidden"][:, cohort] == 0)
    out[shown], out[partly] = own[shown], alleles[partly]
    return out


def summed(evidence: Float, genotypes: NDArray[Any]) -> Float:
    """Evidence of each person, genotypes (N, V or more)."""
    used = genotypes[:, : evidence.shape[0]]
    total = np.zeros(used.shape[0])
    for copies in range(3):
        total += (used == copies) @ evidence[:, copies]
    return total


def homer(share: Float, p: Float, genotypes: NDArray[Any]) -> Float:
    """Homer's statistic of each person: how much nearer to the people's shares than to p."""
    y = genotypes[:, : share.size] / 2
    nearer = np.abs(y - p[: share.size]) - np.abs(y - share)
    spread = nearer.std(axis=1) / np.sqrt(max(share.size, 1))
    mean = nearer.mean(axis=1) if share.size else np.zeros(y.shape[0])
    return np.asarray(mean / np.where(spread > 0, spread, 1.0))


def likelihood_ratio(share: Float, reference: Float, genotypes: NDArray[Any]) -> Float:
    """Sankararaman's statistic of each person, against frequencies of a reference."""
    g = genotypes[:, : share.size].astype(float)
    reference = reference[: share.size]
    up, down = np.log(share / reference), np.log((1 - share) / (1 - reference))
    return np.asarray(g @ up + (2 - g) @ down)


def area(inside: Float, outside: Float) -> float:
    """Area under the curve: how often somebody inside lies above somebody outside."""
    rank = stats.rankdata(np.concatenate([inside, outside]))[: inside.size].sum()
    return float((rank - inside.size * (inside.size + 1) / 2) / (inside.size * outside.size))


def traced(genotypes: NDArray[Any], slopes: Float, values: Float) -> float:
    """Correlation over people of a value with the sum of their dosages times slopes (Im 2012)."""
    if not slopes.size:
        return 0.0
    x = genotypes - genotypes.mean(axis=0)
    x = x / np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    return abs(float(np.corrcoef(x @ slopes, values)[0, 1]))


def rare_evidence(seen: NDArray[Any], carrier: Float, n: int, k: int) -> Float:
    """Log-likelihood ratios (V,) that a carrier of each variant is among `n` people.

    Parameters
    ----------
    seen
        People with the allele; 0 where hidden, as fewer than `k` are.
    carrier
        Share of the population with the allele.
    """
    with np.errstate(divide="ignore"):
        told = stats.binom.logpmf(seen - 1, n - 1, carrier) - stats.binom.logpmf(seen, n, carrier)
    few = stats.binom.logcdf(k - 2, n - 1, carrier) - stats.binom.logcdf(k - 1, n, carrier)
    return np.asarray(np.where(seen >= k, told, few if k > 1 else 0.0))


def cohort_evidence(
    rows: Float,
    member: Float,
    has: NDArray[np.bool_],
    seen: Float,
    shown: NDArray[np.bool_],
    p: Float,
    *,
    error: float,
) -> Float:
    """Log-likelihood ratios (N,) that each person is among those counted in several cohorts.

    Normal approximation: counts of a gene covary as their cohorts overlap.

    Parameters
    ----------
    rows
        Who is in each cohort (R, people): the attacker knows how far cohorts overlap.
    member, has
        Cohorts (R, N) each person would be in, and mutations (N, G) of theirs.
    seen, shown
        Counts (R, G), and whether they are.
    p
        Shares (G,) in the population.
    error
        People by whom a cohort is taken to differ from what it should be.
    """
    total = np.zeros(member.shape[1])
    overlap = rows @ rows.T
    for g in range(p.size):
        kept = np.flatnonzero(shown[:, g])
        if not kept.size:
            continue
        inverse = np.linalg.inv(overlap[np.ix_(kept, kept)] + error * np.eye(kept.size))
        excess = seen[kept, g] - p[g] * overlap[kept, kept]
        shift = (has[:, g] - p[g]) * member[kept]
        pull = inverse @ shift
        total += (excess @ pull - (shift * pull).sum(axis=0) / 2) / (p[g] * (1 - p[g]))
    return total
