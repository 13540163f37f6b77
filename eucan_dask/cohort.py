"""Named inclusion criteria as data, in three-valued logic; membership is worked out at the site."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from eucan_dask.errors import Invalid, unknown
from eucan_dask.lazy import load
from eucan_dask.variables import NON_SILENT, VARIANT_CLASSIFICATIONS

__all__ = ["Cohort", "field_of", "known", "leaves", "membership", "mutation_truth"]

Bool = NDArray[np.bool_]
_OPERATORS = {
    "equals": ("field", "equals"),
    "in": ("field", "in"),
    "range": ("field", "min", "max"),
    "present": ("field", "present"),
}
_KEYS = ("all", "any", "not", "field", "equals", "in", "min", "max", "present") + (
    "gene",
    "mutated",
    "classes",
)


@dataclass(frozen=True)
class Truth:
    """Kleene truth of a criterion for each individual: true, false, or neither (unknown)."""

    true: Bool
    false: Bool

    def __and__(self, other: Truth) -> Truth:
        return Truth(self.true & other.true, self.false | other.false)

    def __or__(self, other: Truth) -> Truth:
        return Truth(self.true | other.true, self.false & other.false)

    def __invert__(self) -> Truth:
        return Truth(self.false, self.true)


@dataclass(frozen=True)
class Cohort:
    """Who is asked about. A member is an individual for whom the criteria are true.

    Missing and not assayed are unknown, and unknown is not a member: `not mutated` leaves out
    who was not assayed.

    Parameters
    ----------
    label
        Name of the cohort in results.
    criteria
        Canonical JSON of the criteria; "{}" is everybody. `Cohort.of` makes it from a mapping.
    """

    label: str
    criteria: str = "{}"

    @classmethod
    def of(cls, label: str, criteria: Mapping[str, Any] | None = None) -> Cohort:
        """A cohort from criteria as a job states them.

        Raises
        ------
        Invalid
            For unknown keys or operators, or values of the wrong type.
        """
        if not label or not isinstance(label, str):
            raise Invalid("a cohort needs a label", where="cohorts")
        where = f"cohort {label!r}"
        if criteria:
            _check(criteria, where)
        return cls(label, json.dumps(criteria or {}, sort_keys=True, ensure_ascii=False))

    @property
    def tree(self) -> dict[str, Any]:
        """The criteria as nested tables."""
        tree: dict[str, Any] = json.loads(self.criteria)
        return tree

    def fields(self) -> set[str]:
        """Names of the clinical fields the criteria look at."""
        return {leaf["field"] for leaf in leaves(self.tree) if "field" in leaf}

    def genes(self) -> set[str]:
        """Symbols of the genes the criteria look at."""
        return {leaf["gene"] for leaf in leaves(self.tree) if "gene" in leaf}

    def levels(self) -> list[tuple[str, tuple[str, ...]]]:
        """(field, levels) of every criterion that names levels of a category."""
        found = []
        for leaf in leaves(self.tree):
            named = leaf.get("in", [leaf["equals"]] if "equals" in leaf else [])
            levels = tuple(level for level in named if isinstance(level, str))
            if levels:
                found.append((str(leaf["field"]), levels))
        return found

    def describe(self) -> str:
        """The criteria in words."""
        return _words(self.tree) if self.tree else "everybody"

    def members(self, ds: xr.Dataset) -> Bool:
        """Membership (individuals,) in an unaligned store dataset.

        Raises
        ------
        Invalid
            For a field or level that the store does not know.
        """
        if not self.tree:
            return np.ones(ds.sizes["individuals"], dtype=bool)
        return _truth(self.tree, ds, f"cohort {self.label!r}").true


def membership(ds: xr.Dataset, cohorts: tuple[Cohort, ...]) -> Bool:
    """Membership (individuals, cohorts) by the criteria alone."""
    columns = [cohort.members(ds) for cohort in cohorts]
    return np.stack(columns, axis=1)


def known(ds: xr.Dataset, name: str) -> Bool:
    """Where a field is not missing, or a gene (`gene:SYMBOL`) was assayed; (individuals,)."""
    if name.startswith("gene:"):
        truth = mutation_truth(ds, name.removeprefix("gene:"), NON_SILENT)
        return truth.true | truth.false
    variable = field_of(ds, name, where=f"field {name!r}")
    if variable.attrs["kind"] == "number":
        return np.asarray(np.isfinite(variable.values))
    return np.asarray(variable.values >= 0)


def field_of(ds: xr.Dataset, name: str, *, where: str) -> xr.DataArray:
    """The variable `individual_<name>`.

    Raises
    ------
    Invalid
        If the store has no such field (the nearest name is suggested), or it describes biosamples.
    """
    if f"individual_{name}" in ds and "kind" in ds[f"individual_{name}"].attrs:
        return ds[f"individual_{name}"]
    if f"sample_{name}" in ds and "kind" in ds[f"sample_{name}"].attrs:
        raise Invalid(
            f"field {name!r} describes biosamples", where=where, remedy="use a field of individuals"
        )
    names = [str(v).removeprefix("individual_") for v in ds.data_vars if "kind" in ds[str(v)].attrs]
    raise unknown("field", name, names, where=where)


def mutation_truth(ds: xr.Dataset, gene: str, classes: Iterable[str]) -> Truth:
    """Whether each individual carries a mutation of `gene` in any biosample.

    True: a mutation of one of `classes`; false: none, and some biosample's assay covers the gene;
    unknown otherwise.
    """
    n = ds.sizes["individuals"]
    none = np.zeros(n, dtype=bool)
    if "mutation_gene" not in ds:
        return Truth(none, none)
    symbols = np.asarray(ds["gene_symbol"].values, dtype=object)
    index = np.flatnonzero(symbols == gene)
    covered = ds["assay_all_genes"].values.astype(bool)
    if index.size:
        covered = covered | ds["gene_assayed"].values[index[0]].astype(bool)
    assay = ds["sample_assay"].values
    person = ds["sample_individual"].values
    assayed = none.copy()
    assayed[person[(assay >= 0) & np.append(covered, False)[assay]]] = True  # noqa: FBT003
    mutated = none.copy()
    if index.size:
        codes = [VARIANT_CLASSIFICATIONS.index(c) for c in classes]
        names = ("mutation_gene", "mutation_classification", "mutation_sample")
        genes, kinds, samples = load(*(ds[name].data for name in names))
        rows = (genes == index[0]) & np.isin(kinds, codes)
        mutated[person[samples[rows]]] = True
    return Truth(mutated & assayed, assayed & ~mutated)


def _check(node: object, where: str) -> None:
    if not isinstance(node, Mapping):
        raise Invalid("a criterion must be a table", where=where, found=type(node).__name__)
    for key in node:
        if key not in _KEYS:
            raise unknown("criterion", key, _KEYS, where=where)
    keys = set(node)
    if keys in ({"all"}, {"any"}):
        parts = next(iter(node.values()))
        if not isinstance(parts, list) or not parts:
            raise Invalid("needs a list of criteria", where=f"{where}.{next(iter(keys))}")
        for part in parts:
            _check(part, where)
    elif keys == {"not"}:
        _check(node["not"], where)
    elif "gene" in keys:
        _check_gene(node, where)
    elif "field" in keys:
        _check_field(node, where)
    else:
        raise Invalid(
            "not a criterion", where=where, expected="all, any, not, field or gene", found=keys
        )


def _check_gene(node: Mapping[str, Any], where: str) -> None:
    if not {"gene", "mutated"} <= set(node) <= {"gene", "mutated", "classes"}:
        raise Invalid("a gene criterion is { gene, mutated, classes? }", where=where)
    if not isinstance(node["gene"], str) or not isinstance(node["mutated"], bool):
        raise Invalid("gene must be a symbol and mutated true or false", where=where)
    classes = node.get("classes", [])
    if not isinstance(classes, list):
        raise Invalid("classes must be a list", where=f"{where}, gene {node['gene']!r}")
    for name in classes:
        if name not in VARIANT_CLASSIFICATIONS:
            raise unknown("variant class", name, VARIANT_CLASSIFICATIONS, where=where)


def _check_field(node: Mapping[str, Any], where: str) -> None:
    keys = set(node)
    if not any("field" in keys and keys <= set(op) and len(keys) > 1 for op in _OPERATORS.values()):
        raise Invalid(
            "one operator a table",
            where=where,
            expected="equals, in, min/max or present = true",
            found=sorted(keys - {"field"}),
        )
    if not isinstance(node["field"], str):
        raise Invalid("field must be a name", where=where, found=node["field"])
    place = f"{where}, field {node['field']!r}"
    for value in (node[k] for k in ("min", "max") if k in node):
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise Invalid("min and max must be numbers", where=place, found=value)
    if "in" in node and (not isinstance(node["in"], list) or not node["in"]):
        raise Invalid("in must be a list", where=place)
    for value in node["in"] if "in" in node else [node.get("equals", "")]:
        if not isinstance(value, str | int | float) or value != value:
            raise Invalid("a level is text, a number or true/false", where=place, found=value)
    if "present" in node and node["present"] is not True:
        raise Invalid("present must be true", where=where, remedy="wrap it in not = { ... }")


def leaves(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The single criteria of a tree, in order."""
    if "all" in node or "any" in node:
        parts = node.get("all", node.get("any"))
        return [leaf for part in parts or [] for leaf in leaves(part)]
    if "not" in node:
        return leaves(node["not"])
    return [node] if node else []


def _words(node: Mapping[str, Any]) -> str:
    if "all" in node or "any" in node:
        word = " and " if "all" in node else " or "
        return "(" + word.join(map(_words, node.get("all", node.get("any", [])))) + ")"
    if "not" in node:
        return f"not {_words(node['not'])}"
    if "gene" in node:
        classes = f" ({', '.join(node['classes'])})" if node.get("classes") else ""
        return f"{node['gene']} {'mutated' if node['mutated'] else 'not mutated'}{classes}"
    if "equals" in node:
        return f"{node['field']} = {node['equals']}"
    if "in" in node:
        return f"{node['field']} in {', '.join(map(str, node['in']))}"
    if "present" in node:
        return f"{node['field']} known"
    low, high = node.get("min", ""), node.get("max", "")
    return f"{node['field']} {low}..{high}"


def _truth(node: Mapping[str, Any], ds: xr.Dataset, where: str) -> Truth:
    if "all" in node or "any" in node:
        parts = [_truth(part, ds, where) for part in node.get("all", node.get("any", []))]
        result = parts[0]
        for part in parts[1:]:
            result = result & part if "all" in node else result | part
        return result
    if "not" in node:
        return ~_truth(node["not"], ds, where)
    if "gene" in node:
        truth = mutation_truth(ds, node["gene"], node.get("classes") or NON_SILENT)
        return truth if node["mutated"] else ~truth
    variable = field_of(ds, node["field"], where=where)
    present = known(ds, node["field"])
    if "present" in node:
        return Truth(present, ~present)
    hit = _compare(variable, node, f"{where}, field {node['field']!r}")
    return Truth(present & hit, present & ~hit)


def _compare(variable: xr.DataArray, node: Mapping[str, Any], where: str) -> Bool:
    values, kind = variable.values, variable.attrs["kind"]
    if "min" in node or "max" in node:
        if kind != "number":
            raise Invalid("min and max need a number", where=where, found=kind)
        low, high = node.get("min", -np.inf), node.get("max", np.inf)
        return np.asarray((values >= low) & (values <= high))
    wanted = node["in"] if "in" in node else [node["equals"]]
    if kind == "category":
        levels = list(variable.attrs["categories"])
        for level in wanted:
            if level not in levels and not variable.attrs.get("open", False):
                raise unknown("level", level, levels, where=where)
        return np.isin(values, [levels.index(level) for level in wanted if level in levels])
    kinds = bool if kind == "boolean" else int | float
    if not all(isinstance(v, kinds) for v in wanted):
        raise Invalid(f"needs values of kind {kind}", where=where, found=wanted)
    return np.isin(values, [float(v) for v in wanted])
