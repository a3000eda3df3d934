"""The number of series that a process exports does not depend on how many batches there were."""

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from fleetgen.domain.records import Stream
from fleetgen.generation.outcomes import LeftOut, Published
from fleetgen.telemetry.metrics import GeneratorMetrics
from fleetgen.telemetry.pipeline_metrics import PipelineMetrics
from support.simulation import Simulation, simulated


def series(registry: CollectorRegistry) -> int:
    text = generate_latest(registry).decode()
    return sum(len(family.samples) for family in text_string_to_metric_families(text))


class Told:
    """The metrics of all that make and carry batches, told of what a simulation does."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._makers = {stream: GeneratorMetrics(stream, "emulated") for stream in Stream}
        self._pipeline = PipelineMetrics("emulated")

    def run_for(self, seconds: int) -> int:
        """Let time pass; return how many batches were told of."""
        outcomes = self._simulation.run_for(seconds)
        for outcome in outcomes:
            stream = Stream.EVENTS if outcome.head.next_company == 0 else Stream.COMPANIES
            if isinstance(outcome, LeftOut):
                self._makers[stream].left_out(outcome)
            else:
                self._makers[stream].published(outcome)
                self._makers[stream].lock_waited(0.001)
                self._pipeline.took(outcome.entry.batch_id, 0.1, 0.1)
        return sum(isinstance(outcome, Published) for outcome in outcomes)

    def count(self) -> tuple[int, ...]:
        """Return the series of each process, once it has looked around."""
        manifest = self._simulation.dataset.manifest()
        settings = self._simulation.dataset.segments(manifest)[-1].settings
        for stream, metrics in self._makers.items():
            head = manifest.head(stream)
            metrics.in_force(settings)
            metrics.standing(False, 10**9)
            metrics.backpressure(False, 60)
            metrics.config_read(True, 1)
            metrics.progress(head.next_company, head.last_published_at, head.stands_at)
        registries = [metrics.registry for metrics in self._makers.values()]
        return tuple(series(registry) for registry in (*registries, self._pipeline.registry))


def test_an_hour_of_batches_adds_no_series_to_those_of_ten(tmp_path: Path) -> None:
    with simulated(tmp_path, preset="quality-demo") as simulation:
        told = Told(simulation)
        assert told.run_for(100) >= 20
        after_ten = told.count()
        assert told.run_for(3600) >= 700
        assert told.count() == after_ten


def test_a_switch_of_the_mode_adds_no_series(tmp_path: Path) -> None:
    with simulated(tmp_path, preset="quality-demo") as simulation:
        told = Told(simulation)
        told.run_for(100)
        before = told.count()
        simulation.edit(mode='"production"')
        simulation.start()
        assert told.run_for(3 * 3600) > 10
        assert told.count() == before
