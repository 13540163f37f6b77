"""Clusters: sums in a fixed tree, failures with a name, settings that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from distributed import KilledWorker

from eucan_dask import block
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.clusters import Cluster, _tree, open_cluster
from eucan_dask.errors import Invalid, Unavailable
from eucan_dask.panel import Panel
from eucan_dask.store.open import Store


def one(number: float) -> dict[str, np.ndarray]:
    """The partial of a block: a number, and that a block was counted."""
    return {"x": np.array([number]), "n": np.array(1)}


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8])
def test_tree__pairs_by_index(n: int) -> None:
    words = [str(i) for i in range(n)]
    expected = {
        1: "0",
        2: "(01)",
        3: "((01)2)",
        4: "((01)(23))",
        7: "(((01)(23))((45)6))",
        8: "(((01)(23))((45)(67)))",
    }
    assert _tree(words, lambda a, b: f"({a}{b})") == expected[n]


@pytest.mark.parametrize("kind", ["synchronous", "threads", "local"])
def test_sum__in_the_same_order_everywhere(kind: str) -> None:
    numbers = [0.1 * 3**i for i in range(9)]
    cluster = open_cluster({"kind": kind} | ({"dashboard": False} if kind == "local" else {}))
    try:
        total = cluster.sum(one, [(x,) for x in numbers])
        assert cluster.n_tasks == 17
    finally:
        cluster.close()
    a, b, c, d, e, f, g, h, i = numbers
    assert total["x"][0] == (((a + b) + (c + d)) + ((e + f) + (g + h))) + i
    assert int(total["n"]) == 9


@pytest.mark.parametrize("kind", ["synchronous", "threads"])
def test_sum__what_a_task_says_is_wrong_comes_through(kind: str) -> None:
    def wrong(_: float) -> dict[str, Any]:
        raise Invalid("has no such field")

    with pytest.raises(Invalid, match="no such field"):
        open_cluster({"kind": kind}).sum(wrong, [(1.0,), (2.0,)])


class Future:
    """A result that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def result(self) -> object:
        raise self.error


class Client:
    """A client whose workers are gone."""

    def __init__(self, error: Exception) -> None:
        self.error, self.closed = error, 0
        self.dashboard_link = "http://127.0.0.1:1/status"

    def submit(self, *_: object, **__: object) -> Future:
        return Future(self.error)

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    "error",
    [
        OSError("connection lost"),
        TimeoutError("late"),
        KilledWorker("task", None, 3),  # a worker died of it, again and again
    ],
    ids=lambda error: type(error).__name__,
)
def test_sum__a_cluster_that_fails_is_unavailable(error: Exception) -> None:
    with pytest.raises(Unavailable, match=type(error).__name__):
        Cluster(Client(error)).sum(one, [(1.0,)])


def test_close__gives_client_and_cluster_back() -> None:
    client, owned = Client(OSError()), Client(OSError())
    Cluster(client, owned=owned).close()
    assert (client.closed, owned.closed) == (1, 1)
    Cluster(client).close()
    Cluster().close()
    assert (client.closed, owned.closed) == (2, 1)


def test_dashboard__only_where_there_is_one() -> None:
    assert Cluster().dashboard is None
    assert Cluster(Client(OSError())).dashboard == "http://127.0.0.1:1/status"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({}, "missing key 'kind'"),
        ({"kind": "lokal"}, "did you mean 'local'"),
        ({"kind": "slurm"}, "not offered yet"),
        ({"kind": "kubernetes"}, "not offered yet"),
        ({"kind": "threads", "threads": 2}, "unknown key 'threads'"),
        ({"kind": "local", "thread": 2}, "did you mean 'threads'"),
        ({"kind": "local", "threads": "2"}, "wrong type"),
        ({"kind": "address"}, "missing key 'address'"),
    ],
    ids=str,
)
def test_open_cluster__settings_that_cannot_be(table: dict[str, object], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        open_cluster(table)


@pytest.mark.parametrize("error", [OSError("refused"), TimeoutError()])
def test_open_cluster__nobody_at_the_address(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def client(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("distributed.Client", client)
    with pytest.raises(Unavailable, match="no scheduler answers at tcp://10"):
        open_cluster({"kind": "address", "address": "tcp://10.0.0.1:8786"})


@pytest.mark.parametrize("error", [ValueError("port"), TypeError("host")])
def test_open_cluster__what_is_no_address(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def client(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("distributed.Client", client)
    with pytest.raises(Invalid, match="no address of a scheduler"):
        open_cluster({"kind": "address", "address": "here"})


@pytest.mark.parametrize("dashboard", [False, True])
def test_dashboard__of_a_local_cluster(*, dashboard: bool) -> None:
    cluster = open_cluster({"kind": "local", "threads": 1, "dashboard": dashboard})
    try:
        found = cluster.dashboard
    finally:
        cluster.close()
    assert (found is not None and found.startswith("http://127.0.0.1:")) == dashboard


def test_open_cluster__an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distributed.Client", lambda *_, **__: Client(OSError()))
    cluster = open_cluster({"kind": "address", "address": "tcp://10.0.0.1:8786"})
    assert cluster.dashboard == "http://127.0.0.1:1/status"


@pytest.mark.parametrize(
    ("n", "dim", "expected"),
    [
        (0, "individuals", [(0, 0)]),
        (16_384, "individuals", [(0, 16_384)]),
        (16_385, "individuals", [(0, 16_384), (16_384, 16_385)]),
        (40_000, "individuals", [(0, 16_384), (16_384, 32_768), (32_768, 40_000)]),
        (40_000, None, [(0, 40_000)]),
    ],
)
def test_plan__blocks_of_people(n: int, dim: str | None, expected: list[tuple[int, int]]) -> None:
    kind = MutationFrequency if dim else Survival
    assert kind.block_dim == dim
    blocks = block.plan(Store(Path(), None, None), kind(), Panel(), n)  # type: ignore[arg-type]
    assert [(b.start, b.stop) for b in blocks] == expected


@pytest.mark.parametrize("dashboard", [False, True])
def test_open_cluster__a_local_one_listens_on_this_machine_alone(*, dashboard: bool) -> None:
    """Neither the scheduler's pages nor a worker's are for the hospital's network."""
    before = listening()
    cluster = open_cluster({"kind": "local", "threads": 1, "dashboard": dashboard})
    try:
        opened = listening() - before
    finally:
        cluster.close()
    assert not {(host, port) for host, port in opened if host not in ("127.0.0.1", "::1")}


def listening() -> set[tuple[str, int]]:
    """Host and port of every socket this process listens on."""
    found = psutil.Process().net_connections("tcp")
    return {(c.laddr.ip, c.laddr.port) for c in found if c.status == psutil.CONN_LISTEN}
