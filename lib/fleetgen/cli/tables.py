"""Owns the commands about the pipeline's tables: query and tables."""

import csv
import json
import math
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from fleetgen.cli.console import wide_console
from fleetgen.cli.interrupting import interruptible
from fleetgen.cli.output import load_in_use, with_config
from fleetgen.cli.progress import patience
from fleetgen.errors import SystemLacks, UsageError
from fleetgen.storage.reading import parse_json

if TYPE_CHECKING:
    import duckdb

FORMATS = ("table", "json", "csv")

_INTEGERS = {f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")} | {
    "INTEGER",
    "UINTEGER",
}

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
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
@with_config
def query(sql: str, form: str | None, config_file: Path) -> None:
    """Ask in SQL over bronze, silver, quarantine and gold.

    SQL is one statement of DuckDB's that reads, such as "FROM silver.events LIMIT 5"; - reads it from standard input.
    `tables` lists what there is.
    """
    if sql == "-":
        sql = sys.stdin.read()
    layout = load_in_use(config_file).layout
    reading = _reading()
    import duckdb

    asked_again = "nothing was changed, and the same command asks again."
    with (
        reading.connect(layout, with_bronze="bronze" in sql.lower()) as connection,
        interruptible(lambda: asked_again, connection.interrupt),
    ):
        try:
            waiting = patience("Asking", connection.query_progress)
            _print(connection, _relation(connection, sql), form or ("table" if sys.stdout.isatty() else "csv"), waiting)
        except duckdb.InterruptException:
            raise KeyboardInterrupt from None
        except duckdb.CatalogException as fault:
            listed = f"{_reason(fault)}\n`fleetgen tables` lists what there is."
            raise (UsageError(listed) if reading.has_tables(layout) else reading.nothing_there(layout)) from fault
        except duckdb.Error as fault:
            raise UsageError(_reason(fault)) from fault


def _reason(fault: Exception) -> str:
    """Return what DuckDB says, with the line and the place in it, without the empty lines between."""
    return "\n".join(line for line in str(fault).splitlines() if line.strip())


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


def _print(
    connection: "duckdb.DuckDBPyConnection",
    found: "duckdb.DuckDBPyRelation",
    form: str,
    waiting: AbstractContextManager[None],
) -> None:
    if form == "json":
        for (line,) in _rows(connection, found.set_alias("found").project("to_json(found)::VARCHAR"), waiting):
            click.echo(_strict(line))
        return
    names, rows = found.columns, _rows(connection, found.project("COLUMNS(*)::VARCHAR"), waiting)
    if form == "table":
        _print_table(names, [_is_number(kind) for kind in found.types], rows)
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


def _rows(
    connection: "duckdb.DuckDBPyConnection", found: "duckdb.DuckDBPyRelation", waiting: AbstractContextManager[None]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows; the first are waited for, the others come while those before are printed."""
    with waiting:
        answer = connection.execute(found.sql_query())  # a relation itself gives rows in pieces with Arrow alone
        rows = answer.fetchmany(_ROWS_AT_ONCE)
    while rows:
        yield from rows
        rows = answer.fetchmany(_ROWS_AT_ONCE)


def _is_number(kind: object) -> bool:
    return str(kind) in _INTEGERS or str(kind).startswith(("DECIMAL", "DOUBLE", "FLOAT"))


def _print_table(names: list[str], are_numbers: list[bool], rows: Iterator[tuple[Any, ...]]) -> None:
    table = Table(box=None, header_style="dim")
    for name, is_number in zip(names, are_numbers, strict=True):
        table.add_column(Text(name), justify="right" if is_number else "left")
    for row in islice(rows, _MOST_ROWS):
        table.add_row(*(Text("NULL", style="dim") if value is None else Text(value) for value in row))
    console = wide_console()
    console.print(table)
    if next(rows, None) is not None:
        console.print(f"… and more than these {_MOST_ROWS:,} rows: --format csv prints all of them")
