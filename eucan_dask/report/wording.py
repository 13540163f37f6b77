"""Numbers, times and lists as a reader of the page expects to see them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

__all__ = [
    "clipped",
    "lasting",
    "listed",
    "moment",
    "p_value",
    "plural",
    "ratio",
    "shortened",
    "significant",
    "sized",
]

GAP = "\N{NO-BREAK SPACE}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def significant(value: float, *, digits: int = 3) -> str:
    """`value` with `digits` significant digits; plain between 1e-4 and 1e6, else scientific."""
    if not math.isfinite(value):
        return {math.inf: "\N{INFINITY}", -math.inf: "-\N{INFINITY}"}.get(value, "NA")
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if not -5 < exponent < 6:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(digits - 1 - exponent, 0)}f}"


def ratio(value: float, *, width: float = math.inf) -> str:
    """A hazard or odds ratio: two decimals, fewer from 10 on, two digits below 0.1.

    An interval narrower than 0.1 (its `width`) gets a third decimal, or its ends might read as 1.
    """
    if not math.isfinite(value) or value >= 1e5 or value < 0.1:
        return significant(value, digits=2)
    decimals = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{3 if width < 0.1 else decimals}f}"


def shortened(cell: str, *, digits: int = 4) -> str:
    """A cell of a table for reading: "12.0" as "12", long decimals cut to `digits` digits."""
    if not ("." in cell or "e" in cell):
        return cell
    try:
        value = float(cell)
    except ValueError:
        return cell
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    brief = significant(value, digits=digits)
    return cell if len(cell) <= len(brief) else brief


def p_value(value: float) -> str:
    """A p-value with its sign of comparison: "= 0.032", "< 0.0001" or "NA"."""
    if not math.isfinite(value):
        return "NA"
    if value < 1e-4:
        return "< 0.0001"
    return f"= {significant(value, digits=2)}" if value < 0.995 else "= 1.0"


def sized(n_bytes: int) -> str:
    """A number of bytes in B, kB, MB or GB (powers of 1000)."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.{0 if unit == 'B' else 1}f}{GAP}{unit}"
        size /= 1000
    return f"{size:.1f}{GAP}GB"


def lasting(seconds: float) -> str:
    """A span of time: "0.4 s", "12 s", "3 min 5 s" or "2 h 10 min"."""
    if seconds < 10:
        return f"{seconds:.1f}{GAP}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{GAP}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}{GAP}min {rest}{GAP}s"
    return f"{minutes // 60}{GAP}h {minutes % 60}{GAP}min"


def moment(text: str) -> str:
    """An ISO time as "14 May 2025, 09:31 UTC"; a text that is none stays as it is."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = ""
    if when.tzinfo is not None:
        when, zone = when.astimezone(UTC), " UTC"
    return f"{when.day} {when:%B %Y, %H:%M}{zone}"


def listed(words: Sequence[str]) -> str:
    """Words with commas and an "and": "A", "A and B", "A, B and C"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 centre", "3 centres"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", "\N{THIN SPACE}")


def clipped(text: str, *, length: int) -> str:
    """`text`, cut with an ellipsis where it is longer than `length` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + ELLIPSIS
