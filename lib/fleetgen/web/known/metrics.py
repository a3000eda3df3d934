"""Owns the metrics of the control process: the state of every supervised process, and what is known of the dataset."""

from collections.abc import Callable, Iterator
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from fleetgen.domain.records import SECOND, Stream
from fleetgen.generation.withholding import behind, free_bytes
from fleetgen.supervision.deaths import CAUSES
from fleetgen.telemetry.families import BuildInfo, Declared
from fleetgen.web.known.following import Follower
from fleetgen.web.known.supervised import Supervised

_UP = Declared("process_up", "1 while a supervised process runs and its heartbeat moves.", ("process",))
_RESTARTS = Declared("process_restarts", "Starts of a process after its first.", ("process",))
_DEATHS = Declared(
    "process_deaths", "Ends of a process that nobody asked for, by their likely cause.", ("process", "cause")
)
_BACKLOG = Declared(
    "backlog_batches", "Published batches that a consumer has not acknowledged.", ("consumer", "stream")
)
_LIMIT = Declared(
    "backlog_limit_batches", "Batches of a stream that a consumer may not have acknowledged before it counts as behind."
)
_ACTIVE = Declared("backpressure_active", "1 while a consumer that is behind keeps batches from being published.")
_PAUSED = Declared("paused", "1 while publishing is paused.")
_FREE = Declared("data_disk_free_bytes", "Free space on the disk where the data lies.")
_VALID = Declared("config_last_reload_successful", "1 if the configuration was valid when it was last read.")
_READ = Declared(
    "config_last_reload_success_timestamp_seconds",
    "When the configuration was last read and valid, since the epoch.",
)


def control_registry(follower: Follower, supervised: Callable[[], Supervised]) -> CollectorRegistry:
    """Return the registry of the control process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Seen(follower, supervised))
    return registry


def error_counter(registry: CollectorRegistry) -> Callable[[object], None]:
    """Return what counts work of the control process's own that failed and is tried again."""
    errors = Counter("fleetgen_errors_total", "Errors that were logged.", ["phase"], registry=registry).labels("work")
    return lambda work: errors.inc()


class _Seen(Collector):
    """Exports what was last seen."""

    def __init__(self, follower: Follower, supervised: Callable[[], Supervised]) -> None:
        self._follower, self._supervised = follower, supervised

    def collect(self) -> Iterator[Metric]:
        yield from self._processes(self._supervised())
        yield self._backlogs()
        manifest = self._follower.manifest
        yield from self._backpressure()
        yield _single(_PAUSED, bool(manifest and manifest.desired.paused))
        with suppress(OSError):  # the disk is gone: health says so
            yield _single(_FREE, free_bytes(self._follower.loaded.layout))
        yield _single(_VALID, self._follower.config_fault is None)
        if (at := self._follower.config_valid_at) is not None:
            yield _single(_READ, at / SECOND)
        yield from BuildInfo(self._follower.settings.mode).collect()

    def _processes(self, supervised: Supervised) -> Iterator[Metric]:
        up, restarts, deaths = _UP.gauge(), _RESTARTS.counter(), _DEATHS.counter()
        for each in supervised.processes:
            up.add_metric([each.name], each.state == "RUNNING" and each.name not in supervised.hung)
            restarts.add_metric([each.name], supervised.restarts.get(each.name, 0))
            causes = supervised.deaths.get(each.name, {}).get("causes", {})
            for cause in CAUSES:
                deaths.add_metric([each.name, cause], causes.get(cause, 0))
        yield from (up, restarts, deaths)

    def _backpressure(self) -> Iterator[Metric]:
        limits, manifest = self._follower.loaded.config.backpressure, self._follower.manifest
        slow = manifest is not None and any(behind(manifest, limits, stream) for stream in Stream)
        yield _single(_LIMIT, limits.max_backlog_batches)
        yield _single(_ACTIVE, slow and limits.action == "pause")

    def _backlogs(self) -> Metric:
        backlog = _BACKLOG.gauge()
        if manifest := self._follower.manifest:
            for name in manifest.consumers:
                for stream in Stream:
                    backlog.add_metric([name, stream.value], manifest.backlog(name, stream))
        return backlog


def _single(declared: Declared, value: float) -> Metric:
    family = declared.gauge()
    family.add_metric([], value)
    return family
