"""What a request says the pool is judged by, so that no site has its sums judged more laxly."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from eucan_dask import config
from eucan_dask.errors import Invalid
from eucan_dask.policy import Thresholds

__all__ = ["Pool", "laxer", "pool_of", "read_pool"]

Pool = Mapping[str, float | int | bool]
AT_MOST = ("max_parameter_ratio", "dominance_share")  # the smaller the stricter
MOST = 2**53


def _names() -> dict[str, str]:
    """Names and types of the thresholds a pool is judged by."""
    return {str(f.name): str(f.type) for f in dataclasses.fields(Thresholds)}


def pool_of(thresholds: Thresholds) -> dict[str, float | int | bool]:
    """A federation's thresholds as its requests name them."""
    return {name: getattr(thresholds, name) for name in _names()}


def read_pool(table: Mapping[str, object]) -> dict[str, float | int | bool]:
    """The thresholds that a request names: all of them, and nothing else.

    Raises
    ------
    Invalid
        If one is missing, unknown or no number that a threshold can be.
    """
    kinds = {"int": config.Key(int), "float": config.Key(int | float), "bool": config.Key(bool)}
    keys = {name: kinds[kind] for name, kind in _names().items()}
    values = config.check(table, keys, where="request.pool")
    for name, value in values.items():
        if not 0 <= value < MOST:
            raise Invalid("cannot be", where=f"request.pool {name}")
    return values


def laxer(pool: Pool, thresholds: Thresholds) -> bool:
    """Whether any threshold of the pool lets pass what a site's own would hide."""
    own = pool_of(thresholds)
    if set(pool) != set(own):
        return True
    return any(
        pool[name] > limit if name in AT_MOST else pool[name] < limit for name, limit in own.items()
    )
