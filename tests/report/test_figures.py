"""What is drawn equals what the tables say, and what is hidden is never drawn as a number."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bokeh.models import Label, LinearAxis
from hypothesis import given
from hypothesis import strategies as st

from eucan_dask.errors import Invalid
from eucan_dask.report import tables
from eucan_dask.report.figures import KINDS, draw
from eucan_dask.report.look import Context, Drawing
from eucan_dask.report.run_directory import View
from eucan_dask.report.tables import Table
from eucan_dask.report.time_axis import YEAR, TimeAxis

NAN = float("nan")


@pytest.fixture
def table(tmp_path: Path, build: SimpleNamespace) -> Any:
    """Write rows as the table `name` and read it back."""

    def written(name: str, rows: list[list[object]]) -> Table:
        path = tmp_path / f"{name}.tsv"
        build.write_table(path, build.columns[name], rows)
        return tables.read(path)

    return written


def view(build: SimpleNamespace, usual: str, **changes: Any) -> View:
    """The usual view of a kind."""
    return View(**{**build.views[usual], "where": "here", **changes})


def source(drawing: Drawing, name: str) -> dict[str, Any]:
    """The data behind the one renderer of a name."""
    assert drawing.plot is not None
    return dict(drawing.plot.select_one({"name": name}).data_source.data)


def names(drawing: Drawing) -> set[str]:
    """The names of all renderers that have one."""
    assert drawing.plot is not None
    return {model.name for model in drawing.plot.references() if model.name}


def test_draw__unknown_kind_names_it_and_the_known(table: Any, build: SimpleNamespace) -> None:
    rows = table("terms", [build.shown("a", 0, 1, 1.0, 0.5, 2.0, 0.5)])
    with pytest.raises(Invalid, match="unknown kind of figure 'violin'") as caught:
        draw(view(build, "forest", kind="violin"), rows, Context())
    assert all(kind in str(caught.value) for kind in KINDS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"at_rsk": "n_at_risk"}}, "at_risk"),
        ({"options": {"at_risk": 3}}, "wrong type"),
        ({"y": None}, "needs 'y'"),
        ({"y": "survivl"}, "did you mean 'survival'"),
        ({"y": "cohort"}, "is no number"),
    ],
)
def test_draw__refuses_a_wrong_view(
    table: Any, build: SimpleNamespace, changes: dict[str, Any], message: str
) -> None:
    rows = table("curve", build.curve_rows({"A": (50, 500)}))
    with pytest.raises(Invalid, match=message):
        draw(view(build, "curve", **changes), rows, Context())


def test_curve__glyphs_equal_the_table(table: Any, build: SimpleNamespace) -> None:
    rows = table("curve", build.curve_rows({"A": (80, 900), "B": (60, 300)}))
    (drawing,) = draw(view(build, "curve"), rows, Context(series=["A", "B"]))
    for label, part in rows.groups("cohort"):
        line, censored = source(drawing, f"line:{label}"), source(drawing, f"censored:{label}")
        shown = ~part.hidden("survival")
        assert not shown.all()
        np.testing.assert_array_equal(line["x"], part.number("time")[shown])
        np.testing.assert_array_equal(line["y"], part.number("survival")[shown])
        ticked = part.number("n_censored") > 0
        np.testing.assert_array_equal(censored["x"], part.number("time")[ticked])
        np.testing.assert_array_equal(censored["y"], part.number("survival")[ticked])
        band, known = source(drawing, f"band:{label}"), np.isfinite(part.number("low"))
        for column in ("low", "high"):
            np.testing.assert_array_equal(band[column], part.number(column)[known])


def test_curve__passes_over_hidden_times_and_breaks_at_undefined_ones(
    table: Any, build: SimpleNamespace
) -> None:
    values = [(0, 1.0), (30, None), (60, 0.8), (90, NAN), (120, 0.6), (150, 0.5), (180, None)]
    rows = [
        (build.hidden if s is None else build.shown)("A", t, 20, 1, 0, s, s, s) for t, s in values
    ]
    rows[1][-1] = "counted at the next grid point shown"
    (drawing,) = draw(view(build, "curve"), table("curve", rows), Context())
    line = source(drawing, "line:A")
    assert line["x"].tolist() == [0, 60, 90, 120, 150]
    np.testing.assert_array_equal(line["y"], [1.0, 0.8, NAN, 0.6, 0.5])
    bands = [r.data_source.data["x"].tolist() for r in drawing.plot.select({"name": "band:A"})]
    assert sorted(bands) == [[0, 60], [120, 150]]
    assert drawing.notes[0] == (
        "A: 1 time hidden (counted at the next grid point shown); "
        "hidden from 180 days on (fewer than 5 individuals)."
    )


def test_curve__hidden_throughout(table: Any, build: SimpleNamespace) -> None:
    rows = [build.hidden("A", t, *[None] * 6) for t in (0, 30)]
    (drawing,) = draw(view(build, "curve"), table("curve", rows), Context())
    assert drawing.plot is None
    assert drawing.notes == (
        "A: hidden throughout (fewer than 5 individuals).",
        "There is no value to draw.",
    )
    rows += [build.shown("B", t, 20, 1, 0, 0.5, 0.4, 0.6) for t in (0, 30)]
    (drawing,) = draw(view(build, "curve"), table("curve", rows), Context())
    assert source(drawing, "at_risk:A")["text"] == ["\N{EN DASH}"] * 5
    assert len(drawing.plot.children[0].legend[0].items) == 1
    assert "line:A" not in names(drawing)


def test_curve__at_risk_stands_under_the_ticks(table: Any, build: SimpleNamespace) -> None:
    times = [0, 180, 360, 540, 720, 900, 1080]
    counts: list[object] = [90, 80, 70, 60, 50, None, None]
    rows = [
        (build.hidden if n is None else build.shown)("A", t, n, 1, 0, *[n and 0.5] * 3)
        for t, n in zip(times, counts, strict=True)
    ]
    rows += [build.shown("B", t, NAN, 1, 0, 0.5, 0.4, 0.6) for t in times[:2]]
    (drawing,) = draw(view(build, "curve"), table("curve", rows), Context())
    at_risk = source(drawing, "at_risk:A")
    assert at_risk["x"] == [0, 0.5 * YEAR, YEAR, 1.5 * YEAR, 2 * YEAR, 2.5 * YEAR]
    assert at_risk["text"] == ["90", "80", "70", "60", "50", "\N{EN DASH}"]
    assert source(drawing, "at_risk:B")["text"] == ["NA", "NA"]
    assert "hidden from 2.46 years on (fewer than 5 individuals)" in drawing.notes[0]
    assert "not after the tick" in drawing.notes[-1]


def test_curve__axis_in_days_when_short_and_no_cohorts(table: Any, build: SimpleNamespace) -> None:
    rows = [build.shown("A", t, 9, 1, 0, 0.5, 0.4, 0.6) for t in range(0, 181, 30)]
    changes = {"by": None, "options": {}, "low": None, "high": None}
    (drawing,) = draw(view(build, "curve", **changes), table("curve", rows), Context())
    assert drawing.plot.select_one({"name": "line:"}) is not None
    labels = {axis.axis_label.text for axis in drawing.plot.select({"type": LinearAxis})}
    assert labels == {"Time (days)", "Survival"}


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ([("A vs B", "none", 8.7, 1, 0.0031)], ["Log-rank p = 0.0031"]),
        ([("A vs B", "sex", 8.7, 1, 1e-9)], ["Log-rank p < 0.0001, stratified by sex"]),
        ([("A vs B", "NA", None, 1, None)], ["Log-rank p hidden"]),
        (
            [(f"A vs {i}", "none", 1.0, 1, 0.3) for i in range(6)],
            [
                *(f"Log-rank p = 0.30: A vs {i}" for i in range(4)),
                "2 more comparisons in the table below",
            ],
        ),
        ([], None),
    ],
)
def test_curve__log_rank_is_written_into_the_plot(
    table: Any, build: SimpleNamespace, tests: list[tuple[Any, ...]], said: list[str] | None
) -> None:
    rows = table("curve", build.curve_rows({"A": (50, 500)}))
    logrank = table(
        "logrank", [(build.hidden if t[-1] is None else build.shown)(*t) for t in tests]
    )
    (drawing,) = draw(view(build, "curve"), rows, Context(tables={"logrank": logrank}))
    label = drawing.plot.select_one({"type": Label})
    assert (label.text.text.split("\n") if label else None) == said


@given(st.floats(1, 40_000))
def test_time_axis__few_ticks_inside_the_range(last: float) -> None:
    axis = TimeAxis(last)
    assert 1 <= len(axis.ticks) <= 12
    assert axis.ticks[0] == 0
    assert axis.range.start < 0
    assert axis.ticks[-1] <= axis.range.end


def gene(build: SimpleNamespace, name: str, cohort: str, k: Any, low: Any, high: Any) -> list[Any]:
    """A row of a gene among 100 people."""
    make = build.hidden if k is None else build.shown
    return make(name, "any", cohort, k, 100, None if k is None else k / 100, low, high)


def test_bar_interval__glyphs_equal_the_table(table: Any, build: SimpleNamespace) -> None:
    rows = table(
        "genes",
        [
            gene(build, "TP53", "A", 30, 0.2, 0.4),
            gene(build, "IDH1", "A", 70, 0.6, 0.8),
            gene(build, "CIC", "A", None, 0.01, 0.05),
            gene(build, "PTEN", "A", None, None, None),
            gene(build, "RB1", "A", NAN, NAN, NAN),
            gene(build, "NF1", "A", 0, 0.0, 0.03),
        ],
    )
    (drawing,) = draw(view(build, "bar_interval"), rows, Context())
    points, bars = source(drawing, "point:A"), source(drawing, "bar:A")
    assert points["value"].tolist() == [0.3, 0.7, 0.0]
    assert points["at"].tolist() == [-1, 0, -2]
    whiskers = source(drawing, "interval:A")
    assert [whiskers["low"].tolist(), whiskers["high"].tolist()] == [
        [0.2, 0.6, 0],
        [0.4, 0.8, 0.03],
    ]
    assert bars["left"].tolist() == [0, 0, 0, 0.01]
    assert bars["right"].tolist() == [0.3, 0.7, 0.0, 0.05]
    assert bars["hatch"].tolist() == [" ", " ", " ", "/"]
    words = source(drawing, "absent:A")
    assert dict(zip(words["text"], words["y"], strict=True)) == {"hidden": -4, "NA": -5}
    assert drawing.marks == {"range", "hidden", "undefined"}
    assert points["tip_3"].tolist() == ["30", "70", "0"]
    assert bars["tip_3"].tolist()[-1] == "hidden"


def test_bar_interval__several_rows_for_a_bar_become_facets(
    table: Any, build: SimpleNamespace
) -> None:
    rows = [
        build.shown("TP53", kind, "A", 3, 100, 0.03, 0, 0.1) for kind in ("missense", "nonsense")
    ]
    drawings = draw(view(build, "bar_interval"), table("genes", rows), Context())
    assert [drawing.title for drawing in drawings] == ["Missense", "Nonsense"]


def test_bar_interval__rows_that_nothing_tells_apart(table: Any, build: SimpleNamespace) -> None:
    rows = [gene(build, "TP53", "A", 30, 0.2, 0.4)] * 2
    with pytest.raises(Invalid, match="do not tell the rows of genes.tsv apart"):
        draw(view(build, "bar_interval"), table("genes", rows), Context())


def test_bar_interval__draws_the_highest_of_many(table: Any, build: SimpleNamespace) -> None:
    rows = [gene(build, f"G{i}", "A", i, i / 100, i / 100) for i in range(90)]
    (drawing,) = draw(view(build, "bar_interval"), table("genes", rows), Context())
    assert sorted(source(drawing, "point:A")["value"]) == [i / 100 for i in range(30, 90)]
    assert drawing.notes == ("The first 60 of 90 are drawn; all are in genes.tsv.",)


def test_histogram__one_figure_a_field_with_its_counts(table: Any, build: SimpleNamespace) -> None:
    rows = table(
        "summary",
        [
            build.shown("A", "sex", "female", 12),
            build.hidden("A", "sex", "male", None),
            build.shown("A", "vital_status", "dead", NAN),
            build.shown("B", "sex", "female", 0),
            build.shown("B", "sex", "male", 7),
        ],
    )
    sex, status = draw(view(build, "histogram"), rows, Context(series=["A", "B"]))
    assert [sex.title, status.title] == ["Sex", "Vital status"]
    assert source(sex, "bar:A")["right"].tolist() == [12]
    assert source(sex, "count:A")["text"] == ["12"]
    assert source(sex, "absent:A")["text"] == ["hidden"]
    assert source(sex, "bar:B")["right"].tolist() == [0, 7]
    assert source(status, "absent:A")["text"] == ["NA"]
    assert [label for label, _ in sex.key] == ["A", "B"]
    assert not sex.wide


def test_forest__glyphs_and_numbers_equal_the_table(table: Any, build: SimpleNamespace) -> None:
    rows = table(
        "terms",
        [
            build.shown("age", 0.5, 0.1, 1.649, 1.355, 2.006, 4.1e-7),
            build.hidden("rare", *[None] * 6),
            build.shown("site", *[NAN] * 6),
            build.shown("wild", 6.0, 3.0, 403.4, 1.13, 144_350.0, 0.045),
            build.shown("sex", -0.1, 0.2, 0.905, 0.611, 1.339, 0.62),
        ],
    )
    (drawing,) = draw(view(build, "forest"), rows, Context())
    interval = source(drawing, "interval:")
    np.testing.assert_array_equal(interval["low"], [1.355, 1.13, 0.611])
    np.testing.assert_array_equal(interval["high"], [2.006, 144_350.0, 1.339])
    assert interval["to"].tolist() == [2.006, 50.0, 1.339]
    point = source(drawing, "point:")
    assert dict(zip(point["at"], point["x"], strict=True)) == {0.0: 1.649, -4.0: 0.905}
    printed = drawing.plot.select_one({"name": "numbers"}).major_label_overrides
    assert [text.text for text in printed.values()] == [
        "HR (95 % CI)",
        "1.65 (1.35 to 2.01)",
        "hidden",
        "not estimable",
        "403 (1.13 to 144350)",
        "0.91 (0.61 to 1.34)",
    ]
    p = drawing.plot.select_one({"name": "p"}).major_label_overrides
    assert [text.text for text in p.values()] == ["p", "< 0.0001", "hidden", "NA", "0.045", "0.62"]


def test_forest__cohorts_have_lanes_and_a_legend(table: Any, build: SimpleNamespace) -> None:
    rows = [build.shown("age", c, 1, x, x / 2, x * 2, 0.1) for c, x in (("A", 1.2), ("B", 0.8))]
    changes = {"by": "coef", "low": None, "high": None}
    (drawing,) = draw(view(build, "forest", **changes), table("terms", rows), Context())
    assert {"point:A", "point:B"} <= names(drawing)
    assert source(drawing, "point:A")["at"][0] > source(drawing, "point:B")["at"][0]
    assert len(drawing.plot.legend[0].items) == 2


@pytest.mark.parametrize("kind", ["curve", "bar_interval", "histogram", "forest"])
def test_draw__nothing_hidden_or_undefined_becomes_a_number(
    table: Any, build: SimpleNamespace, kind: str
) -> None:
    name = build.views[kind]["table"]
    keys = {
        "curve": ["A", 30],
        "genes": ["TP53", "any", "A"],
        "summary": ["A", "f", "x"],
        "terms": ["t"],
    }
    n_values = len(build.columns[name]) - len(keys[name])
    for row in (
        build.hidden(*keys[name], *[None] * n_values),
        build.shown(*keys[name], *[NAN] * n_values),
    ):
        (drawing,) = draw(view(build, kind), table(name, [row]), Context())
        if drawing.plot is None:
            assert "There is no value to draw." in drawing.notes
            continue
        for prefix in ("bar:", "point:", "interval:", "band:", "censored:", "count:"):
            for found in names(drawing):
                if found.startswith(prefix):
                    assert all(len(cells) == 0 for cells in source(drawing, found).values())


def test_draw__an_empty_table_and_one_too_long(table: Any, build: SimpleNamespace) -> None:
    (drawing,) = draw(view(build, "forest"), table("terms", []), Context())
    assert drawing.notes == ("The table has no rows.",)
    long = [build.shown("A", t, 9, 0, 0, 0.5, 0.4, 0.6) for t in range(20_001)]
    (drawing,) = draw(view(build, "curve"), table("curve", long), Context())
    assert drawing.plot is None
    assert drawing.notes == ("Too many rows to draw (20,001): see curve.tsv.",)


def test_draw__too_many_facets_say_so(table: Any, build: SimpleNamespace) -> None:
    rows = [build.shown("A", f"field_{i}", "x", i) for i in range(30)]
    drawings = draw(view(build, "histogram"), table("summary", rows), Context())
    assert len(drawings) == 25
    assert drawings[-1].notes == ("The first 24 of 30 are drawn; all are in summary.tsv.",)


def test_context__a_cohort_keeps_its_colour() -> None:
    context = Context(series=["A", "B"])
    assert context.colour("B", place=0) == Context(series=["A", "B"]).colour("B", place=5)
    assert len({context.colour(str(i), place=i) for i in range(6)}) == 6
