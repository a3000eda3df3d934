"""Counters that go on after a restart, in the instant until a process has read how far they are."""

from collections import Counter

import pytest
from prometheus_client import CollectorRegistry

from fleetgen.domain.records import Stream
from fleetgen.storage.manifest import Totals
from fleetgen.telemetry.metrics import GeneratorMetrics
from fleetgen.telemetry.pipeline_metrics import PipelineMetrics


def counted(registry: CollectorRegistry) -> dict[str, set[float]]:
    """Return the values of every counter, by its name."""
    families = [each for each in registry.collect() if each.type == "counter" and each.name.startswith("fleetgen_")]
    return {each.name: {sample.value for sample in each.samples} for each in families}


@pytest.mark.parametrize("stream", list(Stream))
def test_a_generator_tells_no_total_before_it_has_read_it(stream: Stream) -> None:
    metrics = GeneratorMetrics(stream, "emulated")
    errors = {"fleetgen_errors"}  # are those of the process, and begin with it
    before = counted(metrics.registry)
    assert {name for name, values in before.items() if values} == errors

    metrics.totals(Totals())
    assert counted(metrics.registry) == {name: {0.0} for name in before}
    metrics.totals(Totals(records=3, batches={"emulated": 1}))
    assert counted(metrics.registry)["fleetgen_records"] == {3.0}


def test_a_pipeline_tells_no_records_before_it_has_read_the_tables() -> None:
    metrics = PipelineMetrics("emulated")
    assert counted(metrics.registry)["fleetgen_pipeline_records"] == set()
    metrics.records({})
    assert counted(metrics.registry)["fleetgen_pipeline_records"] == {0.0}
    metrics.records({Stream.EVENTS: Counter(accepted=5)})
    assert counted(metrics.registry)["fleetgen_pipeline_records"] == {0.0, 5.0}
