"""Owns what Spark is started with: the settings that the tables need, those of the configuration, and Delta's jars."""

import os
import shutil
import socket
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import fleetgen
from fleetgen.medallion.spark.faults import OTHERWISE, NoJars, NoSpark, SparkUnreachable

DELTA = "io.delta:delta-spark_4.2_2.13:4.4.0"
"""The Maven coordinates of Delta for the Spark of the extra `spark`."""

_REACH_SECONDS = 5.0


@dataclass(frozen=True)
class SparkSettings:
    """How Spark is started."""

    master: str = "local[2]"
    driver_memory: str = "1g"
    executor_memory: str = "1g"
    jars: Path | None = None
    """Folder with Delta's jars; None: they are fetched by their coordinates."""
    checkpoint: Path | None = None
    conf: dict[str, str] = field(default_factory=dict)
    log: Path = Path(os.devnull)
    """File for what the JVM says."""

    def properties(self) -> dict[str, str]:
        """Return all of Spark's settings; those of the configuration go before ours."""
        jars = {"spark.jars": ",".join(map(str, self._found_jars()))} if self.jars else {"spark.jars.packages": DELTA}
        memory = {"spark.driver.memory": self.driver_memory, "spark.executor.memory": self.executor_memory}
        return (
            _OURS
            | {"spark.executorEnv.PYTHONPATH": package_path()}
            | jars
            | memory
            | self.conf
            | {"spark.master": self.master}
        )

    def check(self) -> None:
        """Raise SystemLacks for what this machine lacks, before anything is started."""
        if find_spec("pyspark") is None or find_spec("pandas") is None:
            raise NoSpark(
                f"The Spark engine needs pyspark: install it with `pip install 'fleetgen[pipeline,spark]'`, {OTHERWISE}."
            )
        if not _has_java():
            raise NoSpark(
                "The Spark engine needs Java 17 or newer: install it (on Debian: `apt install openjdk-17-jre-headless`) "
                f"or set JAVA_HOME, {OTHERWISE}."
            )
        if self.jars is not None:
            self._found_jars()

    def require_master(self) -> None:
        """Raise SparkUnreachable if no master of a standalone cluster takes a connection: Spark would try for a minute."""
        scheme, _, places = self.master.partition("://")
        if scheme == "spark" and not any(_is_reached(place) for place in places.split(",")):
            raise SparkUnreachable(
                f"No Spark master answers at {self.master}: start it, correct pipeline.spark.master, {OTHERWISE}."
            )

    def _found_jars(self) -> list[Path]:
        jars = sorted(self.jars.glob("*.jar")) if self.jars else []
        if not any(jar.name.startswith("delta-spark") for jar in jars):
            raise NoJars(
                f"{self.jars} has no jars of Delta: fetch them with `mvn -q -f packaging/spark/pom.xml "
                f"dependency:copy-dependencies -DoutputDirectory={self.jars}`, or leave pipeline.spark.jars out, and Spark "
                "fetches them."
            )
        return jars


_OURS = {
    "spark.app.name": "fleetgen-pipeline",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # what the embedded engine writes, so that each reads the other's files
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # tables of some thousand rows and some dozen commits: tasks cost more than what they do
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.scheduler.mode": "FAIR",
    "spark.cleaner.referenceTracking.cleanCheckpoints": "true",
}


def package_path() -> str:
    """Return the PYTHONPATH with which another Python of this machine finds this package."""
    own = str(Path(fleetgen.__file__).parents[1])
    return os.pathsep.join([own, *(path for path in sys.path if path and path != own and "site-packages" not in path)])


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return (Path(home) / "bin" / "java").exists() if home else shutil.which("java") is not None


def _is_reached(place: str) -> bool:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _REACH_SECONDS).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True
