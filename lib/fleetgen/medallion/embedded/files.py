"""Owns the Parquet files of the tables: DuckDB writes the rows of a query into them, and shows them as a relation.

A file that no commit names is in no table. Naming it is left to `commits`, removing it to `upkeep`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import Any

import duckdb

from fleetgen.medallion.embedded.commits import DataFile
from fleetgen.medallion.forms import COUNT, TEXT, TableForm
from fleetgen.medallion.quoting import quoted

Run = Callable[[str, Mapping[str, Any]], duckdb.DuckDBPyConnection]
"""Runs a statement with values for its parameters: `DuckDBPyConnection.execute`, or `Database.run` within a pass."""

_BEGUN = "_begun"
_OPTIONS = "FORMAT parquet, COMPRESSION snappy"
_READERS = {COUNT: int, TEXT: str}
"""What reads the extremes of a column, which DuckDB tells as texts."""


def write_rows(
    run: Run, sql: str, values: Mapping[str, Any], form: TableForm, folder: Path, name: str
) -> list[DataFile]:
    """Write the rows of a query as files of a table, one for each partition; none where there are no rows.

    Files of this name that a kill left are replaced.
    """
    target, more = folder / f"{name}.parquet", "WRITE_EMPTY_FILE false"
    if form.partition_by:
        target = folder
        more = f"PARTITION_BY ({', '.join(form.partition_by)}), OVERWRITE_OR_IGNORE, FILENAME_PATTERN {quoted(name)}"
    copied = run(f"COPY ({sql}) TO {quoted(str(target))} ({_OPTIONS}, RETURN_STATS, {more})", values)
    return [_written(row, form, folder) for row in copied.fetchall()]


def write_few_rows(
    run: Run, sql: str, values: Mapping[str, Any], form: TableForm, folder: Path, name: str
) -> list[DataFile]:
    """Do what `write_rows` does in half the time, which statistics of a few rows take; their file says only how many.

    It is written under one name, so that the plan stays good, and renamed; no reader takes a name with that first letter.
    """
    if form.partition_by:
        return [_named(file, folder, name) for file in write_rows(run, sql, values, form, folder, _BEGUN)]
    begun = DataFile(f"{_BEGUN}.parquet", 0)
    options = f"{_OPTIONS}, WRITE_EMPTY_FILE false, USE_TMP_FILE false"
    ((rows,),) = run(f"COPY ({sql}) TO {quoted(str(folder / begun.path))} ({options})", values).fetchall()
    if not rows:
        return []
    size = (folder / begun.path).stat().st_size
    return [_named(replace(begun, size_bytes=size, rows=rows), folder, name)]


def _named(begun: DataFile, folder: Path, name: str) -> DataFile:
    """Give a file the name that it has in the table."""
    path = Path(begun.path).with_name(f"{name}.parquet")
    (folder / begun.path).rename(folder / path)
    return replace(begun, path=str(path))


def remove_begun(folder: Path) -> None:
    """Remove what a kill left of files that had not got their name yet; nobody may be writing one."""
    for path in folder.rglob(f"{_BEGUN}*.parquet"):
        path.unlink()


def _written(row: tuple[Any, ...], form: TableForm, folder: Path) -> DataFile:
    path, rows, size, _, columns, partition, *_ = row
    return DataFile(
        path=str(Path(path).relative_to(folder)),
        size_bytes=size,
        rows=rows,
        partition=partition or {},
        statistics=_statistics(form, {name.strip('"'): found for name, found in columns.items()}),
    )


def _statistics(form: TableForm, columns: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the extremes of numbers and texts, as far as they are exact, and how many values are missing."""
    read = {name: _READERS[form.columns[name]] for name in columns if form.columns[name] in _READERS}
    extremes = {
        key: {name: read[name](columns[name][end]) for name in read if columns[name].get(f"{end}_is_exact") == "true"}
        for key, end in (("minValues", "min"), ("maxValues", "max"))
    }
    return {**extremes, "nullCount": {name: int(found["null_count"]) for name, found in columns.items()}}


def relation(form: TableForm, paths: Iterable[str]) -> str:
    """Return the SQL of the rows in files of a table, given by their whole paths."""
    if not (named := ", ".join(quoted(escape(path)) for path in paths)):
        nothing = (f"NULL::{kind} AS {name}" for name, kind in form.columns.items())
        return f"SELECT {', '.join(nothing)} WHERE false"
    days = "hive_partitioning = true, hive_types = {'day': DATE}" if form.partition_by else "hive_partitioning = false"
    return f"SELECT {', '.join(form.columns)} FROM read_parquet([{named}], {days})"
