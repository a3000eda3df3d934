"""Owns the manifest: desired state, segments and each stream's head, in one file that processes share under a lock.

How it is read and written is `store`'s, and what may be written when is left to `generation`.
"""

import os
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from fleetgen.domain.records import Stream
from fleetgen.storage.ledger import GapReason

MANIFEST_VERSION = 7
"""Version 2 added `rebuilt_at`, 3 the totals of issues, 4 consumers and re-initialisations, 5 the gaps' reason `fault`,
6 what became of a consumer's lines, 7 since when a consumer is waited for, where those that left stand, and scores.

All are empty in older ones.
"""

MOST_CONSUMERS = 32


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def updated(self, **changes: Any) -> Self:
        """Return a copy with these fields changed."""
        return self.model_copy(update=changes)


class Totals(_Part):
    """What a stream has published since the dataset began."""

    batches: dict[str, int] = Field(default_factory=dict)
    """Batches by mode."""
    records: int = 0
    bytes: int = 0
    missed: dict[GapReason, int] = Field(default_factory=dict)
    """Intervals in gaps, by reason."""
    backfilled: int = 0
    issues: dict[str, int] = Field(default_factory=dict)
    """Records with an issue, by its type."""


class Head(_Part):
    """Where a stream stands. Instants are microseconds since the epoch."""

    stands_at: int = 0
    """End of the last decided interval: the watermark."""
    next_batch: int = 0
    next_company: int = 0
    """Number of the next company; 0 in the stream of events."""
    last_batch_id: str | None = None
    last_published_at: int | None = None
    totals: Totals = Totals()


class SegmentEntry(_Part):
    """A segment's place in the dataset; its settings are in its own file."""

    number: int
    instant: int
    algorithm: int
    digest: str
    first_company_batch: int
    first_company: int
    first_event_batch: int


class Desired(_Part):
    """What people asked for."""

    paused: bool = False
    paused_at: int | None = None
    resumed_at: int | None = None
    pause_reason: str | None = None

    def as_of(self, now: int) -> "Desired":
        """Return what is asked for now: a pause that ends in the future was ended while the clock was ahead, and is over."""
        ahead = not self.paused and self.resumed_at is not None and self.resumed_at > now
        return self.updated(paused_at=None, resumed_at=None) if ahead else self

    def paused_when(self, moment: int) -> bool:
        """Whether the last pause covers this instant."""
        if self.paused_at is None or moment < self.paused_at:
            return False
        return self.paused or (self.resumed_at is not None and moment < self.resumed_at)


class Latencies(_Part):
    """Seconds that a consumer's last batch took."""

    bronze_to_silver: float
    silver_to_gold: float
    end_to_end: float


class ScoreTold(_Part):
    """How well a consumer rejects, over the newest of its batches."""

    batches: int
    recall: dict[str, float]
    """Share of the records with an issue that were rejected, by issue type; types that did not occur are left out."""
    overall_recall: float | None
    precision: float | None
    """Share of the rejected records that have an issue; None where none was rejected."""
    misses: int
    false_alarms: int
    collateral: int
    """Rejected events without an issue whose company's own record has one."""


class Outcome(_Part):
    """What has become of the lines that a consumer has taken over, since the dataset began."""

    lines: dict[Stream, dict[str, int]]
    """Lines of each stream by outcome: ``accepted``, ``quarantined``, ``duplicate``."""
    rules: dict[str, int]
    """Rejected lines by the rule that rejected them."""
    score: ScoreTold | None = None


class Consumer(_Part):
    """A pipeline that acknowledges the batches it has taken over."""

    acknowledged: dict[Stream, int] = Field(default_factory=dict)
    """Number of the newest batch it has, by stream."""
    waited_from: dict[Stream, int] = Field(default_factory=dict)
    """Number of the first batch that is waited for, of streams of which it has not acknowledged any yet."""
    acknowledged_at: int | None = None
    latencies: Latencies | None = None
    outcome: Outcome | None = None

    def has(self, stream: Stream) -> int:
        """Return the number of the newest batch that it has, or that was there before it was waited for; -1 for none."""
        return self.acknowledged.get(stream, self.waited_from.get(stream, 0) - 1)


class Reinitialisation(_Part):
    """How often a resume found an empty dataset and had it begun anew, and the last time that it did."""

    count: int = 0
    at: int | None = None
    actions: tuple[str, ...] = ()
    missing_files: tuple[str, ...] = ()


class Manifest(_Part):
    """The shared state of one dataset. Its size does not depend on the number of batches."""

    schema_version: int = MANIFEST_VERSION
    dataset_id: str
    origin: int | None = None
    """The instant of the first start; None while the dataset is empty."""
    drawn_seed: int | None = None
    """The seed, where the configuration leaves it to be drawn."""
    segments: tuple[SegmentEntry, ...] = ()
    heads: dict[Stream, Head] = Field(default_factory=lambda: {stream: Head() for stream in Stream})
    desired: Desired = Desired()
    cleaning: str | None = None
    """Name of the trash folder while a clean is under way."""
    rebuilt_at: int | None = None
    """When the manifest was last made anew from the other files."""
    consumers: dict[str, Consumer] = Field(default_factory=dict)
    departed: dict[str, Consumer] = Field(default_factory=dict)
    """Consumers that have left, the latest to leave last: what they have not acknowledged is kept for them."""
    reinitialised: Reinitialisation = Reinitialisation()

    def backlog(self, consumer: str, stream: Stream) -> int:
        """Return how many published batches a consumer has not acknowledged."""
        known = self.consumers.get(consumer, Consumer())
        return max(0, self.head(stream).next_batch - 1 - known.has(stream))

    def head(self, stream: Stream) -> Head:
        return self.heads[stream]

    def with_head(self, stream: Stream, head: Head) -> "Manifest":
        """Return the manifest with this head for the stream."""
        return self.updated(heads={**self.heads, stream: head})


def empty_manifest() -> Manifest:
    """Return the manifest of a new, empty dataset."""
    return Manifest(dataset_id=os.urandom(16).hex())
