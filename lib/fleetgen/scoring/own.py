"""Owns what the set's own pipeline has rejected: its quarantine table, and how far each stream has come in it.

How far it has come stands in the table itself: the manifest knows only a pipeline that runs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fleetgen.domain.records import Stream
from fleetgen.errors import NothingThere, SystemLacks
from fleetgen.medallion.issues import ISSUE_OF_RULE
from fleetgen.scoring.columnar import rows_of
from fleetgen.scoring.keys import key_of
from fleetgen.scoring.named import Named
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry

_TABLE = "quarantine"


class NoQuarantine(NothingThere):
    """There is no quarantine of this dataset."""


def own_quarantine(layout: Layout, dataset_id: str) -> tuple[Named, Mapping[Stream, int]]:
    """Return what the own pipeline rejected, and by stream the last batch it has carried, both as of one version.

    Raises NoQuarantine without a table of this dataset, SystemLacks without the packages to read it.
    """
    tables, delta = _tables(), _quarantine(layout, dataset_id)
    named = Named()
    for place, row in rows_of(delta.to_pyarrow_dataset()):
        named.add(key_of(row, None), f"{layout.silver / _TABLE}, {place}")
    return named, {stream: tables.last_batch(delta, stream) for stream in Stream}


def own_rejections(
    layout: Layout, dataset_id: str, batches: Mapping[Stream, Sequence[BatchEntry]]
) -> dict[tuple[Stream, str], dict[int, str | None]]:
    """Return what the own pipeline rejected of some batches: by stream and batch the lines, each with its issue type.

    Of each stream they come in their order; what lies between them may be in the answer, too.

    Raises NoQuarantine without a table of this dataset, SystemLacks without the packages to read it.
    """
    quarantine = _quarantine(layout, dataset_id)
    from fleetgen.medallion.embedded.rejections import rejections

    found: dict[tuple[Stream, str], dict[int, str | None]] = {}
    numbers = {stream: (some[0].batch_number, some[-1].batch_number) for stream, some in batches.items() if some}
    for each in rejections(layout, quarantine, numbers) if numbers else ():
        found.setdefault((Stream(each.stream), each.batch_id), {})[each.line] = ISSUE_OF_RULE.get(each.rule)
    return found


def _quarantine(layout: Layout, dataset_id: str) -> Any:
    """Return the quarantine table of this dataset."""
    tables = _tables()
    folder = layout.silver / _TABLE
    delta = tables.load(folder)
    if delta is None or not tables.is_of(delta, dataset_id):
        raise NoQuarantine(
            f"There is no quarantine of this dataset in {folder} yet: the pipeline makes it. Start the set with `fleetgen "
            "up`, or carry what is published with `fleetgen run pipeline --once`; for another pipeline use --quarantine."
        )
    return delta


def _tables() -> Any:
    try:
        from fleetgen.medallion.embedded import tables
    except ImportError as fault:
        raise SystemLacks(f"{fault.name} is not installed: pip install 'fleetgen[pipeline]'") from fault
    return tables
