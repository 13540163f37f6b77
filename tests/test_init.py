"""What a new site and a new federation start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from eucan_dask import config
from eucan_dask.errors import Invalid
from eucan_dask.federation import Federation
from eucan_dask.init import init_federation, init_site
from eucan_dask.policy import template
from eucan_dask.testing.data import people
from tests.simulated import make_site, make_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"), people(20, seed=1))


def test_init_site__writes_what_a_site_reads(tmp_path: Path, store: Path) -> None:
    init_site(tmp_path / "s", name='the "old" hospital', store=store)
    table = config.read(tmp_path / "s" / "site.toml")
    assert table["name"] == 'the "old" hospital'
    assert Path(table["store"]) == store.resolve()
    assert (tmp_path / "s" / "policy.toml").read_text() == template("recommended")
    assert (tmp_path / "s" / "keys" / "site.key").exists()


def test_init_site__never_over_another(tmp_path: Path, store: Path) -> None:
    init_site(tmp_path / "s", name="a", store=store)
    key = (tmp_path / "s" / "keys" / "site.key").read_bytes()
    with pytest.raises(Invalid, match="holds a site already"):
        init_site(tmp_path / "s", name="b", store=store)
    assert (tmp_path / "s" / "keys" / "site.key").read_bytes() == key


def test_init_site__without_a_store(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        init_site(tmp_path / "s", name="a", store=tmp_path / "none")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(("n", "least"), [(1, 1), (2, 2), (4, 3)])
def test_init_federation__asks_for_up_to_three_sites(
    tmp_path: Path, store: Path, n: int, least: int
) -> None:
    for i in range(n):
        init_site(tmp_path / f"s{i}", name=f"s{i}", store=store)
    links = [f"in_process:{tmp_path / f's{i}'}" for i in range(n)]
    init_federation(tmp_path / "f" / "federation.toml", links, name="mine")
    with Federation.open(tmp_path / "f" / "federation.toml") as federation:
        assert federation.min_sites == least
        assert federation.name == "mine"
        assert federation.thresholds.min_cell == 20  # nobody said that no one is counted twice
    with pytest.raises(Invalid, match="exists already"):
        init_federation(tmp_path / "f" / "federation.toml", links)


def test_init_federation__public_thresholds_only_if_every_site_is_public(tmp_path: Path) -> None:
    some = people(20, seed=1)
    public = make_site(tmp_path, "a", some, policy="public")
    careful = make_site(tmp_path, "b", some)
    init_federation(tmp_path / "public.toml", [str(public)])
    both = [str(public), str(careful)]
    init_federation(tmp_path / "mixed.toml", both, overlap="excluded")
    init_federation(tmp_path / "overlapping.toml", both)
    for name, least in (("public", 0), ("mixed", 10), ("overlapping", 20)):
        with Federation.open(tmp_path / f"{name}.toml") as federation:
            assert federation.thresholds.min_cell == least


@pytest.mark.parametrize("least", [0, 2])
def test_init_federation__a_least_number_that_cannot_be_met(
    tmp_path: Path, store: Path, least: int
) -> None:
    init_site(tmp_path / "s", name="a", store=store)
    with pytest.raises(Invalid, match=r"min_sites cannot be met; expected 1\.\.1"):
        init_federation(tmp_path / "f.toml", [str(tmp_path / "s")], min_sites=least)
    assert not (tmp_path / "f.toml").exists()
