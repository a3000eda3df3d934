"""Owns the vocabulary of the data: streams, intervals, settings, segments and the fields of the records, in their order.

How values are drawn is left to `companies` and `drivers`, how they are written to `encoding`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal, get_args

ALGORITHM = 1
"""Version of the way from a segment to bytes; it changes together with the committed fingerprints."""

SCHEMA_VERSION = 2
"""Version of the files' layout. In version 1 `sha256` of a batch of several parts was that of all its bytes."""

SECOND = 1_000_000
"""Microseconds in a second: instants are whole microseconds since 1970-01-01T00:00:00Z."""
_EPOCH = datetime(1970, 1, 1)
"""Without its zone, which is written as Z."""

Geography = Literal["US", "EU", "SA", "AUS"]
EventType = Literal["start driving", "stopped driving", "delivered"]
GEOGRAPHIES: tuple[str, ...] = get_args(Geography)
EVENT_TYPES: tuple[str, ...] = get_args(EventType)

IssueType = Literal[
    "missing_field", "null_value", "malformed_timestamp", "invalid_enum", "duplicate", "boundary_violation"
]
ISSUE_TYPES: tuple[str, ...] = get_args(IssueType)

COMPANY_FIELDS = ("company_id", "geography", "active", "created_at")
EVENT_FIELDS = ("event_id", "driver_id", "company_id", "truck_id", "event_type", "timestamp")


class Stream(StrEnum):
    """The two streams, under the names that folders, labels, queries and arguments use."""

    COMPANIES = "companies"
    EVENTS = "events"


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A half-open span ``[start, end)`` in microseconds since the epoch, on whole seconds."""

    start: int
    end: int

    @property
    def seconds(self) -> int:
        """Length in seconds."""
        return (self.end - self.start) // SECOND

    @property
    def batch_id(self) -> str:
        """The start as ``YYYYMMDDTHHMMSSZ``."""
        return batch_id(self.start)


def batch_id(start: int) -> str:
    """Return the name of the batch whose interval starts at this instant."""
    return utc(start).strftime("%Y%m%dT%H%M%SZ")


def is_batch_id(name: str) -> bool:
    """Whether a name is one that a batch can have."""
    try:
        return batch_id(instant_of(name)) == name
    except ValueError:
        return False


def instant_of(batch_id: str) -> int:
    """Return the instant at which the interval of the batch with this name starts; raise ValueError for no such name."""
    moment = datetime.strptime(batch_id, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return instant(moment.isoformat())


def utc(instant: int) -> datetime:
    """Return microseconds since the epoch as an aware datetime."""
    return datetime.fromtimestamp(instant // SECOND, UTC).replace(microsecond=instant % SECOND)


def iso(instant: int) -> str:
    """Return an instant as ``2026-01-31T12:00:00.000000Z``; always six decimals."""
    return f"{(_EPOCH + timedelta(microseconds=instant)).isoformat(timespec='microseconds')}Z"


def instant(text: str) -> int:
    """Read an ISO 8601 timestamp with a zone into microseconds since the epoch; raise ValueError without one."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    since_epoch = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * SECOND + since_epoch.microseconds


@dataclass(frozen=True, slots=True)
class Quality:
    """What is injected, and how often."""

    event_error_rate: float
    """Share of the drawn events that get exactly one issue."""
    company_error_rate: float
    weights: Mapping[str, float]
    """Relative weights of the issue types."""

    def error_rate(self, stream: Stream) -> float:
        """Share of the stream's records that get an issue."""
        return self.company_error_rate if stream is Stream.COMPANIES else self.event_error_rate


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings that decide the bytes, for the one mode that is in force."""

    mode: str
    seed: int
    drivers_per_company: int
    max_active_companies: int
    event_rate_per_driver: float
    """Expected events per driver in 15 minutes."""
    geography_weights: Mapping[str, float]
    active_probability: float
    event_type_weights: Mapping[str, float]
    company_interval_seconds: int
    driver_interval_seconds: int
    companies_per_batch: int
    events_per_batch: tuple[int, int] | None
    """Bounds of a batch's size; None: the size is Poisson."""
    quality: Quality | None = None
    """None: nothing is injected."""

    def target_count(self, stream: Stream) -> int | None:
        """Records that every batch of the stream has; None where the size is drawn."""
        return self.companies_per_batch if stream is Stream.COMPANIES else None

    def interval_seconds(self, stream: Stream) -> int:
        """Length of the stream's grid interval."""
        return self.company_interval_seconds if stream is Stream.COMPANIES else self.driver_interval_seconds


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of a dataset with one set of settings, and the numbers at which each stream enters it."""

    number: int
    instant: int
    algorithm: int
    first_company_batch: int
    first_company: int
    first_event_batch: int
    settings: Settings

    def first_batch(self, stream: Stream) -> int:
        """Number of the first batch of the stream in this segment."""
        return self.first_company_batch if stream is Stream.COMPANIES else self.first_event_batch


def segment_of(segments: Sequence[Segment], stream: Stream, batch_number: int) -> Segment:
    """Return the segment that a batch number belongs to: the newest that begins at or before it; raise LookupError."""
    for segment in reversed(segments):
        if segment.first_batch(stream) <= batch_number:
            return segment
    raise LookupError(f"batch {batch_number} of {stream} belongs to no segment")
