"""Numbers and times in words."""

from __future__ import annotations

import math

import pytest

from eucan_dask.report import wording

GAP = wording.GAP


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.01234, "0.0123"),
        (1234.5, "1234"),
        (1e-7, "1.00e-07"),
        (math.nan, "NA"),
        (math.inf, "\N{INFINITY}"),
    ],
)
def test_significant(value: float, text: str) -> None:
    assert wording.significant(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.032, "= 0.032"), (1e-5, "< 0.0001"), (1.0, "= 1.0"), (0.5, "= 0.50"), (math.nan, "NA")],
)
def test_p_value(value: float, text: str) -> None:
    assert wording.p_value(value) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("12345678", "12345678"),
        ("0.123456789", "0.1235"),
        ("1e-12", "1e-12"),
        ("0.5", "0.5"),
        ("763.0", "763"),
        ("inf.", "inf."),
        ("v1.2.3 of it", "v1.2.3 of it"),
    ],
)
def test_shortened(cell: str, text: str) -> None:
    assert wording.shortened(cell) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(999, "999 B"), (1500, "1.5 kB"), (2_500_000, "2.5 MB"), (3 * 10**9, "3.0 GB")],
)
def test_sized(n_bytes: int, text: str) -> None:
    assert wording.sized(n_bytes) == text.replace(" ", GAP)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (59.0, "59 s"), (125.0, "2 min|5 s"), (7800.0, "2 h|10 min")],
)
def test_lasting(seconds: float, text: str) -> None:
    assert wording.lasting(seconds) == text.replace(" ", GAP).replace("|", " ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2025-05-14T11:31:02+02:00", "14 May 2025, 09:31 UTC"),
        ("2025-05-14T09:31:02", "14 May 2025, 09:31"),
        ("yesterday", "yesterday"),
    ],
)
def test_moment(text: str, said: str) -> None:
    assert wording.moment(text) == said


def test_listed_plural_clipped() -> None:
    assert [wording.listed(words) for words in ([], ["A"], ["A", "B"], ["A", "B", "C"])] == [
        "",
        "A",
        "A and B",
        "A, B and C",
    ]
    assert wording.plural(1, "row") == "1 row"
    assert wording.plural(12345, "row") == "12\N{THIN SPACE}345 rows"
    assert wording.clipped("abcdef", length=4) == "abc\N{HORIZONTAL ELLIPSIS}"
    assert wording.ratio(0.012345) == "0.012"
    assert [wording.ratio(v, width=0.02) for v in (1.003, 1.0128)] == ["1.003", "1.013"]
