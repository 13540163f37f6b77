"""The error tree: what went wrong, whose turn it is, and the exit code a shell sees."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["EucanError", "Invalid", "NotEnoughSites", "Refused", "Unavailable", "unknown"]


class EucanError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 5


class Invalid(EucanError):
    """The caller's mistake: an input that cannot be used as it is.

    Parameters
    ----------
    problem
        What was wrong, in one clause.
    where
        The file (and line), job key or field it was found in.
    expected, found
        What should have been there and what was.
    remedy
        What to do next.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        where: object = None,
        expected: object = None,
        found: object = None,
        remedy: str | None = None,
    ) -> None:
        self.problem, self.where, self.remedy = problem, where, remedy
        self.expected, self.found = expected, found
        parts = [f"{where}: {problem}" if where is not None else problem]
        if expected is not None:
            parts.append(f"expected {expected}")
        if found is not None:
            parts.append(f"found {found}")
        if remedy:
            parts.append(remedy)
        super().__init__("; ".join(parts))


class Refused(EucanError):
    """A policy says no. Carries the rule and the remedy, never a value."""

    exit_code = 3

    def __init__(self, rule: str, remedy: str, *, site: str | None = None) -> None:
        self.rule, self.remedy, self.site = rule, remedy, site
        by = f" by {site}" if site else ""
        super().__init__(f"refused{by}: rule {rule}; {remedy}")


class Unavailable(EucanError):
    """A link or a cluster did not answer: try again later."""

    exit_code = 5


class NotEnoughSites(EucanError):
    """Fewer sites answered than the federation asks for."""

    exit_code = 4


def unknown(
    kind: str,
    name: object,
    known: Iterable[str],
    *,
    where: object = None,
    remedy: str | None = None,
) -> Invalid:
    """An `Invalid` for a name that is not known, suggesting the nearest one.

    Parameters
    ----------
    kind
        What the name is meant to be: "field", "gene", "key", ...
    name
        The name as given.
    known
        The names there are; at most ten are listed in the message.
    where
        The file, key or section it stands in.
    remedy
        What to do, when the nearest name is not the answer.
    """
    names = sorted(set(known))
    folded = {n.casefold(): n for n in names}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.6)
    if near:
        hint = f"did you mean {folded[near[0]]!r}?"
    elif names:
        hint = "known: " + ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    else:
        hint = f"no {kind} is known here"
    return Invalid(
        f"unknown {kind} {str(name)!r}", where=where, remedy=f"{hint} {remedy}" if remedy else hint
    )
