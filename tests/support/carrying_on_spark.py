"""A program that carries batches into tables on a Spark of its own: ``carrying_on_spark.py DATA FOLDER [BEATS]``.

With a number of beats it kills itself at that one, which comes after the first table is written. It says on its standard
output which JVM it has started.
"""

import os
import signal
import sys
from pathlib import Path

from fleetgen.domain.records import Stream
from fleetgen.medallion.embedded import tables
from fleetgen.storage.layout import Layout
from support.delta_tables import batches
from support.spark_engine import spark_engine, started


def main() -> int:
    """Carry all batches of both streams, or as many as the kill allows."""
    layout, folder = Layout(Path(sys.argv[1])), Path(sys.argv[2])
    dies_after = int(sys.argv[3]) if len(sys.argv) > 3 else None
    if dies_after is not None:
        _die_after(dies_after)
    with started(folder) as session:
        engine = spark_engine(layout, session, few_lines=0)
        for stream in Stream:
            engine.carry(stream, batches(layout, stream))
    return 0


def _die_after(commits: int) -> None:
    """Die once Spark has written so many tables."""
    refresh, left = tables.Table.refresh, iter(range(commits - 1, -1, -1))

    def dying(table: tables.Table) -> None:
        refresh(table)
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    tables.Table.refresh = dying  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    sys.exit(main())
