"""Spark as tests need it: a small one in this machine, with Delta's jars from a folder, or a reason why there is none."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fleetgen.errors import FleetgenError
from fleetgen.medallion.spark.engine import FEW_LINES, SparkEngine
from fleetgen.medallion.spark.session import Session
from fleetgen.medallion.spark.settings import SparkSettings
from fleetgen.storage.layout import Layout
from support.delta_tables import DATASET
from support.spark import QUICK

CARRYING = Path(__file__).with_name("carrying_on_spark.py")
JARS = Path(os.environ.get("FLEETGEN_SPARK_JARS") or Path(__file__).parents[2] / "build" / "spark-jars")


def lacking() -> str | None:
    """Return why Spark cannot be tried here, or None."""
    if find_spec("pyspark") is None:
        return "pyspark is not installed"
    try:
        settings(Path(os.devnull)).check()
    except FleetgenError as fault:
        return str(fault)
    return None


def settings(log: Path, **changes: object) -> SparkSettings:
    """Return settings for a small Spark."""
    values: dict[str, object] = {"master": "local[2]", "jars": JARS, "conf": QUICK, "log": log}
    return SparkSettings(**(values | changes))  # type: ignore[arg-type]


@contextmanager
def started(folder: Path, **changes: object) -> Iterator[Session]:
    """Spark for the length of a block."""
    session = Session(settings(folder / "spark.log", **changes), lambda: None)
    try:
        session.start()
        yield session
    finally:
        session.stop()


def carrying(layout: Layout, folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Start a process that carries a dataset's batches on a Spark whose log is in a folder; see `carrying_on_spark`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, str(CARRYING), str(layout.data), str(folder), *options], env=environment)


def spark_engine(layout: Layout, session: Session, few_lines: int = FEW_LINES, **changes: Any) -> SparkEngine:
    """Return an engine as a process makes one at its start; without few lines Spark itself writes every row."""
    return SparkEngine(layout, DATASET, session, lambda: None, few_lines=few_lines, **changes)
