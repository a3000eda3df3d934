"""Owns the JVM that the driver of Spark runs in: started by this process, and never alive longer than it.

Sources: pyspark's `java_gateway`, which starts a JVM in the same way, but waits for it without a look at anything else.
"""

import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleetgen.machine import die_with_parent
from fleetgen.medallion.spark.faults import SparkFailed, SparkUnreachable, last_words
from fleetgen.medallion.spark.settings import package_path

_LOOK_SECONDS = 0.1
_END_SECONDS = 5.0


class Jvm:
    """A JVM with Spark in it, which takes orders from this process."""

    def __init__(self, properties: Mapping[str, str], log: Path, beat: Callable[[], None]) -> None:
        """Start it and wait until it answers; raises SparkUnreachable if what it must fetch cannot be had.

        To be called by the main thread: the JVM ends with the thread that starts it.
        """
        self._log = log
        folder = Path(tempfile.mkdtemp(prefix="fleetgen-spark-"))
        try:
            self._process = _start(properties, log, folder / "connection")
            port, secret = self._connection(folder / "connection", properties, beat)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.gateway = _connect(port, secret)

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it, and wait for that; whatever it does."""
        with suppress(Exception):
            self.gateway.shutdown()
        self._end_process()

    def _end_process(self) -> None:
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()  # it ends when nobody can order anything any more
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
            return
        self._process.kill()
        self._process.wait()

    def _connection(self, told: Path, properties: Mapping[str, str], beat: Callable[[], None]) -> tuple[int, str]:
        """Wait for the file in which it says where it listens: it is renamed into place."""
        try:
            while not told.exists():
                if not self.is_alive:
                    raise _not_started(properties, self._log)
                beat()
                time.sleep(_LOOK_SECONDS)
        except BaseException:
            self._end_process()
            raise
        content = told.read_bytes()
        port, length = struct.unpack_from(">ii", content)
        return port, content[8 : 8 + length].decode()


def _not_started(properties: Mapping[str, str], log: Path) -> SparkFailed | SparkUnreachable:
    words = last_words(log)
    if "spark.jars.packages" in properties and "unresolved" in log.read_text(errors="replace").lower():
        return SparkUnreachable(
            f"Delta's jars could not be fetched ({words}): name a folder that has them in pipeline.spark.jars; "
            "packaging/spark/pom.xml fetches them with Maven."
        )
    return SparkFailed(f"Spark did not start ({words}): see {log}.")


def _start(properties: Mapping[str, str], log: Path, told: Path) -> "subprocess.Popen[bytes]":
    import pyspark

    home = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    settings = [word for key, value in properties.items() for word in ("--conf", f"{key}={value}")]
    environment = os.environ | {
        "_PYSPARK_DRIVER_CONN_INFO_PATH": str(told),
        "SPARK_CONNECT_MODE": "0",
        "PYTHONPATH": package_path(),
    }
    if properties["spark.master"].startswith("local"):
        environment.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(
            [str(home / "bin" / "spark-submit"), *settings, "pyspark-shell"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=_before_it_runs,
        )


def _before_it_runs() -> None:
    """Let the JVM end with this process, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()


def _connect(port: int, secret: str) -> Any:
    from pyspark.java_gateway import launch_gateway

    place = {"PYSPARK_GATEWAY_PORT": str(port), "PYSPARK_GATEWAY_SECRET": secret}
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.update(place)
    try:
        return launch_gateway()
    finally:
        for name in place:
            del os.environ[name]
