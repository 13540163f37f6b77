"""Writing the files a new site and a new federation start from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from eucan_dask import config
from eucan_dask.errors import Invalid
from eucan_dask.keys import write_pair
from eucan_dask.policy import template
from eucan_dask.store.open import open_store

__all__ = ["init_federation", "init_site"]


def init_site(directory: Path, *, name: str, store: Path, policy: str = "recommended") -> None:
    """Write `site.toml`, a commented `policy.toml` and a key pair.

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
    (directory / "keys").mkdir(parents=True, exist_ok=True)
    write_pair(directory / "keys" / "site.key", directory / "keys" / "site.pub")
    (directory / "policy.toml").write_text(template(policy), encoding="utf-8")
    (directory / "site.toml").write_text(
        f"""format = 1
name = {json.dumps(name)}
store = {json.dumps(str(store.resolve()))}        # node-local Zarr
policy = "policy.toml"
node = "node"                      # the ledger: keep it, back it up, never share it

[keys]
private = "keys/site.key"          # never leaves this machine
public = "keys/site.pub"           # give this one to the coordinator

[cluster]
kind = "local"                     # local | threads | synchronous | address
threads = 2
""",
        encoding="utf-8",
    )


def init_federation(
    file: Path, sites: Sequence[str], *, name: str | None = None, min_sites: int | None = None
) -> None:
    """Write `federation.toml` for sites on this machine.

    The federation's own thresholds start as the recommended ones, or as the public ones if every
    site is public; edit the file to change them.

    Parameters
    ----------
    sites
        Site directories.
    min_sites
        Least number of sites an answer rests on; all of them, up to three, where nothing is said.

    Raises
    ------
    Invalid
        If the file exists, or a directory holds no site.
    """
    if file.exists():
        raise Invalid("exists already", where=file, remedy="choose another name")
    file.parent.mkdir(parents=True, exist_ok=True)
    rows, public = [], True
    for text in sites:
        directory = Path(text.removeprefix("in_process:"))
        table = config.read(directory / "site.toml")
        public &= bool(config.read(directory / table["policy"])["public"])
        link = os.path.relpath(directory.resolve(), file.parent.resolve())
        key = os.path.relpath(
            (directory / table["keys"]["public"]).resolve(), file.parent.resolve()
        )
        rows.append(
            f"[[sites]]\nname = {json.dumps(table['name'])}\n"
            f"link = {json.dumps('in_process:' + link)}\npublic_key_file = {json.dumps(key)}\n"
        )
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
    file.write_text(
        f"format = 1\nname = {json.dumps(name or file.stem)}\n"
        f"min_sites = {least}          # fewer answers than this are no result\n"
        'aggregator = "none"         # who adds the sites up: none = the analyst\n\n'
        f"# For totals; each site judges its own answers by its own policy.\n{scoped}"
        + "\n".join(rows),
        encoding="utf-8",
    )
