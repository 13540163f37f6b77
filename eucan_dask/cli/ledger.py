"""`site ledger`: what a steward reads of what was released, and about whom."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from eucan_dask.cli.terminal import show

__all__ = ["add"]


def add(verbs: Any) -> None:
    """Add the command to those of `site`."""
    ledger = verbs.add_parser("ledger", help="what was released from this site")
    ledger.add_argument("directory", type=Path, metavar="DIR")
    ledger.add_argument(
        "--person", metavar="ID", help="the releases a person is in; for this site only"
    )
    ledger.add_argument(
        "--clear-refusals", metavar="ASKER", help="let somebody ask about new cohorts again"
    )
    ledger.add_argument(
        "--forget-roster", metavar="SUMMAND", help="let sums be given in another way"
    )
    ledger.add_argument(
        "--record", metavar="FILE", type=Path, help="write every answer, for the regulator"
    )
    ledger.add_argument(
        "--check", metavar="FILE", type=Path, help="whether a record written before still holds"
    )
    ledger.set_defaults(run=_ledger)


def _ledger(arguments: argparse.Namespace) -> None:
    from eucan_dask import steward
    from eucan_dask.ledger import TOLD
    from eucan_dask.site import Site

    site = Site(arguments.directory)
    ledger, policy = site.ledger, site.policy
    if arguments.clear_refusals is not None:
        name = arguments.clear_refusals
        if ledger.clear_refusals(name):
            print(f"cleared the refusals of {_shown(name)}")
        else:
            print(f"no refusals of {_shown(name)}")
        return
    if arguments.forget_roster is not None:
        _forget(ledger, arguments.forget_roster)
        return
    if arguments.record is not None or arguments.check is not None:
        _record(ledger, arguments.record, arguments.check)
        return
    if arguments.person is not None:
        rows, held = steward.about_person(ledger, arguments.person)
        _table(f"answers that rest on {arguments.person} among others", rows, TOLD)
        _table("exposure", [held], tuple(held))
        return
    _table("answers released", ledger.summary(), TOLD)
    _table(
        "by what is added up: memberships, and the largest leverage of a person",
        steward.families(ledger, policy),
        ("summand", "rank", "largest", "limit"),
    )
    _table(
        "exposure of the people",
        steward.exposure_table(ledger, policy),
        ("tier", "n_individuals", "largest", "median", "limit"),
    )
    _table(
        "refused for asking too near to earlier answers",
        steward.refusals(ledger, policy),
        ("asker", "refusals", "limit"),
    )
    _table("how sums are given", steward.given(ledger), ("summand", "aggregator", "sites"))


def _record(ledger: Any, copy: Path | None, earlier: Path | None) -> None:
    from eucan_dask.on_record import check_copy, write_copy

    if earlier is not None:
        print(f"the ledger holds all {check_copy(ledger, earlier)} lines of {earlier}")
    if copy is not None:
        print(f"wrote {write_copy(ledger, copy)} lines to {copy}: keep a copy outside this machine")


def _forget(ledger: Any, summand: str) -> None:
    if not ledger.forget_roster(summand):
        print(f"{summand} was not given in any way")
        return
    print(f"forgot how {summand} was given: the next answer decides anew, and with which sites")
    print("warning: what was given before is still out there. Subtracted from what is given next,")
    print("it may show the sums of a single site: this one, or another. Tell the other stewards.")


def _table(title: str, rows: Any, columns: tuple[str, ...]) -> None:
    frame = pd.DataFrame(rows, columns=list(columns))
    if "asker" in frame:
        frame["asker"] = frame["asker"].map(_shown)
    show(title, frame, rows=1000)


def _shown(asker: str) -> str:
    return asker or "anyone"
