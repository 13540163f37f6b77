"""Write docs/analyses.md from the docstrings of the analyses: `python docs/make.py [--check]`."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

from eucan_dask.analysis import Analysis, IterativeAnalysis
from eucan_dask.explain import job_template
from eucan_dask.registry import registry

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "analyses.md"
JOBS = ROOT / "jobs"
KINDS = {
    "counts": "counts of people",
    "curve": "a curve over time",
    "model": "a model",
    "variant_counts": "numbers a variant",
    "association": "a regression a variant",
}
SECTIONS = ("Parameters", "Returns", "Disclosure", "Raises", "References")
HEAD = """# Analyses

Written by `make docs` from the docstrings: change those, not this page. The same text on a
terminal: `eucan-dask analyses NAME`; a runnable job: `eucan-dask analyses NAME --template`; what a
job of yours would make leave: `eucan-dask explain JOB --federation FILE`.

"Leaves a site" lists every array of a release, by name, with its dimensions. Their sizes follow
from the request alone, never from the data. Cells of one record are shown or hidden together.
"""


def page() -> str:
    """The whole page: a table of contents, then one section an analysis."""
    kinds = list(registry().values())
    rows = [f"- [`{kind.name}`](#{kind.name}): {_first(kind)}" for kind in kinds]
    return "\n".join([HEAD, *rows, *(section(kind) for kind in kinds)]) + "\n"


def section(kind: type[Analysis]) -> str:
    """One analysis: summary, parameters, what leaves, disclosure, references, a job."""
    intro, parts = split(inspect.cleandoc(kind.__doc__ or ""))
    rounds = "in rounds" if issubclass(kind, IterativeAnalysis) else "one round"
    facts = f"Tier is looked up under `{kind.kind}` ({KINDS[kind.kind]}); {rounds}."
    lines = [f"\n## {kind.name}\n", intro, f"\nEquals: `{kind.equals}`  \n{facts}"]
    for name in ("Parameters", "Returns"):
        lines += [f"\n### {name}\n", listed(parts[name])]
    lines += ["\n### Leaves a site\n", _leaves(kind)]
    lines += ["\n### Disclosure\n", parts["Disclosure"]]
    lines += ["\n### Refused as bad input\n", _flat(parts["Raises"].split("\n", 1)[1])]
    lines += ["\n### References\n", parts["References"]]
    lines += ["\n### A job\n", f"```toml\n{_job(kind)}\n```"]
    return "\n".join(lines)


def split(doc: str) -> tuple[str, dict[str, str]]:
    """What stands before the first numpydoc section, and each section by name."""
    pieces = re.split(r"(?m)^([A-Z][a-z]+)\n-{3,}\n", doc)
    parts = {name: text.strip("\n") for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}
    lacking = [name for name in SECTIONS if name not in parts]
    if lacking:
        raise SystemExit(f"a docstring lacks {', '.join(lacking)}: {doc.splitlines()[0]}")
    return pieces[0].strip(), parts


def listed(text: str) -> str:
    """A numpydoc list of names and indented explanations, as Markdown bullets."""
    bullets: list[str] = []
    for line in text.splitlines():
        if line and not line[0].isspace():
            names, colon, rest = line.partition(" : ")
            marked = ", ".join(f"`{name}`" for name in names.split(", "))
            bullets.append(f"- {marked}" + (f": {rest}" if colon else ":"))
        elif line.strip():
            bullets[-1] += f" {line.strip()}"
    return "\n".join(bullets)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _first(kind: type[Analysis]) -> str:
    return inspect.cleandoc(kind.__doc__ or "").splitlines()[0]


def _leaves(kind: type[Analysis]) -> str:
    rows = ["| array | what | over | part of |", "|---|---|---|---|"]
    for spec in kind.yields:
        if spec.leaves:
            over = " x ".join(spec.dims) or "one number"
            unit = f" ({spec.unit})" if spec.unit else ""
            within = f"`{spec.within}`" if spec.within else ""
            rows.append(f"| `{spec.name}` | {spec.kind}: {spec.doc}{unit} | {over} | {within} |")
    looked = [spec for spec in kind.yields if not spec.leaves]
    if looked:
        names = ", ".join(f"`{spec.name}` ({spec.doc})" for spec in looked)
        rows.append(f"\nLooked at by the rules alone, and shown to nobody: {names}.")
    return "\n".join(rows)


def _job(kind: type[Analysis]) -> str:
    """The job we ship, or for an analysis of another package its template."""
    path = JOBS / f"{kind.name}.toml"
    return path.read_text(encoding="utf-8").strip() if path.exists() else job_template(kind)


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` say whether it is out of step."""
    text = page()
    if arguments == ["--check"]:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        sys.stderr.write("" if same else f"{PAGE.name} is out of step: run `make docs`\n")
        return 0 if same else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
