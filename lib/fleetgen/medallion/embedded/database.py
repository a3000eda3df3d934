"""Owns the DuckDB that an engine works with: in memory, suited to what a pass asks for, and begun anew after many passes.

A pass works in tables that are there from the beginning, and is rolled back in the end: so nothing of it is left, and the
plans of its statements stay good for the next one. To make them takes longer than to judge a few lines.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.budget import MEGABYTE, Budget
from fleetgen.medallion.forms import COUNT, TEXT, TIME, arrow_schema
from fleetgen.medallion.gold import gold_of
from fleetgen.medallion.lines import LINES
from fleetgen.medallion.quoting import quoted
from fleetgen.medallion.rules import judged_columns

if TYPE_CHECKING:
    import pyarrow as pa

_PASSES = 200
"""After so many passes DuckDB begins anew: it keeps some 20 KB of each for as long as it lives."""

BATCHES = {
    "stream": TEXT,
    "batch_number": COUNT,
    "batch_id": TEXT,
    "interval_start": TIME,
    "interval_end": TIME,
    "lines": COUNT,
}
"""The columns of `batches`, with their types."""

KNOWN_COMPANIES = {"company_id": TEXT}
"""The columns of `known_companies`, with their types."""

Rows = Mapping[str, Sequence[Any]]
"""Rows by columns, each with its name."""

_LISTED_ROWS = 200
"""So many rows are written without Arrow, which takes 30 MB as soon as it is loaded; of more it is quicker."""


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
            plan = f"plan_{len(self._plans)}"
            self.connection.execute(f"PREPARE {plan} AS {sql}")
            self._plans[self._stream, sql] = plan
        told = ", ".join(f"{name} := {_literal(value)}" for name, value in (values or {}).items())
        return self.connection.execute(f"EXECUTE {plan}({told})" if told else f"EXECUTE {plan}")

    @contextmanager
    def shown(self, name: str, columns: Mapping[str, str], parts: Iterable[Rows]) -> Iterator[None]:
        """Let SQL see rows, which come in parts, in one of the tables for a while; many stand before it, uncopied."""
        if self.suits_few:
            for part in list(parts):  # whoever yields them may be reading what a statement finds
                self.insert(name, part)
            yield
            return
        with registered(self.connection, name, _arrow(columns, parts)):
            yield

    def take(self, name: str, sql: str) -> None:
        """Let the rows of a query stand in one of the tables until the pass ends; beside many lines they are not copied."""
        begin = f"INSERT INTO {name}" if self.suits_few else f"CREATE OR REPLACE TEMP VIEW {name} AS"
        self.connection.execute(f"{begin} {sql}")

    def insert(self, name: str, rows: Rows) -> None:
        """Write rows, with all columns in their order, into a table, until the pass ends."""
        values = list(rows.values())
        if len(values[0]) > _LISTED_ROWS:
            import pyarrow as pa

            self.connection.from_arrow(pa.table(dict(rows))).insert_into(name)
        elif values[0]:
            lists = ", ".join(f"unnest(${place})" for place in range(1, len(values) + 1))
            self.connection.execute(f"INSERT INTO {name} SELECT {lists}", values)

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
    (own,) = (gold.form.columns for gold in gold_of(stream) if gold.kept)
    connection.execute(f"""
        CREATE TABLE lines ({_columns(LINES)});
        CREATE TABLE batches ({_columns(BATCHES)});
        CREATE TABLE repeated_lines (batch_number BIGINT, line BIGINT);
        CREATE TABLE judged ({_columns(judged_columns(stream))});
        CREATE TABLE known_companies ({_columns(KNOWN_COMPANIES)});
        CREATE TABLE own ({_columns(own)})""")


def _columns(types: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in types.items())


def _literal(value: int | str) -> str:
    return quoted(value) if isinstance(value, str) else f"({value})::BIGINT"  # of another type it would be planned anew


def _arrow(columns: Mapping[str, str], parts: Iterable[Rows]) -> "pa.Table":
    import pyarrow as pa

    schema = arrow_schema(columns)
    return pa.concat_tables([schema.empty_table(), *(pa.table(dict(part), schema) for part in parts)])


@contextmanager
def registered(connection: duckdb.DuckDBPyConnection, name: str, rows: "pa.Table") -> Iterator[None]:
    """Let SQL see rows under a name for a while; what fails meanwhile is what is told, not what it leaves undone."""
    connection.register(name, rows)
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # a transaction that is aborted takes no statement
            connection.unregister(name)
        raise
    connection.unregister(name)
