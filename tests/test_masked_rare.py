"""Pooled answers about variants that nobody holds, and that few carry: the same to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.analyses.linear_association import LinearAssociation
from eucan_dask.analysis import Analysis
from eucan_dask.federation import Federation
from eucan_dask.panel import Panel
from eucan_dask.terms import Term
from tests.attack_people import genotyped_people, labels_of
from tests.masked import make_masked

COMMON, RARE, ABSENT = labels_of(3)
MASS = LinearAssociation(traits=(Term(field="body_mass_index"),))


@pytest.mark.parametrize("aggregator", ["none", "trusted", "masked"])
@pytest.mark.parametrize("analysis", [AlleleFrequency(), MASS], ids=["frequency", "association"])
def test_run__a_variant_nobody_holds_looks_like_one_few_carry(
    tmp_path: Path, analysis: Analysis, aggregator: str
) -> None:
    """Few carry `RARE`, at one of three sites; nobody holds `ABSENT`."""
    some = genotyped_people(300, np.array([0.4, 0.0]), seed=6)
    some.calls.loc[some.calls.index[:3], RARE] = 1
    settings = {"controlled_aggregators": f'["{aggregator}"]'}
    file = make_masked(tmp_path, (100, 100, 100), genotypes=True, some=some, settings=settings)
    with Federation.open(file) as federation:
        found = federation.run(
            analysis,
            purpose="DUO:0000006",
            panel=Panel(variants=(COMMON, RARE, ABSENT)),
            tier="controlled",
            aggregator=aggregator,
        )
    rows = found.dataset.isel(variants=slice(1, 3))
    for name, values in sorted(rows.data_vars.items()):
        if "variants" in values.dims and not name.startswith("variant_"):  # not which it is
            rare, absent = (values.isel(variants=i).values for i in range(2))
            np.testing.assert_array_equal(rare, absent, err_msg=name)
    shown = found.dataset["frequency"].isel(variants=0).values
    assert np.isfinite(shown).all()
