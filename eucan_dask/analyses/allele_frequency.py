"""Allele counts and frequencies, missing calls and Hardy-Weinberg proportions, by cohort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import dask
import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis, Column, Table, View
from eucan_dask.genotype import Inheritance, Ploidy, genotype_columns, sexes
from eucan_dask.kernels.genotype import FIELDS, lane_mask, tally
from eucan_dask.kernels.hardy_weinberg import exact_p_value
from eucan_dask.panel import Panel
from eucan_dask.partial import Cells, PartialSpec, Record
from eucan_dask.variant import KEYS, columns_of

__all__ = ["AlleleFrequency"]

CELL = ("variants", "cohorts")
GENOTYPES = ("hom_ref", "het", "hom_alt")
GROUPS = ("one copy", "two copies", "men", "others")
RARE = ("other alleles", "one copy of ALT", "one copy of REF")


@dataclass(frozen=True, kw_only=True)
class AlleleFrequency(Analysis):
    """Allele frequency, missing calls and the exact Hardy-Weinberg test by variant and cohort.

    frequency = allele_count / allele_number over people with a call. Men count once on X and Y
    outside the pseudo-autosomal regions, women not at all on Y, everybody once on MT; somebody of
    unknown sex counts as a woman on X. A half call, and a heterozygous call where one copy is
    carried, is missing. A person with another ALT of a multi-allelic record counts in
    allele_number, and in no genotype. The Hardy-Weinberg test looks at diploid people.

    Parameters
    ----------
    None: the panel says which variants, and the cohorts among whom.

    Returns
    -------
    allele_count, allele_number : (V, C) counts, V variants, C cohorts
    frequency : (V, C) in 0..1; NaN where nobody has a call
    n_missing : (V, C) genotyped people without a call; at a site that does not hold the variant
        all of them
    hwe_p_value : (V, C) in 0..1; NaN where nobody diploid has a call, and on Y and MT

    Disclosure
    ----------
    For each variant and cohort: people genotyped and called, alleles, copies of ALT, and the
    three genotypes: all of it stands on at least `min_carriers` people with ALT and
    `min_non_carriers` without. A variant that a site does not hold looks like one that few people
    carry, as files list what somebody carries. Very many frequencies tell whether somebody whose
    genome is known is among the people: limit the blocks of a run.

    Raises
    ------
    Invalid
        For a panel without variants.

    References
    ----------
    Wigginton, Cutler & Abecasis, Am J Hum Genet 2005;76:887 (exact test). Counting of X, Y and MT
    as in PLINK 2 (Chang et al., GigaScience 2015;4:7).

    Examples
    --------
    >>> AlleleFrequency().name
    'allele_frequency'
    """

    name: ClassVar[str] = "allele_frequency"
    title: ClassVar[str] = "Allele frequency"
    kind: ClassVar[str] = "variant_counts"
    equals: ClassVar[str] = "plink2 --freq counts --hardy --missing, one cohort at a time"
    block_dim: ClassVar[str | None] = "variants"
    yields: ClassVar[tuple[PartialSpec, ...]] = (
        PartialSpec("variant_n_expected", CELL, "count", doc="people genotyped who carry a copy"),
        PartialSpec("variant_n_called", CELL, "count", doc="of these, people with a call"),
        PartialSpec("variant_allele_number", CELL, "count", doc="alleles of people with a call"),
        PartialSpec(
            "variant_allele_count",
            CELL,
            "count",
            within="variant_allele_number",
            doc="copies of ALT",
            copies=2,
        ),
        PartialSpec(
            "variant_genotype_count",
            ("variants", "genotypes", "cohorts"),
            "count",
            within="variant_n_called",
            doc="diploid people by genotype of REF and ALT",
        ),
        PartialSpec(
            "variant_n_group", ("variants", "groups", "cohorts"), "support", doc="by copies carried"
        ),
        PartialSpec(
            "variant_n_rare",
            ("variants", "rare", "cohorts"),
            "support",
            doc="called people who are in no genotype",
        ),
        PartialSpec("variant_n_carriers", CELL, "support", doc="people with ALT"),
        PartialSpec("variant_n_non_carriers", CELL, "support", doc="people called without ALT"),
    )
    records: ClassVar[tuple[Record, ...]] = (
        Record(
            "called",
            ("variant_n_expected", "variant_n_called", "variant_allele_number"),
            CELL,
            cells=(Cells("variant_n_group"),),
            carriers=("variant_n_carriers", "variant_n_non_carriers"),
            expected="variant_n_expected",
        ),
        Record("alleles", ("variant_allele_count",), CELL, needs=("called",)),
        Record(
            "genotypes",
            ("variant_genotype_count",),
            CELL,
            needs=("alleles",),
            cells=(Cells("variant_n_rare"),),
        ),
    )
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "frequency",
            CELL,
            (*KEYS, "cohort"),
            (
                Column("allele_count"),
                Column("allele_number", record="called"),
                Column("frequency"),
                Column("n_missing", record="called"),
                Column("hwe_p_value", record="genotypes"),
            ),
            "alleles",
        ),
    )
    views: ClassVar[tuple[View, ...]] = (
        View("spectrum", "frequency", "Frequency spectrum", x="frequency", by="cohort"),
        View(
            "qq",
            "frequency",
            "Hardy-Weinberg test",
            y="hwe_p_value",
            by="cohort",
            options={"inflation": False},
        ),
    )
    formats: ClassVar[tuple[tuple[str, str], ...]] = (("sites_vcf", "frequency"),)

    def needs(self) -> tuple[str, ...]:
        return ("sample_genotype",)

    def prepare(self, ds: xr.Dataset) -> xr.Dataset:
        columns = genotype_columns(ds)
        return ds.assign(
            individual_eligible=(("individuals",), columns >= 0),
            individual_genotype=(("individuals",), columns),
            individual_male_female=(("individuals",), sexes(ds)),
        )

    def summands(self, panel: Panel) -> dict[str, str]:
        return {"genotypes": ""}

    def check(self, panel: Panel) -> None:
        panel.need_variants()

    def coords(self, panel: Panel, cohorts: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        own = {"genotypes": GENOTYPES, "groups": GROUPS, "rare": RARE}
        return {**super().coords(panel, cohorts), **own}

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        members = ds["individual_cohort"].values
        shape = (ds.sizes["variants"], len(COUNTED), members.shape[1])
        counts = dask.delayed(count)(
            ds["call_genotype_packed"].data,
            (ds["call_alt_packed"].data, ds["call_other_packed"].data),
            split=ds["variant_split"].values,
            kinds=ds["variant_inheritance"].values,
            columns=ds["individual_genotype"].values,
            sex=ds["individual_male_female"].values,
            members=members,
        )
        whole = da.from_delayed(counts, shape, dtype=np.int64)
        field = {name: whole[:, i] for i, name in enumerate(COUNTED)}

        def side_by_side(names: tuple[str, ...]) -> Any:
            return da.stack([field[name] for name in names], axis=1)

        return xr.Dataset(
            {
                "variant_n_expected": (CELL, field["n_expected"]),
                "variant_n_called": (CELL, field["n_called"]),
                "variant_allele_number": (CELL, field["allele_number"]),
                "variant_allele_count": (CELL, field["allele_count"]),
                "variant_genotype_count": (
                    ("variants", "genotypes", "cohorts"),
                    side_by_side(GENOTYPES),
                ),
                "variant_n_group": (("variants", "groups", "cohorts"), side_by_side(GROUPS)),
                "variant_n_rare": (("variants", "rare", "cohorts"), side_by_side(RARE)),
                "variant_n_carriers": (CELL, field["n_carriers"]),
                "variant_n_non_carriers": (CELL, field["n_called"] - field["n_carriers"]),
            }
        )

    def finalize(self, total: xr.Dataset) -> xr.Dataset:
        number = total["variant_allele_number"]
        hom_ref, het, hom_alt = (
            total["variant_genotype_count"].isel(genotypes=i).transpose(*CELL).values
            for i in range(len(GENOTYPES))
        )
        p = exact_p_value(hom_ref.ravel(), het.ravel(), hom_alt.ravel())
        return xr.Dataset(
            {
                "allele_count": total["variant_allele_count"],
                "allele_number": number,
                "frequency": total["variant_allele_count"] / number.where(number > 0),
                "n_missing": total["variant_n_expected"] - total["variant_n_called"],
                "hwe_p_value": (CELL, p.reshape(het.shape)),
                **columns_of(total["variants"].values),
            }
        )

    @classmethod
    def example(cls) -> tuple[AlleleFrequency, Panel]:
        return cls(), Panel(variants=EXAMPLE)


COUNTED = (*FIELDS, "n_expected", *GROUPS, *RARE)
EXAMPLE = ("1:1000:A:G", "1:3000:C:T", "2:500:G:GA", "7:123:A:C", "X:70000000:T:C", "MT:150:C:T")


def count(
    packed: NDArray[np.uint8],
    alleles: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    *,
    split: NDArray[np.int32],
    kinds: NDArray[np.int8],
    columns: NDArray[np.int32],
    sex: NDArray[np.int8],
    members: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """`COUNTED` of every variant and cohort: (V, 17, C)."""
    out = np.zeros((packed.shape[0], len(COUNTED), members.shape[1]), dtype=np.int64)
    for kind in Inheritance:
        ploidy = Ploidy.of(kind, sex)
        for several in (False, True):
            rows = np.flatnonzero((kinds == kind) & ((split >= 0) == several))
            own = tuple(a[split[rows]] for a in alleles) if several else None
            for cohort, inside in enumerate(members.T if rows.size else ()):
                masks = [
                    lane_mask(columns[inside & some], packed.shape[1])
                    for some in (ploidy.diploid, ploidy.haploid)
                ]
                counts = tally(packed[rows], diploid=masks[0], haploid=masks[1], alleles=own)
                men = int((inside & ploidy.haploid).sum()) if kind != Inheritance.AUTOSOMAL else 0
                people = (int((inside & (ploidy.diploid | ploidy.haploid)).sum()), men)
                others = int(inside.sum()) - men
                out[rows, :, cohort] = _counted(counts, *people, others)
    return out


def _counted(counts: NDArray[np.int64], expected: int, men: int, others: int) -> NDArray[np.int64]:
    """`COUNTED` (V, 17), from the tally.

    What is told of X and Y beside the other contigs shows how many are men; alleles less those of
    the genotypes are men's, or other ALTs of a multi-allelic record.
    """
    field = dict(zip(FIELDS, counts.T, strict=True))
    single, alt = field["n_single"], field["n_single_alt"]
    double = field["n_called"] - single
    rest = double - sum(field[name] for name in GENOTYPES)
    people = (np.full(single.shape, n) for n in (men, others))
    more = (np.full(single.shape, expected), single, double, *people, rest, alt, single - alt)
    return np.concatenate([counts, np.stack(more, axis=1)], axis=1)
