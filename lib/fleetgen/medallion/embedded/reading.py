"""Owns the reader's view: bronze, silver and gold as schemas of a DuckDB database in memory, and facts about the tables.

Each table is read at the version that is the newest when the connection is made, so a query sees whole batches while
the pipeline writes on. Nothing here writes.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from urllib.parse import unquote

import duckdb
from deltalake import DeltaTable

from fleetgen.domain.records import Stream
from fleetgen.errors import NoDataset, NothingThere
from fleetgen.machine import temporary_folder
from fleetgen.medallion.embedded.budget import asking
from fleetgen.medallion.embedded.files import relation
from fleetgen.medallion.embedded.tables import load
from fleetgen.medallion.forms import TableForm
from fleetgen.medallion.gold import GOLD
from fleetgen.medallion.quoting import quoted
from fleetgen.medallion.silver import QUARANTINE, RECORDS
from fleetgen.storage.layout import Layout
from fleetgen.storage.reading import read_json

FORMS: tuple[TableForm, ...] = (
    *(silver.form for silver in (*RECORDS.values(), QUARANTINE)),
    *(gold.form for gold in GOLD),
)
"""Every table of the pipeline."""

LAYERS = ("bronze", "silver", "gold")


class NoTables(NothingThere):
    """There are no tables yet: start the set with `fleetgen up`, or call `fleetgen run pipeline --once`."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What is in a table, at its newest version."""

    layer: str
    name: str
    rows: int
    files: int
    bytes: int
    version: int


def table_facts(layout: Layout) -> list[TableFacts]:
    """Return facts about each table that exists; raises NoDataset or NoTables without any."""
    facts = [_facts(form, delta) for form, delta in _existing(layout)]
    if not facts:
        raise nothing_there(layout)
    return facts


def nothing_there(layout: Layout) -> NothingThere:
    """Return why there is no table."""
    return NoTables() if layout.raw.exists() else NoDataset(layout.data)


def has_tables(layout: Layout) -> bool:
    """Whether the pipeline has made any table yet."""
    return any(form.folder(layout).is_dir() for form in FORMS)


def connect(layout: Layout, with_bronze: bool) -> duckdb.DuckDBPyConnection:
    """Return a connection with a view of each table that exists; names that are unique need no schema.

    Bronze is every published line: listing its files takes time, so it is left out unless it is asked for.
    """
    spill = temporary_folder(layout.data) / f"fleetgen-query-{os.getpid()}"
    connection = duckdb.connect(config=asking().settings(spill))
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = true; SET enable_progress_bar_print = false")
    for layer in LAYERS:
        connection.execute(f"CREATE SCHEMA {layer}")
    for form, delta in _existing(layout):
        connection.execute(f"CREATE VIEW {form.layer}.{form.name} AS {relation(form, map(unquote, delta.file_uris()))}")
    if with_bronze:
        for stream in Stream:
            _add_bronze(connection, layout, stream)
    connection.execute("SET search_path = 'silver,gold'")
    return connection


def _existing(layout: Layout) -> Iterator[tuple[TableForm, DeltaTable]]:
    for form in FORMS:
        if (delta := load(form.folder(layout))) is not None:
            yield form, delta


def _facts(form: TableForm, delta: DeltaTable) -> TableFacts:
    found = delta.get_add_actions(flatten=True)
    rows, sizes = (found.column(name).to_pylist() for name in ("num_records", "size_bytes"))
    return TableFacts(
        layer=form.layer,
        name=form.name,
        rows=sum(rows),
        files=len(rows),
        bytes=sum(sizes),
        version=delta.version(),
    )


def _add_bronze(connection: duckdb.DuckDBPyConnection, layout: Layout, stream: Stream) -> None:
    """Add a view of a stream's raw lines: ``batch_id``, ``line`` (from 1 over the parts), ``raw``, ``json``."""
    files = sorted(layout.stream(stream).glob(f"*/{stream}*.jsonl"))
    if not files:
        columns = "'' AS batch_id, 0::BIGINT AS line, '' AS raw, NULL::JSON AS json"
        connection.execute(f"CREATE VIEW bronze.{stream} AS SELECT {columns} WHERE false")
        return
    connection.execute(f"CREATE TABLE bronze.{stream}_parts (file VARCHAR, lines_before BIGINT)")
    if parts := [part for file in files if file.name.endswith("-00000.jsonl") for part in _parts(file.parent)]:
        connection.executemany(f"INSERT INTO bronze.{stream}_parts VALUES (?, ?)", parts)
    pattern = quoted(str(Path(escape(str(layout.stream(stream)))) / "*" / f"{stream}*.jsonl"))
    connection.execute(
        f"""CREATE VIEW bronze.{stream} AS
        WITH files AS (
            SELECT filename, coalesce(lines_before, 0) AS lines_before, {_LINES} AS lines
            FROM read_blob({pattern}) LEFT JOIN bronze.{stream}_parts ON file = filename
        ), numbered AS (
            SELECT filename, lines_before, unnest(lines) AS raw, generate_subscripts(lines, 1) AS place FROM files
        )
        SELECT split_part(filename, '/', -2) AS batch_id, lines_before + place AS line, raw,
            CASE WHEN json_valid(raw) THEN raw::JSON END AS json
        FROM numbered"""
    )


_DECODED = "string_split(regexp_replace(try(decode(content)), '\\n$', ''), chr(10))"
_ESCAPED = r"string_split(regexp_replace(content::VARCHAR, '\\x0A$', ''), '\x0A')"
_SHOWN = r"""replace(replace(replace(line, '\x22', '"'), '\x27', ''''), '\x5C', '\')"""
_LINES = f"""CASE WHEN size > 0 THEN
    coalesce({_DECODED}, list_transform({_ESCAPED}, lambda line: coalesce(try(decode(line::BLOB)), {_SHOWN}))) ELSE [] END"""
"""A file's lines; of one that is no UTF-8, each other byte than ASCII's stands as ``\\xFF`` does."""


def _parts(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the files of a batch of several parts, and how many lines come before each."""
    before = 0
    for part in read_json(folder / "batch_meta.json")["parts"]:
        yield str(folder / part["file"]), before
        before += part["record_count"]
