"""The keys of a job that say which variants it asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eucan_dask.errors import Invalid
from eucan_dask.job import Job, read_job
from eucan_dask.panel import BLOCK_VARIANTS
from eucan_dask.provenance import describe
from eucan_dask.variant_panel import VariantPanel

HEAD = 'format = 1\nname = "j"\npurpose = "DUO:0000006"\n'
ASK = '[[analyses]]\nname = "allele_frequency"\n'
LISTED = 'variants = ["2:5:A:G", "chr1:7:c:t", "1:5:A:G"]\n'
LABELS = ("1:5:A:G", "1:7:C:T", "2:5:A:G")
DIGEST = VariantPanel.of(LABELS).digest


def job(tmp_path: Path, panel: str, ask: str = ASK) -> Job:
    (tmp_path / "job.toml").write_text(f"{HEAD}[panel]\n{panel}{ask}", encoding="utf-8")
    return read_job(tmp_path / "job.toml")


def test_read_job__a_list_in_genome_order(tmp_path: Path) -> None:
    found = job(tmp_path, LISTED)
    assert found.variants is not None
    assert tuple(found.variants) == LABELS
    assert found.questions[0].panel.variants == LABELS
    assert found.panel.variants == ()
    about: dict[str, Any] = describe(found, "none")["panel"]
    assert about["n_variants"] == 3
    assert about["variants_digest"] == DIGEST
    assert about["region"] is None


def test_read_job__a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "panel.txt").write_text("\n".join(LABELS))
    found = job(tmp_path, f'variants_file = "panel.txt"\nvariants_digest = "{DIGEST}"\n')
    assert found.questions[0].panel.variants == LABELS
    assert describe(found, "none")["panel"]["variants_digest"] == DIGEST


@pytest.mark.parametrize("source", ["list", "file"])
def test_read_job__a_region_selects(tmp_path: Path, source: str) -> None:
    (tmp_path / "panel.txt").write_text("\n".join(LABELS))
    named = LISTED if source == "list" else 'variants_file = "panel.txt"\n'
    found = job(tmp_path, f'{named}region = "chr1:6-10"\n')
    assert found.questions[0].panel.variants == ("1:7:C:T",)
    assert describe(found, "none")["panel"]["region"] == "1:6-10"


def test_read_job__of_many_variants_the_first_block(tmp_path: Path) -> None:
    labels = [f"1:{i + 1}:A:G" for i in range(BLOCK_VARIANTS + 5)]
    (tmp_path / "panel.txt").write_text("\n".join(labels))
    found = job(tmp_path, 'variants_file = "panel.txt"\n')
    assert found.questions[0].panel.variants == tuple(labels[:BLOCK_VARIANTS])
    assert found.variants is not None
    assert (len(found.variants), found.variants.n_blocks) == (BLOCK_VARIANTS + 5, 2)


def test_read_job__questions_about_genes_carry_no_variants(tmp_path: Path) -> None:
    genes = '[[analyses]]\nname = "mutation_frequency"\n'
    found = job(tmp_path, f'genes = ["TP53"]\n{LISTED}', ASK + genes)
    assert [len(q.panel.variants) for q in found.questions] == [3, 0]
    assert [q.panel.genes for q in found.questions] == [("TP53",)] * 2


@pytest.mark.parametrize(
    ("panel", "problem"),
    [
        ("", "needs variants"),
        ('genes = ["TP53"]\n', "needs variants"),
        ('region = "1"\n', "name the variants in one way"),
        (f'variants_digest = "{DIGEST}"\n', "name the variants in one way"),
        ("variants = []\n", "name the variants in one way"),
        (f'{LISTED}variants_file = "panel.txt"\n', "name the variants in one way"),
        ('variants = "1:5:A:G"\n', "wrong type"),
        ("variants = [7]\n", "variants must be labels"),
        ('variants = ["1:5:A"]\n', "no variant"),
        ('variants = ["1:5:A:<DEL>"]\n', "no pair of alleles"),
        ('variants = ["1:5:A:G", "chr1:5:A:G"]\n', "stands twice"),
        ("variants_file = 7\n", "wrong type"),
        ('variants_file = "none.txt"\n', "cannot be read"),
        ('variants_file = "empty.txt"\n', "there is no variant"),
        (f'{LISTED}region = "1:1-4"\n', "there is no variant in the region"),
        (f'{LISTED}region = "1:9-4"\n', "no region"),
        (f'{LISTED}region = "1:4"\n', "no region"),
        (f'{LISTED}region = "chr"\n', "no contig"),
        (f"{LISTED}region = 22\n", "wrong type"),
        (f'{LISTED}variants_digest = "{"0" * 64}"\n', "others than the job means"),
        (f'{LISTED}region = "1"\nvariants_digest = "{DIGEST}"\n', "others than the job means"),
        ('variant = ["1:5:A:G"]\n', "did you mean 'variants'"),
    ],
    ids=lambda x: str(x)[:60],
)  # fmt: skip
def test_read_job__what_is_wrong_with_the_variants(
    tmp_path: Path, panel: str, problem: str
) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(Invalid) as caught:
        job(tmp_path, panel)
    assert problem in str(caught.value)
    assert caught.value.exit_code == 2
    told = str(caught.value)
    assert any(place in told for place in ("job.toml", ".txt", "panel")), "says where"
