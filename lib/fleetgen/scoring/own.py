"""Owns what the set's own pipeline has rejected: its quarantine table, and how far each stream has come in it.

How far it has come stands in the table itself: the manifest knows only a pipeline that runs.
"""

from collections.abc import Mapping
from typing import Any

from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError, SystemLacks
from fleetgen.scoring.columnar import rows_of
from fleetgen.scoring.keys import key_of
from fleetgen.scoring.named import Named
from fleetgen.storage.layout import Layout

_TABLE = "quarantine"


class NoQuarantine(FleetgenError):
    """There is no quarantine of this dataset."""


def own_quarantine(layout: Layout, dataset_id: str) -> tuple[Named, Mapping[Stream, int]]:
    """Return what the own pipeline rejected, and by stream the last batch it has carried, both as of one version.

    Raises NoQuarantine without a table of this dataset, SystemLacks without the packages to read it.
    """
    tables = _tables()
    folder = layout.silver / _TABLE
    delta = tables.load(folder)
    if delta is None or not tables.is_of(delta, dataset_id):
        raise NoQuarantine(
            f"There is no quarantine of this dataset in {folder} yet: the pipeline makes it. Start the set with `fleetgen "
            "up`, or carry what is published with `fleetgen run pipeline --once`; for another pipeline use --quarantine."
        )
    named = Named()
    for place, row in rows_of(delta.to_pyarrow_dataset()):
        named.add(key_of(row, None), f"{folder}, {place}")
    return named, {stream: tables.last_batch(delta, stream) for stream in Stream}


def _tables() -> Any:
    try:
        from fleetgen.medallion.embedded import tables
    except ImportError as fault:
        raise SystemLacks(f"{fault.name} is not installed: pip install 'fleetgen[pipeline]'") from fault
    return tables
