"""The pipeline process: carries the published batches into the tables, as they come or once."""

from functools import partial

from fleetgen.config.loading import LoadedConfig
from fleetgen.domain.records import SECOND
from fleetgen.generation.lifecycle import WrongDataset
from fleetgen.medallion.carrying.carrier import Carrier
from fleetgen.medallion.embedded.budget import carrying
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.processes.worker import Work, Worker
from fleetgen.telemetry.metrics import served_metrics
from fleetgen.telemetry.pipeline_metrics import PipelineMetrics

_POLL = SECOND // 20


class Pipeline(Work):
    """What the pipeline process does."""

    def __init__(self, worker: Worker) -> None:
        loaded = worker.loaded
        self.metrics = PipelineMetrics(loaded.config.mode)
        self._worker, self._log = worker, worker.log
        budget = carrying(loaded.config.pipeline.memory)
        open_engine = partial(EmbeddedEngine, loaded.layout, beat=worker.heartbeat.beat, budget=budget)
        self._carrier = Carrier(loaded.layout, open_engine, worker.clock, worker.log, self.metrics)

    def begin(self) -> None:
        self._carrier.hold()
        self._log.info("Starting pipeline", kind="starting")

    def turn(self, now: int) -> int:
        """Carry what is due; return when to look again."""
        try:
            worked = self._carrier.step(self._worker.wake_up.stop_asked)
        except WrongDataset:
            return now
        self._worker.worked()
        return now if worked else now + _POLL

    def failed(self, fault: Exception) -> None:
        self.metrics.failed()
        self._carrier.drop()  # nobody knows how far a commit came

    def end(self) -> None:
        self._carrier.leave()
        self._log.info("Stopping pipeline", kind="stopping")

    def drain(self) -> None:
        """Carry everything that is published, and end; a fault is raised."""
        self._carrier.tries_again = False
        self._carrier.hold()
        try:
            while self._carrier.step(self._worker.wake_up.stop_asked):
                pass
            if self._carrier.holding.damage is not None:
                raise self._carrier.holding.damage
        finally:
            self._carrier.leave()


def carry_once(loaded: LoadedConfig) -> None:
    """Carry everything that is published, and end; raises HeldByAnother, and whatever is wrong with a batch or table."""
    Pipeline(Worker("pipeline", loaded)).drain()


def main(loaded: LoadedConfig, address: str | None, port: int | None, fault: str | None) -> None:
    """Run until asked to stop; ``fault`` is what is wrong with the file if ``loaded`` is an older one."""
    config = loaded.config.metrics
    worker = Worker("pipeline", loaded)
    pipeline = Pipeline(worker)
    with (
        worker.telling(),
        served_metrics(pipeline.metrics.registry, address or config.address, port or config.pipeline_port),
    ):
        worker.live(pipeline)
