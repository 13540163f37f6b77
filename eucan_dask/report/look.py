"""What every figure shares: colours, fonts, an empty plot, and the parts a page puts around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bokeh.models import BoxZoomTool, HoverTool, LayoutDOM, PlainText, ResetTool, SaveTool
from bokeh.models.annotations import Legend
from bokeh.plotting import figure
from bokeh.themes import Theme

from eucan_dask.report.long_table import AnyTable
from eucan_dask.report.tables import Table
from eucan_dask.report.wording import clipped

__all__ = [
    "COLOURS",
    "DASHES",
    "FONT",
    "HIDDEN",
    "INK",
    "MUTED",
    "Context",
    "Drawing",
    "blank",
    "hover",
    "legend",
    "plain",
    "theme",
]

# Okabe and Ito's palette, told apart with every common colour vision; darkest first, so that the
# usual two or three cohorts also differ in grey print. Yellow is left out: too pale on paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("solid", "solid", "solid", "dashed", "dashed", "dashed", "dotdash")
INK, MUTED, RULE = "#1b1f24", "#5b6570", "#e3e6ea"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
HIDDEN = "hidden"
_LONGEST = 50  # characters of a label in a legend
_LEGEND_ROW = 26  # px


@dataclass(frozen=True)
class Context:
    """What a figure may look at beside its own table.

    Parameters
    ----------
    tables
        The other tables of the analysis, by name.
    series
        The cohorts of the run, in order; their place decides their colour on the whole page.
    """

    tables: Mapping[str, Table] = field(default_factory=dict)
    series: Sequence[str] = ()

    def colour(self, label: str, place: int = 0) -> str:
        """The colour of a cohort; a label the run does not know is coloured by its `place`."""
        return COLOURS[self._place(label, place) % len(COLOURS)]

    def dash(self, label: str, place: int = 0) -> str:
        """The dash pattern of a cohort's line."""
        return DASHES[self._place(label, place) % len(DASHES)]

    def _place(self, label: str, place: int) -> int:
        return list(self.series).index(label) if label in self.series else place


@dataclass(frozen=True)
class Drawing:
    """One figure with its words.

    Parameters
    ----------
    title
        Above the figure: empty, or the level of the facet.
    plot
        The bokeh layout; None where there are only rows or words.
    notes
        Sentences under the figure.
    key
        (label, colour) pairs where the plot itself carries no legend.
    marks
        Which marks the page must explain: "range" (hidden, but bounded), "hidden", "undefined".
    rows
        The table to show instead of a plot.
    wide
        Whether it takes the page's whole width; narrow ones stand side by side.
    alt
        What the plot shows, for those who cannot see it.
    """

    title: str = ""
    plot: LayoutDOM | None = None
    notes: tuple[str, ...] = ()
    key: tuple[tuple[str, str], ...] = ()
    marks: frozenset[str] = frozenset()
    rows: AnyTable | None = None
    wide: bool = True
    alt: str = ""


def plain(text: str) -> PlainText:
    """Text that bokeh must not read as TeX, whatever dollar signs a label holds."""
    return PlainText(text=text)


def blank(*, output_backend: str = "svg", **settings: Any) -> figure:
    """An empty plot in the page's style; `settings` go to `bokeh.plotting.figure`."""
    return figure(
        tools=[BoxZoomTool(), ResetTool(), SaveTool()],
        active_drag=None,
        sizing_mode="stretch_width",
        output_backend=output_backend,
        **settings,
    )


def hover(plot: figure, renderers: Sequence[Any], tooltips: Sequence[tuple[str, str]]) -> None:
    """Show `tooltips` over `renderers`; bokeh escapes what the columns hold."""
    plot.add_tools(HoverTool(renderers=list(renderers), tooltips=list(tooltips), visible=False))


def legend(plot: figure, items: Sequence[tuple[str, Sequence[Any]]]) -> None:
    """A legend above the plot, which grows by it; a click on a label hides or shows its `items`.

    Long labels are cut, so that two always stand side by side.
    """
    labels = [clipped(label, length=_LONGEST) for label, _ in items]
    longest = max(map(len, labels), default=0)
    columns = max(1, min(len(items), 4, 2 * (_LONGEST + 6) // (longest + 6)))
    box = Legend(
        # The trailing space parts the columns: bokeh's own spacing would part the rows, too.
        items=[
            (f"{label}\N{EM SPACE}", list(renderers))
            for label, (_, renderers) in zip(labels, items, strict=True)
        ],
        orientation="horizontal",
        ncols=columns,
        click_policy="hide",
        location="left",
    )
    plot.add_layout(box, "above")
    plot.height = (plot.height or 0) + _LEGEND_ROW * -(-len(items) // columns)


def theme() -> Theme:
    """The page's style as a bokeh theme: thin rules, dark text, system fonts."""
    texts = {"text_font": FONT, "text_color": INK}
    return Theme(
        json={
            "attrs": {
                "Plot": {
                    "background_fill_color": None,
                    "border_fill_color": None,
                    "outline_line_color": None,
                },
                "Axis": {
                    "axis_line_color": MUTED,
                    "major_tick_line_color": MUTED,
                    "major_tick_in": 0,
                    "major_tick_out": 4,
                    "minor_tick_line_color": None,
                    "major_label_text_color": INK,
                    "major_label_text_font": FONT,
                    "major_label_text_font_size": "12px",
                    "axis_label_text_color": INK,
                    "axis_label_text_font": FONT,
                    "axis_label_text_font_size": "12px",
                    "axis_label_text_font_style": "normal",
                    "axis_label_standoff": 8,
                },
                "Toolbar": {"logo": None, "autohide": True},
                "Grid": {"grid_line_color": RULE},
                "Legend": {
                    "border_line_color": None,
                    "background_fill_color": None,
                    "label_text_font": FONT,
                    "label_text_font_size": "12px",
                    "label_text_color": INK,
                    "glyph_width": 22,
                    "label_standoff": 6,
                    "spacing": 5,
                    "padding": 2,
                    "margin": 4,
                    "inactive_fill_color": "white",
                    "inactive_fill_alpha": 0.7,
                },
                "Text": {"text_font": {"value": FONT}, "text_color": INK},
                "Label": {**texts, "text_font_size": "12px"},
                "Title": {**texts, "text_font_size": "12px"},
            }
        }
    )
