"""The pipeline on a standalone cluster: the tables are those of the embedded engine, whoever is killed on the way to them."""

import os
import signal
from pathlib import Path

import pytest

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded.tables import last_batch, load
from fleetgen.medallion.silver import RECORDS
from fleetgen.storage.layout import Layout
from support.delta_tables import batches, contents, copied, engine, follow, varied
from support.patience import wait_for
from support.spark import children, is_alive, processes, running_cluster, started_by
from support.spark_engine import carrying, lacking

BATCHES = 30

if reason := lacking():
    pytest.skip(f"No Spark here: {reason}", allow_module_level=True)
if not os.environ.get("FLEETGEN_SOAK"):
    pytest.skip("A cluster of the pipeline takes minutes: make test-spark has it", allow_module_level=True)

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def bronze(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return varied(tmp_path_factory.mktemp("bronze"), BATCHES)


@pytest.mark.parametrize(
    "options",
    [("--few-lines", "20000", "--most", "1"), ("--few-lines", "0", "--most", "6")],
    ids=["the driver writes", "Spark writes"],
)
def test_an_executor_a_worker_and_the_driver_may_be_killed(
    bronze: Layout, tmp_path: Path, options: tuple[str, ...]
) -> None:
    layout, run = copied(bronze, tmp_path / "data"), tmp_path / "run"
    with running_cluster(run) as master:
        daemons = processes("org.apache.spark.deploy", master.rpartition(":")[2])
        driver = carrying(layout, tmp_path, "--master", master, *options)
        try:
            # when an executor is killed in the middle, and a worker, and the driver
            carried = wait_for_more(layout, -1)
            os.kill(children(daemons, "CoarseGrainedExecutorBackend")[0], signal.SIGKILL)
            carried = wait_for_more(layout, carried)
            os.kill(max(processes("org.apache.spark.deploy.worker", str(run))), signal.SIGKILL)
            carried = wait_for_more(layout, carried)
            family = started_by(driver.pid)
        finally:
            driver.kill()
            driver.wait()
        assert carried < len(batches(layout, Stream.EVENTS)) - 1
        # then neither the driver's JVM nor the executors of its application outlive it
        wait_for(lambda: not any(map(is_alive, family)), 10, "The end of the JVM")
        wait_for(lambda: not children(daemons, "CoarseGrainedExecutorBackend"), 10, "The end of the executors")
        # and another driver, with the worker that is left, ends with the tables of the embedded engine
        assert carrying(layout, tmp_path, "--master", master, *options).wait(900) == 0
    assert contents(layout) == undisturbed(bronze, tmp_path / "undisturbed")


def wait_for_more(layout: Layout, carried: int) -> int:
    """Wait until another batch of events is in silver; return the number of the last one."""
    return wait_for(lambda: last if (last := in_silver(layout)) > carried else None, 180, "Another batch in silver")


def in_silver(layout: Layout) -> int:
    delta = load(RECORDS[Stream.EVENTS].form.folder(layout))
    return -1 if delta is None else last_batch(delta, Stream.EVENTS)


def undisturbed(bronze: Layout, folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """What the embedded engine makes of it."""
    layout = copied(bronze, folder)
    follow(layout, engine(layout), most=1000)
    return contents(layout)
