"""Owns the Delta tables: where they lie, to which dataset they belong, and how far each stream has come in them.

A commit carries the number of the last batch in it, under an id of the stream's own: whoever opens the table after a
kill reads there where to go on. What is in the tables is said in `silver` and `gold`; `upkeep` keeps them small.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import DeltaError

from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError
from fleetgen.medallion.forms import TableForm
from fleetgen.storage.files import remove_tree
from fleetgen.storage.layout import Layout
from fleetgen.storage.probing import can_link, require_path_for_tables

TABLES_VERSION = "1"
"""Of the tables' schemas and rules: tables of another version are made anew."""

KEEP_SECONDS = 600
"""So long a reader may take: files that a table no longer needs stay as long."""

NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""`upkeep` does at its time what delta-rs would do within a commit."""

_DATASET = "fleetgen.dataset"
_VERSION = "fleetgen.version"
_WRITER = WriterProperties(compression="SNAPPY", max_row_group_size=1 << 17, data_page_row_count_limit=1 << 14)


class DamagedTable(FleetgenError):
    """A table cannot be read: remove its folder, and the pipeline makes it anew from bronze."""


class Table:
    """One Delta table, open for writing; there is one writer."""

    def __init__(self, form: TableForm, folder: Path, delta: DeltaTable) -> None:
        self.form = form
        self.folder = folder
        self.delta = delta
        self._last: dict[Stream, int] = {stream: last_batch(delta, stream) for stream in form.streams}

    def last_batch(self, stream: Stream) -> int:
        """Return the number of the last batch of the stream that is in the table; -1 if none is."""
        return self._last[stream]

    def append(self, rows: pa.Table | pa.RecordBatchReader, stream: Stream, last_batch: int) -> None:
        """Add the rows of the batches up to this one."""
        self._write(rows, stream, last_batch, "append")

    def replace(self, rows: pa.Table, stream: Stream, last_batch: int, predicate: str | None = None) -> None:
        """Put rows in the place of all, or of those that the predicate names."""
        self._write(rows, stream, last_batch, "overwrite", predicate=predicate)

    def delete(self, predicate: str) -> None:
        """Delete the rows that the predicate names; to do it again does no harm."""
        self.delta.delete(predicate, post_commithook_properties=NO_HOOKS)

    def rows(self, filters: list[tuple[str, str, Any]] | None = None, columns: list[str] | None = None) -> pa.Table:
        """Return the table's rows, or those that the filters name."""
        try:
            return self.delta.to_pyarrow_table(filters=filters, columns=columns)
        except (DeltaError, OSError) as fault:
            raise damaged(self.folder, fault) from fault

    def _write(self, rows: Any, stream: Stream, last_batch: int, mode: Any, **how: Any) -> None:
        write_deltalake(
            self.delta,
            rows,
            mode=mode,
            writer_properties=_WRITER,
            commit_properties=CommitProperties(app_transactions=[Transaction(_app(stream), last_batch)]),
            post_commithook_properties=NO_HOOKS,
            **how,
        )
        self._last[stream] = last_batch


def open_table(form: TableForm, layout: Layout, dataset_id: str, keep_seconds: int = KEEP_SECONDS) -> Table:
    """Open a table, or make it; one of another dataset or version is removed first."""
    folder = form.folder(layout)
    require_path_for_tables(layout.data)
    options = _storage_options(layout)
    delta = load(folder, options)
    if delta is None or not is_of(delta, dataset_id):
        remove_tree(folder)
        delta = _create(form, folder, _marks(dataset_id), keep_seconds, options)
    return Table(form, folder, delta)


def _storage_options(layout: Layout) -> dict[str, str]:
    """Return how delta-rs commits: by a hard link where the disk can, otherwise by a rename, for there is one writer."""
    return {} if can_link(layout.spill) else {"allow_unsafe_rename": "true"}


def load(folder: Path, options: dict[str, str] | None = None) -> DeltaTable | None:
    """Return the table in a folder as it is now, or None without one; raises DamagedTable."""
    if not folder.is_dir() or not DeltaTable.is_deltatable(str(folder)):
        return None
    try:
        return DeltaTable(str(folder), storage_options=options)
    except (DeltaError, OSError) as fault:
        raise damaged(folder, fault) from fault


def damaged(folder: Path, fault: Exception) -> DamagedTable:
    """Say which table cannot be read, and what helps."""
    reason = str(fault).partition("\n")[0]
    return DamagedTable(
        f"The table in {folder} cannot be read ({reason}): remove that folder, and the pipeline makes it anew."
    )


def is_of(delta: DeltaTable, dataset_id: str) -> bool:
    """Whether a table is of this dataset, and of this version of the tables."""
    configuration = delta.metadata().configuration
    return all(configuration.get(key) == value for key, value in _marks(dataset_id).items())


def last_batch(delta: DeltaTable, stream: Stream) -> int:
    """Return the number of the last batch of the stream that is in a table; -1 if none is."""
    last: int | None = delta.transaction_version(_app(stream))
    return -1 if last is None else last


def _marks(dataset_id: str) -> dict[str, str]:
    return {_DATASET: dataset_id, _VERSION: TABLES_VERSION}


def _create(
    form: TableForm, folder: Path, ours: Mapping[str, str], keep_seconds: int, options: dict[str, str]
) -> DeltaTable:
    folder.mkdir(parents=True, exist_ok=True)  # a mount of its own stays, empty
    kept = f"interval {keep_seconds} seconds"
    return DeltaTable.create(
        str(folder),
        schema=form.schema,
        name=form.name,
        partition_by=list(form.partition_by),
        configuration={**ours, "delta.deletedFileRetentionDuration": kept, "delta.logRetentionDuration": kept},
        raise_if_key_not_exists=False,
        storage_options=options,
        post_commithook_properties=NO_HOOKS,
    )


def _app(stream: Stream) -> str:
    return f"fleetgen-{stream}"
