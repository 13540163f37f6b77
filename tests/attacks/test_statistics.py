"""Attacks on what statistics say of people: each works unprotected, and fails under the policy.

"Unprotected" is the public policy on a synthetic twin, or the sums of a textbook protocol without
a gate; the attackers know more than they should have to: everybody else's genome, times, strata.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eucan_dask.analyses.cohort_summary import CohortSummary, SummaryField
from eucan_dask.analyses.cox_regression import CoxRegression
from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.analyses.logistic_regression import LogisticRegression
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.cohort import Cohort
from eucan_dask.errors import EucanError
from eucan_dask.panel import Panel
from eucan_dask.terms import Term
from eucan_dask.testing.data import STAGES, People, dataset, people
from tests.attack_people import (
    ATTACKS,
    PURPOSE,
    Analyst,
    Arrays,
    Strength,
    altered,
    attack,
    attacked,
    both,
    genotyped_people,
    judge,
    labels_of,
    mutated,
    power,
)
from tests.attacks.genomes import (
    area,
    cohort_evidence,
    genotype_evidence,
    harvest,
    homer,
    joined,
    likelihood_ratio,
    rare_evidence,
    summed,
    traced,
)
from tests.attacks.rebuild import (
    cells_read,
    cox_rebuilt,
    crafted,
    rebuilt,
    risk_set_rows,
    share_rebuilt,
    weight_shares,
)
from tests.attacks.table import matches

OPENED = {"variant_counts": '"open"'}  # a steward who lets everybody ask for frequencies
AGE, INDEX, EVENT = "age_at_diagnosis", "body_mass_index", "overall_survival_event"

# --- who is among the people: frequencies of alleles ---

N, M = 400, 2000
RNG = np.random.default_rng(41)
SHARES = RNG.uniform(0.05, 0.5, M)
OUTSIDE = RNG.binomial(2, SHARES, size=(2000, M)).astype(np.int8)
REFERENCE = RNG.binomial(2, SHARES, size=(500, M)).mean(axis=0) / 2  # of another 500 people
_told: list[tuple[np.ndarray, Arrays, Arrays]] = []


def frequencies(directory: Path) -> tuple[np.ndarray, Arrays, Arrays]:
    """Members' genotypes; what was told everybody unprotected, and until the policy said no."""
    if not _told:
        some = genotyped_people(N, SHARES, seed=42, centre="a")
        before, after = both(directory, [some], genotypes=True, settings=OPENED)
        everything = joined(harvest(before, labels_of(M), tier="open", block=M))
        allowed = joined(harvest(after, labels_of(M), tier="open", block=4))
        _told.append((some.calls.to_numpy(), everything, allowed))
    return _told[0]


def _shares(found: Arrays) -> np.ndarray:
    if not found:
        return np.zeros(0)
    return found["variant_allele_count"][:, 0] / found["variant_allele_number"][:, 0]


@attack(
    "A1 Homer's statistic",
    learned="that somebody whose genome is known is among the people",
    measure="area under the curve, members against others; 0.5 is chance",
    stopped_by="max_exposure; tiers (here frequencies are opened to everybody)",
)
def homer_attack(directory: Path) -> Strength:
    inside, *told = frequencies(directory)
    found = [area(*(homer(_shares(one), SHARES, g) for g in (inside, OUTSIDE))) for one in told]
    return Strength(*found)


def test_a1_homer(tmp_path: Path) -> None:
    judge(homer_attack.strength(tmp_path), works=0.9, allowed=0.7)


@attack(
    "A2 likelihood ratio",
    learned="that somebody whose genome is known is among the people",
    measure="power at 1 % false alarms, from genotype counts of independent variants",
    stopped_by="max_exposure; tiers (here frequencies are opened to everybody)",
)
def likelihood_attack(directory: Path) -> Strength:
    inside, *told = frequencies(directory)
    found = []
    for one in told:
        evidence = genotype_evidence(one, SHARES) if one else np.zeros((0, 3))
        sums = (summed(evidence, g) for g in (inside, OUTSIDE))
        found.append(power(*sums, alpha=0.01))
    return Strength(*found)


def test_a2_likelihood_ratio(tmp_path: Path) -> None:
    judge(likelihood_attack.strength(tmp_path), works=0.7, allowed=0.12)


@attack(
    "A2 likelihood ratio, cohorts and runs",
    learned="the same, from a sequence of runs over overlapping cohorts of the person's like",
    measure="power at 1 % false alarms",
    stopped_by="max_exposure, counted by person",
)
def greedy_attack(directory: Path) -> Strength:
    """Everybody, the younger, the older, everybody again: about variants not yet asked for."""
    some = genotyped_people(N, SHARES, seed=42, centre="a")
    inside, age = some.calls.to_numpy(), some.clinical[AGE].to_numpy(float)
    found = []
    pair = both(directory, [some], genotypes=True, settings=OPENED)
    for analyst, block in zip(pair, (M // 4, 4), strict=True):
        score_in, score_out, start = np.zeros(N), np.zeros(OUTSIDE.shape[0]), 0
        for low, high in ((0, 200), (0, 60), (60.1, 200), (0, 200)):
            like = Cohort.of(f"{low} to {high}", {"field": AGE, "min": low, "max": high})
            left = labels_of(M)[start : start + M // 4]
            told = joined(harvest(analyst, left, tier="open", block=block, cohorts=(like,)))
            if told:
                own = (age >= low) & (age <= high)
                evidence = genotype_evidence(told, SHARES[start:])
                score_in[own] += summed(evidence, inside[own, start:])
                score_out += summed(evidence, OUTSIDE[:, start:])
                start += evidence.shape[0]
        found.append(power(score_in, score_out, alpha=0.01))
    return Strength(*found)


def test_a2_cohorts_and_runs(tmp_path: Path) -> None:
    judge(greedy_attack.strength(tmp_path), works=0.5, allowed=0.12)


@attack(
    "A2 likelihood ratio, registered tier",
    learned="the same, by a named person under agreement; the policy as shipped",
    measure="power at 1 % false alarms",
    stopped_by="max_exposure, to the power the registered tier accepts",
)
def registered_attack(directory: Path) -> Strength:
    inside, before, _ = frequencies(directory)
    some = genotyped_people(N, SHARES, seed=42, centre="a")
    analyst = attacked(directory / "registered", [some], protected=True, genotypes=True)
    found = []
    for one in (before, joined(harvest(analyst, labels_of(M), tier="registered", block=10))):
        evidence = genotype_evidence(one, SHARES)
        found.append(power(summed(evidence, inside), summed(evidence, OUTSIDE), alpha=0.01))
    return Strength(*found)


def test_a2_registered_tier(tmp_path: Path) -> None:
    found = registered_attack.strength(tmp_path)
    judge(found, works=0.7, allowed=0.3)


@attack(
    "A3 reference panel",
    learned="the same, from allele counts against those of 500 other people",
    measure="power at 1 % false alarms",
    stopped_by="max_exposure; tiers (here frequencies are opened to everybody)",
)
def reference_attack(directory: Path) -> Strength:
    inside, *told = frequencies(directory)
    found = []
    for one in told:
        sums = (likelihood_ratio(_shares(one), REFERENCE, g) for g in (inside, OUTSIDE))
        found.append(power(*sums, alpha=0.01))
    return Strength(*found)


def test_a3_reference_panel(tmp_path: Path) -> None:
    judge(reference_attack.strength(tmp_path), works=0.2, allowed=0.12)


# --- who is among the people: mutations of tumours ---

GENES = tuple(f"G{g:03d}" for g in range(60))


@attack(
    "A2 likelihood ratio of tumours",
    learned="that somebody whose age and tumour's mutations are known is among the people",
    measure="power at 1 % false alarms, 60 genes, most rarely mutated; cohorts of ages",
    stopped_by="min_cell; leverage",
)
def tumour_attack(directory: Path) -> Strength:
    rng = np.random.default_rng(31)
    often = [rng.uniform(0.3, 0.6, 4), rng.uniform(0.1, 0.2, 10)]
    return _tumours(directory, rng, np.concatenate([*often, rng.uniform(0.03, 0.08, 46)]))


@attack(
    "A2 likelihood ratio of common mutations",
    learned="the same, where each of 60 genes is mutated in 10 to 60 % of tumours",
    measure="power at 1 % false alarms, over cohorts of ages",
    stopped_by="min_cell; leverage; max_exposure: each gene says as much again",
)
def common_attack(directory: Path) -> Strength:
    rng = np.random.default_rng(31)
    return _tumours(directory, rng, rng.uniform(0.1, 0.6, 60))


def _tumours(directory: Path, rng: np.random.Generator, shares: np.ndarray) -> Strength:
    some = patients(120, seed=32)
    carried = rng.random((120, len(GENES))) < shares
    rows = [
        (sample, GENES[g], "Missense_Mutation", 1000 * (g + 1))
        for sample, own in zip(some.clinical["sample_id"], carried, strict=True)
        for g in np.flatnonzero(own)
    ]
    some = replace(some, mutations=pd.DataFrame(rows, columns=list(some.mutations.columns)))
    age = _numbers(some, AGE)[:, 0]
    ages, other = np.sort(np.unique(age)), rng.choice(age, 1000)
    windows = [(0.0, 200.0), *((0.0, float(a)) for a in ages[3::3])]
    wide = [(float(ages[i]), float(ages[i + 40])) for i in range(0, ages.size - 40, 4)]
    outside = rng.random((1000, len(GENES))) < shares
    found = []
    for analyst, asked in zip(both(directory, [some]), (windows, windows + wide), strict=True):
        told = [_mutated(analyst, low, high) for low, high in asked]
        kept = {t[1].tobytes(): t for t in reversed(told) if t is not None}
        told = list(kept.values())  # one of several answered on the same people
        bounds = [w for w, n, _ in told]
        inside = np.array([(age >= low) & (age <= high) for low, high in bounds], float)
        like = np.array([(other >= low) & (other <= high) for low, high in bounds], float)
        seen = np.array([n for _, n, _ in told], float)
        shown = np.array([mask == 0 for *_, mask in told])
        found.append(
            max(
                power(
                    cohort_evidence(inside, inside, carried, seen, shown, shares, error=error),
                    cohort_evidence(inside, like, outside, seen, shown, shares, error=error),
                    alpha=0.01,
                )
                for error in (1e-6, 1.0, 10.0)
            )
        )
    return Strength(*found)


def _mutated(
    analyst: Analyst, low: float, high: float
) -> tuple[tuple[float, float], np.ndarray, np.ndarray] | None:
    cohort = Cohort.of("c", {"field": AGE, "min": low, "max": high})
    panel = Panel(genes=GENES)
    request = analyst.federation.request(
        MutationFrequency(), purpose=PURPOSE, panel=panel, cohorts=(cohort,)
    )
    released = analyst.send(request).released("a")
    if not released:
        return None
    (found,) = released
    return (low, high), found["gene_n_mutated"][:, 0, 0], found["mutated_hidden"][:, 0, 0]


def test_a2_tumours(tmp_path: Path) -> None:
    found = tumour_attack.strength(tmp_path)
    judge(found, works=0.8, allowed=0.12)


def test_a2_common_mutations(tmp_path: Path) -> None:
    found = common_attack.strength(tmp_path)
    judge(found, works=0.8, allowed=0.12)


# --- who is among the people: rare alleles ---

CROWD, K = 250, 10
SEEN = {"controlled_aggregators": '["none"]'}  # a steward who lets a site's own sums be seen


def _asked_afresh(analyst: Analyst, directory: Path, labels: Sequence[str], block: int) -> Arrays:
    """Answers about all variants, by a ledger that forgot: what any one attacker may choose of."""
    found = []
    for start in range(0, len(labels), block):
        other = analyst.again(directory / f"{start}")
        found += harvest(other, labels[start : start + block], tier="controlled", block=block)
    return joined(found)


@attack(
    "A6 beacon",
    learned="that somebody whose private variants are known is among the people",
    measure="power at 5 % false alarms, from whether the site holds each of five variants",
    stopped_by="min_carriers: a variant that is not held looks like one that few carry",
)
def beacon_attack(directory: Path) -> Strength:
    shares = np.full(5 * 120, 1e-9)  # five variants each of 60 people there and 60 elsewhere
    some = genotyped_people(CROWD, shares, seed=62, centre="a")
    own = [labels_of(600)[5 * i : 5 * i + 5] for i in range(120)]
    calls = some.calls.iloc[:, :300].copy()  # a site's VCF lists what somebody there carries
    for i in range(60):
        calls.iloc[i, 5 * i : 5 * i + 5] = 1
    held = replace(some, calls=calls)
    found = []
    for analyst, name in zip(
        both(directory, [held], genotypes=True, settings=SEEN), "ba", strict=True
    ):
        told = _asked_afresh(analyst, directory / name, labels_of(600), 150)
        keys = ("called_hidden", "alleles_hidden", "genotypes_hidden", "variant_n_called")
        looks = np.column_stack([told[key][:, 0] for key in keys])
        differs = dict(zip(labels_of(600), (looks != looks[-1]).any(axis=1), strict=True))
        score = np.array([np.mean([differs[label] for label in mine]) for mine in own])
        found.append(_power_of_levels(score[:60], score[60:], alpha=0.05))
    return Strength(*found)


def _power_of_levels(inside: np.ndarray, outside: np.ndarray, *, alpha: float) -> float:
    """Power of the best test by a score of few levels: above one of them, by a coin at it."""
    levels = np.unique(np.concatenate([inside, outside]))
    found = []
    for limit in levels:
        above, at = (outside > limit).mean(), (outside == limit).mean()
        if above <= alpha:
            coin = min(1.0, (alpha - above) / at) if at else 1.0
            found.append((inside > limit).mean() + coin * (inside == limit).mean())
    return float(max(found))


def test_a6_beacon(tmp_path: Path) -> None:
    judge(
        beacon_attack.strength(tmp_path),
        works=0.9,
        allowed=0.10,
    )


@attack(
    "A7 rare alleles first",
    learned="that somebody whose genome is known is among the people",
    measure="power at 1 % false alarms, from variants the person carries, 11 to 20 expected",
    stopped_by="min_carriers; max_exposure",
)
def rare_attack(directory: Path) -> Strength:
    rng = np.random.default_rng(71)
    shares = rng.uniform(11, 20, 3000) / (2 * CROWD)
    some = genotyped_people(CROWD, shares, seed=72, centre="a")
    carried = some.calls.to_numpy() > 0
    labels = labels_of(shares.size)
    before, after = both(directory, [some], genotypes=True, settings=SEEN)
    own = [labels[v] for v in np.flatnonzero(carried[0])]
    limited = attacked(directory / "one", [some], protected=True, genotypes=True, settings=OPENED)
    allowed = sum(len(a["alleles_hidden"]) for a in harvest(limited, own, tier="open", block=1))
    assert allowed > 4, "some must be answered, or nothing is shown"
    carrier = 1 - (1 - shares) ** 2
    found = []
    for analyst, name, n_each in ((before, "b", 1000), (after, "a", allowed)):
        told = _asked_afresh(analyst, directory / name, labels, 300)
        k = 1 if analyst is before else K
        seen = np.round(told["variant_allele_count"][:, 0] * (1 - shares / 2))
        seen[told["alleles_hidden"][:, 0] > 0] = 0
        evidence = rare_evidence(seen, carrier, CROWD, k)
        inside = [evidence[np.flatnonzero(p)[:n_each]].sum() for p in carried]
        outside = []
        for _ in range(2000):  # somebody else, among people drawn anew
            own = np.flatnonzero(rng.random(shares.size) < carrier)[:n_each]
            drawn = rng.binomial(CROWD, carrier[own])
            drawn[drawn < k] = 0
            outside.append(rare_evidence(drawn, carrier[own], CROWD, k).sum())
        found.append(power(inside, outside, alpha=0.01))
    return Strength(*found)


def test_a7_rare_alleles_first(tmp_path: Path) -> None:
    judge(
        rare_attack.strength(tmp_path),
        works=0.8,
        allowed=0.12,
    )


# --- what people have: betas and products of a scan ---

SCANNED, SCAN = 300, 2000
_scan: list[dict[str, Any]] = []


def scanned(directory: Path) -> dict[str, Any]:
    """Genotypes and values of scanned people; what an unprotected scan told, and refusals."""
    if not _scan:
        shares = np.random.default_rng(51).uniform(0.05, 0.5, SCAN)
        some = genotyped_people(SCANNED, shares, seed=52, centre="a")
        before, after = both(directory, [some], genotypes=True)
        analysis = LinearAssociation(traits=(Term(field=INDEX),), terms=(Term(field=AGE),))
        panel = Panel(variants=labels_of(SCAN))
        told = before.ask(analysis, panel=panel)
        asked = {tier: after.ask(analysis, panel=panel, tier=tier) for tier in TIERS}
        rows = some.clinical
        _scan.append(
            {
                "genotypes": some.calls.to_numpy().astype(float),
                "trait": rows[INDEX].to_numpy(float),
                "age": rows[AGE].to_numpy(float),
                "result": told.result,
                "sums": told.released("a")[-1],
                "after": asked,
                "controlled": after.ask(analysis, panel=panel, tier="controlled"),
            }
        )
    return _scan[0]


TIERS = ("open", "registered")  # what the controlled tier tells is treated as personal data


def _strongest(found: dict[str, Any], name: str, of: Any) -> float:
    answers = [one for one in found["after"].values() if one]
    return max((traced(found["genotypes"], of(one), found[name]) for one in answers), default=0.0)


@attack(
    "A5 betas",
    learned="the trait of somebody whose genome is known",
    measure="correlation over members of the trait with the sum of dosage times beta",
    stopped_by="tiers: an association is controlled, below that refused",
)
def betas_attack(directory: Path) -> Strength:
    found = scanned(directory)
    # Of standardised dosages: the product x'y is the slope.
    slopes = found["result"].dataset["statistic"].values[:, 0]
    before = traced(found["genotypes"], np.nan_to_num(slopes), found["trait"])
    after = _strongest(
        found, "trait", lambda one: np.nan_to_num(one.result.dataset["statistic"].values[:, 0])
    )
    return Strength(before, after)


def test_a5_betas(tmp_path: Path) -> None:
    judge(betas_attack.strength(tmp_path), works=0.85, allowed=0.2)
    assert all(one.rules == {"tiers"} for one in scanned(tmp_path)["after"].values())


@attack(
    "A5 betas, tier named by the analyst",
    learned="the same, by an analyst who calls the question controlled",
    measure="correlation over members of the trait with the sum of dosage times beta",
    stopped_by="asker: tiers are granted to keys; controlled only under trusted and masked",
)
def named_tier_attack(directory: Path) -> Strength:
    found = scanned(directory)
    asked = [found["result"], found["controlled"].result]
    strengths = []
    for result in asked:
        slopes = result.dataset["statistic"].values[:, 0] if result else np.zeros(0)
        strengths.append(traced(found["genotypes"], np.nan_to_num(slopes), found["trait"]))
    return Strength(*strengths)


def test_a5_tier_named_by_the_analyst(tmp_path: Path) -> None:
    found = named_tier_attack.strength(tmp_path)
    judge(found, works=0.85, allowed=0.2)
    assert scanned(tmp_path)["controlled"].rules == {"tiers"}


@attack(
    "covariates from C'x",
    learned="a covariate of somebody whose genome is known",
    measure="correlation over members of age with the sum of dosage times its product with age",
    stopped_by="tiers: an association is controlled, below that refused",
)
def covariate_attack(directory: Path) -> Strength:
    found = scanned(directory)

    def slopes(sums: Arrays) -> np.ndarray:
        return sums["variant_term"][:, 0] / np.sqrt(sums["variant_square"].clip(1e-9))

    before = traced(found["genotypes"], slopes(found["sums"]), found["age"])
    after = _strongest(found, "age", lambda one: slopes(one.released("a")[-1]))
    return Strength(before, after)


def test_covariates_from_products(tmp_path: Path) -> None:
    judge(covariate_attack.strength(tmp_path), works=0.85, allowed=0.2)


# --- what people have: missing calls ---


@attack(
    "missing-call down-dating",
    learned="the covariate row of the one person without a call, at each of 20 variants",
    measure="share of rows read to a millionth",
    stopped_by="one_mean",
)
def missing_attack(directory: Path) -> Strength:
    """Two histories with other mean dosages: the sums differ by that person's row."""
    some = genotyped_people(120, np.full(20, 0.4), seed=81, centre="a")
    calls = some.calls.copy()
    for v in range(20):
        calls.iloc[5 * v, v] = -1
    some = replace(some, calls=calls)
    rows = some.clinical[[AGE, INDEX]].to_numpy(float)
    truth = (rows - rows.mean(axis=0))[[5 * v for v in range(20)]]
    analysis = LinearAssociation(traits=(Term(field=INDEX),), terms=(Term(field=AGE),))
    found, seen = [], SEEN
    for analyst in both(directory, [some], genotypes=True, settings=seen):
        told = []
        for run, shift in (("0" * 16, 0.0), ("1" * 16, 0.1)):
            panel = Panel(variants=labels_of(20))
            request = analyst.federation.request(
                analysis, purpose=PURPOSE, panel=panel, tier="controlled", run=run
            )
            (first,) = analyst.send(request).released("a")
            total = {n: a for n, a in first.items() if not n.endswith("_hidden")}
            total["variant_dosage"] = first["variant_dosage"] + shift * first["variant_n_called"]
            told += analyst.send(request.next_round(total)).released("a")
        found.append(_rows_read(told, truth))
    return Strength(*found)


def _rows_read(told: list[Arrays], truth: np.ndarray) -> float:
    if len(told) < 2:
        return 0.0
    names = ("variant_term", "variant_trait")
    one, other = (np.concatenate([a[name] for name in names], axis=1) for a in told)
    return float((np.abs((other - one) / 0.1 - truth) < 1e-6).all(axis=1).mean())


def test_missing_calls(tmp_path: Path) -> None:
    judge(missing_attack.strength(tmp_path), works=1.0, allowed=0.0)


# --- what people have: fits ---


def patients(n: int, *, seed: int, **options: Any) -> People:
    """People with one biosample each, all assayed by an exome, nothing missing."""
    alike = {"missing": 0.0, "second_biosample": 0.0, "panel_share": 0.0}
    return people(n, seed=seed, centre="a", **{**alike, **options})


def _numbers(some: People, *names: str) -> np.ndarray:
    return some.clinical[list(names)].to_numpy(float)


@attack(
    "A13 covariance attack",
    learned="a column of everybody's values, from sums over cohorts known to the attacker",
    measure="share of the column's variance explained",
    stopped_by="no vector of the analyst's own; min_individuals; leverage",
)
def covariance_attack(directory: Path) -> Strength:
    """Sums of the body-mass index over cohorts by age and sex; solved for each person."""
    some = patients(60, seed=13, hazard=0.00035)
    age, truth = (_numbers(some, name)[:, 0] for name in (AGE, INDEX))
    cohorts = _windows(np.sort(np.unique(age)))
    male = some.clinical["sex"].to_numpy(str) == "male"
    analysis = LogisticRegression(outcome=Term(field=EVENT), terms=(Term(field=INDEX),))
    found = []
    for analyst, asked in zip(both(directory, [some]), (cohorts, cohorts[::-1]), strict=True):
        rows, sums = [np.ones(60)], [truth.sum()]  # the mean is everybody's to know
        for low, high, sex in asked:
            parts: list[dict[str, Any]] = [{"field": AGE, "min": low, "max": high}]
            parts += [{"field": "sex", "equals": sex}] if sex else []
            request = analyst.federation.request(
                analysis, purpose=PURPOSE, cohorts=(Cohort.of("c", {"all": parts}),)
            )
            for released in analyst.send(request).released("a"):
                if float(released["term_sum"][0]) in sums:
                    continue  # answered on people asked about before
                own = (age >= low) & (age <= high)
                rows.append(own & (male == (sex == "male")) if sex else own)
                sums.append(float(released["term_sum"][0]))
        found.append(_explained(np.array(rows, float), np.array(sums), truth))
    return Strength(*found)


def _windows(ages: np.ndarray) -> list[tuple[float, float, str]]:
    """Up to each age, then stretches of ages by sex, wide ones last."""
    nested = [(0.0, float(high), "") for high in ages]
    wide = [
        (float(ages[start]), float(ages[start + size]), sex)
        for size in (30, 40, 50)
        for start in range(0, ages.size - size, 3)
        for sex in ("", "female", "male")
    ]
    return nested + wide


def _explained(rows: np.ndarray, sums: np.ndarray, truth: np.ndarray) -> float:
    """By the attacker's best guess, whatever share of errors he allows for in the memberships."""
    mean = sums[0] / truth.size
    centred, overlap = sums - rows.sum(axis=1) * mean, rows @ rows.T
    found = []
    for error in (1e-9, 1e-3, 0.1, 1.0, 10.0, 1e2, 1e3, 1e6):
        pull = np.linalg.solve(overlap + error * np.eye(len(rows)), centred)
        left = ((mean + rows.T @ pull - truth) ** 2).sum()
        found.append(float(1 - left / ((truth - truth.mean()) ** 2).sum()))
    return max(found)


def test_a13_covariance(tmp_path: Path) -> None:
    found = covariance_attack.strength(tmp_path)
    judge(found, works=0.9, allowed=0.2)


@pytest.mark.parametrize(
    "criteria",
    [
        {"field": "individual_id", "equals": "a-p00007"},
        {"field": "sample_id", "in": ["a-p00007-t1"]},
        {"field": "id", "equals": "a-p00007"},
        {"field": "individual", "min": 7, "max": 7},
        {"rows": [1, 0, 0, 1]},
        {"field": AGE, "weights": [1.0, 0.0]},
        {"field": AGE, "equals": 61.3, "times": 2},
    ],
)
def test_a13__no_vector_of_ones_own(tmp_path: Path, criteria: dict[str, Any]) -> None:
    """Neither cohorts nor terms name a person, hold a value a person, or multiply columns."""
    analyst = attacked(tmp_path, [patients(60, seed=13)], protected=True)
    with pytest.raises(EucanError):
        Cohort.of("c", criteria).members(dataset(patients(60, seed=13)))
    for name in ("individual_id", "sample_id", "sample_individual", "cohort"):
        terms = (Term(field=name),)
        answer = analyst.ask(LogisticRegression(outcome=Term(field=EVENT), terms=terms))
        assert not answer
        assert not answer.released("a")


@attack(
    "A14 one-hot designs",
    learned="cells of 1 to 9 people of every two yes/no columns, from products of a design",
    measure="share of such cells read exactly",
    stopped_by="min_cell_of_terms",
)
def one_hot_attack(directory: Path) -> Strength:
    some = patients(160, seed=14, hazard=0.00035)
    designs = [(field, gene) for field in LEVELS for gene in ("NF1", "RB1", "TP53", "KRAS")]
    small = sum(n in range(1, 10) for d in designs for n in _true_cells(some, *d))
    found = []
    for analyst in both(directory, [some]):
        read = 0
        for field, gene in designs:
            terms = (Term(field=field, levels=LEVELS[field]), Term(gene=gene))
            analysis = LogisticRegression(outcome=Term(field=EVENT), terms=terms)
            request = analyst.federation.request(analysis, purpose=PURPOSE)
            for released in analyst.send(request).released("a"):
                cells = cells_read(released)
                read += sum(n in range(1, 10) for n in cells)
                assert set(cells) <= set(_true_cells(some, field, gene))
        found.append(read / small)
    return Strength(*found)


LEVELS = {"sex": ("female", "male"), "stage": STAGES[1:]}


def _true_cells(some: People, field: str, gene: str) -> list[int]:
    rows, all_mutations = some.clinical, some.mutations
    hit = all_mutations[all_mutations["classification"] != "Silent"]
    carriers = set(hit["sample_id"][hit["gene"] == gene])
    columns = [rows[field] == level for level in LEVELS[field][1:]]
    columns += [rows["sample_id"].isin(carriers)]
    found = []
    for i, one in enumerate(columns):
        for other in columns[:i]:
            found += [(a & b).sum() for a in (one, ~one) for b in (other, ~other)]
    return list(map(int, found))


def test_a14_one_hot(tmp_path: Path) -> None:
    judge(one_hot_attack.strength(tmp_path), works=1.0, allowed=0.0)


@attack(
    "A15 risk sets of Cox's model",
    learned="the age of each person, by name, from a transcript whose times are known",
    measure="share of people read to a tenth of a standard deviation; 0.1 guessing the mean",
    stopped_by="no risk set leaves; sums are over all people of a stratum",
    tolerance=0.05,
)
def risk_set_attack(directory: Path) -> Strength:
    some = patients(60, seed=5)
    time, status, age = (_numbers(some, n)[:, 0] for n in (TIME, EVENT, AGE))
    z = (age - age.mean()) / age.std()
    textbook = risk_set_rows(time, z[:, None], np.array([0.3]))[:, 0]
    analyst = attacked(directory, [some], protected=True)
    told = []
    for strata in ("", "sex", "stage"):
        analysis = CoxRegression(terms=(Term(field=AGE),), strata=strata, ties="breslow")
        released = analyst.ask(analysis).released("a")
        codes = np.unique(some.clinical[strata] if strata else time * 0, return_inverse=True)[1]
        request = analyst.federation.request(analysis, purpose=PURPOSE)
        for arrays in released:
            beta = float(request.state()["beta"][0]) * age.std()
            score = arrays["score"][0] / age.std()
            information = arrays["information"][0, 0] / age.var()
            told.append((beta, codes, np.array([arrays["log_likelihood"], score, information])))
            shown = {n: a for n, a in arrays.items() if n != "fit_hidden"}
            request = request.next_round(shown)
    assert len(told) >= 6, "fits must be answered, or nothing is shown"
    start = np.random.default_rng(15).normal(size=60)
    guess = cox_rebuilt(told, time, status == 1, start)
    return Strength(*(float((np.abs(g - z) <= 0.1).mean()) for g in (textbook, guess)))


TIME = "overall_survival_days"


def test_a15_risk_sets(tmp_path: Path) -> None:
    judge(risk_set_attack.strength(tmp_path), works=0.9, allowed=0.25)


# --- crafted states ---

FIT = LogisticRegression(outcome=Term(field=EVENT), terms=(Term(field=AGE), Term(field=INDEX)))
CRAFTED = 60


def _crafted(analyst: Analyst, betas: np.ndarray, runs: int) -> list[tuple[np.ndarray, Arrays]]:
    """What was told at coefficients of our choice (standardised), over so many runs."""
    request = analyst.federation.request(FIT, purpose=PURPOSE)
    released = analyst.send(request).released("a")
    if not released:
        return []
    n = int(released[0]["n_individuals"])
    scale = np.sqrt(released[0]["term_square"] / n - (released[0]["term_sum"] / n) ** 2)
    found = []
    for number, path in enumerate(np.array_split(betas, runs)):
        run = f"{number:016x}"
        found += crafted(analyst, FIT, path / scale, first=released[0], run=run)[1:]
    return [(beta * scale, arrays) for beta, arrays in found]


def _standard(some: People) -> np.ndarray:
    x = _numbers(some, AGE, INDEX)
    return np.asarray((x - x.mean(axis=0)) / x.std(axis=0))


@attack(
    "crafted state, one person",
    learned="one person's row, from sums at coefficients that weigh that person alone",
    measure="largest share of the weight of answered sums on one person",
    stopped_by="min_effective_weight; the state is replayed from totals",
)
def one_weight_attack(directory: Path) -> Strength:
    some = patients(CRAFTED, seed=4, hazard=0.00035)
    x, died = _standard(some), _numbers(some, EVENT)[:, 0] == 1
    angles = np.linspace(0, np.pi, 6, endpoint=False)
    betas = [s * np.array([np.cos(a), np.sin(a)]) for a in angles for s in (4.0, 8.0, 30.0, 300.0)]
    found = []
    for analyst in both(directory, [some]):
        told = _crafted(analyst, np.array(betas), len(betas))
        assert told, "some must be answered, or nothing is shown"
        found.append(max(float(weight_shares(x, died, beta).max()) for beta, _ in told))
    return Strength(*found)


def test_crafted_state__one_person(tmp_path: Path) -> None:
    judge(one_weight_attack.strength(tmp_path), works=0.45, allowed=0.33)


@attack(
    "crafted state, many runs",
    learned="everybody's age and body-mass index, from sums at the attacker's coefficients",
    measure="share of people rebuilt to a tenth of a standard deviation in both; 0.1 by chance",
    stopped_by="transcript: all runs together tell at most a number a person",
    tolerance=0.1,
)
def many_runs_attack(directory: Path) -> Strength:
    some = patients(CRAFTED, seed=4, hazard=0.00035)
    x, rng = _standard(some), np.random.default_rng(0)
    betas = rng.normal(size=(90, 2))
    betas *= rng.uniform(0, 4, (90, 1)) / np.linalg.norm(betas, axis=1, keepdims=True)
    found = []
    for analyst in both(directory, [some]):
        told = _crafted(analyst, betas, 9)
        scale = _numbers(some, AGE, INDEX).std(axis=0)
        seen = np.array([[a["log_likelihood"], *(a["score"] / scale)] for _, a in told])
        at = np.array([beta for beta, _ in told])
        honest = analyst.ask(FIT).released("a")[0]
        events = int(honest["n_event"])
        start = np.random.default_rng(2).normal(size=x.shape)
        guess = start
        if told:
            guess = rebuilt(at, seen, start, n_event=events, moved=honest["score"] / scale)
        found.append(share_rebuilt(guess, x, within=0.1))
    return Strength(*found)


def test_crafted_state__many_runs(tmp_path: Path) -> None:
    found = many_runs_attack.strength(tmp_path)
    judge(found, works=0.5, allowed=0.3)


# --- curves, bins and catalogues ---


@attack(
    "A16 subtraction of one's own curve",
    learned="steps of the other two of three sites' curve, by a site that knows its own",
    measure="share of their steps of 1 to 4 people that are read; none, trusted and masked",
    stopped_by="min_cell at each site; pooled: merged steps, insider",
)
def curve_attack(directory: Path) -> Strength:
    parts = [people(220, seed=160 + i, centre="abc"[i]) for i in range(3)]
    found, times = [], tuple(np.arange(0, 3601, 30.0))
    tables = [_steps(some, times) for some in parts]
    others = tables[1] + tables[2]
    n_small = int(((others >= 1) & (others <= 4)).sum())
    analyst = attacked(directory, parts, protected=True, min_sites=3)
    for aggregator in ("none", "trusted", "masked"):
        answer = analyst.ask(Survival(), panel=Panel(times=times), aggregator=aggregator)
        if answer:
            shown = [answer.result.dataset[name].values[0] for name in ("n_event", "n_censored")]
            found.append(_steps_read(np.array(shown), tables[0]) / n_small)
    assert found, "a curve must be answered"
    before = _steps_read(sum(tables).astype(float), tables[0]) / n_small
    return Strength(float(before), float(max(found)))


def _steps(some: People, times: Sequence[float]) -> np.ndarray:
    """Events and withdrawals (2, steps)."""
    persons = some.clinical.drop_duplicates("individual_id").dropna(subset=[TIME, EVENT])
    at, died = np.searchsorted(times, persons[TIME]), persons[EVENT].to_numpy() == 1
    return np.array([np.bincount(at[own], minlength=len(times) + 1)[:-1] for own in (died, ~died)])


def _steps_read(pooled: np.ndarray, own: np.ndarray) -> int:
    """Shown steps, with those merged into them, in which the others are 1 to 4."""
    n = 0
    for flow, mine in zip(pooled, own, strict=True):
        start = 0
        for step in np.flatnonzero(np.isfinite(flow)):
            n += 1 <= flow[step] - mine[start : step + 1].sum() <= 4
            start = step + 1
    return n


def test_a16_own_curve(tmp_path: Path) -> None:
    judge(curve_attack.strength(tmp_path), works=1.0, allowed=0.0)


@attack(
    "A20 moved outlier",
    learned="the greatest value, from edges, limits and scales that depend on it",
    measure="share of numbers outside the outlier's own bin that change when it moves",
    stopped_by="bins and grids come from the request",
)
def outlier_attack(directory: Path) -> Strength:
    some = patients(150, seed=20)
    oldest = some.clinical.sort_values(AGE)["individual_id"].iloc[-1]
    last = some.clinical.sort_values(TIME)["individual_id"].iloc[-1]
    twins = [
        altered(altered(some, oldest, **{AGE: age}), last, **{TIME: days})
        for age, days in ((89.0, 3990.0), (90.0, 3999.0))
    ]
    edges = [np.concatenate(np.histogram(_numbers(t, AGE), bins=10)[::-1]) for t in twins]
    before = float((edges[0] != edges[1])[:-1].mean())
    bins = SummaryField(field=AGE, edges=(50.0, 60.0, 70.0))
    grid = Panel(times=tuple(np.arange(0, 3601, 720.0)))
    told = []
    for number, twin in enumerate(twins):
        analyst = attacked(directory / str(number), [twin], protected=True)
        found = analyst.ask(CohortSummary(fields=(bins,))), analyst.ask(Survival(), panel=grid)
        assert all(found), [one.words for one in found]
        told.append([a for one in found for a in one.released("a")[0].values()])
    changed = [np.asarray(a != b).mean() for a, b in zip(*told, strict=True) if a.size]
    return Strength(before, float(np.mean(changed)))


def test_a20_outlier(tmp_path: Path) -> None:
    judge(outlier_attack.strength(tmp_path), works=0.5, allowed=0.0)


@attack(
    "A25 metadata as a beacon",
    learned="whether anybody at a site carries a private variant, or a mutation of a rare gene",
    measure="share of pairs of twin sites that can be told apart before any question",
    stopped_by="a catalogue of names; numbers of variants and people are rough",
)
def metadata_attack(directory: Path) -> Strength:
    """The twins differ in one person: what each says of itself, the freeze aside."""
    some = genotyped_people(60, np.full(10, 0.3), seed=25, centre="a")
    rare = labels_of(11)[-1]
    calls = some.calls.assign(**{rare: 0})
    calls.iloc[3, -1] = 1
    person = some.clinical["individual_id"].iloc[3]
    pairs = [
        (some, replace(some, calls=calls)),
        (mutated(some, person, "XYZ1", yes=False), mutated(some, person, "XYZ1", yes=True)),
        (some, altered(some, person, **{AGE: 17.0, "stage": "0"})),
    ]
    found = []
    for protected in (False, True):
        apart = 0
        for number, pair in enumerate(pairs):
            place = directory / f"{protected}{number}"
            analysts = [
                attacked(place / side, [twin], protected=protected, genotypes=True)
                for side, twin in zip("ab", pair, strict=True)
            ]
            said = [analyst.federation.hello()["a"] for analyst in analysts]
            apart += len({json.dumps(_told_of_people(s), sort_keys=True) for s in said}) - 1
        found.append(apart / len(pairs))
    return Strength(*found)


def _told_of_people(hello: dict[str, Any]) -> dict[str, Any]:
    """A hello less what is drawn at random: keys, and the digest of the store's state."""
    drawn = ("freeze", "mask_key", "mask_key_signature")
    return {key: value for key, value in hello.items() if key not in drawn}


def test_a25_metadata(tmp_path: Path) -> None:
    found = metadata_attack.strength(tmp_path)
    judge(found, works=0.6, allowed=0.0)


@pytest.mark.parametrize("name", [n for n, a in ATTACKS.items() if a.run.__module__ == __name__])
def test_page__has_the_measured_numbers(name: str, tmp_path: Path) -> None:
    matches(ATTACKS[name], tmp_path)
