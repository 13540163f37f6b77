"""What a scan's rows hold beside its points: hidden, undefined and vanishing p-values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from eucan_dask.errors import Invalid
from eucan_dask.report.tables import Number, Table
from eucan_dask.report.wording import plural, significant

__all__ = ["GENOME_WIDE", "LEAST", "Tally", "probabilities", "said_of_hidden"]

GENOME_WIDE = 5e-8
LEAST = 1e-300  # a smaller p is drawn at the top: it is 0 in print, or nearly


@dataclass
class Tally:
    """Counts of one series, taken in piece by piece."""

    n: int = 0
    n_zero: int = 0
    n_genome_wide: int = 0
    n_undefined: int = 0
    height: float = 0.0
    hidden: Counter[str] = field(default_factory=Counter)
    best: tuple[float, str] = (math.inf, "")

    def add(self, rows: Table, p: Number, column: str, names: Sequence[object] = ()) -> None:
        """Take in rows with their p-values, which stand in `column`, and their names if any."""
        known = p[np.isfinite(p)]
        self.n += len(known)
        self.n_zero += int((known < LEAST).sum())
        self.n_genome_wide += int((known < GENOME_WIDE).sum())
        self.n_undefined += int(rows.undefined(column).sum())
        self.hidden.update(map(str, rows.text("reason")[rows.hidden(column)]))
        if (known >= LEAST).any():
            self.height = max(self.height, -math.log10(known[known >= LEAST].min()))
        if names and len(known) and known.min() < self.best[0]:
            self.best = (float(known.min()), str(names[int(np.nanargmin(p))]))

    def said(self) -> tuple[str, ...]:
        """Sentences on what is not drawn where it lies, or not at all."""
        words = []
        if self.n_zero:
            verb = "is" if self.n_zero == 1 else "are"
            zero = plural(self.n_zero, "variant")
            words.append(f"{zero} with p below 1e-300, or 0 in print, {verb} drawn at the top.")
        words += said_of_hidden(self.hidden)
        if self.n_undefined:
            words.append(f"{plural(self.n_undefined, 'variant')} without a p-value (NA).")
        return tuple(words)

    def found(self) -> str:
        """The number below the genome-wide line, and the smallest p with its name."""
        p, name = self.best
        least = "below 1e-300" if p < LEAST else significant(p)
        return f"{self.n_genome_wide:,} below 5e-8; the smallest p, {least}, at {name}."


def probabilities(rows: Table, column: str, where: str) -> Number:
    """The p-values of `column` (rows); hidden and undefined ones are NaN.

    Raises
    ------
    Invalid
        If one does not lie between 0 and 1.
    """
    p = rows.number(column)
    if np.any((p < 0) | (p > 1)):
        raise Invalid(f"column {column!r} holds no p-values", where=where, expected="0 to 1")
    return p


def said_of_hidden(hidden: Counter[str]) -> tuple[str, ...]:
    """A sentence that says how many variants are hidden and why; nothing where none is."""
    n = sum(hidden.values())
    if not n:
        return ()
    reasons = [reason for reason, _ in hidden.most_common(3) if reason]
    why = f" ({'; '.join(reasons)})" if reasons else ""
    verb = "is" if n == 1 else "are"
    return (f"{plural(n, 'variant')} {verb} hidden and not drawn{why}.",)
