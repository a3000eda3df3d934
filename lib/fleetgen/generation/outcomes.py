"""Owns what a decision came to: a batch that was published, or intervals that were left out."""

from dataclasses import dataclass, field

from fleetgen.domain.records import Settings, Stream
from fleetgen.storage.ledger import BatchEntry, GapEntry
from fleetgen.storage.manifest import Head


@dataclass(frozen=True, slots=True)
class Published:
    """A batch that was published, and how it went."""

    stream: Stream
    entry: BatchEntry
    head: Head
    scheduled_at: int
    started_at: int
    finished_at: int
    late: bool
    """It fell due while nobody attended."""
    first: bool
    """It is the stream's first, made at once."""
    dirty: bool
    """Issues were injected, if any were drawn."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds spent in each phase."""
    target_count: int | None = None
    adopted: bool = False
    """It was published but not recorded, by a crash or a fault, and was found afterwards."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Intervals that were recorded as a gap."""

    entry: GapEntry
    head: Head


def adopted(
    stream: Stream, entry: BatchEntry, head: Head, clock: tuple[int, int, int], settings: Settings
) -> Published:
    """Return what is known of a batch that was found published but not recorded; it tells nothing of the cadence."""
    scheduled_at, started_at, finished_at = clock
    return Published(
        stream,
        entry,
        head,
        scheduled_at,
        started_at,
        finished_at,
        late=False,
        first=False,
        dirty=settings.quality is not None,
        target_count=settings.target_count(stream),
        adopted=True,
    )
