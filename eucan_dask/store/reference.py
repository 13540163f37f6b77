"""The reference genome: a FASTA file, plain or bgzip, read by contig and range."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pysam

from eucan_dask.errors import Invalid
from eucan_dask.store.assembly import check_lengths
from eucan_dask.store.text import reading
from eucan_dask.variant import contig_name

__all__ = ["Reference", "open_reference"]

_STEP = 1 << 20
_GZIP = b"\x1f\x8b"
_REMEDY = "give the FASTA the file was called with"


@dataclass
class Reference:
    """A FASTA file with its index. Can be pickled; opened where it is first read.

    Parameters
    ----------
    path
        As the user gave it, for messages.
    indexed
        The same file, where its index lies beside it.
    names
        Our name of a contig and the file's.
    lengths
        By our name.
    """

    path: Path
    indexed: Path
    names: dict[str, str]
    lengths: dict[str, int]
    _held: tuple[str, int, str] = field(default=("", 0, ""), repr=False, compare=False)
    _file: pysam.FastaFile | None = field(default=None, repr=False, compare=False)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_held": ("", 0, ""), "_file": None}

    def bases(self, contig: str, first: int, last: int) -> str:
        """Bases `first` to `last`, from 1, in capitals; fewer beyond the contig's ends.

        Raises
        ------
        Invalid
            If the FASTA lacks the contig or cannot be read.
        """
        first = max(first, 1)
        held, start, text = self._held
        if held != contig or first < start or last >= start + len(text):
            start = max(1, first - _STEP // 4)
            text = self._fetch(contig, start, max(last, first + _STEP))
            self._held = (contig, start, text)
        return text[first - start : last - start + 1]

    def _fetch(self, contig: str, first: int, last: int) -> str:
        if contig not in self.names:
            raise Invalid(f"lacks contig {contig}", where=self.path, remedy=_REMEDY)
        last = min(last, self.lengths[contig])
        if first > last:
            return ""
        try:
            if self._file is None:
                self._file = pysam.FastaFile(str(self.indexed))
            text: str = self._file.fetch(self.names[contig], first - 1, last)
        except (OSError, ValueError, KeyError) as error:
            raise _unreadable(self.path) from error
        if len(text) != last - first + 1:
            raise _unreadable(self.path)
        return text.upper()


def open_reference(path: Path | str, *, assembly: str, scratch: Path) -> Reference:
    """Open a FASTA; an index it lacks is built in `scratch`.

    Raises
    ------
    Invalid
        If the file cannot be read, is no FASTA, is gzip but not bgzip, or has chromosomes of
        another assembly's length.
    """
    path = Path(path)
    with reading(path), path.open("rb") as raw:
        start = raw.read(18)
    if start[:2] == _GZIP and start[12:14] != b"BC":
        raise Invalid("is gzip, not bgzip", where=path, remedy="run gunzip, then bgzip")
    if start[:2] != _GZIP and start[:1] != b">":
        raise Invalid("is no FASTA file", where=path, expected="'>' first", found=repr(start[:4]))
    indexed = _indexed(path, scratch, compressed=start[:2] == _GZIP)
    try:
        with pysam.FastaFile(str(indexed)) as file:
            raw_lengths = dict(zip(file.references, file.lengths, strict=True))
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    check_lengths(raw_lengths, assembly, where=path)
    names = _names(raw_lengths, path)
    return Reference(path, indexed, names, {n: raw_lengths[r] for n, r in names.items()})


def _names(raw_lengths: dict[str, int], path: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for raw in raw_lengths:
        try:
            name = contig_name(raw)
        except Invalid:  # a contig no variant can lie on
            continue
        if name in names:
            raise Invalid(f"holds contig {name} twice", where=path, found=f"{names[name]}, {raw}")
        names[name] = raw
    return names


def _indexed(path: Path, scratch: Path, *, compressed: bool) -> Path:
    """The path beside which a fresh index lies."""
    needed = [f"{path}.fai"] + ([f"{path}.gzi"] if compressed else [])
    made = path.stat().st_mtime
    if all(Path(n).is_file() and Path(n).stat().st_mtime >= made for n in needed):
        return path
    link = scratch / f"reference{''.join(path.suffixes[-2:]) or '.fa'}"
    if not link.is_symlink():
        link.symlink_to(path.resolve())
        try:
            pysam.faidx(str(link))
        except pysam.SamtoolsError as error:
            raise _unreadable(path) from error
    return link


def _unreadable(path: Path) -> Invalid:
    return Invalid("cannot be read as FASTA", where=path, remedy="check it with samtools faidx")
