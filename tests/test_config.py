"""Strict reading of TOML, and the error tree it speaks in."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucan_dask.config import Key, check, read
from eucan_dask.errors import EucanError, Invalid, NotEnoughSites, Refused, Unavailable, unknown

KEYS = {
    "name": Key(str),
    "threads": Key(int, default=2),
    "share": Key(int | float, default=0.5),
    "kind": Key(str, default="local", choices=("local", "threads")),
    "on": Key(bool, default=False),
}


def test_check__fills_in_defaults() -> None:
    found = check({"name": "a"}, KEYS, where="x")
    assert found == {"name": "a", "threads": 2, "share": 0.5, "kind": "local", "on": False}


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({}, "missing key 'name'"),
        ({"nam": "a"}, "unknown key 'nam'; did you mean 'name'"),
        ({"NAME": "a"}, "did you mean 'name'"),
        ({"name": "a", "thread": 1}, "did you mean 'threads'"),
        ({"name": "a", "zzz": 1}, "known: kind, name, on, share, threads"),
        ({"name": 3}, "'name' has the wrong type; expected str; found int"),
        ({"name": "a", "threads": "2"}, "wrong type"),
        ({"name": "a", "threads": 2.0}, "wrong type"),
        ({"name": "a", "threads": True}, "wrong type"),
        ({"name": "a", "share": True}, "wrong type"),
        ({"name": "a", "on": 1}, "wrong type"),
        ({"name": "a", "kind": "lokal"}, "unknown value of kind 'lokal'; did you mean 'local'"),
        ([1], "not a table"),
        (None, "not a table"),
        ("name", "not a table"),
    ],
)
def test_check__says_what_is_wrong_and_where(table: object, problem: str) -> None:
    with pytest.raises(Invalid, match="site.toml") as caught:
        check(table, KEYS, where="site.toml")
    assert problem in str(caught.value)


def test_check__object_admits_everything() -> None:
    for value in (True, 1, "x", None, [1]):
        assert check({"a": value}, {"a": Key(object)}, where="x") == {"a": value}
    assert check({"a": True}, {"a": Key(bool | str)}, where="x") == {"a": True}


def test_read__toml(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[x]\ny = 1\n")
    assert read(tmp_path / "a.toml") == {"x": {"y": 1}}


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"x = ", "not valid TOML"), (b"\xff\xfe", "not valid TOML"), (b"a = 1\na = 2", "not valid")],
)
def test_read__what_is_no_toml(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(Invalid, match=problem):
        read(tmp_path / "a.toml")


def test_read__what_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(Invalid, match="cannot be read"):
            read(path)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Invalid("x"), 2),
        (Refused("rule", "remedy"), 3),
        (NotEnoughSites("x"), 4),
        (Unavailable("x"), 5),
        (EucanError("x"), 5),
    ],
)
def test_errors__exit_codes(error: EucanError, code: int) -> None:
    assert error.exit_code == code


def test_errors__messages() -> None:
    full = Invalid("is odd", where="a.toml", expected=1, found=2, remedy="make it even")
    assert str(full) == "a.toml: is odd; expected 1; found 2; make it even"
    assert str(Invalid("is odd", expected=0)) == "is odd; expected 0"
    assert str(Refused("min_cell", "widen", site="b")) == "refused by b: rule min_cell; widen"
    assert str(Refused("min_cell", "widen")) == "refused: rule min_cell; widen"


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("tp53", ["TP53", "KRAS"], "did you mean 'TP53'?"),
        ("TP35", ["TP53", "KRAS"], "did you mean 'TP53'?"),
        ("overal_survival", ["overall_survival", "sex"], "did you mean 'overall_survival'?"),
        ("qqq", ["b", "a"], "known: a, b"),
        ("qqq", [f"n{i:02d}" for i in range(12)], "n08, n09, ..."),
        ("qqq", [], "no gene is known here"),
    ],
)
def test_unknown__suggests_the_nearest(name: str, known: list[str], hint: str) -> None:
    error = unknown("gene", name, known)
    assert str(error).startswith(f"unknown gene '{name}'")
    assert hint in str(error)
    assert "(or so)" in str(unknown("gene", name, known, remedy="(or so)"))
