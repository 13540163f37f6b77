"""The policy file: every key required, known and of its type; the shipped files commented."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eucan_dask.errors import Invalid
from eucan_dask.policy import Policy, Thresholds, template

RECOMMENDED = tomllib.loads(template("recommended"))
KEYS = [
    (section, key)
    for section, table in RECOMMENDED.items()
    if isinstance(table, dict)
    for key in table
]


def written(tmp_path: Path, table: dict[str, Any]) -> Path:
    """A TOML file of two levels."""

    def text(value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return f'"{value}"'
        if isinstance(value, list):
            return "[" + ", ".join(map(text, value)) + "]"
        return repr(value)

    top = [f"{k} = {text(v)}" for k, v in table.items() if not isinstance(v, dict)]
    for name, section in table.items():
        if isinstance(section, dict):
            top += [f"[{name}]", *(f"{k} = {text(v)}" for k, v in section.items())]
    path = tmp_path / "policy.toml"
    path.write_text("\n".join(top) + "\n", encoding="utf-8")
    return path


def changed(tmp_path: Path, section: str, key: str, value: object) -> Path:
    table = {k: dict(v) if isinstance(v, dict) else v for k, v in RECOMMENDED.items()}
    target = table[section] if section else table
    if value is None:
        del target[key]
    else:
        target[key] = value
    return written(tmp_path, table)


@pytest.mark.parametrize("name", ["recommended", "public"])
def test_template__is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(template(name), encoding="utf-8")
    policy = Policy.read(path)
    assert policy.public is (name == "public")
    assert policy.thresholds.min_cell == (10 if name == "recommended" else 0)
    assert repr(policy) == "Policy(...)"


@pytest.mark.parametrize("name", ["recommended", "public"])
def test_template__both_have_the_same_keys(name: str) -> None:
    other = tomllib.loads(template(name))
    assert [(s, k) for s, t in other.items() if isinstance(t, dict) for k in t] == KEYS


def test_template__every_line_of_the_recommended_one_is_explained() -> None:
    """A key has its comment on its line, or on the line of the table it is the only one of."""
    section, unexplained = "", []
    for line in template("recommended").splitlines():
        if line.startswith("["):
            section = line
        elif "=" in line and not line.startswith("#") and "#" not in line:
            unexplained.append((section.split("#")[0].strip(), line, "#" in section))
    assert [entry[:2] for entry in unexplained if not entry[2]] in (
        [],
        [("", "format = 2")],
        [("[allow]", line) for _, line, _ in unexplained if "DUO" in line],
    )


@pytest.mark.parametrize(("section", "key"), KEYS, ids=lambda x: x)
def test_read__a_missing_key_is_refused_by_name(tmp_path: Path, section: str, key: str) -> None:
    with pytest.raises(Invalid, match=f"missing key '{key}'"):
        Policy.read(changed(tmp_path, section, key, None))


@pytest.mark.parametrize(("section", "key"), KEYS, ids=lambda x: x)
def test_read__a_wrong_type_is_refused(tmp_path: Path, section: str, key: str) -> None:
    value = RECOMMENDED[section][key]
    wrong: object = 1 if isinstance(value, str | list | bool) else "ten"
    with pytest.raises(Invalid, match=f"key '{key}' has the wrong type"):
        Policy.read(changed(tmp_path, section, key, wrong))


@pytest.mark.parametrize(
    "section", ["", "thresholds", "zeros", "limits", "exposure", "allow", "tiers"]
)
def test_read__an_unknown_key_is_refused(tmp_path: Path, section: str) -> None:
    with pytest.raises(Invalid, match="unknown key 'surprise'"):
        Policy.read(changed(tmp_path, section, "surprise", 1))


@pytest.mark.parametrize(
    "key", ["format", "public", "thresholds", "zeros", "limits", "exposure", "allow"]
)
def test_read__a_missing_part_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(Invalid, match=f"missing key '{key}'"):
        Policy.read(changed(tmp_path, "", key, None))


def test_read__a_misspelt_key_suggests_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="did you mean 'min_cell'"):
        Policy.read(changed(tmp_path, "thresholds", "min_cel", 10))


@pytest.mark.parametrize(
    ("section", "key", "value", "problem"),
    [
        ("", "format", 3, "has another format"),
        ("thresholds", "min_cell", -1, "not (be )?negative"),
        ("thresholds", "min_cell", 2.5, "wrong type"),
        ("thresholds", "round_to", 5, "rounding is not offered yet"),
        ("thresholds", "max_parameter_ratio", float("nan"), "max_parameter_ratio"),
        ("limits", "min_grid_days", float("nan"), "min_grid_days"),  # every grid would do
        ("limits", "min_grid_days", -1, "min_grid_days"),
        ("limits", "max_bytes", -1, "max_bytes"),
        ("tiers", "association", "registered", "tells traits"),
        ("allow", "tiers", ["opn"], "did you mean 'open'"),
        ("allow", "aggregators", ["nobody"], "unknown value"),
        ("allow", "controlled_aggregators", ["nobody"], "unknown value"),
        ("allow", "tiers", [3], "wrong type"),
        ("tiers", "model", "opened", "did you mean 'open'"),
    ],
    ids=str,
)
def test_read__values_that_cannot_be(
    tmp_path: Path, section: str, key: str, value: object, problem: str
) -> None:
    with pytest.raises(Invalid, match=problem):
        Policy.read(changed(tmp_path, section, key, value))


def test_thresholds__a_ratio_may_be_written_as_an_integer(tmp_path: Path) -> None:
    policy = Policy.read(changed(tmp_path, "thresholds", "max_parameter_ratio", 1))
    assert policy.thresholds.max_parameter_ratio == 1


def test_thresholds__have_no_default() -> None:
    with pytest.raises(TypeError):
        Thresholds()  # type: ignore[call-arg]


def test_thresholds__doubled_where_somebody_may_be_counted_twice() -> None:
    own = Thresholds.from_toml(RECOMMENDED["thresholds"], RECOMMENDED["zeros"], where="recommended")
    people = (
        "individuals",
        "cell",
        "carriers",
        "non_carriers",
        "case_carriers",
        "control_carriers",
    )
    twice = {f"min_{p}": 2 * getattr(own, f"min_{p}") for p in people}
    assert min(twice.values()) > 2
    assert own.doubled() == replace(own, **twice)
    assert replace(own, min_cell=1).doubled().min_cell == 1
