"""Allele counts of 1000 Genomes records, half of them of several ALTs, against cyvcf2's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from peers import ask

from eucan_dask.analyses.allele_frequency import AlleleFrequency
from eucan_dask.cohort import Cohort
from eucan_dask.federation import Federation
from eucan_dask.panel import Panel
from eucan_dask.variant import Variant
from eucan_dask.variant_panel import VariantPanel

N_STARRED = 3  # records 727, 733 and 735
COHORTS = (
    Cohort("ALL"),
    Cohort.of("EUR", {"field": "super_population", "equals": "EUR"}),
    Cohort.of("FIN", {"field": "population", "equals": "FIN"}),
)


@pytest.fixture(scope="module")
def expected(shared: Path) -> pd.DataFrame:
    """A row an ALT: AN of the record, AC of the ALT, and the label of the split variant.

    The ALT `*` says that a deletion of another record lies there: no variant to ask for. Its
    alleles are in AN all the same.
    """
    path = shared / "germline_1kg_chr22" / "expected" / "allele_counts_by_superpop.tsv.gz"
    table = pd.read_csv(path, sep="\t", dtype={"AC": str})
    table["n_alts"] = table["alt"].str.count(",") + 1
    split = table.assign(alt=table["alt"].str.split(","), AC=table["AC"].str.split(","))
    split = split.explode(["alt", "AC"])
    starred = split["alt"] == "*"
    assert starred.sum() == 2 * N_STARRED
    split = split[~starred]
    parts = zip(*(split[name].astype(str) for name in ("chrom", "pos", "ref", "alt")), strict=True)
    labels = [Variant.parse(":".join(part)).label for part in parts]
    return split.assign(variant=labels, AC=split["AC"].astype(int))


@pytest.fixture(scope="module")
def answer(federation: Callable[[str], Federation], expected: pd.DataFrame) -> pd.DataFrame:
    """Three sites: FIN, and the women and the men of GBR; all are of one super-population."""
    asked = Panel(variants=tuple(VariantPanel.of(expected["variant"].unique())))
    sites = federation("1000 genomes")
    assert [member.name for member in sites.members] == ["FIN", "GBR-female", "GBR-male"]
    found = ask(sites, AlleleFrequency(), cohorts=COHORTS, panel=asked)["frequency"]
    return found.set_index(["cohort", "variant"])


@pytest.mark.parametrize("group", ["ALL", "EUR"])
def test_allele_frequency__counts_of_split_records_equal_cyvcf2(
    answer: pd.DataFrame, expected: pd.DataFrame, group: str
) -> None:
    """Exactly, for 1,172 variants of 735 records: AN is that of the source record."""
    rows = expected[expected["super_pop"] == group].set_index("variant")
    ours = answer.loc[group]
    assert (rows["n_alts"] > 1).sum() > 700
    assert rows.index.is_unique
    assert sorted(rows.index) == sorted(ours.index)
    rows = rows.loc[ours.index]
    assert (ours["allele_count"].astype(int) == rows["AC"]).all()
    assert (ours["allele_number"].astype(int) == rows["AN"]).all()
    assert (ours["n_missing"].astype(int) == 100 - rows["AN"] // 2).all()


def test_allele_frequency__siblings_of_a_record_share_its_number(
    answer: pd.DataFrame, expected: pd.DataFrame
) -> None:
    """And together their alleles are no more than all; in a population as in everybody."""
    rows = expected[expected["super_pop"] == "ALL"]
    record = rows.set_index("variant")[["pos", "ref"]].astype(str).agg(":".join, axis=1)
    finns = answer.loc["FIN"]
    by_record = finns.groupby(record.loc[finns.index].values)
    assert (by_record["allele_number"].nunique() == 1).all()
    assert (by_record["allele_count"].sum() <= by_record["allele_number"].first()).all()
    assert finns["allele_number"].max() == 2 * 17
