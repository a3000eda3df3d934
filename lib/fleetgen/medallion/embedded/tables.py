"""Owns the Delta tables: where they lie, to which dataset they belong, and how far each stream has come in them.

A commit carries the number of the last batch in it, under an id of the stream's own: whoever opens the table after a
kill reads there where to go on. What is in the tables is said in `silver` and `gold`; `upkeep` keeps them small.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import repeat
from pathlib import Path

import duckdb
from deltalake import DeltaTable, Field, PostCommitHookProperties, Schema
from deltalake.exceptions import DeltaError
from deltalake.schema import PrimitiveType

from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError
from fleetgen.medallion.embedded.commits import DataFile, commit
from fleetgen.medallion.embedded.files import relation, write_rows
from fleetgen.medallion.forms import COUNT, DAY, TEXT, TIME, TRUTH, TableForm
from fleetgen.storage.files import remove_tree
from fleetgen.storage.layout import Layout
from fleetgen.storage.probing import can_link, require_path_for_tables

TABLES_VERSION = "1"
"""Of the tables' schemas and rules: tables of another version are made anew."""

KEEP_SECONDS = 600
"""So long a reader may take: files that a table no longer needs stay as long."""

_SIZES = (64, 8, 1)
"""Files are joined with those of their size: below these shares of the largest."""
_TOGETHER = 8

NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
"""`upkeep` does at its time what delta-rs would do within a commit."""

_TYPES = {COUNT: "long", TEXT: "string", TRUTH: "boolean", DAY: "date", TIME: "timestamp"}
"""The types of columns, as Delta names them."""

_DATASET = "fleetgen.dataset"
_VERSION = "fleetgen.version"


class DamagedTable(FleetgenError):
    """A table cannot be read: remove its folder, and the pipeline makes it anew from bronze."""


class Table:
    """One Delta table, open for writing; there is one writer."""

    def __init__(self, form: TableForm, folder: Path, delta: DeltaTable, links: bool) -> None:
        self.form = form
        self.folder = folder
        self.delta = delta
        """As it was when the table was opened or kept up; `refresh` takes in what was committed since."""
        self.version = delta.version()
        self.files: list[DataFile] = []
        self._links = links
        self._last: dict[Stream, int] = {}
        self.take()

    def last_batch(self, stream: Stream) -> int:
        """Return the number of the last batch of the stream that is in the table; -1 if none is."""
        return self._last[stream]

    @property
    def next_name(self) -> str:
        """The name of the files of the next commit: no other commit has it, but one that a kill kept from being made."""
        return f"part-{self.version + 1:020d}"

    def rows(self, days: Collection[date] | None = None) -> str:
        """Return the SQL of the table's rows, or of those of some days."""
        return relation(self.form, (str(self.folder / file.path) for file in self._files_of(days)))

    def append(self, files: Sequence[DataFile], stream: Stream, last_batch: int) -> None:
        """Add the rows of the batches up to this one, which were written into these files."""
        self._commit(files, (), stream, last_batch)

    def replace(
        self, files: Sequence[DataFile], stream: Stream, last_batch: int, days: Collection[date] | None = None
    ) -> None:
        """Put the rows in these files in the place of all, or of those of some days."""
        self._commit(files, self._files_of(days), stream, last_batch)

    def join_files(self, connection: duckdb.DuckDBPyConnection, target_bytes: int) -> None:
        """Put the rows of small files into larger ones of about this size; readers find the same rows.

        Where days are replaced whole there is but one file of each.
        """
        bins = [] if self.form.partition_by else list(to_be_joined(self.files, target_bytes))
        joined: list[DataFile] = []
        for number, small in enumerate(bins):
            rows = relation(self.form, (str(self.folder / file.path) for file in small))
            name = f"{self.next_name}-{number:06d}"
            joined += write_rows(connection.execute, rows, {}, self.form, self.folder, name)
        if bins:
            self._change(joined, [file for small in bins for file in small])

    def delete(self, predicate: str) -> None:
        """Delete the rows that the predicate names; to do it again does no harm."""
        self.refresh()
        self.delta.delete(predicate, post_commithook_properties=NO_HOOKS)
        self.take()

    def refresh(self) -> None:
        """Let delta-rs know what was committed without it."""
        self.delta.update_incremental()
        self.take()

    def _commit(self, added: Sequence[DataFile], removed: Sequence[DataFile], stream: Stream, last_batch: int) -> None:
        self._change(added, removed, (application(stream), last_batch))
        self._last[stream] = last_batch

    def _change(
        self, added: Sequence[DataFile], removed: Sequence[DataFile], application: tuple[str, int] | None = None
    ) -> None:
        commit(self.folder, self.version + 1, added, removed, self._links, application)
        self.version += 1
        gone = {file.path for file in removed}
        self.files = [*(file for file in self.files if file.path not in gone), *added]

    def _files_of(self, days: Collection[date] | None) -> list[DataFile]:
        names = None if days is None else {str(day) for day in days}
        return [file for file in self.files if names is None or file.partition["day"] in names]

    def take(self) -> None:
        """Take from delta-rs which version this is, of which files, and how far it has come."""
        self.version = self.delta.version()
        self.files = _files(self.delta, self.form)
        self._last = {stream: last_batch(self.delta, stream) for stream in self.form.streams}


def to_be_joined(files: Sequence[DataFile], target_bytes: int) -> Iterator[list[DataFile]]:
    """Divide the files that are smaller into groups to be joined, of about this size together at most.

    Files of about one size are joined, and larger ones once there are some: so a row is copied a few times on its way
    into a file of that size, and not each time that small files are joined.
    """
    least = 0
    for share in _SIZES:
        some = [file for file in files if least <= file.size_bytes < target_bytes // share]
        if len(some) >= (_TOGETHER if least else 2):
            yield from _groups(some, target_bytes)
        least = target_bytes // share


def _groups(files: Iterable[DataFile], target_bytes: int) -> Iterator[list[DataFile]]:
    group: list[DataFile] = []
    for file in files:
        group.append(file)
        if sum(each.size_bytes for each in group) >= target_bytes:
            yield group
            group = []
    if len(group) > 1:
        yield group


def _files(delta: DeltaTable, form: TableForm) -> list[DataFile]:
    found = delta.get_add_actions(flatten=True)
    paths, sizes = (found.column(name).to_pylist() for name in ("path", "size_bytes"))
    values = [map(str, found.column(f"partition.{name}").to_pylist()) for name in form.partition_by]
    partitions = zip(*values, strict=True) if values else repeat(())
    return [
        DataFile(path, size, partition=dict(zip(form.partition_by, partition, strict=True)))
        for path, size, partition in zip(paths, sizes, partitions, strict=False)
    ]


def open_table(form: TableForm, layout: Layout, dataset_id: str, keep_seconds: int = KEEP_SECONDS) -> Table:
    """Open a table, or make it; one of another dataset or version is removed first."""
    folder = form.folder(layout)
    require_path_for_tables(layout.data)
    links = can_link(layout.spill)
    options = _storage_options(links)
    delta = load(folder, options)
    if delta is None or not is_of(delta, dataset_id):
        remove_tree(folder)
        delta = _create(form, folder, _marks(dataset_id), keep_seconds, options)
    return Table(form, folder, delta, links)


def _storage_options(links: bool) -> dict[str, str]:
    """Return how delta-rs commits: by a hard link where the disk can, otherwise by a rename, for there is one writer."""
    return {} if links else {"allow_unsafe_rename": "true"}


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
    last: int | None = delta.transaction_version(application(stream))
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
        schema=Schema([Field(column, PrimitiveType(_TYPES[kind])) for column, kind in form.columns.items()]),
        name=form.name,
        partition_by=list(form.partition_by),
        configuration={**ours, "delta.deletedFileRetentionDuration": kept, "delta.logRetentionDuration": kept},
        raise_if_key_not_exists=False,
        storage_options=options,
        post_commithook_properties=NO_HOOKS,
    )


def application(stream: Stream) -> str:
    """Return the name under which commits say how far a stream is."""
    return f"fleetgen-{stream}"
