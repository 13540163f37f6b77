"""`federation.toml`, read strictly: the sites, their links and keys, thresholds, the own key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eucan_dask import config
from eucan_dask.errors import Invalid
from eucan_dask.keys import read_private, read_public
from eucan_dask.links import DEADLINE_MINUTES, open_link
from eucan_dask.policy import Thresholds
from eucan_dask.request import AGGREGATORS
from eucan_dask.rounds import Member

__all__ = ["OVERLAP", "read_federation"]

FORMAT = 2
OVERLAP = ("excluded", "unknown")


def read_federation(path: Path, deadline: float | None) -> dict[str, Any]:
    """What a federation file says, as `Federation` takes it; `deadline` as of `Federation.open`.

    Raises
    ------
    Invalid
        For unknown or missing keys, links or key files.
    """
    text, remedy = config.Key(str), "write it again with `eucan-dask federation init`"
    table = config.check(
        config.read_format(path, FORMAT, remedy=remedy),
        {
            "format": config.Key(int),
            **dict.fromkeys(("name", "private_key_file"), text),
            "min_sites": config.Key(int),
            "aggregator": config.Key(str, choices=AGGREGATORS),
            "overlap": config.Key(str, choices=OVERLAP),
            "deadline_minutes": config.Key(int | float, default=DEADLINE_MINUTES),
            "policy": config.Key(dict),
            "sites": config.Key(list),
        },
        where=str(path),
    )
    keys = dict.fromkeys(("name", "link", "public_key_file"), text)
    rows = [config.check(row, keys, where=f"{path} [[sites]]") for row in table["sites"]]
    policy = config.check(
        table["policy"],
        {"thresholds": config.Key(dict), "zeros": config.Key(dict)},
        where=f"{path} [policy]",
    )
    minutes = table["deadline_minutes"] if deadline is None else deadline
    if not minutes > 0:
        raise Invalid("a deadline is not above 0", where=path, found=minutes)
    return {
        "members": [_member(row, path.parent, minutes) for row in rows],
        "thresholds": Thresholds.from_toml(policy["thresholds"], policy["zeros"], where=str(path)),
        "key": read_private(path.parent / table["private_key_file"]),
        **{name: table[name] for name in ("name", "min_sites", "aggregator", "overlap")},
    }


def _member(row: Mapping[str, Any], base: Path, minutes: float) -> Member:
    name, key = row["name"], read_public(base / row["public_key_file"])
    link = open_link(row["link"], base=base, site=name, key=key, minutes=minutes)
    return Member(name, link, key)
