"""A store's genotypes as a VCF file: the records they came from, or the variants alone."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import IO

import numpy as np
import pysam

from eucan_dask.errors import Invalid
from eucan_dask.store.arrays import open_group, read_array
from eucan_dask.store.assembly import LENGTHS
from eucan_dask.store.export_records import Contig, Line
from eucan_dask.store.open import open_store
from eucan_dask.store.shards import Progress

__all__ = ["export_vcf"]

_COLUMNS = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
_TICK = 1000


def export_vcf(
    store: Path | str,
    out: Path | str,
    *,
    sites_only: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write the genotypes of a store as VCF 4.3; an existing file is replaced when all is written.

    The records have their own position, alleles, ID, QUAL, FILTER, END, GT and phase. Not kept were
    other INFO and FORMAT fields and `chr`; a call in which both kinds of separators occurred is
    unphased. Contigs stand in genome order.

    Parameters
    ----------
    store
        The store's directory.
    out
        Ends in `.vcf`, or in `.vcf.gz` for bgzip with an index beside it (.tbi, or .csi where a
        contig is too long for that).
    sites_only
        The split and normalised variants without anybody's calls, as a list to make a panel of;
        records of symbolic alleles, breakends or no ALT are left out.
    progress
        Called with records written, variants in the store, and a word.

    Returns
    -------
    The path of the file.

    Raises
    ------
    Invalid
        If the store has no genotypes or is damaged, or `out` cannot be written.
    """
    out = Path(out)
    packed = out.name.endswith((".vcf.gz", ".vcf.bgz"))
    if not packed and out.suffix != ".vcf":
        raise Invalid("not the name of a VCF file", where=out, expected=".vcf or .vcf.gz")
    opened = open_store(store)
    shards = opened.manifest.variants
    if not shards:
        raise Invalid("has no genotypes", where=store, remedy="ingest vcf or plink first")
    freeze = opened.path / "freezes" / opened.manifest.digest
    paths = {
        contig: [freeze / shard.path for shard in part]
        for contig, part in groupby(shards, key=lambda shard: shard.contig)
    }
    samples = () if sites_only else _samples(freeze / shards[0].path)
    total = sum(shard.n_variants for shard in shards)
    assembly = opened.manifest.assembly or ""
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as directory:
            fresh = Path(directory) / out.name
            with _writer(fresh, packed=packed) as stream:
                lines = _lines(paths, samples, assembly, sites_only=sites_only)
                for done, line in enumerate(lines):
                    stream.write(line)
                    if progress and done and done % _TICK == 0:
                        progress(done, total, "records")
            _put(fresh, out, packed=packed)
    except OSError as error:
        raise Invalid("cannot be written", where=out, found=error.strerror or error) from error
    return out


def _writer(path: Path, *, packed: bool) -> IO[bytes]:
    stream: IO[bytes] = pysam.BGZFile(str(path), "wb") if packed else path.open("wb")
    return stream


def _put(fresh: Path, out: Path, *, packed: bool) -> None:
    """Put the file in its place, with an index of its own if it is bgzip."""
    indices = []
    if packed:
        before = pysam.set_verbosity(0)
        try:
            pysam.tabix_index(str(fresh), preset="vcf", force=True)
            indices = [".tbi"]
        except OSError:  # positions beyond what .tbi can hold
            pysam.tabix_index(str(fresh), preset="vcf", force=True, csi=True)
            indices = [".csi"]
        finally:
            pysam.set_verbosity(before)
    with fresh.open("rb") as stream:
        os.fsync(stream.fileno())
    for suffix in (".tbi", ".csi"):
        Path(f"{out}{suffix}").unlink(missing_ok=True)
    fresh.replace(out)
    for suffix in indices:
        Path(f"{fresh}{suffix}").replace(f"{out}{suffix}")


def _samples(shard: Path) -> tuple[str, ...]:
    return tuple(map(str, read_array(open_group(shard)["sample_id"], shard).values))


def _lines(
    paths: dict[str, list[Path]], samples: tuple[str, ...], assembly: str, *, sites_only: bool
) -> Iterator[bytes]:
    contigs = [contig for contig in paths if contig]
    names = {name for contig in contigs for path in paths[contig] for name in _filters(path)}
    yield "\n".join(_header(contigs, names, samples, assembly)).encode() + b"\n"
    for contig in contigs:
        part = Contig(paths[contig])
        for line in part.variants() if sites_only else part.records():
            yield _text(contig, line, genotyped=bool(samples))


def _filters(shard: Path) -> list[str]:
    return [str(name) for name in read_array(open_group(shard)["filter_id"], shard).values]


def _header(
    contigs: list[str], filters: set[str], samples: tuple[str, ...], assembly: str
) -> Iterator[str]:
    yield "##fileformat=VCFv4.3"
    yield "##source=eucan-dask"
    yield '##FILTER=<ID=PASS,Description="All filters passed">'
    for name in sorted(filters - {"PASS"}):
        yield f'##FILTER=<ID={name},Description="As in the source file">'
    for contig in contigs:
        length = LENGTHS.get(assembly, {}).get(contig)
        known = f",length={length}" if length else ""
        yield f"##contig=<ID={contig}{known},assembly={assembly}>"
    yield '##INFO=<ID=END,Number=1,Type=Integer,Description="Last base of the record">'
    if samples:
        yield '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">'
    yield "\t".join([*_COLUMNS, *(["FORMAT", *samples] if samples else [])])


def _text(contig: str, line: Line, *, genotyped: bool) -> bytes:
    fields = [
        contig,
        str(line.position),
        line.identifier,
        line.ref,
        line.alt,
        _quality(line.quality),
        ";".join(line.filters) or ".",
        "." if line.end is None else f"END={line.end}",
    ]
    text = "\t".join(fields).encode()
    return text + (b"\tGT\t" + line.calls if genotyped else b"") + b"\n"


@lru_cache(maxsize=4096)
def _quality(value: float) -> str:
    """The shortest decimal number that is read as the same float32."""
    if math.isnan(value):
        return "."
    return str(np.float32(value)).removesuffix(".0")
