"""What a regression on each variant sums at a site: declared, and computed call by call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucan_dask.genotype import Inheritance, Ploidy
from eucan_dask.kernels.genotype import MISSING, tiles, unpack
from eucan_dask.kernels.linear import variant_sums
from eucan_dask.partial import Cells, PartialSpec, Record

__all__ = [
    "FIELDS",
    "RECORDS",
    "YIELDS",
    "Halves",
    "by_column",
    "by_variant",
    "cases_of",
    "cell_labels",
    "effective_number",
    "variant_table",
]

FIELDS = (
    "variant_n_called",
    "variant_dosage",
    "variant_square",
    "variant_n_carriers",
    "variant_n_non_carriers",
    "variant_n_two",
    "variant_n_one",
    "variant_n_diploid",
)
Bool = NDArray[np.bool_]
PER = ("variants",)
BOTH = ("variants", "traits")
SUMS = ("variant_dosage", "variant_square")
CASES = ("trait_n_cases", "trait_n_controls")


def _support(name: str, dims: tuple[str, ...], doc: str) -> PartialSpec:
    return PartialSpec(name, dims, "support", doc=doc)


def _sum(name: str, dims: tuple[str, ...], doc: str) -> PartialSpec:
    within = "variant_n_called" if "variants" in dims else "n_individuals"
    return PartialSpec(name, dims, "sum", within=within, doc=doc)


YIELDS = (
    PartialSpec("n_individuals", (), "count", doc="people in the fit"),
    PartialSpec("n_effective", (), "evidence", doc="what parameters are weighed against"),
    PartialSpec("n_weight", (), "evidence", doc="effective number of people by weight"),
    PartialSpec("n_smallest_cell", (), "evidence", doc="fewest people in a cell of terms"),
    PartialSpec("n_dominant", (), "evidence", doc="per mille of a sum that two people hold"),
    PartialSpec("n_unclear", (), "evidence", doc="columns whose two values may be mixed up"),
    _sum("n_intercept", (), "intercepts: one a site with people"),
    _sum("term_product", ("terms", "terms_2"), "products of terms"),
    _sum("term_trait", ("terms", "traits"), "products of terms and traits"),
    _sum("trait_square", ("traits",), "sums of squares of traits"),
    PartialSpec("variant_n_called", PER, "count", doc="people with a call"),
    _sum("variant_dosage", PER, "sum of dosages called"),
    _sum("variant_square", PER, "sum of squares of centred dosages"),
    _sum("variant_term", ("variants", "terms"), "products of dosages and terms"),
    _sum("variant_trait", BOTH, "products of dosages and traits"),
    _support("variant_n_carriers", PER, "people with ALT"),
    _support("variant_n_non_carriers", PER, "people called without ALT"),
    _support("variant_n_two", PER, "people with dosage 2"),
    _support("variant_n_one", PER, "people with dosage 1"),
    _support("variant_n_diploid", PER, "people who could have dosage 1"),
    _support("variant_n_cell", ("variants", "cells"), "people by level, with and without ALT"),
    _support("cell_n_individuals", ("cells",), "people at the level"),
    _support("cell_n_apart", ("cells",), "people at sites where it has more than two values"),
    _support("variant_n_case_carriers", BOTH, "cases with ALT"),
    _support("variant_n_control_carriers", BOTH, "controls with ALT"),
    _support("trait_n_cases", ("traits",), "cases of a yes/no trait"),
    _support("trait_n_controls", ("traits",), "its controls"),
    _support("trait_n_apart", ("traits",), "people at sites where it is no yes/no trait"),
)
RECORDS = (
    Record(
        "model",
        ("n_individuals", "n_intercept", "term_product", "term_trait", "trait_square"),
        (),
        roster="run",
    ),
    Record(
        "association",
        (
            "variant_n_called",
            "variant_dosage",
            "variant_square",
            "variant_term",
            "variant_trait",
        ),
        PER,
        roster="all",
        cells=(
            Cells("variant_n_non_carriers", zeros=True),
            Cells("variant_n_two", zeros=True),
            Cells("variant_n_one", of=("variant_n_diploid",), zeros=True),
            Cells("variant_n_cell", of=("cell_n_individuals",), unless="cell_n_apart", zeros=True),
        ),
        carriers=("variant_n_carriers", "variant_n_non_carriers"),
        cases=(
            Cells("variant_n_case_carriers", of=CASES, unless="trait_n_apart"),
            Cells("variant_n_control_carriers", of=CASES, unless="trait_n_apart"),
        ),
    ),
)


@dataclass(frozen=True)
class Halves:
    """People at the two values of columns that have no more than two.

    Each value has its side whatever other values a site holds, so that people can be added up over
    sites: 0 and 2 lie on the first, 1 on the second, any other by whether its floor is odd. Two
    values of the same side are told apart by size; `n_unclear` counts such columns.

    Parameters
    ----------
    first, second
        People (N, K) at each; nobody where a column has more than two values.
    """

    first: Bool
    second: Bool
    n_unclear: int

    @classmethod
    def of(cls, columns: NDArray[np.float64]) -> Halves:
        """Those of columns (N, K)."""
        if not columns.size:
            none = np.zeros(columns.shape, dtype=bool)
            return cls(none, none, 0)
        low, high = columns.min(axis=0), columns.max(axis=0)
        few = ((columns == low) | (columns == high)).all(axis=0)
        unclear = few & (low < high) & (np.floor(low) % 2 == np.floor(high) % 2)
        odd = np.where(unclear, columns == high, np.floor(columns) % 2 == 1)
        return cls(few & ~odd, few & odd, int(unclear.sum()))

    @property
    def sides(self) -> NDArray[np.int64]:
        """People (K, 2) at each value."""
        return np.stack([self.first.sum(axis=0), self.second.sum(axis=0)], axis=1, dtype=np.int64)

    @property
    def apart(self) -> NDArray[np.int64]:
        """People (K,) at a site where a column has more than two values."""
        return np.asarray(self.first.shape[0] - self.sides.sum(axis=1))


def cases_of(y: NDArray[np.float64], binary: Bool) -> tuple[Bool, Bool]:
    """Cases and controls (N, T) of yes/no traits: who has the higher and the lower value.

    Nobody of a trait with more than two values; nor where one value is all that a site has and
    `binary` (T,) does not say that it is 0 or 1 for no and yes: 1 is the higher of 0 and 1, and
    the lower of 1 and 2.
    """
    if not y.size:
        none = np.zeros(y.shape, dtype=bool)
        return none, none
    low, high = y.min(axis=0), y.max(axis=0)
    few = ((y == low) | (y == high)).all(axis=0)
    clear = few & ((low < high) | binary | (low == 0) | (low == 2))
    case = np.where(low < high, y == high, y > 0)
    return clear & case, clear & ~case


def effective_number(y: NDArray[np.float64]) -> np.int64:
    """People, or the fewer of cases and controls of a yes/no trait."""
    cases, controls = (group.sum(axis=0) for group in cases_of(y, np.zeros(y.shape[1], bool)))
    some = (cases > 0) & (controls > 0)
    return np.int64(min([y.shape[0], *cases[some], *controls[some]]))


def cell_labels(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the cells that calls form with both values of each column."""
    return tuple(
        f"{column}|{side}|{carriage}"
        for column in columns
        for side in ("first", "second")
        for carriage in ("with", "without")
    )


def variant_table(
    packed: NDArray[np.uint8],
    *,
    kinds: NDArray[np.int8],
    columns: NDArray[np.int32],
    sex: NDArray[np.int8],
    mean: NDArray[np.float64],
    z: NDArray[np.float64],
    cases: tuple[Bool, Bool],
    halves: Halves,
) -> NDArray[np.float64]:
    """What is summed of each variant, side by side: (V, 8 + 2 T + 4 K + Z).

    `FIELDS`; carriers among the cases and among the controls of each trait; people called, by
    `cell_labels`; products with `z`.

    Parameters
    ----------
    cases
        Cases and controls of each trait, (N, T).
    halves
        Of each term and trait: a product with one of two values counts dosages there.
    """
    groups = np.concatenate([*cases, _interleaved(halves)], axis=1)
    n_traits = cases[0].shape[1]
    n_cells = 2 * (groups.shape[1] - 2 * n_traits)
    out = np.zeros((packed.shape[0], len(FIELDS) + 2 * n_traits + n_cells + z.shape[1]))
    for kind in Inheritance:
        ploidy = Ploidy.of(kind, sex)
        own = np.flatnonzero(kinds == kind)
        for part in tiles(own.size, columns.size, words=1 << 20):
            rows = own[part]
            codes = unpack(packed[rows], columns)
            codes = np.where(ploidy.haploid & (codes == 1), np.uint8(MISSING), codes)
            codes = np.where(ploidy.diploid | ploidy.haploid, codes, np.uint8(MISSING))
            square, cross = variant_sums(codes, mean[rows], z)
            fields = _fields(codes, square, int(ploidy.diploid.sum()))
            called, carries = codes != MISSING, (codes == 1) | (codes == 2)
            among = _by_group(carries, groups)
            cells = among[:, 2 * n_traits :]
            others = _by_group(called, groups[:, 2 * n_traits :]) - cells
            both = np.stack([cells, others], axis=2).reshape(rows.size, n_cells)
            out[rows] = np.concatenate([fields, among[:, : 2 * n_traits], both, cross], axis=1)
    return out


def by_variant(whole: Any, widths: tuple[int, ...]) -> dict[str, tuple[tuple[str, ...], Any]]:
    """The variables of each variant, from `variant_table`, whose parts are so wide."""
    ends = np.cumsum((0, *widths))
    parts = (whole[:, a:b] for a, b in zip(ends[:-1], ends[1:], strict=True))
    fields, with_case, with_control, by_level, by_term, by_trait = parts
    found: dict[str, tuple[tuple[str, ...], Any]] = {
        name: (PER, fields[:, i] if name in SUMS else fields[:, i].astype(np.int64))
        for i, name in enumerate(FIELDS)
    }
    return {
        **found,
        "variant_term": (("variants", "terms"), by_term),
        "variant_trait": (BOTH, by_trait),
        "variant_n_cell": (("variants", "cells"), by_level.astype(np.int64)),
        "variant_n_case_carriers": (BOTH, with_case.astype(np.int64)),
        "variant_n_control_carriers": (BOTH, with_control.astype(np.int64)),
    }


def by_column(
    halves: Halves, cases: tuple[Bool, Bool]
) -> dict[str, tuple[tuple[str, ...], NDArray[np.int64]]]:
    """People at the values of each column, traits last; cases and controls of each trait."""
    n_cases, n_controls = (group.sum(axis=0, dtype=np.int64) for group in cases)
    apart = halves.apart
    return {
        "cell_n_individuals": (("cells",), np.repeat(halves.sides.ravel(), 2)),
        "cell_n_apart": (("cells",), np.repeat(apart, 4)),
        "n_unclear": ((), np.asarray(halves.n_unclear, np.int64)),
        "trait_n_cases": (("traits",), n_cases),
        "trait_n_controls": (("traits",), n_controls),
        "trait_n_apart": (("traits",), apart[apart.size - n_cases.size :]),
    }


def _fields(
    codes: NDArray[np.uint8], square: NDArray[np.float64], n_diploid: int
) -> NDArray[np.float64]:
    """`FIELDS` (V, 8) of unpacked calls (V, N)."""
    n_called, n_one, n_two = (x.sum(axis=1) for x in (codes != MISSING, codes == 1, codes == 2))
    carriers, every = n_one + n_two, np.full(n_one.shape, n_diploid)
    parts = (n_called, n_one + 2 * n_two, square, carriers, n_called - carriers)
    return np.stack([*parts, n_two, n_one, every], axis=1, dtype=np.float64)


def _interleaved(halves: Halves) -> Bool:
    """People (N, 2 K) at the first and second value of each column in turn."""
    both = np.stack([halves.first, halves.second], axis=2)
    return both.reshape(both.shape[0], 2 * both.shape[1])


def _by_group(which: Bool, groups: Bool) -> NDArray[np.float64]:
    """How many of `which` (V, N) are in each group (N, G): (V, G), exact."""
    return which.astype(np.float64) @ groups.astype(np.float64)
