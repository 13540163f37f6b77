"""Asking: `analyses`, `catalogue`, `explain`, `run` and `report`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from eucan_dask.cli.terminal import progress, show
from eucan_dask.request import AGGREGATORS

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    analyses = commands.add_parser("analyses", help="what can be asked")
    analyses.add_argument("name", nargs="?")
    analyses.add_argument("--template", action="store_true", help="print a runnable job")
    analyses.set_defaults(run=_analyses)
    catalogue = commands.add_parser("catalogue", help="fields, levels and genes of each site")
    catalogue.set_defaults(run=_catalogue)
    explain = commands.add_parser("explain", help="what a job would make leave; computes nothing")
    explain.add_argument("job", type=Path, metavar="JOB")
    explain.set_defaults(run=_explain)
    run = commands.add_parser("run", help="put a job to a federation")
    run.add_argument("job", type=Path, metavar="JOB")
    run.add_argument("--out", type=Path, help="a new directory for tables, report, provenance")
    run.add_argument("--resume", action="store_true", help="go on with an unfinished run")
    run.add_argument("--check", action="store_true", help="check names against the catalogue only")
    run.add_argument(
        "--deadline",
        type=float,
        metavar="MINUTES",
        help="how long a mailbox is waited for in each round",
    )
    run.set_defaults(run=_run)
    for command in (explain, run):
        command.add_argument("--aggregator", choices=AGGREGATORS, help="instead of the job's")
    for command in (catalogue, explain, run):
        command.add_argument("--federation", required=True, type=Path, metavar="FILE")
    report = commands.add_parser("report", help="write the report of finished runs")
    report.add_argument("directories", nargs="+", type=Path, metavar="DIR")
    report.add_argument("--out", type=Path)
    report.set_defaults(run=_report)


def _analyses(arguments: argparse.Namespace) -> None:
    from eucan_dask.explain import describe, job_template
    from eucan_dask.registry import find, registry

    if arguments.name is None:
        for name, kind in registry().items():
            print(f"{name:24}{(kind.__doc__ or '').splitlines()[0]}")
        return
    kind = find(arguments.name)
    print(job_template(kind) if arguments.template else describe(kind))


def _catalogue(arguments: argparse.Namespace) -> None:
    from eucan_dask.catalogue import Catalogue
    from eucan_dask.federation import Federation

    with Federation.open(arguments.federation) as federation, progress() as report:
        catalogue = Catalogue(federation.hello(progress=report))
    sites = pd.DataFrame(
        [
            {
                "site": name,
                "data_class": hello["data_class"],
                "assembly": hello["assembly"],
                "freeze": hello["freeze"],
                "assays": ", ".join(a["id"] for a in hello["assays"]),
                "genes listed": len(hello["genes"]),
            }
            for name, hello in catalogue.sites.items()
        ]
    )
    show("sites", sites, rows=len(sites))
    fields = pd.DataFrame(
        [
            {
                "field": name,
                "kind": entry["kind"],
                "unit": entry["unit"],
                "levels": ", ".join(map(str, entry["categories"][:12]))
                + (" (open)" if entry["open"] else ""),
                "sites": ", ".join(entry["sites"]),
            }
            for name, entry in catalogue.fields().items()
        ]
    )
    show("fields", fields, rows=len(fields))


def _explain(arguments: argparse.Namespace) -> None:
    from eucan_dask.explain import explain
    from eucan_dask.federation import Federation
    from eucan_dask.job import read_job

    job = read_job(arguments.job)
    with Federation.open(arguments.federation) as federation:
        with progress() as report:
            federation.hello(progress=report)  # shows who is awaited; asked again it is there
        print(explain(job, federation, aggregator=arguments.aggregator))


def _run(arguments: argparse.Namespace) -> None:
    from eucan_dask.catalogue import Catalogue
    from eucan_dask.errors import Invalid
    from eucan_dask.federation import Federation
    from eucan_dask.job import read_job
    from eucan_dask.run import run_job

    job = read_job(arguments.job)
    with Federation.open(arguments.federation, deadline=arguments.deadline) as federation:
        if arguments.out is None and not arguments.check:
            raise Invalid("needs a directory", where="run", remedy="add --out DIR")
        with progress() as report:
            hellos = federation.hello(progress=report)
        if arguments.check:
            job.check(Catalogue(hellos))
            print(f"{arguments.job}: every field, level and gene is known")
            return
        for site, hello in hellos.items():
            if hello.get("dashboard"):
                print(f"dashboard of {site}: {hello['dashboard']}")
        with progress() as report:
            results = run_job(
                job,
                federation,
                arguments.out,
                aggregator=arguments.aggregator,
                progress=report,
                resume=arguments.resume,
            )
    for result in results.values():
        print(result)
    _report(argparse.Namespace(directories=[arguments.out], out=None))


def _report(arguments: argparse.Namespace) -> None:
    from eucan_dask.report.page import write

    print(f"report: {write(arguments.directories, arguments.out)}")
