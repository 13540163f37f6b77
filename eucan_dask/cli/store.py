"""`ingest` and `store`: bringing data in, and looking after a store."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from eucan_dask.cli.terminal import key_values, progress
from eucan_dask.errors import Invalid
from eucan_dask.variables import ASSEMBLIES, DATA_CLASSES

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    ingest = commands.add_parser("ingest", help="bring tables into a store")
    kinds = ingest.add_subparsers(dest="kind", required=True, metavar="KIND")
    maf = kinds.add_parser("maf", help="mutations in MAF, plain or gzip")
    maf.add_argument("inputs", nargs="+", type=Path, metavar="INPUT")
    maf.set_defaults(run=_ingest_maf)
    clinical = kinds.add_parser("clinical", help="a table of individuals or biosamples")
    clinical.add_argument("table", type=Path, metavar="TABLE")
    clinical.set_defaults(run=_ingest_clinical)
    for kind in (maf, clinical):
        kind.add_argument("--store", required=True, type=Path)
        kind.add_argument("--assembly", choices=ASSEMBLIES, required=kind is maf)
        kind.add_argument("--data-class", choices=DATA_CLASSES, help="default: personal")
        kind.add_argument("--name", help="of the store; default: its directory's")
    _add_inputs(maf, clinical)
    store = commands.add_parser("store", help="look after a store")
    verbs = store.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, call, text in (
        ("describe", _describe, "what the store holds; for its owner"),
        ("verify", _verify, "read every byte again and compare digests"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("store", type=Path, metavar="STORE")
        verb.set_defaults(run=call)
    more = verbs.add_parser("add", help="append new people, biosamples or mutations")
    more.add_argument("store", type=Path, metavar="STORE")
    source = more.add_mutually_exclusive_group(required=True)
    source.add_argument("--maf", nargs="+", type=Path)
    source.add_argument("--clinical", type=Path)
    _add_inputs(more, more, required=False)
    more.set_defaults(run=_add)
    withdraw = verbs.add_parser("withdraw", help="a new freeze without these people")
    withdraw.add_argument("store", type=Path, metavar="STORE")
    withdraw.add_argument("individuals", nargs="*", metavar="INDIVIDUAL")
    withdraw.add_argument("--file", type=Path, help="individual ids, one a line")
    withdraw.set_defaults(run=_withdraw)
    drop = verbs.add_parser("drop-freeze", help="delete a former freeze for good")
    drop.add_argument("store", type=Path, metavar="STORE")
    drop.add_argument("digest", metavar="DIGEST")
    drop.set_defaults(run=_drop)


def _add_inputs(
    maf: argparse.ArgumentParser, clinical: argparse.ArgumentParser, *, required: bool = True
) -> None:
    maf.add_argument("--assay", type=Path, help="TOML: which genes were assayed in which samples")
    maf.add_argument("--assayed", type=Path, help="sample ids that were sequenced, one a line")
    clinical.add_argument(
        "--mapping", required=required, help="a shipped mapping's name, or a TOML file"
    )
    for kind in dict.fromkeys((maf, clinical)):
        kind.add_argument(
            "--unmatched",
            choices=("refuse", "keep"),
            default="refuse",
            help="samples that only one of clinical table and MAF knows",
        )


def _ingest_maf(arguments: argparse.Namespace) -> None:
    from eucan_dask.store.ingest import ingest_maf

    with progress() as report:
        manifest = ingest_maf(
            arguments.inputs,
            store=arguments.store,
            assembly=arguments.assembly,
            assay=arguments.assay,
            assayed=arguments.assayed,
            data_class=arguments.data_class,
            unmatched=arguments.unmatched,
            name=arguments.name,
            progress=report,
        )
    _tell(manifest)


def _ingest_clinical(arguments: argparse.Namespace) -> None:
    from eucan_dask.store.ingest import ingest_clinical

    with progress() as report:
        manifest = ingest_clinical(
            arguments.table,
            store=arguments.store,
            mapping=arguments.mapping,
            assembly=arguments.assembly,
            data_class=arguments.data_class,
            unmatched=arguments.unmatched,
            name=arguments.name,
            progress=report,
        )
    _tell(manifest)


def _tell(manifest: Any) -> None:
    for note in manifest.notes:
        print(f"note: {note}")
    if manifest.unchanged:
        print(f"nothing to do: freeze {manifest.digest} was made from this very input")
        return
    print(f"freeze {manifest.digest} ({manifest.data_class})")
    for shard in manifest.shards:
        people = f"{shard.n_individuals} individuals, {shard.n_samples} samples"
        print(f"  {shard.kind}: {people}, {shard.n_mutations} mutations, {shard.bytes} bytes")


def _describe(arguments: argparse.Namespace) -> None:
    from eucan_dask.store.inspect import describe

    found = describe(arguments.store)
    fields = found.pop("fields")
    key_values({k: v for k, v in found.items() if not isinstance(v, list)})
    for entry in found["freezes"]:
        print("freeze ", entry)
    for entry in found["assays"]:
        print("assay  ", entry)
    for field in fields:
        print("field  ", field)


def _verify(arguments: argparse.Namespace) -> int:
    from eucan_dask.store.inspect import verify

    differences = verify(arguments.store)
    for line in differences:
        print(line)
    if not differences:
        print("every shard is as it was written")
    return 2 if differences else 0


def _add(arguments: argparse.Namespace) -> None:
    from eucan_dask.store.edit import add_clinical, add_maf

    with progress() as report:
        if arguments.maf:
            manifest = add_maf(
                arguments.maf,
                store=arguments.store,
                assay=arguments.assay,
                assayed=arguments.assayed,
                unmatched=arguments.unmatched,
                progress=report,
            )
        else:
            if arguments.mapping is None:
                raise Invalid("--clinical needs a mapping", where="store add", remedy="--mapping")
            manifest = add_clinical(
                arguments.clinical,
                store=arguments.store,
                mapping=arguments.mapping,
                unmatched=arguments.unmatched,
                progress=report,
            )
    _tell(manifest)


def _withdraw(arguments: argparse.Namespace) -> None:
    from eucan_dask.store.assay import read_names
    from eucan_dask.store.edit import withdraw

    names = list(arguments.individuals)
    if arguments.file is not None:
        names += read_names(arguments.file)
    if not names:
        raise Invalid("names nobody", where="store withdraw", remedy="give ids or --file")
    _tell(withdraw(arguments.store, names))
    print("former freezes still hold them: `eucan-dask store drop-freeze` deletes those")


def _drop(arguments: argparse.Namespace) -> None:
    from eucan_dask.store.edit import drop_freeze

    drop_freeze(arguments.store, arguments.digest)
    print(f"freeze {arguments.digest} is deleted")
