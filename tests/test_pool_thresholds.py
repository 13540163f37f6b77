"""What a request says of the pool's thresholds, and whether a site can live with it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from eucan_dask.errors import Invalid
from eucan_dask.policy import Policy, Thresholds
from eucan_dask.pool_thresholds import laxer, pool_of, read_pool

POLICIES = Path(__file__).parents[1] / "eucan_dask" / "policies"
OWN = Policy.read(POLICIES / "recommended.toml").thresholds
POOL = pool_of(OWN)


def test_pool_of__names_every_threshold_of_a_pool() -> None:
    fields = {f.name for f in dataclasses.fields(Thresholds)}
    assert set(POOL) == fields - {"max_exposure"}
    assert read_pool(json.loads(json.dumps(POOL))) == POOL


def test_laxer__equal_thresholds_are_not() -> None:
    assert not laxer(POOL, OWN)


@pytest.mark.parametrize("name", sorted(POOL))
def test_laxer__each_threshold_in_its_own_direction(name: str) -> None:
    looser, stricter = {
        "zeros_disclosive": (False, True),
        "max_parameter_ratio": (0.2, 0.05),
        "dominance_share": (0.95, 0.8),
    }.get(name, (OWN_OF[name] - 1, OWN_OF[name] + 1))
    assert laxer({**POOL, name: looser}, OWN)
    assert not laxer({**POOL, name: stricter}, OWN)


OWN_OF = {name: getattr(OWN, name) for name in POOL}


def test_laxer__a_site_that_shows_zeros_takes_either() -> None:
    shows = dataclasses.replace(OWN, zeros_disclosive=False)
    assert not laxer(POOL, shows)
    assert not laxer({**POOL, "zeros_disclosive": False}, shows)


def test_laxer__what_is_not_named_is() -> None:
    assert laxer({}, OWN)
    assert laxer({n: v for n, v in POOL.items() if n != "min_cell"}, OWN)
    assert laxer({**POOL, "min_magic": 10}, OWN)


@pytest.mark.parametrize(
    "change",
    [
        {"min_cell": -1},
        {"min_cell": 10.0},
        {"min_cell": True},
        {"min_cell": "10"},
        {"min_cell": None},
        {"dominance_share": float("nan")},
        {"dominance_share": float("inf")},
        {"dominance_share": 10**400},
        {"zeros_disclosive": 1},
        {"min_magic": 10},
        {"max_exposure": 1.0},
    ],
    ids=str,
)
def test_read_pool__strictly(change: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        read_pool({**POOL, **change})


def test_read_pool__all_of_them() -> None:
    for name in POOL:
        with pytest.raises(Invalid, match=f"missing key '{name}'"):
            read_pool({n: v for n, v in POOL.items() if n != name})
