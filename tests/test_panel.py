"""The panel: the coordinates a request fixes, and a site's data put into its order."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from eucan_dask.errors import Invalid
from eucan_dask.panel import BLOCK_VARIANTS, Panel
from tests.genotyped import genotyped


def made(table: dict[str, Any]) -> Panel:
    return Panel.from_toml(table, where="job.toml [panel]")


@pytest.mark.parametrize(
    ("grid", "times"),
    [
        ({"stop": 90, "step": 30}, (0.0, 30.0, 60.0, 90.0)),
        ({"start": 0, "stop": 100, "step": 30}, (0.0, 30.0, 60.0, 90.0)),
        ({"stop": 0.3, "step": 0.1}, (0.0, 0.1, 0.2, 0.30000000000000004)),
        ({"stop": 30, "step": 30}, (0.0, 30.0)),
        ({}, ()),
    ],
)
def test_from_toml__a_grid(grid: dict[str, float], times: tuple[float, ...]) -> None:
    assert made({"times": grid}).times == times


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"gene": []}, "did you mean 'genes'"),
        ({"genes": "TP53"}, "wrong type"),
        ({"genes": [3]}, "must be symbols"),
        ({"genes": [""]}, "must be symbols"),
        ({"genes": ["A", "B", "A"]}, "named twice"),
        ({"genes": [str(i) for i in range(50_001)]}, "too many genes"),
        ({"times": {"stop": 10}}, "missing key 'step'"),
        ({"times": {"start": 30, "stop": 90, "step": 30}}, "not a grid"),
        ({"times": {"stop": 90, "step": 0}}, "not a grid"),
        ({"times": {"stop": 90, "step": -30}}, "not a grid"),
        ({"times": {"stop": 10, "step": 30}}, "not a grid"),
        ({"times": {"stop": 90, "step": "30"}}, "wrong type"),
        ({"times": {"stop": 90, "steps": 30}}, "did you mean 'step'"),
        ({"times": {"stop": 20_000, "step": 1}}, "too fine"),
        ({"times": {"stop": float("inf"), "step": 30}}, "grid"),
        ({"times": {"stop": float("nan"), "step": 30}}, "grid"),
        ({"times": {"stop": 90, "step": float("nan")}}, "grid"),
    ],
    ids=lambda x: str(x)[:60],
)
def test_from_toml__what_is_no_panel(table: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        made(table)


@pytest.mark.parametrize(
    "times",
    [(1.0, 2.0), (0.0, 0.0), (0.0, 2.0, 1.0), (0.0, float("nan")), (0.0, float("inf"))],
    ids=str,
)
def test_panel__a_grid_starts_at_zero_and_rises(times: tuple[float, ...]) -> None:
    with pytest.raises(Invalid, match="time grid"):
        Panel(times=times)


def test_panel__a_grid_from_the_wire_is_no_finer_than_one_from_a_job() -> None:
    times = [float(i) for i in range(20_001)]
    with pytest.raises(Invalid, match="too fine"):
        Panel.from_json({"genes": [], "times": times, "variants": []})


def test_json__there_and_back() -> None:
    panel = Panel(genes=("B", "A"), times=(0.0, 7.5))
    assert Panel.from_json(panel.to_json()) == panel
    assert panel.coords == {"genes": ("B", "A"), "times": (0.0, 7.5), "variants": ()}
    some = Panel(variants=("2:5:A:G", "1:5:A:AT"))
    assert Panel.from_json(some.to_json()) == some
    assert some.coords["variants"] == ("2:5:A:G", "1:5:A:AT")


MANY = [f"1:{i + 1}:A:G" for i in range(BLOCK_VARIANTS + 1)]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"variants": ["chr1:5:A:G"]}, "no label of a variant"),
        ({"variants": ["1:05:A:G"]}, "no label of a variant"),
        ({"variants": ["1:5:a:G"]}, "no label of a variant"),
        ({"variants": ["1:5:CTT:CAT"]}, "no label of a variant"),
        ({"variants": ["1:5:A:G", 7]}, "no label of a variant"),
        ({"variants": ["1:5:A"]}, "no variant"),
        ({"variants": [f"1:{'9' * 5000}:A:G"]}, "no variant"),
        ({"variants": ["1:5:A:G", "2:5:A:G", "1:5:A:G"]}, "named twice"),
        ({"variants": MANY}, "too many variants in a block"),
        ({"variants": "1:5:A:G"}, "wrong type"),
        ({"variant": []}, "did you mean 'variants'"),
        ({"genes": ["A", "A"]}, "named twice"),
        ({"genes": [7]}, "must be symbols"),
        ({"times": ["0"]}, "must be numbers"),
    ],
    ids=lambda x: str(x)[:40],
)
def test_from_json__what_a_site_refuses(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        Panel.from_json({"genes": [], "times": [], "variants": [], **changes})


def test_from_json__a_whole_block() -> None:
    panel = Panel.from_json({"genes": [], "times": [], "variants": MANY[:-1]})
    assert len(panel.variants) == BLOCK_VARIANTS


def test_panel__has_so_many_variants_at_most() -> None:
    with pytest.raises(Invalid, match="up to 1,000,000"):
        Panel(variants=("1:5:A:G",) * 1_000_001)


def test_align__genes_and_variants_side_by_side() -> None:
    ds = genotyped({"1:5:A:G": [0, 1, 2]})
    found = Panel(genes=("A",), variants=("1:6:A:G", "1:5:A:G")).align(ds)
    assert found.sizes["variants"] == 2
    assert found["variant_inheritance"].values.tolist() == [0, 0]
    assert found["call_genotype_packed"].values.tolist() == [[0xFF], [0b11_10_01_00]]


@pytest.mark.parametrize("lazy", [False, True])
def test_align__genes_in_the_panel_s_order(*, lazy: bool) -> None:
    codes = np.array([0, 1, 2, -1, 1], np.int32)
    ds = xr.Dataset(
        {
            "gene_symbol": (("genes",), np.array(["A", "B", "C"], dtype=object)),
            "gene_assayed": (
                ("genes", "assays"),
                np.array([[True, False], [True, True], [True, False]]),
            ),
            "assay_all_genes": (("assays",), np.array([True, False])),
            "mutation_gene": (("mutations",), da.from_array(codes, chunks=2) if lazy else codes),
        }
    )
    found = Panel(genes=("C", "NEW", "B")).align(ds)
    assert found["mutation_gene"].values.tolist() == [-1, 2, 0, -1, 2]
    assert (found["mutation_gene"].chunks is not None) == lazy
    # the exome covers any gene; the panel assay B alone
    assert found["gene_assayed"].values.tolist() == [[True, False], [True, False], [True, True]]
    assert "gene_symbol" not in found


def test_align__a_store_without_mutations_is_left_alone() -> None:
    ds = xr.Dataset({"individual_id": (("individuals",), np.array(["a"], dtype=object))})
    assert Panel(genes=("A",)).align(ds) is ds
