"""The page is whole, fetches nothing, escapes everything and says what is hidden."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eucan_dask.errors import Invalid
from eucan_dask.report.page import write

EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>$$x$$ & \"q\" 'q'"


class Page(HTMLParser):
    """The elements of a page, and the text outside scripts and styles."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style":
            self.text += data

    def titles(self, kind: str) -> list[str | None]:
        """The titles of the table cells of a CSS class."""
        return [
            a.get("title") for t, a in self.tags if t == "td" and kind in (a.get("class") or "")
        ]


def test_write__self_contained(run_directory: Path) -> None:
    path = write([run_directory])
    assert path == run_directory / "report.html"
    page = Page(path)
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "img", "form"}
        assert not {"src", "srcset", "action", "data", "background", "onload"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
    styles = re.findall(r"<style>(.*?)</style>", page.html, flags=re.DOTALL)
    assert not re.search(r"@import|url\(|@font-face", "".join(styles))
    assert not list(run_directory.glob(".tmp-*"))
    assert str(run_directory.parent) not in page.html


def test_write__policy_admits_exactly_the_scripts_of_the_page(run_directory: Path) -> None:
    page = Page(write([run_directory]))
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") is not None) or ""
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert len(page.scripts) == 4  # bokeh, its log level, the figures, sorting
    for script in page.scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert digest in policy


def test_write__header_and_summary(run_directory: Path) -> None:
    text = Page(write([run_directory])).text
    for said in (
        "lgg-drivers",
        "DUO:0000006",
        "health, medical or biomedical research",
        "14 May 2025, 09:31 UTC",
        "2 of 3 centres answered; Lyon refused.",
        "somebody may be counted at two centres",
        "may differ by fewer than 10 people",
        "cells are hidden in 5 of 6 tables: fewer than 5 individuals",
        "not among this site's purposes",
        "survival::survfit",
        "sha256:3f1c9a7be22d",
        "Mutation frequency: min_cell on gene_n_mutated: 7 cells hidden (threshold 5)",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("data_class", "public_policy", "said", "silent"),
    [
        ("synthetic", False, "Synthetic data.", "rules are off"),
        ("synthetic", True, "Value rules are off: small counts are shown.", "on personal"),
        ("public", True, "Public data: value rules are off.", "Synthetic"),
        ("public", False, "Public data.", "rules are off"),
        ("personal", True, "Value rules were off on personal data.", "Synthetic"),
    ],
)
def test_write__banner(
    tmp_path: Path,
    build: SimpleNamespace,
    data_class: str,
    public_policy: bool,  # noqa: FBT001
    said: str,
    silent: str,  # noqa: FBT001
) -> None:
    record = build.provenance(data_class=data_class, public_policy=public_policy)
    text = Page(write([build.write_run(tmp_path, record, {})])).text
    assert said in text
    assert silent not in text
    assert "Nothing is hidden." in text


def test_write__personal_data_has_no_banner(tmp_path: Path, build: SimpleNamespace) -> None:
    record = build.provenance(data_class="personal")
    page = Page(write([build.write_run(tmp_path, record, {})]))
    assert not [a for _, a in page.tags if "banner" in (a.get("class") or "")]
    assert len(page.scripts) == 1  # without figures bokeh stays out


def test_write__text_from_files_cannot_act(tmp_path: Path, build: SimpleNamespace) -> None:
    directory = build.glioma(tmp_path, cohorts=[EVIL, "B"], genes=[EVIL, "TP53"], name=EVIL)
    record = json.loads((directory / "provenance.json").read_text(encoding="utf-8"))
    record.update(
        purpose=EVIL, tier=EVIL, aggregator=EVIL, code_digest=EVIL, started=EVIL, panel={EVIL: EVIL}
    )
    record["versions"][EVIL] = EVIL
    record["sites"][0].update(site=EVIL, freeze=EVIL, reason=EVIL)
    for analysis in record["analyses"]:
        analysis.update(title=EVIL, equals=EVIL, roster=[EVIL])
        analysis["views"][0]["title"] = EVIL
        analysis["sites"][0].update(
            site=EVIL,
            findings=[{"rule": EVIL, "variable": EVIL, "message": EVIL, "threshold": EVIL}],
        )
    (directory / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    page = Page(write([directory]))
    assert page.html.count("<script>") == page.html.count("</script>") == 4
    assert "<img" not in page.html
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert "<img src=x onerror=alert(1)>" in page.text


def test_write__hidden_and_undefined_cells_differ(tmp_path: Path, build: SimpleNamespace) -> None:
    rows = [build.hidden("A", 1825, None, 3.5), build.shown("B", 1825, float("nan"), 0.123456789)]
    analysis = build.analysis("survival", ["rmst"], [build.views["table"]])
    record = build.provenance(analyses=[analysis])
    page = Page(write([build.write_run(tmp_path, record, {"rmst": rows})]))
    assert page.titles("hidden") == ["fewer than 5 individuals"]
    assert page.titles("na") == ["not defined here"]
    assert ">0.1235<" in page.html
    assert "1 cell is hidden in 1 of 1 table: fewer than 5 individuals (1 row)." in page.text


def test_write__truth_beside_estimate(run_directory: Path) -> None:
    text = Page(write([run_directory])).text
    assert "Planted truth and estimate" in text
    assert re.search(r"hazard ratio, IDH1 mutated ?0\.33 ?0\.3256 ?0\.2366 ?0\.4482 ?yes", text)
    assert re.search(r"hazard ratio, grade G3.{0,40}no", text)


def test_write__a_long_table_shows_its_first_rows(tmp_path: Path, build: SimpleNamespace) -> None:
    rows = [build.shown(f"t{i}", 0.1, 0.1, 1.1, 0.9, 1.3, 0.2) for i in range(100_000)]
    record = build.provenance(analyses=[build.analysis("cox", ["terms"], [])])
    path = write([build.write_run(tmp_path, record, {"terms": rows})])
    page = Page(path)
    assert "The first 200 of 100,000 rows. All of them are in 1-cox.terms.tsv." in page.text
    assert len(page.html) < 200_000
    assert ">t199<" in page.html
    assert ">t200<" not in page.html


def test_write__several_directories(tmp_path: Path, build: SimpleNamespace) -> None:
    runs = [build.glioma(tmp_path / n, name=f"question {n}") for n in ("one", "two")]
    path = write(runs, tmp_path / "both.html")
    page = Page(path)
    assert path == tmp_path / "both.html"
    assert "2 federated runs" in page.text
    assert "question one" in page.text
    assert "question two" in page.text
    identifiers = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(identifiers)) == len(identifiers)
    links = [(a["href"] or "").removeprefix("#") for t, a in page.tags if t == "a"]
    assert set(links) <= set(identifiers)
    assert not (runs[0] / "report.html").exists()


def test_write__no_directory_or_no_place_to_write(run_directory: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no run directory given"):
        write([])
    with pytest.raises(Invalid, match="cannot be written.*a directory that exists"):
        write([run_directory], tmp_path / "none" / "report.html")


def test_write__odd_records(tmp_path: Path, build: SimpleNamespace) -> None:
    """Sites that did little, times without zones, a truth without limits, a job as text."""
    work: dict[str, Any] = {"site": "Lyon", "status": "refused", "reason": "rule classes"}
    analysis = build.analysis(
        "x", [], [], sites=[work], roster=[], truth=[{"quantity": "q", "planted": 1.0}]
    )
    sites = [
        {"site": "Lyon", "status": "refused", "reason": "rule purposes"},
        {"site": "Oslo", "status": "unavailable"},
    ]
    record = build.provenance(
        analyses=[analysis],
        sites=sites,
        started="2025-05-14T09:00:00",
        panel={"genes": ["TP53"]},
        tier=None,
    )
    text = Page(write([build.write_run(tmp_path, record, {})])).text
    assert "0 of 2 centres answered; Lyon refused; Oslo could not be reached." in text
    assert "X (refused)" in text
    assert "X: rule classes" in text
    assert "not given" in text
    assert '"genes": [ "TP53" ]' in text
