"""Owns who makes a backfill's batches, by the options that say so; loads pyspark only where Spark was asked for."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from fleetgen.cli.workers import start_maker
from fleetgen.config.loading import LoadedConfig
from fleetgen.errors import UsageError
from fleetgen.generation.making import Makers, local_makers
from fleetgen.generation.spark.surroundings import check_surroundings


def makers(
    loaded: LoadedConfig,
    jobs: int | None,
    engine: str,
    master: str | None,
    partitions: int | None,
    conf: Sequence[str],
) -> AbstractContextManager[Makers]:
    """Return who makes the batches; raise a FleetgenError for options that do not fit, or if Spark is out of reach."""
    if engine == "spark":
        return _on_spark(loaded, jobs, master, partitions, conf)
    if master is not None or partitions is not None or conf:
        raise UsageError("--master, --partitions and --conf belong to Spark: add --engine spark.")
    return nullcontext(local_makers(jobs or 1, start_maker))


def _on_spark(
    loaded: LoadedConfig, jobs: int | None, master: str | None, partitions: int | None, conf: Sequence[str]
) -> AbstractContextManager[Makers]:
    if jobs is not None:
        raise UsageError("--jobs belongs to --engine local: with Spark, the executors' cores decide.")
    if master is None:
        raise UsageError("--engine spark needs a master: name it with --master spark://HOST:7077.")
    settings = dict(map(_setting, conf))
    check_surroundings(master)
    from fleetgen.generation.spark.executors import Executors  # needs pyspark
    from fleetgen.generation.spark.session import Cluster

    cluster = Cluster(master, loaded.run / "spark" / "backfill.log", settings)
    return Executors(loaded.layout, cluster, partitions)


def _setting(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key.startswith("spark."):
        raise UsageError(f"--conf {text!r} is no setting of Spark: write it as spark.executor.memory=1g.")
    return key, value
