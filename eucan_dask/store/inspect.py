"""Looking at a store without changing it: what it holds, and whether it is whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.arrays import Array, read_arrays
from eucan_dask.store.clinical import OWN, fields_of
from eucan_dask.store.digests import listing, listing_digest
from eucan_dask.store.freeze import freezes
from eucan_dask.store.manifest import (
    VARIANTS,
    Shard,
    freeze_digest,
    read_head,
    read_manifest,
)

__all__ = ["describe", "variant_ranges", "verify"]


def describe(store: Path | str) -> dict[str, Any]:
    """What a store holds: for its owner, not for anyone outside.

    Returns
    -------
    `name`, `assembly`, `data_class`, `freeze`; `freezes` (every one, with its size in bytes);
    `inputs` (what the current one was made from); `n_individuals`, `n_samples`, `n_assayed`,
    `n_mutations`, `n_genes`, `assays`; `n_genotyped`, `n_variants`, `reference_checked` and
    `variants` (the range and number of each contig); and `fields`, each with the number of missing
    values.

    Raises
    ------
    Invalid
        If there is no store, or it is damaged.
    """
    path = Path(store)
    head = read_head(path)
    manifest = read_manifest(path, head.freeze)
    arrays: dict[str, dict[str, Array]] = {"clinical": {}, "somatic": {}}
    for shard in manifest.shards:
        if shard.kind != VARIANTS:
            arrays[shard.kind] = read_arrays(path / "freezes" / head.freeze / shard.path)[0]
    clinical, somatic = arrays["clinical"], arrays["somatic"]
    return {
        "name": head.name,
        "assembly": head.assembly,
        "data_class": head.data_class,
        "freeze": head.freeze,
        "freezes": [_freeze(path, digest) for digest in freezes(path)],
        "inputs": [{"kind": i.kind, "name": i.name, "sha256": i.sha256} for i in manifest.inputs],
        "n_individuals": _length(clinical, "individual_id"),
        "n_samples": _length(clinical or somatic, "sample_id"),
        "n_assayed": _length(somatic, "sample_id"),
        "n_mutations": _length(somatic, "mutation_position"),
        "n_genes": _length(somatic, "gene_symbol"),
        "assays": _assays(somatic),
        "n_genotyped": max((shard.n_samples for shard in manifest.variants), default=0),
        "n_variants": sum(shard.n_variants for shard in manifest.variants),
        "reference_checked": manifest.reference_checked,
        "variants": variant_ranges(manifest.variants),
        "fields": _fields(clinical),
    }


def variant_ranges(shards: Iterable[Shard]) -> list[dict[str, Any]]:
    """The range of each contig and how many variants lie in it; shards along the genome."""
    by_contig: dict[str, list[Shard]] = {}
    for shard in shards:
        if shard.n_variants:
            by_contig.setdefault(shard.contig, []).append(shard)
    return [
        {
            "contig": contig,
            "start": some[0].start,
            "end": some[-1].end,
            "n_variants": sum(shard.n_variants for shard in some),
        }
        for contig, some in by_contig.items()
    ]


def _length(arrays: dict[str, Array], name: str) -> int:
    return len(arrays[name].values) if name in arrays else 0


def _freeze(store: Path, digest: str) -> dict[str, Any]:
    manifest = read_manifest(store, digest)
    return {
        "digest": digest,
        "previous": manifest.previous,
        "bytes": sum(shard.bytes for shard in manifest.shards),
    }


def _assays(somatic: dict[str, Array]) -> list[dict[str, Any]]:
    if not somatic:
        return []
    ids, every = somatic["assay_id"].values, somatic["assay_all_genes"].values
    counts = np.bincount(somatic["sample_assay"].values, minlength=len(ids))
    genes = somatic["gene_assayed"].values.sum(axis=0)
    return [
        {
            "id": str(ids[i]),
            "all_genes": bool(every[i]),
            "n_genes": None if every[i] else int(genes[i]),
            "n_samples": int(counts[i]),
        }
        for i in range(len(ids))
    ]


def _fields(clinical: dict[str, Array]) -> list[dict[str, Any]]:
    columns = {name: array for name, array in clinical.items() if name not in OWN}
    out = []
    for field in fields_of(columns):
        values = columns[f"{field.dim[:-1]}_{field.name}"].values
        missing = np.isnan(values) if field.kind == "number" else values < 0
        out.append(
            {
                "name": field.name,
                "kind": field.kind,
                "unit": field.unit,
                "categories": list(field.categories),
                "open": field.open,
                "dim": field.dim,
                "n_missing": int(missing.sum()),
            }
        )
    return out


def verify(store: Path | str) -> tuple[str, ...]:
    """Read every byte of every freeze again and say what differs from when it was written.

    Returns
    -------
    One line per difference, naming freeze, shard and file; none if the store is whole.

    Raises
    ------
    Invalid
        If there is no store, or a newer version of eucan-dask wrote it.
    """
    path = Path(store)
    head = read_head(path)
    found = (
        [] if head.freeze in freezes(path) else [f"{head.freeze}: the current freeze is missing"]
    )
    for digest in freezes(path):
        found += [f"{digest}: {problem}" for problem in _problems(path, digest)]
    return tuple(found)


def _problems(store: Path, digest: str) -> list[str]:
    try:
        manifest = read_manifest(store, digest)
    except Invalid as error:
        return [str(error)]
    found = [
        problem
        for shard in manifest.shards
        for problem in _shard_problems(store / "freezes" / digest, shard)
    ]
    now = freeze_digest(
        manifest.shards,
        manifest.assembly,
        manifest.data_class,
        reference_checked=manifest.reference_checked,
    )
    if now != digest:
        found.append("manifest.json was changed")
    return found


def _shard_problems(freeze: Path, shard: Shard) -> list[str]:
    now = listing(freeze / shard.path)
    if listing_digest(now) == shard.sha256:
        return []
    try:
        text = (freeze / f"{shard.path}.sha256").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return [f"{shard.path} differs"]
    then = {line[66:]: line[:64] for line in text.splitlines()}
    names = sorted(now.keys() | then.keys())
    found = [_difference(f"{shard.path}/{n}", then.get(n), now.get(n)) for n in names]
    return [line for line in found if line] or [f"{shard.path}.sha256 differs"]


def _difference(name: str, then: str | None, now: str | None) -> str:
    if then == now:
        return ""
    if now is None:
        return f"{name} is missing"
    return f"{name} is not ours" if then is None else f"{name} was changed"
