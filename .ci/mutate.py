"""Mutation testing: `.ci/mutate [MODULE[:LINE] ...]`, by default all of `TESTS` but `OPEN`.

mutmut makes the mutants; each is written into a copy of the tree and judged in a forked child of
this process, which has the heavy libraries imported and eucan_dask not. A first run without a
mutant must pass; it also notes which tests come to which lines, and how long they take: a mutant is
judged by the tests that come to its line, the fastest first, or by all where the line runs while
the module is imported. A test that runs out of time fails.

It fails if a mutant survives that `.ci/survivors.toml` does not explain, or if that file explains
one that does not survive. Mutants that only change words or types are counted, not run: `words`.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import mutmut
import pytest

ROOT = Path(__file__).parent.parent
TESTS = {
    "gate": "gate insider total",
    "structural": "gate",
    "insider": "frozen insider total",
    "complement": "gate insider",
    "rules": "rules gate total insider",
    "leverage": "frozen leverage ledger",
    "families": "frozen families steward cells ledger",
    "settling": "settling families cells ledger",
    "cells": "frozen cells ledger",
    "ledger": "frozen accounts families steward cells ledger transcript on_record",
    "accounts": "frozen accounts families steward exposure ledger",
    "ways": "frozen families steward ledger",
    "transcript": "frozen families transcript",
    "masks": "masks",
    "fixed_point": "frozen fixed_point masks",
    "masking": "masks opening",
    "opening": "unmasking opening",
    "unmasking": "unmasking opening",
    "received": "received wire",
    "message": "message wire",
    "wire": "received wire",
    "bounds": "frozen bounds analyses/genotype_disclosure",
}
OPEN = {"bounds"}  # not every survivor was looked at yet: run where it is named
HEAVY = (
    "numpy scipy.linalg scipy.optimize scipy.special scipy.stats pandas xarray dask.array "
    "distributed zarr numcodecs cryptography.hazmat.primitives.ciphers "
    "cryptography.hazmat.primitives.asymmetric.ed25519 cryptography.hazmat.primitives.kdf.hkdf "
    "hypothesis.strategies sqlite3 sgkit"
).split()
ERRORS = {"Invalid", "Unavailable", "EucanError", "Refused", "unknown"}
TYPES = {"NDArray", "Callable", "Mapping", "Sequence"}
SECONDS = 20  # beside thrice what its tests take without a mutant


class Watch:
    """A pytest plugin: runs `chosen` alone, fastest first, and notes what each test runs."""

    def __init__(self, chosen: dict[str, float] | None, noted: Any) -> None:
        self.chosen, self.noted, self.seconds = chosen, noted, {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if self.chosen is not None:
            rank = {path: i for i, path in enumerate(dict.fromkeys(i.path for i in items))}
            held = [item for item in items if item.nodeid in self.chosen]
            items[:] = sorted(held, key=lambda i: (rank[i.path], self.chosen[i.nodeid]))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.test, self.began = nodeid, time.monotonic()
        self._note(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.seconds[nodeid] = time.monotonic() - self.began

    def _note(self, context: str) -> None:
        if self.noted is not None:
            self.noted.switch_context(context)


def watch_fixtures(watch: Watch) -> None:
    """What a fixture that tests share runs counts for all tests."""

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(fixturedef: Any) -> Iterator[None]:
        shared = fixturedef.scope != "function"
        if shared:
            watch._note("")
        result = yield
        if shared:
            watch._note(watch.test)
        return result

    watch.pytest_fixture_setup = pytest_fixture_setup


def in_child(copy: Path, module: str, chosen: dict[str, float] | None, seconds: float) -> Any:
    """Run the tests of a module on the copy as it is: pytest's exit code, or "time"."""
    note = copy / "note.json"
    note.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.setsid()
            log = os.open(copy / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = run_tests(copy, module, chosen, note)
        finally:
            os._exit(code)
    until, found = time.monotonic() + seconds, None
    try:
        while found is None and time.monotonic() < until:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                found = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.01)
    finally:
        kill_group(pid)  # it, or what its tests left behind
        if found is None:
            os.waitpid(pid, 0)
    return "time" if found is None else found


def kill_group(pid: int) -> None:
    """End a child and all it started, if any is left."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_tests(copy: Path, module: str, chosen: dict[str, float] | None, note: Path) -> int:
    """Run in the child; notes times and lines if no tests are chosen."""
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    source = copy / f"eucan_dask/{module}.py"
    named = [name.rpartition("/") for name in TESTS[module].split()]
    noted = None
    if chosen is None:
        noted = coverage.Coverage(data_file=None, config_file=False, include=[str(source)])
        noted.start()
    else:
        sys.dont_write_bytecode = True
    watch = Watch(chosen, noted)
    if noted is not None:
        watch_fixtures(watch)
    files = [f"tests/{folder}{of}test_{name}.py" for folder, of, name in named]
    options = "-x -q --tb=short --assert=plain -p no:cacheprovider -p no:xdist -W ignore -o".split()
    options += ["addopts=--import-mode=importlib", "-m", "not long", f"--basetemp={copy}/kept"]
    code = pytest.main([*options, *files], [watch])
    if noted is not None:
        noted.stop()
        lines = noted.get_data().contexts_by_lineno(str(source))
        note.write_text(json.dumps({"seconds": watch.seconds, "lines": lines}))
    return int(code)


def mutants(source: str) -> Iterator[tuple[int, str]]:
    """Line and source of every mutant, each once."""
    # Its parser knows no `match`: the statement is written as others while it looks.
    text = re.sub(r"(?m)^( +)match (.*):$", r"\1with \2:  #match", source)
    text = re.sub(r"(?m)^( +)case (.*) if (.*):$", r"\1if \3:  #case \2", text)
    seen = {source}
    for found in mutmut.list_mutations(mutmut.Context(source=text)):
        context = mutmut.Context(source=text, mutation_id=found)
        changed, _ = mutmut.mutate(context)
        changed = re.sub(r"(?m)^( +)if (.*):  #case (.*)$", r"\1case \3 if \2:", changed)
        changed = re.sub(r"(?m)^( +)with (.*):  #match$", r"\1match \2:", changed)
        if changed not in seen:
            seen.add(changed)
            yield found.line_number + 1, changed


def difference(one: ast.AST, other: ast.AST, path: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
    """The way to the first place where two trees differ: nodes, and names of their fields."""
    path = (*path, one)
    if type(one) is not type(other):
        return path
    for name, value in ast.iter_fields(one):
        pair = (value, getattr(other, name))
        lists = [v if isinstance(v, list) else [v] for v in pair]
        if len(lists[0]) != len(lists[1]):
            return (*path, name)
        for a, b in zip(*lists, strict=True):
            if isinstance(a, ast.AST) and isinstance(b, ast.AST):
                found = difference(a, b, (*path, name))
                if found is not None:
                    return found
            elif a != b:
                return (*path, name)
    return None


def words(source: str, changed: str) -> str:
    """Why a mutant need not be run: it changes nothing that runs, or only words for people."""
    try:
        tree, other = ast.parse(source), ast.parse(changed)
    except SyntaxError:
        return ""
    path = difference(tree, other)
    if path is None:
        return "the same code"
    if "annotation" in path or "returns" in path:
        return "a type that is not looked at"
    if isinstance(path[-1], str):
        path = path[:-1]
    protocol = [n for n in path if isinstance(n, ast.ClassDef) and "Protocol" in ast.dump(n)]
    if protocol:
        return "a type that is not looked at"
    if any(isinstance(n, ast.keyword) and n.arg == "strict" for n in path):
        return "a check of zip's own"
    top = path[2] if len(path) > 2 else None
    if isinstance(top, ast.Assign) and not isinstance(top.value, ast.Call):
        named = [n.id for n in ast.walk(top.value) if isinstance(n, ast.Name)]
        if named and named[0] in TYPES:
            return "a type that is not looked at"
    if isinstance(top, ast.Assign) and getattr(top.targets[0], "id", "") == "__all__":
        return "the list of public names"
    text = [n for n in path if isinstance(n, ast.Constant | ast.JoinedStr)]
    if not text or not (isinstance(text[0], ast.JoinedStr) or isinstance(text[0].value, str)):
        return ""
    if isinstance(top, ast.Assign) and getattr(top.targets[0], "id", "") == "_MESSAGES":
        return "the wording of a message" if "values" in path else ""
    for node in path:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "remedy":
            return "the wording of a message"
        if isinstance(node, ast.keyword) and node.arg == "where":
            return "the wording of a message"
        if isinstance(node, ast.FunctionDef) and node.name == "__repr__":
            return "the wording of a message"
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
            rule = node.func.id == "Refused" and text[0] is node.args[0]
            return "" if rule else "the wording of a message"
    return ""


def tests_of(line: int, source: str, note: dict[str, Any]) -> dict[str, float]:
    """The tests that come to the statement on a line; all, if it runs at import or in none."""
    spans = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            if first <= line <= max(last, first):
                spans.append((max(last, first) - first, first, max(last, first)))
    _, first, last = min(spans, default=(0, line, line))
    found = {t for n in range(first, last + 1) for t in note["lines"].get(str(n), ())}
    held = note["seconds"]
    return held if not found or "" in found else {t: held[t] for t in found}


def function_of(line: int, source: str) -> str:
    """The innermost function a line is in."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    around = [n for n in nodes if n.lineno <= line <= (n.end_lineno or 0)]
    return max(around, key=lambda n: n.lineno).name if around else ""


def first_change(source: str, changed: str) -> tuple[str, str]:
    """The first line that differs: before and after."""
    pairs = zip(source.splitlines(), changed.splitlines(), strict=False)
    return next((a.strip(), b.strip()) for a, b in pairs if a != b)


def judge(copy: Path, module: str, only: set[int], explained: set[tuple[str, ...]]) -> bool:
    """Run every mutant of a module; whether all is as it should be."""
    began, path = time.monotonic(), copy / f"eucan_dask/{module}.py"
    source = path.read_text()
    if in_child(copy, module, None, 600) != 0:
        print((copy / "log").read_text())
        sys.exit(f"{module}: its tests fail without a mutant")
    note = json.loads((copy / "note.json").read_text())
    if in_child(copy, module, note["seconds"], 600) != 0:
        print((copy / "log").read_text())
        sys.exit(f"{module}: its tests fail in another order")
    (copy / f"eucan_dask/__pycache__/{module}.cpython-311.pyc").unlink(missing_ok=True)
    total, skipped, ended, left, used = 0, Counter(), Counter(), [], set()
    for line, changed in mutants(source):
        if only and line not in only:
            continue
        total += 1
        why = words(source, changed)
        if why:
            skipped[why] += 1
            continue
        chosen = tests_of(line, source, note)
        path.write_text(changed)
        code = in_child(copy, module, chosen, SECONDS + 3 * sum(chosen.values()))
        if code == "time" or code in (1, 2, 4) or code < 0:  # 2, 4: some import fails; a crash
            ended["by time" if code == "time" else "by a test"] += 1
            continue
        if code != 0:
            print((copy / "log").read_text())
            sys.exit(f"{module}:{line}: pytest ended with {code}")
        before, after = first_change(source, changed)
        keys = {(module, of, before, after) for of in ("", function_of(line, source))}
        used |= keys
        if keys & explained:
            ended["survives, explained"] += 1
        else:
            left.append((line, before, after))
            print(f"{module}:{line} survives\n  - {before}\n  + {after}", flush=True)
    path.write_text(source)
    stale = [k for k in explained if k[0] == module and k not in used] if not only else []
    for *_, before, after in stale:
        print(f"{module}: explained, but does not survive\n  - {before}\n  + {after}")
    told = ", ".join(f"{n} {what}" for what, n in (ended + skipped).items())
    seconds = time.monotonic() - began
    print(
        f"== {module}: {total} mutants: {told}; {len(left)} survive ({seconds:.0f} s)", flush=True
    )
    return not left and not stale


def main() -> None:
    """Judge the modules named, or all."""
    asked: dict[str, set[int]] = {}
    for argument in sys.argv[1:] or sorted(TESTS.keys() - OPEN):
        module, _, line = argument.partition(":")
        if module not in TESTS:
            sys.exit(f"{module}: no tests are chosen for it; those that have: {', '.join(TESTS)}")
        asked.setdefault(module, set()).update({int(line)} if line else ())
    table = tomllib.loads((ROOT / ".ci/survivors.toml").read_text())["survivor"]
    explained = {
        (row["module"], row.get("of", ""), row["line"], row["becomes"])
        for row in table
        if row["why"]
    }
    for name in HEAVY:
        import_module(name)
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutate", phases=phases, derandomize=True, database=None, deadline=None
    )
    hypothesis.settings.load_profile("mutate")
    gc.freeze()  # a child does not look through what it shares with this process
    copy = Path(tempfile.mkdtemp(prefix="mutate-"))
    try:
        listed = (
            "git",
            "ls-files",
            "-z",
            "eucan_dask",
            "tests",
            "pyproject.toml",
            "README.md",
            "docs",
        )
        for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0"):
            if name:
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        good = [judge(copy, module, lines, explained) for module, lines in asked.items()]
    finally:
        shutil.rmtree(copy)
    sys.exit(0 if all(good) else "mutants survive, or are explained and do not")


main()
