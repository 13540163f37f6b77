"""Tables that are read in pieces say the same as tables that are held."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eucan_dask.errors import Invalid
from eucan_dask.report import long_table, tables
from eucan_dask.report.long_table import LongTable, open_table
from eucan_dask.report.top import smallest

HEADER = "name\tvalue\tn_sites\tcoverage\tsuppressed\treason\n"
ROWS = [
    'a\t0.5\t2\t1\tfalse\t\n"b ""quoted"""\tNA\t2\t1\tfalse\t\n',
    "c\t\t2\t1\ttrue\tfew\nd\t0.25\t2\t1\tfalse\t\n",
    "e\t1e-320\t2\t1\tfalse\t\nf\t\t2\t1\ttrue\tfewer\ng\t\t2\t1\ttrue\tfew\n",
]


@pytest.fixture(params=["t.tsv", "t.tsv.gz"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The table; the packed one has several members, as a run over blocks writes it."""
    made = tmp_path / request.param
    parts = [HEADER.encode(), *(part.encode() for part in ROWS)]
    packed = made.suffix == ".gz"
    made.write_bytes(b"".join(gzip.compress(p, mtime=0) if packed else p for p in parts))
    return made


def test_open_table__pieces_equal_the_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = open_table(path)
    monkeypatch.setattr(long_table, "LONG", 3)
    long = open_table(path, most=2)
    assert isinstance(whole, tables.Table)
    assert isinstance(long, LongTable)
    assert len(whole) == len(long) == 7
    assert whole.n_hidden() == long.n_hidden() == 3
    assert whole.reasons() == long.reasons() == {"few": 2, "fewer": 1}
    assert whole.columns == long.columns
    pieces = list(long.pieces())
    assert [len(piece) for piece in pieces] == [3, 3, 1]
    joined = tables.stacked(pieces)
    for column in whole.columns:
        assert joined.text(column).tolist() == whole.text(column).tolist()
    assert whole.text("name")[1] == 'b "quoted"'
    assert joined.hidden("value").tolist() == whole.hidden("value").tolist()
    assert joined.undefined("value").tolist() == whole.undefined("value").tolist()
    np.testing.assert_array_equal(joined.number("value"), whole.number("value"))
    (narrow,) = {piece.columns for piece in long.pieces(["value"])}
    assert narrow == ("value", "suppressed")


def test_long_table__head_is_what_the_page_prints(path: Path) -> None:
    long = open_table(path, most=2)
    assert len(long.head) == 3
    assert long.head.text("name").tolist() == ["a", 'b "quoted"', "c"]


def test_long_table__unknown_column(path: Path) -> None:
    with pytest.raises(Invalid, match="did you mean 'value'"):
        next(open_table(path, most=2).pieces(["values"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\t1\t2\t1\tfalse\n", "line 10: has a row of another length"),
        ("a\t1\t2\t1\tfalse\t\tmore\n", "line 10: has a row of another length"),
        ("a\t1\t2\t1\tyes\t\n", "must say true or false"),
    ],
)
def test_open_table__a_defect_anywhere_is_found(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(HEADER + "a\t1\t2\t1\tfalse\t\n" * 8 + text)
    for most in (2, 100):
        with pytest.raises(Invalid, match=message):
            open_table(path, most=most)


@pytest.mark.parametrize("cut", [5, 40, -4])
def test_open_table__a_cut_gzip_file(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "t.tsv.gz"
    rows = "".join(f"r{i}\t{i / 7}\t2\t1\tfalse\t\n" for i in range(500))
    path.write_bytes(gzip.compress((HEADER + rows).encode())[:cut])
    with pytest.raises(Invalid, match="no whole gzip file"):
        open_table(path, most=2)


def test_open_table__gzip_in_name_only(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv.gz"
    path.write_text(HEADER)
    with pytest.raises(Invalid, match="no whole gzip file"):
        open_table(path)


@given(st.lists(st.sampled_from(["0.5", "0.25", "0", "NA", "", "1e-9"]), max_size=30))
def test_smallest__equals_sorting_all(values: list[str]) -> None:
    rows = [[f"r{i}", v, "2", "1", "true", ""] for i, v in enumerate(values)]
    header = ["name", "value", *tables.TAIL]
    table = tables.table_of(Path("t.tsv"), header, rows)
    parts = [table.rows(slice(i, i + 4)) for i in range(0, len(rows), 4)]
    long = LongTable(Path("t.tsv"), tuple(header), table.head, len(rows), 0, table.reasons())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LongTable, "pieces", lambda *_: iter(parts))
        found = smallest(long, "value", 5)
    known = [(float(v), i) for i, v in enumerate(values) if v not in ("", "NA")]
    assert found.text("name").tolist() == [f"r{i}" for _, i in sorted(known)[:5]]
