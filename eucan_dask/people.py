"""People as rows of the ledger: found by a keyed tag of their id, numbered as they come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eucan_dask.vault import Box

__all__ = ["People"]

Rows = NDArray[np.int64]


class People:
    """The rows of a store's people, kept while the same people are asked about."""

    def __init__(self) -> None:
        self._of: Sequence[str] = ()
        self._rows: Rows = np.zeros(0, dtype=np.int64)

    def rows(self, box: Box, individuals: Sequence[str]) -> Rows:
        """Each person's row (individuals,), counted from 0; newcomers get the next."""
        if self._of is not individuals and self._of != individuals:
            tags = box.tags("person", individuals)
            known = _read(box)
            new = [tag for tag in tags if tag not in known]
            if new:
                _insert(box, new)
                known = _read(box)
            self._rows = np.array([known[tag] for tag in tags], dtype=np.int64)
        self._of = individuals
        return self._rows

    @staticmethod
    def count(box: Box) -> int:
        """People there ever were."""
        return int(box.db.execute("select count(*) from people").fetchone()[0])

    @staticmethod
    def find(box: Box, individual: str) -> int | None:
        """The row of a person, if the ledger has one."""
        tag = box.tag("person", individual)
        found = box.db.execute("select row from people where tag = ?", (tag,)).fetchone()
        return None if found is None else int(found[0]) - 1


def _read(box: Box) -> dict[bytes, int]:
    return {tag: row - 1 for tag, row in box.db.execute("select tag, row from people")}


def _insert(box: Box, tags: list[bytes]) -> None:
    """All at once: one by one each would wait for the disk."""
    own = not box.db.in_transaction
    if own:
        box.db.execute("begin immediate")
    box.db.executemany("insert or ignore into people (tag) values (?)", ((t,) for t in tags))
    if own:
        box.db.execute("commit")
