"""What was looked at in which sample: a gene that was not assayed is not wild type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType

from eucan_dask.config import Key, check, read
from eucan_dask.errors import Invalid
from eucan_dask.store.text import lines

__all__ = ["EXOME", "Assay", "assign", "read_assays", "read_names"]

_FILE = {"format": Key(int, default=1, choices=(1,)), "assays": Key(list)}
_ASSAY = {
    "id": Key(str),
    "genes": Key(list | NoneType, default=None),
    "genes_file": Key(str | NoneType, default=None),
    "all_genes": Key(bool, default=False),
    "samples": Key(list | NoneType, default=None),
    "samples_file": Key(str | NoneType, default=None),
}


@dataclass(frozen=True)
class Assay:
    """A sequencing assay.

    Parameters
    ----------
    id
        Its name.
    genes
        The genes it covers; empty with `all_genes`.
    all_genes
        True of an exome or genome: every gene counts as assayed.
    samples
        Who was assayed with it; None for every sample no other assay names.
    """

    id: str
    genes: tuple[str, ...] = ()
    all_genes: bool = False
    samples: tuple[str, ...] | None = None


EXOME = Assay("exome", all_genes=True)


def read_assays(path: Path) -> tuple[Assay, ...]:
    """The assays of a TOML file.

    Each of its `[[assays]]` has an `id`, one of `genes`, `genes_file` and `all_genes = true`, and
    `samples` or `samples_file` where not every sample had it. Paths are relative to the file.

    Raises
    ------
    Invalid
        If a key is unknown, an id stands twice, an assay has no genes or more than one list of
        them, or two assays leave their samples out.
    """
    table = check(read(path), _FILE, where=str(path))
    assays = tuple(
        _assay(entry, path, f"{path}, assays[{index}]")
        for index, entry in enumerate(table["assays"])
    )
    ids = [assay.id for assay in assays]
    if not assays or len(set(ids)) < len(ids):
        raise Invalid("needs assays, each with its own id", where=path, found=ids)
    if sum(assay.samples is None for assay in assays) > 1:
        raise Invalid(
            "only one assay may leave its samples out",
            where=path,
            remedy="list them for the others",
        )
    return assays


def _assay(entry: object, path: Path, where: str) -> Assay:
    values = check(entry, _ASSAY, where=where)
    genes = _names(values, "genes", path, where)
    if (genes is None) is not values["all_genes"] or genes == ():
        raise Invalid("name its genes, or set all_genes = true", where=where)
    return Assay(
        values["id"], genes or (), values["all_genes"], _names(values, "samples", path, where)
    )


def _names(
    values: Mapping[str, object], key: str, path: Path, where: str
) -> tuple[str, ...] | None:
    listed, file = values[key], values[f"{key}_file"]
    if isinstance(file, str) and listed is not None:
        raise Invalid(f"has both {key} and {key}_file", where=where, remedy="keep one")
    if isinstance(file, str):
        return read_names(path.parent / file)
    if not isinstance(listed, list):
        return None
    if not all(isinstance(name, str) and name for name in listed):
        raise Invalid(f"{key} must be names", where=where)
    return tuple(sorted(set(listed)))


def read_names(path: Path) -> tuple[str, ...]:
    """The names of a list file, one a line; empty lines and lines that begin with # are none."""
    names = set()
    for number, line in lines(path):
        name = line.strip()
        if "\t" in name:
            raise Invalid(
                "more than one name", where=f"{path}, line {number}", expected="one a line"
            )
        if name and not name.startswith("#"):
            names.add(name)
    if not names:
        raise Invalid("names nothing", where=path, expected="one name a line")
    return tuple(sorted(names))


def assign(assays: Sequence[Assay], named: Sequence[str], assayed: Sequence[str]) -> dict[str, int]:
    """Which assay each sample had, as an index into `assays`.

    Parameters
    ----------
    assays
        Those of the ingest.
    named
        The samples with mutations.
    assayed
        More samples that were assayed and may have no mutation.

    Raises
    ------
    Invalid
        If two assays name a sample, or no assay takes one.
    """
    out: dict[str, int] = {}
    for index, assay in enumerate(assays):
        for sample in assay.samples or ():
            if out.setdefault(sample, index) != index:
                raise Invalid(
                    f"sample {sample} is named by two assays",
                    found=f"{assays[out[sample]].id} and {assay.id}",
                    remedy="one assay a sample",
                )
    rest = next((i for i, assay in enumerate(assays) if assay.samples is None), None)
    left = [sample for sample in (*named, *assayed) if sample not in out]
    if left and rest is None:
        raise Invalid(
            f"{len(set(left))} samples are in no assay",
            found=", ".join(sorted(set(left))[:5]),
            remedy="add them to an assay's samples",
        )
    return out | {sample: rest for sample in left if rest is not None}
