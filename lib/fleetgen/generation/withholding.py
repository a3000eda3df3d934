"""Owns what keeps a batch from being published though it is due: a consumer that is behind, a disk that is nearly full.

What becomes of the interval then is `cadence.schedule`'s.
"""

import shutil
from dataclasses import dataclass

from fleetgen.cadence.schedule import Withheld
from fleetgen.config.tables.limits import Backpressure, Retention
from fleetgen.domain.records import Stream
from fleetgen.storage.layout import Layout
from fleetgen.storage.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Behind:
    """A consumer that has a stream's backlog at the limit."""

    consumer: str
    stream: Stream
    backlog: int
    """Published batches that it has not acknowledged."""

    def __str__(self) -> str:
        return f"consumer {self.consumer} has not acknowledged {self.backlog:,} batches of {self.stream}"


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing of a stream is published now."""

    reason: Withheld
    detail: str


def behind(manifest: Manifest, backpressure: Backpressure, stream: Stream) -> list[Behind]:
    """Return the consumers whose acknowledgements count and that are behind by the limit."""
    if backpressure.action == "off":
        return []
    found = (Behind(name, stream, manifest.backlog(name, stream)) for name in sorted(manifest.consumers))
    return [
        each
        for each in found
        if each.consumer in backpressure.consumers and each.backlog >= backpressure.max_backlog_batches
    ]


def free_bytes(layout: Layout) -> int:
    """Return the free space where the data lies, or will lie."""
    return shutil.disk_usage(layout.data if layout.data.exists() else layout.data.parent).free


def shortage(free: int, retention: Retention) -> str | None:
    """Say that too little room is left to publish anything; None where there is enough."""
    if free >= retention.min_free_bytes:
        return None
    return f"{free:,} bytes are free on the data's disk, and retention.min_free_bytes is {retention.min_free_bytes:,}"


def hold(
    layout: Layout, manifest: Manifest, stream: Stream, backpressure: Backpressure, retention: Retention
) -> Hold | None:
    """Return what keeps a stream's next batch from being published, or None."""
    if (short := shortage(free_bytes(layout), retention)) is not None:
        return Hold("disk", short)
    if backpressure.action == "pause" and (slow := behind(manifest, backpressure, stream)):
        return Hold("backpressure", "; ".join(map(str, slow)))
    return None
