"""Owns the commands about the pipeline's tables: query and tables."""

import csv
import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from fleetgen.cli.console import wide_console
from fleetgen.cli.output import load_in_use, with_config
from fleetgen.errors import SystemLacks, UsageError
from fleetgen.storage.reading import parse_json

if TYPE_CHECKING:
    import duckdb

FORMATS = ("table", "json", "csv")

_MAY_BE_NO_NUMBER = re.compile(r"[:\[,]-?(NaN|Infinity)\b")

_ROWS_AT_ONCE = 10_000
_MOST_ROWS = 1000
"""Rows that are shown to people; a script gets all."""


@click.command
@click.argument("sql")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Default: a table on a terminal, CSV in a pipe; json is an object a line.",
)
@with_config
def query(sql: str, form: str | None, config_file: Path) -> None:
    """Ask in SQL (DuckDB's) over bronze.events, silver.events, quarantine, gold.batches and so on; `tables` lists them."""
    layout = load_in_use(config_file).layout
    reading = _reading()
    import duckdb

    with reading.connect(layout, with_bronze="bronze" in sql.lower()) as connection:
        try:
            _print(_relation(connection, sql), form or ("table" if sys.stdout.isatty() else "csv"))
        except duckdb.CatalogException as fault:
            listed = f"{_reason(fault)} `fleetgen tables` lists what there is."
            raise (UsageError(listed) if reading.has_tables(layout) else reading.NoTables()) from fault
        except duckdb.Error as fault:
            raise UsageError(_reason(fault)) from fault


def _reason(fault: Exception) -> str:
    return str(fault).partition("\n")[0]


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_config
def tables(as_json: bool, config_file: Path) -> None:
    """List the pipeline's tables with their rows, files and sizes."""
    facts = [asdict(each) for each in _reading().table_facts(load_in_use(config_file).layout)]
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    table = Table("layer", "name", box=None, header_style="dim")
    for name in ("rows", "files", "bytes", "version"):
        table.add_column(name, justify="right")
    for each in facts:
        layer, name, *numbers = each.values()
        table.add_row(layer, name, *(f"{number:,}" for number in numbers))
    wide_console().print(table)


def _reading() -> Any:
    try:
        from fleetgen.medallion.embedded import reading
    except ImportError as fault:
        raise SystemLacks(f"{fault.name} is not installed: pip install 'fleetgen[pipeline]'") from fault
    return reading


def _relation(connection: "duckdb.DuckDBPyConnection", sql: str) -> "duckdb.DuckDBPyRelation":
    """Return what one statement that reads finds; raises UsageError for another one."""
    statements = connection.extract_statements(sql)
    if [str(each.type) for each in statements] != ["StatementType.SELECT"]:
        raise UsageError("query takes one statement that reads: SELECT, FROM, WITH, DESCRIBE, SUMMARIZE or SHOW.")
    return connection.sql(sql)


def _print(found: "duckdb.DuckDBPyRelation", form: str) -> None:
    if form == "json":
        for (line,) in _rows(found.set_alias("found").project("to_json(found)::VARCHAR")):
            click.echo(_strict(line))
        return
    names, rows = found.columns, _rows(found.project("COLUMNS(*)::VARCHAR"))
    if form == "table":
        _print_table(names, rows)
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)


def _strict(line: str) -> str:
    """Return an object as JSON allows it: DuckDB writes numbers that are not finite bare, here they are null."""
    if not _MAY_BE_NO_NUMBER.search(line):
        return line
    return json.dumps(_finite(parse_json(line, "the answer")), separators=(",", ":"), ensure_ascii=False)


def _finite(value: Any) -> Any:
    """Return a value of JSON with null for each number that is not finite."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rows(found: "duckdb.DuckDBPyRelation") -> Iterator[tuple[Any, ...]]:
    for rows in found.to_arrow_reader(_ROWS_AT_ONCE):
        yield from zip(*(column.to_pylist() for column in rows.columns), strict=True)


def _print_table(names: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    table = Table(box=None, header_style="dim")
    for name in names:
        table.add_column(Text(name))
    for row in islice(rows, _MOST_ROWS):
        table.add_row(*(Text("NULL", style="dim") if value is None else Text(value) for value in row))
    console = wide_console()
    console.print(table)
    if next(rows, None) is not None:
        console.print(f"… and more than these {_MOST_ROWS:,} rows: --format csv prints all of them")
