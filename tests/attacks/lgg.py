"""Ordinary questions about real people with lower-grade glioma, and what they add up to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucan_dask.cohort import Cohort, membership, mutation_truth
from eucan_dask.panel import Panel
from eucan_dask.store.open import open_store
from eucan_dask.variables import NON_SILENT
from tests import cohorts
from tests.attacks.crowd import Criteria, Pairwise, every, never

SECRET = "ATRX"  # noqa: S105
PANEL = Panel(genes=(SECRET,))


def clinical(rng: np.random.Generator) -> Criteria:
    """One to three of sex, decades of age, grade, histology and genes of the disease."""
    low = int(rng.integers(2, 6)) * 10
    kinds = ("Astrocytoma", "Oligoastrocytoma", "Oligodendroglioma")
    leaves: list[Criteria] = [
        {"field": "sex", "equals": str(rng.choice(["male", "female"]))},
        {"field": "age_at_diagnosis", "min": low, "max": low + int(rng.integers(1, 4)) * 10},
        {"field": "histological_grade", "equals": str(rng.choice(["G2", "G3"]))},
        {"field": "histological_type", "equals": str(rng.choice(kinds))},
        {"field": "race", "equals": "white"},
        {"gene": str(rng.choice(["IDH1", "TP53", "CIC"])), "mutated": bool(rng.random() < 0.7)},
    ]
    chosen = rng.choice(len(leaves), int(rng.integers(1, 4)), replace=False)
    whole = every(*(leaves[i] for i in chosen))
    return never(whole) if rng.random() < 0.2 else whole


def made(directory: Path, shared: Path) -> Path:
    """One site that holds everybody, under the recommended policy."""
    options = {"data_class": "personal", "policy": "recommended"}
    return cohorts.mc3(directory, shared, "lgg", centre_of=cohorts.one_centre, **options)


def truth(file: Path, questions: list[Criteria]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Members of each question (questions, people), and who carries the secret."""
    ds = open_store(file.parent / "everybody" / "store").dataset()
    asked = tuple(Cohort.of("c", question) for question in questions)
    return membership(ds, asked).T, mutation_truth(ds, SECRET, NON_SILENT).true


def first_read(members: NDArray[np.bool_], secret: NDArray[np.bool_]) -> int | None:
    """After how many answers of a rule that compares pairs somebody stands alone."""
    rule = Pairwise()
    answered: list[NDArray[np.bool_]] = []
    for one in members:
        if rule.allows(one):
            answered.append(one)
            basis = np.array(answered, dtype=np.float64)
            if (np.diag(np.linalg.pinv(basis) @ basis) > 1 - 1e-9).any():
                return len(answered)
    return None
