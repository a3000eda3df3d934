"""Owns what the quarantine says of some batches, read without Arrow: a pipeline that follows its own score has none."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

import duckdb
from deltalake import DeltaTable

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.files import relation
from fleetgen.medallion.embedded.tables import damaged
from fleetgen.medallion.silver import QUARANTINE
from fleetgen.storage.layout import Layout


class Rejection(NamedTuple):
    """A rejected line."""

    stream: str
    batch_id: str
    line: int
    rule: str


def rejections(layout: Layout, quarantine: DeltaTable, batches: Mapping[Stream, tuple[int, int]]) -> list[Rejection]:
    """Return the rejected lines of each stream's batches from one number to another, both included.

    Of the files, whose rows are about in the order of the batches, only those parts are read. Raises DamagedTable.
    """
    rows = relation(QUARANTINE.form, map(unquote, quarantine.file_uris()))
    named = " UNION ALL ".join(
        f"SELECT {', '.join(Rejection._fields)} FROM ({rows})"
        f" WHERE stream = '{stream}' AND batch_number BETWEEN {first} AND {last}"
        for stream, (first, last) in batches.items()
    )
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            return [Rejection(*row) for row in connection.execute(named).fetchall()]
        except duckdb.Error as fault:
            raise damaged(QUARANTINE.form.folder(layout), fault) from fault
