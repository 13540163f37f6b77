"""What is left of LAML, KIRC and LGG by the recommended policy holds what is true of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import survives

from eucan_dask.federation import Federation

WHO = survives.Ways._fields[:4]
DOCUMENT = Path(__file__).parents[2] / "docs" / "personal.md"


@pytest.fixture(scope="module")
def found(
    federation: Callable[[str], Federation], shared: Path, tmp_path_factory
) -> list[survives.Survived]:
    """Each cohort asked as personal data, beside the public federation the other tests ask."""
    return [
        survives.survey(
            asked, shared, tmp_path_factory.mktemp(asked.name), public=federation(asked.name)
        )
        for asked in survives.SURVEYS
    ]


def genes_of(found: list[survives.Survived]) -> pd.DataFrame:
    return pd.concat([one.genes.assign(cohort=one.survey.name) for one in found])


@pytest.mark.parametrize("who", WHO)
def test_survives__bounds_hold_the_public_frequency_of_every_gene(
    found: list[survives.Survived], who: str
) -> None:
    """And its 95 % interval, with nothing left out: every gene has bounds or a frequency."""
    genes = genes_of(found)
    assert len(genes) == 1241 + 10243 + 11767
    low, high = genes[f"{who}_low"], genes[f"{who}_high"]
    assert (genes[f"{who}_n_assayed"] == genes["public_n_assayed"]).all()
    assert (low <= genes["public_frequency"]).all()
    assert (high >= genes["public_frequency"]).all()
    assert (low <= genes["public_low"]).all()
    assert (high >= genes["public_high"]).all()


@pytest.mark.parametrize("who", WHO)
def test_survives__what_is_shown_is_the_public_count(
    found: list[survives.Survived], who: str
) -> None:
    """Exactly, and never a small one: at least 10 people with and 10 without."""
    genes = genes_of(found)
    shown = genes[~genes[f"{who}_suppressed"]]
    assert len(shown)
    assert (shown[f"{who}_coverage"] == 1).all()
    assert (shown[f"{who}_n_mutated"] == shown["public_n_mutated"]).all()
    for end in ("frequency", "low", "high"):
        assert (shown[f"{who}_{end}"] == shown[f"public_{end}"]).all()
    assert shown["public_n_mutated"].between(10, shown["public_n_assayed"] - 10).all()


def test_survives__a_hidden_count_is_nowhere(found: list[survives.Survived]) -> None:
    genes = genes_of(found)
    for who in WHO:
        hidden = genes[genes[f"{who}_suppressed"]]
        assert hidden[[f"{who}_n_mutated", f"{who}_frequency"]].isna().all(axis=None)


def test_survives__the_document_is_in_step(found: list[survives.Survived]) -> None:
    """If not: python tests/real/survives.py > docs/personal.md."""
    tumours, _, _ = DOCUMENT.read_text(encoding="utf-8").partition("\n## Genotypes\n")
    assert tumours == survives.markdown(found)
