"""A program whose children carry batches into tables and are killed: after so many steps, or at some moment.

``carrying.py DATA KILLS [LINES]``: child by child works until it is killed; the last one works to the end. With a
number of lines, batches that have more are judged in pieces.
"""

import os
import signal
import sys
import time
import traceback
from pathlib import Path

from fleetgen.domain.randomness import Address, Origin, Purpose
from fleetgen.domain.records import Stream
from fleetgen.medallion import lines
from fleetgen.medallion.embedded.budget import MEGABYTE, Budget
from fleetgen.medallion.embedded.engine import EmbeddedEngine
from fleetgen.storage.layout import Layout
from support.delta_tables import DATASET, follow

_STEPS = 31
_LONGEST_SECONDS = 0.6


def work(layout: Layout, dies_after: int | None, most: int) -> None:
    """Carry everything; die at the so-manieth beat, which comes after each commit and between reading and judging."""
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1
        if beats == dies_after:
            os.kill(os.getpid(), signal.SIGKILL)

    engine = EmbeddedEngine(layout, DATASET, beat, keep_seconds=1, budget=_budget())
    follow(layout, engine, first=Stream.EVENTS, most=most)


def _budget() -> Budget | None:
    """Return a budget for so many lines at once, and let files be read in blocks that have fewer."""
    if len(sys.argv) < 4:
        return None
    lines._BLOCK_BYTES = 2000
    return Budget(64 * MEGABYTE, 1, int(sys.argv[3]))


def child(layout: Layout, dies_after: int | None, most: int) -> int:
    """Start a child that works; return its pid. Nothing but imports happened here before."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work(layout, dies_after, most)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def main() -> int:
    """Kill every other child at a step and the others at a moment; return the status of the one that is let live."""
    layout, kills = Layout(Path(sys.argv[1])), int(sys.argv[2])
    moments = Address(11, Origin.EVENTS, 0, Purpose.EVENT_COUNT).draws(kills)[0].tolist()
    for number, moment in enumerate(moments):
        # as many at a time as no two in a row: what one began another finds amid its own
        pid = child(layout, number // 2 % _STEPS + 1 if number % 2 else None, number % 4 + 1)
        if number % 2 == 0:
            time.sleep(moment / 2**32 * _LONGEST_SECONDS)
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(os.waitpid(child(layout, None, 3), 0)[1])


if __name__ == "__main__":
    sys.exit(main())
