"""The coordinates a request fixes, and the alignment of a site's data to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from eucan_dask import config
from eucan_dask.errors import Invalid
from eucan_dask.genotype import align_variants
from eucan_dask.variant import Variant

__all__ = ["BLOCK_VARIANTS", "Panel"]

MAX_TIMES = 20_000
MAX_GENES = 50_000
MAX_VARIANTS = 1_000_000
BLOCK_VARIANTS = 8_192  # that travel and are answered at once


@dataclass(frozen=True)
class Panel:
    """What the request fixes, so that every site answers in the same shape.

    Parameters
    ----------
    genes
        Gene symbols, each once.
    variants
        Labels `contig:position:ref:alt` as `Variant.label` writes them, each once; a block of a
        genome at most.
    times
        Grid in days from diagnosis: 0, step, 2 step, ...; an event at t belongs to the first
        grid point not before t.
    """

    genes: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    variants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.genes)) != len(self.genes):
            twice = sorted({g for g in self.genes if self.genes.count(g) > 1})
            raise Invalid("genes are named twice", where="panel.genes", found=twice)
        if len(self.genes) > MAX_GENES:
            raise Invalid("too many genes", where="panel.genes", expected=f"up to {MAX_GENES}")
        if len(self.variants) > MAX_VARIANTS:
            raise Invalid(
                "too many variants", where="panel.variants", expected=f"up to {MAX_VARIANTS:,}"
            )
        if len(set(self.variants)) != len(self.variants):
            raise Invalid("variants are named twice", where="panel.variants")
        times = np.array(self.times, dtype=np.float64)
        rises = np.isfinite(times).all() and (np.diff(times) > 0).all()
        if times.size and (times[0] != 0 or not rises):
            raise Invalid("the time grid must start at 0 and rise", where="panel.times")
        if times.size > MAX_TIMES:
            raise Invalid("the time grid is too fine", where="panel.times", found=times.size)

    @classmethod
    def from_toml(cls, table: Mapping[str, Any], *, where: str) -> Panel:
        """A panel from the `[panel]` table of a job, genes files already read in.

        Raises
        ------
        Invalid
            For unknown keys, repeated genes, or a grid that is empty or too fine.
        """
        values = config.check(
            table,
            {"genes": config.Key(list, default=[]), "times": config.Key(dict, default={})},
            where=where,
        )
        if not all(isinstance(gene, str) and gene for gene in values["genes"]):
            raise Invalid("genes must be symbols", where=f"{where}.genes")
        return cls(genes=tuple(values["genes"]), times=_grid(values["times"], f"{where}.times"))

    def to_json(self) -> dict[str, Any]:
        """Plain lists, for the wire."""
        return {
            "genes": list(self.genes),
            "times": list(self.times),
            "variants": list(self.variants),
        }

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> Panel:
        """The panel that `to_json` wrote."""
        keys = dict.fromkeys(("genes", "times", "variants"), config.Key(list))
        values = config.check(table, keys, where="request.panel")
        if not all(isinstance(gene, str) for gene in values["genes"]):
            raise Invalid("genes must be symbols", where="request.panel")
        if not all(isinstance(t, int | float) for t in values["times"]):
            raise Invalid("times must be numbers", where="request.panel")
        if len(values["variants"]) > BLOCK_VARIANTS:
            raise Invalid(
                "too many variants in a block", where="request.panel", expected=BLOCK_VARIANTS
            )
        for label in values["variants"]:
            if not isinstance(label, str) or Variant.parse(label).label != label:
                raise Invalid("no label of a variant", where="request.panel", found=label)
        return cls(
            genes=tuple(values["genes"]),
            times=tuple(map(float, values["times"])),
            variants=tuple(values["variants"]),
        )

    @property
    def coords(self) -> dict[str, tuple[Any, ...]]:
        """Labels of each dimension."""
        return {"genes": self.genes, "times": self.times, "variants": self.variants}

    def need_variants(self) -> None:
        """Raise `Invalid` if there are none."""
        if not self.variants:
            raise Invalid(
                "needs variants",
                where="panel",
                remedy='add variants_file = "panel.vcf.gz", or variants = ["1:12345:A:G", ...]',
            )

    def align(self, ds: xr.Dataset) -> xr.Dataset:
        """`ds` with its genes replaced by the panel's, in the panel's order.

        `mutation_gene` becomes the position in the panel, -1 for any other gene; `gene_assayed`
        (genes, assays) says which assay covers a panel gene. A gene no assay covers stays, with
        nobody assayed: absence is not wild type. Variants likewise: see `align_variants`.
        """
        return self._align_genes(align_variants(ds, self.variants))

    def _align_genes(self, ds: xr.Dataset) -> xr.Dataset:
        if "mutation_gene" not in ds:
            return ds
        position = {gene: i for i, gene in enumerate(self.genes)}
        held: Sequence[str] = [str(g) for g in ds["gene_symbol"].values]
        recode = np.array([position.get(gene, -1) for gene in held] + [-1], dtype=np.int32)
        assayed = np.zeros((len(self.genes), ds.sizes["assays"]), dtype=bool)
        covered = ds["gene_assayed"].values
        for row, gene in enumerate(held):
            if gene in position:
                assayed[position[gene]] = covered[row]
        assayed |= ds["assay_all_genes"].values.astype(bool)[np.newaxis, :]
        genes = ds["mutation_gene"].data  # -1 picks the last entry, which is -1 again
        aligned = ds.drop_dims("genes")
        aligned["gene_assayed"] = (("genes", "assays"), assayed)
        aligned["mutation_gene"] = (("mutations",), _take(recode, genes))
        return aligned


def _take(recode: np.ndarray[Any, np.dtype[np.int32]], codes: Any) -> Any:
    if isinstance(codes, np.ndarray):
        return recode[codes]
    return codes.map_blocks(lambda block: recode[block], dtype=np.int32)


def _grid(table: Mapping[str, Any], where: str) -> tuple[float, ...]:
    if not table:
        return ()
    number = config.Key(int | float)
    values = config.check(
        table,
        {"start": config.Key(int | float, default=0), "stop": number, "step": number},
        where=where,
    )
    start, stop, step = (float(values[k]) for k in ("start", "stop", "step"))
    if not (start == 0 and 0 < step <= stop < np.inf):
        raise Invalid(
            "not a grid", where=where, expected="start = 0, step > 0, stop >= step", found=values
        )
    n = int(np.floor(stop / step + 1e-9)) + 1
    if n > MAX_TIMES:
        raise Invalid("grid too fine", where=where, expected=f"up to {MAX_TIMES} steps", found=n)
    return tuple(float(i * step) for i in range(n))
