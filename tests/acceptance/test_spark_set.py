"""A set whose pipeline works on Spark: it keeps up, says so like the other engine, and takes its JVM with it."""

import json
import os
import signal
import statistics
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from support.patience import wait_for
from support.sets import RunningSet
from support.spark import QUICK, children, is_alive, processes, running_cluster, started_by
from support.spark_engine import JARS, lacking
from support.tables import (
    assert_nothing_disappears,
    catch_up,
    dirty_set,
    layout_of,
    pipeline_log,
    pipeline_pid,
    pipeline_samples,
    records_in_tables,
    records_told,
)

if reason := lacking():
    pytest.skip(f"No Spark here: {reason}", allow_module_level=True)

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
LONGEST_SECONDS = 10.0
LOCAL = "local[2]"
BATCHES = 30 if SOAK else 6


@pytest.fixture(params=[LOCAL, *(["a cluster"] if SOAK else [])])
def master(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the pipeline's Spark runs: in its JVM, and in the long form also on two workers of a cluster."""
    if request.param == LOCAL:
        yield LOCAL
        return
    with running_cluster(tmp_path / "cluster") as url:
        yield url


@pytest.mark.quiet
@pytest.mark.timeout(900)
def test_a_set_on_spark_keeps_up_and_leaves_no_jvm(master: str, capsys: pytest.CaptureFixture[str]) -> None:
    conf = ", ".join(f'"{key}" = "{value}"' for key, value in QUICK.items())
    spark = f'{{ master = "{master}", executor_memory = "512m", jars = "{JARS}", conf = {{ {conf} }} }}'
    with dirty_set(company_interval='"PT10S"', driver_interval='"PT10S"') as running:
        running.configure_table("pipeline", engine='"spark"', spark=spark)
        running.start()
        # when it has carried some batches after its start
        wait_for(lambda: len(later(running)) >= BATCHES, 240 + 5 * BATCHES, "Batches on Spark")
        catch_up(running, 30)

        # then each was in gold in time, and metrics and health say so
        took = sorted(line["end_to_end_seconds"] for line in later(running))
        with capsys.disabled():
            print(f"\npublish to gold on {master.partition(':')[0]}, {len(took)} batches: {percentiles(took)}")
        assert took[-1] < LONGEST_SECONDS
        samples = pipeline_samples(running)
        assert samples is not None
        assert records_told(samples) == records_in_tables(layout_of(running))
        with urlopen(f"{running.api}/health", timeout=30) as answer:
            health = json.load(answer)
        assert health["pipeline"]["latencies"]["end_to_end"] > 0

        # and after a kill -9 of the process its JVM is gone, and another one goes on
        first = pipeline_pid(running)
        assert first is not None
        jvm = jvms(first, master)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: not any(is_alive(pid) for pid in jvm), 10, "The end of the JVM after a kill")
        carried = len(pipeline_log(running, "batch_processed"))
        wait_for(lambda: len(pipeline_log(running, "batch_processed")) > carried, 240, "The next process")

        # and so after a stop
        second = pipeline_pid(running)
        assert second is not None
        jvm = jvms(second, master)
        running.ctl("stop", "pipeline")
        wait_for(lambda: not any(is_alive(pid) for pid in jvm), 10, "The end of the JVM after a stop")
        running.ctl("start", "pipeline")
        running.call("pause")
        catch_up(running, 240)
        assert assert_nothing_disappears(layout_of(running)) >= 6


def percentiles(took: list[float]) -> str:
    """Return median and 95th percentile of sorted seconds, for people."""
    return f"p50 {statistics.median(took):.2f} s, p95 {took[int(len(took) * 0.95)]:.2f} s"


def later(running: RunningSet) -> list[dict[str, float]]:
    """Return what the pipeline told of batches but for its first passes, which wait for the JVM."""
    return pipeline_log(running, "batch_processed")[4:]


def jvms(pid: int, master: str) -> list[int]:
    """Return what a pipeline has started: its JVM, and the executors of its application on a cluster."""
    port = master.rpartition(":")[2]
    daemons = [] if master == LOCAL else processes("org.apache.spark.deploy", port)
    executors = children(daemons, "CoarseGrainedExecutorBackend")
    assert bool(executors) == (master != LOCAL)
    return [*started_by(pid), *executors]
