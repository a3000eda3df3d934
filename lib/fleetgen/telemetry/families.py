"""Owns the kinds of metrics that every process has: gauges that appear once they are known, and what is in use.

Names go without the prefix `fleetgen_`; a name that ends in a unit of OpenMetrics is exported with that unit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import prometheus_client
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fleetgen import __version__
from fleetgen.domain.records import ALGORITHM

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_UNITS = ("seconds", "bytes", "ratio")

BUILD_INFO = "What runs: fleetgen's version, the version of its algorithm, and the mode in force. Always 1."


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric as it is declared."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def unit(self) -> str:
        """The unit that its name ends in, or nothing."""
        return next((unit for unit in _UNITS if self.name.endswith(f"_{unit}")), "")

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        """Return the histogram that is declared."""
        return Histogram(
            f"fleetgen_{self.name}", self.text, self.labels, unit=self.unit, buckets=self.buckets, registry=registry
        )

    def gauge(self) -> GaugeMetricFamily:
        """Return the gauge that is declared, without a sample."""
        return GaugeMetricFamily(f"fleetgen_{self.name}", self.text, labels=self.labels, unit=self.unit)

    def counter(self) -> CounterMetricFamily:
        """Return the counter that is declared, without a sample; `_total` is not part of its name here."""
        return CounterMetricFamily(f"fleetgen_{self.name}", self.text, labels=self.labels, unit=self.unit)


class KnownGauges(Collector):
    """Gauges of which each is exported from when it is set, so that nobody takes "not known" for 0."""

    def __init__(self, declared: Sequence[Declared]) -> None:
        self._declared = declared
        self._values: dict[str, dict[tuple[str, ...], float]] = {each.name: {} for each in declared}

    def set(self, name: str, value: float, *labels: str) -> None:
        """Export a value under these labels."""
        self._values[name] = {**self._values[name], labels: value}

    def set_or_forget(self, name: str, value: float | None, *labels: str) -> None:
        """Export a value, or nothing where there is none."""
        others = {key: known for key, known in self._values[name].items() if key != labels}
        self._values[name] = others if value is None else {**others, labels: value}

    def collect(self) -> Iterator[Metric]:
        for each in self._declared:
            family = each.gauge()
            for labels, value in self._values[each.name].items():
                family.add_metric(labels, value)
            yield family


class BuildInfo(Collector):
    """Exports what runs, as the label set of one series."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def collect(self) -> Iterator[Metric]:
        family = Declared("build_info", BUILD_INFO, ("version", "algorithm", "mode")).gauge()
        family.add_metric([__version__, str(ALGORITHM), self.mode], 1)
        yield family


def batch_exemplar(batch_id: str) -> dict[str, str]:
    """Return the exemplar that leads from an observation to its batch."""
    return {"batch_id": batch_id}
