"""One pass over a file of records: how many there are, on which contigs, and where to cut it.

Nothing is parsed here beyond what planning needs; every record is read and checked when its turn
comes, and must then be on the contig and in the order this pass found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.bgzf import Offset, pieces
from eucan_dask.store.records import batch_rows
from eucan_dask.store.vcf_header import Header

__all__ = [
    "Cut",
    "Run",
    "Scan",
    "Stretch",
    "position",
    "scan_text",
    "text_lines",
    "unsorted_records",
]

CUT_BYTES = 1 << 20
_TICK = 100_000
_LIMIT = 2**31 - 2
_SEPARATORS = np.zeros(256, dtype=bool)
_SEPARATORS[[ord("/"), ord("|")]] = True


@dataclass(frozen=True)
class Cut:
    """A place where reading may begin: its offset, the record's number and its position."""

    offset: Offset
    number: int
    position: int


@dataclass(frozen=True)
class Stretch:
    """Consecutive records of one contig in one file.

    Parameters
    ----------
    path, name
        The file, and what it is called in messages.
    first, last
        Where the first record begins and the last one ends.
    raw_contig, contig
        The contig by the file's name and by ours.
    number
        Of the first record.
    n_samples
        In the file.
    ploidy, has_genotypes
        Of the source.
    """

    path: Path
    name: Path
    first: Offset
    last: Offset
    raw_contig: str
    contig: str
    number: int
    n_samples: int
    ploidy: int
    has_genotypes: bool

    @property
    def rows(self) -> int:
        """Records a batch may hold."""
        return batch_rows(self.n_samples if self.has_genotypes else 1, self.ploidy)


@dataclass
class Run:
    """Consecutive records of one contig, by the file's own name; `last` is their last position."""

    contig: str
    cuts: list[Cut]
    stop: Offset = (0, 0)
    count: int = 0
    last: int = 0


@dataclass
class Scan:
    """What the pass found.

    Parameters
    ----------
    runs
        In the file's order.
    ploidy
        The largest number of alleles in a call, 2 at least.
    has_genotypes
        Whether a record has GT.
    count
        Records.
    tell
        Called with the count now and then.
    """

    runs: list[Run] = field(default_factory=list)
    ploidy: int = 2
    has_genotypes: bool = False
    count: int = 0
    tell: Callable[[int], None] | None = None
    _since: int = 0

    def add(self, contig: str, at: Cut, last: int, count: int, size: int, *, where: str) -> None:
        """Take up `count` records of `size` bytes that begin at `at`.

        Raises
        ------
        Invalid
            If positions go down, or the contig was there before.
        """
        run = self.runs[-1] if self.runs else None
        if run is None or run.contig != contig:
            if any(earlier.contig == contig for earlier in self.runs):
                raise Invalid(
                    f"contig {contig} comes back after {run.contig if run else ''}",
                    where=where,
                    remedy="sort the file with bcftools sort",
                )
            if run:
                run.stop = at.offset
            run = Run(contig, [at])
            self.runs.append(run)
            self._since = 0
        elif at.position < run.last:
            raise unsorted_records(at.position, run.last, where=where)
        elif self._since >= CUT_BYTES:
            run.cuts.append(at)
            self._since = 0
        self._since += size
        run.count += count
        run.last = last
        if self.tell and (self.count + count) // _TICK > self.count // _TICK:
            self.tell(self.count + count)
        self.count += count


def unsorted_records(
    position: int, before: int, *, where: str, remedy: str = "sort the file with bcftools sort"
) -> Invalid:
    """The error for a position that goes down."""
    return Invalid(
        "unsorted records",
        where=where,
        expected=f"a position of {before} or more",
        found=position,
        remedy=remedy,
    )


def scan_text(scan: Scan, path: Path, header: Header, *, name: Path) -> None:
    """The pass over a VCF file's lines.

    Raises
    ------
    Invalid
        If the file is cut off, damaged or unsorted, or a line is no record; names the record.
    """
    for at, text, stop in text_lines(path, header.body, None, name=name):
        if not scan.has_genotypes:
            scan.has_genotypes = b"\tGT" in text or b":GT" in text
        if header.samples and scan.has_genotypes:
            scan.ploidy = max(scan.ploidy, _ploidy(text))
        _add_lines(scan, text, at, name)
        scan.runs[-1].stop = stop
    scan.has_genotypes &= bool(header.samples)


def _add_lines(scan: Scan, text: bytes, at: list[tuple[int, Offset]], name: Path) -> None:
    """The lines of `text` at once where they are all of one contig, else singly."""
    count = text.count(b"\n")
    where = f"{name}, record {scan.count + 1}"
    contig, first = position(text[: text.find(b"\n")], where=where)
    start = text.rfind(b"\n", 0, len(text) - 1) + 1
    other, last = position(text[start:-1], where=f"{name}, record {scan.count + count}")
    alike = contig == other and text.count(b"\n" + contig.encode() + b"\t") == count - 1
    if alike and (not scan.runs or scan.runs[-1].contig == contig):
        cut = Cut(at[0][1], scan.count + 1, first)
        scan.add(contig, cut, last, count, len(text), where=where)
        return
    begin = 0
    for line in text[:-1].split(b"\n"):
        where = f"{name}, record {scan.count + 1}"
        contig, first = position(line, where=where)
        piece, offset = max(mark for mark in at if mark[0] <= begin)
        cut = Cut((offset[0], offset[1] + begin - piece), scan.count + 1, first)
        scan.add(contig, cut, first, 1, len(line) + 1, where=where)
        begin += len(line) + 1


def position(line: bytes, *, where: str) -> tuple[str, int]:
    """A record's contig, by its own name, and position.

    Raises
    ------
    Invalid
        If the line is no record, or its position is none.
    """
    fields = line.split(b"\t", 2)
    if len(fields) < 3 or not fields[0]:
        raise Invalid("the line is no record", where=where, expected="fields with tabs between")
    digits = fields[1]
    if not digits.isdigit() or len(digits) > 10 or not 1 <= int(digits) <= _LIMIT:
        raise Invalid(
            "no position",
            where=where,
            expected=f"1 to {_LIMIT}",
            found=repr(digits[:20].decode("ascii", "replace")),
        )
    return fields[0].decode("utf-8", "backslashreplace"), int(digits)


def text_lines(
    path: Path, first: Offset, last: Offset | None, *, name: Path
) -> Iterator[tuple[list[tuple[int, Offset]], bytes, Offset]]:
    """Whole lines, some kilobytes at a time.

    Yields
    ------
    marks
        Bytes of the text and the offsets in the file that they lie at.
    text
        Lines, each with its line feed.
    stop
        Where the next text begins.
    """
    held: list[bytes] = []
    begin, stop = first, first
    for piece in pieces(path, first[0], name=name):
        data = piece.data
        skip = first[1] if piece.start == first[0] else 0
        if last and piece.start > last[0]:
            break
        if last and piece.start == last[0]:
            data = data[: last[1]]
        cut = data.rfind(b"\n") + 1
        stop = (piece.start, len(data))
        if cut <= skip:
            held.append(data[skip:])
            continue
        size = sum(map(len, held))
        marks = [(0, begin)] if size else []
        marks.append((size, (piece.start, skip)))
        begin = (piece.start, cut)
        yield marks, b"".join([*held, data[skip:cut]]), begin
        held = [data[cut:]] if cut < len(data) else []
    if rest := b"".join(held):
        yield [(0, begin)], rest + b"\n", stop


def _ploidy(text: bytes) -> int:
    """The largest number of alleles in a call; looks closely only where separators lie close."""
    is_separator = _SEPARATORS[np.frombuffer(text, dtype=np.uint8)]
    if not (
        (is_separator[:-2] & is_separator[2:]).any() or (is_separator[:-3] & is_separator[3:]).any()
    ):
        return 2
    largest = 2
    for line in text.split(b"\n"):
        fields = line.split(b"\t", 9)
        if len(fields) == 10 and b"GT" in (names := fields[8].split(b":")):
            at = names.index(b"GT")
            for call in fields[9].split(b"\t"):
                values = call.split(b":", at + 1)
                if at < len(values):
                    alleles = values[at].lstrip(b"/|").replace(b"|", b"/")
                    largest = max(largest, alleles.count(b"/") + 1)
    return largest
