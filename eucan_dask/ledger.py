"""What a store's people were already counted in: the memory that stops subtraction."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucan_dask.errors import Invalid, Refused, Unavailable

__all__ = ["Ledger"]

FORMAT = 1
EVERY_SUMMAND = "*"
SCHEMA = """
create table if not exists meta (format integer not null);
create table if not exists people (row integer primary key, key blob not null unique);
create table if not exists memberships (
    id integer primary key, summand text not null, digest text not null, shape text not null,
    n integer not null, members blob not null, run text not null, analysis text not null,
    freeze text not null, at text not null default current_timestamp,
    unique (summand, digest, freeze));
create table if not exists releases (
    id integer primary key, at text not null default current_timestamp, run text not null,
    analysis text not null, freeze text not null, digest text not null, n integer not null,
    unique (run, analysis, digest));
create table if not exists rounds (
    question text not null, round integer not null, digest text not null,
    primary key (question, round));
create table if not exists answered (
    question text not null, round integer not null, primary key (question, round));
create table if not exists means (key blob primary key, mean real not null) without rowid;
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
        summands: Mapping[str, str],
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
            are compared over everything, the second within each summand.
        summands
            What is added up, and in which shape. People whose summand was released in one shape
            are not shown in another: two grids or two sets of bins differ by few people.
        least
            Two memberships are equal or differ by at least so many people; 0 compares nothing.
        smallest
            Cohorts with fewer people are not answered, so neither compared nor recorded.

        Raises
        ------
        Refused
            If a membership differs from a recorded one by 1 .. least - 1 people, or was released
            in another shape; nothing is recorded then.
        """
        entry = _Entry(run, analysis, freeze)
        sets = [(EVERY_SUMMAND, "", criteria)]
        sets += [(name, _text_digest(shape), used) for name, shape in summands.items()]
        with self._open() as db:
            db.execute("begin immediate")
            try:
                rows = self._rows(db, individuals)
                n_rows = db.execute("select count(*) from people").fetchone()[0]
                for name, shape, members in sets:
                    for column in members.T:
                        if int(column.sum()) >= max(smallest, 1):
                            bits = np.zeros(n_rows, dtype=bool)
                            bits[rows[column]] = True
                            _keep(db, name, shape, np.packbits(bits), entry, least)
                            if members is used:
                                _tell(db, np.packbits(bits), entry)
            except Refused:
                db.execute("rollback")
                raise
            db.execute("commit")

    def _rows(self, db: sqlite3.Connection, individuals: Sequence[str]) -> NDArray[np.int64]:
        keys = [hmac.digest(self._key, name.encode(), "sha256")[:16] for name in individuals]
        db.executemany("insert or ignore into people (key) values (?)", ((k,) for k in keys))
        known = dict(db.execute("select key, row from people"))
        return np.array([known[key] - 1 for key in keys], dtype=np.int64)

    def check_rounds(self, question: str, digests: Sequence[str]) -> None:
        """Refuse a history that contradicts the rounds answered before; remember it otherwise.

        Raises
        ------
        Refused
            If a round of the history is not the one seen before, or was never answered here.
        """
        with self._open() as db:
            db.execute("begin immediate")
            answered = (question, len(digests) - 1)
            select = "select 1 from answered where question = ? and round = ?"
            if digests and db.execute(select, answered).fetchone() is None:
                db.execute("rollback")
                raise Refused("history", "start the fit again")
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

    def answered(self, question: str, round_: int) -> None:
        """Remember that a round was answered: only then the next may come."""
        with self._open() as db:
            db.execute("insert or ignore into answered values (?, ?)", (question, round_))

    def moved_means(
        self, individuals: Sequence[str], used: NDArray[np.bool_], means: Mapping[str, float]
    ) -> NDArray[np.bool_]:
        """Which of `means`, by variant, differ from those the same people were answered with."""
        with self._open() as db:
            keys = self._mean_keys(db, individuals, used, means)
            select = "select mean from means where key = ?"
            found = [db.execute(select, (key,)).fetchone() for key in keys]
        pairs = zip(found, means.values(), strict=True)
        return np.array([row is not None and row[0] != mean for row, mean in pairs], dtype=bool)

    def remember_means(
        self, individuals: Sequence[str], used: NDArray[np.bool_], means: Mapping[str, float]
    ) -> None:
        """Remember what missing dosages were taken for, by variant."""
        with self._open() as db:
            db.execute("begin immediate")
            keys = self._mean_keys(db, individuals, used, means)
            rows = zip(keys, means.values(), strict=True)
            db.executemany("insert or ignore into means values (?, ?)", rows)
            db.execute("commit")

    def _mean_keys(
        self,
        db: sqlite3.Connection,
        individuals: Sequence[str],
        used: NDArray[np.bool_],
        labels: Iterable[str],
    ) -> list[bytes]:
        rows = np.sort(self._rows(db, individuals)[used.any(axis=1)])
        people = hashlib.sha256(rows.tobytes()).digest()
        return [hmac.digest(self._key, people + label.encode(), "sha256")[:16] for label in labels]

    def summary(self) -> list[dict[str, object]]:
        """What was released, for the steward: when, which run and analysis, how many people."""
        with self._open() as db:
            found = db.execute("select at, run, analysis, freeze, n from releases order by id")
            names = ("at", "run", "analysis", "freeze", "n_individuals")
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@dataclass(frozen=True)
class _Entry:
    """What a recorded membership was released for."""

    run: str
    analysis: str
    freeze: str


def _keep(
    db: sqlite3.Connection, summand: str, shape: str, bits: Bits, entry: _Entry, least: int
) -> None:
    """Record a membership, or raise `Refused` where an earlier one forbids it."""
    digest = _digest(bits)
    select = "select digest, shape, members from memberships where summand = ?"
    for other, other_shape, blob in db.execute(select, (summand,)) if least > 1 else ():
        if other == digest and other_shape != shape:
            raise Refused("one_shape", "use the grid, bins or levels that were asked before")
        if other != digest and 0 < _apart(bits, np.frombuffer(blob, np.uint8)) < least:
            raise Refused(
                "min_cohort_difference",
                "use a cohort that was asked before, or one that differs more",
            )
    db.execute(
        "insert or ignore into memberships "
        "(summand, digest, shape, n, members, run, analysis, freeze) "
        "values (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            summand,
            digest,
            shape,
            int(np.bitwise_count(bits).sum()),
            bits.tobytes(),
            entry.run,
            entry.analysis,
            entry.freeze,
        ),
    )


def _tell(db: sqlite3.Connection, bits: Bits, entry: _Entry) -> None:
    """Note an answer about a cohort, for the steward."""
    db.execute(
        "insert or ignore into releases (run, analysis, freeze, digest, n) values (?, ?, ?, ?, ?)",
        (
            entry.run,
            entry.analysis,
            entry.freeze,
            _digest(bits),
            int(np.bitwise_count(bits).sum()),
        ),
    )


def _apart(left: Bits, right: Bits) -> int:
    size = max(left.size, right.size)
    return int(np.bitwise_count(_padded(left, size) ^ _padded(right, size)).sum())


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def _padded(bits: Bits, size: int) -> Bits:
    return np.pad(bits, (0, size - bits.size))


def _digest(bits: Bits) -> str:
    return hashlib.sha256(np.trim_zeros(bits, "b").tobytes()).hexdigest()
