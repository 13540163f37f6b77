"""The YAML that lies beside a GWAS-SSF file: its keys, checked, and its text."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from eucan_dask.config import Key, check

__all__ = ["ASSEMBLIES", "check_meta", "meta_text"]

ASSEMBLIES = {"CHM13": "T2T-CHM13v2.0"}  # as NCBI names them; the others are the same there
_TEXT = Key(str | None, default=None)
_TEXTS = Key(list | None, default=None)
_COUNT = Key(int | None, default=None)
_NOT_REPORTED = "NR"

_STUDY: dict[str, Key] = {
    "gwas_id": _TEXT,
    "author_notes": _TEXT,
    "trait_description": Key(list),
    "ontology_mapping": _TEXTS,
    "genome_assembly": Key(str),
    "genotyping_technology": Key(list, default=[_NOT_REPORTED]),
    "imputation_panel": _TEXT,
    "imputation_software": _TEXT,
}
_SAMPLES: dict[str, Key] = {
    "sample_ancestry_category": Key(list, default=[_NOT_REPORTED]),
    "sample_ancestry": _TEXTS,
    "sample_size": _COUNT,
    "ancestry_method": _TEXTS,
    "case_control_study": Key(bool, default=False),
    "case_count": _COUNT,
    "control_count": _COUNT,
}
_STATISTICS: dict[str, Key] = {
    "sex": Key(str | None, default=None, choices=("M", "F", "combined", "NR", None)),
    "analysis_software": _TEXT,
    "adjusted_covariates": _TEXTS,
    "minor_allele_freq_lower_limit": Key(int | float | None, default=None),
}


def check_meta(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata with defaults filled in; what nobody stated is not reported ("NR").

    Raises
    ------
    Invalid
        If a key is missing, unknown or of the wrong type.
    """
    return check(dict(meta), {**_STUDY, **_SAMPLES, **_STATISTICS}, where="meta")


def meta_text(meta: Mapping[str, Any]) -> str:
    """The YAML of metadata that `check_meta` gave and the file's own facts were added to."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    samples = {name: meta[name] for name in _SAMPLES}
    lines = ["# Study", f"date_metadata_last_modified: {today}", *_lines(_part(meta, _STUDY))]
    lines += ["coordinate_system: 1-based", "", "# Sample", "samples:"]
    nested = _lines(samples)
    lines += [f"  {'- ' if i == 0 else '  '}{line}" for i, line in enumerate(nested)]
    lines += ["", "# Summary statistics"]
    lines += _lines({"data_file_name": meta["data_file_name"], "file_type": "GWAS-SSF v1.0"})
    lines += _lines({"data_file_md5sum": meta["data_file_md5sum"]})
    lines += _lines(_part(meta, _STATISTICS))
    lines += ["", "# Harmonisation", *_lines({"is_harmonised": False})]
    return "\n".join([*lines, *_lines({"is_sorted": meta["is_sorted"]}), ""])


def _part(meta: Mapping[str, Any], keys: Mapping[str, Key]) -> dict[str, Any]:
    return {name: meta[name] for name in keys}


def _lines(values: Mapping[str, Any]) -> list[str]:
    """One line a value, and one for each of a list; what is None is left out."""
    lines = []
    for name, value in values.items():
        if isinstance(value, list | tuple):
            lines += [f"{name}:", *(f"  - {_scalar(item)}" for item in value)]
        elif value is not None:
            lines.append(f"{name}: {_scalar(value)}")
    return lines


def _scalar(value: object) -> str:
    """A value in YAML; texts in double quotes, whose escapes are those of JSON."""
    if isinstance(value, float):  # never 1e-05, which YAML 1.1 takes for a text
        return np.format_float_positional(value, trim="0")
    return json.dumps(value, ensure_ascii=False)
