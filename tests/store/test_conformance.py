"""Public VCF, BCF and PLINK fixtures into a store and out again, compared by bcftools.

Not kept, and left out of the comparison: INFO but END, FORMAT but GT, `chr`, the order of contigs.
A record whose FORMAT has no GT comes back with every call missing.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from eucan_dask.errors import Invalid
from eucan_dask.store.export import export_vcf
from eucan_dask.store.ingest_variants import ingest_plink, ingest_vcf
from eucan_dask.store.inspect import verify
from eucan_dask.variant import contig_name

ZARR = "vcf_zarr_conformance/vcf"
HAIL = "vcf_edge_cases_hail"
SPLIT = f"{ZARR}/out_of_order_contigs.vcf.gz.2.split"
PARTS = f"{ZARR}/sample.vcf.gz.3.split"

FILES = {
    "NCBI36": [
        *(f"{ZARR}/sample{n}.vcf.gz" for n in ("", "_all_missing_gts", "_extra_contig")),
        *(f"{ZARR}/sample{n}.vcf.gz" for n in ("_missing_contig", "_missing_contig_csi")),
        *(f"{ZARR}/sample{n}.bcf" for n in ("", "_extra_contig", "_missing_contig")),
        f"{ZARR}/sample_no_genotypes.vcf.gz",
        *(f"{PARTS}/{n}.vcf.gz" for n in ("19_1-", "20", "X")),
        f"{HAIL}/ex.vcf",
        "germline_hapmap/hapmap_279.vcf.gz",  # holds a record twice, alike in everything
    ],
    "GRCh37": [
        *(f"{ZARR}/CEUTrio.20.21.gatk3.4.g{n}" for n in (".bcf", ".vcf.bgz", ".old_tabix.vcf.bgz")),
        f"{ZARR}/NA12878.prod.chr20snippet.g.vcf.gz",
        *(f"{ZARR}/{n}" for n in ("empty.vcf", "empty.vcf.gz", "triploid.vcf.gz")),
        f"{ZARR}/out_of_order_contigs.vcf.gz",
        *(f"{SPLIT}/{n}" for n in ("A.bcf", "A.vcf.gz", "B_1-.bcf", "B_1-.vcf.gz")),
        *(f"{HAIL}/{n}.vcf" for n in ("33alleles", "HWE_test", "casecontrolcount", "gqbydp_test")),
        *(f"{HAIL}/{n}.vcf" for n in ("mendel", "missingInfoArray", "split_test", "split_test_b")),
        *(f"{HAIL}/{n}" for n in ("x-chromosome.vcf", "pc_relate_bn_input.vcf.bgz")),
        "germline_1kg_chr22/sample2_100x735.vcf.gz",
        "sv_callers_vcf/delly.vcf",
        "sv_callers_vcf/manta.vcf",
    ],
    "GRCh38": [
        f"{ZARR}/1kg_2020_chrM.bcf",
        f"{ZARR}/1kg_2020_chrM.vcf.gz",
        f"{HAIL}/HG00187.hg38.g.vcf.gz",
        f"{HAIL}/sample.gnomad.genomes.r3.0.sites.chr1.vcf.gz",
    ],
}
REFUSED = {
    f"{HAIL}/duplicate_ids.vcf": r"duplicate_ids\.vcf, line 17: names sample '5' twice",
    f"{HAIL}/malformed.vcf": r"malformed\.vcf, record 2: sample columns.*expected 100; found 155",
    "sv_callers_vcf/lumpy.vcf": r"lumpy\.vcf, line 33: names sample 'mouse01_T' twice",
    f"{HAIL}/triomatrix.vcf": r"triomatrix\.vcf, record 4: unsorted records.*bcftools sort",
}
CASES = [(name, assembly) for assembly, names in FILES.items() for name in names]
NO_GT = {("19", "112")}  # in sample_all_missing_gts: DP alone


def query(bcftools: str, path: Path) -> list[str]:
    """The records as bcftools reads them, by our names of contigs, in genome order."""
    listing = [bcftools, "query", "-l", str(path)]
    has_samples = subprocess.run(listing, check=True, capture_output=True).stdout
    header = subprocess.run([bcftools, "view", "-h", str(path)], check=True, capture_output=True)
    fields = "%CHROM\t%POS\t%ID\t%REF\t%ALT\t%QUAL\t%FILTER"
    fields += "\t%INFO/END" if b"<ID=END," in header.stdout else "\t."
    fields += "[\t%GT]" if has_samples and b"FORMAT=<ID=GT," in header.stdout else ""
    command = [bcftools, "query", "-f", fields + "\n", str(path)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in text.splitlines()]
    named = [[contig_name(row[0]), *row[1:]] for row in rows]
    return ["\t".join(row) for row in sorted(named, key=lambda row: row[0])]


def come_back(bcftools: str, given: list[Path], out: Path, *, but_gt: bool = False) -> None:
    """The export holds what the files hold."""
    expected = sorted((line for path in given for line in query(bcftools, path)), key=_contig)
    found = query(bcftools, out)
    if but_gt:
        missing = "\t".join(["./."] * 3)
        expected = [
            "\t".join(line.split("\t")[:8]) + f"\t{missing}"
            if tuple(line.split("\t")[:2]) in NO_GT
            else line
            for line in expected
        ]
    assert found == expected


def _contig(line: str) -> str:
    return line.split("\t")[0]


@pytest.mark.parametrize(("name", "assembly"), CASES, ids=[name for name, _ in CASES])
def test_ingest_vcf__round_trip(
    shared: Path, tmp_path: Path, bcftools: str, name: str, assembly: str
) -> None:
    store = tmp_path / "store"
    ingest_vcf(shared / name, store=store, assembly=assembly, workers=1)
    assert not verify(store)
    export_vcf(store, tmp_path / "out.vcf.gz")
    come_back(
        bcftools,
        [shared / name],
        tmp_path / "out.vcf.gz",
        but_gt="all_missing" in name,
    )


@pytest.mark.parametrize("name", REFUSED)
def test_ingest_vcf__refused(shared: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match=REFUSED[name]):
        ingest_vcf(shared / name, store=tmp_path / "store", assembly="GRCh37", workers=1)
    assert not (tmp_path / "store" / "eucan.json").exists()


def test_ingest_vcf__every_file_is_named_here(shared: Path) -> None:
    """A fixture added to the folders is tested or fails this."""
    folders = (ZARR, SPLIT, PARTS, HAIL, "sv_callers_vcf", "germline_1kg_chr22", "germline_hapmap")
    there = {
        f"{folder}/{path.name}"
        for folder in folders
        for path in (shared / folder).iterdir()
        if path.is_file() and path.name.endswith((".vcf", ".vcf.gz", ".vcf.bgz", ".bcf"))
    }
    assert there == {name for name, _ in CASES} | REFUSED.keys()


def test_ingest_vcf__parts_as_the_whole(shared: Path, tmp_path: Path, bcftools: str) -> None:
    parts = [shared / PARTS / f"{name}.vcf.gz" for name in ("X", "20", "19_1-")]
    ingest_vcf(parts, store=tmp_path / "store", assembly="NCBI36", workers=1)
    export_vcf(tmp_path / "store", tmp_path / "out.vcf")
    come_back(bcftools, [shared / ZARR / "sample.vcf.gz"], tmp_path / "out.vcf")


def test_ingest_vcf__sorted_triomatrix(shared: Path, tmp_path: Path, bcftools: str) -> None:
    """Refused as it is, for it is unsorted."""
    text = (shared / HAIL / "triomatrix.vcf").read_text().splitlines()
    head = [line for line in text if line.startswith("#")]
    body = [line for line in text if not line.startswith("#")]
    body.sort(key=lambda line: (line.split("\t")[0], int(line.split("\t")[1])))
    path = tmp_path / "sorted.vcf"
    path.write_text("\n".join([*head, *body]) + "\n")
    ingest_vcf(path, store=tmp_path / "store", assembly="GRCh37", workers=1)
    export_vcf(tmp_path / "store", tmp_path / "out.vcf")
    come_back(bcftools, [path], tmp_path / "out.vcf")


@pytest.mark.parametrize("name", ["example", "example_with_fam", "plink_sim_10s_100v_10pmiss"])
def test_ingest_plink__round_trip(shared: Path, tmp_path: Path, bcftools: str, name: str) -> None:
    prefix = shared / "vcf_zarr_conformance" / "plink" / name
    ingest_plink(prefix, store=tmp_path / "store", assembly="GRCh37", workers=1)
    export_vcf(tmp_path / "store", tmp_path / "out.vcf")
    come_back(bcftools, [Path(f"{prefix}.vcf")], tmp_path / "out.vcf")
