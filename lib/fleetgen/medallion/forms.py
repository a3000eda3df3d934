"""Owns how a table is declared, whichever engine keeps it."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from fleetgen.domain.records import Stream
from fleetgen.storage.layout import Layout


@dataclass(frozen=True, slots=True)
class TableForm:
    """A table as it is declared."""

    name: str
    layer: str
    """``silver`` or ``gold``."""
    schema: pa.Schema
    streams: tuple[Stream, ...]
    """The streams whose batches it follows."""
    partition_by: tuple[str, ...] = ()

    def folder(self, layout: Layout) -> Path:
        """Return the folder of the table."""
        return layout.data / ("staged" if self.layer == "silver" else "processed") / self.name

    @property
    def counts(self) -> tuple[str, ...]:
        """The columns that are added up where rows of a kept table are put together; the others tell rows apart."""
        return tuple(column.name for column in self.schema if column.type == pa.int64())
