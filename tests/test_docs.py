"""The documents keep in step with the code: nothing is left out, nothing is made up."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pytest

from eucan_dask.cli import parser
from eucan_dask.errors import EucanError, Invalid, NotEnoughSites, Refused, Unavailable
from eucan_dask.policy import template
from eucan_dask.registry import registry
from eucan_dask.rules import rule_names

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_USED = "**not looked at in this version**"


def _text(*names: str) -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for path in PAGES if not names or path.name in names
    )


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_analyses_page__is_what_the_docstrings_say(make: ModuleType) -> None:
    found = (ROOT / "docs" / "analyses.md").read_text(encoding="utf-8")
    assert found == make.page(), "run `make docs`"


def test_analyses_page__check_tells(
    make: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(make, "PAGE", tmp_path / "analyses.md")
    assert make.main(["--check"]) == 1
    assert "run `make docs`" in capsys.readouterr().err
    assert make.main([]) == 0
    assert make.main(["--check"]) == 0


@pytest.mark.parametrize("name", sorted(registry()))
def test_analyses_page__has_every_section(name: str) -> None:
    text = _text("analyses.md")
    own = text[text.index(f"\n## {name}\n") :].split("\n## ")[1]
    wanted = ("Parameters", "Returns", "Leaves a site", "Disclosure", "References", "A job")
    for heading in wanted:
        assert f"### {heading}\n\n" in own
        body = own.split(f"### {heading}\n\n")[1].split("\n### ")[0]
        assert len(body.strip()) > 20, heading
    job = tomllib.loads(own.split("```toml\n")[1].split("```")[0])
    assert job["analyses"][0]["name"] == name


@pytest.mark.parametrize("name", sorted(registry()))
def test_docs__name_every_analysis(name: str) -> None:
    assert f"`{name}`" in _text("README.md")
    assert f"`{name}`" in _text("analyses.md")


def test_docs__name_no_analysis_that_is_not() -> None:
    headings = re.findall(r"(?m)^## (\w+)$", _text("analyses.md"))
    assert headings == list(registry())


LEDGER_RULES = (
    *("min_cohort_difference", "max_refusals", "one_shape", "max_exposure"),
    *("history", "replay", "one_roster", "one_mask"),
)


@pytest.mark.parametrize("name", [*rule_names(), *LEDGER_RULES])
def test_docs__explain_every_rule(name: str) -> None:
    rules = _text("policy.md").split("## The rules")[1]
    assert f"`{name}`" in rules


def _settings() -> Iterator[tuple[str, str]]:
    for table, value in tomllib.loads(template("recommended")).items():
        if isinstance(value, dict):
            yield from ((table, key) for key in value)
        else:
            yield "", table


def _row(key: str) -> str:
    """The row of the policy page whose first cell names a setting."""
    rows = [r for r in _text("policy.md").splitlines() if r.startswith("| `")]
    (row,) = [r for r in rows if f"`{key}`" in r.split("|")[1] and len(r.split("|")) == 5]
    return row


@pytest.mark.parametrize(("table", "key"), sorted(_settings()))
def test_docs__explain_every_setting(table: str, key: str) -> None:
    page = _text("policy.md")
    row = _row(key)
    assert len(row.split("|")[3].strip()) > 15
    if table:
        heading = page[: page.index(row)].rsplit("\n## ", 1)[1].splitlines()[0]
        assert f"`[{table}]`" in heading
    value = tomllib.loads(template("recommended")).get(table, {}).get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert row.split("|")[2].strip().replace(",", "") == f"{value}"


@pytest.mark.parametrize(("table", "key"), sorted(_settings()))
def test_docs__say_which_settings_are_not_used(table: str, key: str) -> None:
    """A steward may not believe in a limit that no code looks at."""
    if table not in ("thresholds", "limits") or key == "round_to":
        return
    code = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "eucan_dask").rglob("*.py")
        if "testing" not in path.parts and path.name != "policy.py"
    )
    used = re.search(rf"\.{key}\b", code) is not None
    assert used == (NOT_USED not in _row(key))


def _commands(
    top: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    inner = [a for a in top._actions if isinstance(a, argparse._SubParsersAction)]
    if not inner:
        yield path, top
    for action in inner:
        for name, parser_ in action.choices.items():
            yield from _commands(parser_, (*path, name))


COMMANDS = dict(_commands(parser()))


@pytest.mark.parametrize("path", sorted(COMMANDS), ids=" ".join)
def test_docs__explain_every_command_and_option(path: tuple[str, ...]) -> None:
    page = _text("commands.md")
    name = " ".join(path)
    assert re.search(rf"(`|eucan-dask ){name}[ `]", page), name
    options = [o for a in COMMANDS[path]._actions for o in a.option_strings if o.startswith("--")]
    for option in options:
        assert option == "--help" or option in page, option


def _written_commands() -> Iterator[str]:
    """Commands in blocks of code, and between single backquotes."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"(?s)```\w*\n(.*?)```", text):
            for found in re.findall(r"(?m)^eucan-dask ([^\n#]*)", block):
                yield found.strip()
        yield from re.findall(r"`eucan-dask ([a-z][^`\n]*)`", text)


@pytest.mark.parametrize("line", sorted(set(_written_commands())))
def test_docs__name_no_command_that_is_not(line: str) -> None:
    words = [w for w in shlex.split(line.replace("[", " ").replace("]", " ")) if w != "..."]
    known = [path for path in COMMANDS if words[: len(path)] == list(path)]
    groups = {path[:n] for path in COMMANDS for n in range(1, len(path))}
    if not known:
        assert tuple(words[:1]) in groups, line
        assert len(words) == 1, line
        return
    options = {o for a in COMMANDS[known[0]]._actions for o in a.option_strings}
    assert {w for w in words if w.startswith("--")} <= options, line


@pytest.mark.parametrize("error", [Invalid, Refused, NotEnoughSites, Unavailable, EucanError])
def test_docs__explain_every_exit_code(error: type[EucanError]) -> None:
    assert f"**{error.exit_code}**" in _text("commands.md")


def test_docs__links_lead_somewhere() -> None:
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            if "://" not in link:
                assert (path.parent / link).exists(), f"{path.name}: {link}"
        for named in re.findall(r"`((?:docs|jobs|notebooks|tests)/[\w./]+)`", text):
            assert (ROOT / named).exists(), f"{path.name}: {named}"


def test_files_we_write__name_documents_that_are_there() -> None:
    """`policy.toml` sends a steward to a page: it must exist."""
    texts = [template(name) for name in ("recommended", "public")]
    mappings = files("eucan_dask.store") / "mappings"
    texts += [entry.read_text(encoding="utf-8") for entry in mappings.iterdir()]
    for text in texts:
        for named in re.findall(r"docs/\w+\.md", text):
            assert (ROOT / named).exists(), named


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_docs__are_of_no_particular_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [place for place in (str(ROOT), "/root/", "/home/", "/Users/") if place in text] == []
