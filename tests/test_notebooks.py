"""The notebooks run from top to bottom in a fresh kernel, and are kept without outputs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HOME = (str(ROOT), "/home/", "/root/", "/Users/", "C:\\")


def test_notebooks__are_found() -> None:
    assert "survival_question" in [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook__is_kept_clean(path: Path) -> None:
    nbstripout = Path(sys.executable).with_name("nbstripout")
    done = subprocess.run(
        [str(nbstripout), "--verify", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run `nbstripout {path.name}`: {done.stdout}"
    text = path.read_text(encoding="utf-8")
    assert [place for place in HOME if place in text] == []


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook after a run in an empty directory, in a kernel that stops at any error."""
    from nbclient import NotebookClient

    notebook = nbformat.read(request.param, as_version=4)
    where = tmp_path_factory.mktemp("notebook")
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(where)}},
    )
    client.execute()
    assert list(where.iterdir()) == []
    return notebook


def _outputs(cell: Any) -> list[dict[str, Any]]:
    return [dict(output.get("data", {})) for output in cell["outputs"]]


def test_notebook__runs_without_error_or_warning(executed: Any) -> None:
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert all(cell["execution_count"] for cell in code)
    for cell in code:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            told = output.get("text", "") if output.get("name") == "stderr" else ""
            assert "Warning" not in told
            assert "Traceback" not in told


def test_notebook__shows_tables(executed: Any) -> None:
    tables = [
        data["text/html"]
        for cell in executed.cells
        if cell.cell_type == "code"
        for data in _outputs(cell)
        if "<table" in data.get("text/html", "")
    ]
    assert len(tables) >= 4


def test_notebook__ends_in_a_figure_and_a_sentence(executed: Any) -> None:
    last = executed.cells[-1]
    assert last.cell_type == "code"
    outputs = _outputs(last)
    kinds = {kind for data in outputs for kind in data}
    assert "application/vnd.bokehjs_exec.v0+json" in kinds
    (script,) = [d["application/javascript"] for d in outputs if "application/javascript" in d]
    for part in ("line:TP53 mutated", "band:TP53 mutated", "line:TP53 not mutated", "Step"):
        assert part in script
    sentence = outputs[-1]["text/markdown"]
    assert sentence.endswith(".**")
    assert "hazard was 2." in sentence or "hazard was 1." in sentence
