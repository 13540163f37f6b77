"""Writing a store's genotypes as VCF, read back with cyvcf2 and bcftools."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cyvcf2
import numpy as np
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.store import cutting
from eucan_dask.store.edit import withdraw
from eucan_dask.store.export import export_vcf
from eucan_dask.store.export_calls import join_calls, write_calls
from eucan_dask.store.ingest import ingest_clinical
from eucan_dask.store.ingest_variants import ingest_plink, ingest_vcf
from tests.store.genotypes import ROWS, SAMPLES, plink, simulated, vcf
from tests.store.store_tables import CLINICAL, table
from tests.store.test_normalise import START, genome
from tests.store.test_vcf import BODY, HEAD


def stored(tmp_path: Path, text: str, **options: object) -> Path:
    (tmp_path / "in.vcf").write_text(text)
    store = tmp_path / "store"
    ingest_vcf(tmp_path / "in.vcf", store=store, assembly="GRCh38", workers=1, **options)  # type: ignore[arg-type]
    return store


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("##")]


def test_export_vcf__the_source_records(tmp_path: Path) -> None:
    store = stored(tmp_path, HEAD + BODY)
    export_vcf(store, tmp_path / "out.vcf")
    head, *found = lines(tmp_path / "out.vcf")
    assert head == "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\tc"
    assert found == [
        "1\t1\t.\tG\t]chr2:5]G\t99\tPASS\t.\tGT\t1\t0|.\t0|1",
        "1\t7\t.\tT\tC\t0\tPASS\t.\tGT\t./.\t./.\t./.",
        "2\t5\t.\tA\tC\t.\t.\t.\tGT\t0/0\t0|1\t./.",
        "2\t5\trs1;rs2\tAC\tA,<DEL>,*\t30.5\tq10;s5\tEND=90\tGT\t0/3\t1|2\t.",
        "2\t90\t.\tN\t.\t0.001\tPASS\t.\tGT\t0/0\t./.\t0",
        "MT\t16000\t.\tT\tG\tinf\t.\t.\tGT\t1\t.\t0",
    ]


def test_export_vcf__header(tmp_path: Path) -> None:
    store = stored(tmp_path, HEAD + BODY)
    export_vcf(store, tmp_path / "out.vcf")
    text = (tmp_path / "out.vcf").read_text().split("#CHROM")[0].splitlines()
    assert text[0] == "##fileformat=VCFv4.3"
    assert "##contig=<ID=1,length=248956422,assembly=GRCh38>" in text
    assert "##contig=<ID=MT,assembly=GRCh38>" in text
    assert [line[:19] for line in text if line.startswith("##FILTER")] == [
        "##FILTER=<ID=PASS,D",
        "##FILTER=<ID=q10,De",
        "##FILTER=<ID=s5,Des",
    ]


def test_export_vcf__can_be_ingested_again(tmp_path: Path) -> None:
    export_vcf(stored(tmp_path, HEAD + BODY), tmp_path / "one.vcf")
    ingest_vcf(tmp_path / "one.vcf", store=tmp_path / "again", assembly="GRCh38", workers=1)
    export_vcf(tmp_path / "again", tmp_path / "two.vcf")
    assert (tmp_path / "one.vcf").read_bytes() == (tmp_path / "two.vcf").read_bytes()


def test_export_vcf__bgzip_with_an_index(tmp_path: Path, bcftools: str) -> None:
    store = stored(tmp_path, HEAD + BODY)
    (tmp_path / "out.vcf.gz.csi").write_bytes(b"stale")
    export_vcf(store, tmp_path / "out.vcf.gz")
    names = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(("out", ".")))
    assert names == ["out.vcf.gz", "out.vcf.gz.tbi"]
    command = [bcftools, "view", "-H", "-r", "2:90", str(tmp_path / "out.vcf.gz")]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert found.count("\n") == 2, "the record at 5 ends at 90"


def test_export_vcf__positions_beyond_tbi(tmp_path: Path) -> None:
    text = HEAD + "wheat\t700000000\t.\tA\tC\t.\t.\t.\tGT\t0/0\t0|1\t./.\n"
    export_vcf(stored(tmp_path, text), tmp_path / "out.vcf.gz")
    assert (tmp_path / "out.vcf.gz.csi").exists()
    assert not (tmp_path / "out.vcf.gz.tbi").exists()


@pytest.mark.parametrize("n_samples", [5, 61])
def test_export_vcf__records_over_several_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_samples: int
) -> None:
    """Variants of one record in different shards, moved to the left of others."""
    monkeypatch.setattr(cutting, "SHARD_VARIANTS", 3)
    rng = np.random.default_rng(n_samples)
    rows = []
    for position in (14, 20, 28, 30, 33, 40):
        ref = START[position - 1 : position + 5]
        alts = [ref[:1], ref[:3], f"{ref}G", "*"]
        calls = " ".join(
            f"{a}{rng.choice(['/', '|'])}{b}" for a, b in rng.integers(0, 5, (n_samples, 2))
        )
        rows.append(("1", position, f"r{position}", ref, ",".join(alts), calls))
    names = [f"S{i}" for i in range(n_samples)]
    path = vcf(tmp_path / "a.vcf", rows, names)
    reference = genome(tmp_path / "genome.fa", chr1=START)
    manifest = ingest_vcf(
        path, store=tmp_path / "s", assembly="GRCh38", reference=reference, workers=1
    )
    assert len(manifest.variants) > 5
    export_vcf(tmp_path / "s", tmp_path / "out.vcf")
    assert lines(tmp_path / "out.vcf") == lines(path)


def test_export_vcf__a_record_that_stands_there_twice(tmp_path: Path) -> None:
    rows = [("1", 5, name, "A", "C,G", "0/1 1/2") for name in ("x", "y")]
    path = vcf(tmp_path / "a.vcf", rows, ("a", "b"))
    ingest_vcf(path, store=tmp_path / "s", assembly="GRCh38", workers=1)
    export_vcf(tmp_path / "s", tmp_path / "out.vcf")
    assert lines(tmp_path / "out.vcf") == lines(path)


def test_export_vcf__many_samples_as_cyvcf2_reads_them(tmp_path: Path) -> None:
    rows, alleles = simulated(50, 37)
    names = [f"S{i}" for i in range(37)]
    ingest_vcf(
        vcf(tmp_path / "a.vcf.gz", rows, names), store=tmp_path / "s", assembly="GRCh38", workers=1
    )
    calls: list[int] = []
    export_vcf(tmp_path / "s", tmp_path / "out.vcf.gz", progress=lambda *a: calls.append(a[0]))
    found = [v.genotype.array()[:, :2] for v in cyvcf2.VCF(str(tmp_path / "out.vcf.gz"))]
    assert np.array_equal(np.array(found), alleles)


def test_export_vcf__triploid(tmp_path: Path) -> None:
    body = "chr1\t1\t.\tG\tA,T\t.\t.\t.\tGT\t0/1/2\t1|1|2\t./.\n"
    export_vcf(stored(tmp_path, HEAD + body), tmp_path / "out.vcf")
    assert lines(tmp_path / "out.vcf")[1].split("\t")[9:] == ["0/1/2", "1|1|2", "./."]


def test_export_vcf__sites_only(tmp_path: Path) -> None:
    """Trimmed, split, plain alleles only: what a panel can be made of."""
    store = stored(tmp_path, HEAD + BODY)
    export_vcf(store, tmp_path / "out.vcf", sites_only=True)
    assert lines(tmp_path / "out.vcf") == [
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
        "1\t7\t.\tT\tC\t0\tPASS\t.",
        "2\t5\t.\tA\tC\t.\t.\t.",
        "2\t5\trs1;rs2\tAC\tA\t30.5\tq10;s5\tEND=90",
        "MT\t16000\t.\tT\tG\tinf\t.\t.",
    ]


def test_export_vcf__a_store_of_sites(tmp_path: Path) -> None:
    head = HEAD.replace("\tFORMAT\ta\tb\tc", "")
    export_vcf(stored(tmp_path, head + "chr1\t1\tx\tG\tA,T\t.\t.\t.\n"), tmp_path / "out.vcf")
    assert lines(tmp_path / "out.vcf")[1:] == ["1\t1\tx\tG\tA,T\t.\t.\t."]


def test_export_vcf__a_header_alone(tmp_path: Path) -> None:
    store = stored(tmp_path, HEAD)
    export_vcf(store, tmp_path / "out.vcf.gz")
    assert cyvcf2.VCF(str(tmp_path / "out.vcf.gz")).samples == ["a", "b", "c"]


def test_export_vcf__plink(tmp_path: Path) -> None:
    copies = np.array([[0, 1, 2, -1], [2, 2, 0, 1]])
    ingest_plink(
        plink(tmp_path / "f", copies, SAMPLES, (1, 2, 0, 1), contig="X"),
        store=tmp_path / "s",
        assembly="GRCh38",
        workers=1,
    )
    export_vcf(tmp_path / "s", tmp_path / "out.vcf")
    assert lines(tmp_path / "out.vcf")[1:] == [
        "X\t100\tv0\tA\tG\t.\t.\t.\tGT\t0/0\t0/1\t1/1\t./.",
        "X\t110\tv1\tA\tG\t.\t.\t.\tGT\t1/1\t1/1\t0/0\t0/1",
    ]


def test_export_vcf__after_a_withdrawal(tmp_path: Path) -> None:
    """Whoever left is in no column, and an ALT only they had is gone."""
    store = tmp_path / "s"
    ingest_clinical(table(tmp_path / "c.tsv", CLINICAL), store=store, mapping="plain")
    ingest_vcf(
        vcf(tmp_path / "a.vcf", ROWS), store=store, assembly="GRCh37", unmatched="keep", workers=1
    )
    withdraw(store, ["C"])
    export_vcf(store, tmp_path / "out.vcf")
    head, *found = lines(tmp_path / "out.vcf")
    assert head.split("\t")[9:] == ["A-1", "B-1", "B-2"]
    assert [line.split("\t")[9:] for line in found][:2] == [
        ["0/0", "0/1", "1/1"],
        ["0|1", "1/2", "2/2"],
    ]


def test_export_vcf__refused(tmp_path: Path, store: Path) -> None:
    with pytest.raises(Invalid, match="has no genotypes"):
        export_vcf(store, tmp_path / "out.vcf")
    with pytest.raises(Invalid, match="not the name of a VCF"):
        export_vcf(store, tmp_path / "out.txt")
    (tmp_path / "in.vcf").write_text(HEAD + BODY)
    ingest_vcf(tmp_path / "in.vcf", store=tmp_path / "t", assembly="GRCh38", workers=1)
    with pytest.raises(Invalid, match="cannot be written"):
        export_vcf(tmp_path / "t", tmp_path / "nowhere" / "out.vcf")


def test_export_vcf__replaces_when_all_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stored(tmp_path, HEAD + BODY)
    (tmp_path / "out.vcf").write_text("before")

    def stop(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("eucan_dask.store.export_records.write_calls", stop)
    with pytest.raises(KeyboardInterrupt):
        export_vcf(store, tmp_path / "out.vcf")
    assert (tmp_path / "out.vcf").read_text() == "before"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_join_calls__of_three_alts() -> None:
    calls = np.array([[0, 3], [2, 1], [-1, 2], [1, -2], [0, 0]], dtype=np.int8)
    rows = [
        np.where(calls == alt, 1, np.where(calls > 0, -1, calls)).astype(np.int8)
        for alt in (1, 2, 3)
    ]
    assert join_calls(rows, [1, 2, 3]).tolist() == calls.tolist()
    assert join_calls(rows[::-1], [3, 2, 1]).tolist() == calls.tolist()


@pytest.mark.parametrize("copies", [1, 20])
def test_write_calls__every_kind(copies: int) -> None:
    calls = np.array([[0, 1], [10, 2], [-1, -1], [1, -2], [-1, -2], [0, -1]] * copies, np.int8)
    phased = np.array([True, False, True, False, False, True] * copies)
    expected = ["0|1", "10/2", ".|.", "1", ".", "0|."] * copies
    assert write_calls(calls, phased).decode().split("\t") == expected
