"""Manhattan, quantile and frequency figures say what the tables say, however long those are."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from eucan_dask.errors import Invalid
from eucan_dask.report import long_table, manhattan, quantiles, tables
from eucan_dask.report.figures import draw
from eucan_dask.report.genome_axis import Extent, GenomeAxis
from eucan_dask.report.long_table import AnyTable, open_table
from eucan_dask.report.look import Context, Drawing
from eucan_dask.report.page import write
from eucan_dask.report.quantiles import Quantiles
from eucan_dask.report.run_directory import View

NAN = float("nan")
ASSOCIATION = "variant contig position ref alt trait beta se statistic p_value n".split()
FREQUENCY = "variant contig position ref alt cohort frequency hwe_p_value".split()
VIEWS: dict[str, dict[str, Any]] = {
    "manhattan": {"x": "position", "y": "p_value", "by": "trait", "options": {"label": "variant"}},
    "qq": {"y": "p_value", "by": "trait"},
    "spectrum": {"x": "frequency", "by": "cohort"},
    "table": {"y": "p_value"},
}


def view(kind: str, **changes: Any) -> View:
    """The usual view of a kind."""
    return View(**{"kind": kind, "table": "t", "where": "here", **VIEWS[kind], **changes})


def scan_rows(n: int, build: SimpleNamespace, *, trait: str = "height", seed: int = 1) -> list[Any]:
    """Variants on three contigs in order; every tenth hidden, every twelfth undefined."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        contig = ("2", "10", "X")[3 * i // n]
        position = 1000 + 500 * i
        key = (f"{contig}:{position}:A:G", contig, position, "A", "G", trait)
        p = float(rng.random() ** 3)
        if i % 10 == 3:
            rows.append(build.hidden(*key, *[None] * 5))
        elif i % 12 == 5:
            rows.append(build.shown(*key, *[NAN] * 4, 900))
        else:
            rows.append(build.shown(*key, 0.1, 0.05, 2.0, p, 900))
    return rows


@pytest.fixture(params=[10**6, 5], ids=["held", "in pieces"])
def table(
    tmp_path: Path,
    build: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Any:
    """Write rows as a table, and open it: held, or to be read in pieces of seven rows."""
    monkeypatch.setattr(long_table, "LONG", 7)

    def written(columns: list[str], rows: list[Any]) -> AnyTable:
        path = tmp_path / "t.tsv"
        build.write_table(path, columns, rows)
        return open_table(path, most=request.param)

    return written


def glyphs(drawing: Drawing, pattern: str) -> dict[str, np.ndarray]:
    """The data of the renderers whose names match, one after the other."""
    assert drawing.plot is not None
    named = [m for m in drawing.plot.renderers if re.fullmatch(pattern, m.name or "")]
    data = [m.data_source.data for m in sorted(named, key=lambda m: m.name)]
    return {k: np.concatenate([np.asarray(d[k]) for d in data]) for k in (data[0] if data else {})}


# --- Manhattan ---


def test_manhattan__every_known_variant_is_a_point(table: Any, build: SimpleNamespace) -> None:
    rows = table(ASSOCIATION, scan_rows(90, build))
    (drawing,) = draw(view("manhattan"), rows, Context())
    whole = tables.read(rows.path)
    p = whole.number("p_value")
    points = glyphs(drawing, "points:.")
    np.testing.assert_allclose(np.sort(points["y"]), np.sort(-np.log10(p[np.isfinite(p)])))
    assert glyphs(drawing, "boxes:.") == {}
    # Contig 10 lies between 2 and X, in the other colour.
    two, ten = glyphs(drawing, "points:0"), glyphs(drawing, "points:1")
    assert ten["x"].min() > two["x"].min()
    assert ten["x"].max() < two["x"].max()
    assert drawing.title == "Height"
    assert "9 variants are hidden and not drawn (fewer than 5 individuals)" in drawing.notes[0]
    assert "variants without a p-value (NA)" in drawing.notes[0]
    best = whole.text("variant")[np.nanargmin(p)]
    assert f"at {best}." in drawing.alt
    assert drawing.alt.startswith(f"Manhattan plot of {np.isfinite(p).sum()}")


def test_manhattan__thinned_points_are_counted_in_boxes(
    table: Any, build: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manhattan, "_POINTS", 20)
    monkeypatch.setattr(manhattan, "_LEAST_POINTS", 20)
    rows = table(ASSOCIATION, scan_rows(300, build))
    (drawing,) = draw(view("manhattan"), rows, Context())
    p = tables.read(rows.path).number("p_value")
    y = np.sort(-np.log10(p[np.isfinite(p)]))
    points, boxes = glyphs(drawing, "points:."), glyphs(drawing, "boxes:.")
    assert 0 < len(points["y"]) <= 20
    np.testing.assert_allclose(np.sort(points["y"]), y[-len(points["y"]) :])
    assert boxes["n"].sum() + len(points["y"]) == len(y)
    assert (boxes["top"] > boxes["bottom"]).all()
    assert boxes["bottom"].min() >= 0
    assert "are drawn as boxes" in drawing.notes[0]


def test_manhattan__vanishing_p_stand_at_the_top_and_are_said(
    table: Any, build: SimpleNamespace
) -> None:
    rows = scan_rows(60, build)
    for i, p in ((0, 0.0), (30, 4.9e-324), (45, 1e-200)):
        rows[i] = build.shown(*rows[i][:6], 0.1, 0.01, 50.0, p, 900)
    (drawing,) = draw(view("manhattan"), table(ASSOCIATION, rows), Context())
    zero, points = glyphs(drawing, "zero:."), glyphs(drawing, "points:.")
    assert len(zero["y"]) == 2
    assert points["y"].max() == pytest.approx(200)
    assert (zero["y"] > 200).all()
    assert (zero["y"] < drawing.plot.y_range.end).all()  # type: ignore[union-attr]
    assert "2 variants with p below 1e-300, or 0 in print, are drawn at the top" in drawing.notes[0]
    assert "3 below 5e-8; the smallest p, below 1e-300" in drawing.notes[0]


def test_manhattan__a_figure_a_trait(table: Any, build: SimpleNamespace) -> None:
    rows = [r for i in range(30) for r in scan_rows(6, build, trait=f"t{i}", seed=i)]
    empty = [build.hidden("2:5:A:G", "2", 5, "A", "G", "t0x", *[None] * 5)]
    drawings = draw(view("manhattan"), table(ASSOCIATION, [*empty, *rows]), Context())
    assert [d.title for d in drawings[:3]] == ["T0x", "T0", "T1"]
    assert drawings[0].plot is None
    assert "There is no p-value to draw." in drawings[0].notes
    assert drawings[-1].notes == ("The first 24 of 31 are drawn; all are in t.tsv.",)
    assert len(drawings) == 25


def test_manhattan__empty_table(table: Any) -> None:
    (drawing,) = draw(view("manhattan"), table(ASSOCIATION, []), Context())
    assert drawing.notes == ("The table has no rows.",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"label": "variantt"}}, "did you mean 'variant'"),
        ({"options": {"contg": "contig"}}, "did you mean 'contig'"),
        ({"y": "n"}, "holds no p-values"),
        ({"y": "variant"}, "is no number"),
        ({"x": "beta"}, "a variant has no position"),
        ({"x": None}, "needs 'x'"),
    ],
)
def test_manhattan__refuses_a_wrong_view(
    table: Any, build: SimpleNamespace, changes: dict[str, Any], message: str
) -> None:
    rows = table(ASSOCIATION, scan_rows(60, build))
    with pytest.raises(Invalid, match=message):
        draw(view("manhattan", **changes), rows, Context())


def test_genome_axis__contigs_in_order_without_overlap() -> None:
    extent = Extent()
    extent.widen(np.array(["X", "1", "1"], dtype=object), np.array([5e6, 1e6, 3e6]))
    extent.widen(np.array(["MT", "X", "GL1"], dtype=object), np.array([9.0, 6e6, 7.0]))
    axis = GenomeAxis(extent)
    assert axis.contigs == ("1", "X", "MT", "GL1")
    ends = [(axis.start[c], axis.start[c] + axis.width[c]) for c in axis.contigs]
    assert all(a[1] < b[0] for a, b in zip(ends, ends[1:], strict=False))
    x, number = axis.at(np.array(["X", "1"], dtype=object), np.array([5.5e6, 3e6]))
    assert x[0] == pytest.approx(axis.start["X"] + 0.5)
    assert x[1] == pytest.approx(2.0)
    assert number.tolist() == [1, 0]


def test_genome_axis__a_single_contig_shows_positions() -> None:
    extent = Extent()
    extent.widen(np.array(["22", "22"], dtype=object), np.array([16e6, 17e6]))
    axis = GenomeAxis(extent)
    x, _ = axis.at(np.array(["22"], dtype=object), np.array([16.5e6]))
    assert x.tolist() == [16.5]
    assert axis.described() == "chromosome 22"


# --- quantiles ---


@pytest.mark.parametrize("n", [1, 2, 99, 100, 4_999, 5_000, 5_001, 60_000, 400_001])
def test_quantiles__equal_sorting(n: int) -> None:
    rng = np.random.default_rng(n)
    p = np.where(rng.random(n) < 0.1, rng.random(n) ** 12, rng.random(n))
    found = Quantiles()
    for part in np.array_split(p, 7):
        found.add(part)
    ranks = np.unique(np.geomspace(1, n, 200).round()).astype(np.int64)
    expected = np.sort(p)[ranks - 1]
    exact = ranks <= quantiles.EXACT
    np.testing.assert_array_equal(found.at(ranks)[exact], expected[exact])
    # Beyond, bins of 1e-5 in p, or of 0.01 in -log10 p below 1e-3.
    near = np.maximum(1.1e-5, 0.024 * expected * (expected < 1e-3))
    assert (np.abs(found.at(ranks) - expected) <= near).all()
    inflation = np.median(chi2.isf(p, 1)) / chi2.ppf(0.5, 1)
    assert found.inflation() == pytest.approx(inflation, rel=1e-12 if n <= 5000 else 1e-4)


def test_quantiles__vanishing_p_are_kept() -> None:
    found = Quantiles()
    for _ in range(5):
        found.add(np.concatenate([np.zeros(3_000), np.full(3_000, 0.5)]))
    at = found.at(np.array([1, 5_000, 15_000, 15_001], dtype=np.int64))
    assert at[0] == at[1] == 0
    assert at[2] < 1e-320
    assert at[3] == pytest.approx(0.5, abs=1e-5)


def test_qq__points_band_and_inflation(table: Any, build: SimpleNamespace) -> None:
    rows = [*scan_rows(200, build), *scan_rows(80, build, trait="BMI", seed=4)]
    opened = table(ASSOCIATION, rows)
    (drawing,) = draw(view("qq"), opened, Context())
    whole = tables.read(opened.path)
    for (name, part), note in zip(whole.groups("trait"), drawing.notes, strict=False):
        p = np.sort(part.number("p_value")[np.isfinite(part.number("p_value"))])
        points = glyphs(drawing, f"qq:{name}")
        np.testing.assert_allclose(points["y"], -np.log10(p))
        np.testing.assert_allclose(points["x"], -np.log10((np.arange(len(p)) + 0.5) / len(p)))
        inflation = np.median(chi2.isf(p, 1)) / 0.454936423119572
        assert f"{name}: genomic inflation \u03bb = {inflation:.3f}" in note
        assert f"{len(p)} p-values" in note
        assert "are hidden and not drawn (fewer than 5 individuals)." in note
    band = glyphs(drawing, "band")
    assert (band["low"] < band["x"]).all()
    assert (band["high"] > band["x"]).all()
    assert "Band: 95 %" in drawing.notes[-1]


def test_qq__vanishing_p_at_the_top_and_no_inflation(table: Any, build: SimpleNamespace) -> None:
    rows = scan_rows(60, build)
    rows[0] = build.shown(*rows[0][:6], 0.1, 0.01, 50.0, 0.0, 900)
    opened = table(ASSOCIATION, rows)
    (drawing,) = draw(view("qq", by=None, options={"inflation": False}), opened, Context())
    points = glyphs(drawing, "qq:")
    assert points["p"][0] == 0
    assert points["y"][0] == points["y"].max() > points["y"][1]
    assert points["y"][0] < drawing.plot.y_range.end  # type: ignore[union-attr]
    assert "1 variant with p below 1e-300, or 0 in print, is drawn at the top." in drawing.notes[0]
    assert "inflation" not in drawing.notes[0]


def test_qq__nothing_to_draw(table: Any, build: SimpleNamespace) -> None:
    rows = [build.hidden("2:5:A:G", "2", 5, "A", "G", "t", *[None] * 5)]
    (drawing,) = draw(view("qq"), table(ASSOCIATION, rows), Context())
    assert drawing.plot is None
    assert drawing.notes[0] == "There is no p-value to draw."
    assert "1 variant is hidden" in drawing.notes[1]


# --- spectrum ---


def frequency_rows(values: dict[str, list[float | None]], build: SimpleNamespace) -> list[Any]:
    rows = []
    for cohort, frequencies in values.items():
        for i, f in enumerate(frequencies):
            key = (f"1:{i + 1}:A:G", "1", i + 1, "A", "G", cohort)
            rows.append((build.hidden if f is None else build.shown)(*key, f, f))
    return rows


def test_spectrum__folded_bins(table: Any, build: SimpleNamespace) -> None:
    values = [0.0, 1.0, 0.001, 0.999, 0.0011, 0.01, 0.05, 0.95, 0.1, 0.25, 0.5, 0.55, None, NAN]
    rows = table(FREQUENCY, frequency_rows({"A": values, "B": [0.5]}, build))
    (drawing,) = draw(view("spectrum"), rows, Context(series=["A", "B"]))
    bars = glyphs(drawing, "spectrum:A")
    labels = ["0", "\u2264 0.1 %", "0.1\u20130.5 %", "0.5\u20131 %", "1\u20135 %", "5\u201310 %"]
    labels += ["10\u201320 %", "20\u201330 %", "30\u201340 %", "40\u201350 %", "hidden"]
    assert bars["bin"].tolist() == labels
    assert bars["count"].tolist() == [2, 2, 1, 1, 2, 1, 0, 1, 0, 2, 1]
    assert glyphs(drawing, "spectrum:B")["count"].tolist() == [0] * 9 + [1, 0]
    assert drawing.notes == (
        "A: 12 variants in the bins; 1 variant hidden (fewer than 5 individuals), counted apart; "
        "1 variant without a frequency (NA).",
    )
    assert "B: 0: 0, \u2264 0.1 %: 0" in drawing.alt


def test_spectrum__of_the_alternate_allele(table: Any, build: SimpleNamespace) -> None:
    values: list[float | None] = [0.0, 1.0, 0.9995, 0.999, 0.55, 0.9]
    rows = table(FREQUENCY, frequency_rows({"A": values}, build))
    (drawing,) = draw(view("spectrum", options={"folded": False}), rows, Context())
    bars = glyphs(drawing, "spectrum:A")
    found = {b: n for b, n in zip(bars["bin"], bars["count"], strict=True) if n}
    assert found == {
        "0": 1,
        "50\u201360 %": 1,
        "80\u201390 %": 1,
        "99.5\u201399.9 %": 1,
        "99.9\u2013100 %": 1,
        "100 %": 1,
    }


def test_spectrum__counts_equal_numpy(table: Any, build: SimpleNamespace) -> None:
    rng = np.random.default_rng(3)
    f = rng.beta(0.3, 2, 400)
    rows = table(FREQUENCY, frequency_rows({"A": f.tolist()}, build))
    (drawing,) = draw(view("spectrum"), rows, Context())
    edges = [-1, 0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5]
    expected, _ = np.histogram(np.minimum(f, 1 - f), edges)
    assert glyphs(drawing, "spectrum:A")["count"].tolist() == expected.tolist()


def test_spectrum__hidden_throughout_and_wrong(table: Any, build: SimpleNamespace) -> None:
    (drawing,) = draw(view("spectrum"), table(FREQUENCY, []), Context())
    assert drawing.notes == ("There is no frequency to draw.",)
    with pytest.raises(Invalid, match="holds no frequencies"):
        draw(view("spectrum"), table(FREQUENCY, frequency_rows({"A": [1.5]}, build)), Context())


# --- top hits, and the page ---


def test_table__with_y_shows_the_smallest(table: Any, build: SimpleNamespace) -> None:
    opened = table(ASSOCIATION, scan_rows(90, build))
    (drawing,) = draw(view("table", options={"rows": 4}), opened, Context())
    p = tables.read(opened.path).number("p_value")
    assert drawing.rows is not None
    found = drawing.rows.head.number("p_value")
    np.testing.assert_array_equal(found, np.sort(p[np.isfinite(p)])[:4])
    assert drawing.notes == ("The 4 rows with the smallest p value; all 90 are in t.tsv.",)


def test_draw__other_kinds_refuse_a_long_table_in_words(
    tmp_path: Path, build: SimpleNamespace
) -> None:
    build.write_table(tmp_path / "t.tsv", ASSOCIATION, scan_rows(90, build))
    opened = open_table(tmp_path / "t.tsv", most=5)
    bars = View(kind="bar_interval", table="t", where="here", x="variant", y="beta")
    (drawing,) = draw(bars, opened, Context())
    assert drawing.notes == ("Too many rows to draw (90): see t.tsv.",)


def test_write__a_page_with_scans(
    tmp_path: Path, build: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_table, "LONG", 220)
    views = [{"kind": k, "table": "association", **VIEWS[k]} for k in ("manhattan", "qq", "table")]
    files = ["1-a.height.gwas-ssf.tsv.gz", "<b>.yaml"]
    analysis = build.analysis("linear_association", ["association"], views, files=files)
    directory = tmp_path / "run"
    directory.mkdir()
    evil = "</script><b>&$$x$$"
    rows = [*scan_rows(200, build), *scan_rows(30, build, trait=evil)]
    build.columns["association"] = ASSOCIATION
    record = build.provenance(analyses=[analysis])
    build.write_run(directory, record, {"association": rows})
    page = write([directory]).read_text(encoding="utf-8")
    assert page.count('role="img" aria-label="Manhattan plot of ') == 2
    assert page.count('role="img" aria-label="Quantile-quantile plot of ') == 1
    assert page.count("</script>") == 4
    assert "<b>.yaml" not in page
    assert "Also written: 1-a.height.gwas-ssf.tsv.gz and &lt;b&gt;.yaml." in page
    assert "The 25 rows with the smallest p value; all 230 are in" in page
    assert re.search(r"The first 200 of\s+230 rows\.", page)
