"""Owns a running Spark: started when it is first needed, again when it was lost, and asked from threads.

The main thread stays free to show that the process lives, and to give up when a stop is asked for.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, TypeVar

from fleetgen.medallion.spark.faults import SparkFailed, SparkUnreachable, first_words
from fleetgen.medallion.spark.gateway import Jvm
from fleetgen.medallion.spark.settings import SparkSettings

_LOOK_SECONDS = 0.2
_AT_ONCE = 4
"""So many tables are written at the same time."""

Result = TypeVar("Result")


class Session:
    """Spark, for as long as this process wants it."""

    def __init__(self, settings: SparkSettings, beat: Callable[[], None]) -> None:
        self.settings = settings
        self.beat = beat
        self._jvm: Jvm | None = None
        self._spark: Any = None
        self._threads = ThreadPoolExecutor(_AT_ONCE, "spark")

    @property
    def spark(self) -> Any:
        """The SparkSession, once `start` was called."""
        return self._spark

    @property
    def is_up(self) -> bool:
        """Whether Spark was started and has not been lost."""
        if self._jvm is None or self._spark is None or not self._jvm.is_alive:
            return False
        try:
            return not self._spark.sparkContext._jsc.sc().isStopped()
        except Exception:  # noqa: BLE001 - a JVM that is gone says so in many ways
            return False

    def start(self) -> None:
        """Start Spark if it is not up; raises SystemLacks, SparkUnreachable or SparkFailed."""
        if self.is_up:
            # the tables may have been made anew meanwhile: Delta must not take them for what it remembers
            self._spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
            return
        self.stop()
        self.settings.check()
        self.settings.require_master()
        self._jvm = jvm = Jvm(self.settings.properties(), self.settings.log, self.beat)
        try:
            (self._spark,) = self.ask([lambda: self._connect(jvm.gateway)])
        except SparkFailed as fault:
            self.stop()
            raise SparkUnreachable(f"Spark at {self.settings.master} cannot be used: {fault}") from fault
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End Spark and its JVM."""
        if self._jvm is None:
            return
        from pyspark import SparkContext
        from pyspark.sql import SparkSession

        if self.is_up:
            with suppress(Exception):
                self._spark.stop()
        self._jvm.end()
        self._jvm = self._spark = None
        # pyspark keeps both for the whole process: a later start needs its own
        SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
        SparkSession._instantiatedSession = None

    def ask(self, orders: Iterable[Callable[[], Result]]) -> list[Result]:
        """Let Spark do several things at the same time; return what each gives.

        What the beat raises, such as Interrupted, cancels them. Raises SparkFailed.
        """
        self.beat()
        futures = [self._threads.submit(order) for order in orders]
        try:
            while wait(futures, _LOOK_SECONDS).not_done:
                self.beat()
        except BaseException:
            self._cancel(futures)
            raise
        return [self._result(future) for future in futures]

    def _cancel(self, futures: "list[Future[Result]]") -> None:
        for future in futures:
            future.cancel()
        if self._spark is not None:
            with suppress(Exception):
                self._spark.sparkContext.cancelAllJobs()
        wait(futures, 2.0)

    def _result(self, future: "Future[Result]") -> Result:
        try:
            return future.result()
        except Exception as fault:
            if not type(fault).__module__.startswith(("py4j", "pyspark")) and not isinstance(fault, OSError):
                raise
            raise SparkFailed(f"Spark could not go on ({first_words(fault)}): see {self.settings.log}.") from fault

    def _connect(self, gateway: Any) -> Any:
        from pyspark import SparkConf, SparkContext
        from pyspark.sql import SparkSession

        context = SparkContext(gateway=gateway, conf=SparkConf(_jvm=gateway.jvm))
        if self.settings.checkpoint is not None:
            context.setCheckpointDir(str(self.settings.checkpoint))
        files = gateway.jvm.org.apache.hadoop.fs.FileSystem.getLocal(context._jsc.hadoopConfiguration())
        files.setWriteChecksum(False)  # delta-rs replaces files of the log, and knows nothing of checksums beside them
        files.setVerifyChecksum(False)
        return SparkSession.builder.getOrCreate()
