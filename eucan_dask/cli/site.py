"""`site` and `federation`: setting a centre up, and the steward's view of what was released."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from eucan_dask.cli import ledger

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    site = commands.add_parser("site", help="set up and look after a site")
    verbs = site.add_subparsers(dest="verb", required=True, metavar="VERB")
    init = verbs.add_parser("init", help="write site.toml, a commented policy.toml and keys")
    init.add_argument("directory", type=Path, metavar="DIR")
    init.add_argument("--name", required=True)
    init.add_argument("--store", required=True, type=Path)
    init.add_argument(
        "--mailbox", type=Path, metavar="DIR", help="a folder shared with the coordinator"
    )
    policy = init.add_mutually_exclusive_group()
    policy.add_argument("--recommended", action="store_true", help="policy for personal data")
    policy.add_argument("--public", action="store_true", help="policy for public data")
    init.set_defaults(run=_init)
    pass_ = verbs.add_parser("pass", help="answer what waits in the mailbox, once")
    pass_.add_argument("directory", type=Path, metavar="DIR")
    pass_.set_defaults(run=_pass)
    ledger.add(verbs)
    _add_admit(verbs)
    federation = commands.add_parser("federation", help="set up a federation")
    fed_verbs = federation.add_subparsers(dest="verb", required=True, metavar="VERB")
    start = fed_verbs.add_parser("init", help="write federation.toml")
    start.add_argument("file", type=Path, metavar="FILE")
    start.add_argument("--site", action="append", required=True, metavar="DIR_OR_LINK")
    start.add_argument("--name")
    start.add_argument("--min-sites", type=int)
    start.add_argument(
        "--overlap",
        default="unknown",
        choices=("excluded", "unknown"),
        help="whether somebody may be counted at two sites: then totals need twice as many people",
    )
    start.add_argument("--admit", action="store_true", help="at the sites on this machine too")
    start.set_defaults(run=_federation)


def _add_admit(verbs: Any) -> None:
    admit = verbs.add_parser("admit", help="let somebody ask, or another site mask with this one")
    admit.add_argument("directory", type=Path, metavar="DIR")
    who = admit.add_mutually_exclusive_group(required=True)
    who.add_argument("--asker", metavar="NAME", help="whose requests are answered")
    who.add_argument("--peer", metavar="NAME", help="a site whose masks cancel this one's")
    admit.add_argument("--key", required=True, type=Path, metavar="FILE", help="its public key")
    admit.add_argument(
        "--aggregators", default="none", metavar="LIST", help="for an asker: none,trusted,masked"
    )
    admit.add_argument(
        "--tiers", default="open", metavar="LIST", help="for an asker: open,registered,controlled"
    )
    admit.set_defaults(run=_admit)


def _init(arguments: argparse.Namespace) -> None:
    from eucan_dask.init import init_site

    policy = "public" if arguments.public else "recommended"
    key = init_site(
        arguments.directory,
        name=arguments.name,
        store=arguments.store,
        policy=policy,
        mailbox=arguments.mailbox,
    )
    print(
        f"wrote site.toml, policy.toml ({policy}), parties.toml and keys in {arguments.directory}"
    )
    print("read policy.toml line by line before anyone asks a question")
    if arguments.mailbox is not None:
        print(f"said hello in {arguments.mailbox}; fingerprint of {arguments.name}: {key}")


def _admit(arguments: argparse.Namespace) -> None:
    from eucan_dask.hello import fingerprint
    from eucan_dask.keys import read_public
    from eucan_dask.parties import admit_asker, admit_peer

    name, key = arguments.asker or arguments.peer, arguments.key
    if arguments.asker is not None:
        aggregators, tiers = arguments.aggregators.split(","), arguments.tiers.split(",")
        admit_asker(arguments.directory, name, key, aggregators, tiers=tiers)
    else:
        admit_peer(arguments.directory, name, key)
    print(f"admitted; fingerprint of {name}: {fingerprint(read_public(key))}")
    print("compare it with its owner's own, by telephone")


def _pass(arguments: argparse.Namespace) -> None:
    from eucan_dask.site import Site
    from eucan_dask.site_pass import site_pass

    site = Site(arguments.directory)
    try:
        site_pass(site, tell=lambda line: print(line, flush=True))
    finally:
        site.close()


def _federation(arguments: argparse.Namespace) -> None:
    from eucan_dask.hello import fingerprint
    from eucan_dask.init import init_federation
    from eucan_dask.keys import read_public

    keys = init_federation(
        arguments.file,
        arguments.site,
        name=arguments.name,
        min_sites=arguments.min_sites,
        overlap=arguments.overlap,
        admit=arguments.admit,
    )
    public, name = arguments.file.with_suffix(".pub"), arguments.name or arguments.file.stem
    print(f"wrote {arguments.file}")
    print(f"fingerprint of {name}: {fingerprint(read_public(public))}")
    for site, key in keys.items():
        print(f"fingerprint of {site}: {key}")
    if keys:
        print("compare each with the site's own, by telephone, before you ask anything")
    for site in dict.fromkeys(arguments.site):
        away = site.startswith("mailbox:")
        if away or not arguments.admit:
            where = "DIR" if away else shlex.quote(site.removeprefix("in_process:"))
            asker = f"--asker {shlex.quote(name)} --key {shlex.quote(str(public))}"
            print(f"its steward runs: eucan-dask site admit {where} {asker} --aggregators none")
