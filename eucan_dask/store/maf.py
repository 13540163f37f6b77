"""Mutation Annotation Format: the only place that knows its column names and dialects.

Read are the GDC's files and older ones: plain or gzip, with or without `#` lines on top,
`End_position` for `End_Position`, and builds by their UCSC, GRC or bare number names.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from csv import QUOTE_NONE
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eucan_dask.errors import Invalid
from eucan_dask.store.record import (
    allele,
    build,
    classification,
    gene,
    sample,
    variant_type,
)
from eucan_dask.store.rows import check_text, whole_rows
from eucan_dask.store.text import blocks
from eucan_dask.store.vocabulary import Vocabulary
from eucan_dask.variant import contig_name

__all__ = ["Calls", "read_maf"]

Progress = Callable[[int, int, str], None]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Ints = np.ndarray[Any, np.dtype[np.integer[Any]]]

_REQUIRED = (
    "Hugo_Symbol",
    "Chromosome",
    "Start_Position",
    "Variant_Classification",
    "Reference_Allele",
    "Tumor_Seq_Allele2",
    "Tumor_Sample_Barcode",
)
_OPTIONAL = ("End_Position", "NCBI_Build", "Variant_Type", "Tumor_Seq_Allele1")
_WHOLE = r"\d{1,9}|\d(\.\d+)?[eE]\+?\d{1,2}"
_NO_END = ("", ".", "na")
_LIMIT = np.iinfo(np.int32).max


@dataclass
class Calls:
    """The mutations of one or more MAF files, as codes into vocabularies, in file order.

    Parameters
    ----------
    samples, contigs, genes, alleles
        The vocabularies the columns `sample`, `contig`, `gene` (-1: no gene), `reference` and
        `alternate` point into.
    columns
        One integer array a column, all of one length; `source` and `line` say where a row stood.
    sources
        The files, in the order they were read.
    """

    sources: tuple[Path, ...]
    samples: Vocabulary = field(default_factory=Vocabulary)
    contigs: Vocabulary = field(default_factory=Vocabulary)
    genes: Vocabulary = field(default_factory=Vocabulary)
    alleles: Vocabulary = field(default_factory=Vocabulary)
    columns: dict[str, Ints] = field(default_factory=dict)

    def where(self, row: int) -> str:
        """The file and line of a row."""
        source = self.sources[int(self.columns["source"][row])]
        return f"{source}, line {int(self.columns['line'][row])}"


def read_maf(
    paths: Sequence[Path], *, assembly: str, progress: Progress | None = None
) -> tuple[Calls, list[str]]:
    """Read MAF files that share one assembly.

    Missing data: a gene named `Unknown`, `.` or nothing is no gene (-1). Everything else that is
    required must be there. Where the second allele equals the reference the first one is taken.

    Returns
    -------
    The calls, and remarks for the person at the terminal.

    Raises
    ------
    Invalid
        Naming file and line: a column is lacking, a row has too few fields, the compressed data end
        early, another build, an unknown classification, a position or allele that is none.
    """
    calls = Calls(tuple(paths))
    parts: list[dict[str, Ints]] = []
    notes = []
    for source, path in enumerate(paths):
        reader = _Reader(path, assembly, calls)
        for lines, frame in _frames(path):
            columns = reader.columns(lines, frame)
            columns["source"] = np.full(len(lines), source, dtype=np.int16)
            parts.append(columns)
            if progress:
                progress(source, len(paths), f"{path.name}: line {lines[-1]:,}")
        if "NCBI_Build" not in reader.present:
            notes.append(f"{path.name}: no NCBI_Build; taken as {assembly}")
    names = parts[0].keys() if parts else ()
    calls.columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    if not parts:
        calls.columns = {name: np.empty(0, dtype=np.int64) for name in _Reader.names}
    return calls, notes


def _frames(path: Path) -> Iterator[tuple[Ints, pd.DataFrame]]:
    """The known columns of each block of rows, as text, with their line numbers."""
    wanted: dict[int, str] = {}
    width = 0
    for first, raw in blocks(path):
        check_text(raw, first, path)
        number, block = first, raw
        while not wanted and block:
            line, _, block = block.partition(b"\n")
            if line.strip() and not line.startswith(b"#"):
                names = line.decode().split("\t")
                wanted, width = _header(names, f"{path}, line {number}"), len(names)
            number += 1
        lines, block = whole_rows(block, number, width, path)
        if len(lines):
            frame = pd.read_csv(
                io.BytesIO(block),
                sep="\t",
                header=None,
                usecols=list(wanted),
                dtype=str,
                na_filter=False,
                quoting=QUOTE_NONE,
                skip_blank_lines=False,
            )
            yield lines, frame.rename(columns=wanted)
    if not wanted:
        raise Invalid("has no header", where=path, expected="a MAF file")


def _header(names: list[str], where: str) -> dict[int, str]:
    """Which column is which; older files differ in upper and lower case only."""
    known = {name.casefold(): name for name in (*_REQUIRED, *_OPTIONAL)}
    wanted: dict[int, str] = {}
    for index, name in enumerate(names):
        column = known.get(name.strip().strip("\ufeff").casefold())
        if column in wanted.values():
            raise Invalid(f"column {column} stands twice", where=where)
        if column:
            wanted[index] = column
    lacking = [name for name in _REQUIRED if name not in wanted.values()]
    if lacking:
        raise Invalid(
            f"lacks the columns {', '.join(lacking)}",
            where=where,
            expected="a tab-separated MAF file",
            remedy="annotate it with vcf2maf, or name the columns as MAF does",
        )
    return wanted


class _Reader:
    """Turns the text columns of one file into checked codes."""

    names = (
        "sample",
        "contig",
        "position",
        "end_position",
        "gene",
        "classification",
        "variant_type",
        "reference",
        "alternate",
        "line",
        "source",
    )

    def __init__(self, path: Path, assembly: str, calls: Calls) -> None:
        self.path, self.assembly, self.calls = path, assembly, calls
        self.present: set[str] = set()

    def columns(self, lines: Ints, frame: pd.DataFrame) -> dict[str, Ints]:
        """The columns of one block of rows."""
        self.lines, self.frame = lines, frame
        self.present.update(frame.columns)
        if "NCBI_Build" in frame:
            self._each("NCBI_Build", lambda value: build(value, self.assembly))
        reference = self._coded("Reference_Allele", allele, self.calls.alleles)
        alternate = self._alternate(reference)
        position = self._position("Start_Position")
        lengths = np.array([0 if a == "-" else len(a) for a in self.calls.alleles.words], dtype=int)
        end = position + np.maximum(lengths[reference], 1) - 1
        if "End_Position" in frame:
            given = ~frame["End_Position"].str.casefold().isin(_NO_END).to_numpy()
            end = np.where(given, self._position("End_Position", given), end)
        return {
            "sample": self._coded("Tumor_Sample_Barcode", sample, self.calls.samples),
            "contig": self._coded("Chromosome", contig_name, self.calls.contigs),
            "position": position,
            "end_position": end,
            "gene": self._coded("Hugo_Symbol", gene, self.calls.genes),
            "classification": self._each("Variant_Classification", classification),
            "variant_type": self._types(reference, alternate),
            "reference": reference,
            "alternate": alternate,
            "line": lines,
        }

    def _each(self, column: str, read: Callable[[str], int], rows: Ints | None = None) -> Ints:
        """Read each distinct value of a column once; an error names the line it first stands in."""
        text, lines = self.frame[column], self.lines
        if rows is not None:
            text, lines = text.iloc[rows], lines[rows]
        codes, values = pd.factorize(text)
        out: Ints = np.empty(len(values), dtype=np.int32)
        for index, value in enumerate(values):
            try:
                out[index] = read(value.strip())
            except Invalid as error:
                raise Invalid(
                    f"{column}: {error.problem}",
                    where=f"{self.path}, line {lines[int(np.argmax(codes == index))]}",
                    expected=error.expected,
                    found=error.found,
                    remedy=error.remedy,
                ) from error
        return out[codes]

    def _coded(
        self,
        column: str,
        read: Callable[[str], str],
        words: Vocabulary,
        rows: Ints | None = None,
    ) -> Ints:
        return self._each(column, lambda value: words.code(read(value)), rows)

    def _alternate(self, reference: Ints) -> Ints:
        """The second tumour allele, or the first where the second is the reference."""
        alternate = self._coded("Tumor_Seq_Allele2", allele, self.calls.alleles)
        same = np.flatnonzero(alternate == reference)
        if len(same) and "Tumor_Seq_Allele1" in self.frame:
            first = self._coded("Tumor_Seq_Allele1", allele, self.calls.alleles, same)
            alternate[same] = first
        wrong = np.flatnonzero(alternate == reference)
        if len(wrong):
            raise Invalid(
                "no tumour allele differs from the reference",
                where=f"{self.path}, line {self.lines[wrong[0]]}",
                remedy="give the alternate allele in Tumor_Seq_Allele2",
            )
        return alternate

    def _position(self, column: str, given: Bools | None = None) -> Ints:
        """Whole numbers; R writes some of them as 4.7e+07."""
        text = self.frame[column] if given is None else self.frame[column].where(given, "1")
        values = pd.to_numeric(text, errors="coerce")
        good = values.between(1, _LIMIT)
        if values.dtype != np.int64:
            good &= text.str.strip().str.fullmatch(_WHOLE) & (values % 1 == 0)
        if not good.all():
            row = int(np.argmin(good))
            raise Invalid(
                f"{column} is no position",
                where=f"{self.path}, line {self.lines[row]}",
                expected="a whole number from 1",
                found=repr(text.iloc[row]),
            )
        return values.to_numpy(dtype=np.int64)

    def _types(self, reference: Ints, alternate: Ints) -> Ints:
        """Those given, and worked out from the alleles where none is."""
        types: Ints = np.full(len(reference), -1, dtype=np.int32)
        if "Variant_Type" in self.frame:
            types = self._each("Variant_Type", lambda value: variant_type(value, "", ""))
        lacking = types < 0
        words = self.calls.alleles.words
        pairs = reference[lacking].astype(np.int64) * len(words) + alternate[lacking]
        found, inverse = np.unique(pairs, return_inverse=True)
        derived = [variant_type("", words[p // len(words)], words[p % len(words)]) for p in found]
        types[lacking] = np.array(derived, dtype=np.int32)[inverse]
        return types
