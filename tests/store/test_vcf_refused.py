"""VCF and BCF files that must be refused: clearly, by record, and without a store coming of it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eucan_dask.errors import Invalid
from eucan_dask.store import bgzf
from eucan_dask.store.ingest_variants import ingest_vcf
from eucan_dask.store.vcf import open_vcf
from tests.store.test_normalise import START, genome
from tests.store.test_vcf import BODY, HEAD, every_form, opened, rows

__all__ = ["every_form"]


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def added(line: str) -> Callable[[str], str]:
    return lambda text: text + line + "\n"


LINE = "chrM\t16001\t.\tT\tG\t.\t.\t.\tGT\t1\t.\t0"
BAD = {
    "empty line": (added(""), "record 7: the line is no record"),
    "blanks for tabs": (added(LINE.replace("\t", " ")), "record 7: the line is no record"),
    "sample too few": (added(LINE[:-2]), "record 7: sample columns .* expected 3; found 2"),
    "sample too many": (added(LINE + "\t0/1"), "record 7: sample columns .* found 4"),
    "columns cut off": (added("chrM\t16001\t.\tT"), "record 7: columns .* found 4"),
    "position 0": (added(LINE.replace("16001", "0")), "record 7: no position"),
    "position none": (added(LINE.replace("16001", "1e5")), "record 7: no position.*'1e5'"),
    "position negative": (added(LINE.replace("16001", "-4")), "record 7: no position"),
    "position too large": (added(LINE.replace("16001", "3000000000")), "no position.*2147483646"),
    "unsorted": (added(LINE.replace("16001", "15999")), "record 7: unsorted.*16000.*found 15999"),
    "contig back": (added(LINE.replace("chrM", "chr2")), "record 7: contig chr2 comes back"),
    "contig twice": (added(LINE.replace("chrM", "MT")), "record 7: contig MT stands .*chrM and MT"),
    "contig none": (added(LINE.replace("chrM", "99")), "record 7: no contig.*'99'.*rename-chrs"),
    "ref none": (added(LINE.replace("\tT\t", "\t.\t")), "record 7: no REF"),
    "ref strange": (added(LINE.replace("\tT\t", "\tTX\t")), "record 7: no REF.*'TX'"),
    "alt empty": (added(LINE.replace("\tG\t", "\t\t")), "record 7: no ALT"),
    "alt strange": (added(LINE.replace("\tG\t", "\tG,I\t")), "record 7: no ALT.*'I'"),
    "alt is ref": (added(LINE.replace("\tG\t", "\tt\t")), "record 7: an allele stands there twice"),
    "alt twice": (added(LINE.replace("\tG\t", "\tG,C,G\t")), "record 7: an allele .*'G'"),
    "quality none": (added(LINE.replace("G\t.\t", "G\tabc\t")), "record 7: no quality.*'abc'"),
    "filter empty": (added(LINE.replace("G\t.\t.", "G\t.\t")), "record 7: FILTER is empty"),
    "id empty": (added(LINE.replace("16001\t.", "16001\t")), "record 7: ID is empty"),
    "end before": (added(LINE.replace(".\t.\tGT", ".\tEND=9\tGT")), "record 7: END is before"),
    "end none": (added(LINE.replace(".\t.\tGT", ".\tEND=x\tGT")), "record 7: no END"),
    "allele beyond": (added(LINE[:-1] + "2"), "record 7: a call has an allele.*1 at most; found 2"),
    "allele huge": (added(LINE[:-1] + "128"), "record 7: allele numbers beyond 127"),
    "genotype none": (added(LINE[:-1] + "A/C"), "record 7: no genotype.*'A/C'"),
    "genotype empty": (added(LINE[:-1]), "record 7: no genotype"),
    "genotype open": (added(LINE[:-1] + "0/"), "record 7: no genotype"),
    "more than FORMAT": (added(LINE + ":9"), "record 7: a sample has more fields"),
    "no #CHROM": (replaced("#CHROM", "CHROM"), "line 11: the header does not end with"),
    "header alone cut": (lambda text: text[:300], "the header does not end with"),
    "columns renamed": (replaced("\tREF\tALT", "\tALT\tREF"), "line 11: the columns are not"),
    "sample twice": (replaced("\ta\tb\tc", "\ta\tb\ta"), "line 11: names sample 'a' twice"),
    "sample unnamed": (replaced("\ta\tb\tc", "\ta\t\tc"), "line 11: has an unnamed sample"),
    "no VCF": (replaced("##fileformat=VCFv4.2\n", ""), "neither VCF nor BCF"),
    "old VCF": (replaced("VCFv4.2", "VCFv3.3"), "unknown version of VCF.*VCFv3.3"),
    "empty": (lambda text: "", "is empty"),
    "a web page": (lambda text: "<html>\n", "neither VCF nor BCF"),
    "words of another": (
        replaced("##contig=<ID=chr2>", "##reference=file:///data/hg19.fa"),
        "line 7: is of another assembly; expected GRCh38; found GRCh37",
    ),
    "lengths of another": (
        replaced("<ID=chr2>", "<ID=chr2,length=243199373>"),
        "is of another assembly.*GRCh38, where contig 2 has 242,193,529.*GRCh37, 243,199,373",
    ),
    "beyond the contig": (
        replaced("chr2\t90\t", "chr2\t242193531\t"),
        "a position beyond the end of contig 2; expected 242193529 at most in GRCh38",
    ),
    "assembly of another": (
        replaced("<ID=chr2>", "<ID=chr2,assembly=b37>"),
        "line 7: is of another assembly",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_ingest_vcf__bad_text(tmp_path: Path, case: str, capfd: pytest.CaptureFixture[str]) -> None:
    change, message = BAD[case]
    path = tmp_path / "bad.vcf"
    path.write_text(change(HEAD + BODY))
    with pytest.raises(Invalid, match=rf"bad\.vcf[,:] ?.*{message}"):
        ingest_vcf(path, store=tmp_path / "store", assembly="GRCh38", workers=1)
    assert not (tmp_path / "store" / "eucan.json").exists()
    assert capfd.readouterr() == ("", "")


def test_ingest_vcf__bad_bytes(tmp_path: Path) -> None:
    path = tmp_path / "bad.vcf"
    cases = {
        b"\x00\x01\x02\x03" * 50: "neither VCF nor BCF",
        b"BCF\x04\x00" + b"\0" * 50: "neither VCF nor BCF",
        (HEAD + LINE).encode() + b"\xff\n": "no genotype",
        HEAD.encode().replace(b"\tc\n", b"\t\xff\n"): "header is not UTF-8",
        (HEAD + LINE).encode().replace(b"16001\t.", b"16001\t\xff"): "ID is not UTF-8",
        (HEAD + LINE).encode().replace(b"\tG\t", b"\t\xff\t"): "bytes that are not ASCII",
    }
    for data, message in cases.items():
        path.write_bytes(data)
        with pytest.raises(Invalid, match=message):
            ingest_vcf(path, store=tmp_path / "store", assembly="GRCh38", workers=1)
        assert not (tmp_path / "store" / "eucan.json").exists()


def test_open_vcf__paths(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"none\.vcf: cannot be read"):
        opened(tmp_path / "none.vcf", tmp_path)
    with pytest.raises(Invalid, match="is a directory"):
        opened(tmp_path, tmp_path)
    with pytest.raises(Invalid, match="is a directory"):
        open_vcf([""], assembly="GRCh38", scratch=tmp_path)
    with pytest.raises(Invalid, match="no file"):
        opened([], tmp_path)


def test_open_vcf__bgzip_cut_anywhere(tmp_path: Path) -> None:
    """In the middle of a block, between two, and without the end block alone."""
    text = (HEAD + BODY).encode()
    blocks = [bgzf.compress(text[i : i + 200], level=6) for i in range(0, len(text), 200)]
    data = b"".join(blocks) + bgzf.END
    ends = np.cumsum([len(block) for block in blocks]).tolist()
    for cut in sorted({*ends, *range(20, len(data), 37)}):
        (tmp_path / "cut.vcf.gz").write_bytes(data[:cut])
        with pytest.raises(Invalid, match=r"cut\.vcf\.gz: the compressed data end too early"):
            opened(tmp_path / "cut.vcf.gz", tmp_path)


def test_open_vcf__damaged_blocks(tmp_path: Path) -> None:
    data = bytearray(bgzf.compress((HEAD + BODY).encode(), level=6) + bgzf.END)
    for at in range(18, len(data) - 28, 11):
        changed = data.copy()
        changed[at] ^= 0x55
        (tmp_path / "bad.vcf.gz").write_bytes(changed)
        with pytest.raises(Invalid, match=r"bad\.vcf\.gz"):
            opened(tmp_path / "bad.vcf.gz", tmp_path)


def test_open_vcf__gzip_cut(tmp_path: Path) -> None:
    data = gzip.compress((HEAD + BODY).encode())
    for cut in (30, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.vcf.gz").write_bytes(data[:cut])
        with pytest.raises(Invalid, match=r"cut\.vcf\.gz: the compressed data end too early"):
            opened(tmp_path / "cut.vcf.gz", tmp_path)


def test_open_vcf__bcf_cut(every_form: dict[str, Path], tmp_path: Path) -> None:
    """Also where what is left was compressed anew, end block and all."""
    data = gzip.decompress(every_form["bcf"].read_bytes())
    whole = opened(every_form["bcf"], tmp_path)
    counts = set()
    for cut in range(10, len(data) - 1, 13):
        path = tmp_path / "cut.bcf"
        path.write_bytes(bgzf.compress(data[:cut], level=6) + bgzf.END)
        try:
            counts.add(opened(path, tmp_path).count)
        except Invalid as error:
            assert "cut.bcf" in str(error)  # noqa: PT017
    assert counts < set(range(whole.count)), "only a file that ends after a record is whole"
    path.write_bytes(every_form["bcf"].read_bytes()[:-28])
    with pytest.raises(Invalid, match="end block is missing"):
        opened(path, tmp_path)


def test_open_vcf__bcf_with_damaged_records(
    every_form: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Bytes changed under a right checksum: refused or read, never a crash, never a log line."""
    data = gzip.decompress(every_form["bcf"].read_bytes())
    header = 9 + int.from_bytes(data[5:9], "little")
    path = tmp_path / "bad.bcf"
    refused = 0
    for at in range(header, header + 36):
        changed = bytearray(data)
        changed[at] ^= 0x81
        path.write_bytes(bgzf.compress(bytes(changed), level=6) + bgzf.END)
        try:
            rows(opened(path, tmp_path))
        except Invalid as error:
            assert "bad.bcf" in str(error)  # noqa: PT017
            refused += 1
    assert refused > 15
    assert capfd.readouterr() == ("", "")


def test_ingest_vcf__reference(tmp_path: Path) -> None:
    """Contigs the FASTA lacks, other lengths, another base."""
    (tmp_path / "a.vcf").write_text(HEAD + LINE + "\n")
    path = genome(tmp_path / "genome.fa", chr1=START)

    def ingest(name: str) -> None:
        ingest_vcf(
            tmp_path / name, store=tmp_path / "s", assembly="GRCh38", reference=path, workers=1
        )

    with pytest.raises(Invalid, match=r"genome\.fa: lacks contig MT.*a\.vcf has it as chrM"):
        ingest("a.vcf")
    line = LINE.replace("chrM\t16001", "chr1\t3")
    (tmp_path / "b.vcf").write_text(HEAD + line + "\n")
    with pytest.raises(Invalid, match=r"b\.vcf, record 1 \(1:3\): REF is not .* A; found T"):
        ingest("b.vcf")
    (tmp_path / "c.vcf").write_text(HEAD.replace("<ID=chr1>", "<ID=chr1,length=9>") + line + "\n")
    with pytest.raises(Invalid, match=r"c\.vcf: contig chr1 is not as long as in .*genome\.fa"):
        ingest("c.vcf")
    assert not (tmp_path / "s" / "eucan.json").exists()
