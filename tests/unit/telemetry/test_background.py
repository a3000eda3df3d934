"""Threads beside the main one: whatever a step raises, the next one comes, and the fault is said and counted."""

import io
import json
import threading
import time

import pytest

from fleetgen.telemetry.background import Background
from fleetgen.telemetry.logs import start_logging
from support.patience import wait_for


@pytest.mark.parametrize("fault", [KeyError("statename"), RecursionError(), UnicodeDecodeError("utf-8", b"", 0, 1, "")])
def test_a_thread_outlives_every_fault_says_it_and_counts_it(fault: Exception) -> None:
    said = io.StringIO()
    counted: list[str] = []
    took: list[float] = []
    ended = threading.Event()

    def step() -> float:
        took.append(time.monotonic())
        if len(took) == 1:
            raise fault
        return 60 if ended.is_set() else 0.01

    Background("control", start_logging("control", said), counted.append).start("looking", step)
    wait_for(lambda: len(took) > 3, 10, "The steps after a fault")
    ended.set()
    assert counted == ["looking"]
    (line,) = [json.loads(each) for each in said.getvalue().splitlines()]
    assert line["event"] == "Control could not go on with looking; it tries again in 1 s"
    assert line["level"] == "error"
    assert line["exception"][-1]["exc_type"] == type(fault).__name__
    assert took[1] - took[0] >= 1
