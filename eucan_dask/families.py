"""What was released, family by family, as the vault keeps it; and what a request would add."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from eucan_dask.leverage import EMPTY_SHAPE, Column, Span, Verdict, decide
from eucan_dask.vault import Box

__all__ = [
    "EVERYTHING",
    "SPANNED",
    "Families",
    "Family",
    "Trial",
    "keep_set",
    "read_set",
    "read_span",
    "set_tag",
]

Bool = NDArray[np.bool_]
EVERYTHING = "*"
LEFT_OUT = "left out"
SPANNED = "spanned"  # cohorts that were released and are no column
SHAPE = 16


@dataclass(frozen=True)
class Family:
    """The releases of one summand in one shape; `EVERYTHING` holds who was chosen by criteria."""

    name: str
    shape: str = ""

    def tag(self, box: Box) -> bytes:
        """Where the family is kept."""
        return box.tag("family", self.name)

    def shape_tag(self, box: Box) -> bytes:
        """What tells its shape from others."""
        return box.tag("shape", self.shape) if self.shape else EMPTY_SHAPE


class Families:
    """Spans read from the vault, kept until somebody adds to them."""

    def __init__(self) -> None:
        self._version = -1
        self._spans: dict[str, Span] = {}

    def span(self, box: Box, name: str, n_people: int) -> Span:
        """The span of a family."""
        if box.version != self._version:
            self._version, self._spans = box.version, {}
        held = self._spans.get(name)
        if held is None or held.n_people < n_people:
            held = self._spans[name] = read_span(box, name, n_people)
        return held

    def keep(self, version: int, grown: dict[str, Span]) -> None:
        """Keep spans as they were just written; others are as before."""
        self._version = version
        self._spans |= grown


@dataclass
class Trial:
    """What a request would add: settled membership by membership, written at the end or never.

    Parameters
    ----------
    n_people
        People the ledger knows.
    least
        No combination of releases may rest on fewer people; at least 2.
    """

    families: Families
    n_people: int
    least: int
    grown: dict[str, Span] = field(default_factory=dict)
    added: list[tuple[str, Column]] = field(default_factory=list)
    known: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    canonical: dict[bytes, Bool] = field(default_factory=dict)
    seen: dict[str, Verdict] = field(default_factory=dict)
    withdrawn: Bool | None = None
    held_out: Bool | None = None
    left_out: list[Bool] = field(default_factory=list)
    spanned: dict[bytes, Bool] = field(default_factory=dict)

    def verdict(self, box: Box, family: Family, members: Bool, allowed: Bool) -> Verdict:
        """What becomes of a membership in a family; one that was released is free."""
        shape = self._known(box, family, members)
        if shape is not None:
            kind = "free" if shape == family.shape_tag(box) else "shape"
            return Verdict(kind, members)
        found = decide(
            self.span(box, family.name),
            members,
            least=self.least,
            shape=family.shape_tag(box),
            allowed=allowed,
        )
        self.seen[family.name] = found
        return found

    def span(self, box: Box, name: str) -> Span:
        """A family's span with what the request added so far."""
        return self.grown.get(name) or self.families.span(box, name, self.n_people)

    def released(self, box: Box, family: Family, members: Bool) -> bool:
        """Whether a family was answered on these people before."""
        return self._known(box, family, members) is not None

    def accept(self, box: Box, family: Family, members: Bool) -> None:
        """Add a membership that every family agreed to."""
        if self.released(box, family, members):
            return
        tag, shape = set_tag(box, members), family.shape_tag(box)
        last = self.seen.pop(family.name, None)  # nothing was added since
        seen = last.projection if last is not None else None
        if seen is None or not np.array_equal(seen.members, members):
            seen = self.span(box, family.name).project(members)
        if not seen.inside:
            if family.name not in self.grown:
                self.grown[family.name] = self.span(box, family.name).copy()
            self.added.append((family.name, self.grown[family.name].add(seen, shape=shape)))
        elif family.name == EVERYTHING:
            self.spanned[tag] = members
        self.known[family.name, tag] = shape

    def is_left_out(self, box: Box, members: Bool) -> bool:
        """Whether people who differ by few from these were left out for being few: a no stays."""
        held = (read_set(box, tag, self.n_people) for tag in box.items(LEFT_OUT, b""))
        return any((one ^ members).sum() < self.least for one in chain(self.left_out, held))

    def write(self, box: Box) -> None:
        """Write what was added."""
        noted = set(box.items(LEFT_OUT, b""))
        for few in self.left_out:
            if set_tag(box, few) not in noted:
                noted.add(keep_set(box, few))
                box.append(LEFT_OUT, b"", set_tag(box, few))
        for name, column in self.added:
            tag = Family(name).tag(box)
            box.put("family", tag, name.encode())
            keep_set(box, np.unpackbits(column.bits).astype(bool))
            box.append("columns", tag, _packed(box, column))
        for tag, spanned in self.spanned.items():
            keep_set(box, spanned)
            box.append(SPANNED, b"", tag)
        for (name, members), shape in self.known.items():
            box.put("member", _member_tag(box, name, members), shape)
        for name, span in self.grown.items():
            floats = np.append(span.leverage, span.rank)  # so that a lost column is missed
            box.put("leverage", Family(name).tag(box), floats.astype("<f8").tobytes())
        for tag, canonical in self.canonical.items():
            held = keep_set(box, canonical)
            if box.get("canonical", tag) != held:
                box.put("canonical", tag, held)
        for kind, people in (("withdrawn", self.withdrawn), ("held out", self.held_out)):
            if people is not None:
                box.put(kind, b"", np.packbits(people).tobytes())
        if self.known or self.left_out or self.withdrawn is not None:
            box.raise_version()

    def written(self, version: int) -> None:
        """What was added is on disk: keep it in memory too."""
        self.families.keep(version, self.grown)

    def _known(self, box: Box, family: Family, members: Bool) -> bytes | None:
        """The shape a membership was released in, if it was."""
        tag = set_tag(box, members)
        found = self.known.get((family.name, tag))
        return box.get("member", _member_tag(box, family.name, tag)) if found is None else found


def read_span(box: Box, name: str, n_people: int) -> Span:
    """A family's span as it is kept."""
    tag = Family(name).tag(box)
    columns = [_unpacked(box, raw) for raw in box.items("columns", tag)]
    if not columns and box.get("leverage", tag) is None:
        return Span(n_people)
    held = np.frombuffer(box.need("leverage", tag), "<f8")
    if held[-1] != len(columns):
        raise box.damaged()
    return Span(n_people, columns, held[:-1])


def set_tag(box: Box, members: Bool) -> bytes:
    """The tag of a membership: the same however many people came since."""
    return box.tag("set", np.trim_zeros(np.packbits(members), "b").tobytes())


def keep_set(box: Box, members: Bool) -> bytes:
    """Keep a membership once; its tag."""
    tag = set_tag(box, members)
    if box.get("set", tag) is None:
        box.put("set", tag, np.packbits(members).tobytes())
    return tag


def read_set(box: Box, tag: bytes, n_people: int) -> Bool:
    """A membership by its tag (people,)."""
    bits = np.frombuffer(box.need("set", tag), np.uint8)
    members = np.zeros(n_people, dtype=bool)
    found = np.unpackbits(bits)[:n_people].astype(bool)
    members[: found.size] = found
    return members


def _member_tag(box: Box, name: str, members: bytes) -> bytes:
    return box.tag("member", name, members)


def _packed(box: Box, column: Column) -> bytes:
    shape = column.shape or bytes(SHAPE)
    tag = set_tag(box, np.unpackbits(column.bits).astype(bool))
    parts = (column.products.astype("<i4").tobytes(), column.factor.astype("<f8").tobytes())
    return tag + shape + b"".join(parts)


def _unpacked(box: Box, raw: bytes) -> Column:
    tag, shape, rest = raw[:16], raw[16 : 16 + SHAPE], raw[16 + SHAPE :]
    rank = len(rest) // 12
    products = np.frombuffer(rest[: 4 * rank], "<i4").astype(np.float64)
    factor = np.frombuffer(rest[4 * rank :], "<f8")
    bits = np.frombuffer(box.need("set", tag), np.uint8)
    return Column(bits, products, factor, b"" if shape == bytes(SHAPE) else shape)
