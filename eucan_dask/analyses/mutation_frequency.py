"""The share of assayed people who carry a mutation, by gene, variant class and cohort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import dask
import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.analysis import Analysis, Column, Table, View
from eucan_dask.errors import Invalid, unknown
from eucan_dask.panel import Panel
from eucan_dask.partial import PartialSpec, Record
from eucan_dask.variables import NON_SILENT, VARIANT_CLASSIFICATIONS

__all__ = ["MutationFrequency", "wilson"]

ANY = "non_silent"
Z = 1.959963984540054  # 97.5 % point of the normal distribution


@dataclass(frozen=True, kw_only=True)
class MutationFrequency(Analysis):
    """Frequency of mutated individuals by gene, variant class and cohort.

    frequency = n_mutated / n_assayed, with Wilson's 95 % interval. A person counts once however
    many mutations or biosamples; a person is assayed for a gene if the assay of any biosample
    covers it. Who is not assayed is in neither count: absence of data is not wild type.

    Parameters
    ----------
    classes
        MAF variant classes, or "non_silent" for any that changes the protein.

    Returns
    -------
    n_mutated, n_assayed : (G, K, C) and (G, C) counts, G genes, K classes, C cohorts
    frequency, low, high : (G, K, C) in 0..1; NaN where nobody was assayed. Where a centre hides
        a count, `frequency` is hidden and low..high covers every value it can have.

    Disclosure
    ----------
    Two counts of people by gene, class and cohort leave a site, supported by the people assayed.
    A reader can infer bounds of a hidden count. Where classes or cohorts that lie in one another
    would narrow it, the gene is hidden for all of them.

    Raises
    ------
    Invalid
        For a class that is not a MAF variant class, or a panel without genes.

    References
    ----------
    Wilson, J Am Stat Assoc 1927;22:209 (interval). Counting of non-silent classes as in maftools
    (Mayakonda et al., Genome Res 2018;28:1747).

    Examples
    --------
    >>> low, high = wilson(np.array([5]), np.array([50]))
    >>> print(f"{low[0]:.4f} {high[0]:.4f}")
    0.0435 0.2136
    """

    classes: tuple[str, ...] = (ANY,)

    name: ClassVar[str] = "mutation_frequency"
    title: ClassVar[str] = "Mutation frequency"
    kind: ClassVar[str] = "counts"
    equals: ClassVar[str] = "maftools getGeneSummary()$MutatedSamples over assayed samples"
    block_dim: ClassVar[str | None] = "individuals"
    yields: ClassVar[tuple[PartialSpec, ...]] = (
        PartialSpec(
            "gene_n_assayed", ("genes", "cohorts"), "count", doc="people assayed for the gene"
        ),
        PartialSpec(
            "gene_n_mutated",
            ("genes", "classes", "cohorts"),
            "count",
            within="gene_n_assayed",
            doc="of these, people with a mutation of the class",
        ),
    )
    records: ClassVar[tuple[Record, ...]] = (
        Record("assayed", ("gene_n_assayed",), ("genes", "cohorts")),
        Record(
            "mutated",
            ("gene_n_mutated",),
            ("genes", "classes", "cohorts"),
            needs=("assayed",),
            contains=("classes", ANY, tuple(sorted(NON_SILENT))),
        ),
    )
    tables: ClassVar[tuple[Table, ...]] = (
        Table(
            "genes",
            ("genes", "classes", "cohorts"),
            ("gene", "class=classes", "cohort"),
            (
                Column("n_mutated"),
                Column("n_assayed", record="assayed"),
                Column("frequency"),
                Column("low", interval=True),
                Column("high", interval=True),
            ),
            "mutated",
        ),
    )
    views: ClassVar[tuple[View, ...]] = (
        View(
            "bar_interval",
            "genes",
            "Mutated people by gene",
            x="gene",
            y="frequency",
            by="cohort",
            low="low",
            high="high",
        ),
    )

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise Invalid("name each class once", where="mutation_frequency.classes")
        for name in self.classes:
            if name != ANY and name not in VARIANT_CLASSIFICATIONS:
                known = (ANY, *VARIANT_CLASSIFICATIONS)
                raise unknown("variant class", name, known, where="mutation_frequency.classes")

    def needs(self) -> tuple[str, ...]:
        return ("mutation_gene", "sample_assay")

    def check(self, panel: Panel) -> None:
        if not panel.genes:
            raise Invalid("needs genes", where="panel", remedy='add genes = ["TP53", ...]')

    def coords(self, panel: Panel, cohorts: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        return {**super().coords(panel, cohorts), "classes": self.classes}

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        members = ds["individual_cohort"].values
        carries = individual_assays(
            ds["sample_assay"].values,
            ds["sample_individual"].values,
            members.shape[0],
            ds.sizes["assays"],
        )
        assayed = count_assayed(carries, ds["gene_assayed"].values, members)
        tables = np.stack([_class_codes(name) for name in self.classes])
        mutated = dask.delayed(count_mutated)(
            ds["mutation_gene"].data,
            ds["mutation_classification"].data,
            ds["mutation_sample"].data,
            sample_individual=ds["sample_individual"].values,
            covered=gene_covered(carries, ds["gene_assayed"].values),
            members=members,
            classes=tables,
        )
        shape = (len(panel.genes), len(self.classes), members.shape[1])
        return xr.Dataset(
            {
                "gene_n_assayed": (("genes", "cohorts"), assayed),
                "gene_n_mutated": (
                    ("genes", "classes", "cohorts"),
                    da.from_delayed(mutated, shape, dtype=np.int64),
                ),
            }
        )

    def finalize(self, total: xr.Dataset) -> xr.Dataset:
        n = total["gene_n_assayed"]
        assayed = n.where(n > 0)
        low = wilson(total["gene_n_mutated_low"], assayed)[0]
        high = wilson(total["gene_n_mutated_high"], assayed)[1]
        return xr.Dataset(
            {
                "n_mutated": total["gene_n_mutated"],
                "n_assayed": n,
                "frequency": total["gene_n_mutated"] / assayed,
                "low": low,
                "high": high,
            }
        )

    @classmethod
    def example(cls) -> tuple[MutationFrequency, Panel]:
        classes = (ANY, "Missense_Mutation")
        return cls(classes=classes), Panel(genes=("TP53", "KRAS", "EGFR", "IDH1"))


def _class_codes(name: str) -> NDArray[np.bool_]:
    wanted = NON_SILENT if name == ANY else (name,)
    return np.array([c in wanted for c in VARIANT_CLASSIFICATIONS], dtype=bool)


def individual_assays(
    sample_assay: NDArray[Any], sample_individual: NDArray[Any], n: int, n_assays: int
) -> NDArray[np.bool_]:
    """Which assays any biosample of a person had: (individuals, assays)."""
    carries = np.zeros((n, n_assays), dtype=bool)
    had = sample_assay >= 0
    carries[sample_individual[had], sample_assay[had]] = True
    return carries


def gene_covered(
    carries: NDArray[np.bool_], gene_assayed: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Genes covered for each distinct set of assays: (genes, sets), and each person's set."""
    sets, of = np.unique(carries, axis=0, return_inverse=True)
    covered = gene_assayed.astype(np.int64) @ sets.T.astype(np.int64) > 0
    return covered, np.ravel(of)


def count_assayed(
    carries: NDArray[np.bool_], gene_assayed: NDArray[np.bool_], members: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """People assayed for each gene in each cohort: (genes, cohorts)."""
    covered, of = gene_covered(carries, gene_assayed)
    sizes = np.zeros((covered.shape[1], members.shape[1]), dtype=np.int64)
    np.add.at(sizes, of, members.astype(np.int64))
    return covered.astype(np.int64) @ sizes


def count_mutated(
    gene: NDArray[Any],
    classification: NDArray[Any],
    sample: NDArray[Any],
    *,
    sample_individual: NDArray[Any],
    covered: tuple[NDArray[np.bool_], NDArray[np.int64]],
    members: NDArray[np.bool_],
    classes: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """People with a mutation of each class in each gene: (genes, classes, cohorts).

    `gene` (mutations,) is the position in the panel, -1 elsewhere; `classes` (classes, codes)
    says which classification codes a class holds. A person counts once a gene and class.
    """
    gene_sets, of = covered
    n_genes, n_people = gene_sets.shape[0], members.shape[0]
    counts = np.zeros((n_genes, classes.shape[0], members.shape[1]), dtype=np.int64)
    person = sample_individual[sample]
    for k, codes in enumerate(classes):
        rows = (gene >= 0) & codes[classification]
        pairs = np.unique(gene[rows].astype(np.int64) * max(n_people, 1) + person[rows])
        genes, people = np.divmod(pairs, max(n_people, 1))
        assayed = gene_sets[genes, of[people]]
        np.add.at(counts[:, k, :], genes[assayed], members[people[assayed]].astype(np.int64))
    return counts


def wilson(count: Any, n: Any) -> tuple[Any, Any]:
    """Wilson's 95 % interval for a proportion; NaN where `n` is."""
    p, z2 = count / n, Z * Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low, high = (centre - half) * (count > 0), centre + half
    return low, high + (1.0 - high) * (count == n)
