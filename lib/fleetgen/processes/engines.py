"""Owns which engine carries the batches, as the configuration says; what an engine is, is `carrying`'s."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fleetgen.config.loading import LoadedConfig
from fleetgen.config.model import folder
from fleetgen.config.tables.running import Pipeline, Spark
from fleetgen.medallion.carrying.engine import Engine
from fleetgen.medallion.embedded.budget import carrying
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.processes.worker import Worker


@dataclass(frozen=True)
class Engines:
    """What makes an engine for a dataset, and what it needs for as long as the process lives."""

    open: Callable[[str], Engine]
    check: Callable[[], None] = lambda: None
    """Raises SystemLacks if no engine could work here."""
    end: Callable[[], None] = lambda: None


def engines_of(worker: Worker) -> Engines:
    """Return what makes the engines that the configuration names."""
    loaded, pipeline = worker.loaded, worker.loaded.config.pipeline
    if pipeline.engine == "spark":
        return _on_spark(worker, pipeline)
    budget = carrying(pipeline.memory)
    return Engines(lambda dataset_id: EmbeddedEngine(loaded.layout, dataset_id, worker.heartbeat.beat, budget=budget))


def _on_spark(worker: Worker, pipeline: Pipeline) -> Engines:
    from fleetgen.medallion.spark.engine import SparkEngine
    from fleetgen.medallion.spark.session import Session
    from fleetgen.medallion.spark.settings import SparkSettings

    loaded, asked = worker.loaded, pipeline.spark or Spark()
    settings = SparkSettings(
        master=asked.master,
        driver_memory=asked.driver_memory,
        executor_memory=asked.executor_memory,
        jars=_folder(loaded, asked.jars),
        checkpoint=_folder(loaded, asked.checkpoint),
        conf=dict(asked.conf),
        log=loaded.run / "spark.log",
    )
    session = Session(settings, worker.progress)
    return Engines(
        lambda dataset_id: SparkEngine(loaded.layout, dataset_id, session, worker.progress, pipeline.memory),
        settings.check,
        session.stop,
    )


def _folder(loaded: LoadedConfig, name: str | None) -> Path | None:
    return None if name is None else folder(loaded.file, name)
