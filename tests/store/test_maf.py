"""Reading MAF: dialects that are read, and defects that are refused with file and line."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from eucan_dask.errors import Invalid
from eucan_dask.store.maf import Calls, read_maf
from eucan_dask.variables import VARIANT_CLASSIFICATIONS, VARIANT_TYPES
from tests.store.store_tables import MAF, changed, mutation, table, text_of, without

Change = Callable[[str], str]


def calls(path: Path, assembly: str = "GRCh37") -> Calls:
    return read_maf([path], assembly=assembly)[0]


def words(found: Calls, column: str) -> list[str]:
    names = {"sample": found.samples, "contig": found.contigs, "gene": found.genes}
    vocabulary = names.get(column, found.alleles).words
    return [vocabulary[code] if code >= 0 else "" for code in found.columns[column]]


def test_read_maf__values(maf: Path) -> None:
    found = calls(maf)
    assert words(found, "gene") == ["TP53", "IDH1", "TTN", "TP53", "", "DNMT3A"]
    assert words(found, "contig") == ["17", "2", "2", "17", "X", "10"]
    assert words(found, "sample") == ["A-1", "B-2", "B-1", "B-1", "C-1", "C-1"]
    assert words(found, "reference") == ["C", "C", "AT", "G", "-", "A"]
    assert words(found, "alternate") == ["T", "T", "-", "A", "A", "G"]
    assert found.columns["position"].tolist()[:3] == [7577120, 209113112, 179400000]
    assert found.columns["end_position"].tolist()[2:5] == [179400001, 7577539, 101]
    assert found.columns["line"].tolist() == [2, 3, 4, 5, 6, 7]
    classes = [VARIANT_CLASSIFICATIONS[code] for code in found.columns["classification"]]
    assert classes == [row["Variant_Classification"] for row in MAF]
    types = [VARIANT_TYPES[code] for code in found.columns["variant_type"]]
    assert types == ["SNP", "SNP", "DEL", "SNP", "INS", "SNP"]


def same_content(one: Calls, other: Calls) -> bool:
    text = ("sample", "contig", "gene", "reference", "alternate")
    numbers = ("position", "end_position", "classification", "variant_type")
    return all(words(one, c) == words(other, c) for c in text) and all(
        one.columns[c].tolist() == other.columns[c].tolist() for c in numbers
    )


@pytest.mark.parametrize(
    "dialect",
    [
        lambda text: "#version 2.4\n# made by hand\n" + text,
        lambda text: text.replace("End_Position", "End_position"),
        lambda text: text.replace("Start_Position", "Start_position"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.rstrip("\n"),
        lambda text: text + "\n\n",
        lambda text: "\ufeff" + text,
        lambda text: text.replace("GRCh37", "37"),
        lambda text: text.replace("GRCh37", "hg19"),
        lambda text: text.replace("GRCh37", "GRCh37.p13"),
        lambda text: text.replace("\tX\t", "\tchr23\t"),
        lambda text: text.replace("Missense_Mutation", "missense_mUtAtioN"),
        lambda text: text.replace("\tIGR\t", "\tigr\t"),
        lambda text: text.replace("Unknown", "."),
        lambda text: text.replace("Unknown", ""),
        lambda text: text.replace("\tSNP\t", "\t\t").replace("\tDEL\t", "\tNA\t"),
        lambda text: text.replace("7577120\t7577120", "7577120\t"),
        lambda text: text.replace("179400000", "1.794e+08"),
        lambda text: text.replace("\tC\tC\tT\t", "\tC\tT\tC\t"),
        lambda text: text.replace("\tG\tG\tA\t", "\tg\tg\ta\t"),
    ],
)
def test_read_maf__dialects_say_the_same(maf: Path, tmp_path: Path, dialect: Change) -> None:
    other = tmp_path / "other.maf"
    other.write_bytes(dialect(maf.read_text()).encode())
    assert same_content(calls(maf), calls(other))


def test_read_maf__few_columns(tmp_path: Path) -> None:
    rows = without(MAF, "NCBI_Build", "End_Position", "Variant_Type", "Tumor_Seq_Allele1")
    found, notes = read_maf([table(tmp_path / "few.maf", rows)], assembly="GRCh37")
    assert found.columns["end_position"].tolist()[2:5] == [179400001, 7577539, 100]
    assert [VARIANT_TYPES[c] for c in found.columns["variant_type"]][2:5] == ["DEL", "SNP", "INS"]
    assert notes == ["few.maf: no NCBI_Build; taken as GRCh37"]


def test_read_maf__gzip_whatever_the_name(maf: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.maf"
    packed.write_bytes(gzip.compress(maf.read_bytes()))
    assert same_content(calls(maf), calls(packed))


@pytest.mark.parametrize(
    ("build", "assembly"),
    [("36", "NCBI36"), ("hg18", "NCBI36"), ("38", "GRCh38"), ("hg38", "GRCh38"), ("hs1", "CHM13")],
)
def test_read_maf__builds(tmp_path: Path, build: str, assembly: str) -> None:
    path = table(tmp_path / "b.maf", [mutation(NCBI_Build=build)])
    assert len(calls(path, assembly).columns["line"]) == 1
    with pytest.raises(Invalid, match=r"b\.maf, line 2: NCBI_Build: another assembly.*GRCh37"):
        calls(path, "GRCh37")


@pytest.mark.parametrize(
    ("contig", "name"),
    [("chr1", "1"), ("01", "1"), ("24", "Y"), ("M", "MT"), ("chrM", "MT"), ("GL000209.1",) * 2],
)
def test_read_maf__contigs(tmp_path: Path, contig: str, name: str) -> None:
    found = calls(table(tmp_path / "c.maf", [mutation(Chromosome=contig)]))
    assert found.contigs.words == [name]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("NCBI_Build", "hg38", "another assembly; expected GRCh37; found hg38"),
        ("NCBI_Build", "", "unknown build"),
        ("Chromosome", "NA", "no contig"),
        ("Chromosome", "25", "no contig"),
        ("Start_Position", "", "Start_Position is no position"),
        ("Start_Position", "12.0", "no position.*'12.0'"),
        ("Start_Position", "0", "no position"),
        ("Start_Position", "-5", "no position"),
        ("Start_Position", "3000000000", "no position"),
        ("End_Position", "x", "End_Position is no position"),
        ("Variant_Classification", "Missense", "did you mean 'Missense_Mutation'"),
        ("Variant_Classification", "", "unknown class ''"),
        ("Variant_Type", "DUP:TANDEM", "unknown variant type"),
        ("Reference_Allele", "", "no allele"),
        ("Tumor_Seq_Allele2", "NA", "no allele"),
        ("Tumor_Seq_Allele2", "<DEL>", "no allele"),
        ("Tumor_Sample_Barcode", "", "no sample is named"),
    ],
)
def test_read_maf__bad_value(tmp_path: Path, column: str, value: str, message: str) -> None:
    path = table(tmp_path / "bad.maf", changed(MAF, 2, **{column: value}), top="#version 2.4\n")
    with pytest.raises(Invalid, match=rf"bad\.maf, line 5: .*{message}"):
        calls(path)


def test_read_maf__alternate_equals_reference(tmp_path: Path) -> None:
    rows = changed(MAF, 3, Tumor_Seq_Allele2="G")
    with pytest.raises(Invalid, match=r"line 5: no tumour allele differs"):
        calls(table(tmp_path / "same.maf", rows))
    with pytest.raises(Invalid, match=r"line 5: no tumour allele differs"):
        calls(table(tmp_path / "none.maf", without(rows, "Tumor_Seq_Allele1")))


@pytest.mark.parametrize("name", ["Hugo_Symbol", "Tumor_Seq_Allele2", "Tumor_Sample_Barcode"])
def test_read_maf__lacking_column(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match=rf"lack\.maf, line 1: lacks the columns {name}"):
        calls(table(tmp_path / "lack.maf", without(MAF, name)))


def test_read_maf__column_twice(maf: Path, tmp_path: Path) -> None:
    path = tmp_path / "twice.maf"
    path.write_text(maf.read_text().replace("Tumor_Seq_Allele1", "hugo_symbol"))
    with pytest.raises(Invalid, match="Hugo_Symbol stands twice"):
        calls(path)


@pytest.mark.parametrize("cut", [5, 15, 30, 40])
def test_read_maf__cut_off_row(maf: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.maf"
    path.write_bytes(maf.read_bytes()[:-cut])
    with pytest.raises(
        Invalid, match=r"cut\.maf, line 7: the row has too few fields.*copy it again"
    ):
        calls(path)


def test_read_maf__too_many_fields(maf: Path, tmp_path: Path) -> None:
    path = tmp_path / "many.maf"
    path.write_text(maf.read_text().replace("\tA-1\n", "\tA-1\textra\n"))
    with pytest.raises(Invalid, match="line 2: the row has too many fields; expected 11; found 12"):
        calls(path)


def test_read_maf__gzip_cut_off(tmp_path: Path) -> None:
    rows = [
        mutation(Start_Position=str(i), Tumor_Sample_Barcode=f"S{i * i}") for i in range(1, 5000)
    ]
    whole = gzip.compress(text_of(rows).encode())
    path = tmp_path / "cut.maf.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        Invalid, match=r"cut\.maf\.gz, line \d+: the compressed data end too early"
    ) as e:
        calls(path)
    assert 1000 < int(str(e.value).split("line ")[1].split(":")[0]) < 4000
    path.write_bytes(whole[:-4])
    with pytest.raises(Invalid, match="end too early"):
        calls(path)


def test_read_maf__bgzf_without_its_end_block(tmp_path: Path) -> None:
    def member(data: bytes) -> bytes:
        packed = gzip.compress(data)
        extra = b"\x06\x00BC\x02\x00" + (len(packed) + 7).to_bytes(2, "little")
        return packed[:3] + b"\x04" + packed[4:10] + extra + packed[10:]

    data = text_of(MAF).encode()
    path = tmp_path / "blocks.maf.gz"
    path.write_bytes(
        member(data) + bytes.fromhex("1f8b08040000000000ff0600424302001b00") + b"\3" + bytes(9)
    )
    assert len(calls(path).columns["line"]) == len(MAF)
    for cut in (member(data), member(data)[:20], member(b"")[:20]):
        path.write_bytes(cut)
        with pytest.raises(Invalid, match="end too early"):
            calls(path)


@pytest.mark.parametrize("block", [1 << 8, 1 << 10])
def test_read_maf__many_blocks(
    maf: Path, tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        mutation(Start_Position=str(i), Tumor_Sample_Barcode=f"S{i % 7}") for i in range(1, 200)
    ]
    path = table(tmp_path / "many.maf", rows)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    whole = calls(path)
    monkeypatch.setattr("eucan_dask.store.text._STEP", block // 3)
    monkeypatch.setattr("eucan_dask.store.text._BLOCK", block)
    found = calls(path)
    assert same_content(whole, found)
    assert found.columns["line"].tolist() == list(range(2, 201))
    path = table(path, changed(rows, 150, Variant_Classification="Nonsense"))
    with pytest.raises(Invalid, match=r"line 152: .*Nonsense_Mutation"):
        calls(path)


def test_read_maf__no_text(tmp_path: Path) -> None:
    path = tmp_path / "garbage.maf"
    path.write_bytes(bytes(range(256)) * 10)
    with pytest.raises(Invalid, match=r"garbage\.maf: is not a text file"):
        calls(path)
    path.write_bytes(b"\x1f\x8b" + bytes(range(100)))
    with pytest.raises(Invalid, match="end too early"):
        calls(path)
    path.write_bytes(text_of(MAF).replace("TTN", "TTN\xe9").encode("latin-1"))
    with pytest.raises(Invalid, match="line 4: is not UTF-8 text"):
        calls(path)
    path.write_bytes(b"")
    with pytest.raises(Invalid, match="has no header"):
        calls(path)
    with pytest.raises(Invalid, match="cannot be read"):
        calls(tmp_path)
    with pytest.raises(Invalid, match="cannot be read"):
        calls(tmp_path / "nowhere.maf")
