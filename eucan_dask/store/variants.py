"""Writing a shard of genotypes: calls as VCF Zarr has them, and beside them packed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numcodecs.blosc  # type: ignore[import-untyped, unused-ignore]
import numpy as np
import zarr  # type: ignore[import-untyped, unused-ignore]
from numcodecs import Blosc

from eucan_dask.store.arrays import Array, strings, write_arrays
from eucan_dask.store.digests import seal
from eucan_dask.store.manifest import VARIANTS, Shard, variants_path
from eucan_dask.store.pack import pack_calls, pack_codes, packed_bytes
from eucan_dask.store.records import BoolArray, Int8Array, UInt8Array
from eucan_dask.store.variant_rows import VariantRows

__all__ = [
    "SHARD_VARIANTS",
    "CallBlock",
    "Cohort",
    "chunk_rows",
    "one_thread",
    "write_empty",
    "write_variants",
]

SHARD_VARIANTS = 65_536
_CHUNK_VARIANTS = 16_384
_PACKED_BYTES = 1 << 23
_CALL_BYTES = 1 << 25

_PACKED = Blosc(cname="lz4", clevel=5, shuffle=Blosc.NOSHUFFLE)
_CALLS = Blosc(cname="zstd", clevel=1, shuffle=Blosc.BITSHUFFLE)

_CALL_DIMS = {
    "call_genotype": ("variants", "samples", "ploidy"),
    "call_genotype_phased": ("variants", "samples"),
}
_PACKED_DIMS = {
    "call_genotype_packed": ("variants", "sample_bytes"),
    "call_alt_packed": ("split_variants", "sample_bytes"),
    "call_other_packed": ("split_variants", "sample_bytes"),
}
_DTYPES = {"call_genotype": "int8", "call_genotype_phased": "bool"}


@dataclass(frozen=True)
class CallBlock:
    """Calls of `v` variants, of which `s` come from records of several ALTs.

    Parameters
    ----------
    genotype, phased
        (v, N, ploidy) and (v, N).
    alt, other
        (s, N) copies of this and of another ALT.
    """

    genotype: Int8Array
    phased: BoolArray
    alt: UInt8Array
    other: UInt8Array


Calls = Callable[[slice], CallBlock]


@dataclass(frozen=True)
class Cohort:
    """Whose calls a store holds: the same in each of its shards.

    Parameters
    ----------
    assembly, reference_checked
        The genome, and whether every REF was compared with it.
    sample_id, sample_sex
        The samples; sex as PLINK codes it: 0 unknown, 1 male, 2 female.
    ploidy
        Alleles in a call; 0 where there are no calls.
    """

    assembly: str
    sample_id: Sequence[str]
    sample_sex: Int8Array = field(repr=False)
    ploidy: int
    reference_checked: bool

    def attrs(self) -> dict[str, Any]:
        """The attributes of a shard."""
        return {
            "vcf_zarr_version": "0.4",
            "source": "eucan-dask",
            "assembly": self.assembly,
            "reference_checked": self.reference_checked,
        }


def write_empty(root: Path, cohort: Cohort) -> Shard:
    """Write the shard of a store without any variant: it holds the samples."""

    def none(_: slice) -> CallBlock:
        raise AssertionError("there is no variant to ask for")

    return write_variants(root, VariantRows.none(), cohort, none)


def write_variants(root: Path, rows: VariantRows, cohort: Cohort, calls: Calls) -> Shard:
    """Write one shard of a freeze that is built in `root`.

    Parameters
    ----------
    rows
        Its variants, sorted.
    calls
        Gives the calls of a range of them; asked for each once, in order.
    """
    start, end = (int(rows.position[i]) for i in (0, -1)) if len(rows) else (0, 0)
    path = variants_path(rows.contig, start, end)
    arrays = rows.to_arrays(assembly=cohort.assembly, genotyped=cohort.ploidy == 2)
    arrays["sample_id"] = Array(("samples",), strings(cohort.sample_id))
    arrays["sample_sex"] = Array(("samples",), np.asarray(cohort.sample_sex, dtype=np.int8))
    write_arrays(root / path, arrays, cohort.attrs())
    if cohort.ploidy:
        with one_thread():
            _write_calls(root / path, rows, cohort, calls)
    return seal(
        root,
        path,
        VARIANTS,
        contig=rows.contig,
        start=start,
        end=end,
        n_variants=len(rows),
        n_samples=len(cohort.sample_id),
    )


def _write_calls(path: Path, rows: VariantRows, cohort: Cohort, calls: Calls) -> None:
    group = zarr.open_group(str(path), mode="r+", zarr_version=2)
    step = chunk_rows(len(cohort.sample_id))
    out = _empty_arrays(group, rows, cohort, step)
    done = 0
    for first in range(0, len(rows), step):
        block = calls(slice(first, min(first + step, len(rows))))
        here = slice(first, first + len(block.genotype))
        out["call_genotype"][here] = block.genotype
        out["call_genotype_phased"][here] = block.phased
        if cohort.ploidy == 2:
            out["call_genotype_packed"][here] = pack_calls(block.genotype)
            there = slice(done, done + len(block.alt))
            if len(block.alt):
                out["call_alt_packed"][there] = pack_codes(block.alt)
                out["call_other_packed"][there] = pack_codes(block.other)
            done = there.stop
    zarr.consolidate_metadata(group.store)


def _empty_arrays(
    group: zarr.Group, rows: VariantRows, cohort: Cohort, step: int
) -> dict[str, zarr.Array]:
    n_samples = len(cohort.sample_id)
    sizes = {
        "variants": len(rows),
        "split_variants": int(rows.split.sum()),
        "samples": n_samples,
        "sample_bytes": packed_bytes(n_samples),
        "ploidy": cohort.ploidy,
    }
    chunks = {
        **sizes,
        "variants": step,
        "split_variants": step,
        "samples": max(4, _CALL_BYTES // (step * cohort.ploidy) // 4 * 4),
    }
    out = {}
    for name, dims in {**_CALL_DIMS, **(_PACKED_DIMS if cohort.ploidy == 2 else {})}.items():
        out[name] = group.create_dataset(
            name,
            shape=[sizes[dim] for dim in dims],
            chunks=[max(1, min(sizes[dim], chunks[dim])) for dim in dims],
            dtype=_DTYPES.get(name, "uint8"),
            compressor=_CALLS if name in _CALL_DIMS else _PACKED,
            fill_value=None,
        )
        out[name].attrs.put({"_ARRAY_DIMENSIONS": list(dims)})
    return out


def chunk_rows(n_samples: int) -> int:
    """Variants a chunk of calls holds: a power of two, so that a packed one stays below 8 MB."""
    most = _PACKED_BYTES // max(1, packed_bytes(n_samples))
    return max(1, min(_CHUNK_VARIANTS, 1 << max(0, most.bit_length() - 1)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let Blosc use one thread: with several, the order of its blocks is theirs to choose."""
    before = numcodecs.blosc.use_threads
    numcodecs.blosc.use_threads = False
    try:
        yield
    finally:
        numcodecs.blosc.use_threads = before
