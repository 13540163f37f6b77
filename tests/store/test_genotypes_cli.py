"""Genotypes on the command line, and what a manifest may say of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from eucan_dask.cli import main
from eucan_dask.errors import Invalid
from eucan_dask.store.edit import drop_freeze
from eucan_dask.store.freeze import writing
from eucan_dask.store.ingest_variants import ingest_vcf
from eucan_dask.store.inspect import verify
from eucan_dask.store.manifest import read_head, read_manifest
from tests.store.genotypes import SAMPLES, vcf
from tests.store.store_tables import CLINICAL, table


@pytest.fixture
def genotypes(tmp_path: Path) -> Path:
    """A store of six variants and four samples."""
    ingest_vcf(vcf(tmp_path / "a.vcf"), store=tmp_path / "s", assembly="GRCh37")
    return tmp_path / "s"


def test_ingest__on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, store = vcf(tmp_path / "a.vcf.gz"), tmp_path / "s"
    command = ["ingest", "vcf", str(path), "--store", str(store), "--assembly", "GRCh37"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "note: no --reference was given" in out
    assert "variants: 4 samples, 6 variants, " in out
    assert "not checked against the reference genome" in out
    assert main(command) == 0
    assert "nothing to do" in capsys.readouterr().out
    clinical = table(tmp_path / "c.tsv", [r for r in CLINICAL if r["sample_id"] in SAMPLES])
    more = ["ingest", "clinical", str(clinical), "--store", str(store), "--mapping", "plain"]
    assert main(more) == 0
    assert main(["store", "describe", str(store)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"(?m)^n_genotyped +4$", out)
    assert "variants {'contig': '2', 'start': 50, 'end': 50, 'n_variants': 1}" in out
    assert main(["store", "verify", str(store)]) == 0
    exported = tmp_path / "out.vcf"
    assert main(["store", "export", "vcf", str(store), "--out", str(exported)]) == 0
    assert exported.read_text().count("\nX\t5000000\t.\tA\tC\t30\tPASS\t") == 1
    assert main(["store", "withdraw", str(store), "B"]) == 0
    assert "variants: 2 samples, 4 variants" in capsys.readouterr().out
    other = vcf(tmp_path / "b.vcf")
    assert main([*command[:2], str(other), *command[3:]]) == 2
    assert "has genotypes already" in capsys.readouterr().err


def test_verify__shards_of_variants(genotypes: Path) -> None:
    digest = read_head(genotypes).freeze
    folder = genotypes / "freezes" / digest / "variants"
    chunk = folder / "1_100_300.zarr" / "call_genotype_packed" / "0.0"
    data = bytearray(chunk.read_bytes())
    data[-1] ^= 1
    chunk.write_bytes(data)
    (folder / "2_50_50.zarr" / "variant_id" / "0").unlink()
    assert verify(genotypes) == (
        f"{digest}: variants/1_100_300.zarr/call_genotype_packed/0.0 was changed",
        f"{digest}: variants/2_50_50.zarr/variant_id/0 is missing",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "variants/../../elsewhere.zarr"}, "names a path that is not the shard's"),
        ({"start": 99}, r"names a path.*expected variants/1_99_300\.zarr"),
        ({"n_mutations": 0}, "unknown key 'n_mutations'"),
        ({"n_variants": "4"}, "key 'n_variants' has the wrong type"),
        ({"kind": "somatic"}, "unknown key"),
    ],
)
def test_read_manifest__strict_about_variants(
    genotypes: Path, change: dict[str, object], message: str
) -> None:
    digest = read_head(genotypes).freeze
    path = genotypes / "freezes" / digest / "manifest.json"
    values = json.loads(path.read_text())
    values["shards"][0].update(change)
    path.write_text(json.dumps(values))
    with pytest.raises(Invalid, match=message):
        read_manifest(genotypes, digest)


def test_read_manifest__before_there_were_genotypes(store: Path) -> None:
    digest = read_head(store).freeze
    path = store / "freezes" / digest / "manifest.json"
    values = json.loads(path.read_text())
    assert values.pop("reference_checked") is False
    assert {"contig", "n_variants"}.isdisjoint(values["shards"][0])
    path.write_text(json.dumps(values))
    manifest = read_manifest(store, digest)
    assert manifest.reference_checked is False
    assert manifest.variants == ()
    assert not verify(store)


def test_manifest__variants_lie_along_the_genome(tmp_path: Path) -> None:
    rows = [(contig, 9, ".", "A", "C", "0/1") for contig in ("1", "2", "10", "X", "Y", "MT")]
    store = tmp_path / "s"
    ingest_vcf(vcf(tmp_path / "a.vcf", rows, ["P"]), store=store, assembly="GRCh37")
    manifest = read_manifest(store, read_head(store).freeze)
    assert [s.contig for s in manifest.variants] == ["1", "2", "10", "X", "Y", "MT"]


def test_writing__sweeps_scratch(genotypes: Path) -> None:
    """What a killed ingest left beside the freeze in the making goes too."""
    left = genotypes / "freezes" / ".building-dead.scratch" / "segments" / "000001"
    left.mkdir(parents=True)
    (left / "0").touch()
    with pytest.raises(Invalid, match="is the current one"):
        drop_freeze(genotypes, read_head(genotypes).freeze)
    assert [p.name for p in (genotypes / "freezes").iterdir()] == [read_head(genotypes).freeze]


def test_scratch__is_gone_afterwards(genotypes: Path) -> None:
    with writing(genotypes) as building, building.scratch() as scratch:
        assert scratch.is_dir()
        assert scratch != building.path
    assert not scratch.exists()
