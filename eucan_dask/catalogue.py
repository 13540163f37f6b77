"""What the sites hold, by name, and whether a question uses names they know."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eucan_dask.analysis import Analysis
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid, unknown
from eucan_dask.panel import Panel

__all__ = ["Catalogue"]


@dataclass(frozen=True)
class Catalogue:
    """The sites' own catalogues side by side.

    Parameters
    ----------
    sites
        `hello` of each site, by name.
    """

    sites: Mapping[str, Mapping[str, Any]]

    def fields(self) -> dict[str, dict[str, Any]]:
        """Every field: kind, unit, categories over all sites, and the sites that hold it."""
        found: dict[str, dict[str, Any]] = {}
        for site, hello in self.sites.items():
            for entry in hello["fields"]:
                field = found.setdefault(entry["name"], {**entry, "categories": [], "sites": []})
                if field["kind"] != entry["kind"] or field["unit"] != entry["unit"]:
                    raise Invalid(
                        "sites disagree on its kind or unit",
                        where=f"field {entry['name']!r}",
                        found=[field["sites"], [site]],
                        remedy="align the mappings and ingest again",
                    )
                field["open"] = field["open"] or entry["open"]
                new = [c for c in entry["categories"] if c not in field["categories"]]
                field["categories"] = field["categories"] + new
                field["sites"].append(site)
        return dict(sorted(found.items()))

    def genes(self) -> set[str]:
        """Genes that some site lists."""
        return {gene for hello in self.sites.values() for gene in hello["genes"]}

    def hides_genes(self) -> bool:
        """Whether some site assayed every gene and, holding personal data, lists none."""
        return any(
            hello["data_class"] == "personal" and any(a["all_genes"] for a in hello["assays"])
            for hello in self.sites.values()
        )

    def has_genotypes(self) -> bool:
        """Whether some site holds variants."""
        return any(hello["variants"]["n_genotyped"] for hello in self.sites.values())

    def check_assembly(self) -> None:
        """Raise `Invalid` if sites are on different assemblies."""
        found = {site: hello["assembly"] for site, hello in self.sites.items()}
        if len({a for a in found.values() if a}) > 1:
            raise Invalid("sites are on different assemblies", where="federation", found=found)

    def check(
        self,
        analysis: Analysis,
        panel: Panel,
        cohorts: Sequence[Cohort],
        complete: Sequence[str],
        *,
        unlisted_genes: bool = False,
    ) -> None:
        """Raise `Invalid` for a field, level or gene that no site knows, suggesting the nearest."""
        fields = self.fields()
        wanted = [
            n.removeprefix("individual_") for n in analysis.needs() if n[:11] == "individual_"
        ]
        for cohort in cohorts:
            wanted += sorted(cohort.fields())
        wanted += [name for name in complete if not name.startswith("gene:")]
        for name in wanted:
            if name not in fields:
                raise unknown("field", name, fields, where=analysis.name)
        if "sample_genotype" in analysis.needs() and not self.has_genotypes():
            raise Invalid("no site has genotypes", where=analysis.name)
        for name, levels in [*_levels(analysis), *(pair for c in cohorts for pair in c.levels())]:
            entry = fields.get(name, {"open": True, "categories": []})
            for level in levels if not entry["open"] else ():
                if level not in entry["categories"]:
                    raise unknown("level", level, entry["categories"], where=f"field {name!r}")
        if not unlisted_genes and not self.hides_genes():
            known = [n.removeprefix("gene:") for n in complete if n.startswith("gene:")]
            self._check_genes(analysis, [*panel.genes, *known], cohorts)

    def _check_genes(
        self, analysis: Analysis, genes: Iterable[str], cohorts: Iterable[Cohort]
    ) -> None:
        listed = self.genes()
        asked = [*genes, *(g for c in cohorts for g in sorted(c.genes()))]
        asked += [value for name, value in _strings(analysis) if name == "gene" and value]
        for gene in asked:
            if gene not in listed:
                raise unknown(
                    "gene",
                    gene,
                    listed,
                    where="panel",
                    remedy="(if it is right, set unlisted_genes = true under [panel])",
                )


def _levels(value: object) -> list[tuple[str, tuple[str, ...]]]:
    """(field, levels) of every part of an analysis that names levels."""
    found = []
    for part in _parts(value):
        if getattr(part, "field", "") and getattr(part, "levels", ()):
            found.append((str(part.field), tuple(part.levels)))  # type: ignore[attr-defined]
    return found


def _strings(value: object) -> list[tuple[str, str]]:
    return [
        (f.name, getattr(part, f.name))
        for part in _parts(value)
        for f in dataclasses.fields(part)  # type: ignore[arg-type]
        if isinstance(getattr(part, f.name), str)
    ]


def _parts(value: object) -> list[object]:
    """A dataclass instance and all dataclass instances inside its fields."""
    if isinstance(value, tuple):
        return [part for item in value for part in _parts(item)]
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return []
    inner = [_parts(getattr(value, f.name)) for f in dataclasses.fields(value)]
    return [value, *(part for parts in inner for part in parts)]
