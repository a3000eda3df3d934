"""Measures the page: what it costs the control process before, while and after it is open, and how soon it shows a batch.

A latency runs from the batch's meta, the last file that is written before the batch appears, to the change in the page, as a
MutationObserver in the browser sees it; beside it, the same batches by server-sent events to a plain client. The browser runs
on the same machine and takes its share of the processor. It needs `/proc` (Linux) and Chromium.
"""

import argparse
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from bench_processes import memory_megabytes, processor_seconds
from playwright.sync_api import Browser
from report import print_goal, print_head, print_table

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.api import client_of, server_events
from support.browser import chromium, observe, tab_of
from support.event_stream import health
from support.patience import wait_for
from support.sets import RunningSet, running_set

EVERY_SECOND = {"company_interval": '"PT1S"', "driver_interval": '"PT1S"'}
TABS, LOADS = 5, 500
GOAL_FIRST_VIEW, GOAL_P95, GOAL_MOST = 3.0, 0.3, 1.0
GOAL_GROWTH_MIB = 16


class Cost:
    """Memory and processor time of the control process in each state, as rows of a table."""

    def __init__(self, running: RunningSet, seconds: float) -> None:
        self._pid = next(each["pid"] for each in health(running)["processes"] if each["name"] == "control")
        self._seconds = seconds
        self.rows: list[list[str]] = []

    def note(self, state: str) -> float:
        """Watch for a while; return the memory at its end, in MiB."""
        before = processor_seconds(self._pid)
        time.sleep(self._seconds)
        share = (processor_seconds(self._pid) - before) / self._seconds
        memory = memory_megabytes(self._pid)
        self.rows.append([state, f"{memory:.1f}", f"{share:.1%}"])
        return memory


def measure_cost(running: RunningSet, browser: Browser, seconds: float, loads: int) -> None:
    """Print what the page costs from before its first visit to after its last."""
    cost = Cost(running, seconds)
    cost.note("before anybody opened it")
    began = time.perf_counter()
    with tab_of(browser, running):
        first_view = time.perf_counter() - began
        cost.note("one tab")
    with ExitStack() as tabs:
        for _ in range(TABS):
            tabs.enter_context(tab_of(browser, running))
        early = cost.note(f"{TABS} tabs")
        late = cost.note(f"{TABS} tabs, later")
    cost.note("all closed")
    with client_of(running) as client:
        for _ in range(loads):
            client.get("/")
    time.sleep(20)
    once = cost.note(f"after {loads} loads by a program")
    with client_of(running) as client:
        for _ in range(loads):
            client.get("/")
    time.sleep(20)
    twice = cost.note(f"after {loads} more")
    print_table(["the control process", "RSS MiB", "of a core"], cost.rows)
    print_goal(f"a first view within {GOAL_FIRST_VIEW:.0f} s ({first_view:.1f} s)", first_view <= GOAL_FIRST_VIEW)
    print_goal(f"open tabs grow by at most {GOAL_GROWTH_MIB} MiB ({late - early:.1f})", late - early <= GOAL_GROWTH_MIB)
    print_goal(
        f"loads leave at most {GOAL_GROWTH_MIB} MiB behind ({twice - once:.1f})", twice - once <= GOAL_GROWTH_MIB
    )


def measure_latency(running: RunningSet, browser: Browser, batches: int) -> None:
    """Print how long after its publication a batch is on the page, beside a plain client of the events."""
    with tab_of(browser, running) as tab, client_of(running) as client:
        time.sleep(5)  # until the browser has settled
        seen = observe(tab, "#generator-events .lines dd")
        told: list[float] = []
        with client.stream("GET", "/api/events") as answer:
            for event in server_events(answer):
                if event.kind == "batch_generated" and event.data["stream"] == "events":
                    told.append(time.time() - _published(running, event.data["batch_id"]))
                if len(told) == batches:
                    break
        wait_for(lambda: len(seen()) >= batches, 5, "The batches")
        shown = [at / 1000 - _published(running, batch_id) for at, batch_id in seen()]
    rows = [_row("the page", shown), _row("server-sent events", told)]
    print_table(["a batch is known by", "batches", "p50 ms", "p95", "max"], rows)
    p95 = statistics.quantiles(shown, n=20)[-1]
    print_goal(f"95 % within {GOAL_P95} s", p95 <= GOAL_P95)
    print_goal(f"all within {GOAL_MOST:.0f} s", max(shown) <= GOAL_MOST)


def _published(running: RunningSet, batch_id: str) -> float:
    return (running.data / "raw" / "events" / batch_id / "batch_meta.json").stat().st_mtime


def _row(way: str, seconds: list[float]) -> list[str]:
    p95 = statistics.quantiles(seconds, n=20)[-1]
    figures = [f"{value * 1000:.0f}" for value in (statistics.median(seconds), p95, max(seconds))]
    return [way, str(len(seconds)), *figures]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="10 s in each state and 15 batches, instead of 30 s and 60"
    )
    quick = parser.parse_args().quick
    print_head("The page of a set with a batch of each stream every second")
    with running_set(control=True, pipeline=True, **EVERY_SECOND) as running, chromium() as browser:
        measure_cost(running, browser, 10 if quick else 30, LOADS // 5 if quick else LOADS)
        measure_latency(running, browser, 15 if quick else 60)


if __name__ == "__main__":
    main()
