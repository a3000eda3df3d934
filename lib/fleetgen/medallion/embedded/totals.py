"""Owns what has become of all lines so far, as the tables of batches and of their quality in gold tell it."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import duckdb

from fleetgen.domain.records import Stream
from fleetgen.medallion.carrying.engine import Totals
from fleetgen.medallion.embedded.files import relation
from fleetgen.medallion.embedded.tables import load
from fleetgen.medallion.forms import TableForm
from fleetgen.medallion.gold import BATCHES, QUALITY
from fleetgen.storage.layout import Layout

_COLUMNS = {"accepted": "accepted", "quarantined": "quarantined", "duplicates": "duplicate"}
"""Columns of the table of batches, and the outcomes that they count."""


def totals(layout: Layout) -> Totals:
    """Return what has become of all lines; reads four columns of one table and two of the other."""
    found = Totals()
    with duckdb.connect(config={"threads": 1}) as connection:
        for stream, *counts in _sums(connection, layout, BATCHES.form, "stream", _COLUMNS):
            found.outcomes[Stream(stream)].update(dict(zip(_COLUMNS.values(), counts, strict=True)))
        found.rules.update(dict(_sums(connection, layout, QUALITY.form, "rule", ("lines",))))
    return found


def _sums(
    connection: duckdb.DuckDBPyConnection, layout: Layout, form: TableForm, key: str, names: Iterable[str]
) -> list[tuple[Any, ...]]:
    """Return the sums of some columns of a table by another one; nothing where there is no table yet."""
    if (delta := load(form.folder(layout))) is None:
        return []
    sums = ", ".join(f"sum({name})::BIGINT" for name in names)
    rows = relation(form, map(unquote, delta.file_uris()))
    return connection.execute(f"SELECT {key}, {sums} FROM ({rows}) GROUP BY {key}").fetchall()
