"""Owns the metrics of a generator process: one registry, served on one port. What they mean stands in their help texts.

Totals are exported as the manifest has them, so they go on after a restart and always equal what is on disk.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from fleetgen import __version__
from fleetgen.domain.records import ISSUE_TYPES, SECOND, Settings, Stream
from fleetgen.errors import HeldByAnother
from fleetgen.generation.outcomes import LeftOut, Published
from fleetgen.storage.manifest import Totals
from fleetgen.telemetry.serving import MetricsServer, start_serving

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

MODES = ("emulated", "production")
GAP_REASONS = ("paused", "backpressure", "downtime", "disk", "fault")
PHASES = ("generate", "encode", "publish", "record")
ERROR_PHASES = ("batch", "config")

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
            f"Cannot serve metrics on {address}:{port}: {fault.strerror}. Stop what uses the port, or start with "
            "--port-offset N, or change [metrics] in the configuration."
        ) from fault


@contextmanager
def served_metrics(registry: CollectorRegistry, address: str, port: int) -> Iterator[None]:
    """Serve /metrics for a block; raise HeldByAnother if the port is taken."""
    server = serve_metrics(registry, address, port)
    try:
        yield
    finally:
        server.shutdown()


@dataclass(frozen=True, slots=True)
class _Declared:
    """A metric as it is declared; its name goes without the prefix."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = _TIMING_BUCKETS


_HISTOGRAMS = (
    _Declared("batch_start_lag_seconds", "Actual minus scheduled start of a batch."),
    _Declared(
        "batch_interval_deviation_seconds",
        "Absolute difference between the actual and the scheduled time since the batch before.",
    ),
    _Declared("batch_duration_seconds", "Time spent in each phase of a batch.", ("phase",)),
    _Declared("batch_size_records", "Records in a batch.", buckets=_SIZE_BUCKETS),
    _Declared("manifest_lock_wait_seconds", "Time waited for the manifest's lock."),
)
_GAUGES = (
    _Declared("batch_size_limit_records", "Bounds of a batch's size; NaN without bounds.", ("bound",)),
    _Declared("batch_interval_seconds", "Target interval between batches."),
    _Declared("configured_error_ratio", "Share of records that are to get an issue.", ("stream",)),
    _Declared("paused", "1 while publishing is paused."),
    _Declared("mode_active", "1 for the mode in force.", ("mode",)),
    _Declared("companies_registered", "Companies registered since the dataset began."),
    _Declared("data_disk_free_bytes", "Free space where the data lies."),
    _Declared("last_batch_completion_timestamp_seconds", "When the last batch was published.", ("stream",)),
    _Declared("next_batch_scheduled_timestamp_seconds", "When the next batch is due.", ("stream",)),
    _Declared("config_last_reload_successful", "1 if the configuration was valid when last read."),
    _Declared("config_last_reload_success_timestamp_seconds", "When the configuration was last read and valid."),
    _Declared("build_info", "The version in use.", ("version",)),
)
_ERRORS = "Errors that were logged: work that is tried again, edits that are invalid."


class GeneratorMetrics:
    """The metrics of the process that makes one stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._totals = _TotalsCollector(stream)
        self.registry.register(self._totals)
        self._histograms = {
            each.name: Histogram(
                f"fleetgen_{each.name}", each.text, each.labels, buckets=each.buckets, registry=self.registry
            )
            for each in _HISTOGRAMS
        }
        self._gauges = {
            each.name: Gauge(f"fleetgen_{each.name}", each.text, each.labels, registry=self.registry)
            for each in _GAUGES
        }
        self._errors = prometheus_client.Counter("fleetgen_errors_total", _ERRORS, ["phase"], registry=self.registry)
        self._previous: tuple[int, int] | None = None
        self._know_labels()

    def _know_labels(self) -> None:
        """Export every label set at 0 from the start."""
        self._gauges["build_info"].labels(__version__).set(1)
        for phase in PHASES:
            self._histograms["batch_duration_seconds"].labels(phase)
        for phase in ERROR_PHASES:
            self._errors.labels(phase)
        for gauge in _GAUGES:
            if gauge.labels == ("stream",):
                self._gauges[gauge.name].labels(self.stream)

    def published(self, batch: Published) -> None:
        """Count a batch. One that was not waited for tells nothing of the cadence and is left out there."""
        self.totals(batch.head.totals)
        self._histograms["batch_size_records"].observe(batch.entry.record_count)
        for phase, seconds in batch.phases.items():
            self._histograms["batch_duration_seconds"].labels(phase).observe(seconds)
        self._gauges["last_batch_completion_timestamp_seconds"].labels(self.stream).set(batch.finished_at / SECOND)
        if batch.late or batch.first:
            self._previous = None
            return
        self._histograms["batch_start_lag_seconds"].observe(max(0, batch.started_at - batch.scheduled_at) / SECOND)
        if self._previous is not None:
            actual, scheduled = batch.started_at - self._previous[0], batch.scheduled_at - self._previous[1]
            self._histograms["batch_interval_deviation_seconds"].observe(abs(actual - scheduled) / SECOND)
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
        self._gauges["batch_size_limit_records"].labels("min").set(least)
        self._gauges["batch_size_limit_records"].labels("max").set(most)
        self._gauges["batch_interval_seconds"].set(settings.interval_seconds(self.stream))
        rate = settings.quality.error_rate(self.stream) if settings.quality else 0.0
        self._gauges["configured_error_ratio"].labels(self.stream).set(rate)
        for mode in MODES:
            self._gauges["mode_active"].labels(mode).set(mode == settings.mode)

    def standing(self, paused: bool, companies: int, next_due: int | None, free_bytes: int) -> None:
        """Export where things stand."""
        self._gauges["paused"].set(paused)
        self._gauges["companies_registered"].set(companies)
        self._gauges["data_disk_free_bytes"].set(free_bytes)
        if next_due is not None:
            self._gauges["next_batch_scheduled_timestamp_seconds"].labels(self.stream).set(next_due / SECOND)

    def config_read(self, valid: bool, at: int) -> None:
        """Export whether the configuration was valid when it was last read."""
        self._gauges["config_last_reload_successful"].set(valid)
        if valid:
            self._gauges["config_last_reload_success_timestamp_seconds"].set(at / SECOND)

    def lock_waited(self, seconds: float) -> None:
        self._histograms["manifest_lock_wait_seconds"].observe(seconds)

    def error(self, phase: str) -> None:
        self._errors.labels(phase).inc()


class _TotalsCollector(Collector):
    """Exports the manifest's totals of a stream as counters."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.totals = Totals()

    def collect(self) -> Iterator[Any]:
        totals, stream = self.totals, self.stream.value
        batches = CounterMetricFamily("fleetgen_batches", "Batches published.", labels=["stream", "mode"])
        for mode in MODES:
            batches.add_metric([stream, mode], totals.batches.get(mode, 0))
        missed = CounterMetricFamily(
            "fleetgen_batches_missed", "Intervals left out for good.", labels=["stream", "reason"]
        )
        for reason in GAP_REASONS:
            missed.add_metric([stream, reason], totals.missed.get(reason, 0))  # type: ignore[call-overload]
        yield batches
        yield missed
        corrupted = CounterMetricFamily(
            "fleetgen_records_corrupted", "Records published with an injected issue.", labels=["stream", "issue_type"]
        )
        for kind in ISSUE_TYPES:
            corrupted.add_metric([stream, kind], totals.issues.get(kind, 0))
        yield corrupted
        yield self._total("fleetgen_batches_backfilled", "Batches made after an outage.", totals.backfilled)
        yield self._total("fleetgen_records", "Records published.", totals.records)
        yield self._total("fleetgen_output_bytes", "Bytes of records published.", totals.bytes)

    def _total(self, name: str, text: str, value: int) -> CounterMetricFamily:
        family = CounterMetricFamily(name, text, labels=["stream"])
        family.add_metric([self.stream.value], value)
        return family
