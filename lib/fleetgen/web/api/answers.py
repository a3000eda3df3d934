"""Owns the shapes of the API's other answers; OpenAPI is made from them. Units are in the names."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from fleetgen.domain.records import Stream
from fleetgen.web.known.facts import Answer, AutoReinit, Count, Time


class Problem(Answer):
    """What a refused or failed request gets."""

    error: str
    """A code for programs."""
    detail: str
    """A sentence for people."""
    timestamp: Time


class ResumeExtra(Answer):
    """What a resume set going."""

    baseline_actions: list[str]
    """What an empty stream gets at once, such as ``companies:10``."""
    pending: list[Stream]
    """Of these streams the first batch was not there yet when the answer was given."""
    auto_reinit: AutoReinit


class Changed(Answer):
    """What a pause or a resume did."""

    success: bool
    action: Literal["pause", "resume"]
    status: Literal["paused", "running"]
    timestamp: Time
    message: str
    error: str | None
    extra: ResumeExtra | None


class Cleaned(Answer):
    """What a clean did."""

    success: bool
    deleted_count: Count
    deleted_items: list[str]
    """Paths relative to the data directory."""
    duration_ms: float
    errors: list[str]


class LogEntry(Answer):
    """A log line."""

    timestamp: str
    ts: str
    level: str
    logger: str
    message: str
    extra: dict[str, object]


class LogPage(Answer):
    """Log lines, newest first."""

    entries: list[LogEntry]
    totalReturned: Count  # noqa: N815 - the name that older scripts know
    nextSince: str | None  # noqa: N815
    nextBefore: str | None  # noqa: N815


class Part(Answer):
    """A data file of a batch."""

    file: str
    record_count: Count
    bytes: Count
    sha256: str


class BatchMeta(BaseModel):
    """A batch's meta, as it stands beside its data."""

    model_config = ConfigDict(frozen=True, extra="allow")

    stream: Stream
    batch_id: str
    batch_number: Count
    segment: int
    generation_mode: str
    interval_start: Time
    interval_end: Time
    record_count: Count
    event_count: Count
    valid_count: Count
    corrupted_count: Count
    issue_counts: dict[str, Count]
    company_count: Count
    seed: int
    sha256: str
    bytes: Count
    parts: list[Part]
    scheduled_at: Time
    started_at: Time
    generation_time: Time
    duration_seconds: float


class Batches(Answer):
    """The newest batches, newest first."""

    batches: list[BatchMeta]


class BatchDetail(Answer):
    """One batch, looked at closely."""

    meta: BatchMeta
    lines: list[str]
    """The first lines of its data, as they were published."""
    issues: list[dict[str, object]]
    """The first issues that were injected, as in the truth: line, record_id, issue_type, field, original, injected."""
    rejected: dict[int, str] | None
    """The rule by line of lines that the own pipeline rejected, those with an issue first; null while that is not known."""


class ConsumerChanged(Answer):
    """What became of a consumer."""

    success: bool
    name: str
    registered: bool
    acknowledged: dict[Stream, int]
    backlog: dict[Stream, Count]


class Target(Answer):
    """One process for Prometheus to scrape."""

    targets: list[str]
    labels: dict[str, str]
