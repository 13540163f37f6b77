"""Federations of public cohorts with genotypes: each site ingests the calls of its own people."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from bed_reader import open_bed, to_bed
from cohorts import federate, one_centre

from eucan_dask.store.ingest_variants import ingest_plink, ingest_vcf

REAL = Path(__file__).parent
LETTERS = {"1": "A", "2": "C", "D": "A", "d": "C"}  # for alleles that are no bases
POPULATIONS = ("CEU", "HCB", "JPT", "YRI")
FIXED = 9  # columns of a VCF before its samples'


def hapmap(out: Path, shared: Path, **options: Any) -> Path:
    """HapMap, one site a population unless `centre_of` says otherwise."""
    folder = shared / "germline_hapmap"
    return federate(
        out,
        folder / "samples.tsv",
        mapping=REAL / "hapmap.toml",
        **{
            "centre_of": lambda row: row["population"],
            "assembly": "NCBI36",
            "genotypes": partial(ingest_part_of_vcf, folder / "hapmap_279.vcf.gz", "sample"),
            **options,
        },
    )


def thousand(out: Path, shared: Path, **options: Any) -> Path:
    """100 people of the 1000 Genomes Project: FIN, and the women and the men of GBR.

    All are of one super-population, EUR.
    """
    folder = shared / "germline_1kg_chr22"
    vcf = folder / "sample2_100x735.vcf.gz"
    panel = pd.read_csv(
        folder / "integrated_call_samples_v3.20130502.ALL.panel", sep=r"\s+", dtype=str
    )
    out.mkdir(parents=True)
    panel[panel["sample"].isin(samples_of(vcf))].to_csv(out / "people.tsv", sep="\t", index=False)
    return federate(
        out,
        out / "people.tsv",
        mapping=REAL / "thousand.toml",
        **{
            "centre_of": lambda row: row["pop"] + ("-" + row["gender"]) * (row["pop"] == "GBR"),
            "genotypes": partial(ingest_part_of_vcf, vcf, "sample"),
            **options,
        },
    )


def regenie(out: Path, shared: Path, *, example: str = "example", **options: Any) -> Path:
    """The example of regenie, people dealt to three sites in turn."""
    folder = shared / "gwas_regenie"
    out.mkdir(parents=True)
    regenie_people(folder).to_csv(out / "people.tsv", sep="\t", index=False)
    return federate(
        out,
        out / "people.tsv",
        mapping=REAL / "regenie.toml",
        **{
            "centre_of": lambda row: row["site"],
            "genotypes": partial(ingest_part_of_bed, folder / example, "IID"),
            **options,
        },
    )


def regenie_people(folder: Path) -> pd.DataFrame:
    """Covariates, phenotypes and the site of everybody, as text."""
    tables = [
        pd.read_csv(folder / f"{name}.txt", sep=" ", dtype=str)
        for name in ("covariates", "phenotype")
    ]
    people = tables[0].merge(tables[1], on=["FID", "IID"])
    # Sites of 250, 150 and 100 people.
    people["site"] = ["aabac"[i % 5] if i % 10 < 5 else "abbca"[i % 5] for i in range(len(people))]
    return people


def asthma(out: Path, shared: Path, **options: Any) -> Path:
    """The asthma study of SNPassoc, one site a country."""
    out.mkdir(parents=True)
    people, vcf = asthma_vcf(shared, out)
    people.to_csv(out / "people.tsv", sep="\t", index=False, na_rep="NA")
    return federate(
        out,
        out / "people.tsv",
        mapping=REAL / "asthma.toml",
        **{
            "centre_of": lambda row: row["country"],
            "genotypes": partial(ingest_part_of_vcf, vcf, "person"),
            **options,
        },
    )


def asthma_alleles(shared: Path) -> pd.DataFrame:
    """Every SNP with a made-up place: the alleles, REF the more frequent one, and the label."""
    calls = asthma_people(shared).filter(regex=r"^(rs|hopo)\d+$")
    rows = []
    for number, (snp, column) in enumerate(calls.items(), start=1):
        ref, alt = pd.Series(list("".join(column.dropna()))).value_counts().index
        rows.append((snp, 1000 * number, ref, alt, f"1:{1000 * number}:{ref}:{alt}"))
    return pd.DataFrame(rows, columns=["snp", "position", "ref", "alt", "variant"])


def asthma_people(shared: Path) -> pd.DataFrame:
    """The table of the study, with ids."""
    people = pd.read_csv(shared / "gwas_snpassoc" / "asthma_1578x51.tsv", sep="\t")
    return people.assign(person=[f"asthma-{i:04d}" for i in range(1, len(people) + 1)])


def asthma_vcf(shared: Path, out: Path) -> tuple[pd.DataFrame, Path]:
    """The clinical part of the table, and its genotypes as a VCF."""
    people = asthma_people(shared)
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=1>"]
    lines.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">')
    head = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT".split()
    lines.append("\t".join([*head, *people["person"]]))
    for one in asthma_alleles(shared).itertuples():
        number = {one.ref: "0", one.alt: "1"}
        calls = [
            "/".join(sorted(number[a] for a in call)) if isinstance(call, str) else "./."
            for call in people[one.snp]
        ]
        fixed = ["1", str(one.position), one.snp, one.ref, one.alt, ".", "PASS", ".", "GT"]
        lines.append("\t".join([*fixed, *calls]))
    path = out / "asthma.vcf"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return people[["person", "country", "gender", "age", "bmi", "casecontrol"]], path


def ingest_part_of_vcf(
    vcf: Path, column: str, own: Path, held: pd.DataFrame, **options: Any
) -> None:
    """Ingest the columns of a VCF that belong to `held`."""
    part = own / "calls.vcf"
    part.write_text(part_of_vcf(vcf, list(held[column])), encoding="utf-8")
    ingest_vcf(part, workers=1, **options)


def part_of_vcf(vcf: Path, samples: Sequence[str]) -> str:
    """The text of a VCF with only these samples."""
    meta, rows = lines_of(vcf)
    place = {name: i for i, name in enumerate(rows[0])}
    wanted = [*range(FIXED), *(place[sample] for sample in samples)]
    return "\n".join([*meta, *("\t".join([row[i] for i in wanted]) for row in rows)]) + "\n"


def samples_of(vcf: Path) -> list[str]:
    """The samples of a VCF."""
    return lines_of(vcf)[1][0][FIXED:]


def lines_of(vcf: Path) -> tuple[list[str], list[list[str]]]:
    """The header's lines, and the fields of every other line, names of columns first."""
    opened = gzip.open if vcf.suffix == ".gz" else open
    with opened(vcf, "rt", encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    n_meta = sum(line.startswith("##") for line in lines)
    return lines[:n_meta], [line.split("\t") for line in lines[n_meta:]]


def vcf_labels(vcf: Path) -> list[str]:
    """The variants of a VCF of biallelic records, each once."""
    _, (_, *rows) = lines_of(vcf)
    return list(dict.fromkeys(":".join((row[0], row[1], *row[3:5])) for row in rows))


def regenie_labels(bim: Path) -> list[str]:
    """The variants of a .bim, alleles as bases: allele 2 is REF."""
    rows = [line.split() for line in bim.read_text().splitlines()]
    return [f"{row[0]}:{row[3]}:{LETTERS[row[5]]}:{LETTERS[row[4]]}" for row in rows]


def ingest_part_of_bed(
    prefix: Path, column: str, own: Path, held: pd.DataFrame, **options: Any
) -> None:
    """Ingest the people of a fileset that belong to `held`."""
    ingest_plink(part_of_bed(prefix, own / prefix.name, list(held[column])), workers=1, **options)


def part_of_bed(
    prefix: Path, to: Path, samples: Sequence[str], *, letters: bool | None = None
) -> Path:
    """A fileset of only these people; with `letters` alleles are bases, as `LETTERS` has them."""
    with open_bed(prefix.with_suffix(".bed"), num_threads=1) as bed:
        place = {name: i for i, name in enumerate(bed.iid)}
        rows = [place[sample] for sample in samples]
        per_person = ("fid", "iid", "father", "mother", "sex", "pheno")
        properties = {
            name: values[rows] if name in per_person else values
            for name, values in bed.properties.items()
        }
        if letters or (letters is None and set(properties["allele_1"]) & {"D", "d"}):
            for name in ("allele_1", "allele_2"):
                properties[name] = [LETTERS[allele] for allele in properties[name]]
        calls = bed.read(index=(rows, slice(None)), dtype="int8")
    to_bed(to.with_suffix(".bed"), calls, properties=properties, num_threads=1)
    return to


def at_random(n: int) -> Callable[[pd.Series], Hashable]:
    """Sites that share every population, by the row's number."""
    return lambda row: f"site{row.name % n}"


Build = Callable[..., Path]
BY: dict[str, Build] = {
    "hapmap": hapmap,
    "1000 genomes": thousand,
    "regenie": regenie,
    "regenie 3chr": partial(regenie, example="example_3chr"),
    "asthma": asthma,
    "hapmap dealt to four": partial(hapmap, centre_of=at_random(4)),
}
BUILDERS: dict[str, Build] = {
    **BY,
    **{f"{name} as one": partial(build, centre_of=one_centre) for name, build in BY.items()},
    "hapmap at random": partial(hapmap, centre_of=at_random(2)),
}
