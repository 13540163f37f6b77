"""The somatic shard in memory: mutations, genes, and who was assayed for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.store.arrays import Array, strings
from eucan_dask.store.assay import Assay
from eucan_dask.store.maf import Calls
from eucan_dask.variables import VARIANT_CLASSIFICATIONS, VARIANT_TYPES
from eucan_dask.variant import contig_order

__all__ = ["Somatic", "from_calls"]

Values = np.ndarray[Any, Any]

_COLUMNS = {
    "contig": "int16",
    "position": "int32",
    "end_position": "int32",
    "sample": "int32",
    "gene": "int32",
    "classification": "int8",
    "variant_type": "int8",
}
_CODED = {"classification": VARIANT_CLASSIFICATIONS, "variant_type": VARIANT_TYPES}
_SAME = ("sample", "contig", "position", "reference", "alternate", "gene", "classification")


@dataclass(frozen=True)
class Somatic:
    """The arrays of the shard.

    Parameters
    ----------
    sample_id, sample_assay
        The samples that were assayed, and the index of their assay.
    assays
        Each with its gene list; their `samples` are not used here.
    gene_symbol, contig_id, allele
        The vocabularies of the columns below.
    columns
        One array per column of the mutations: codes and positions.
    """

    sample_id: tuple[str, ...]
    sample_assay: tuple[int, ...]
    assays: tuple[Assay, ...]
    gene_symbol: tuple[str, ...]
    contig_id: tuple[str, ...]
    allele: tuple[str, ...]
    columns: Mapping[str, Values]

    @property
    def n_mutations(self) -> int:
        """How many mutations there are."""
        return len(self.columns["position"])

    def canonical(self) -> tuple[Somatic, int]:
        """The same content in its one order, and how many duplicate rows collapsed.

        Vocabularies are sorted and hold nothing that is not used (a gene may be used by an assay);
        mutations are sorted by sample, contig, position and alleles. So the shard tells nothing of
        the order of its inputs, nor of people withdrawn from it.
        """
        columns = dict(self.columns)
        assays = sorted(set(self.sample_assay))
        listed = {gene for index in assays for gene in self.assays[index].genes}
        samples = sorted(range(len(self.sample_id)), key=self.sample_id.__getitem__)
        columns["sample"] = np.argsort(samples)[columns["sample"]] if samples else columns["sample"]
        genes, columns["gene"] = _compact(self.gene_symbol, columns["gene"], always=listed)
        contigs, columns["contig"] = _compact(self.contig_id, columns["contig"], order=contig_order)
        allele, both = _compact(
            self.allele, np.concatenate([columns["reference"], columns["alternate"]])
        )
        columns["reference"], columns["alternate"] = np.split(both, 2)
        columns, n_collapsed = _sorted_rows(columns)
        kept = Somatic(
            tuple(self.sample_id[i] for i in samples),
            tuple(assays.index(self.sample_assay[i]) for i in samples),
            tuple(self.assays[i] for i in assays),
            genes,
            contigs,
            allele,
            columns,
        )
        return kept, n_collapsed

    def without(self, samples: Sequence[str]) -> Somatic:
        """The shard without some samples and their mutations."""
        keep = [i for i, sample in enumerate(self.sample_id) if sample not in set(samples)]
        codes = np.full(len(self.sample_id), -1)
        codes[keep] = np.arange(len(keep))
        sample = codes[self.columns["sample"]]
        columns = {name: values[sample >= 0] for name, values in self.columns.items()}
        columns["sample"] = sample[sample >= 0]
        smaller = replace(
            self,
            sample_id=tuple(self.sample_id[i] for i in keep),
            sample_assay=tuple(self.sample_assay[i] for i in keep),
            columns=columns,
        )
        return smaller.canonical()[0]

    def joined(self, other: Somatic) -> tuple[Somatic, int]:
        """Both shards in one; their samples are different ones.

        Raises
        ------
        Invalid
            If a sample is in both, or an assay of one name has other genes.
        """
        both = sorted(set(self.sample_id) & set(other.sample_id))
        if both:
            raise Invalid(
                f"{len(both)} samples are in the store already",
                found=", ".join(both[:5]),
                remedy="add new samples only; to replace one, withdraw its person first",
            )
        assays = {assay.id: assay for assay in self.assays}
        for assay in other.assays:
            if assays.setdefault(assay.id, assay) != assay:
                raise Invalid(
                    f"assay {assay.id!r} covers other genes than the store's assay of that name",
                    remedy="give it another id",
                )
        index = {name: i for i, name in enumerate(assays)}
        columns = {name: [self.columns[name], other.columns[name]] for name in self.columns}
        columns["sample"][1] = columns["sample"][1] + len(self.sample_id)
        merged = {"gene": (self.gene_symbol, other.gene_symbol)}
        merged["contig"] = (self.contig_id, other.contig_id)
        merged["reference"] = merged["alternate"] = (self.allele, other.allele)
        words = {name: _merge(columns[name], *pair) for name, pair in merged.items()}
        return Somatic(
            self.sample_id + other.sample_id,
            tuple(index[s.assays[i].id] for s in (self, other) for i in s.sample_assay),
            tuple(assays.values()),
            words["gene"],
            words["contig"],
            words["reference"],
            {name: np.concatenate(pair) for name, pair in columns.items()},
        ).canonical()

    def to_arrays(self) -> dict[str, Array]:
        """The arrays as the store's layout has them."""
        lists = [set(assay.genes) for assay in self.assays]
        covered = [
            [
                assay.all_genes or gene in genes
                for assay, genes in zip(self.assays, lists, strict=True)
            ]
            for gene in self.gene_symbol
        ]
        every = np.array([assay.all_genes for assay in self.assays], dtype=bool)
        shape = (len(self.gene_symbol), len(self.assays))
        out = {
            "sample_id": Array(("samples",), strings(self.sample_id)),
            "sample_assay": Array(("samples",), np.array(self.sample_assay, dtype="int16")),
            "assay_id": Array(("assays",), strings(assay.id for assay in self.assays)),
            "assay_all_genes": Array(("assays",), every),
            "gene_symbol": Array(("genes",), strings(self.gene_symbol)),
            "gene_assayed": Array(
                ("genes", "assays"), np.array(covered, dtype=bool).reshape(shape)
            ),
            "contig_id": Array(("contigs",), strings(self.contig_id)),
        }
        for name, dtype in _COLUMNS.items():
            attrs = {"categories": list(_CODED[name])} if name in _CODED else {}
            values = self.columns[name].astype(dtype)
            out[f"mutation_{name}"] = Array(("mutations",), values, attrs)
        words = strings(self.allele)
        alleles = np.stack([words[self.columns[n]] for n in ("reference", "alternate")], axis=1)
        out["mutation_allele"] = Array(("mutations", "alleles"), alleles)
        return out

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Somatic:
        """The shard from its arrays."""
        genes = [str(gene) for gene in arrays["gene_symbol"].values]
        every = arrays["assay_all_genes"].values
        covered = arrays["gene_assayed"].values
        assays = tuple(
            Assay(
                str(name),
                ()
                if every[i]
                else tuple(g for g, yes in zip(genes, covered[:, i], strict=True) if yes),
                bool(every[i]),
            )
            for i, name in enumerate(arrays["assay_id"].values)
        )
        columns = {name: arrays[f"mutation_{name}"].values.astype(np.int64) for name in _COLUMNS}
        words, codes = _factorise(arrays["mutation_allele"].values.ravel())
        columns["reference"], columns["alternate"] = codes[::2], codes[1::2]
        return cls(
            tuple(map(str, arrays["sample_id"].values)),
            tuple(map(int, arrays["sample_assay"].values)),
            assays,
            tuple(genes),
            tuple(map(str, arrays["contig_id"].values)),
            words,
            columns,
        )


def from_calls(
    calls: Calls, assays: Sequence[Assay], assigned: Mapping[str, int]
) -> tuple[Somatic, int]:
    """The shard made of MAF calls, and how many duplicate rows collapsed.

    Raises
    ------
    Invalid
        If a mutation lies in a gene its sample's assay does not cover; names file and line.
    """
    samples = tuple(assigned)
    index = {sample: i for i, sample in enumerate(samples)}
    lookup = np.array([index[sample] for sample in calls.samples.words], dtype=np.int64)
    columns = {n: v for n, v in calls.columns.items() if n not in ("line", "source")}
    columns["sample"] = lookup[columns["sample"]] if len(lookup) else columns["sample"]
    somatic = Somatic(
        samples,
        tuple(assigned.values()),
        tuple(replace(assay, samples=None) for assay in assays),
        (
            *calls.genes.words,
            *sorted({g for a in assays for g in a.genes} - set(calls.genes.words)),
        ),
        tuple(calls.contigs.words),
        tuple(calls.alleles.words),
        columns,
    )
    _check_covered(somatic, calls)
    return somatic.canonical()


def _check_covered(somatic: Somatic, calls: Calls) -> None:
    assay = np.array(somatic.sample_assay, dtype=np.int64)[somatic.columns["sample"]]
    for index, named in enumerate(somatic.assays):
        if named.all_genes:
            continue
        genes = set(named.genes)
        outside = np.array([gene not in genes for gene in somatic.gene_symbol] + [False])
        rows = np.flatnonzero((assay == index) & outside[somatic.columns["gene"]])
        if len(rows):
            gene = somatic.gene_symbol[int(somatic.columns["gene"][rows[0]])]
            raise Invalid(
                f"gene {gene} is not covered by the sample's assay {named.id!r}",
                where=calls.where(int(rows[0])),
                remedy="add the gene to the assay, or the sample to another assay",
            )


def _compact(
    words: Sequence[str],
    codes: Values,
    *,
    always: Set[str] = frozenset(),
    order: Callable[[str], Any] = str,
) -> tuple[tuple[str, ...], Values]:
    """The words in use, sorted, and the codes into them; -1 stays -1."""
    used = {words[code] for code in np.unique(codes) if code >= 0} | always
    ordered = sorted(used, key=order)
    index = {word: code for code, word in enumerate(ordered)}
    lookup = np.array([index.get(word, -1) for word in words] + [-1], dtype=np.int64)
    return tuple(ordered), lookup[codes]


def _sorted_rows(columns: Mapping[str, Values]) -> tuple[dict[str, Values], int]:
    keys = (*_SAME, "end_position", "variant_type")
    order = np.lexsort([columns[name] for name in reversed(keys)])
    ordered = {name: values[order] for name, values in columns.items()}
    new = np.ones(len(order), dtype=bool)
    if len(order):
        new[1:] = np.any([np.diff(ordered[name]) != 0 for name in _SAME], axis=0)
    return {name: values[new] for name, values in ordered.items()}, int((~new).sum())


def _merge(pair: list[Values], first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """One vocabulary for two; the codes of the second are changed in place of the pair."""
    index = {word: code for code, word in enumerate(first)}
    for word in second:
        index.setdefault(word, len(index))
    lookup = np.array([index[word] for word in second] + [-1], dtype=np.int64)
    pair[1] = lookup[pair[1]]
    return tuple(index)


def _factorise(values: Values) -> tuple[tuple[str, ...], Values]:
    index: dict[str, int] = {}
    codes = [index.setdefault(str(value), len(index)) for value in values]
    return tuple(index), np.array(codes, dtype=np.int64)
