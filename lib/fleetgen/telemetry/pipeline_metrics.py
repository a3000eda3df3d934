"""Owns the metrics of the pipeline process. Record counts are those of the tables, so they go on after a restart."""

from collections import Counter
from collections.abc import Iterator

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from fleetgen import __version__
from fleetgen.domain.records import Stream

STAGES = ("bronze_to_silver", "silver_to_gold", "end_to_end")
OUTCOMES = ("accepted", "quarantined", "duplicate")

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class PipelineMetrics:
    """The metrics of the process that carries batches on."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._latency = Histogram(
            "fleetgen_pipeline_latency_seconds",
            "Time from a batch's publication to its commits in silver and in gold.",
            ["stage"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._errors = prometheus_client.Counter(
            "fleetgen_errors_total",
            "Errors that were logged: work that is tried again.",
            ["phase"],
            registry=self.registry,
        )
        self._records = _Records()
        self.registry.register(self._records)
        Gauge("fleetgen_build_info", "The version in use.", ["version"], registry=self.registry).labels(
            __version__
        ).set(1)
        for stage in STAGES:
            self._latency.labels(stage)
        self._errors.labels("batch")

    def took(self, bronze_to_silver: float, silver_to_gold: float) -> None:
        """Count the seconds that a batch took."""
        for stage, seconds in zip(
            STAGES, (bronze_to_silver, silver_to_gold, bronze_to_silver + silver_to_gold), strict=True
        ):
            self._latency.labels(stage).observe(seconds)

    def records(self, totals: dict[Stream, Counter[str]]) -> None:
        """Export the records in the tables, by stream and outcome."""
        self._records.totals = totals

    def failed(self) -> None:
        """Count work that is tried again."""
        self._errors.labels("batch").inc()


class _Records(Collector):
    def __init__(self) -> None:
        self.totals: dict[Stream, Counter[str]] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "fleetgen_pipeline_records",
            "Lines of bronze that were judged, by what became of them.",
            labels=["table", "outcome"],
        )
        for stream in Stream:
            for outcome in OUTCOMES:
                family.add_metric([stream.value, outcome], self.totals.get(stream, Counter())[outcome])
        yield family
