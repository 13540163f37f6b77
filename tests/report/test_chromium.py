"""A browser draws the page: colours on the screen, figures in the document, a silent console."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from eucan_dask.report.look import COLOURS
from eucan_dask.report.page import write

pytestmark = pytest.mark.chromium
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--enable-logging=stderr --virtual-time-budget=5000 --window-size=1200,5200"
).split()
# What bokeh says when all is well.
EXPECTED = ("setting log level", "document idle at")


@pytest.fixture(scope="module")
def chromium() -> str:
    """The browser; without one the tests skip, under CI they fail."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        reason = "no chromium on the PATH: install it, for example with apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def browse(chromium: str, page: Path, profile: Path, *options: str) -> tuple[str, list[str]]:
    """What the browser prints, and the lines of its console that bokeh does not always write."""
    command = [chromium, *QUIET, f"--user-data-dir={profile}", *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return done.stdout, [line for line in console if not any(e in line for e in EXPECTED)]


def pixels(image: Path, colour: str) -> int:
    """How many pixels have exactly this colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    with Image.open(image) as opened:
        return int((np.asarray(opened.convert("RGB")) == wanted).all(axis=2).sum())


def test_chromium__draws_every_figure(chromium: str, run_directory: Path, tmp_path: Path) -> None:
    page, image = write([run_directory]), tmp_path / "page.png"
    _, complaints = browse(chromium, page, tmp_path / "profile", f"--screenshot={image}")
    assert complaints == []
    counts = {colour: pixels(image, colour) for colour in COLOURS[:4]}
    assert all(counts[colour] > 1500 for colour in COLOURS[:3]), counts
    assert counts[COLOURS[3]] == 0  # three cohorts, three colours


def test_chromium__every_plot_is_in_the_document(
    chromium: str, tmp_path: Path, build: SimpleNamespace
) -> None:
    evil = "<img src=x onerror=alert(1)></script><script>document.title='owned'</script>$$x$$"
    page = write([build.glioma(tmp_path / "run", cohorts=[evil, "B"], genes=[evil, "TP53"])])
    document, complaints = browse(chromium, page, tmp_path / "profile", "--dump-dom")
    assert complaints == []
    assert "<title>lgg-drivers</title>" in document
    roots = re.findall(r'data-root-id="[^"]+"[^>]*>(<div class="bk-[A-Z])?', document)
    assert len(roots) == 7  # four fields, genes, survival, Cox
    assert all(roots)


def test_chromium__draws_scans(chromium: str, tmp_path: Path, build: SimpleNamespace) -> None:
    """A Manhattan and a quantile plot of 8,000 variants, some of them as boxes."""
    columns = ["variant", "contig", "position", "trait", "p_value"]
    rng = np.random.default_rng(1)
    rows = [
        build.shown(f"{1 + i // 4000}:{i}:A:G", 1 + i // 4000, 1000 * i, "LDL", p)
        for i, p in enumerate(rng.random(8000).tolist())
    ]
    rows[5][4] = 0.0
    build.columns["association"] = columns
    views = [
        {"kind": "manhattan", "x": "position", "y": "p_value", "by": "trait"},
        {"kind": "qq", "y": "p_value", "by": "trait"},
    ]
    views = [{**view, "table": "association"} for view in views]
    record = build.provenance(analyses=[build.analysis("scan", ["association"], views)])
    page = write([build.write_run(tmp_path / "run", record, {"association": rows})])
    image = tmp_path / "page.png"
    _, complaints = browse(chromium, page, tmp_path / "profile", f"--screenshot={image}")
    assert complaints == []
    blue, grey = (pixels(image, colour) for colour in ("#0072B2", "#7A8794"))
    assert blue > 5000  # one contig, and the quantiles
    assert grey > 5000  # the other
