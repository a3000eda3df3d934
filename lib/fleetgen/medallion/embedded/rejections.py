"""Owns what the quarantine says of some batches, read without Arrow: a pipeline that follows its own score has none."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote

import duckdb
from deltalake import DeltaTable

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


def rejections(layout: Layout, quarantine: DeltaTable, batch_ids: Sequence[str]) -> Iterator[Rejection]:
    """Yield the rejected lines of batches with these ids, of either stream; raises DamagedTable."""
    rows = relation(QUARANTINE.form, map(unquote, quarantine.file_uris()))
    named = f"SELECT {', '.join(Rejection._fields)} FROM ({rows}) WHERE list_contains($batch_ids, batch_id)"
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            found = connection.execute(named, {"batch_ids": list(batch_ids)}).fetchall()
        except duckdb.Error as fault:
            raise damaged(QUARANTINE.form.folder(layout), fault) from fault
        yield from map(Rejection._make, found)
