"""The shards of a freeze in memory, and from memory into the next freeze."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from eucan_dask.errors import Invalid
from eucan_dask.store.arrays import read_arrays
from eucan_dask.store.assay import EXOME, assign, read_assays, read_names
from eucan_dask.store.clinical import Clinical
from eucan_dask.store.freeze import Building
from eucan_dask.store.maf import read_maf
from eucan_dask.store.manifest import KINDS, Input, Manifest, Shard
from eucan_dask.store.somatic import Somatic, from_calls

__all__ = ["Progress", "load_clinical", "load_somatic", "publish", "read_mutations"]

Progress = Callable[[int, int, str], None]


def load_clinical(building: Building) -> Clinical | None:
    """The clinical shard of the store's present freeze, in memory."""
    path = _present(building, "clinical")
    return Clinical.from_arrays(*read_arrays(path)) if path else None


def load_somatic(building: Building) -> Somatic | None:
    """The somatic shard of the store's present freeze, in memory."""
    path = _present(building, "somatic")
    return Somatic.from_arrays(read_arrays(path)[0]) if path else None


def _present(building: Building, kind: str) -> Path | None:
    if building.manifest is None or building.manifest.shard(kind) is None:
        return None
    return building.store / "freezes" / building.manifest.digest / KINDS[kind]


def read_mutations(
    paths: Sequence[Path],
    assay: Path | None,
    assayed: Path | None,
    assembly: str,
    progress: Progress | None,
) -> tuple[Somatic, tuple[str, ...]]:
    """The somatic shard of MAF files, and remarks for the person at the terminal."""
    assays = read_assays(assay) if assay else (EXOME,)
    listed = read_names(assayed) if assayed else ()
    calls, notes = read_maf(paths, assembly=assembly, progress=progress)
    assigned = assign(assays, calls.samples.words, listed)
    if not assigned:
        raise Invalid(
            "names no sample", where=paths[0], remedy="list who was sequenced with --assayed"
        )
    somatic, n_collapsed = from_calls(calls, assays, assigned)
    if n_collapsed:
        notes.append(f"{n_collapsed} duplicate rows collapsed")
    if progress:
        progress(len(paths), len(paths), f"{somatic.n_mutations:,} mutations")
    return somatic, tuple(notes)


def publish(
    building: Building,
    shards: Mapping[str, Clinical | Somatic | None],
    new: tuple[Input, ...],
    notes: tuple[str, ...],
    *,
    name: str | None,
    assembly: str | None,
    data_class: str,
) -> Manifest:
    """Write the shards given, carry the others over, and make the freeze current."""
    manifest = building.manifest
    written: list[Shard] = []
    for kind, content in shards.items():
        carried = manifest.shard(kind) if manifest else None
        if isinstance(content, Clinical):
            written.append(building.write(kind, *content.to_arrays()))
        elif isinstance(content, Somatic):
            written.append(building.write(kind, content.to_arrays(), {}))
        elif carried:
            written.append(building.carry(carried))
    head = building.head
    return building.publish(
        tuple(written),
        (*(manifest.inputs if manifest else ()), *new),
        name=name or (head.name if head else building.store.resolve().name),
        assembly=assembly,
        data_class=data_class,
        notes=notes,
    )
