"""Sex said twice: where clinical table and genotypes contradict, samples may be swapped."""

from __future__ import annotations

from collections.abc import Sequence

from eucan_dask.errors import Invalid
from eucan_dask.store.clinical import Clinical
from eucan_dask.store.records import Int8Array

__all__ = ["check_sex"]

_CODES = {"male": 1, "female": 2}


def check_sex(clinical: Clinical, sample_id: Sequence[str], sample_sex: Int8Array) -> None:
    """Compare the sex of genotyped samples with the clinical field `sex`, where both know it.

    Parameters
    ----------
    clinical
        Every sample has a row in it.
    sample_id, sample_sex
        The samples; 0 unknown, 1 male, 2 female.

    Raises
    ------
    Invalid
        If they contradict for anybody; lists up to five samples.
    """
    of_sample = dict(zip(clinical.sample_id, _codes(clinical), strict=True))
    pairs = zip(sample_id, sample_sex.tolist(), strict=True)
    swapped = sorted(name for name, sex in pairs if {sex, of_sample[name]} == {1, 2})
    if swapped:
        more = ", ..." if len(swapped) > 5 else ""
        raise Invalid(
            f"sex differs between the .fam file and the clinical table for {len(swapped)} samples",
            found=", ".join(swapped[:5]) + more,
            remedy="find out whether samples were swapped, and correct what is wrong",
        )


def _codes(clinical: Clinical) -> list[int]:
    """Each sample's sex by the clinical table; 0 where it does not say."""
    for name, index in (
        ("sample_sex", range(len(clinical.sample_id))),
        ("individual_sex", clinical.sample_individual),
    ):
        column = clinical.columns.get(name)
        if column is not None and column.attrs["kind"] == "category":
            lookup = [_CODES.get(str(word).casefold(), 0) for word in column.attrs["categories"]]
            return [([*lookup, 0])[int(column.values[i])] for i in index]
    return [0] * len(clinical.sample_id)
