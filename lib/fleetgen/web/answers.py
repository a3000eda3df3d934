"""Owns the shapes of what the API answers; OpenAPI is made from them. Units are in the names."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from fleetgen.domain.records import Stream
from fleetgen.storage.manifest import Latencies

Time = Annotated[str, Field(description="UTC, RFC 3339 with microseconds", examples=["2026-11-22T10:00:00.000000Z"])]
Count = Annotated[int, Field(ge=0)]


class Answer(BaseModel):
    """The base of all answers: no field is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Problem(Answer):
    """What a refused or failed request gets."""

    error: str
    """A code for programs."""
    detail: str
    """A sentence for people."""
    timestamp: Time


class Reason(Answer):
    """Why the set is degraded."""

    code: Literal[
        "process_down",
        "process_hung",
        "crash_loop",
        "supervisor_unreachable",
        "stream_late",
        "disk_full",
        "config_invalid",
        "clock_behind",
        "manifest_rebuilt",
        "manifest_unreadable",
    ]
    detail: str


class Uptime(Answer):
    """How long the set has been up."""

    seconds: float
    hours: float
    start_time: Time


class StreamFacts(Answer):
    """What the generator of a stream has done; null before the first batch."""

    total_batches: Count
    total_records: Count
    last_batch_id: str | None
    last_batch_time: Time | None
    idle_seconds: float | None


class EventStreamFacts(StreamFacts):
    """The same of the events."""

    last_interval_end: Time | None


class Lifecycle(Answer):
    """What was asked of the set."""

    paused: bool
    paused_at: Time | None
    pause_reason: str | None
    shutdown_requested: bool


class SavedState(Answer):
    """The manifest's file."""

    last_saved: Time | None
    state_file: str


class ProcessFacts(Answer):
    """A supervised process."""

    name: str
    state: str
    pid: int | None
    uptime_seconds: float
    restarts: Count


class QualityFacts(Answer):
    """What is injected."""

    enabled: bool
    event_error_rate: float
    company_error_rate: float
    records_corrupted: dict[Stream, Count]
    issue_counts: dict[str, Count]


class ConsumerFacts(Answer):
    """A pipeline that acknowledges batches."""

    name: str
    acknowledged: dict[Stream, int]
    backlog: dict[Stream, Count]
    acknowledged_at: Time | None


class PipelineFacts(Answer):
    """How far bronze has been carried on."""

    latencies: Latencies | None
    """Seconds of the newest batch that the set's own pipeline carried to gold."""
    backlog: dict[Stream, Count] | None
    """Batches that it has not acknowledged yet."""
    consumers: list[ConsumerFacts]


class Cadence(Answer):
    """The pace of the newest batches of both streams; null before the second."""

    batches_per_minute: float | None
    records_per_second: float | None
    start_lag_p99_seconds: float | None


class ConfigFacts(Answer):
    """The configuration in force."""

    valid: bool
    """Whether the file is valid as it is now."""
    error: str | None
    digest: str
    """SHA-256 of the text in force."""
    loaded_at: Time


class AutoReinit(Answer):
    """The last time that a resume had an empty dataset begun anew; stays true after the first."""

    performed: bool
    at: Time | None
    actions: list[str]
    missing_files: list[str]


class Verification(Answer):
    """Whether there is data, by a look at two paths."""

    companies_exists: bool
    events_exists: bool
    missing: list[str]
    event_file_count: Count
    """Published batches of events, by the manifest."""


class EventsRange(Answer):
    """Bounds of a batch's size."""

    min: int
    max: int


class EmulatedConfig(Answer):
    """The cadence of emulated mode."""

    company_interval_seconds: int
    driver_interval_seconds: int
    companies_per_batch: int
    events_per_batch_range: EventsRange


class Health(Answer):
    """How the set is."""

    status: Literal["running", "paused", "degraded"]
    reasons: list[Reason]
    timestamp: Time
    generation_mode: Literal["emulated", "production"]
    dataset_id: str | None
    uptime: Uptime
    company_generator: StreamFacts
    driver_generator: EventStreamFacts
    lifecycle: Lifecycle
    state: SavedState
    processes: list[ProcessFacts]
    quality: QualityFacts
    pipeline: PipelineFacts
    cadence: Cadence
    config: ConfigFacts
    auto_reinit: AutoReinit
    auto_reinit_count: Count
    verification: Verification


class EmulatedHealth(Health):
    """How the set is, in emulated mode."""

    emulated_config: EmulatedConfig


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
