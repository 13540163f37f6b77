"""VCF and BCF files as one source of records: same samples, contigs in genome order, no overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.assembly import check_inside
from eucan_dask.store.bcf import read_bcf, scan_bcf
from eucan_dask.store.bgzf import as_blocks, compression
from eucan_dask.store.records import Int8Array, Int64Array, Records
from eucan_dask.store.reference import Reference
from eucan_dask.store.vcf_header import Header, check_assembly, read_header
from eucan_dask.store.vcf_scan import Run, Scan, Stretch, scan_text
from eucan_dask.store.vcf_text import read_text
from eucan_dask.variant import contig_name, contig_order

__all__ = ["VcfSource", "VcfUnit", "open_vcf"]

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class VcfUnit:
    """A stretch of a file; `header` if it is BCF; `columns` of the source's samples in it."""

    stretch: Stretch
    header: Header | None
    columns: Int64Array | None

    @property
    def contig(self) -> str:
        """By our name."""
        return self.stretch.contig

    def records(self) -> Iterator[Records]:
        """Batches of records, samples in the source's order."""
        header = self.header
        found = read_bcf(self.stretch, header) if header else read_text(self.stretch)
        for records in found:
            if self.columns is None or records.genotype is None or records.phased is None:
                yield records
            else:
                genotype = records.genotype[:, self.columns]
                yield replace(records, genotype=genotype, phased=records.phased[:, self.columns])


@dataclass(frozen=True)
class _File:
    """A file, where its bytes are read from (a bgzip copy of a gzip file), and what it holds."""

    name: Path
    path: Path
    header: Header
    scan: Scan


@dataclass(frozen=True)
class VcfSource:
    """One or more VCF or BCF files that passed every check that needs no record's content."""

    samples: tuple[str, ...]
    sex: Int8Array
    contigs: tuple[str, ...]
    ploidy: int
    has_genotypes: bool
    notes: tuple[str, ...]
    count: int
    runs: tuple[tuple[str, _File, Run], ...]

    def units(self, n: int) -> tuple[VcfUnit, ...]:
        """About `n` stretches or more, in genome order."""
        total = sum(len(run.cuts) for _, _, run in self.runs)
        step = max(1, -(-total // max(1, n)))
        return tuple(unit for part in self.runs for unit in self._cut(*part, step))

    def _cut(self, contig: str, file: _File, run: Run, step: int) -> Iterator[VcfUnit]:
        starts = run.cuts[::step]
        stops = [cut.offset for cut in starts[1:]] + [run.stop]
        own = file.header.samples
        columns = None
        if self.samples and own != self.samples:
            index = {sample: column for column, sample in enumerate(own)}
            columns = np.array([index[sample] for sample in self.samples], dtype=np.int64)
        for start, stop in zip(starts, stops, strict=True):
            stretch = Stretch(
                path=file.path,
                name=file.name,
                first=start.offset,
                last=stop,
                raw_contig=run.contig,
                contig=contig,
                number=start.number,
                n_samples=len(own),
                ploidy=self.ploidy,
                has_genotypes=self.has_genotypes,
            )
            yield VcfUnit(stretch, file.header if file.header.binary else None, columns)


def open_vcf(
    inputs: Sequence[Path | str],
    *,
    assembly: str,
    scratch: Path,
    reference: Reference | None = None,
    progress: Progress | None = None,
) -> VcfSource:
    """Check headers, then pass once over every file to count records and find places to cut.

    Parameters
    ----------
    inputs
        VCF (plain, gzip, bgzip) or BCF, sorted, indexed or not; of the same samples.
    assembly
        NCBI36, GRCh37, GRCh38 or CHM13.
    scratch
        A directory for a bgzip copy of plain gzip files; it must live as long as the units.
    reference
        The genome: contigs must be in it and as long as the header says.
    progress
        Called with done, total and a word on what is being done.

    Raises
    ------
    Invalid
        Naming the file and, where there is one, the record: the file cannot be read, is no VCF,
        cut off, damaged, unsorted, of another assembly, or files have other samples or overlap.
    """
    if not inputs:
        raise Invalid("no file was given", expected="one VCF or BCF file or more")
    names = [Path(path) for path in inputs]
    headers, notes = [], []
    paths = [_readable(name, scratch) for name in names]
    for name, path in zip(names, paths, strict=True):
        header = read_header(path, name=name)
        if strange := check_assembly(header, assembly, name=name):
            notes.append(
                f"{name.name}: contig {', '.join(strange[:5])} has a length that no known assembly "
                f"has; taken as {assembly}"
            )
        _check_reference(header, reference, name)
        headers.append(header)
    samples = _same_samples(names, headers)
    files = []
    for done, (name, path, header) in enumerate(zip(names, paths, headers, strict=True)):
        scan = Scan(tell=_teller(progress, done, len(names), name))
        (scan_bcf if header.binary else scan_text)(scan, path, header, name=name)
        files.append(_File(name, path, header, scan))
    runs = _genome_order(files)
    for contig, file, run in runs:
        check_inside(assembly, contig, run.last, where=file.name)
    if reference:
        _check_contigs(runs, reference)
    return _source(samples, files, runs, notes)


def _teller(
    progress: Progress | None, done: int, total: int, name: Path
) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda count: progress(done, total, f"{name.name}: {count:,} records seen")


def _check_contigs(runs: list[tuple[str, _File, Run]], reference: Reference) -> None:
    for contig, file, run in runs:
        if contig not in reference.lengths:
            raise Invalid(
                f"lacks contig {contig}",
                where=reference.path,
                remedy=f"{file.name} has it as {run.contig}: give the FASTA it was called with",
            )


def _source(
    samples: tuple[str, ...],
    files: list[_File],
    runs: list[tuple[str, _File, Run]],
    notes: list[str],
) -> VcfSource:
    count = sum(file.scan.count for file in files)
    has_genotypes = bool(samples) and (not count or any(f.scan.has_genotypes for f in files))
    if not has_genotypes:
        notes = [
            *notes,
            "no genotypes: the records are kept for export, there is nothing to analyse",
        ]
    kept = samples if has_genotypes else ()
    return VcfSource(
        samples=kept,
        sex=np.zeros(len(kept), dtype=np.int8),
        contigs=tuple(dict.fromkeys(contig for contig, _, _ in runs)),
        ploidy=max(file.scan.ploidy for file in files),
        has_genotypes=has_genotypes,
        notes=tuple(notes),
        count=count,
        runs=tuple(runs),
    )


def _readable(name: Path, scratch: Path) -> Path:
    """The file itself, or a bgzip copy of it."""
    if name.is_dir():
        raise Invalid("is a directory", where=name, expected="a VCF or BCF file")
    return as_blocks(name, scratch) if compression(name) == "gzip" else name


def _same_samples(names: list[Path], headers: list[Header]) -> tuple[str, ...]:
    first = headers[0].samples
    for name, header in zip(names, headers, strict=True):
        if set(header.samples) != set(first):
            more = len(set(header.samples) - set(first))
            less = len(set(first) - set(header.samples))
            raise Invalid(
                f"has other samples than {names[0].name}",
                where=name,
                found=f"{more} more and {less} fewer",
                remedy="join files of different samples with bcftools merge",
            )
    return first


def _check_reference(header: Header, reference: Reference | None, name: Path) -> None:
    for raw, length in header.contigs.items() if reference else ():
        contig = _known(raw)
        there = reference.lengths.get(contig) if reference else None
        if reference and length > 0 and there is not None and there != length:
            raise Invalid(
                f"contig {raw} is not as long as in {reference.path}",
                where=name,
                expected=f"{there:,} bases",
                found=f"{length:,}",
                remedy="give the FASTA the file was called with",
            )


def _known(raw: str) -> str:
    try:
        return contig_name(raw)
    except Invalid:
        return ""


def _genome_order(files: list[_File]) -> list[tuple[str, _File, Run]]:
    runs: list[tuple[str, _File, Run]] = []
    for file in files:
        named: dict[str, str] = {}
        for run in file.scan.runs:
            where = f"{file.name}, record {run.cuts[0].number}"
            contig = _named(run.contig, where)
            if contig in named:
                raise Invalid(
                    f"contig {contig} stands there under two names",
                    where=where,
                    found=f"{named[contig]} and {run.contig}",
                )
            named[contig] = run.contig
            runs.append((contig, file, run))
    runs.sort(key=lambda part: (contig_order(part[0]), part[2].cuts[0].position))
    for before, after in zip(runs, runs[1:], strict=False):
        if before[0] == after[0] and before[2].last > after[2].cuts[0].position:
            raise Invalid(
                f"overlaps {before[1].name.name} on contig {after[0]}",
                where=after[1].name,
                expected=f"records from position {before[2].last} on",
                found=after[2].cuts[0].position,
                remedy="join the files with bcftools concat --allow-overlaps",
            )
    return runs


def _named(raw: str, where: str) -> str:
    try:
        return contig_name(raw)
    except Invalid as error:
        raise Invalid(
            "no contig",
            where=where,
            expected="1 to 22, X, Y, MT or a name",
            found=repr(raw[:40]),
            remedy="rename it with bcftools annotate --rename-chrs",
        ) from error
