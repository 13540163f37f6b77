"""Sites-only VCF 4.3, bgzip and indexed, from tables of allele frequencies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pysam

from eucan_dask.errors import Invalid
from eucan_dask.formats.about import beside, put, read_about, slugs, software, whole
from eucan_dask.report.long_table import AnyTable, open_table
from eucan_dask.report.tables import Table
from eucan_dask.variant import contig_order

__all__ = ["write_one", "write_sites_vcf"]

# INFO key: column of the table, Number, Type and meaning.
_INFO = {
    "AC": ("allele_count", "A", "Integer", "Alleles counted"),
    "AN": ("allele_number", "1", "Integer", "Alleles with a known call"),
    "AF": ("frequency", "A", "Float", "Frequency of the alternate allele"),
    "NMISS": ("n_missing", "1", "Integer", "Individuals without a known call"),
    "HWE": ("hwe_p_value", "1", "Float", "Exact p-value of Hardy-Weinberg equilibrium"),
}
_NEEDED = ("AC", "AN", "AF")
_SORTED_HERE = 1_000_000  # rows: as many are sorted in memory if the table is not in genome order

Place = tuple[str, int]
Site = dict[tuple[str, str], dict[str, list[str]]]  # (ref, alt) -> cohort -> cells


@dataclass
class _Survey:
    """What a first reading finds: cohorts, contigs, and whether the rows are in genome order."""

    cohorts: dict[str, None] = field(default_factory=dict)
    contigs: dict[str, None] = field(default_factory=dict)
    in_order: bool = True


def write_sites_vcf(tsv: Path, out: Path, *, assembly: str, notes: Sequence[str] = ()) -> Path:
    """Write a table of allele frequencies as a VCF without samples, and its index.

    With one cohort the INFO keys are AC, AN, AF, NMISS and HWE; with several each has a set of
    its own, AC_<name> and so on, whose header lines tell the cohort's label. What a rule hides,
    and what is undefined, is missing (`.`): never 0.

    Parameters
    ----------
    tsv
        A table `frequency`, plain or gzip.
    out
        A name that ends in `.vcf.gz`; the index beside it ends in `.tbi`.
    assembly
        Of the positions, for the header.
    notes
        More header lines, as plain text.

    Raises
    ------
    Invalid
        If the table lacks a column, names a variant of a cohort twice, or is long and not in
        genome order.
    """
    if not out.name.endswith(".vcf.gz"):
        raise Invalid("is no name for a packed VCF", where=out, expected="a name in .vcf.gz")
    table = open_table(tsv)
    keys = [key for key, (column, *_) in _INFO.items() if column in table.head.columns]
    if missing := [_INFO[key][0] for key in _NEEDED if key not in keys]:
        raise Invalid("is no table of frequencies", where=tsv, expected=f"columns {missing}")
    survey = _survey(table)
    names = _names(list(survey.cohorts), keys)
    temporary = beside(out)
    with pysam.BGZFile(str(temporary), "wb") as file:
        file.write(_header(names, list(survey.contigs), assembly, notes).encode())
        for (contig, position), site in _sites(table, survey, keys):
            for (ref, alt), cells in site.items():
                info = _info(names, cells, keys, alternate=alt != ".")
                line = f"{contig}\t{position}\t.\t{ref}\t{alt}\t.\t.\t{info}\n"
                file.write(line.encode())
    index = out.with_name(f"{out.name}.tbi")
    pysam.tabix_index(
        str(temporary), preset="vcf", force=True, keep_original=True, index=str(beside(index))
    )
    put(index, out)
    return out


def write_one(tsv: Path, out_dir: Path, identifier: str, about: Mapping[str, object]) -> list[Path]:
    """Write a table of allele frequencies as `<identifier>.sites.vcf.gz`; gives VCF and index."""
    facts = read_about(about)
    path = out_dir / f"{identifier}.sites.vcf.gz"
    out = write_sites_vcf(tsv, path, assembly=facts.assembly, notes=[facts.note])
    return [out, out.with_name(f"{out.name}.tbi")]


def _survey(table: AnyTable) -> _Survey:
    survey, last = _Survey(), ((-1, -1, ""), -1)
    for piece in table.pieces(["cohort", "contig", "position"]):
        survey.cohorts.update(dict.fromkeys(map(str, piece.text("cohort"))))
        contigs = piece.text("contig")
        ranks = {name: contig_order(str(name)) for name in dict.fromkeys(contigs)}
        survey.contigs.update(dict.fromkeys(map(str, ranks)))
        for contig, position in zip(contigs, piece.text("position"), strict=True):
            place = (ranks[contig], int(position))
            survey.in_order &= place >= last
            last = place
    survey.contigs = dict.fromkeys(sorted(survey.contigs, key=contig_order))
    if not survey.in_order and len(table) > _SORTED_HERE:
        raise Invalid(
            "is not in genome order and too long to be sorted here",
            where=table.path,
            expected=f"up to {_SORTED_HERE:,} rows",
            remedy="give the panel's variants by contig and position",
        )
    return survey


def _sites(table: AnyTable, survey: _Survey, keys: Sequence[str]) -> Iterator[tuple[Place, Site]]:
    """Each position in genome order with its variants' cells by cohort."""
    if survey.in_order:
        yield from _runs(table, keys)
        return
    held: dict[Place, Site] = {}
    for place, site in _runs(table, keys):
        for alleles, cells in site.items():
            for cohort, values in cells.items():
                _put(held.setdefault(place, {}), alleles, cohort, values, place)
    yield from sorted(held.items(), key=lambda entry: (contig_order(entry[0][0]), entry[0][1]))


def _runs(table: AnyTable, keys: Sequence[str]) -> Iterator[tuple[Place, Site]]:
    """Consecutive rows at one position, together."""
    here: Place | None = None
    site: Site = {}
    for place, alleles, cohort, values in _rows(table, keys):
        if place != here:
            if here is not None:
                yield here, site
            here, site = place, {}
        _put(site, alleles, cohort, values, place)
    if here is not None:
        yield here, site


def _rows(
    table: AnyTable, keys: Sequence[str]
) -> Iterator[tuple[Place, tuple[str, str], str, list[str]]]:
    columns = [_INFO[key][0] for key in keys]
    for piece in table.pieces(["contig", "position", "ref", "alt", "cohort", *columns]):
        cells = zip(*(_cells(piece, key) for key in keys), strict=True)
        names = [piece.text(name) for name in ("contig", "position", "ref", "alt", "cohort")]
        for contig, position, ref, alt, cohort, values in zip(*names, cells, strict=True):
            yield (contig, int(position)), (ref, alt), cohort, list(values)


def _cells(rows: Table, key: str) -> list[str]:
    """The cells of an INFO key's column; hidden and undefined ones are missing.

    Raises
    ------
    Invalid
        If one is no number, or a count is not whole.
    """
    column, _, kind, _ = _INFO[key]
    values = rows.number(column)
    known = np.isfinite(values)
    if kind == "Integer" and (values[known] % 1 != 0).any():
        raise Invalid(f"column {column!r} holds a count that is not whole", where=rows.path)
    word = whole if kind == "Integer" else str
    cells = zip(rows.text(column), known, strict=True)
    return [word(cell) if there else "." for cell, there in cells]


def _put(site: Site, alleles: tuple[str, str], cohort: str, values: list[str], at: Place) -> None:
    by_cohort = site.setdefault(alleles, {})
    if cohort in by_cohort:
        label = ":".join(map(str, (*at, *alleles)))
        raise Invalid("a variant stands twice for one cohort", where=label, found=cohort)
    by_cohort[cohort] = values


def _names(cohorts: Sequence[str], keys: Sequence[str]) -> dict[str, dict[str, str]]:
    """The INFO keys of each cohort: plain ones where there is a single cohort."""
    if len(cohorts) == 1:
        return {cohorts[0]: {key: key for key in keys}}
    short = slugs(cohorts, gap="_")
    return {label: {key: f"{key}_{short[label]}" for key in keys} for label in cohorts}


def _header(
    names: Mapping[str, Mapping[str, str]],
    contigs: Sequence[str],
    assembly: str,
    notes: Sequence[str],
) -> str:
    lines = ["##fileformat=VCFv4.3", f"##source={software()}"]
    lines += [f"##eucan_dask_note={' '.join(note.split())}" for note in notes]
    lines.append("##eucan_dask_missing=hidden by a rule of disclosure, or undefined; never 0")
    of = f",assembly={assembly}" if assembly else ""
    lines += [f"##contig=<ID={name}{of}>" for name in contigs]
    for label, keys in names.items():
        where = f" in {_quoted(label)}" if label else ""
        for key, name in keys.items():
            _, number, kind, meaning = _INFO[key]
            about = f'Number={number},Type={kind},Description="{meaning}{where}"'
            lines.append(f"##INFO=<ID={name},{about}>")
    return "\n".join([*lines, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", ""])


def _quoted(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')


def _info(
    names: Mapping[str, Mapping[str, str]],
    cells: Mapping[str, Sequence[str]],
    keys: Sequence[str],
    *,
    alternate: bool,
) -> str:
    """The INFO of a variant; without an alternate allele there is no count of it."""
    parts = []
    for label, own in names.items():
        values = dict(zip(keys, cells.get(label, ["."] * len(keys)), strict=True))
        for key, name in own.items():
            per_allele = _INFO[key][1] == "A"
            parts.append(f"{name}={'.' if per_allele and not alternate else values[key]}")
    return ";".join(parts)
