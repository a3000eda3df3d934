"""Owns a session of Spark: its settings, its log, its end, and what becomes of its faults.

What runs in it is left to `executors`.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyspark
from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway

from fleetgen.errors import FleetgenError, SystemLacks, Unreachable
from fleetgen.generation.spark.surroundings import on_this_machine
from fleetgen.storage.files import make_folder

FAULTS = (Py4JError, PySparkException, ConnectionError, EOFError)
"""What pyspark raises where Spark gives up, or its JVM is gone."""

_EXECUTOR_SECONDS = 120
_END_SECONDS = 10

_SETTINGS = {
    "spark.app.name": "fleetgen backfill",
    "spark.ui.enabled": "false",  # it would listen on all addresses
    "spark.ui.showConsoleProgress": "false",
    "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
    "spark.executorEnv.PYDANTIC_DISABLE_PLUGINS": "__all__",
}
_LOOPBACK = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}

_LAST_LINE = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Found|Interrupt)\b.*$", re.MULTILINE)
_OF_JAVA = ("py4j.", "org.", "java.", "pyspark.")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to run, with which settings, and where Spark's own log goes."""

    master: str
    log: Path
    settings: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def session(cluster: Cluster, archive: Path) -> Iterator[SparkContext]:
    """Start Spark, with a package for the executors, and wait for the first of these; end it, and its JVM, in any case.

    Raises SystemLacks where it does not start, Unreachable where it gets no executor.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    make_folder(cluster.log.parent)
    with cluster.log.open("wb") as log:
        conf = _conf(cluster)
        gateway = _gateway(cluster, conf, log)
    try:
        yield _context(cluster, conf, gateway, archive)
    finally:
        _end(gateway)


def gave_up(cluster: Cluster, fault: BaseException) -> FleetgenError:
    """Return what to tell of Spark's fault."""
    cause = _cause(str(fault))
    remedy = "Call again to go on."
    if "ModuleNotFoundError" in cause:
        remedy = "Install numpy and pydantic in the workers' Python, or name another with PYSPARK_PYTHON."
    elif "PYTHON_VERSION_MISMATCH" in str(fault):
        cause, remedy = "the workers have another Python", "Name one like the driver's with PYSPARK_PYTHON."
    return FleetgenError(f"Spark gave up ({cause}; its log: {cluster.log}); what was made is kept. {remedy}")


def _conf(cluster: Cluster) -> SparkConf:
    settings = _SETTINGS | (_LOOPBACK if on_this_machine(cluster.master) else {}) | dict(cluster.settings)
    return SparkConf(loadDefaults=False).setAll(list(settings.items())).setMaster(cluster.master)


def _gateway(cluster: Cluster, conf: SparkConf, log: Any) -> Any:
    """Start the JVM. It ends by itself when this process is killed: it reads from a pipe of ours."""
    launch: Callable[..., Any] = launch_gateway
    try:
        return launch(conf, {"stdout": log, "stderr": subprocess.STDOUT})
    except (PySparkException, OSError) as fault:
        raise SystemLacks(f"Spark did not start: the end of {cluster.log} says why.") from fault


def _context(cluster: Cluster, conf: SparkConf, gateway: Any, archive: Path) -> SparkContext:
    try:
        context = SparkContext(conf=conf, gateway=gateway, pyFiles=[str(archive)])
        _wait_for_executor(context, cluster)
    except FAULTS as fault:
        raise Unreachable(
            f"The Spark master {cluster.master} gave no session: see that the port is a master's, and its Spark like "
            f"this one ({pyspark.__version__}). Spark's own words are at the end of {cluster.log}."
        ) from fault
    return context


def _wait_for_executor(context: SparkContext, cluster: Cluster) -> None:
    if cluster.master.startswith("local"):
        return
    deadline = time.monotonic() + _EXECUTOR_SECONDS
    while context._jsc.sc().getExecutorMemoryStatus().size() < 2:  # the driver counts as one
        if time.monotonic() > deadline:
            raise Unreachable(
                f"The Spark master {cluster.master} gave no executor in {_EXECUTOR_SECONDS} s: free cores and memory on "
                "its workers, or ask for less with --conf spark.executor.memory=512m."
            )
        time.sleep(0.1)


def _end(gateway: Any) -> None:
    """Stop the session, and see the JVM end."""
    with suppress(*FAULTS):
        if SparkContext._active_spark_context is not None:
            SparkContext._active_spark_context.stop()
    with suppress(*FAULTS):
        gateway.shutdown()
    SparkContext._gateway = SparkContext._jvm = None
    process = gateway.proc
    process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _cause(text: str) -> str:
    """Return the line of a fault's text that says most: the last of a task's Python, else the first of Java's."""
    lines = [each.strip() for each in _LAST_LINE.findall(text)]
    of_tasks = [each for each in lines if not each.startswith(_OF_JAVA)]
    found = of_tasks[-1] if of_tasks else next(iter(text.strip().splitlines()), "it ended")
    return found[:200].rstrip(" .:")
