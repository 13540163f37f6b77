"""The variants a run asks for: a file or a list, perhaps a region of it, block by block."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import cyvcf2

from eucan_dask.errors import EucanError, Invalid
from eucan_dask.panel import BLOCK_VARIANTS
from eucan_dask.variant import MAX_POSITION, Variant, contig_name, contig_order

__all__ = ["Region", "VariantPanel"]

ORDER_SLACK = 1_000  # trimming moves the first base of an indel
_VCF = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_END_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


@dataclass(frozen=True)
class Region:
    """A stretch of a contig, first and last base from 1."""

    contig: str
    first: int = 1
    last: int = MAX_POSITION

    @classmethod
    def parse(cls, text: str, *, where: str) -> Region:
        """`contig`, or `contig:first-last`; digits may be grouped with commas."""
        found = re.fullmatch(r"([^:]+)(?::(\d[\d,]{0,14})-(\d[\d,]{0,14}))?", text.strip())
        if not found:
            raise Invalid("no region", where=where, expected="22:16000000-17000000", found=text)
        try:
            contig = contig_name(found[1])
        except Invalid as error:
            raise Invalid(
                error.problem, where=where, expected=error.expected, found=error.found
            ) from error
        if found[2] is None:
            return cls(contig)
        first, last = (int(found[i].replace(",", "")) for i in (2, 3))
        if not 1 <= first <= last <= MAX_POSITION:
            raise Invalid("no region", where=where, expected="first base <= last", found=text)
        return cls(contig, first, last)

    def __str__(self) -> str:
        return f"{self.contig}:{self.first}-{self.last}"

    def __contains__(self, variant: object) -> bool:
        return (
            isinstance(variant, Variant)
            and variant.contig == self.contig
            and self.first <= variant.position <= self.last
        )


@dataclass(frozen=True)
class VariantPanel:
    """Variants in genome order, each once; a file is read anew whenever they are gone through.

    Parameters
    ----------
    labels
        The variants, where they are listed.
    path
        Else a VCF or BCF (its genotypes, if any, are not looked at; a variant of several records
        is asked for once), or a text file with a label `contig:position:ref:alt` a line.
    region
        Only the variants in it.
    """

    labels: tuple[str, ...] = ()
    path: Path | None = None
    region: Region | None = None

    @classmethod
    def of(cls, labels: Iterable[str], *, where: str = "panel.variants") -> VariantPanel:
        """The variants of a list, put in genome order."""
        variants = [_checked(label, where) for label in labels]
        return cls(tuple(v.label for v in sorted(variants, key=_place)))

    def __iter__(self) -> Iterator[str]:
        """Labels in genome order.

        Raises
        ------
        Invalid
            If the file cannot be read, holds something else than pairs of alleles, or is not in
            order.
        """
        contig, position = (0, 0, ""), 0  # how far we are
        near: set[str] = set()  # since `turn`, a stretch of `ORDER_SLACK`; and of the one before
        former, turn = near, 0
        for where, variant in self._read():
            if self.region is not None and variant not in self.region:
                continue
            here = contig_order(variant.contig)
            if here != contig or variant.position > turn + ORDER_SLACK:
                former, near, turn = near, set(), variant.position
            if here < contig or (here == contig and variant.position < position - ORDER_SLACK):
                raise Invalid(
                    "variants are not in genome order",
                    where=where,
                    found=variant.label,
                    remedy="sort them: contigs 1 to 22, X, Y, MT, then by position",
                )
            if variant.label in near or variant.label in former:
                if self._is_vcf:
                    continue
                raise Invalid(
                    "a variant stands twice",
                    where=where,
                    found=variant.label,
                    remedy="name each once",
                )
            position = max(position, variant.position) if here == contig else variant.position
            contig = here
            near.add(variant.label)
            yield variant.label

    @property
    def _is_vcf(self) -> bool:
        return self.path is not None and self.path.name.endswith(_VCF)

    def _read(self) -> Iterator[tuple[str, Variant]]:
        if self.path is None:
            yield from (("panel.variants", Variant.parse(label)) for label in self.labels)
        elif self._is_vcf:
            yield from _from_vcf(self.path)
        else:
            yield from _from_text(self.path)

    def blocks(self, size: int = BLOCK_VARIANTS) -> Iterator[tuple[str, ...]]:
        """The labels, `size` at a time."""
        labels = iter(self)
        while block := tuple(islice(labels, size)):
            yield block

    @cached_property
    def _counted(self) -> tuple[int, str]:
        digest, n = hashlib.sha256(), 0
        for label in self:
            digest.update(f"{label}\n".encode())
            n += 1
        return n, digest.hexdigest()

    def __len__(self) -> int:
        return self._counted[0]

    @property
    def digest(self) -> str:
        """The sha256, in hex, of the labels one a line: names the panel wherever it lies."""
        return self._counted[1]

    @property
    def n_blocks(self) -> int:
        """Blocks a run over it takes."""
        return -(-len(self) // BLOCK_VARIANTS)


def _place(variant: Variant) -> tuple[object, ...]:
    return (contig_order(variant.contig), variant.position, variant.ref, variant.alt)


def _from_text(path: Path) -> Iterator[tuple[str, Variant]]:
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                text = line.strip()
                if text and not text.startswith("#"):
                    where = f"{path}, line {number}"
                    yield where, _checked(text, where)
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid("the variants file cannot be read", where=path) from error


def _from_vcf(path: Path) -> Iterator[tuple[str, Variant]]:
    _check_whole(path)
    try:
        records = cyvcf2.VCF(str(path), samples=[])
        for number, record in enumerate(records, start=1):
            where = f"{path}, record {number}"
            for alt in record.ALT or ["."]:
                yield where, _checked(f"{record.CHROM}:{record.POS}:{record.REF}:{alt}", where)
    except EucanError:
        raise
    except Exception as error:  # cyvcf2 raises no other for what it cannot parse
        raise Invalid("the variants file cannot be read", where=path) from error


def _check_whole(path: Path) -> None:
    """Refuse a BGZF file without its end block: it would read short without a word."""
    try:
        with path.open("rb") as stream:
            if stream.read(4) != _END_BLOCK[:4]:
                return  # plain text, or plain gzip, which ends with a sum of its own
            stream.seek(-len(_END_BLOCK), os.SEEK_END)
            if stream.read() == _END_BLOCK:
                return
    except OSError as error:
        raise Invalid("the variants file cannot be read", where=path) from error
    raise Invalid("is cut off", where=path, remedy="copy it again")


def _checked(label: str, where: str) -> Variant:
    try:
        return Variant.parse(label)
    except Invalid as error:
        raise Invalid(
            error.problem, where=where, expected=error.expected, found=error.found
        ) from error
