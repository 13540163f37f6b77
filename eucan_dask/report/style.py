"""The page's style sheet and its one small script, as text: nothing is fetched."""

from __future__ import annotations

__all__ = ["CSS", "SORT"]

CSS = """
:root { --ink: #1b1f24; --muted: #5b6570; --rule: #dfe3e8; --pale: #f5f6f8; --accent: #0072b2;
  --warn: #8a4b00; --warn-pale: #fff4e0; --bad: #a32a00; --bad-pale: #fdece6; --good: #00664a;
  --good-pale: #e5f5ef; }
* { box-sizing: border-box; }
html { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
  sans-serif; color: var(--ink); background: #eef0f3; -webkit-text-size-adjust: 100%; }
body { margin: 0; }
main { max-width: 1100px; margin: 0 auto; padding: 28px 20px 64px; }
h1, h2, h3, h4 { line-height: 1.25; margin: 0; text-wrap: balance; overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; letter-spacing: -.01em; }
h2 { font-size: 1.5rem; margin-top: 44px; }
h3 { font-size: 1.2rem; }
h4 { font-size: 1rem; margin: 22px 0 6px; }
h5 { font-size: .875rem; font-weight: 600; margin: 0 0 2px; }
p { margin: .5em 0; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .85em; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.kicker { color: var(--muted); font-size: .8rem; letter-spacing: .04em; margin: 0 0 4px; }
.muted, .note { color: var(--muted); }
.note { font-size: .85rem; margin: .45em 0 0; max-width: 90ch; }
.key + .figures { margin-top: 8px; }
.lead { font-size: 1.08rem; margin: 16px 0 0; max-width: 80ch; }
.banner { border-radius: 6px; padding: 9px 14px; margin: 14px 0 0; font-weight: 600;
  background: var(--warn-pale); color: var(--warn); border-left: 5px solid #e69f00; }
.banner.bad { background: var(--bad-pale); color: var(--bad); border-color: #d55e00; }
.banner span { font-weight: 400; }
.card { background: #fff; border: 1px solid var(--rule); border-radius: 8px;
  padding: 22px 24px; margin-top: 22px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(142px, 1fr));
  gap: 12px 20px; margin: 18px 0 0; padding-top: 16px; border-top: 1px solid var(--rule); }
.facts dt { color: var(--muted); font-size: .78rem; }
.facts dd { margin: 0; font-size: .95rem; overflow-wrap: anywhere; }
.facts small { color: var(--muted); display: block; font-size: .8rem; line-height: 1.35; }
nav { margin-top: 16px; font-size: .92rem; display: flex; flex-wrap: wrap; gap: 4px 18px; }
a { color: var(--accent); text-underline-offset: 2px; }
.equals { margin: 4px 0 0; font-size: .9rem; color: var(--muted); }
.equals code { color: var(--ink); background: var(--pale); padding: 1px 5px; border-radius: 4px; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr));
  gap: 16px 28px; }
.figures.pairs { grid-template-columns: repeat(auto-fill, minmax(400px, 1fr)); }
.figures > .wide { grid-column: 1 / -1; }
.figure { min-width: 0; }
.scroll { overflow-x: auto; }
.wide > .scroll > .plot { min-width: 640px; }
.key { display: flex; flex-wrap: wrap; gap: 2px 18px; font-size: .85rem; padding: 0; margin: 4px 0;
  list-style: none; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 2px; margin-right: 6px;
  vertical-align: -1px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.hatch { width: 30px; border: 1px dotted var(--muted); background: repeating-linear-gradient(
  135deg, #9aa3ad 0 1px, #fff 1px 5px); }
.cohorts { margin: 10px 0 0; display: grid; grid-template-columns: max-content 1fr;
  gap: 5px 18px; font-size: .92rem; }
.cohorts dt { font-weight: 600; max-width: 340px; overflow-wrap: anywhere;
  padding-left: 18px; text-indent: -18px; }
.cohorts dd { margin: 0; color: var(--muted); overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums;
  line-height: 1.35; }
th { text-align: left; font-weight: 600; vertical-align: bottom; border-bottom: 1.5px solid
  var(--muted); padding: 4px 14px 4px 0; white-space: nowrap; }
td { padding: 3.5px 14px 3.5px 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: break-word; min-width: 3ch; max-width: 44ch; }
th.num, td.num { text-align: right; }
td.num { white-space: nowrap; }
td.hidden { color: var(--warn); font-style: italic; cursor: help; }
td.na { color: var(--muted); }
td.reason { color: var(--muted); font-size: .8rem; }
table.sortable th button { all: unset; cursor: pointer; }
table.sortable th button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
details { margin-top: 14px; border-top: 1px solid var(--rule); padding-top: 10px; }
summary { cursor: pointer; font-size: .92rem; color: var(--accent); }
summary .muted { font-size: .85rem; }
details[open] > summary { margin-bottom: 8px; }
.sites { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 18px;
  margin-top: 14px; }
.site { border: 1px solid var(--rule); border-radius: 8px; padding: 16px 18px; min-width: 0; }
.site h4 { margin: 0; display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; }
.site dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; margin: 8px 0 0;
  font-size: .85rem; }
.site dt { color: var(--muted); }
.site dd { margin: 0; overflow-wrap: anywhere; }
.site ul { margin: 4px 0 0; padding-left: 18px; font-size: .85rem; }
.chip { font-size: .75rem; font-weight: 600; border-radius: 99px; padding: 2px 10px; }
.chip.answered { background: var(--good-pale); color: var(--good); }
.chip.refused, .chip.invalid { background: var(--bad-pale); color: var(--bad); }
.chip.unavailable { background: var(--pale); color: var(--muted); }
.refusal { border-left: 3px solid #d55e00; padding: 2px 0 2px 10px; margin: 10px 0 0;
  font-size: .9rem; overflow-wrap: anywhere; }
footer { color: var(--muted); font-size: .8rem; margin-top: 24px; }
@media (max-width: 620px) { main { padding: 16px 10px 40px; } .card { padding: 16px 14px; }
  .figures, .figures.pairs { grid-template-columns: 1fr; }
  .cohorts { grid-template-columns: 1fr; gap: 0; } .cohorts dd { margin-bottom: 8px; } }
@media print { html { background: #fff; font-size: 12.5px; } main { max-width: none; padding: 0; }
  .card { border: 0; border-top: 1px solid var(--muted); border-radius: 0; padding: 12px 0; }
  .figure, .site, tr { break-inside: avoid; } h3, h4, h5 { break-after: avoid; }
  .figure.wide { break-inside: auto; }
  nav { display: none; } .scroll { overflow: visible; } th, td { padding-right: 8px; }
  @page { margin: 14mm; } }
"""

# Click on a column's head: sort its rows, numbers by value; hidden and NA cells stay last.
SORT = """
document.addEventListener("click", (event) => {
  const button = event.target.closest("table.sortable th button");
  if (!button) return;
  const head = button.closest("th"), heads = [...head.parentNode.children];
  const column = heads.indexOf(head), up = head.getAttribute("aria-sort") !== "ascending";
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = head.closest("table").tBodies[0];
  const value = (row) => {
    const cell = row.cells[column];
    if (cell.classList.contains("hidden") || cell.classList.contains("na")) return null;
    const text = cell.title || cell.textContent, number = Number(text);
    return text.trim() === "" || Number.isNaN(number) ? text : number;
  };
  const order = (a, b) => {
    const x = value(a), y = value(b);
    if (x === null || y === null) return (x === null) - (y === null);
    const both = typeof x === "number" && typeof y === "number";
    return (both ? x - y : String(x).localeCompare(String(y))) * (up ? 1 : -1);
  };
  [...body.rows].sort(order).forEach((row) => body.append(row));
});
"""
