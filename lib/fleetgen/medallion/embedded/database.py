"""Owns the DuckDB that an engine works with: in memory, suited to what a pass asks for, and begun anew after many passes."""

import shutil
from pathlib import Path

import duckdb

from fleetgen.medallion.embedded.budget import MEGABYTE, Budget

_PASSES = 200
"""After so many passes DuckDB begins anew: it keeps some 20 KB of each for as long as it lives."""


class Database:
    """A database that lives for some passes; what is in it then belongs to nobody."""

    def __init__(self, budget: Budget, spill: Path) -> None:
        self._budget, self._spill = budget, spill
        self.suits_few: bool
        self.connection: duckdb.DuckDBPyConnection
        self._begin()

    def suit(self, few: bool) -> None:
        """Let DuckDB work as few lines ask for, or many."""
        if few != self.suits_few:
            threads, plans = (1, "disable") if few else (self._budget.threads, "enable")
            self.connection.execute(f"SET threads = {threads}; PRAGMA {plans}_optimizer")
            self.suits_few = few

    def end_pass(self) -> None:
        """Count a pass."""
        self._passes += 1

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
        self.connection = open_database(self._budget, self._spill)


def open_database(budget: Budget, spill: Path) -> duckdb.DuckDBPyConnection:
    """Open a database in memory; what exceeds the budget goes into a folder for as long as it is needed."""
    connection = duckdb.connect(config=budget.settings(spill) | {"preserve_insertion_order": False})
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    return connection
