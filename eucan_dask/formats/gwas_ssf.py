"""GWAS-SSF 1.0, the GWAS Catalog's format of summary statistics, from association tables."""

from __future__ import annotations

import gzip
import hashlib
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eucan_dask.errors import Invalid, unknown
from eucan_dask.formats.about import beside, put, read_about, slugs, software, whole
from eucan_dask.formats.deep_p import deep_log10
from eucan_dask.formats.ssf_meta import ASSEMBLIES, check_meta, meta_text
from eucan_dask.report.long_table import AnyTable, open_table
from eucan_dask.report.tables import Mask, Number, Table

__all__ = ["write_all", "write_gwas_ssf"]

MISSING = "#NA"
_CHROMOSOMES = {**{str(i): i for i in range(1, 23)}, "X": 23, "Y": 24, "MT": 25}
_BASES = r"[ACGT]+"
_LONG = 100  # bases: longer alleles stand in full in their columns, not in variant_id
_DEEPEST = 323.3  # -log10 of the smallest number above 0, where p is 0 and no statistic is known


@dataclass
class _Trait:
    """One trait's files, and what a first reading found of it."""

    out: Path
    meta: dict[str, Any]
    left_out: Counter[str] = field(default_factory=Counter)
    n_rows: int = 0
    most: int = 0
    last: tuple[int, int] = (0, 0)
    is_sorted: bool = True
    vanishes: bool = False
    frequency: bool = True

    @property
    def files(self) -> tuple[Path, Path]:
        """The data file and the one that describes it."""
        return self.out, self.out.with_name(f"{self.out.name}-meta.yaml")

    def survey(self, rows: Table) -> None:
        """Count what a piece holds and what must be left out."""
        wanted, reasons = _wanted(rows)
        self.left_out.update(reasons)
        rows = rows.rows(wanted)
        if not len(rows):
            return
        self.n_rows += len(rows)
        place = pd.Series(_chromosome(rows)) * 2**32 + rows.number("position")
        order = [self.last[0] * 2**32 + self.last[1], *place]
        self.is_sorted &= bool((np.diff(order) >= 0).all())
        self.last = divmod(int(place.iloc[-1]), 2**32)
        self.vanishes |= bool((rows.number("p_value") == 0).any())
        self.most = max(self.most, int(np.nanmax(_optional(rows, "n"), initial=0)))
        self.frequency &= bool(np.isfinite(_optional(rows, "frequency")).all())


def write_gwas_ssf(
    tsv: Path, out: Path, *, meta: Mapping[str, Any], trait: str | None = None
) -> tuple[Path, Path]:
    """Write one trait of an association table as GWAS-SSF, and the `-meta.yaml` beside it.

    The effect allele is ALT, `beta` the effect of a copy of it. A row without an estimate (hidden
    or undefined), on another contig than 1 to 22, X, Y and MT, or with an allele that is no plain
    bases cannot stand in the format: it is left out, and counted in `author_notes`. Where p is 0
    in print, the whole column becomes `neg_log_10_p_value`, worked out from the t statistic.

    Parameters
    ----------
    tsv
        A table `association`, plain or gzip.
    out
        A name that ends in `.tsv.gz`.
    meta
        Keys of the format's metadata; `genome_assembly` at least.
    trait
        Which trait, if the table has several.

    Returns
    -------
    The data file and its description.

    Raises
    ------
    Invalid
        If the table lacks a column, holds several traits and none is named, or `meta` has an
        unknown key.
    """
    checked = check_meta({"trait_description": [], **meta})
    table = open_table(tsv)
    traits = _traits(table)
    if trait is None and len(traits) > 1:
        raise Invalid("holds several traits", where=tsv, found=traits, remedy="name one")
    name = trait if trait is not None else next(iter(traits), "")
    if traits and name not in traits:
        raise unknown("trait", name, traits, where=tsv)
    one = _Trait(out, {**checked, "trait_description": checked["trait_description"] or [name]})
    _write(table, {name: one})
    return one.files


def write_all(tsv: Path, out_dir: Path, identifier: str, about: Mapping[str, object]) -> list[Path]:
    """Write every trait of an association table as `<identifier>.<trait>.tsv.gz` in `out_dir`."""
    facts = read_about(about)
    table = open_table(tsv)
    traits = {}
    for name, slug in slugs(_traits(table), gap="-").items():
        meta = {
            "author_notes": facts.note,
            "trait_description": [name],
            "genome_assembly": ASSEMBLIES.get(facts.assembly, facts.assembly),
            "sample_size": facts.n,
        }
        out = out_dir / f"{identifier}.{slug}.gwas-ssf.tsv.gz"
        traits[name] = _Trait(out, check_meta(meta))
    _write(table, traits)
    return [file for one in traits.values() for file in one.files]


def _traits(table: AnyTable) -> list[str]:
    found: dict[str, None] = {}
    for piece in table.pieces(["trait"]):
        found.update(dict.fromkeys(map(str, piece.text("trait"))))
    return list(found)


def _write(table: AnyTable, traits: Mapping[str, _Trait]) -> None:
    """Two readings: what each trait needs, then all files at once."""
    for piece in table.pieces():
        for name, rows in piece.groups("trait"):
            if name in traits:
                traits[name].survey(rows)
    with ExitStack() as stack:
        files = {name: _open(stack, one) for name, one in traits.items()}
        for piece in table.pieces():
            for name, rows in piece.groups("trait"):
                if name in traits:
                    _put(files[name], _frame(rows, traits[name]), header=False)
    for one in traits.values():
        data, described = one.files
        record = _described(one, _md5(beside(data)))
        beside(described).write_text(meta_text(record), encoding="utf-8")
        put(data, described)


def _open(stack: ExitStack, one: _Trait) -> gzip.GzipFile:
    if not one.out.name.endswith(".tsv.gz"):
        raise Invalid("is no name for GWAS-SSF", where=one.out, expected="a name in .tsv.gz")
    raw = stack.enter_context(beside(one.out).open("wb"))
    # No name and no time inside: the same numbers give the same bytes.
    file = stack.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0))
    _put(file, pd.DataFrame(columns=_columns(vanishes=one.vanishes)), header=True)
    return file


def _put(file: gzip.GzipFile, frame: pd.DataFrame, *, header: bool) -> None:
    file.write(frame.to_csv(None, sep="\t", index=False, header=header).encode())


def _columns(*, vanishes: bool) -> list[str]:
    return [
        "chromosome",
        "base_pair_location",
        "effect_allele",
        "other_allele",
        "beta",
        "standard_error",
        "effect_allele_frequency",
        "neg_log_10_p_value" if vanishes else "p_value",
        "variant_id",
        "ref_allele",
        "n",
    ]


def _wanted(rows: Table) -> tuple[Mask, Counter[str]]:
    """Which rows can stand in the format, and how many cannot, by the reason."""
    known = np.ones(len(rows), dtype=bool)
    for name in ("beta", "se", "p_value"):
        known &= np.isfinite(rows.number(name))
    hidden = rows.hidden("p_value") | rows.hidden("beta") | rows.hidden("se")
    other = np.isnan(_chromosome(rows))
    bases = pd.Series(rows.text("ref")).str.fullmatch(_BASES)
    bases &= pd.Series(rows.text("alt")).str.fullmatch(_BASES)
    odd = ~bases.to_numpy(dtype=bool)
    reasons = Counter(
        {
            "hidden by a rule": int(hidden.sum()),
            "without an estimate": int((~known & ~hidden).sum()),
            "on another contig": int((known & other).sum()),
            "with an allele that is no plain bases": int((known & ~other & odd).sum()),
        }
    )
    return known & ~other & ~odd, reasons


def _chromosome(rows: Table) -> Number:
    numbers = pd.Series(rows.text("contig")).map(_CHROMOSOMES)
    return np.asarray(numbers, dtype=np.float64)


def _optional(rows: Table, column: str) -> Number:
    return rows.number(column) if column in rows.columns else np.full(len(rows), np.nan)


def _frame(rows: Table, one: _Trait) -> pd.DataFrame:
    """Rows in the format's columns; numbers as they were written."""
    rows = rows.rows(_wanted(rows)[0])
    chromosome = _chromosome(rows).astype(np.int64).astype(str)
    ref, alt = (pd.Series(rows.text(name)).astype(str) for name in ("ref", "alt"))
    alleles = (ref + "_" + alt).where((ref.str.len() + alt.str.len()) <= _LONG, "LONG_STRING")
    p = rows.text("p_value")
    cells = {
        "chromosome": chromosome,
        "base_pair_location": rows.text("position"),
        "effect_allele": alt,
        "other_allele": ref,
        "beta": rows.text("beta"),
        "standard_error": rows.text("se"),
        "effect_allele_frequency": _or_missing(rows, "frequency"),
        "p_value": _deep(rows) if one.vanishes else p,
        "variant_id": pd.Series(chromosome) + "_" + rows.text("position") + "_" + alleles,
        "ref_allele": "OA",
        "n": [whole(cell) for cell in _or_missing(rows, "n")],
    }
    names = dict(zip(cells, _columns(vanishes=one.vanishes), strict=True))
    return pd.DataFrame(cells).rename(columns=names)


def _or_missing(rows: Table, column: str) -> Any:
    if column not in rows.columns:
        return np.full(len(rows), MISSING, dtype=object)
    known = np.isfinite(rows.number(column))
    return np.where(known, rows.text(column), MISSING)


def _deep(rows: Table) -> list[str]:
    """-log10 p, where p is 0 from the t statistic and n - 2 degrees of freedom."""
    p = rows.number("p_value")
    zero = p == 0
    y = -np.log10(np.where(zero, 1.0, p)) + 0.0
    deep = deep_log10(_optional(rows, "statistic")[zero], _optional(rows, "n")[zero] - 2)
    y[zero] = np.where(np.isfinite(deep), deep, _DEEPEST)
    return [repr(float(value)) for value in y]


def _described(one: _Trait, md5: str) -> dict[str, Any]:
    """The metadata, completed with what the file itself says."""
    meta = dict(one.meta)
    left = "; ".join(f"{n} {why}" for why, n in one.left_out.items() if n)
    notes = [meta["author_notes"] or "", f"Variants left out: {left}." if left else ""]
    if one.vanishes:
        notes.append(
            "Where p is too small to print, it comes from t with n - 2 degrees of freedom."
        )
    if one.n_rows and not one.frequency:
        notes.append("Effect allele frequencies were not computed for every variant.")
    meta["author_notes"] = " ".join(note for note in notes if note) or None
    meta["sample_size"] = meta["sample_size"] or one.most or None
    meta["analysis_software"] = meta["analysis_software"] or software()
    meta |= {
        "data_file_name": one.out.name,
        "data_file_md5sum": md5,
        "is_sorted": one.is_sorted,
    }
    return meta


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
