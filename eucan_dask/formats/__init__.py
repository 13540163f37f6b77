"""The field's own file formats: what a result table is also written as, by the format's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from eucan_dask.formats import gwas_ssf, sites_vcf

__all__ = ["FORMATS", "Writer"]

Writer = Callable[[Path, Path, str, Mapping[str, object]], list[Path]]

# (table's TSV, directory, id of the question, what is known of the run) -> files written
FORMATS: Mapping[str, Writer] = {"gwas_ssf": gwas_ssf.write_all, "sites_vcf": sites_vcf.write_one}
