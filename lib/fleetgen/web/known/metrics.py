"""Owns the metrics of the control process: the state of every supervised process, and what is known of the dataset."""

from collections.abc import Callable, Iterator

import prometheus_client
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fleetgen import __version__
from fleetgen.domain.records import SECOND, Stream
from fleetgen.supervision.deaths import CAUSES
from fleetgen.web.known.following import Follower
from fleetgen.web.known.health import free_bytes
from fleetgen.web.known.supervised import Supervised

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


def control_registry(follower: Follower, supervised: Callable[[], Supervised]) -> CollectorRegistry:
    """Return the registry of the control process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Seen(follower, supervised))
    return registry


class _Seen(Collector):
    """Exports what was last seen."""

    def __init__(self, follower: Follower, supervised: Callable[[], Supervised]) -> None:
        self._follower, self._supervised = follower, supervised

    def collect(self) -> Iterator[Metric]:
        yield from self._processes(self._supervised())
        yield from self._consumers()
        manifest = self._follower.manifest
        yield _gauge("paused", "1 while publishing is paused.", bool(manifest and manifest.desired.paused))
        yield _gauge("data_disk_free_bytes", "Free space where the data lies.", free_bytes(self._follower))
        valid = self._follower.config_fault is None
        yield _gauge("config_last_reload_successful", "1 if the configuration was valid when last read.", valid)
        loaded = self._follower.config_loaded_at / SECOND
        yield _gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration was last read and valid.", loaded
        )
        build = GaugeMetricFamily("fleetgen_build_info", "The version in use.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build

    def _processes(self, supervised: Supervised) -> Iterator[Metric]:
        up = GaugeMetricFamily("fleetgen_process_up", "1 while a supervised process runs.", labels=["process"])
        restarts = CounterMetricFamily(
            "fleetgen_process_restarts", "Starts of a process after its first.", labels=["process"]
        )
        for each in supervised.processes:
            up.add_metric([each.name], each.state == "RUNNING" and each.name not in supervised.hung)
            restarts.add_metric([each.name], supervised.restarts.get(each.name, 0))
        deaths = CounterMetricFamily(
            "fleetgen_process_deaths",
            "Ends of a process that nobody asked for, by their likely cause.",
            labels=["process", "cause"],
        )
        for each in supervised.processes:
            causes = supervised.deaths.get(each.name, {}).get("causes", {})
            for cause in CAUSES:
                deaths.add_metric([each.name, cause], causes.get(cause, 0))
        yield up
        yield restarts
        yield deaths

    def _consumers(self) -> Iterator[Metric]:
        backlog = GaugeMetricFamily(
            "fleetgen_backlog_batches",
            "Published batches that a consumer has not acknowledged.",
            labels=["consumer", "stream"],
        )
        if manifest := self._follower.manifest:
            for name in manifest.consumers:
                for stream in Stream:
                    backlog.add_metric([name, stream.value], manifest.backlog(name, stream))
        yield backlog


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"fleetgen_{name}", text, value)
