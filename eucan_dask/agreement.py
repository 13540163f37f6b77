"""Under what somebody was admitted to ask: written by the steward, kept with each answer.

The gate does not look at it. Controller and processor, legal basis, permit and its date, ethics and
DPIA references, recipients with country and basis of transfer, who found the answers anonymous for
them and when, retention and the duty to publish.
"""

from __future__ import annotations

from datetime import date

from eucan_dask import config
from eucan_dask.errors import Invalid

__all__ = ["AGREEMENT", "read_agreement"]

DATES = ("approved", "assessed")
AGREEMENT = (
    "controller",
    "processor",
    "legal_basis",
    "permit",
    "approved",
    "ethics",
    "dpia",
    "recipients",
    "countries",
    "transfer_basis",
    "anonymity",
    "assessor",
    "assessed",
    "retention",
    "publication",
)


def read_agreement(table: object, *, where: str) -> dict[str, str]:
    """What an asker was admitted under, as text; dates are ISO 8601.

    Raises
    ------
    Invalid
        For an unknown key, a value that is no text, or a date that is none.
    """
    values = config.check(table, dict.fromkeys(AGREEMENT, config.Key(str, default="")), where=where)
    given = {name: value for name, value in values.items() if value}
    for name in DATES:
        try:
            date.fromisoformat(given.get(name, "2000-01-01"))
        except ValueError as error:
            raise Invalid(
                "is no date", where=f"{where} {name}", expected="YYYY-MM-DD", found=given[name]
            ) from error
    return given
