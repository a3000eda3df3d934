"""Owns what a decision came to: a batch that was published, or intervals that were left out."""

from dataclasses import dataclass, field

from fleetgen.storage.ledger import BatchEntry, GapEntry
from fleetgen.storage.manifest import Head


@dataclass(frozen=True, slots=True)
class Published:
    """A batch that was published, and how it went."""

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


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Intervals that were recorded as a gap."""

    entry: GapEntry
    head: Head
