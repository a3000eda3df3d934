"""A program that carries all batches into tables on a Spark of its own: ``carrying_on_spark.py DATA FOLDER [OPTIONS]``.

It can kill itself after some tables are written, whichever process writes them.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from fleetgen.medallion.embedded import tables
from fleetgen.storage.layout import Layout
from support.delta_tables import follow
from support.spark_engine import spark_engine, started


def main() -> int:
    """Carry both streams in turn, so many batches at a time, or as many as the kill allows."""
    options = _options()
    if options.dies_after is not None:
        _die_after(options.dies_after)
    with started(options.folder, master=options.master, executor_memory="512m") as session:
        follow(Layout(options.data), spark_engine(Layout(options.data), session, options.few_lines), most=options.most)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path, help="for the log of Spark")
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--most", type=int, default=1000, help="batches of a pass")
    parser.add_argument("--few-lines", type=int, default=0, help="up to so many are committed by the driver")
    parser.add_argument("--dies-after", type=int, help="tables that Spark has written")
    return parser.parse_args()


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
