"""The shards of a freeze in memory, and from memory into the next freeze."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eucan_dask.errors import Invalid
from eucan_dask.store.arrays import open_group, read_array, read_arrays
from eucan_dask.store.assay import EXOME, assign, read_assays, read_names
from eucan_dask.store.clinical import Clinical
from eucan_dask.store.freeze import Building
from eucan_dask.store.maf import read_maf
from eucan_dask.store.manifest import KINDS, Input, Manifest, Shard
from eucan_dask.store.matching import Assayed, match
from eucan_dask.store.records import Int8Array
from eucan_dask.store.sex import check_sex
from eucan_dask.store.somatic import Somatic, from_calls

__all__ = [
    "Genotyped",
    "Progress",
    "load_clinical",
    "load_genotyped",
    "load_somatic",
    "matched",
    "publish",
    "read_mutations",
]

Progress = Callable[[int, int, str], None]


def load_clinical(building: Building) -> Clinical | None:
    """The clinical shard of the store's present freeze, in memory."""
    path = _present(building, "clinical")
    return Clinical.from_arrays(*read_arrays(path)) if path else None


def load_somatic(building: Building) -> Somatic | None:
    """The somatic shard of the store's present freeze, in memory."""
    path = _present(building, "somatic")
    return Somatic.from_arrays(read_arrays(path)[0]) if path else None


@dataclass(frozen=True)
class Genotyped:
    """Who has genotypes: the samples, their sex as PLINK codes it, and what named them."""

    sample_id: tuple[str, ...]
    sample_sex: Int8Array
    source: str


def load_genotyped(building: Building) -> Genotyped | None:
    """The samples of the variants of the store's present freeze."""
    if building.manifest is None or not building.manifest.variants:
        return None
    path = (
        building.store / "freezes" / building.manifest.digest / building.manifest.variants[0].path
    )
    group = open_group(path)
    ids, sex = (read_array(group[name], path).values for name in ("sample_id", "sample_sex"))
    plink = any(i.kind == "plink" for i in building.manifest.inputs)
    return Genotyped(tuple(map(str, ids)), sex, "PLINK file" if plink else "VCF")


def matched(
    clinical: Clinical,
    somatic: Somatic | None,
    genotyped: Genotyped | None,
    *,
    unmatched: str,
    data_class: str,
    checked: Collection[str] | None = None,
) -> tuple[Clinical, tuple[str, ...]]:
    """The clinical shard with every sequenced or genotyped sample in it: see `match`."""
    assayed: Assayed = {
        **({"MAF": somatic.sample_id} if somatic else {}),
        **({genotyped.source: genotyped.sample_id} if genotyped and genotyped.sample_id else {}),
    }
    if not assayed:
        return clinical, ()
    clinical, notes = match(
        clinical, assayed, unmatched=unmatched, data_class=data_class, checked=checked
    )
    if genotyped:
        check_sex(clinical, genotyped.sample_id, genotyped.sample_sex)
    return clinical, notes


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
    variants: tuple[Shard, ...] | None = None,
    reference_checked: bool | None = None,
) -> Manifest:
    """Write the shards given, carry the others over, and make the freeze current.

    Shards of variants were written before; without them the present ones are carried.
    """
    manifest = building.manifest
    if variants is None:
        variants = tuple(building.carry(s) for s in manifest.variants) if manifest else ()
    if reference_checked is None:
        reference_checked = bool(manifest and manifest.reference_checked)
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
        (*written, *variants),
        (*(manifest.inputs if manifest else ()), *new),
        name=name or (head.name if head else building.store.resolve().name),
        assembly=assembly,
        data_class=data_class,
        reference_checked=reference_checked,
        notes=notes,
    )
