"""Criteria that decide about a few people only: needles, by which a cohort tells of them.

Of "forty people, or this one if mutated", the size is a person's mutation to whoever knows the
forty. No ledger sees that, as it does not know what the asker knows; but the criteria show it.
Whom a needle decides about is left out, without a word: a refusal would tell as much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, combinations, pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.cohort import Cohort, leaves, membership
from eucan_dask.errors import Refused
from eucan_dask.variables import NON_SILENT

__all__ = ["needles", "without_needles"]

Bool = NDArray[np.bool_]
Leaf = Mapping[str, Any]
MOST_SUBSETS = 4  # of classes of one gene, all of whose combinations are tried
REST = "\0"  # a level that no criterion names


def without_needles(ds: xr.Dataset, cohorts: tuple[Cohort, ...], *, least: int) -> Bool:
    """Membership (individuals, cohorts) by the criteria, less those whom needles decide about.

    Raises
    ------
    Refused
        If these are `least` people of a cohort or more.
    """
    members = membership(ds, cohorts)
    if least < 2:
        return members
    for cohort, column in zip(cohorts, members.T, strict=True):
        found = needles(ds, cohort, least=least)
        if (column & found).sum() >= least:
            raise Refused("min_effect", "leave out what decides about few people of the cohort")
        column &= ~found
    return members


def needles(ds: xr.Dataset, cohort: Cohort, *, least: int) -> Bool:
    """People of a larger cohort, fewer than `least`, about whom one field or gene decides.

    For each two values of a field: whoever would be a member with one and not with the other, all
    else as it is. Who that is does not depend on their value. A cohort that is nothing but these
    people is judged by its size instead.
    """
    tree = cohort.tree
    found = leaves(tree)
    decided = np.zeros(ds.sizes["individuals"], dtype=bool)
    known = {_text(leaf): _truth_of(leaf, ds) for leaf in found}
    for name in dict.fromkeys(map(_attribute, found)):
        own = [leaf for leaf in found if _attribute(leaf) == name]
        if len(own) == len(found):  # it decides about everybody
            continue
        given = [{_text(leaf): _given(leaf, value) for leaf in own} for value in _values(own)]
        few = _few([_evaluate(tree, {**known, **one})[0] for one in given], decided.size, least)
        if (_evaluate(tree, known)[0] & ~few).any():
            decided |= few
    return decided


def _few(members: list[Bool], n: int, least: int) -> Bool:
    """Who is in one and not in another of two memberships that differ by fewer than `least`."""
    few = np.zeros(n, dtype=bool)
    held = np.unique([np.broadcast_to(one, n) for one in members], axis=0)
    for number, one in enumerate(held):
        apart = one ^ held[:number]
        sizes = apart.sum(axis=1)
        few |= apart[sizes < least].any(axis=0)
    return few


def _attribute(leaf: Leaf) -> str:
    return f"gene {leaf['gene']}" if "gene" in leaf else f"field {leaf['field']}"


def _text(leaf: Leaf) -> str:
    return repr(sorted(leaf.items()))


def _truth_of(leaf: Leaf, ds: xr.Dataset) -> tuple[Bool, Bool]:
    """Where a criterion holds, and where it does not."""
    return tuple(Cohort.of("c", c).members(ds) for c in (leaf, {"not": leaf}))  # type: ignore[return-value]


def _evaluate(node: Mapping[str, Any], known: Mapping[str, tuple[Bool, Bool]]) -> tuple[Bool, Bool]:
    if "not" in node:
        true, false = _evaluate(node["not"], known)
        return false, true
    if "all" not in node and "any" not in node:
        return known[_text(node)]
    parts = [_evaluate(part, known) for part in node.get("all", node.get("any", []))]
    true, false = parts[0]
    for other_true, other_false in parts[1:]:
        if "all" in node:
            true, false = true & other_true, false | other_false
        else:
            true, false = true | other_true, false & other_false
    return true, false


# --- values that a person could have, and what a criterion says of them ---


def _values(own: list[Leaf]) -> list[Any]:
    """Values that the criteria on one field or gene tell apart; None is missing."""
    if "gene" in own[0]:
        return [None, *map(frozenset, _class_sets(own))]
    named = [
        v for leaf in own for v in leaf.get("in", [leaf["equals"]] if "equals" in leaf else [])
    ]
    cuts = [float(leaf[end]) for leaf in own for end in ("min", "max") if end in leaf]
    numbers = sorted({*cuts, *(float(v) for v in named if not isinstance(v, str | bool))})
    between = [(low + high) / 2 for low, high in pairwise(numbers)]
    around = [numbers[0] - 1, *between, numbers[-1] + 1] if numbers else []
    others = {v for v in named if isinstance(v, str | bool)}
    rest = [REST] if any(isinstance(v, str) for v in others) else []
    truths = [True, False] if any(isinstance(v, bool) for v in others) or not named + cuts else []
    levels = sorted(v for v in others if isinstance(v, str))
    return [None, *numbers, *around, *levels, *rest, *truths]


def _class_sets(own: list[Leaf]) -> Iterator[tuple[str, ...]]:
    """Sets of variant classes that a person's mutations of a gene could be of."""
    groups: dict[tuple[bool, ...], str] = {}
    for name in sorted({c for leaf in own for c in _classes(leaf)}):
        groups.setdefault(tuple(name in _classes(leaf) for leaf in own), name)
    kinds = tuple(groups.values())
    sizes = range(len(kinds) + 1) if len(kinds) <= MOST_SUBSETS else (0, 1, len(kinds))
    return chain.from_iterable(combinations(kinds, size) for size in sizes)


def _classes(leaf: Leaf) -> frozenset[str]:
    return frozenset(leaf.get("classes") or NON_SILENT)


def _given(leaf: Leaf, value: Any) -> tuple[Bool, Bool]:
    """Whether a criterion holds, and whether it does not, of whoever has a value."""
    if "present" in leaf:
        hit, known = value is not None, True
    elif "gene" in leaf:
        known = value is not None
        hit = known and bool(value & _classes(leaf)) == leaf["mutated"]
    else:
        known = value is not None
        hit = known and _meets(leaf, value)
    return np.array([hit]), np.array([known and not hit])


def _meets(leaf: Leaf, value: Any) -> bool:
    if "min" in leaf or "max" in leaf:
        low, high = leaf.get("min", -np.inf), leaf.get("max", np.inf)
        return not isinstance(value, str | bool) and bool(low <= value <= high)
    wanted = leaf["in"] if "in" in leaf else [leaf["equals"]]
    return any(value == one and isinstance(value, str) == isinstance(one, str) for one in wanted)
