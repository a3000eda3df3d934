"""kill -9 of the pipeline at any moment: the tables end as if it had never been disturbed."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetgen.domain.randomness import Address, Origin, Purpose
from support.delta_tables import contents
from support.patience import wait_for
from support.sets import RunningSet
from support.tables import (
    acknowledged,
    assert_nothing_disappears,
    catch_up,
    dirty_set,
    layout_of,
    pipeline_log,
    pipeline_pid,
    published,
    undisturbed,
)

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
KILLS = int(os.environ.get("FLEETGEN_KILLS", "100" if SOAK else "12"))

pytestmark = pytest.mark.soak


def test_kills_at_any_moment_end_in_the_tables_of_an_undisturbed_run(tmp_path: Path) -> None:
    # given moments that every run repeats: two thirds of them while it works, the others at any time of its life
    moments = Address(13, Origin.EVENTS, 0, Purpose.EVENT_COUNT).draws(KILLS)[0].tolist()
    with dirty_set(control=False, in_memory=True) as running:
        running.start()
        catch_up(running)
        for number, moment in enumerate(moments):
            longest = (1.5, 0.12, 0.2)[number % 3]
            if number % 3:
                wait_for_change(lambda: acknowledged(running), "A batch in the tables")
            if number % 3 == 2:
                wait_for_change(lambda: published(running), "A batch to carry")
            time.sleep(moment / 2**32 * longest)
            kill(running)

        # when it may work to the end
        catch_up(running)
        running.call("pause")
        time.sleep(1)
        catch_up(running)
        assert len(pipeline_log(running, "starting")) > KILLS / 2
        running.stop()

        # then nothing can be seen of the kills
        assert assert_nothing_disappears(layout_of(running)) >= KILLS
        assert contents(layout_of(running)) == undisturbed(layout_of(running), tmp_path / "undisturbed")


def wait_for_change(look: Callable[[], Any], why: str) -> None:
    before = look()
    wait_for(lambda: look() != before, 20, why)


def kill(running: RunningSet) -> None:
    """Kill the pipeline; it stays registered, and a new one takes its place."""
    pid = wait_for(lambda: pipeline_pid(running), 10, "The pipeline")
    os.kill(pid, signal.SIGKILL)
    assert acknowledged(running) is not None
    wait_for(lambda: pipeline_pid(running) not in (None, pid), 10, "The restart")
