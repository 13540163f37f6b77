"""Variants: labels, contigs, trimming, pseudo-autosomal regions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucan_dask.errors import Invalid
from eucan_dask.variant import Variant, columns_of, contig_name, contig_order, in_par, trim

BASES = st.text("ACGT", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("1:100:A:G", "1:100:A:G"),
        ("chr1:100:a:g", "1:100:A:G"),
        ("CHRx:5:A:AT", "X:5:A:AT"),
        ("23:5:A:C", "X:5:A:C"),
        ("24:5:A:C", "Y:5:A:C"),
        ("chrM:5:A:C", "MT:5:A:C"),
        ("07:5:A:C", "7:5:A:C"),
        ("1:100:GCAC:GC", "1:100:GCA:G"),
        ("1:100:CTT:CAT", "1:101:T:A"),
        ("GL000192.1:7:N:A", "GL000192.1:7:N:A"),
        ("HLA-A*01:7:T:A", "HLA-A*01:7:T:A"),
    ],
)
def test_parse__names_and_trims_our_way(label: str, expected: str) -> None:
    assert Variant.parse(label).label == expected


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("", "no variant"),
        ("1:100:A", "no variant"),
        ("1:100:A:G:T", "no variant"),
        ("1:0:A:G", "no variant"),
        ("1:-5:A:G", "no variant"),
        ("1: 5:A:G", "no variant"),
        ("1:5.0:A:G", "no variant"),
        ("1:٥:A:G", "no variant"),
        (f"1:{2**31 - 1}:A:G", "no variant"),
        pytest.param(f"1:{'9' * 5000}:A:G", "no variant", id="a very long number"),
        ("rs123", "no variant"),
        ("1:5:A:<DEL>", "no pair of alleles"),
        ("1:5:A:*", "no pair of alleles"),
        ("1:5:A:.", "no pair of alleles"),
        ("1:5:A:A", "no pair of alleles"),
        ("1:5:a:A", "no pair of alleles"),
        ("1:5::A", "no pair of alleles"),
        ("1:5:A:G\n", "no pair of alleles"),
        ("1:5:A:G,T", "no pair of alleles"),
        ("1:5:R:G", "no pair of alleles"),
        ("26:5:A:G", "no contig"),
        ("0:5:A:G", "no contig"),
        ("chr:5:A:G", "no contig"),
        ("NA:5:A:G", "no contig"),
        ("chrchr1:5:A:G", "no contig"),
        ("1 :5:A:G", "no contig"),
        ("²:5:A:G", "no contig"),
    ],
    ids=lambda x: x[:20],
)
def test_parse__what_is_no_variant(label: str, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        Variant.parse(label)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(
    contig=st.sampled_from(["1", "chr22", "X", "chrUn_1", "X_1", "CHRM", "25x"]),
    position=st.integers(1, 10**9),
    ref=BASES,
    alt=BASES,
)
def test_parse__a_label_is_its_own_label(contig: str, position: int, ref: str, alt: str) -> None:
    """A site refuses labels that are not as `label` writes them."""
    if ref == alt:
        return
    label = Variant.parse(f"{contig}:{position}:{ref}:{alt}").label
    assert Variant.parse(label).label == label


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(position=st.integers(1, 10**6), ref=BASES, alt=BASES, left=BASES, right=BASES)
def test_trim__context_does_not_change_the_change(
    position: int, ref: str, alt: str, left: str, right: str
) -> None:
    """The two describe one sequence: what trim gives, put back into its context, is what came."""
    at, short, other = trim(position, left + ref + right, left + alt + right)
    assert len(short) >= 1
    assert len(other) >= 1
    offset = at - position
    whole, changed = left + ref + right, left + alt + right
    assert whole[offset : offset + len(short)] == short
    assert whole[:offset] + other + whole[offset + len(short) :] == changed
    if ref != alt:
        assert short[-1] != other[-1] or min(len(short), len(other)) == 1
        assert short[0] != other[0] or min(len(short), len(other)) == 1


def test_contig_order__as_people_sort() -> None:
    names = ["GL1", "MT", "10", "X", "2", "Y", "1", "A"]
    assert sorted(names, key=contig_order) == ["1", "2", "10", "X", "Y", "MT", "A", "GL1"]
    assert [contig_name(n) for n in ("chr1", "CHR01", "m", "chrXY")] == ["1", "1", "MT", "XY"]


# Ends of each region as published (UCSC, GRC, T2T), and the bases beside them.
PAR_X = [
    ("NCBI36", [1, 2_709_520, 154_584_238, 154_913_754], [2_709_521, 154_584_237, 154_913_755]),
    ("GRCh37", [60_001, 2_699_520, 154_931_044, 155_260_560], [60_000, 2_699_521, 154_931_043]),
    ("GRCh38", [10_001, 2_781_479, 155_701_383, 156_030_895], [10_000, 2_781_480, 155_701_382]),
    ("CHM13", [1, 2_394_410, 153_925_835, 154_259_566], [2_394_411, 153_925_834, 154_259_567]),
]
PAR_Y = [
    ("NCBI36", [1, 2_709_520, 57_443_438, 57_772_954], [2_709_521, 57_443_437]),
    ("GRCh37", [10_001, 2_649_520, 59_034_050, 59_363_566], [10_000, 2_649_521]),
    ("GRCh38", [10_001, 2_781_479, 56_887_903, 57_217_415], [10_000, 2_781_480]),
    ("CHM13", [1, 2_458_320, 62_122_810, 62_460_029], [2_458_321, 62_122_809]),
]


@pytest.mark.parametrize(("assembly", "inside", "outside"), PAR_X, ids=lambda x: str(x)[:6])
def test_in_par__of_x(assembly: str, inside: list[int], outside: list[int]) -> None:
    assert in_par(assembly, "X", [*inside, *outside]) == [True] * 4 + [False] * 3


@pytest.mark.parametrize(("assembly", "inside", "outside"), PAR_Y, ids=lambda x: str(x)[:6])
def test_in_par__of_y(assembly: str, inside: list[int], outside: list[int]) -> None:
    assert in_par(assembly, "Y", [*inside, *outside]) == [True] * 4 + [False] * 2
    assert in_par(assembly, "1", inside) == [False] * 4


def test_columns_of__labels_in_parts() -> None:
    found = columns_of(["1:5:A:G", "X:7:GT:G"])
    assert {name: values.tolist() for name, (_, values) in found.items()} == {
        "variant_contig": ["1", "X"],
        "variant_position": [5, 7],
        "variant_ref": ["A", "GT"],
        "variant_alt": ["G", "G"],
    }
    assert found["variant_position"][1].dtype == np.int64
    assert columns_of([])["variant_contig"][1].shape == (0,)
