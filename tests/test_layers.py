"""The walls: who may import whom, who may make a Release, and the sizes of files and functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "eucan_dask"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE, MAX_FUNCTION = 350, 50

# Longer ones, where splitting would hide the thought; each with its reason.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}


def name_of(path: Path) -> str:
    """Dotted name below the package: "store.open"; "" for the root."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in FILES}


@lru_cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path, *, inner: bool) -> Iterator[str]:
    """Dotted names a file imports; with `inner`, those inside functions too."""
    typing_only = {
        id(node)
        for block in ast.walk(tree(path))
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    nodes = ast.walk(tree(path)) if inner else _at_import(tree(path))
    for node in nodes:
        if id(node) in typing_only and not inner:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when a module is imported."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _at_import(child)


def own(path: Path, *, inner: bool = True) -> set[str]:
    """Modules of this package a file imports, as names below it."""
    found = set()
    for name in imports(path, inner=inner):
        below = name.removeprefix("eucan_dask.")
        if name.startswith("eucan_dask.") and below in MODULES:
            found.add(below)
    return found


def reached(path: Path) -> set[str]:
    """Modules of this package that are loaded when a file is imported."""
    found: set[str] = set()
    todo = list(own(path, inner=False))
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += own(MODULES[name], inner=False)
    return found


def inside(names: set[str], *walls: str) -> set[str]:
    """Those names that lie in one of the modules or packages."""
    return {n for n in names if any(n == wall or n.startswith(f"{wall}.") for wall in walls)}


def those(*prefixes: str) -> list[str]:
    return sorted(inside(set(MODULES), *prefixes))


# --- walls ---

ANALYSIS_SIDE = those(
    "analyses",
    "newton",
    "terms",
    "kernels",
    "analysis",
    "cohort",
    "panel",
    "genotype",
    "association",
    "variant",
)
LEDGER = (
    *("ledger", "leverage", "families", "cells", "settling", "withdrawal", "accounts"),
    *("memory", "people", "vault", "asking", "steward", "transcript"),
    *("on_record", "agreement"),
)
FORBIDDEN_TO_ANALYSES = (
    "gate",
    "case",
    "rules",
    "structural",
    *LEDGER,
    "ways",
    "wire",
    "fixed_point",
    "masks",
    "mask_keys",
    "masking",
    "unmasking",
    "opening",
    "message",
    "keys",
    "parties",
    "site",
    "store",
    "clusters",
    "links",
    *those("federation", "federation_file"),
)


def test_layers__there_is_something_to_look_at() -> None:
    assert len(FILES) > 50
    assert "store.open" in MODULES
    assert len(ANALYSIS_SIDE) > 10
    assert "partial" in own(MODULES["gate"])
    assert "store.open" in reached(MODULES["site"])
    assert "links.in_process" in own(MODULES["links"])  # inside a function
    assert "links.in_process" not in own(MODULES["links"], inner=False)


@pytest.mark.parametrize("name", ANALYSIS_SIDE)
def test_analyses__see_nothing_of_gate_site_and_federation(name: str) -> None:
    path = MODULES[name]
    assert not inside(own(path), *FORBIDDEN_TO_ANALYSES)
    assert not inside(reached(path), *FORBIDDEN_TO_ANALYSES)


COORDINATOR_SIDE = (
    *those("federation", "federation_file", "rounds", "greet", "waiting"),
    *those("links.mailbox", "mailbox", "hello"),
    *those("total", "result", "request", "run", "job", "report", "catalogue"),
    *those("unmasking", "opening", "masks", "fixed_point"),
    *those("wire", "message", "received", "mask_keys", "pool_thresholds"),
)
SITE_SIDE = (
    *those("site", "site_pass", "mailbox", "hello", "parties", "wire", "message"),
    *those("block", "clusters", "store", "gate", *LEDGER, "ways", "masking", "opening"),
)


@pytest.mark.parametrize("name", COORDINATOR_SIDE)
def test_coordinator__sees_nothing_of_site_store_cluster_and_ledger(name: str) -> None:
    path = MODULES[name]
    walls = ("site", "parties", "store", "clusters", *LEDGER)
    assert not inside(own(path), *walls)
    assert not inside(reached(path), *walls)


@pytest.mark.parametrize("name", SITE_SIDE)
def test_site__sees_nothing_of_the_coordinator(name: str) -> None:
    walls = ("federation", "run", "report", "result", "total", "job", "links", "cli")
    assert not inside(own(MODULES[name]), *walls)
    assert not inside(reached(MODULES[name]), *walls)


@pytest.mark.parametrize("name", those("kernels"))
def test_kernels__are_arrays_in_arrays_out(name: str) -> None:
    found = {full.split(".")[0] for full in imports(MODULES[name], inner=True)}
    assert found <= {"numpy", "numba", "__future__", "collections", "typing", "eucan_dask"}
    assert all(other.startswith("kernels.") for other in own(MODULES[name]))


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            called = node.func
            spelled = called.attr if isinstance(called, ast.Attribute) else None
            spelled = called.id if isinstance(called, ast.Name) else spelled
            if spelled == name:
                yield node


def test_release__is_made_by_gate_and_wire_alone() -> None:
    """Elsewhere a release may be written only without values: no arrays, nothing unpacked."""
    makers = {name for name, path in MODULES.items() if any(calls(path, "Release"))}
    assert makers <= {"gate", "wire", "site", "testing.cases"}, makers
    for name in makers - {"gate", "wire"}:
        for call in calls(MODULES[name], "Release"):
            assert len(call.args) <= 6, "the seventh argument is the arrays"
            assert not any(isinstance(a, ast.Starred) for a in call.args)
            for keyword in call.keywords:
                assert keyword.arg is not None, "** may hold arrays"
                assert keyword.arg not in ("arrays", "findings", "header")


def test_release__no_other_module_puts_values_into_one() -> None:
    """`replace(release, arrays=...)` makes one, too: masks alone may, over all of it."""
    for name in set(MODULES) - {"gate", "wire"}:
        for call in calls(MODULES[name], "replace"):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            if name == "masking":
                assert given["arrays"] == "{MASKED: masks.cover(words, layout)}"
                assert given["findings"] == "()"
            else:
                assert "arrays" not in given, name


def test_partial__is_wrapped_at_the_site_alone() -> None:
    makers = {name for name, path in MODULES.items() if any(calls(path, "Partial"))}
    assert makers <= {"site", "testing.cases", "testing.checks"}, makers


@pytest.mark.parametrize("name", sorted(set(MODULES) - {""}))
def test_imports__never_from_the_package_root(name: str) -> None:
    for node in ast.walk(tree(MODULES[name])):
        if isinstance(node, ast.ImportFrom) and node.module == "eucan_dask":
            names = {alias.name for alias in node.names}
            assert names <= set(MODULES), f"line {node.lineno}: {names - set(MODULES)}"
        if isinstance(node, ast.Import):
            assert "eucan_dask" not in {alias.name for alias in node.names}


def test_imports__make_no_circle() -> None:
    graph = {name: own(path, inner=False) - {name} for name, path in MODULES.items() if name}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name in done:
            return
        for other in sorted(graph.get(name, ())):
            visit(other, (*trail, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())


UNSAFE = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_source__no_pickle_and_no_print(name: str) -> None:
    found = {full.split(".")[0] for full in imports(MODULES[name], inner=True)}
    assert not found & UNSAFE
    if not inside({name}, "cli"):
        assert not list(calls(MODULES[name], "print"))
    for forbidden in ("eval", "exec", "allow_pickle"):
        assert not list(calls(MODULES[name], forbidden))
    assert "allow_pickle=True" not in MODULES[name].read_text(encoding="utf-8")


# --- sizes and words ---


@pytest.mark.parametrize("name", sorted(MODULES))
def test_source__the_first_line_says_what_the_file_is(name: str) -> None:
    path = MODULES[name]
    text = path.read_text(encoding="utf-8")
    if text.strip():
        doc = ast.get_docstring(tree(path))
        assert doc
        assert text.startswith('"""')


def test_source__files_are_short() -> None:
    long = {
        path.relative_to(PACKAGE).as_posix(): n
        for path in FILES
        if (n := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE
    }
    assert set(long) <= set(LONG_FILES), long


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef))


def test_source__functions_are_short() -> None:
    """Lines of code: signature, docstring and blank lines aside."""
    long = {}
    for name, path in MODULES.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        for function in functions(path):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            if not body:
                continue
            own_lines = lines[body[0].lineno - 1 : function.end_lineno]
            n = sum(bool(line.strip()) for line in own_lines)
            if n > MAX_FUNCTION:
                long[f"{name}.{function.name}"] = n
    assert set(long) <= set(LONG_FUNCTIONS), long


@pytest.mark.parametrize("name", sorted(MODULES))
def test_source__no_utils_and_no_helper(name: str) -> None:
    words = ("utils", "helper", "manager", "misc")
    names = {name, *(f.name for f in functions(MODULES[name]))}
    assert not [n for n in names if any(word in n.lower() for word in words)]


def test_source__no_path_of_this_machine() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for local in ("/root/", "/home/", "/tmp/"):  # noqa: S108 - looked for, not used
            assert local not in text, f"{path.name} names {local}"
