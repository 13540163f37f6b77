"""The file a site remembers in: sealed row by row, whole after a crash, unreadable without the key.

Rows are found by keyed tags (HMAC-SHA256), so that nobody can try ids or cohorts against the file;
what they hold is sealed (ChaCha20-Poly1305) for its table and tag, so that no row can be changed or
put in the place of another. An old copy of the whole file cannot be told from the newest.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from eucan_dask.errors import Invalid, Unavailable

__all__ = ["Box", "Vault"]

FORMAT = 2
NONCE, TAG = 12, 16
SCHEMA = """
create table if not exists meta (format integer not null, version integer not null);
create table if not exists people (row integer primary key, tag blob not null unique);
create table if not exists notes (
    kind text not null, tag blob not null, sealed blob not null, primary key (kind, tag)
) without rowid;
create table if not exists lists (
    kind text not null, tag blob not null, number integer not null, sealed blob not null,
    primary key (kind, tag, number));
"""


class Vault:
    """A file of sealed rows.

    Parameters
    ----------
    path
        A SQLite file; made if absent.
    key
        Secret of the site, 32 bytes.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self._tag_key = hmac.digest(key, b"tags", "sha256")
        self._cipher = ChaCha20Poly1305(hmac.digest(key, b"rows", "sha256"))
        with self.open() as box:
            tables = {name for (name,) in box.db.execute("select name from sqlite_master")}
            if "meta" in tables:
                self._check(box.db)
            else:
                box.db.executescript(SCHEMA)
                box.db.execute("insert into meta values (?, 0)", (FORMAT,))

    def _check(self, db: sqlite3.Connection) -> None:
        found = db.execute("select format from meta").fetchone()
        if found != (FORMAT,):
            older = found is not None and found[0] < FORMAT
            raise Invalid(
                "ledger has another format",
                where=self.path.name,
                expected=FORMAT,
                found=found and found[0],
                remedy="keep the file, with who may see it, and ask your data protection officer "
                "whether the site may start with an empty one: it would forget what it has told"
                if older
                else "upgrade eucan-dask",
            )

    @contextmanager
    def open(self) -> Iterator[Box]:
        """The file, to read and write single rows: each on its own."""
        name = self.path.name
        try:
            db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        except sqlite3.Error as error:
            raise Unavailable(f"the ledger {name} cannot be opened") from error
        try:
            db.execute("pragma synchronous = full")
            yield Box(db, self._cipher, self._tag_key, name)
        except sqlite3.Error as error:
            raise Unavailable(f"the ledger {name} cannot be used: {error}") from error
        finally:
            db.close()

    @contextmanager
    def reading(self) -> Iterator[Box]:
        """The file as it is now, whatever others write meanwhile."""
        with self.open() as box:
            box.db.execute("begin")
            yield box

    @contextmanager
    def writing(self) -> Iterator[Box]:
        """The file, to nobody else: all is written, or on any error nothing."""
        with self.open() as box:
            box.db.execute("begin immediate")
            try:
                yield box
            except BaseException:
                box.db.execute("rollback")
                raise
            box.db.execute("commit")


class Box:
    """An open file: notes, one to a kind and tag, and lists of them."""

    def __init__(
        self, db: sqlite3.Connection, cipher: ChaCha20Poly1305, tag_key: bytes, name: str
    ) -> None:
        self.db, self._cipher, self._tag_key, self._name = db, cipher, tag_key, name

    def tag(self, *parts: str | bytes) -> bytes:
        """A keyed tag of texts."""
        framed = b"".join(_framed(p.encode() if isinstance(p, str) else p) for p in parts)
        return hmac.digest(self._tag_key, framed, "sha256")[:TAG]

    def tags(self, what: str, names: Sequence[str]) -> list[bytes]:
        """The tags of `what` and each name; the same as one by one, but for many."""
        first, key = _framed(what.encode()), self._tag_key
        framed = (first + _framed(name.encode()) for name in names)
        return [hmac.digest(key, text, "sha256")[:TAG] for text in framed]

    def get(self, kind: str, tag: bytes) -> bytes | None:
        """What is noted, if anything."""
        row = self.db.execute(
            "select sealed from notes where kind = ? and tag = ?", (kind, tag)
        ).fetchone()
        return None if row is None else self._opened(row[0], kind, tag)

    def need(self, kind: str, tag: bytes) -> bytes:
        """What must be noted.

        Raises
        ------
        Unavailable
            If it is not there.
        """
        found = self.get(kind, tag)
        if found is None:
            raise self.damaged()
        return found

    def damaged(self) -> Unavailable:
        """What is to be raised where rows do not fit each other."""
        return Unavailable(
            f"the ledger {self._name} was damaged, changed, or belongs to another key; "
            "nothing is answered until its backup is restored"
        )

    def all(self, kind: str) -> list[bytes]:
        """All notes of a kind."""
        rows = self.db.execute("select tag, sealed from notes where kind = ?", (kind,))
        return [self._opened(sealed, kind, tag) for tag, sealed in rows]

    def put(self, kind: str, tag: bytes, value: bytes = b"") -> None:
        """Note something, in the place of what was noted."""
        row = (kind, tag, self._sealed(value, kind, tag))
        self.db.execute("insert or replace into notes values (?, ?, ?)", row)

    def put_all(self, kind: str, notes: Sequence[tuple[bytes, bytes]]) -> None:
        """Note several things."""
        rows = ((kind, tag, self._sealed(value, kind, tag)) for tag, value in notes)
        self.db.executemany("insert or replace into notes values (?, ?, ?)", rows)

    def drop(self, kind: str, tag: bytes) -> None:
        """Forget a note."""
        self.db.execute("delete from notes where kind = ? and tag = ?", (kind, tag))

    def items(self, kind: str, tag: bytes, *, first: int = 0) -> list[bytes]:
        """A list from an item on."""
        rows = self.db.execute(
            "select number, sealed from lists where kind = ? and tag = ? and number >= ? "
            "order by number",
            (kind, tag, first),
        ).fetchall()
        if [n for n, _ in rows] != list(range(first, first + len(rows))):
            raise self.damaged()
        return [self._opened(sealed, kind, tag, n) for n, sealed in rows]

    def append(self, kind: str, tag: bytes, value: bytes) -> None:
        """Add an item to a list."""
        n = self.db.execute(
            "select count(*) from lists where kind = ? and tag = ?", (kind, tag)
        ).fetchone()[0]
        row = (kind, tag, n, self._sealed(value, kind, tag, n))
        self.db.execute("insert into lists values (?, ?, ?, ?)", row)

    @property
    def version(self) -> int:
        """Raised by whoever adds memberships."""
        return int(self.db.execute("select version from meta").fetchone()[0])

    def raise_version(self) -> None:
        """Tell others that memberships were added."""
        self.db.execute("update meta set version = version + 1")

    def _sealed(self, value: bytes, *place: str | bytes | int) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, value, _place(place))

    def _opened(self, sealed: bytes, *place: str | bytes | int) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], _place(place))
        except (InvalidTag, ValueError, TypeError) as error:
            raise self.damaged() from error


def _place(parts: Sequence[str | bytes | int]) -> bytes:
    return b"".join(_framed(p if isinstance(p, bytes) else str(p).encode()) for p in parts)


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part
