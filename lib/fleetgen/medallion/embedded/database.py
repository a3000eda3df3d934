"""Owns the DuckDB that an engine works with: in memory, suited to what a pass asks for, and begun anew after many passes.

A pass works in tables that are there from the beginning, and is rolled back in the end: so nothing of it is left, and the
plans of its statements stay good for the next one. To make them takes longer than to judge a few lines.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.budget import MEGABYTE, Budget
from fleetgen.medallion.gold import gold_of
from fleetgen.medallion.lines import LINES
from fleetgen.medallion.quoting import quoted
from fleetgen.medallion.rules import judged_columns

_PASSES = 200
"""After so many passes DuckDB begins anew: it keeps some 20 KB of each for as long as it lives."""

BATCHES = pa.schema(
    [
        ("stream", pa.string()),
        ("batch_number", pa.int64()),
        ("batch_id", pa.string()),
        ("interval_start", pa.timestamp("us", "UTC")),
        ("interval_end", pa.timestamp("us", "UTC")),
        ("lines", pa.int64()),
    ]
)


class Database:
    """A database that lives for some passes; what is in it then belongs to nobody."""

    def __init__(self, budget: Budget, spill: Path) -> None:
        self._budget, self._spill = budget, spill
        self.suits_few: bool
        self.connection: duckdb.DuckDBPyConnection
        self._begin()

    @contextmanager
    def working(self, stream: Stream, few: bool, in_pieces: bool = False) -> Iterator[None]:
        """Work on a pass, of few lines or many, in the tables that SQL of a stream's passes reads; all are empty at first.

        They are ``lines``, ``repeated_lines``, ``judged``, ``batches``, ``known_companies``, and ``own`` for the rows of
        the stream's kept table. What is in them in the end is forgotten. A batch in pieces is no transaction: that would
        keep each piece to the end.
        """
        self._suit(few)
        self._stream = stream
        self.connection.execute(f"SET schema = '{stream}'; {'' if in_pieces else 'BEGIN'}")
        try:
            yield
        finally:
            self._passes += 1
            if in_pieces:
                self.renew()
            else:
                self.connection.execute("ROLLBACK")

    def run(self, sql: str, values: Mapping[str, int | str] | None = None) -> duckdb.DuckDBPyConnection:
        """Run a statement of a pass; one of few lines is planned once, for all that follow."""
        if not self.suits_few:
            return self.connection.execute(sql, dict(values or {}))
        plan = self._plans.get((self._stream, sql))
        if plan is None:
            plan = self._plans[self._stream, sql] = f"plan_{len(self._plans)}"
            self.connection.execute(f"PREPARE {plan} AS {sql}")
        told = ", ".join(f"{name} := {_literal(value)}" for name, value in (values or {}).items())
        return self.connection.execute(f"EXECUTE {plan}({told})" if told else f"EXECUTE {plan}")

    @contextmanager
    def shown(self, name: str, rows: pa.Table) -> Iterator[None]:
        """Let SQL see rows in one of the tables for a while; many are not copied into it, but stand before it."""
        if self.suits_few:
            self.insert(name, rows)
            yield
            return
        with registered(self.connection, name, rows):
            yield

    def take(self, name: str, sql: str) -> None:
        """Let the rows of a query stand in one of the tables until the pass ends; beside many lines they are not copied."""
        begin = f"INSERT INTO {name}" if self.suits_few else f"CREATE OR REPLACE TEMP VIEW {name} AS"
        self.connection.execute(f"{begin} {sql}")

    def insert(self, name: str, rows: pa.Table) -> None:
        """Write rows into a table, until the pass ends."""
        self.connection.from_arrow(rows).insert_into(name)

    def rest(self) -> None:
        """Give back, between two passes, what DuckDB keeps of those before; it begins anew if there were many."""
        if self._passes >= _PASSES:
            self.renew()
        # A limit that is set lets DuckDB return what it has freed: a tenth of this process.
        self.connection.execute(f"SET memory_limit = '{self._budget.memory // MEGABYTE}MB'")

    def renew(self) -> None:
        """Begin anew with nothing in memory or on the disk: DuckDB keeps what a large batch took for as long as it lives."""
        self.close()
        self._begin()

    def close(self) -> None:
        """Let go of threads, memory and files."""
        self.connection.close()

    def _begin(self) -> None:
        shutil.rmtree(self._spill, ignore_errors=True)
        self._passes, self.suits_few = 0, False
        self._stream = Stream.COMPANIES
        self._plans: dict[tuple[Stream, str], str] = {}
        self.connection = _opened(self._budget, self._spill)
        for stream in Stream:
            _make_tables(self.connection, stream)

    def _suit(self, few: bool) -> None:
        """Let DuckDB work as few lines ask for, or many."""
        if few != self.suits_few:
            threads, plans = (1, "disable") if few else (self._budget.threads, "enable")
            self.connection.execute(f"SET threads = {threads}; PRAGMA {plans}_optimizer")
            self.suits_few = few


def _opened(budget: Budget, spill: Path) -> duckdb.DuckDBPyConnection:
    """Open a database in memory; what exceeds the budget goes into a folder for as long as it is needed."""
    connection = duckdb.connect(config=budget.settings(spill) | {"preserve_insertion_order": False})
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    return connection


def _make_tables(connection: duckdb.DuckDBPyConnection, stream: Stream) -> None:
    connection.execute(f"CREATE SCHEMA {stream}; SET schema = '{stream}'")
    connection.from_arrow(LINES.empty_table()).create("lines")
    connection.from_arrow(BATCHES.empty_table()).create("batches")
    (own,) = (gold.form.columns for gold in gold_of(stream) if gold.kept)
    connection.execute(f"""
        CREATE TABLE repeated_lines (batch_number BIGINT, line BIGINT);
        CREATE TABLE judged ({_columns(judged_columns(stream))});
        CREATE TABLE known_companies (company_id VARCHAR);
        CREATE TABLE own ({_columns(own)})""")


def _columns(types: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in types.items())


def _literal(value: int | str) -> str:
    return quoted(value) if isinstance(value, str) else f"({value})::BIGINT"  # of another type it would be planned anew


@contextmanager
def registered(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> Iterator[None]:
    """Let SQL see rows under a name for a while."""
    connection.register(name, rows)
    try:
        yield
    finally:
        connection.unregister(name)
