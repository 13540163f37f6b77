"""What the simulated people are made to show: frequencies, hazards, odds and effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["GENE_FREQUENCY", "HAZARD_PER_DAY", "TRUTH", "body_mass", "covariates", "log_hazard"]

# Share of people with a non-silent mutation, before age and sex act on TP53.
GENE_FREQUENCY: Mapping[str, float] = {
    "APC": 0.18,
    "BRAF": 0.12,
    "EGFR": 0.15,
    "IDH1": 0.10,
    "KRAS": 0.25,
    "NF1": 0.06,
    "PIK3CA": 0.20,
    "PTEN": 0.08,
    "RB1": 0.05,
    "TP53": 0.40,
}
# Planted effects: log hazard ratios, log odds ratios of TP53, and kg/m2 of body-mass index a copy.
TRUTH: Mapping[str, float] = {
    "hr:age_at_diagnosis": 0.03,
    "hr:sex male": 0.25,
    "hr:TP53 mutated": 0.70,
    "or:age_at_diagnosis": 0.02,
    "or:sex male": -0.40,
    "beta:1:1000:A:G": 1.2,
}
HAZARD_PER_DAY = 0.0006


def covariates(n: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Age (years), male and TP53 mutated of `n` people, as planted."""
    age = np.clip(rng.normal(60, 11, n), 20, 90).round(1)
    male = rng.random(n) < 0.5
    logit = np.log(GENE_FREQUENCY["TP53"] / (1 - GENE_FREQUENCY["TP53"]))
    logit = logit + TRUTH["or:age_at_diagnosis"] * (age - 60) + TRUTH["or:sex male"] * male
    return {
        "age_at_diagnosis": age,
        "male": male,
        "TP53": rng.random(n) < 1 / (1 + np.exp(-logit)),
    }


def log_hazard(drawn: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Log hazard ratio of each person against a woman of 60 without TP53 mutated."""
    return np.asarray(
        TRUTH["hr:age_at_diagnosis"] * (drawn["age_at_diagnosis"] - 60)
        + TRUTH["hr:sex male"] * drawn["male"]
        + TRUTH["hr:TP53 mutated"] * drawn["TP53"]
    )


def body_mass(drawn: Mapping[str, NDArray[Any]], calls: pd.DataFrame, *, seed: int) -> Any:
    """Body-mass index (kg/m2) of each person, with the planted effect of each copy of ALT.

    Parameters
    ----------
    calls
        Copies of ALT, a row a person; a missing call counts as none.
    """
    noise = np.random.default_rng([seed, 2]).normal(0, 4, drawn["male"].size)
    index = 26 + 0.03 * (drawn["age_at_diagnosis"] - 60) + 0.8 * drawn["male"] + noise
    for label in calls.columns:
        index += TRUTH.get(f"beta:{label}", 0.0) * calls[label].clip(lower=0).to_numpy(np.float64)
    return index.round(2)
