"""What went into a store: inputs by content and options, so that nothing goes in twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from eucan_dask.config import read
from eucan_dask.errors import Invalid, unknown
from eucan_dask.store.assay import read_assays, read_names
from eucan_dask.store.digests import file_digest
from eucan_dask.store.freeze import Building
from eucan_dask.store.manifest import Input, Manifest
from eucan_dask.store.matching import UNMATCHED
from eucan_dask.store.text import reading
from eucan_dask.variables import ASSEMBLIES, DATA_CLASSES

__all__ = [
    "clinical_input",
    "genotype_inputs",
    "maf_inputs",
    "refuse_second",
    "settings",
    "unchanged",
]


_ADD = "`eucan-dask store add` appends new people; make another store to replace them"
_SECOND = {
    "somatic": ("mutations", _ADD),
    "clinical": ("a clinical table", _ADD),
    "variants": (
        "genotypes",
        "make another store and name all files at once; of other people, merge them first "
        "(bcftools merge)",
    ),
}


def maf_inputs(
    paths: Sequence[Path], *, assay: Path | None, assayed: Path | None, unmatched: str
) -> tuple[Input, ...]:
    """What the manifest says of MAF files: their content and the options they were read with."""
    if not paths:
        raise Invalid("no MAF file is named", expected="one or more files")
    options = {
        "unmatched": unmatched,
        "assay": _same(map(asdict, read_assays(assay))) if assay else None,
        "assayed": _same(read_names(assayed)) if assayed else None,
    }
    return tuple(Input("maf", path.name, _digest(path), options) for path in paths)


def clinical_input(table: Path, mapping: Path, *, unmatched: str) -> Input:
    """What the manifest says of a clinical table."""
    options = {
        "unmatched": unmatched,
        "mapping": mapping.stem,
        "mapping_sha256": _same([read(mapping)]),
    }
    return Input("clinical", table.name, _digest(table), options)


def genotype_inputs(
    kind: str, paths: Sequence[Path], *, reference: Path | None, unmatched: str
) -> tuple[Input, ...]:
    """What the manifest says of files of genotypes, `kind` "vcf" or "plink"."""
    if not paths:
        raise Invalid("no file is named", expected="one or more files")
    options = {"unmatched": unmatched, "reference": _digest(reference) if reference else None}
    return tuple(Input(kind, path.name, _digest(path), options) for path in paths)


def _same(values: Iterable[object]) -> str:
    """A digest of what a file says, whatever its comments and order of keys."""
    text = json.dumps(list(values), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(path: Path) -> str:
    with reading(path):
        return file_digest(path)


def unchanged(building: Building, new: Sequence[Input]) -> Manifest | None:
    """The present manifest, marked unchanged, if every one of these inputs went into it."""
    manifest = building.manifest
    have = [(i.kind, i.sha256, i.options) for i in manifest.inputs] if manifest else []
    if manifest is None or not all((i.kind, i.sha256, i.options) in have for i in new):
        return None
    note = "already in the store; nothing was done"
    if any(i.kind == "withdrawal" for i in manifest.inputs):
        note += "; those withdrawn since stay withdrawn"
    return replace(manifest, unchanged=True, notes=(note,))


def refuse_second(building: Building, kind: str) -> None:
    """Refuse another input of a kind the store has."""
    if building.manifest is not None and building.manifest.shard(kind) is not None:
        what, remedy = _SECOND[kind]
        raise Invalid(
            f"has {what} already, from other files or options", where=building.store, remedy=remedy
        )


def settings(
    building: Building, assembly: str | None, data_class: str | None, unmatched: str
) -> dict[str, Any]:
    """The store's assembly and data class, after this ingest.

    Raises
    ------
    Invalid
        If the ingest names others than the store has.
    """
    for value, known, what in (
        (assembly, ASSEMBLIES, "assembly"),
        (data_class, DATA_CLASSES, "data_class"),
        (unmatched, UNMATCHED, "value of unmatched"),
    ):
        if value is not None and value not in known:
            raise unknown(what, value, known)
    head = building.head
    if head is None:
        return {"assembly": assembly, "data_class": data_class or "personal"}
    for what, asked, have in (
        ("assembly", assembly, head.assembly),
        ("data_class", data_class, head.data_class),
    ):
        if asked and have and asked != have:
            raise Invalid(
                f"the store has another {what}",
                where=building.store,
                expected=have,
                found=asked,
                remedy="make another store",
            )
    return {"assembly": head.assembly or assembly, "data_class": head.data_class}
