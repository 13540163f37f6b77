"""Bringing genotypes into a site's store: VCF and BCF files, PLINK filesets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from eucan_dask.store.build_variants import build
from eucan_dask.store.clinical import Clinical
from eucan_dask.store.freeze import Building, writing
from eucan_dask.store.ingest import Paths
from eucan_dask.store.inputs import genotype_inputs, refuse_second, settings, unchanged
from eucan_dask.store.manifest import Manifest
from eucan_dask.store.plink import fileset, open_plink
from eucan_dask.store.pool import cores
from eucan_dask.store.records import Source
from eucan_dask.store.reference import Reference, open_reference
from eucan_dask.store.shards import (
    Genotyped,
    Progress,
    load_clinical,
    load_somatic,
    matched,
    publish,
)
from eucan_dask.store.variants import Cohort
from eucan_dask.store.vcf import open_vcf

__all__ = ["ingest_plink", "ingest_vcf"]

# Below this many bytes of input starting workers takes longer than the work.
_SMALL = 1 << 22
_UNITS_PER_WORKER = 8
_UNIT_BYTES = 1 << 24

Open = Callable[[Path, Reference | None], Source]


def ingest_vcf(
    inputs: Paths,
    *,
    store: Path | str,
    assembly: str,
    reference: Path | str | None = None,
    data_class: str | None = None,
    unmatched: str = "refuse",
    name: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Put the genotypes of one or more VCF or BCF files into a store; the first ingest makes it.

    Records of several ALTs are split, alleles trimmed. A record's own alleles, calls and phase are
    kept too, for `store export vcf`.

    Parameters
    ----------
    inputs
        VCF (plain, gzip, bgzip) or BCF files of the same samples, that together are the store's
        genotypes.
    store
        The store's directory.
    assembly
        NCBI36, GRCh37, GRCh38 or CHM13; headers and FASTA must agree.
    reference
        The genome's FASTA, plain or bgzip: REF is compared with it and indels are left-aligned.
    data_class
        "personal" (where nothing is said), "public" or "synthetic".
    unmatched
        "refuse" samples that only the genotypes or only the clinical table knows, or "keep" them.
    name
        The store's name; its directory's where nothing is said.
    workers
        Processes to read and write with; as many as there are processors where nothing is said. A
        script that calls this needs `if __name__ == "__main__":`.
    progress
        Called with variants written, variants read so far, and a word.

    Returns
    -------
    The new freeze's manifest; `unchanged` if the same input is in the store already.

    Raises
    ------
    Invalid
        If a file cannot be read (names file and record), disagrees with assembly, reference or
        store, holds samples the clinical table does not know, or the store has genotypes already.
    Unavailable
        If another ingest is at work on the store, or a worker was killed.
    """
    paths = [Path(p) for p in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    return _ingest(
        "vcf",
        paths,
        partial(_open_vcf, paths, assembly, progress),
        store=Path(store),
        assembly=assembly,
        reference=Path(reference) if reference is not None else None,
        data_class=data_class,
        unmatched=unmatched,
        name=name,
        workers=workers,
        progress=progress,
    )


def ingest_plink(
    inputs: Paths,
    *,
    store: Path | str,
    assembly: str,
    reference: Path | str | None = None,
    data_class: str | None = None,
    unmatched: str = "refuse",
    name: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Put the genotypes of one or more PLINK filesets into a store; the first ingest makes it.

    Allele 2 of the .bim is REF; where alleles are 1, 2, 3, 4 throughout, they are A, C, G, T. The
    sex of the .fam is kept; where a clinical field `sex` contradicts it, the ingest is refused.

    Parameters
    ----------
    inputs
        Prefixes, or paths of .bed files, of the same samples.
    store, assembly, data_class, unmatched, name, workers, progress
        As for `ingest_vcf`.
    reference
        As for `ingest_vcf`; where allele 1 is the genome's, the two are swapped.

    Returns
    -------
    The new freeze's manifest; `unchanged` if the same input is in the store already.

    Raises
    ------
    Invalid
        If .bed, .bim and .fam disagree, sex contradicts the clinical table, or as for
        `ingest_vcf`.
    Unavailable
        If another ingest is at work on the store, or a worker was killed.
    """
    prefixes = [Path(p) for p in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    return _ingest(
        "plink",
        [path for prefix in prefixes for path in fileset(prefix)],
        partial(_open_plink, prefixes, assembly),
        store=Path(store),
        assembly=assembly,
        reference=Path(reference) if reference is not None else None,
        data_class=data_class,
        unmatched=unmatched,
        name=name,
        workers=workers,
        progress=progress,
    )


def _open_vcf(
    paths: Sequence[Path],
    assembly: str,
    progress: Progress | None,
    scratch: Path,
    fasta: Reference | None,
) -> Source:
    return open_vcf(paths, assembly=assembly, scratch=scratch, reference=fasta, progress=progress)


def _open_plink(
    prefixes: Sequence[Path], assembly: str, scratch: Path, fasta: Reference | None
) -> Source:
    return open_plink(prefixes, assembly=assembly, fasta=fasta)


def _ingest(
    kind: str,
    paths: Sequence[Path],
    open_source: Open,
    *,
    store: Path,
    assembly: str,
    reference: Path | None,
    data_class: str | None,
    unmatched: str,
    name: str | None,
    workers: int | None,
    progress: Progress | None,
) -> Manifest:
    with writing(store, create=True) as building:
        chosen = settings(building, assembly, data_class, unmatched)
        new = genotype_inputs(kind, paths, reference=reference, unmatched=unmatched)
        if same := unchanged(building, new):
            return same
        refuse_second(building, "variants")
        with building.scratch() as scratch:
            fasta = (
                open_reference(reference, assembly=assembly, scratch=scratch) if reference else None
            )
            source = open_source(scratch, fasta)
            clinical, notes = _matched(
                building, source, kind, unmatched=unmatched, data_class=chosen["data_class"]
            )
            n_workers = _workers(workers, paths)
            shards, n_again = build(
                source.units(_n_units(n_workers, paths)),
                _cohort(source, assembly, fasta),
                root=building.path,
                scratch=scratch / "segments",
                fasta=fasta,
                workers=n_workers,
                progress=progress,
            )
        return publish(
            building,
            {"clinical": clinical, "somatic": None},
            new,
            (*source.notes, *notes, *_remarks(source, fasta, n_again)),
            name=name,
            variants=shards,
            reference_checked=fasta is not None,
            **chosen,
        )


def _cohort(source: Source, assembly: str, fasta: Reference | None) -> Cohort:
    return Cohort(
        assembly,
        source.samples,
        source.sex,
        source.ploidy if source.has_genotypes else 0,
        reference_checked=fasta is not None,
    )


def _matched(
    building: Building, source: Source, kind: str, *, unmatched: str, data_class: str
) -> tuple[Clinical | None, tuple[str, ...]]:
    """The clinical shard with the genotyped samples in it; before hours of reading."""
    clinical = load_clinical(building)
    if clinical is None or not source.samples:
        return None, ()
    genotyped = Genotyped(source.samples, source.sex, "PLINK file" if kind == "plink" else "VCF")
    return matched(
        clinical, load_somatic(building), genotyped, unmatched=unmatched, data_class=data_class
    )


def _workers(asked: int | None, paths: Sequence[Path]) -> int:
    if asked is not None:
        return max(1, asked)
    return 1 if sum(path.stat().st_size for path in paths) < _SMALL else cores()


def _n_units(workers: int, paths: Sequence[Path]) -> int:
    """Several units a worker, so that both end together, and none so long that nothing shows."""
    size = sum(path.stat().st_size for path in paths)
    return max(_UNITS_PER_WORKER * workers, size // _UNIT_BYTES) if workers > 1 else 1


def _remarks(source: Source, fasta: Reference | None, n_again: int) -> tuple[str, ...]:
    notes = []
    if n_again:
        notes.append(f"{n_again} variants are there twice, with the same calls; both are kept")
    if fasta is None:
        notes.append(
            "no --reference was given: REF was not compared with the genome, and indels are not "
            "left-aligned (reference_checked = false)"
        )
    if source.has_genotypes and source.ploidy > 2:
        notes.append(
            f"calls have up to {source.ploidy} alleles: they are kept for export, not analysed"
        )
    return tuple(notes)
