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
    _add_ingest(commands)
    _add_store(commands)


def _add_ingest(commands: Any) -> None:
    ingest = commands.add_parser("ingest", help="bring tables and genotypes into a store")
    kinds = ingest.add_subparsers(dest="kind", required=True, metavar="KIND")
    maf = kinds.add_parser("maf", help="mutations in MAF, plain or gzip")
    maf.add_argument("inputs", nargs="+", type=Path, metavar="INPUT")
    maf.set_defaults(run=_ingest_maf)
    clinical = kinds.add_parser("clinical", help="a table of individuals or biosamples")
    clinical.add_argument("table", type=Path, metavar="TABLE")
    clinical.set_defaults(run=_ingest_clinical)
    vcf = kinds.add_parser("vcf", help="genotypes in VCF or BCF")
    vcf.add_argument("inputs", nargs="+", type=Path, metavar="INPUT")
    plink = kinds.add_parser("plink", help="genotypes in PLINK filesets (.bed, .bim, .fam)")
    plink.add_argument("inputs", nargs="+", type=Path, metavar="PREFIX_OR_BED")
    for kind in (vcf, plink):
        kind.add_argument("--reference", type=Path, help="FASTA: compare REF, left-align indels")
        kind.set_defaults(run=_ingest_genotypes)
        _add_unmatched(kind)
    for kind in (maf, clinical, vcf, plink):
        kind.add_argument("--store", required=True, type=Path)
        kind.add_argument("--assembly", choices=ASSEMBLIES, required=kind is not clinical)
        kind.add_argument("--data-class", choices=DATA_CLASSES, help="default: personal")
        kind.add_argument("--name", help="of the store; default: its directory's")
    _add_inputs(maf, clinical)


def _add_store(commands: Any) -> None:
    store = commands.add_parser("store", help="look after a store")
    verbs = store.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, call, text in (
        ("describe", _describe, "what the store holds; for its owner"),
        ("verify", _verify, "read every byte again and compare digests"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("store", type=Path, metavar="STORE")
        verb.set_defaults(run=call)
    _add_export(verbs)
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


def _add_export(verbs: Any) -> None:
    export = verbs.add_parser("export", help="write what the store holds in another format")
    formats = export.add_subparsers(dest="format", required=True, metavar="FORMAT")
    vcf = formats.add_parser("vcf", help="the source records with their genotypes, as VCF")
    vcf.add_argument("store", type=Path, metavar="STORE")
    vcf.add_argument("--out", required=True, type=Path, metavar="FILE", help=".vcf or .vcf.gz")
    vcf.add_argument("--sites-only", action="store_true", help="the variants without genotypes")
    vcf.set_defaults(run=_export_vcf)


def _add_inputs(
    maf: argparse.ArgumentParser, clinical: argparse.ArgumentParser, *, required: bool = True
) -> None:
    maf.add_argument("--assay", type=Path, help="TOML: which genes were assayed in which samples")
    maf.add_argument("--assayed", type=Path, help="sample ids that were sequenced, one a line")
    clinical.add_argument(
        "--mapping", required=required, help="a shipped mapping's name, or a TOML file"
    )
    for kind in dict.fromkeys((maf, clinical)):
        _add_unmatched(kind)


def _add_unmatched(kind: argparse.ArgumentParser) -> None:
    kind.add_argument(
        "--unmatched",
        choices=("refuse", "keep"),
        default="refuse",
        help="samples that only the clinical table, or only the MAF or VCF, knows",
    )


def _ingest_genotypes(arguments: argparse.Namespace) -> None:
    from eucan_dask.store import ingest_variants

    ingest = {"vcf": ingest_variants.ingest_vcf, "plink": ingest_variants.ingest_plink}
    with progress() as report:
        manifest = ingest[arguments.kind](
            arguments.inputs,
            store=arguments.store,
            assembly=arguments.assembly,
            reference=arguments.reference,
            data_class=arguments.data_class,
            unmatched=arguments.unmatched,
            name=arguments.name,
            progress=report,
        )
    _tell(manifest)


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
    from eucan_dask.store.manifest import KINDS

    for note in manifest.notes:
        print(f"note: {note}")
    if manifest.unchanged:
        print(f"nothing to do: freeze {manifest.digest} was made from this very input")
        return
    print(f"freeze {manifest.digest} ({manifest.data_class})")
    for shard in manifest.shards:
        if shard.kind not in KINDS:
            continue
        people = f"{shard.n_individuals} individuals, {shard.n_samples} samples"
        print(f"  {shard.kind}: {people}, {shard.n_mutations} mutations, {shard.bytes} bytes")
    if shards := manifest.variants:
        n_variants, n_bytes = (sum(getattr(s, n) for s in shards) for n in ("n_variants", "bytes"))
        checked = "" if manifest.reference_checked else "not "
        print(
            f"  variants: {shards[0].n_samples} samples, {n_variants} variants, {n_bytes} bytes, "
            f"{checked}checked against the reference genome"
        )


def _describe(arguments: argparse.Namespace) -> None:
    from eucan_dask.store.inspect import describe

    found = describe(arguments.store)
    fields = found.pop("fields")
    key_values({k: v for k, v in found.items() if not isinstance(v, list)})
    for entry in found["freezes"]:
        print("freeze ", entry)
    for entry in found["assays"]:
        print("assay  ", entry)
    for entry in found["variants"]:
        print("variants", entry)
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
    with progress() as report:
        manifest = withdraw(arguments.store, names, progress=report)
    _tell(manifest)
    print("former freezes still hold them: `eucan-dask store drop-freeze` deletes those")


def _export_vcf(arguments: argparse.Namespace) -> None:
    from eucan_dask.store.export import export_vcf

    with progress() as report:
        export_vcf(arguments.store, arguments.out, sites_only=arguments.sites_only, progress=report)
    print(f"written: {arguments.out}")


def _drop(arguments: argparse.Namespace) -> None:
    from eucan_dask.store.edit import drop_freeze

    drop_freeze(arguments.store, arguments.digest)
    print(f"freeze {arguments.digest} is deleted")
