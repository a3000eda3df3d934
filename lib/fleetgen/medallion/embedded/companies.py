"""Owns which companies silver knows, and of which unknown ones events were written, so that a batch asks for its own alone.

All of it follows from two tables. It lies in a file of its own (SQLite), where asking for a company costs the same among
ten million as among ten. A file that is missing, damaged, ahead of the tables or made from other ones is made anew.
"""

import errno
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import duckdb

from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError
from fleetgen.medallion.embedded.database import KNOWN_COMPANIES, Database
from fleetgen.medallion.embedded.tables import Table

_ASKED_AT_ONCE = 500
_READ_AT_ONCE = 50_000
_SORTED_AT_ONCE = 500_000

_SCHEMA = (
    "CREATE TABLE companies (id BLOB PRIMARY KEY, is_known INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
)
_WELCOME = "INSERT INTO companies VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET is_known = 1 WHERE is_known = 0"
_NOTE = "INSERT INTO companies VALUES (?, 0) ON CONFLICT (id) DO NOTHING"
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


class DamagedIndex(FleetgenError):
    """The index of the companies cannot be read; it is removed, and made anew from the tables."""


class Companies:
    """Which companies the tables of one dataset know. One process writes the tables, and this with them."""

    def __init__(
        self,
        path: Path,
        silver: Table,
        unknown: Table,
        connection: duckdb.DuckDBPyConnection,
        beat: Callable[[], None],
    ) -> None:
        self._path, self._silver, self._unknown, self._beat = path, silver, unknown, beat
        path.parent.mkdir(parents=True, exist_ok=True)
        self._index = _connected(path)
        self._made_from = f"{silver.delta.metadata().id} {unknown.delta.metadata().id}"
        try:
            self._open(connection)
        except DamagedIndex:
            self._open(connection)

    def close(self) -> None:
        """Let go of the file."""
        self._index.close()

    @contextmanager
    def known(self, database: Database, events: str = "FROM judged WHERE rule IS NULL") -> Iterator[None]:
        """Leave those companies of some events that silver knows in a relation `known_companies` for a while.

        In the end the others are noted as ones of which events are written.
        """
        strange: list[bytes] = []

        def known() -> Iterator[dict[str, list[str]]]:
            for names in _some(database.run(f"SELECT DISTINCT company_id FROM ({events}) ORDER BY 1")):
                states = self._states(names)
                strange.extend(key for name in names if (key := _key(name)) not in states)
                yield {"company_id": [name for name in names if states.get(_key(name))]}

        with database.shown("known_companies", KNOWN_COMPANIES, known()):
            yield
        if strange:
            with self._writing():
                self._index.executemany(_NOTE, ((key,) for key in strange))
                self._has(Stream.EVENTS, self._unknown.last_batch(Stream.EVENTS))

    def welcome(self, database: Database) -> None:
        """Let the judged companies be known, and delete what was written while they were not."""
        found = database.run("SELECT company_id FROM judged WHERE rule IS NULL ORDER BY 1")
        with self._writing():
            for names in _some(found):
                self._welcome(names)
            self._has(Stream.COMPANIES, self._silver.last_batch(Stream.COMPANIES))

    def _welcome(self, names: Sequence[str]) -> None:
        states = self._states(names)
        noted = [name for name in names if states.get(_key(name)) is False]
        if noted:
            listed = ", ".join(f"'{name}'" for name in noted)
            self._unknown.delete(f"company_id IN ({listed})")
        self._index.executemany(_WELCOME, ((_key(name),) for name in names))

    def _states(self, names: Sequence[str]) -> dict[bytes, bool]:
        """Return of the companies that are here, by their keys, whether they are known; otherwise they are noted."""
        states: dict[bytes, bool] = {}
        with self._told():
            for first in range(0, len(names), _ASKED_AT_ONCE):
                some = [_key(name) for name in names[first : first + _ASKED_AT_ONCE]]
                marks = ", ".join("?" * len(some))
                rows = self._index.execute(f"SELECT id, is_known FROM companies WHERE id IN ({marks})", some)
                states.update((key, bool(is_known)) for key, is_known in rows)
        return states

    def _open(self, connection: duckdb.DuckDBPyConnection) -> None:
        with self._told():
            if not self._is_ours():
                self._anew()
                self._make()
            self._index.execute("PRAGMA synchronous = NORMAL")
        self.follow(connection)

    def _make(self) -> None:
        """Make an empty index, whole or not at all."""
        facts = [("made_from", self._made_from), *((stream.value, -1) for stream in Stream)]
        self._index.execute("PRAGMA journal_mode = WAL")
        with self._writing():
            for statement in _SCHEMA:
                self._index.execute(statement)
            self._index.executemany("INSERT INTO facts VALUES (?, ?)", facts)

    def _is_ours(self) -> bool:
        """Whether the file was made from these tables, and knows of no batch that is not in them."""
        if {name for (name,) in self._index.execute("SELECT name FROM sqlite_master")} != {"companies", "facts"}:
            return False
        facts = dict(self._index.execute("SELECT name, value FROM facts"))
        return facts.get("made_from") == self._made_from and all(
            facts[stream.value] <= table.last_batch(stream) for stream, table in self._sources()
        )

    def _sources(self) -> tuple[tuple[Stream, Table], ...]:
        return (Stream.EVENTS, self._unknown), (Stream.COMPANIES, self._silver)

    def follow(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Take from the tables what came into them without this; what is unknown first, for it may have become known.

        What was written of companies while they were not known is deleted.
        """
        for stream, table in self._sources():
            with self._told():
                (after,) = self._index.execute("SELECT value FROM facts WHERE name = ?", (stream.value,)).fetchone()
            last = table.last_batch(stream)
            if after == last:
                continue
            new = f"FROM ({table.rows()}) WHERE batch_number > {after}"
            ((count,),) = connection.execute(f"SELECT count(*) {new}").fetchall()
            for lowest, highest in _ranges(1 + count // _SORTED_AT_ONCE):
                found = connection.execute(
                    f"SELECT DISTINCT company_id {new} AND company_id BETWEEN '{lowest}' AND '{highest}' ORDER BY 1"
                )
                self._take(stream, found)
            with self._writing():
                self._has(stream, last)

    def _take(self, stream: Stream, found: duckdb.DuckDBPyConnection) -> None:
        with self._writing():
            for names in _some(found):
                self._beat()
                if stream is Stream.COMPANIES:
                    self._welcome(names)
                else:
                    self._index.executemany(_NOTE, ((_key(name),) for name in names))

    def _has(self, stream: Stream, last: int) -> None:
        """Write that what the tables know of the stream's batches up to this one is here."""
        self._index.execute("UPDATE facts SET value = ? WHERE name = ?", (last, stream.value))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write everything of the block or nothing."""
        with self._told():
            self._index.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            self._index.execute("COMMIT")

    def _roll_back(self) -> None:
        if self._index.in_transaction:
            self._index.execute("ROLLBACK")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn a fault of the file into one of the disk, or remove the file, so that it is made anew."""
        try:
            yield
        except sqlite3.Error as fault:
            if _code(fault) in _NO_ROOM:
                raise _of_the_disk(self._path, fault) from fault
            self._anew()
            raise DamagedIndex(f"{self._path} was damaged ({fault}); it was removed, and is made anew.") from fault

    def _anew(self) -> None:
        self._index.close()
        for path in (self._path, *(self._path.with_name(self._path.name + end) for end in ("-wal", "-shm"))):
            path.unlink(missing_ok=True)
        self._index = _connected(self._path)


def _connected(path: Path) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, isolation_level=None)
    except sqlite3.Error as fault:
        raise _of_the_disk(path, fault) from fault


def _of_the_disk(path: Path, fault: sqlite3.Error) -> OSError:
    number = errno.ENOSPC if _code(fault) == sqlite3.SQLITE_FULL else errno.EIO
    return OSError(number, f"{path} cannot be read or written ({fault})")


def _code(fault: sqlite3.Error) -> int:
    """Return SQLite's code of a fault without its finer distinctions; Python's own faults have none."""
    return getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _some(found: duckdb.DuckDBPyConnection) -> Iterator[list[str]]:
    """Yield the names that a statement finds, some at a time."""
    while rows := found.fetchmany(_READ_AT_ONCE):
        yield [name for (name,) in rows]


def _key(name: str) -> bytes:
    """Return a company's id in 16 bytes; an accepted one is a UUID."""
    return bytes.fromhex(name.replace("-", ""))


def _ranges(count: int) -> Iterator[tuple[str, str]]:
    """Yield the bounds of so many equal parts of all ids, in their order."""
    bounds = [(place << 16) // count for place in range(count + 1)]
    for first, end in pairwise(bounds):
        yield f"{first:04x}", f"{end - 1:04x}g"
