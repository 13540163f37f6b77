"""PLINK filesets (.bed, .bim, .fam) as one source of records: allele 2 is REF, allele 1 ALT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bed_reader import open_bed

from eucan_dask.errors import Invalid
from eucan_dask.store.assembly import check_inside
from eucan_dask.store.plink_files import Fileset, fileset, read_fileset
from eucan_dask.store.records import (
    BoolArray,
    Int8Array,
    Int32Array,
    Int64Array,
    Records,
    batch_rows,
)
from eucan_dask.store.reference import Reference
from eucan_dask.store.vcf_check import check_alleles_called
from eucan_dask.store.vcf_scan import unsorted_records
from eucan_dask.variant import contig_order

__all__ = ["PlinkSource", "PlinkUnit", "fileset", "open_plink"]

_MISSING = 3
_SORT = "sort the fileset: plink2 --make-pgen --sort-vars, then --make-bed"
_CALLS = np.array([[0, 0], [0, 1], [1, 1], [-1, -1]], dtype=np.int8)


@dataclass(frozen=True)
class PlinkUnit:
    """Some variants of one contig in one .bed file.

    Parameters
    ----------
    bed, shape
        The file, and its samples and variants.
    rows
        Which variants of the file, in order of position.
    columns
        Which samples of the file, in the source's order; None if as they stand.
    position, identifier, allele, swapped
        Of the rows, as in `Fileset`.
    """

    bed: Path
    shape: tuple[int, int]
    contig: str
    rows: Int64Array
    columns: Int64Array | None
    position: Int32Array
    identifier: tuple[str, ...]
    allele: tuple[tuple[str, ...], ...]
    swapped: BoolArray

    def records(self) -> Iterator[Records]:
        """Batches of records; calls are diploid, as a .bed file has them."""
        step = batch_rows(self.shape[0], 2)
        for start in range(0, len(self.rows), step):
            yield self._batch(slice(start, start + step))

    def _batch(self, part: slice) -> Records:
        allele, position = self.allele[part], self.position[part]
        genotype = _CALLS[self._copies(part)]
        records = Records(
            contig=self.contig,
            position=position,
            end=position + np.array([len(found[0]) for found in allele], dtype=np.int32) - 1,
            identifier=self.identifier[part],
            allele=allele,
            quality=np.full(len(position), np.nan, dtype=np.float32),
            filters=((),) * len(position),
            genotype=genotype,
            phased=np.zeros(genotype.shape[:2], dtype=np.bool_),
            number=self.rows[part] + 1,
            source=str(self.bed),
        )
        check_alleles_called(records)
        return records

    def _copies(self, part: slice) -> Int8Array:
        """(V, N) copies of ALT, 3 missing."""
        n_samples, n_variants = self.shape
        try:
            with open_bed(
                self.bed, iid_count=n_samples, sid_count=n_variants, num_threads=1
            ) as bed:
                index = np.s_[:, self.rows[part]]
                found: Int8Array = bed.read(index=index, dtype="int8", order="F").T
        except (OSError, ValueError) as error:
            raise Invalid("cannot be read", where=self.bed) from error
        if self.columns is not None:
            found = found[:, self.columns]
        copies = np.where(found < 0, np.int8(_MISSING), found)
        turned = np.array([2, 1, 0, _MISSING], dtype=np.int8)
        swapped = self.swapped[part]
        copies[swapped] = turned[copies[swapped]]
        return copies


@dataclass(frozen=True)
class _Run:
    """The variants of one contig in one fileset, in order of position."""

    contig: str
    fileset: Fileset
    rows: Int64Array

    @property
    def first(self) -> int:
        return int(self.fileset.position[self.rows[0]])

    @property
    def last(self) -> int:
        return int(self.fileset.position[self.rows[-1]])


@dataclass(frozen=True)
class PlinkSource:
    """One or more filesets of the same samples that passed every check of their text files."""

    samples: tuple[str, ...]
    sex: Int8Array
    contigs: tuple[str, ...]
    notes: tuple[str, ...]
    runs: tuple[_Run, ...]
    ploidy: int = 2
    has_genotypes: bool = True

    def units(self, n: int) -> tuple[PlinkUnit, ...]:
        """About `n` pieces or more, in genome order."""
        total = sum(len(run.rows) for run in self.runs)
        step = max(1, -(-total // max(1, n)))
        return tuple(
            self._unit(run, run.rows[start : start + step])
            for run in self.runs
            for start in range(0, len(run.rows), step)
        )

    def _unit(self, run: _Run, rows: Int64Array) -> PlinkUnit:
        one = run.fileset
        columns = None
        if one.samples != self.samples:
            index = {sample: column for column, sample in enumerate(one.samples)}
            columns = np.array([index[sample] for sample in self.samples], dtype=np.int64)
        return PlinkUnit(
            bed=one.bed,
            shape=(len(one.samples), len(one.position)),
            contig=run.contig,
            rows=rows,
            columns=columns,
            position=one.position[rows],
            identifier=tuple(one.identifier[row] for row in rows),
            allele=tuple(one.allele[row] for row in rows),
            swapped=one.swapped[rows],
        )


def open_plink(
    prefixes: Sequence[Path | str], *, assembly: str, fasta: Reference | None = None
) -> PlinkSource:
    """Read the text files, and check that the three of each fileset agree.

    Parameters
    ----------
    prefixes
        Of filesets of the same people (in any order), or paths of .bed files.
    assembly
        NCBI36, GRCh37, GRCh38 or CHM13.
    fasta
        The genome; where it has allele 1 and not allele 2, the two are swapped.

    Raises
    ------
    Invalid
        Naming file and line: a file cannot be read, the sizes disagree, the .bed is not
        variant-major, ids repeat, variants are unsorted or unplaced, alleles are no bases, or
        filesets have other people or overlap.
    """
    if not prefixes:
        raise Invalid("no fileset was given", expected="a prefix, or a .bed file")
    filesets = [read_fileset(Path(prefix), fasta) for prefix in prefixes]
    first = filesets[0]
    for one in filesets:
        _check_people(first, one)
    runs = _genome_order(filesets)
    for run in runs:
        where = run.fileset.bed.with_suffix(".bim")
        check_inside(assembly, run.contig, run.last, where=where)
    notes = [
        f"{one.bed.name}: the genome has allele 1 of {int(one.swapped.sum()):,} variants, which "
        "were swapped"
        for one in filesets
        if one.swapped.any()
    ]
    notes += [
        f"{one.bed.with_suffix('.bim').name}: alleles 1, 2, 3, 4 were read as A, C, G, T, as plink "
        "--alleleACGT does; if they only mean minor and major, put bases there instead"
        for one in filesets
        if one.numbered
    ]
    contigs = tuple(dict.fromkeys(run.contig for run in runs))
    return PlinkSource(first.samples, first.sex, contigs, tuple(notes), tuple(runs))


def _check_people(first: Fileset, one: Fileset) -> None:
    fam = one.bed.with_suffix(".fam")
    if set(one.samples) != set(first.samples):
        raise Invalid(
            f"has other people than {first.bed.with_suffix('.fam').name}",
            where=fam,
            found=f"{len(set(one.samples) - set(first.samples))} more and "
            f"{len(set(first.samples) - set(one.samples))} fewer",
            remedy="merge the filesets with plink --bmerge",
        )
    sex = dict(zip(first.samples, first.sex, strict=True))
    wrong = [s for s, code in zip(one.samples, one.sex, strict=True) if sex[s] != code]
    if wrong:
        raise Invalid(
            f"{len(wrong)} people have another sex than in {first.bed.with_suffix('.fam').name}",
            where=fam,
            found=", ".join(wrong[:5]),
        )


def _genome_order(filesets: Sequence[Fileset]) -> list[_Run]:
    runs = [run for one in filesets for run in _runs(one)]
    runs.sort(key=lambda run: (contig_order(run.contig), run.first))
    for before, after in zip(runs, runs[1:], strict=False):
        if before.contig == after.contig and before.last > after.first:
            raise Invalid(
                f"overlaps {before.fileset.bed.name} on contig {after.contig}",
                where=after.fileset.bed,
                remedy="merge the filesets with plink --bmerge",
            )
    return runs


def _runs(one: Fileset) -> Iterator[_Run]:
    """Each contig's variants; the pseudo-autosomal ones are sorted in with the others of X."""
    code, contig = np.array(one.code, dtype=object), np.array(one.contig, dtype=object)
    bim = one.bed.with_suffix(".bim")
    for name in dict.fromkeys(one.code):
        rows = np.flatnonzero(code == name)
        gap = np.flatnonzero(np.diff(rows) > 1)
        if gap.size:
            raise Invalid(
                f"contig {name} comes back",
                where=f"{bim}, line {int(rows[gap[0] + 1]) + 1}",
                remedy=_SORT,
            )
        position = one.position[rows]
        fell = np.flatnonzero(np.diff(position) < 0)
        if fell.size:
            at = int(fell[0])
            where = f"{bim}, line {int(rows[at + 1]) + 1}"
            raise unsorted_records(
                int(position[at + 1]), int(position[at]), where=where, remedy=_SORT
            )
    for name in dict.fromkeys(one.contig):
        rows = np.flatnonzero(contig == name)
        yield _Run(name, one, rows[np.argsort(one.position[rows], kind="stable")])
