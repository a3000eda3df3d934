"""Owns the metrics of a generator process: one registry, served on one port. What they mean stands in their help texts.

Totals are exported as the manifest has them, so they go on after a restart and always equal what is on disk.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import prometheus_client
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from fleetgen.domain.records import ISSUE_TYPES, SECOND, Settings, Stream
from fleetgen.errors import HeldByAnother
from fleetgen.generation.outcomes import LeftOut, Published
from fleetgen.storage.ledger import GapReason
from fleetgen.storage.manifest import Totals
from fleetgen.telemetry.families import BuildInfo, Declared, KnownGauges, batch_exemplar
from fleetgen.telemetry.serving import MetricsServer, start_serving

MODES = ("emulated", "production")
GAP_REASONS: tuple[GapReason, ...] = ("paused", "backpressure", "downtime", "disk", "fault")
PHASES = ("generate", "encode", "publish", "record")
ERROR_PHASES = ("batch", "config", "derived")

_TIMING_BUCKETS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
_SIZE_BUCKETS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000, 100_000, 500_000, 1_000_000)


def serve_metrics(registry: CollectorRegistry, address: str, port: int) -> MetricsServer:
    """Serve /metrics in a thread; raise HeldByAnother if the port is taken."""
    try:
        return start_serving(registry, address, port)
    except OSError as fault:
        if fault.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            raise
        raise HeldByAnother(
            f"Cannot serve metrics on {address}:{port}: {fault.strerror}. Stop what uses the port, "
            "or set another one in [metrics] of the configuration."
        ) from fault


@contextmanager
def served_metrics(registry: CollectorRegistry, address: str, port: int) -> Iterator[None]:
    """Serve /metrics for a block; raise HeldByAnother if the port is taken."""
    server = serve_metrics(registry, address, port)
    try:
        yield
    finally:
        server.shutdown()


_HISTOGRAMS = (
    Declared(
        "batch_start_lag_seconds",
        "Actual start of a batch minus the instant at which it was due.",
        buckets=_TIMING_BUCKETS,
    ),
    Declared(
        "batch_interval_deviation_seconds",
        "Absolute difference between the actual and the scheduled time since the batch before.",
        buckets=_TIMING_BUCKETS,
    ),
    Declared("batch_duration_seconds", "Time spent in each phase of a batch.", ("phase",), _TIMING_BUCKETS),
    Declared("batch_size_records", "Records in a batch.", buckets=_SIZE_BUCKETS),
    Declared("manifest_lock_wait_seconds", "Time waited for the manifest's lock.", buckets=_TIMING_BUCKETS),
)
_GAUGES = (
    Declared("batch_size_limit_records", "Bounds of a batch's size; NaN without bounds.", ("bound",)),
    Declared("batch_interval_seconds", "Target interval between batches."),
    Declared("configured_error_ratio", "Share of records that are to get an issue, from 0 to 1.", ("stream",)),
    Declared("paused", "1 while publishing is paused."),
    Declared(
        "backlog_limit_batches",
        "Batches of a stream that a consumer may not have acknowledged before it counts as behind.",
    ),
    Declared("backpressure_active", "1 while a consumer that is behind keeps batches from being published."),
    Declared("mode_active", "1 for the mode in force.", ("mode",)),
    Declared("companies_registered", "Companies registered since the dataset began."),
    Declared("data_disk_free_bytes", "Free space on the disk where the data lies."),
    Declared(
        "last_batch_completion_timestamp_seconds",
        "When the last batch was published, since the epoch; absent before the first.",
        ("stream",),
    ),
    Declared(
        "next_batch_scheduled_timestamp_seconds",
        "When the next batch is due, since the epoch; absent before the dataset has begun.",
        ("stream",),
    ),
    Declared("config_last_reload_successful", "1 if the configuration was valid when it was last read."),
    Declared(
        "config_last_reload_success_timestamp_seconds",
        "When the configuration was last read and valid, since the epoch; absent if it never was.",
    ),
)
_MISSED = Declared("batches_missed", "Intervals left out for good, by why.", ("stream", "reason"))
_BATCHES = Declared("batches", "Batches published, by the mode that they were made in.", ("stream", "mode"))
_CORRUPTED = Declared("records_corrupted", "Records published with an injected issue.", ("stream", "issue_type"))
_BACKFILLED = Declared("batches_backfilled", "Batches made after an outage.", ("stream",))
_RECORDS = Declared("records", "Records published.", ("stream",))
_BYTES = Declared("output_bytes", "Bytes of records published.", ("stream",))
_ERRORS = "Errors that were logged: work that is tried again, edits that are invalid, derived files that could not be written."


class GeneratorMetrics:
    """The metrics of the process that makes one stream."""

    def __init__(self, stream: Stream, mode: str) -> None:
        self.stream = stream
        self.registry = CollectorRegistry()
        self._totals = _TotalsCollector(stream)
        self._gauges = KnownGauges(_GAUGES)
        self._build = BuildInfo(mode)
        ProcessCollector(registry=self.registry)
        for collector in (self._totals, self._gauges, self._build):
            self.registry.register(collector)
        self._histograms = {each.name: each.histogram(self.registry) for each in _HISTOGRAMS}
        self._errors = prometheus_client.Counter("fleetgen_errors_total", _ERRORS, ["phase"], registry=self.registry)
        self._previous: tuple[int, int] | None = None
        for phase in PHASES:
            self._histograms["batch_duration_seconds"].labels(phase)
        for phase in ERROR_PHASES:
            self._errors.labels(phase)

    def published(self, batch: Published) -> None:
        """Count a batch. One that was not waited for tells nothing of the cadence and is left out there."""
        exemplar = batch_exemplar(batch.entry.batch_id)
        self.totals(batch.head.totals)
        self._completed(batch.finished_at)
        self._histograms["batch_size_records"].observe(batch.entry.record_count, exemplar)
        for phase, seconds in batch.phases.items():
            self._histograms["batch_duration_seconds"].labels(phase).observe(seconds, exemplar)
        if batch.late or batch.first or batch.adopted:
            self._previous = None
            return
        self._histograms["batch_start_lag_seconds"].observe(
            max(0, batch.started_at - batch.scheduled_at) / SECOND, exemplar
        )
        if self._previous is not None:
            actual, scheduled = batch.started_at - self._previous[0], batch.scheduled_at - self._previous[1]
            self._histograms["batch_interval_deviation_seconds"].observe(abs(actual - scheduled) / SECOND, exemplar)
        self._previous = (batch.started_at, batch.scheduled_at)

    def left_out(self, gap: LeftOut) -> None:
        """Count a gap."""
        self.totals(gap.head.totals)
        self._previous = None

    def totals(self, totals: Totals) -> None:
        """Export the stream's totals as the manifest has them."""
        self._totals.totals = totals

    def in_force(self, settings: Settings) -> None:
        """Export what the segment in force asks for."""
        least, most = settings.events_per_batch or (float("nan"), float("nan"))
        if self.stream is Stream.COMPANIES:
            least = most = settings.companies_per_batch
        self._build.mode = settings.mode
        self._gauges.set("batch_size_limit_records", least, "min")
        self._gauges.set("batch_size_limit_records", most, "max")
        self._gauges.set("batch_interval_seconds", settings.interval_seconds(self.stream))
        rate = settings.quality.error_rate(self.stream) if settings.quality else 0.0
        self._gauges.set("configured_error_ratio", rate, self.stream)
        for mode in MODES:
            self._gauges.set("mode_active", mode == settings.mode, mode)

    def standing(self, paused: bool, free_bytes: int) -> None:
        """Export what is so whether or not a dataset has begun."""
        self._gauges.set("paused", paused)
        self._gauges.set("data_disk_free_bytes", free_bytes)

    def progress(self, companies: int, last_published: int | None, next_due: int | None) -> None:
        """Export how far the dataset has come; instants that there are none of are absent."""
        self._gauges.set("companies_registered", companies)
        self._completed(last_published)
        due = None if next_due is None else next_due / SECOND
        self._gauges.set_or_forget("next_batch_scheduled_timestamp_seconds", due, self.stream)

    def backpressure(self, active: bool, limit: int) -> None:
        """Export whether a consumer holds the stream up, and from which backlog on one does."""
        self._gauges.set("backpressure_active", active)
        self._gauges.set("backlog_limit_batches", limit)

    def config_read(self, valid: bool, at: int) -> None:
        """Export whether the configuration was valid when it was last read."""
        self._gauges.set("config_last_reload_successful", valid)
        if valid:
            self._gauges.set("config_last_reload_success_timestamp_seconds", at / SECOND)

    def _completed(self, at: int | None) -> None:
        when = None if at is None else at / SECOND
        self._gauges.set_or_forget("last_batch_completion_timestamp_seconds", when, self.stream)

    def lock_waited(self, seconds: float) -> None:
        self._histograms["manifest_lock_wait_seconds"].observe(seconds)

    def error(self, phase: str) -> None:
        self._errors.labels(phase).inc()


class _TotalsCollector(Collector):
    """Exports the manifest's totals of a stream as counters.

    Nothing until it was read: a 0 of a process that has just begun would be taken for a reset.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.totals: Totals | None = None

    def collect(self) -> Iterator[Metric]:
        known = self.totals
        for declared, values in _values(self.stream.value, known or Totals()):
            yield _counted(declared, {} if known is None else values)


def _values(stream: str, totals: Totals) -> Iterator[tuple[Declared, dict[tuple[str, ...], int]]]:
    yield _BATCHES, {(stream, mode): totals.batches.get(mode, 0) for mode in MODES}
    yield _MISSED, {(stream, reason): totals.missed.get(reason, 0) for reason in GAP_REASONS}
    yield _CORRUPTED, {(stream, kind): totals.issues.get(kind, 0) for kind in ISSUE_TYPES}
    yield _BACKFILLED, {(stream,): totals.backfilled}
    yield _RECORDS, {(stream,): totals.records}
    yield _BYTES, {(stream,): totals.bytes}


def _counted(declared: Declared, values: dict[tuple[str, ...], int]) -> CounterMetricFamily:
    family = declared.counter()
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
