"""Owns how a table is declared, whichever engine keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fleetgen.domain.records import Stream
from fleetgen.storage.layout import Layout

if TYPE_CHECKING:
    import pyarrow as pa

COUNT, TEXT, TRUTH, DAY, TIME = "BIGINT", "VARCHAR", "BOOLEAN", "DATE", "TIMESTAMPTZ"
"""The types of columns, as DuckDB names them."""


@dataclass(frozen=True, slots=True)
class TableForm:
    """A table as it is declared."""

    name: str
    layer: str
    """``silver`` or ``gold``."""
    columns: Mapping[str, str]
    """The type of each column, in order."""
    streams: tuple[Stream, ...]
    """The streams whose batches it follows."""
    partition_by: tuple[str, ...] = ()

    def folder(self, layout: Layout) -> Path:
        """Return the folder of the table."""
        return layout.data / ("staged" if self.layer == "silver" else "processed") / self.name

    @property
    def schema(self) -> "pa.Schema":
        """The columns in Arrow's types."""
        return arrow_schema(self.columns)

    @property
    def counts(self) -> tuple[str, ...]:
        """The columns that are added up where rows of a kept table are put together; the others tell rows apart."""
        return tuple(name for name, kind in self.columns.items() if kind == COUNT)


def arrow_schema(columns: Mapping[str, str]) -> "pa.Schema":
    """Return columns, given with their types, in Arrow's; who needs none does without Arrow, whose import takes long."""
    import pyarrow as pa

    types = {
        COUNT: pa.int64(),
        TEXT: pa.string(),
        TRUTH: pa.bool_(),
        DAY: pa.date32(),
        TIME: pa.timestamp("us", "UTC"),
    }
    return pa.schema([(name, types[kind]) for name, kind in columns.items()])
