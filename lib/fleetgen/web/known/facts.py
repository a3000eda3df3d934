"""Owns the shapes of what the API tells of the set's health, and what all answers have in common. Units are in the names."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from fleetgen.domain.records import Stream
from fleetgen.storage.manifest import Latencies

Time = Annotated[str, Field(description="UTC, RFC 3339 with microseconds", examples=["2026-11-22T10:00:00.000000Z"])]
Count = Annotated[int, Field(ge=0)]


class Answer(BaseModel):
    """The base of all answers: no field is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Reason(Answer):
    """Why the set is degraded."""

    code: Literal[
        "process_down",
        "process_hung",
        "crash_loop",
        "process_deaths",
        "supervisor_unreachable",
        "stream_late",
        "intervals_lost",
        "pipeline_behind",
        "backpressure",
        "consumer_behind",
        "disk_full",
        "data_unreachable",
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
    next_batch_time: Time | None
    """When the next batch is due; null while nothing is to come."""


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
    since: Time | None
    """Since when it is in this state."""


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


class ScoreFacts(Answer):
    """How well the set's own pipeline rejects what was injected, over its newest batches."""

    batches: Count
    recall: dict[str, float]
    """Share of the records with an issue that were rejected, by issue type; types that did not occur are left out."""
    overall_recall: float | None
    """The same over all types; null where nothing was injected."""
    precision: float | None
    """Share of the rejected records that have an issue; null where none was rejected."""
    misses: Count
    false_alarms: Count
    collateral: Count
    """Rejected events without an issue whose company's own record has one."""


class PipelineFacts(Answer):
    """How far bronze has been carried on."""

    latencies: Latencies | None
    """Seconds of the newest batch that the set's own pipeline carried to gold."""
    backlog: dict[Stream, Count] | None
    """Batches that it has not acknowledged yet."""
    lines: dict[Stream, dict[str, Count]] | None
    """Lines that it has carried since the dataset began, by outcome: accepted, quarantined, duplicate."""
    rejected: dict[str, Count] | None
    """Those of them that it rejected, by rule."""
    score: ScoreFacts | None
    consumers: list[ConsumerFacts]


class BlockingConsumer(Answer):
    """A consumer that is behind by the limit."""

    name: str
    stream: Stream
    backlog: Count


class BackpressureFacts(Answer):
    """Whether consumers that are behind hold publishing up."""

    active: bool
    action: Literal["pause", "warn", "off"]
    max_backlog_batches: Count
    behind: list[BlockingConsumer]
    """The consumers that are behind by the limit; with `pause` nothing of these streams is published."""


class DiskFacts(Answer):
    """The room where the data lies."""

    free_bytes: Count | None
    """Null while the disk cannot be asked."""
    min_free_bytes: Count
    """With less than this free nothing is published."""


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
    base_seed: int | None
    """The seed of the segment in force; null before the dataset has begun."""
    uptime: Uptime
    company_generator: StreamFacts
    driver_generator: EventStreamFacts
    lifecycle: Lifecycle
    state: SavedState
    processes: list[ProcessFacts]
    quality: QualityFacts
    pipeline: PipelineFacts
    backpressure: BackpressureFacts
    disk: DiskFacts
    cadence: Cadence
    config: ConfigFacts
    auto_reinit: AutoReinit
    auto_reinit_count: Count
    verification: Verification


class EmulatedHealth(Health):
    """How the set is, in emulated mode."""

    emulated_config: EmulatedConfig
