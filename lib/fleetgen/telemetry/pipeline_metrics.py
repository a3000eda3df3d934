"""Owns the metrics of the pipeline process. Record counts are those of the tables, so they go on after a restart."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product

import prometheus_client
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from fleetgen.domain.records import ISSUE_TYPES, Stream
from fleetgen.telemetry.families import BuildInfo, Declared, KnownGauges, batch_exemplar

STAGES = ("bronze_to_silver", "silver_to_gold", "end_to_end")
OUTCOMES = ("accepted", "quarantined", "duplicate")


_LATENCY = Declared(
    "pipeline_latency_seconds",
    "Time from a batch's publication to its commits in silver and in gold.",
    ("stage",),
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)
_RECORDS = Declared(
    "pipeline_records", "Lines of bronze that were judged, by what became of them.", ("table", "outcome")
)
_HELD = Declared("pipeline_held_up", "1 while a damaged batch holds up the stream.", ("stream",))
_RECALL = Declared(
    "pipeline_recall_ratio",
    "Share of the records with an issue that the pipeline rejected, over its newest batches; NaN where there were none.",
    ("issue_type",),
)
_PRECISION = Declared(
    "pipeline_precision_ratio",
    "Share of the rejected records that have an issue, over the newest batches; NaN where none was rejected.",
)
_ERRORS = "Errors that were logged: work that is tried again."


class PipelineMetrics:
    """The metrics of the process that carries batches on."""

    def __init__(self, mode: str) -> None:
        self.registry = CollectorRegistry()
        self._records = _Records()
        self._gauges = KnownGauges((_HELD, _RECALL, _PRECISION))
        self._build = BuildInfo(mode)
        ProcessCollector(registry=self.registry)
        for collector in (self._records, self._gauges, self._build):
            self.registry.register(collector)
        self._latency = _LATENCY.histogram(self.registry)
        self._errors = prometheus_client.Counter("fleetgen_errors_total", _ERRORS, ["phase"], registry=self.registry)
        for stage in STAGES:
            self._latency.labels(stage)
        for stream in Stream:
            self.held_up(stream, False)
        self._errors.labels("batch")
        self.scored({}, None)

    def took(self, batch_id: str, bronze_to_silver: float, silver_to_gold: float) -> None:
        """Count the seconds that a batch took."""
        exemplar = batch_exemplar(batch_id)
        for stage, seconds in zip(
            STAGES, (bronze_to_silver, silver_to_gold, bronze_to_silver + silver_to_gold), strict=True
        ):
            self._latency.labels(stage).observe(seconds, exemplar)

    def mode_is(self, mode: str) -> None:
        """Export the mode in force."""
        self._build.mode = mode

    def held_up(self, stream: Stream, held: bool) -> None:
        """Export whether a damaged batch holds up a stream."""
        self._gauges.set("pipeline_held_up", held, stream)

    def scored(self, recall: Mapping[str, float], precision: float | None) -> None:
        """Export how well the newest batches were judged."""
        for kind in ISSUE_TYPES:
            self._gauges.set("pipeline_recall_ratio", recall.get(kind, math.nan), kind)
        self._gauges.set("pipeline_precision_ratio", math.nan if precision is None else precision)

    def records(self, totals: dict[Stream, Counter[str]]) -> None:
        """Export the records in the tables, by stream and outcome."""
        self._records.totals = totals

    def failed(self) -> None:
        """Count work that is tried again."""
        self._errors.labels("batch").inc()


class _Records(Collector):
    """Exports nothing until the tables were read: a 0 of a process that has just begun would be taken for a reset."""

    def __init__(self) -> None:
        self.totals: dict[Stream, Counter[str]] | None = None

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = _RECORDS.counter()
        if (totals := self.totals) is not None:
            for stream, outcome in product(Stream, OUTCOMES):
                family.add_metric([stream.value, outcome], totals.get(stream, Counter())[outcome])
        yield family
