"""What is kept for the regulator: under which agreement each answer left, in a chain.

Each line holds a row of the ledger, a keyed commitment to it, and a digest that runs over all
commitments so far. Whoever keeps a copy elsewhere can tell later whether rows were changed or taken
away, without the ledger's key nothing of what they said: names may be erased from a copy, and its
chain still holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eucan_dask.errors import Invalid
from eucan_dask.ledger import Ledger
from eucan_dask.mailbox import put

__all__ = ["check_copy", "lines", "write_copy"]


def lines(ledger: Ledger) -> Iterator[dict[str, Any]]:
    """Each answer told to the steward, the oldest first, with `commitment` and `chain`."""
    chain = hashlib.sha256(b"eucan-dask record 1")
    with ledger.vault.open() as box:
        for raw in box.items("releases", b""):
            commitment = box.tag("commitment", raw)
            chain.update(commitment)
            row = json.loads(raw)
            row.pop("members")
            yield row | {"commitment": commitment.hex(), "chain": chain.hexdigest()}


def write_copy(ledger: Ledger, file: Path) -> int:
    """Write every line as JSON; how many.

    Raises
    ------
    Invalid
        If the file exists.
    """
    if file.exists():
        raise Invalid("exists already", where=file, remedy="choose another name")
    written = [json.dumps(line, ensure_ascii=False) for line in lines(ledger)]
    put(file, "".join(f"{line}\n" for line in written).encode(), writer="record")
    return len(written)


def check_copy(ledger: Ledger, file: Path) -> int:
    """Whether the ledger still holds what a copy says, in its order; how many lines it holds.

    Raises
    ------
    Invalid
        Naming the first line that is not the ledger's.
    """
    try:
        kept = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        said = [(line["commitment"], line["chain"]) for line in kept]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Invalid("is no record", where=file, remedy="write one with --record") from error
    held = [(line["commitment"], line["chain"]) for line in lines(ledger)]
    for number, pair in enumerate(said):
        if number >= len(held) or held[number] != pair:
            raise Invalid(
                "the ledger does not hold this line any more",
                where=f"{file}, line {number + 1}",
                remedy="find out who changed node/ or put an older copy in its place",
            )
    return len(said)
