"""A page that is kept open for long, in several tabs, and one that is loaded again and again, leave nothing behind."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.api import client_of
from support.browser import chromium, tab_of
from support.event_stream import health
from support.patience import wait_for
from support.sets import RunningSet, running_set

SOAK = bool(os.environ.get("FLEETGEN_SOAK"))
TABS, SECONDS = (5, 1800) if SOAK else (2, 15)
LOADS = 500 if SOAK else 60
GROWTH_MIB = 24
FORGOTTEN_SECONDS = 25
"""After so long a page that never connected is let go."""


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSet]:
    with running_set(True, True, company_interval='"PT1S"', driver_interval='"PT1S"') as each:
        yield each


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as each:
        yield each


def memory_mib(running: RunningSet) -> float:
    """Return the memory of the control process."""
    pid = next(each["pid"] for each in health(running)["processes"] if each["name"] == "control")
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


@pytest.mark.soak
def test_tabs_that_stay_open_do_not_grow(running: RunningSet, browser: Browser) -> None:
    with ExitStack() as tabs:
        opened = [tabs.enter_context(tab_of(browser, running)) for _ in range(TABS)]
        time.sleep(5)
        before = memory_mib(running)
        time.sleep(SECONDS)
        assert memory_mib(running) - before < GROWTH_MIB
        number = opened[0].figure("generator-events", "batches")
        wait_for(lambda: all(each.figure("generator-events", "batches") != number for each in opened), 5, "All go on")


@pytest.mark.soak
def test_loads_by_a_program_leave_nothing_behind(running: RunningSet) -> None:
    with client_of(running) as client:
        for _ in range(LOADS):
            client.get("/")
        time.sleep(FORGOTTEN_SECONDS)
        before = memory_mib(running)
        for _ in range(LOADS):
            assert client.get("/").status_code in (200, 503)
        time.sleep(FORGOTTEN_SECONDS if SOAK else 0)
        assert memory_mib(running) - before < GROWTH_MIB
        assert client.get("/api/health").status_code == 200
