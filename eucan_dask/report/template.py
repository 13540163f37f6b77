"""The page's HTML as a Jinja template; every value is escaped unless this file marks it safe."""

from __future__ import annotations

from jinja2 import Environment, StrictUndefined

from eucan_dask.report import wording

__all__ = ["PAGE", "environment"]

_MACROS = """
{% macro grid(rows) %}
<div class="scroll"><table class="sortable"><thead><tr>
{%- for head in rows.heads %}<th scope="col"{% if head.number %} class="num"{% endif %}>
<button type="button">{{ head.name }}</button></th>{% endfor %}</tr></thead><tbody>
{% for cells in rows.lines %}<tr>{% for cell in cells -%}
<td{% if cell.kind %} class="{{ cell.kind }}"{% endif %}
{%- if cell.title %} title="{{ cell.title }}"{% endif %}>{{ cell.text }}</td>
{%- endfor %}</tr>
{% endfor %}</tbody></table></div>
{% if rows.left_out %}<p class="note">The first {{ rows.lines|length }} of
 {{ "{:,}".format(rows.n_rows) }} rows. All of them are in <code>{{ rows.file }}</code>.</p>
{% endif %}{% endmacro %}

{% macro figure(drawing) %}
<div class="figure{% if drawing.wide %} wide{% endif %}">
{% if drawing.title %}<h5>{{ drawing.title }}</h5>{% endif %}
{% if drawing.plot %}<div class="scroll"><div class="plot"
{%- if drawing.alt %} role="img" aria-label="{{ drawing.alt }}"{% endif %}>
{{- divs[drawing.plot]|safe }}</div></div>
{% endif %}
{% if drawing.rows %}{{ grid(drawing.rows) }}{% endif %}
{% for note in drawing.notes %}<p class="note">{{ note }}</p>{% endfor %}
</div>{% endmacro %}

{% macro key(view) %}{% if view.key or view.marks %}<ul class="key">
{% for entry in view.key %}<li><span class="swatch" style="background: {{ entry[1] }}"></span>
{{- entry[0] }}</li>{% endfor %}
{% if "range" in view.marks %}<li><span class="swatch hatch"></span>The value is hidden: it lies
 somewhere in this range</li>{% endif %}
{% if "hidden" in view.marks %}<li><em>hidden</em>: a rule hides the value</li>{% endif %}
{% if "undefined" in view.marks %}<li><em>NA</em>: there is no value, for example because nobody was
 assayed</li>{% endif %}
</ul>{% endif %}{% endmacro %}

{% macro analysis(one) %}
<section class="card" id="{{ one.anchor }}">
<h3>{{ one.title }}</h3>
{% if one.equals %}<p class="equals">Equals on pooled data: <code>{{ one.equals }}</code></p>
{% endif %}
{% for view in one.views %}
{% if view.title %}<h4>{{ view.title }}</h4>{% endif %}
{{ key(view) }}
<div class="figures{% if view.drawings|length in (2, 4) %} pairs{% endif %}">
{% for drawing in view.drawings %}{{ figure(drawing) }}{% endfor %}</div>{% endfor %}
{% if one.truth %}<h4>Planted truth and estimate</h4>{{ grid(one.truth) }}
<p class="note">The data are made up with known quantities; a 95 % interval holds the planted value
 in about 19 of 20 cases.</p>{% endif %}
{% for table in one.tables %}<details><summary>Table {{ table.name }}
 <span class="muted">{{ table.n_rows|plural("row") }}
{%- if table.n_hidden %}, {{ table.n_hidden|plural("cell") }} hidden{% endif %}</span></summary>
{{ grid(table.rows) }}</details>{% endfor %}
<p class="note">{{ one.footer }}</p>
</section>{% endmacro %}

{% macro site(one) %}
<div class="site"><h4>{{ one.site }}
 <span class="chip {{ one.status }}">{{ one.status }}</span></h4>
{% for reason in one.reasons %}<p class="refusal">{{ reason }}</p>{% endfor %}
<dl>{% for name, value in one.facts %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
{% if one.work %}<details open><summary>What it did</summary>{{ grid(one.work) }}</details>
{% endif %}
{% if one.findings %}<details><summary>{{ one.findings|length|plural("finding") }}
 <span class="muted">what its rules hid or changed</span></summary>
<ul>{% for finding in one.findings %}<li>{{ finding }}</li>{% endfor %}</ul></details>{% endif %}
</div>{% endmacro %}
"""

_RUN = """
{% macro run(one, many) %}
<article id="{{ one.anchor }}">
<header class="card">
<p class="kicker">Federated analysis{% if many %}, run {{ one.number }} of {{ many }}{% endif %}</p>
{% if many %}<h2 style="margin: 0">{{ one.name }}</h2>{% else %}<h1>{{ one.name }}</h1>{% endif %}
{% for banner in one.banners %}<p class="banner {{ banner.kind }}">{{ banner.title }}
 <span>{{ banner.text }}</span></p>{% endfor %}
<p class="lead">{{ one.summary }}</p>
<dl class="facts">{% for fact in one.facts %}<div><dt>{{ fact.name }}</dt><dd>{{ fact.value }}
{%- if fact.more %}<small>{{ fact.more }}</small>{% endif %}</dd></div>{% endfor %}</dl>
<nav>{% for analysis in one.analyses %}<a href="#{{ analysis.anchor }}">{{ analysis.title }}</a>
{% endfor %}<a href="#{{ one.anchor }}-sites">Centres</a>
<a href="#{{ one.anchor }}-provenance">Provenance</a></nav>
</header>
{% if one.cohorts %}<section class="card"><h3>Cohorts</h3><dl class="cohorts">
{% for cohort in one.cohorts %}<dt><span class="swatch" style="background: {{ cohort.colour }}">
</span>{{ cohort.label }}</dt>
<dd>{% if cohort.description != cohort.label %}{{ cohort.description }}{% endif %}</dd>
{% endfor %}</dl></section>
{% endif %}
{% for analysis_ in one.analyses %}{{ analysis(analysis_) }}{% endfor %}
<section class="card" id="{{ one.anchor }}-sites"><h3>Centres</h3>
<p class="note">Individual records stay at the centres.</p>
<div class="sites">{% for panel in one.sites %}{{ site(panel) }}{% endfor %}</div></section>
<section class="card" id="{{ one.anchor }}-provenance"><h3>Provenance</h3>
<dl class="facts">{% for fact in one.provenance %}<div><dt>{{ fact.name }}</dt>
<dd>{{ fact.value }}</dd></div>{% endfor %}</dl>
{% for name, rows in one.records %}<details><summary>{{ name }}</summary>{{ grid(rows) }}</details>
{% endfor %}
{% if one.panel %}<details><summary>Panel</summary><pre>{{ one.panel }}</pre></details>{% endif %}
</section></article>{% endmacro %}
"""

PAGE = (
    _MACROS
    + _RUN
    + """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{{ title }}</title>
<style>{{ css|safe }}</style>
</head>
<body>
<main>
{% if runs|length > 1 %}<h1>{{ title }}</h1>
<nav>{% for one in runs %}<a href="#{{ one.anchor }}">{{ one.name }}</a>{% endfor %}</nav>
{% endif %}
{% for one in runs %}{{ run(one, runs|length if runs|length > 1 else 0) }}{% endfor %}
<footer>Written by eucan-dask {{ version }}. One file, nothing is loaded from elsewhere.</footer>
</main>
{% for script in scripts %}<script>{{ script|safe }}</script>
{% endfor %}</body>
</html>
"""
)


def environment() -> Environment:
    """A Jinja environment that escapes every value and refuses a name it does not know."""
    surroundings = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    surroundings.filters["plural"] = wording.plural
    return surroundings
