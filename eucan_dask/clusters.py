"""A site's Dask: where its tasks run. A client never crosses an institution."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dask

from eucan_dask import config
from eucan_dask.block import add
from eucan_dask.errors import Invalid, Unavailable

__all__ = ["Cluster", "open_cluster"]

KINDS = ("local", "threads", "synchronous", "address")
LATER = ("slurm", "kubernetes")


class Cluster:
    """One site's scheduler, and the sum of block results over it in a fixed tree.

    Parameters
    ----------
    client
        A `distributed.Client`, or None for a scheduler in this process.
    scheduler
        "threads" or "synchronous", where there is no client.
    shows
        Whether the dashboard's address is told.
    """

    def __init__(
        self,
        client: Any = None,
        *,
        owned: Any = None,
        scheduler: str = "threads",
        shows: bool = True,
    ) -> None:
        self._client, self._owned, self._scheduler = client, owned, scheduler
        self._shows = shows
        self.n_tasks = 0

    @property
    def dashboard(self) -> str | None:
        """Address of the Dask dashboard, if there is one."""
        if self._client is None or not self._shows:
            return None
        if self._owned is None:
            return str(self._client.dashboard_link)
        port = self._client.scheduler_info()["services"].get("dashboard")
        return f"http://127.0.0.1:{port}/status" if port else None

    def sum(
        self, function: Callable[..., dict[str, Any]], blocks: Sequence[tuple[Any, ...]]
    ) -> dict[str, Any]:
        """`function(*block)` for every block, summed pairwise by block index.

        The tree depends on the number of blocks alone, so that the sum is the same bits on every
        scheduler. Task names carry no value.

        Raises
        ------
        Unavailable
            If the cluster fails; the run can be resumed.
        """
        self.n_tasks += 2 * len(blocks) - 1
        if self._client is None:
            # Arguments hold no lazy values: looking for some would cost more than short tasks.
            call = dask.delayed(function, pure=False, traverse=False)
            parts = [call(*block) for block in blocks]
            root = _tree(parts, dask.delayed(add, pure=False))
            (total,) = dask.compute(root, scheduler=self._scheduler)
        else:
            total = self._distributed(function, blocks)
        result: dict[str, Any] = total
        return result

    def _distributed(
        self, function: Callable[..., dict[str, Any]], blocks: Sequence[tuple[Any, ...]]
    ) -> Any:
        client = self._client

        def submit(*args: Any, call: Callable[..., Any] = add) -> Any:
            return client.submit(call, *args, pure=False)

        from distributed import CancelledError, KilledWorker

        parts = [submit(*block, call=function) for block in blocks]
        try:
            return _tree(parts, submit).result()
        except (OSError, TimeoutError, CancelledError, KilledWorker) as error:
            raise Unavailable(f"the cluster failed: {type(error).__name__}") from error

    def close(self) -> None:
        """Give the workers back."""
        if self._client is None:
            return
        from distributed.utils import silence_logging_cmgr

        with silence_logging_cmgr(logging.ERROR):  # a local cluster's end is no news
            self._client.close()
            if self._owned is not None:
                self._owned.close()


def _tree(parts: list[Any], combine: Callable[[Any, Any], Any]) -> Any:
    while len(parts) > 1:
        pairs = [combine(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + ([parts[-1]] if len(parts) % 2 else [])
    return parts[0]


def open_cluster(table: Mapping[str, Any], *, where: str = "[cluster]") -> Cluster:
    """The cluster that a site's `[cluster]` table describes.

    "local": a Dask scheduler and threaded worker in this process, with a dashboard on loopback;
    "threads" and "synchronous": no scheduler at all; "address": a scheduler that runs already.

    Raises
    ------
    Invalid
        For an unknown kind or setting.
    Unavailable
        If the scheduler cannot be reached.
    """
    kind = table.get("kind")
    if kind in LATER:
        raise Invalid(f"cluster kind {kind!r} is not offered yet", where=where, expected=KINDS)
    keys: dict[str, config.Key] = {"kind": config.Key(str, choices=KINDS)}
    if kind == "local":
        keys |= {"threads": config.Key(int, default=2), "dashboard": config.Key(bool, default=True)}
    elif kind == "address":
        keys |= {"address": config.Key(str)}
    values = config.check(table, keys, where=where)
    if kind in ("threads", "synchronous"):
        return Cluster(scheduler=str(kind))
    from distributed import Client, LocalCluster

    if kind == "address":
        try:
            return Cluster(Client(values["address"], timeout=10, set_as_default=False))
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"no scheduler answers at {values['address']}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise Invalid(
                "is no address of a scheduler",
                where=where,
                expected="tcp://HOST:PORT",
                found=values["address"],
            ) from error
    local = LocalCluster(
        n_workers=1,
        threads_per_worker=values["threads"],
        processes=False,
        dashboard_address="127.0.0.1:0",  # without one, distributed listens on every interface
        worker_dashboard_address="127.0.0.1:0",
    )
    client = Client(local, set_as_default=False)
    return Cluster(client, owned=local, shows=values["dashboard"])
