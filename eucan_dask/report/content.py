"""A run in words: header, banners, summary, site panels and provenance, ready for the template."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from eucan_dask.job import DUO_PURPOSES
from eucan_dask.report.grid import Grid, of_records
from eucan_dask.report.run_directory import Analysis, Run
from eucan_dask.report.wording import lasting, listed, moment, plural, significant, sized

__all__ = [
    "banners",
    "facts",
    "footer",
    "panel",
    "provenance",
    "records",
    "sites",
    "summary",
    "truth",
]

_AGGREGATORS = {
    "none": "whoever asks sees each centre's released sums",
    "trusted": "a processor that keeps nothing sees each centre's released sums",
    "masked": "nobody sees a single centre's sums",
}
_TIERS = {
    "open": "anyone may see the result",
    "registered": "named people under agreement",
    "controlled": "a permit and a controlled workspace",
}
_OVERLAP = {
    "excluded": "nobody is counted at two centres",
    "unknown": "somebody may be counted at two centres, so totals rest on twice as many people",
}
_CLASSES = {"personal": "personal", "public": "public", "synthetic": "synthetic"}
_STATUS = {
    "refused": "refused",
    "invalid": "found the question invalid",
    "unavailable": "could not be reached",
}


def _fact(name: str, value: object, more: str = "") -> dict[str, str]:
    return {"name": name, "value": str(value), "more": more}


def banners(run: Run) -> list[dict[str, str]]:
    """What a reader must know before any number: made-up or public data, rules that are off."""
    data, rules_off = run.record["data_class"], run.record["public_policy"]
    shown = []
    if data == "synthetic":
        shown.append(("", "Synthetic data.", "No number here is about a patient."))
    elif data == "public":
        text = "Everything here is computed from data that anyone may download."
        shown.append(("", "Public data.", text))
    if rules_off and data == "personal":
        text = "Do not pass this page on; tell the data stewards of the centres."
        shown.append(("bad", "Value rules were off on personal data.", text))
    elif rules_off:
        shown.append(("", "Value rules are off:", "small counts are shown."))
    if rules_off and data == "public":
        shown = [("", "Public data: value rules are off.", "Small counts are shown.")]
    return [{"kind": kind, "title": title, "text": text} for kind, title, text in shown]


def summary(run: Run) -> str:
    """Who answered and what is hidden, in two or three sentences."""
    answered = [site["site"] for site in run.sites if site["status"] == "answered"]
    words = [f"{len(answered)} of {plural(len(run.sites), 'centre')} answered"]
    for status, said in _STATUS.items():
        names = [site["site"] for site in run.sites if site["status"] == status]
        if names:
            words.append(f"{listed(names)} {said}")
    return f"{'; '.join(words)}. {_hidden(run)}"


def _hidden(run: Run) -> str:
    """What the rules hid in the result tables, and why, most frequent reason first."""
    tables = [table for analysis in run.analyses for table in analysis.tables.values()]
    counts = [table.n_hidden() for table in tables]
    if not sum(counts):
        return "Nothing is hidden."
    reasons: Counter[str] = Counter()
    for table in tables:
        reasons.update(table.reasons())
    said = [f"{reason} ({plural(n, 'row')})" for reason, n in reasons.most_common(3)]
    more = len(reasons) - len(said)
    if more > 0:
        said.append(plural(more, "other reason"))
    why = f": {'; '.join(said)}" if said else ""
    some = sum(count > 0 for count in counts)
    verb = "is" if sum(counts) == 1 else "are"
    where = f"in {some} of {plural(len(tables), 'table')}"
    return f"{plural(sum(counts), 'cell')} {verb} hidden {where}{why}."


def facts(run: Run) -> list[dict[str, str]]:
    """The header's facts: purpose, tier, aggregator, date, centres, data."""
    record = run.record
    answered = sum(site["status"] == "answered" for site in run.sites)
    assemblies = sorted({site["assembly"] for site in run.sites if site["assembly"]})
    tier = record["tier"] or "not stated"
    aggregator = record["aggregator"]
    return [
        _fact("Purpose", record["purpose"], DUO_PURPOSES.get(record["purpose"], "")),
        _fact("Tier", tier, _TIERS.get(tier, "")),
        _fact("Aggregator", aggregator, _AGGREGATORS.get(aggregator, "")),
        _fact("Finished", moment(record["finished"])),
        _fact(
            "Centres", f"{answered} of {len(run.sites)}", f"at least {record['min_sites']} needed"
        ),
        _fact("Overlap", record["overlap"] or "not stated", _OVERLAP.get(record["overlap"], "")),
        _fact("Data", _CLASSES[record["data_class"]], listed(assemblies)),
    ]


def truth(analysis: Analysis) -> Grid | None:
    """Planted quantities beside their estimates, for synthetic data; None without any."""
    if not analysis.truth:
        return None
    heads = ["quantity", "planted", "estimate", "low", "high", "interval holds it"]
    rows = []
    for entry in analysis.truth:
        planted, low, high = entry["planted"], entry["low"], entry["high"]
        known = None not in (planted, low, high)
        holds = ("yes" if low <= planted <= high else "no") if known else "not given"
        rows.append([entry["quantity"], planted, entry["estimate"], low, high, holds])
    return of_records(heads, rows)


def footer(analysis: Analysis) -> str:
    """Who contributed to an analysis, who was left out, in how many rounds and how long."""
    words = [f"From {listed(analysis.roster)}"] if analysis.roster else []
    if analysis.complete:
        words.append(f"only people with {listed(analysis.complete)} known")
    words.append(f"{plural(analysis.rounds, 'round')}, {lasting(analysis.seconds)}")
    also = f" Also written: {listed(analysis.files)}." if analysis.files else ""
    return f"{'; '.join(words)}.{also}"


def sites(run: Run) -> list[dict[str, Any]]:
    """One panel a site: its state, what it did in each analysis and what its rules found."""
    return [_site(site, run.analyses) for site in run.sites]


def _site(site: Mapping[str, Any], analyses: Sequence[Analysis]) -> dict[str, Any]:
    work, findings, reasons = [], [], []
    for analysis in analyses:
        for entry in (e for e in analysis.sites if e["site"] == site["site"]):
            work.append((analysis.title, entry))
            if entry["reason"] and entry["reason"] != site["reason"]:
                reasons.append(f"{analysis.title}: {entry['reason']}")
            findings += [_finding(analysis.title, found) for found in entry["findings"]]
    named = (("Freeze", "freeze"), ("Assembly", "assembly"), ("Data class", "data_class"))
    panel = {name: site[key] or "not stated" for name, key in named}
    if work:
        notes = {e["membership"] for _, e in work} - {None, ""}
        panel |= {"Cohorts": listed(sorted(notes))} if notes else {}
        panel |= {
            "Received": sized(sum(e["bytes_in"] for _, e in work)),
            "Sent": sized(sum(e["bytes_out"] for _, e in work)),
            "Hidden cells": str(sum(e["n_suppressed_cells"] for _, e in work)),
        }
    return {
        "site": site["site"],
        "status": site["status"],
        "reasons": [*([site["reason"]] if site["reason"] else []), *reasons],
        "facts": list(panel.items()),
        "work": _work(work),
        "findings": findings,
    }


def _work(work: Sequence[tuple[str, Mapping[str, Any]]]) -> Grid | None:
    if not work:
        return None
    odd = any(entry["status"] != "answered" for _, entry in work)
    heads = ["analysis", "tasks", "time", "in", "out", "hidden"]
    rows = [
        [
            f"{title} ({entry['status']})" if odd else title,
            entry["n_tasks"],
            lasting(entry["seconds"]),
            sized(entry["bytes_in"]),
            sized(entry["bytes_out"]),
            entry["n_suppressed_cells"],
        ]
        for title, entry in work
    ]
    return of_records(heads, rows)


def _finding(title: str, found: Mapping[str, Any]) -> str:
    about = f" on {found['variable']}" if found["variable"] else ""
    limit = found["threshold"]
    bound = f" (threshold {limit:g})" if isinstance(limit, int | float) and limit else ""
    if isinstance(limit, str) and limit:
        bound = f" (threshold {limit})"
    if found["n_hidden"]:
        bound += f", about {plural(found['n_hidden'], 'cell')} hidden"
    message = f": {found['message']}" if found["message"] else ""
    return f"{title}: {found['rule']}{about}{message}{bound}"


def provenance(run: Run) -> list[dict[str, str]]:
    """Where the numbers come from, in single facts."""
    record = run.record
    return [
        _fact("Run directory", run.path.resolve().name),
        _fact("Federation", record["federation"] or "not stated"),
        _fact("Code digest", record["code_digest"]),
        _fact("Started", moment(record["started"])),
        _fact("Finished", moment(record["finished"])),
        _fact("Took", _took(record["started"], record["finished"])),
    ]


def _took(started: str, finished: str) -> str:
    try:
        seconds = (
            datetime.fromisoformat(finished) - datetime.fromisoformat(started)
        ).total_seconds()
    except (ValueError, TypeError):  # no ISO times, or one with a zone and one without
        return "not stated"
    return lasting(seconds)


def records(run: Run) -> list[tuple[str, Grid]]:
    """The longer records at the end of the page, each under its own heading."""
    versions = sorted(run.record["versions"].items())
    freezes = [[s["site"], s["freeze"], s["assembly"], s["data_class"]] for s in run.sites]
    asked = [
        [
            f"{a.title}, version {a.version}",
            a.id,
            json.dumps(dict(a.parameters), ensure_ascii=False),
            listed(a.cohorts) or "all",
            a.rounds,
            significant(a.seconds),
            a.run or "not stated",
        ]
        for a in run.analyses
    ]
    heads = ["analysis", "id", "parameters", "cohorts", "rounds", "seconds", "run"]
    return [
        ("Versions", of_records(["package", "version"], versions)),
        ("Roster and freezes", of_records(["centre", "freeze", "assembly", "data"], freezes)),
        ("Analyses, parameters and timings", of_records(heads, asked)),
    ]


def panel(run: Run) -> str:
    """The panel that fixed the shape of every answer, as text; empty without one."""
    given = run.record["panel"]
    return json.dumps(given, indent=2, ensure_ascii=False) if given else ""
