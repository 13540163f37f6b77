"""How far released memberships single a person out: their span, and each person's leverage.

Sums over cohorts can be added and subtracted; what can be reached is the span of the membership
vectors. With P the projection onto it, a person's leverage is h_i = P_ii. If every h_i lies below
1 / (k - 1), no vector of the span rests on 1 .. k - 1 people: on its support S, v_i^2 <= h_i |v|^2,
so |v|^2 <= sum over S of h_i |v|^2 < |v|^2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

__all__ = ["EMPTY_SHAPE", "Column", "Projection", "Span", "Verdict", "decide", "near"]

Bool = NDArray[np.bool_]
Bits = NDArray[np.uint8]
Floats = NDArray[np.float64]

EMPTY_SHAPE = b""
INSIDE = 1e-6  # a residual this small everywhere: the membership lies in the span
UNCLEAR = 1e-4  # between the two nobody can tell with float64, so it is refused
ROOM = 16
_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Column:
    """A membership of a span's basis, as it is kept.

    Parameters
    ----------
    bits
        Its members, packed.
    products
        People it shares with each member of the basis up to itself.
    factor
        Its row of the Cholesky factor of these products.
    shape
        Tag of the grid, bins or levels it was released in.
    """

    bits: Bits
    products: Floats
    factor: Floats
    shape: bytes


@dataclass(frozen=True, eq=False)
class Projection:
    """A membership seen from a span: products and coefficients (rank,), residual (people,)."""

    members: Bool
    products: Floats
    coefficients: Floats
    residual: Floats

    @property
    def inside(self) -> bool:
        """Whether it lies in the span."""
        return not self.residual.size or bool(np.abs(self.residual).max() < INSIDE)

    @property
    def unclear(self) -> bool:
        """Whether float64 cannot tell."""
        return not self.inside and bool(np.abs(self.residual).max() < UNCLEAR)


@dataclass(frozen=True, eq=False)
class Verdict:
    """What becomes of a membership: the kind, and the members it is answered on.

    "free": in the span. "new": to be added. "snapped": answered on a membership of the span that
    differs by fewer than k people. "shape": in the span, but of another shape. "refused".
    """

    kind: str
    members: Bool
    projection: Projection | None = None


class Span:
    """The released memberships of one family: independent columns, and everybody's leverage.

    Parameters
    ----------
    n_people
        People there are.
    columns, leverage
        As kept; of fewer people, where some came since.
    """

    def __init__(
        self, n_people: int, columns: Sequence[Column] = (), leverage: Floats | None = None
    ) -> None:
        self.n_people, self.rank = n_people, 0
        self.shapes: list[bytes] = []
        self.leverage = np.zeros(n_people)
        if leverage is not None:
            self.leverage[: leverage.size] = leverage
        self._bits = np.zeros((0, -(-n_people // 8)), np.uint8)
        self._lanes = np.zeros((0, n_people), np.uint8)
        self._products = self._factor = np.zeros((0, 0))
        self._reserve(len(columns))
        for column in columns:
            self._append(column)

    def copy(self) -> Span:
        """One that can grow on its own."""
        other = Span(self.n_people)
        other.rank, other.shapes = self.rank, list(self.shapes)
        other.leverage = self.leverage.copy()
        for name in ("_bits", "_lanes", "_products", "_factor"):
            setattr(other, name, getattr(self, name).copy())
        return other

    def project(self, members: Bool) -> Projection:
        """A membership (people,) from here; one step of refinement on the exact products."""
        bits, r = np.packbits(members), self.rank
        shared = np.bitwise_count(self._bits[:r] & bits).sum(axis=1, dtype=np.int64)
        products = shared.astype(np.float64)
        x = self._solve(products)
        x += self._solve(products - self._products[:r, :r] @ x)
        return Projection(members, products, x, members - self._combine(x))

    def sizes(self) -> NDArray[np.int64]:
        """People of each column (rank,)."""
        return np.diagonal(self._products)[: self.rank].astype(np.int64)

    @property
    def packed(self) -> Bits:
        """The columns (rank, bytes), packed."""
        return self._bits[: self.rank]

    def members(self, number: int) -> Bool:
        """Those of a column (people,)."""
        return np.unpackbits(self._bits[number], count=self.n_people).astype(bool)

    def raised(self, projection: Projection) -> Floats:
        """Leverage (people,) after adding the membership."""
        squares = np.square(projection.residual)
        return np.asarray(self.leverage + squares / squares.sum())

    def add(self, projection: Projection, *, shape: bytes = EMPTY_SHAPE) -> Column:
        """Add a membership that lies outside; the column as it is kept."""
        r, length = self.rank, np.sqrt(np.square(projection.residual).sum())
        row = np.append(self._factor[:r, :r].T @ projection.coefficients, length)
        products = np.append(projection.products, float(projection.members.sum()))
        column = Column(np.packbits(projection.members), products, row, shape)
        self.leverage = self.raised(projection)
        self._append(column)
        return column

    def _solve(self, right: Floats) -> Floats:
        if not self.rank:
            return np.zeros(0)
        factor = self._factor[: self.rank, : self.rank]
        half = solve_triangular(factor, right, lower=True, check_finite=False)
        return np.asarray(
            solve_triangular(factor, half, lower=True, trans="T", check_finite=False), np.float64
        )

    def _combine(self, x: Floats) -> Floats:
        """The columns times coefficients (people,): eight columns at a time from a table."""
        out, part = np.zeros(self.n_people), np.empty(self.n_people)
        padded = np.zeros(-(-self.rank // 8) * 8)
        padded[: self.rank] = x
        for lane, eight in enumerate(padded.reshape(-1, 8)):
            np.take(_BYTES @ eight, self._lanes[lane], out=part, mode="clip")
            out += part
        return out

    def _append(self, column: Column) -> None:
        self._reserve(self.rank + 1)
        r = self.rank
        self._bits[r, : column.bits.size] = column.bits
        members = np.unpackbits(self._bits[r], count=self.n_people)
        self._lanes[r // 8] |= members << np.uint8(7 - r % 8)
        self._products[r, : r + 1] = self._products[: r + 1, r] = column.products
        self._factor[r, : r + 1] = column.factor
        self.shapes.append(column.shape)
        self.rank += 1

    def _reserve(self, rank: int) -> None:
        held = self._bits.shape[0]
        if rank <= held:
            return
        size = -(-(rank + ROOM) // 8) * 8
        more = size - held
        self._bits = np.pad(self._bits, ((0, more), (0, 0)))
        self._lanes = np.pad(self._lanes, ((0, size // 8 - self._lanes.shape[0]), (0, 0)))
        self._products = np.pad(self._products, ((0, more), (0, more)))
        self._factor = np.pad(self._factor, ((0, more), (0, more)))


def decide(
    span: Span,
    members: Bool,
    *,
    least: int,
    shape: bytes = EMPTY_SHAPE,
    allowed: Bool | None = None,
) -> Verdict:
    """What becomes of a membership; changes nothing.

    Parameters
    ----------
    members
        Who is asked about (people,).
    least
        No combination of releases may rest on fewer people than this; k above.
    shape
        The shape it would be released in. One membership has one shape, and so has everything
        that memberships of another shape add up to.
    allowed
        People an answer may rest on, if not everybody: no membership is snapped to others.
    """
    seen = span.project(members)
    if seen.inside:
        same = _in_shape(span, seen, shape)
        return Verdict("free" if same else "shape", members, seen)
    if not seen.unclear:
        touched = np.abs(seen.residual) > INSIDE
        if span.raised(seen)[touched].max() < 1 / (least - 1) - 1e-9:
            return Verdict("new", members, seen)
    kind = "refused"
    for other in near(span, seen, least):
        if allowed is not None and (other & ~allowed).any():
            continue
        found = span.project(other)
        if found.inside and _in_shape(span, found, shape):
            return Verdict("snapped", other, found)
        if found.inside:
            kind = "shape"
    return Verdict(kind, members, seen)


def _in_shape(span: Span, seen: Projection, shape: bytes) -> bool:
    """Whether what it adds up from was released in this shape."""
    parts = np.flatnonzero(np.abs(seen.coefficients) > INSIDE)
    return all(span.shapes[part] == shape for part in parts)


def near(span: Span, seen: Projection, least: int) -> Iterator[Bool]:
    """Candidates fewer than `least` people away: the projection, rounded; columns; nobody."""
    rounded = np.rint(seen.members - seen.residual)
    if np.isin(rounded, (0, 1)).all():
        nearest = rounded.astype(bool)
        if (nearest ^ seen.members).sum() < least:
            yield nearest
    n = int(seen.members.sum())
    apart = span.sizes() + n - 2 * seen.products.astype(np.int64)
    for number in np.argsort(apart, kind="stable"):
        if apart[number] >= least:
            break
        yield span.members(int(number))
    if n < least:
        yield np.zeros_like(seen.members)
