"""Published batches of any content, whatever a generator would write."""

import hashlib
from collections.abc import Sequence

from fleetgen.domain.records import SECOND, Interval, Stream, iso
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry


def published(layout: Layout, contents: Sequence[bytes]) -> list[BatchEntry]:
    """Write batches of events with these contents; return what the ledger would say of each."""
    entries = []
    for number, content in enumerate(contents):
        interval = Interval(number * 10 * SECOND, (number + 1) * 10 * SECOND)
        folder = layout.batch(Stream.EVENTS, interval.batch_id)
        folder.mkdir(parents=True)
        (folder / "events.jsonl").write_bytes(content)
        entries.append(
            BatchEntry(
                start=iso(interval.start),
                end=iso(interval.end),
                segment=1,
                company_count=1,
                batch_number=number,
                batch_id=interval.batch_id,
                mode="emulated",
                record_count=content.count(b"\n"),
                valid_count=content.count(b"\n"),
                corrupted_count=0,
                bytes=len(content),
                parts=1,
                sha256=hashlib.sha256(content).hexdigest(),
                schema_version=2,
            )
        )
    return entries
