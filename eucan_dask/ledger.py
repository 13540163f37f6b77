"""What a store's people were already counted in: the memory that stops subtraction."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucan_dask.errors import Invalid, Refused, Unavailable

__all__ = ["Ledger"]

FORMAT = 1
EVERY_FAMILY = "*"
SCHEMA = """
create table if not exists meta (format integer not null);
create table if not exists people (row integer primary key, key blob not null unique);
create table if not exists memberships (
    id integer primary key, family text not null, digest text not null, n integer not null,
    members blob not null, run text not null, analysis text not null, freeze text not null,
    at text not null default current_timestamp, unique (family, digest));
create table if not exists rounds (
    question text not null, round integer not null, digest text not null,
    primary key (question, round));
"""

Bits = NDArray[np.uint8]


class Ledger:
    """The released memberships of one store, over all analysts and runs.

    People are kept as rows keyed by an HMAC of their id under a key that stays at the site.

    Parameters
    ----------
    path
        A SQLite file; made if absent.
    key
        Secret of the site.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path, self._key = path, key
        with self._open() as db:
            db.executescript(SCHEMA)
            found = db.execute("select format from meta").fetchone()
            if found is None:
                db.execute("insert into meta values (?)", (FORMAT,))
            elif found[0] != FORMAT:
                raise Invalid(
                    "ledger has another format",
                    where=path.name,
                    expected=FORMAT,
                    found=found[0],
                    remedy="upgrade eucan-dask",
                )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            db = sqlite3.connect(self._path, timeout=60, isolation_level=None)
        except sqlite3.Error as error:
            raise Unavailable(f"the ledger {self._path.name} cannot be opened") from error
        try:
            db.execute("pragma synchronous = full")
            yield db
        except sqlite3.Error as error:
            raise Unavailable(f"the ledger {self._path.name} cannot be used: {error}") from error
        finally:
            db.close()

    def check_and_record(
        self,
        individuals: Sequence[str],
        *,
        criteria: NDArray[np.bool_],
        used: NDArray[np.bool_],
        family: str,
        least: int,
        smallest: int,
        run: str,
        analysis: str,
        freeze: str,
    ) -> None:
        """Record the memberships of an answer, unless one lies too close to an earlier one.

        Parameters
        ----------
        criteria, used
            Members by the criteria and people actually used, (individuals, cohorts). The first
            are compared over all families, the second within `family`.
        least
            Two memberships are equal or differ by at least so many people; 0 compares nothing.
        smallest
            Cohorts with fewer people are not answered, so neither compared nor recorded.

        Raises
        ------
        Refused
            If a membership differs from a recorded one by 1 .. least - 1 people; nothing is
            recorded then.
        """
        with self._open() as db:
            db.execute("begin immediate")
            rows = self._rows(db, individuals)
            n_rows = db.execute("select count(*) from people").fetchone()[0]
            digest = hashlib.sha256(family.encode()).hexdigest()
            for name, members in ((EVERY_FAMILY, criteria), (digest, used)):
                for column in members.T:
                    n = int(column.sum())
                    if n < max(smallest, 1):
                        continue
                    bits = np.zeros(n_rows, dtype=bool)
                    bits[rows[column]] = True
                    packed = np.packbits(bits)
                    if self._too_close(db, name, packed, least):
                        db.execute("rollback")
                        raise Refused(
                            "min_cohort_difference",
                            "use a cohort that was asked before, or one that differs more",
                        )
                    db.execute(
                        "insert or ignore into memberships "
                        "(family, digest, n, members, run, analysis, freeze) "
                        "values (?, ?, ?, ?, ?, ?, ?)",
                        (name, _digest(packed), n, packed.tobytes(), run, analysis, freeze),
                    )
            db.execute("commit")

    def _rows(self, db: sqlite3.Connection, individuals: Sequence[str]) -> NDArray[np.int64]:
        keys = [hmac.digest(self._key, name.encode(), "sha256")[:16] for name in individuals]
        db.executemany("insert or ignore into people (key) values (?)", ((k,) for k in keys))
        known = dict(db.execute("select key, row from people"))
        return np.array([known[key] - 1 for key in keys], dtype=np.int64)

    def _too_close(self, db: sqlite3.Connection, family: str, bits: Bits, least: int) -> bool:
        if least <= 1:
            return False
        digest = _digest(bits)
        for other_digest, blob in db.execute(
            "select digest, members from memberships where family = ?", (family,)
        ):
            if other_digest == digest:
                return False
            other = np.frombuffer(blob, np.uint8)
            size = max(other.size, bits.size)
            apart = np.bitwise_count(_padded(bits, size) ^ _padded(other, size)).sum()
            if apart < least:
                return True
        return False

    def check_rounds(self, question: str, digests: Sequence[str]) -> None:
        """Refuse a history that contradicts the rounds answered before; remember it otherwise."""
        with self._open() as db:
            db.execute("begin immediate")
            known = dict(
                db.execute("select round, digest from rounds where question = ?", (question,))
            )
            for round_, digest in enumerate(digests):
                if known.setdefault(round_, digest) != digest:
                    db.execute("rollback")
                    raise Refused("history", "start the fit again")
                db.execute(
                    "insert or ignore into rounds values (?, ?, ?)", (question, round_, digest)
                )
            db.execute("commit")

    def summary(self) -> list[dict[str, object]]:
        """What was released, for the steward: when, which run and analysis, how many people."""
        with self._open() as db:
            found = db.execute(
                "select at, run, analysis, freeze, n from memberships where family != ? "
                "order by id",
                (EVERY_FAMILY,),
            ).fetchall()
        names = ("at", "run", "analysis", "freeze", "n_individuals")
        return [dict(zip(names, row, strict=True)) for row in found]


def _padded(bits: Bits, size: int) -> Bits:
    return np.pad(bits, (0, size - bits.size))


def _digest(bits: Bits) -> str:
    return hashlib.sha256(np.trim_zeros(bits, "b").tobytes()).hexdigest()
