"""Writing the files a new site and a new federation start from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from eucan_dask.errors import Invalid
from eucan_dask.hello import fingerprint
from eucan_dask.keys import public_pem, read_private, read_public, write_pair
from eucan_dask.mailbox import IN, OUT, hello_path
from eucan_dask.members import Found, find_sites
from eucan_dask.parties import EMPTY, admit_asker, admit_peer
from eucan_dask.policy import TIERS, template
from eucan_dask.request import AGGREGATORS
from eucan_dask.site import Site
from eucan_dask.site_pass import say_hello
from eucan_dask.store.open import open_store

__all__ = ["init_federation", "init_site"]


def init_site(
    directory: Path,
    *,
    name: str,
    store: Path,
    policy: str = "recommended",
    mailbox: Path | None = None,
) -> str:
    """Write `site.toml`, `policy.toml`, `parties.toml` and a key pair; the key's fingerprint.

    Nobody may ask yet: see `admit_asker`.

    Parameters
    ----------
    mailbox
        A directory shared with the coordinator, made if absent; the site says hello in it.

    Raises
    ------
    Invalid
        If the directory holds a site already, or the store cannot be opened.
    """
    if (directory / "site.toml").exists():
        raise Invalid("holds a site already", where=directory, remedy="choose another directory")
    data_class = open_store(store).manifest.data_class
    if policy == "public" and data_class == "personal":
        raise Invalid(
            "a store of personal data cannot run a public policy",
            where=store,
            remedy="use --recommended",
        )
    if mailbox is not None:
        _open_mailbox(mailbox, name)
    (directory / "keys").mkdir(parents=True, exist_ok=True)
    write_pair(directory / "keys" / "site.key", directory / "keys" / "site.pub")
    (directory / "policy.toml").write_text(template(policy), encoding="utf-8")
    (directory / "parties.toml").write_text(EMPTY, encoding="utf-8")
    (directory / "site.toml").write_text(
        f"""format = 2
name = {json.dumps(name)}
store = {json.dumps(str(store.resolve()))}        # node-local Zarr
policy = "policy.toml"
parties = "parties.toml"           # who may ask: site admit
node = "node"                      # the ledger: keep it, back it up, never share it
{_mailbox_line(mailbox)}

[keys]
private = "keys/site.key"          # never leaves this machine
public = "keys/site.pub"           # give this one to the coordinator and to other sites

[cluster]
kind = "local"                     # local | threads | synchronous | address
threads = 2
""",
        encoding="utf-8",
    )
    if mailbox is not None:
        say_hello(Site(directory))
    return fingerprint(read_public(directory / "keys" / "site.pub"))


def _open_mailbox(mailbox: Path, site: str) -> None:
    hello = hello_path(mailbox, site)
    if hello.exists():
        raise Invalid(
            "another site says hello under this name",
            where=hello,
            remedy="choose another name, or remove the file if that site is no more",
        )
    try:
        for name in (IN, OUT):
            (mailbox / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Invalid("is no directory to write in", where=mailbox, found=error.strerror) from error


def _mailbox_line(mailbox: Path | None) -> str:
    if mailbox is None:
        return '# mailbox = "DIR"                # a folder shared with the coordinator: site pass'
    return f"mailbox = {json.dumps(str(mailbox.resolve()))}    # looked into by site pass"


def init_federation(
    file: Path,
    sites: Sequence[str],
    *,
    name: str | None = None,
    min_sites: int | None = None,
    overlap: str = "unknown",
    admit: bool = False,
) -> dict[str, str]:
    """Write `federation.toml` for sites on this machine or behind mailboxes.

    Requests are signed with a key that is made beside `file`, unless it lies there. The public key
    of a site behind a mailbox comes from its hello and is written beside `file`.

    The federation's own thresholds start as the recommended ones, or as the public ones if every
    site is public; edit the file to change them.

    Parameters
    ----------
    sites
        Site directories, or `mailbox:DIR`: every site that says hello there.
    min_sites
        Least number of sites an answer rests on; all of them, up to three, where nothing is said.
    overlap
        Whether somebody may be a patient of two sites: see `Federation`.
    admit
        Let the federation ask the sites on this machine, with every aggregator and in every tier,
        and let these mask with each other: in place of their stewards.

    Returns
    -------
    dict
        The key's fingerprint of each site behind a mailbox: to be compared by another channel.

    Raises
    ------
    Invalid
        If the file exists, or a directory holds no site.
    """
    if file.exists():
        raise Invalid("exists already", where=file, remedy="choose another name")
    file.parent.mkdir(parents=True, exist_ok=True)
    found = [site for text in dict.fromkeys(sites) for site in find_sites(text)]
    rows, public = [site.row(file) for site in found], all(site.public for site in found)
    least = min(3, len(rows)) if min_sites is None else min_sites
    if not 1 <= least <= len(rows):
        raise Invalid(
            "min_sites cannot be met", where=file, expected=f"1..{len(rows)}", found=least
        )
    policy = template("public" if public else "recommended")
    thresholds = policy[policy.index("[thresholds]") : policy.index("[limits]")]
    scoped = thresholds.replace("[thresholds]", "[policy.thresholds]").replace(
        "[zeros]", "[policy.zeros]"
    )
    for site in found:
        site.keep_key(file)
    private = _own_key(file)
    if admit:
        _admit(found, name or file.stem, private.with_suffix(".pub"))
    file.write_text(
        f"format = 2\nname = {json.dumps(name or file.stem)}\n"
        f"private_key_file = {json.dumps(private.name)}   # signs requests: keep it to yourself\n"
        f"min_sites = {least}          # fewer answers than this are no result\n"
        'aggregator = "none"         # who adds the sites up: none = the analyst\n'
        f"overlap = {json.dumps(overlap)}       # excluded: nobody is a patient of two sites\n\n"
        f"# For totals; each site judges its own answers by its own policy.\n{scoped}"
        + "\n".join(rows),
        encoding="utf-8",
    )
    return {site.name: fingerprint(site.key) for site in found if site.key is not None}


def _own_key(file: Path) -> Path:
    """The key requests are signed with, beside the federation file: the one there, or a new one."""
    private, public = file.with_suffix(".key"), file.with_suffix(".pub")
    if file in (private, public):
        raise Invalid("is a name for a key", where=file, remedy=f"call it {file.stem}.toml")
    if private.exists():
        public.write_bytes(public_pem(read_private(private).public_key()))
    elif public.exists():
        raise Invalid(
            "another public key lies there", where=public, remedy="choose another name for the file"
        )
    else:
        write_pair(private, public)
    return private


def _admit(sites: Sequence[Found], name: str, public: Path) -> None:
    here = [(s.name, s.directory, s.key_file) for s in sites if s.directory and s.key_file]
    for site, directory, _ in here:
        admit_asker(directory, name, public, AGGREGATORS, tiers=TIERS)
        for other, _, key_file in here:
            if other != site:
                admit_peer(directory, other, key_file)
