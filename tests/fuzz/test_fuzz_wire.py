"""The wire under a coverage-guided fuzzer: whatever the bytes, `Invalid` or `Refused`."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TARGET = Path(__file__).with_name("wire_target.py")
ROOT = TARGET.parents[2]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "120"))


def fuzz(corpus: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, TARGET, *options, corpus],
        cwd=corpus.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS + 300,
    )


needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed"
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    return tmp_path / "corpus"


@pytest.mark.long
@needs_atheris
def test_fuzz__nothing_but_invalid_comes_out(corpus: Path) -> None:
    done = fuzz(
        corpus, f"-max_total_time={SECONDS}", "-max_len=4096", "-seed=1", "-rss_limit_mb=2048"
    )
    found = [path.read_bytes() for path in corpus.parent.glob("crash-*")]
    assert done.returncode == 0, f"{done.stderr[-4000:]}\n{found}"
    assert len(list(corpus.iterdir())) > 30, "it found no way in"


@pytest.mark.long
@needs_atheris
def test_fuzz__a_target_that_fails_is_told(corpus: Path) -> None:
    """A decoder that lets another exception out ends the run with an error."""
    broken = TARGET.read_text().replace("hello.decode_hello(data, where=", "int(data, base=")
    assert "int(data, base=" in broken
    target = corpus.parent / "broken_target.py"
    target.write_text(broken.replace('base="x"', "base=10"))
    done = subprocess.run(
        [sys.executable, target, "-runs=2000", "-seed=1", corpus],
        cwd=corpus.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode != 0
    assert "ValueError" in done.stdout + done.stderr
