"""The contract: every analysis of the registry, every check; and checks that catch bad analyses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eucan_dask import block, message, rules
from eucan_dask.analyses.mutation_frequency import MutationFrequency
from eucan_dask.analyses.survival import Survival
from eucan_dask.analysis import Analysis, Column, IterativeAnalysis, Table
from eucan_dask.cohort import Cohort
from eucan_dask.errors import Invalid
from eucan_dask.panel import Panel
from eucan_dask.partial import PartialSpec, Record
from eucan_dask.registry import registry
from eucan_dask.request import Request, Roster
from eucan_dask.site import Site
from eucan_dask.store.open import Store
from eucan_dask.testing import checks
from eucan_dask.testing.cases import example
from eucan_dask.testing.checks import CHECKS, check_analysis
from eucan_dask.testing.data import people
from eucan_dask.versions import code_digest
from tests.asking import put
from tests.simulated import make_site, set_cluster

N = 60
REGISTRY = registry()
SLOW = ("check_federated_equals_pooled", "check_order", "check_degenerate", "check_interval")
SEEDS = st.integers(0, 2**31 - 1)


def run(kind: type[Analysis], check: Any, seed: int) -> None:
    """One check on one draw of people; where it is expected to fail, it must."""
    check_analysis(kind, seed=seed, n=N, checks=[check])


def n_examples(kind: type[Analysis], check: Any) -> int:
    """Eight draws; fewer where a draw is several federated answers, or several fits."""
    if check.__name__ not in SLOW:
        return 8
    return 2 if issubclass(kind, IterativeAnalysis) else 4


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", REGISTRY.values(), ids=REGISTRY)
def test_contract(kind: type[Analysis], check: Any) -> None:
    @settings(
        max_examples=n_examples(kind, check),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=SEEDS)
    def draw(seed: int) -> None:
        run(kind, check, seed)

    draw()


@pytest.mark.long
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", REGISTRY.values(), ids=REGISTRY)
def test_contract__over_many_draws(kind: type[Analysis], check: Any) -> None:
    @settings(
        max_examples=10 * n_examples(kind, check),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=SEEDS)
    def draw(seed: int) -> None:
        run(kind, check, seed)

    draw()


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=REGISTRY)
def test_expected_failures__name_checks_that_exist_and_a_reason(kind: type[Analysis]) -> None:
    names = {check.__name__ for check in CHECKS}
    assert set(kind.expected_failures) <= names
    assert all(kind.expected_failures.values())


# --- the same bytes on every scheduler ---


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The arrays of every analysis, by scheduler and analysis, from seven blocks of people."""
    directory = tmp_path_factory.mktemp("schedulers")
    # enough people that sums have something to round; public, so that one site is asked everything
    some = people(200, seed=1, hazard=0.0003)
    site_dir = make_site(directory, "a", some, policy="public", genotypes=True)
    found: dict[str, dict[str, bytes]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "BLOCK_INDIVIDUALS", 32)
        for kind in ("synchronous", "threads", "local"):
            set_cluster(site_dir, kind)
            site = Site(site_dir)
            try:
                found[kind] = {name: _answer(site, name) for name in REGISTRY}
            finally:
                site.close()
    return found


def _answer(site: Site, name: str) -> bytes:
    asked, panel = REGISTRY[name].example()
    request = Request(
        run=name,
        analysis=asked,
        panel=panel,
        cohorts=(Cohort("everybody"),),
        purpose="DUO:0000006",
        roster=Roster(("a",)),
        code_digest=code_digest(),
    )
    n_rounds = 3 if isinstance(asked, IterativeAnalysis) else 1
    parts = []
    for _ in range(n_rounds):
        release = put(site, request)
        assert release.status == "released", release.findings
        parts += [release.arrays[n].tobytes() for n in sorted(release.arrays)]
        totals = {n: v for n, v in release.arrays.items() if not n.endswith("_hidden")}
        if isinstance(asked, IterativeAnalysis):
            request = request.next_round(totals)
    return b"".join(parts)


@pytest.mark.parametrize("scheduler", ["threads", "local"])
@pytest.mark.parametrize("name", REGISTRY)
def test_answer__the_same_bits_on_every_scheduler(
    answers: dict[str, dict[str, bytes]], name: str, scheduler: str
) -> None:
    assert answers[scheduler][name] == answers["synchronous"][name]


def test_answer__blocks_are_really_cut(answers: dict[str, dict[str, bytes]]) -> None:
    assert len(_plan(MutationFrequency())) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "BLOCK_INDIVIDUALS", 32)
        assert len(_plan(MutationFrequency())) == 7
        assert len(_plan(Survival())) == 1


def _plan(analysis: Analysis) -> list[block.Block]:
    return block.plan(Store(Path(), None, None), analysis, Panel(), 200)  # type: ignore[arg-type]


# --- the checks catch what they are for ---


@dataclass(frozen=True, kw_only=True)
class Plain(Analysis):
    """People by stage: a small analysis that keeps the contract.

    Counts people of each cohort at each stage.

    Parameters
    ----------
    stages
        What to count.

    Returns
    -------
    count : (C, S)

    Disclosure
    ----------
    Counts of people.

    Raises
    ------
    Invalid
        Never.

    References
    ----------
    None.

    Examples
    --------
    >>> 1
    1
    """

    stages: tuple[str, ...] = ("I", "II", "III", "IV")

    name: ClassVar[str] = "plain"
    title: ClassVar[str] = "Plain"
    kind: ClassVar[str] = "counts"
    equals: ClassVar[str] = "table(stage)"
    block_dim: ClassVar[str | None] = "individuals"
    yields: ClassVar[tuple[PartialSpec, ...]] = (
        PartialSpec("cohort_n_individuals", ("cohorts",), "count"),
        PartialSpec("stage_n", ("cohorts", "stages"), "count", within="cohort_n_individuals"),
    )
    records: ClassVar[tuple[Record, ...]] = (
        Record("people", ("cohort_n_individuals",), ("cohorts",)),
        Record("staged", ("stage_n",), ("cohorts", "stages"), needs=("people",)),
    )
    tables: ClassVar[tuple[Table, ...]] = (
        Table("t", ("cohorts", "stages"), ("cohort", "stage"), (Column("count"),), "staged"),
    )

    def coords(self, panel: Panel, cohorts: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
        return {**super().coords(panel, cohorts), "stages": self.stages}

    def hits(self, ds: xr.Dataset) -> np.ndarray:
        """Who is at which stage, (individuals, stages)."""
        held = list(ds["individual_stage"].attrs["categories"])
        codes = np.array([held.index(s) for s in self.stages])
        return ds["individual_stage"].values[:, np.newaxis] == codes

    def counted(self, ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
        members = ds["individual_cohort"].values.astype(np.int64)
        return members.sum(axis=0), members.T @ self.hits(ds).astype(np.int64)

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        n, by_stage = self.counted(ds)
        return xr.Dataset(
            {
                "cohort_n_individuals": (("cohorts",), n),
                "stage_n": (("cohorts", "stages"), by_stage),
            }
        )

    def finalize(self, total: xr.Dataset) -> xr.Dataset:
        return xr.Dataset({"count": total["stage_n"]})

    @classmethod
    def example(cls) -> tuple[Analysis, Panel]:
        return cls(), Panel(genes=("TP53",))


class Undeclared(Plain):
    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        return super().partial(ds, panel).assign(extra=((), np.int64(1)))


class Missing(Plain):
    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        return super().partial(ds, panel).drop_vars("stage_n")


class Specimens(Plain):
    """Counts specimens instead of people."""

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        owner = ds["sample_individual"].values
        members = ds["individual_cohort"].values[owner].astype(np.int64)
        by_stage = members.T @ self.hits(ds)[owner].astype(np.int64)
        return xr.Dataset(
            {
                "cohort_n_individuals": (("cohorts",), members.sum(axis=0)),
                "stage_n": (("cohorts", "stages"), by_stage),
            }
        )


class OneASample(Plain):
    """Returns a row a specimen."""

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        found = super().partial(ds, panel)
        return found.assign(
            stage_n=(("cohorts", "samples"), np.ones((2, ds.sizes["samples"]), int))
        )


class Negative(Plain):
    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        found = super().partial(ds, panel)
        return found.assign(stage_n=found["stage_n"] - 100)


class Floats(Plain):
    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        return super().partial(ds, panel).astype(np.float64)


class Eager(Plain):
    """Looks at lazy mutations while it builds its graph."""

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        assert int((ds["mutation_gene"] >= 0).sum().values) >= 0
        return super().partial(ds, panel)


class DataShaped(Plain):
    """As many stages as the site happens to hold."""

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        found = super().partial(ds, panel)
        return found.isel(stages=found["stage_n"].values.sum(axis=0) > 12)


class Maximum(Plain):
    """A largest value in the place of a sum."""

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        found = super().partial(ds, panel)
        return found.assign(stage_n=np.minimum(found["stage_n"], 5))


class Share(Plain):
    """Divides at the site."""

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        found = super().partial(ds, panel)
        share = 100 * found["stage_n"] // found["cohort_n_individuals"]
        return found.assign(stage_n=share.astype(np.int64))


class Brittle(Plain):
    """Needs somebody to be there."""

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        assert ds["individual_stage"].values.max() < 9
        return super().partial(ds, panel)


class Dividing(Plain):
    """Divides by the number of people there are."""

    def counted(self, ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
        n, by_stage = super().counted(ds)
        return n, by_stage + np.int64(0) * (n // n)[:, np.newaxis]


class Everybody(Plain):
    """Forgets who was asked about."""

    def counted(self, ds: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
        members = np.ones_like(ds["individual_cohort"].values, dtype=np.int64)
        return members.sum(axis=0), members.T @ self.hits(ds).astype(np.int64)


class TooMany(Plain):
    """Counts more people than it counts among."""

    def partial(self, ds: xr.Dataset, panel: Panel) -> xr.Dataset:
        found = super().partial(ds, panel)
        return found.assign(stage_n=found["stage_n"] * 7)


class Homeless(Plain):
    """A variable leaves without belonging to a record."""

    records = (Record("people", ("cohort_n_individuals",), ("cohorts",)),)


class Undocumented(Plain):
    """Says nothing."""


class NoColumn(Plain):
    __doc__ = Plain.__doc__
    tables = (Table("t", ("cohorts",), ("cohort",), (Column("nothing"),), "people"),)


@dataclass(frozen=True, kw_only=True)
class Unhashable(Plain):
    __doc__ = Plain.__doc__
    options: list[str] = field(default_factory=list)


BAD = [
    (Undeclared, "check_declared_exactly"),
    (Missing, "check_declared_exactly"),
    (OneASample, "check_declared_exactly"),
    (Negative, "check_declared_exactly"),
    (Floats, "check_declared_exactly"),
    (DataShaped, "check_declared_exactly"),
    (Homeless, "check_declared_exactly"),
    (TooMany, "check_declared_exactly"),
    (Specimens, "check_individuals"),
    (Eager, "check_lazy"),
    (Maximum, "check_federated_equals_pooled"),
    (Maximum, "check_blocks"),
    (Share, "check_federated_equals_pooled"),
    (Brittle, "check_degenerate"),
    (Dividing, "check_degenerate"),
    (Everybody, "check_missing"),
    (Undocumented, "check_documented"),
    (NoColumn, "check_documented"),
    (Unhashable, "check_parameters"),
]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make an analysis known to the registry, as if a package had brought it."""

    def install(kind: type[Analysis]) -> type[Analysis]:
        point = SimpleNamespace(name=kind.__name__, load=lambda: kind)
        monkeypatch.setattr("eucan_dask.registry.entry_points", lambda group: [point])
        registry.cache_clear()
        return kind

    yield install
    registry.cache_clear()


def failing(kind: type[Analysis], check: Any) -> bool:
    """Whether a check fails on one of a few draws, with an error of any kind."""
    for seed in range(4):
        try:
            check(example(kind), people(N, seed=seed), np.random.default_rng(seed))
        except Exception:  # noqa: BLE001 - whichever way it fails, it is caught
            return True
    return False


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_checks__a_good_analysis_passes(installed: Any, check: Any) -> None:
    kind = installed(Plain)
    for seed in range(3):
        check(example(kind), people(N, seed=seed), np.random.default_rng(seed))


@pytest.mark.parametrize(("kind", "name"), BAD, ids=lambda x: getattr(x, "__name__", x))
def test_checks__a_bad_analysis_is_caught(installed: Any, kind: type[Analysis], name: str) -> None:
    check = {c.__name__: c for c in CHECKS}[name]
    assert failing(installed(kind), check)


@pytest.mark.parametrize("dims", [("samples",), ("cohorts", "individuals"), ("mutations",)])
def test_checks__a_dimension_of_people_cannot_be_declared(dims: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match="dimension of people"):
        PartialSpec("x", dims, "count")


def test_checks__a_gate_without_rules_is_caught(
    installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "RULES", ())
    kind = installed(Plain)
    assert failing(kind, checks.check_gate)
    assert failing(kind, checks.check_nothing_left)


def test_checks__bounds_that_are_wrong_are_caught(
    installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucan_dask.total._cell_bounds", lambda mask, value, *_: (value, value))
    assert failing(installed(Plain), checks.check_interval)


def test_checks__a_wire_that_changes_a_number_is_caught(
    installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = message._arrays

    def off(*args: Any) -> Any:
        return {name: values + (values.dtype != np.uint8) for name, values in true(*args).items()}

    monkeypatch.setattr(message, "_arrays", off)
    assert failing(installed(Plain), checks.check_wire)


def test_checks__a_total_that_forgets_a_site_is_caught(
    installed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "eucan_dask.testing.cases.combine",
        lambda analysis, coords, releases: combine_all_but_one(analysis, coords, releases),
    )
    kind = installed(Plain)
    assert failing(kind, checks.check_federated_equals_pooled)


def combine_all_but_one(analysis: Analysis, coords: Any, releases: Any) -> xr.Dataset:
    from eucan_dask.total import combine

    return combine(analysis, coords, list(releases)[1:] or releases)


def test_check_analysis__an_expected_failure_must_fail(installed: Any) -> None:
    class Honest(Specimens):
        expected_failures: ClassVar[dict[str, str]] = {"check_individuals": "counts specimens"}

    class Boastful(Plain):
        expected_failures: ClassVar[dict[str, str]] = {"check_individuals": "no reason at all"}

    check_analysis(installed(Honest), checks=[checks.check_individuals])
    with pytest.raises(AssertionError, match="passes, though it is expected to fail"):
        check_analysis(installed(Boastful), checks=[checks.check_individuals])
    with pytest.raises(AssertionError):
        check_analysis(installed(Specimens), checks=[checks.check_individuals])


def test_registry__two_analyses_of_one_name_are_refused(installed: Any) -> None:
    class Copy(Plain):
        name: ClassVar[str] = "survival"

    installed(Copy)
    with pytest.raises(Invalid, match="share a name"):
        registry()


def test_registry__an_entry_point_that_is_no_analysis_is_refused(installed: Any) -> None:
    installed(Path)
    with pytest.raises(Invalid, match="is no Analysis"):
        registry()
