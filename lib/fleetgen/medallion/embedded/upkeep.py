"""Owns what keeps a table's cost flat as it grows: compaction, vacuum, checkpoints and the trimming of its log."""

from dataclasses import dataclass, field

import duckdb

from fleetgen.medallion.embedded.files import remove_begun
from fleetgen.medallion.embedded.tables import NO_HOOKS, Table
from fleetgen.storage.reading import read_json

DUE_COMMITS = 40
"""Commits since the last checkpoint after which a table is due: a reader has to open each of them, and its files."""

TARGET_BYTES = 16 << 20
"""Files of this size are left as they are, so that compaction has little to copy."""


@dataclass
class Upkeep:
    """The upkeep of all tables, one at a time."""

    tables: tuple[Table, ...]
    swept: set[str] = field(default_factory=set)
    """Tables whose folder was searched for files that a kill left."""

    def __post_init__(self) -> None:
        self._checkpoints = {table.form.name: _last_checkpoint(table) for table in self.tables}

    def perform(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Keep up the table that is due the longest; return whether one was."""
        table = max(self.tables, key=self._commits)
        if self._commits(table) < DUE_COMMITS:
            return False
        table.join_files(connection, TARGET_BYTES)
        self._clean_up(table)
        return True

    def _commits(self, table: Table) -> int:
        return table.version - self._checkpoints[table.form.name]

    def _clean_up(self, table: Table) -> None:
        delta, name = table.delta, table.form.name
        delta.update_incremental()
        delta.vacuum(
            dry_run=False,
            enforce_retention_duration=False,
            full=name not in self.swept,
            post_commithook_properties=NO_HOOKS,
        )
        if name not in self.swept:
            remove_begun(table.folder)
        self.swept.add(name)
        delta.create_checkpoint()
        delta.cleanup_metadata()
        table.take()
        self._checkpoints[name] = table.version


def _last_checkpoint(table: Table) -> int:
    path = table.folder / "_delta_log" / "_last_checkpoint"
    try:
        return int(read_json(path)["version"])
    except (FileNotFoundError, ValueError, KeyError):
        return 0
