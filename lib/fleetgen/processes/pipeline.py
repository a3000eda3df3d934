"""The pipeline process: carries the published batches into the tables, as they come or once."""

from collections.abc import Iterator

from fleetgen.config.loading import LoadedConfig
from fleetgen.domain.records import ISSUE_TYPES, SECOND
from fleetgen.errors import FleetgenError, Interrupted
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.lifecycle import WrongDataset
from fleetgen.medallion.carrying.carrier import Carrier
from fleetgen.processes.engines import engines_of
from fleetgen.processes.worker import Work, Worker
from fleetgen.scoring import Score
from fleetgen.scoring.live import LiveScore
from fleetgen.storage.manifest import ScoreTold
from fleetgen.telemetry.metrics import served_metrics
from fleetgen.telemetry.pipeline_metrics import PipelineMetrics

_POLL = SECOND // 20
_SCORE_PAUSE = 10 * SECOND


class Pipeline(Work):
    """What the pipeline process does."""

    def __init__(self, worker: Worker) -> None:
        loaded = worker.loaded
        self.metrics = PipelineMetrics(loaded.config.mode)
        self._worker, self._log = worker, worker.log
        self._engines = engines_of(worker)
        self._carrier = Carrier(
            loaded.layout, self._engines.open, worker.clock, worker.log, self.metrics, worker.progress
        )
        self._score = LiveScore(Dataset(loaded.layout, worker.progress))
        self._score_at = 0

    def begin(self) -> None:
        self._engines.check()
        self._carrier.hold()
        self._log.info("Starting pipeline", kind="starting")

    def turn(self, now: int) -> int:
        """Carry what is due; return when to look again."""
        try:
            worked = self._carrier.step(self._worker.stop_asked)
        except WrongDataset:
            return now
        self._worker.worked()
        if worked:
            return now
        if now >= self._score_at or self._score_at > now + _SCORE_PAUSE:
            self._score_at = now + _SCORE_PAUSE
            self._tell_score()
        return now + _POLL

    def _tell_score(self) -> None:
        """Score what was carried, while there is nothing to carry. What is wrong with it holds nothing up."""
        try:
            score = self._score.look()
        except Interrupted:
            raise
        except (FleetgenError, OSError) as fault:
            self._log.warning(f"Pipeline could not score the newest batches: {fault}", kind="score")
            return
        if score is not None:
            told = _told(score)
            self.metrics.scored(told.recall, told.precision)
            self._carrier.tell_score(told)

    def failed(self, fault: Exception) -> None:
        self.metrics.failed()
        self._carrier.drop()  # nobody knows how far a commit came

    def end(self) -> None:
        self._carrier.leave()
        self.let_go()
        self._log.info("Stopping pipeline", kind="stopping")

    def let_go(self) -> None:
        """End what the engines needed; to do it again does no harm."""
        self._engines.end()

    def drain(self) -> Iterator[tuple[int, int, int]]:
        """Carry everything that is published, and end; a fault is raised.

        Yields the batches that were in the tables at the start, that are now, and that are published.
        """
        self._carrier.tries_again = False
        self._engines.check()
        self._carrier.hold()
        try:
            begun = None
            for done, total in self._carrier.steps(self._worker.wake_up.stop_asked):
                begun = done if begun is None else begun
                yield begun, done, total
            if self._carrier.holding.damage is not None:
                raise self._carrier.holding.damage
        finally:
            self.let_go()
            self._carrier.leave()


def _told(score: Score) -> ScoreTold:
    overall = score.overall
    recalls = {kind: score.recall_of(kind) for kind in ISSUE_TYPES}
    return ScoreTold(
        batches=overall.batches,
        recall={kind: recall for kind, recall in recalls.items() if recall is not None},
        overall_recall=score.recall,
        precision=score.precision,
        misses=overall.misses.total(),
        false_alarms=overall.false_alarms.total(),
        collateral=overall.collateral,
    )


def carry_once(loaded: LoadedConfig) -> Iterator[tuple[int, int, int]]:
    """Carry everything that is published, and end; raises HeldByAnother, and whatever is wrong with a batch or table.

    Yields how far it has come, as `Pipeline.drain` does.
    """
    return Pipeline(Worker("pipeline", loaded)).drain()


def main(loaded: LoadedConfig, address: str | None, port: int | None, fault: str | None) -> None:
    """Run until asked to stop; ``fault`` is what is wrong with the file if ``loaded`` is an older one."""
    config = loaded.config.metrics
    worker = Worker("pipeline", loaded)
    pipeline = Pipeline(worker)
    with (
        worker.telling(),
        served_metrics(pipeline.metrics.registry, address or config.address, port or config.pipeline_port),
    ):
        try:
            worker.live(pipeline)
        finally:
            pipeline.let_go()
