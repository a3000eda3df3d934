"""Published batches with other lines than those that were made: files of any bytes, with the ledger's line of them."""

import hashlib

from fleetgen.domain.records import Stream
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from support.nasty_lines import NASTY

INTERVAL = {"start": "2026-01-05T12:00:00Z", "end": "2026-01-05T12:00:10Z"}
"""In which the events lie that `nasty_lines` makes."""


def put(layout: Layout, entry: BatchEntry, content: bytes) -> BatchEntry:
    """Give a batch another content; return what the ledger would say of it."""
    (layout.batch(Stream.EVENTS, entry.batch_id) / "events.jsonl").write_bytes(content)
    lines = content.count(b"\n") + (not content.endswith(b"\n"))
    told = {"sha256": hashlib.sha256(content).hexdigest(), "record_count": lines, "bytes": len(content)}
    return BatchEntry.model_validate(entry.model_dump() | told | INTERVAL)


def put_nasty(layout: Layout, entry: BatchEntry) -> BatchEntry:
    """Give a batch every nasty line."""
    return put(layout, entry, b"\n".join(each.line for each in NASTY))
