"""Owns what DuckDB knows of the batches of a pass: a table of them, their lines, and the days that they tell of."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.database import BATCHES, Database, registered
from fleetgen.medallion.lines import list_batches, read_batches
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def keep_batches(database: Database, stream: Stream, entries: Sequence[BatchEntry]) -> None:
    """Leave these batches in the table `batches`, which silver and gold read beside `judged`, until the pass ends."""
    intervals = [each.interval for each in entries]
    columns = (
        [stream.value] * len(entries),
        [each.batch_number for each in entries],
        [each.batch_id for each in entries],
        [_instant(each.start) for each in intervals],
        [_instant(each.end) for each in intervals],
        [each.record_count for each in entries],
    )
    database.insert("batches", dict(zip(BATCHES, columns, strict=True)))


@contextmanager
def shown_lines(
    database: Database, layout: Layout, stream: Stream, entries: Sequence[BatchEntry], beat: Callable[[], None]
) -> Iterator[bool]:
    """Let SQL see the lines of these batches in `lines` for a while; yield whether one may stand twice in its batch.

    Raises DamagedBatch if one is not as its ledger line says.
    """
    if database.suits_few:
        lines = list_batches(layout, stream, entries, beat)
        database.insert("lines", lines)
        texts = list(zip(lines["batch_number"], lines["raw"], strict=True))
        yield len(set(texts)) < len(texts)
        return
    with registered(database.connection, "lines", read_batches(layout, stream, entries, beat)):
        yield True


def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def days_of_deliveries(database: Database, after: int) -> list[date]:
    """Return the days for which judged lines after a batch tell of deliveries."""
    found = database.run(
        """SELECT DISTINCT timezone('UTC', timestamp)::DATE FROM judged
        WHERE event_type = 'delivered' AND batch_number > $after ORDER BY 1""",
        {"after": after},
    )
    return [day for (day,) in found.fetchall()]
