"""Measures how late ticks are and whether lateness adds up: the loop beside APScheduler and `time.sleep`.

Tick number k is due k intervals after the first; its lag is the actual instant minus that one. Drift is the slope of
the lag over the ticks.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event

import numpy as np
from apscheduler.schedulers.background import BackgroundScheduler
from report import print_goal, print_head, print_table

from fleetgen.cadence.clock import SystemClock
from fleetgen.cadence.loop import WakeUp, run
from fleetgen.domain.records import SECOND

INTERVAL = SECOND // 10
GOAL_P50_MS = 0.1
GOAL_P95_MS = 0.2
GOAL_BUSY_P99_MS = 2.0
GOAL_DRIFT_MS = 0.001


def now() -> int:
    """Return the present in microseconds since the epoch."""
    return time.time_ns() // 1000


def lags_of_loop(ticks: int) -> list[int]:
    """Tick by absolute deadlines, as the processes do."""
    clock, wake_up = SystemClock(), WakeUp()
    due = clock.now() + INTERVAL
    lags: list[int] = []

    def turn() -> int:
        nonlocal due
        if clock.now() >= due:
            lags.append(clock.now() - due)
            due += INTERVAL
        wake_up.stopping = len(lags) >= ticks
        return due

    run(clock, wake_up, turn)
    return lags


def lags_of_apscheduler(ticks: int) -> list[int]:
    """Tick by an interval job of APScheduler, none of which is left out."""
    lags: list[int] = []
    finished = Event()
    first = now() + INTERVAL

    def job() -> None:
        if len(lags) < ticks:
            lags.append(now() - first - len(lags) * INTERVAL)
        else:
            finished.set()

    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"coalesce": False, "misfire_grace_time": None})
    begin = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=first)
    scheduler.add_job(job, "interval", seconds=INTERVAL / SECOND, start_date=begin, next_run_time=begin)
    scheduler.start()
    finished.wait()
    scheduler.shutdown()
    return lags


def lags_of_sleep(ticks: int) -> list[int]:
    """Tick by sleeping one interval after another."""
    first = now() + INTERVAL
    lags: list[int] = []
    for tick in range(ticks):
        time.sleep(INTERVAL / SECOND)
        lags.append(now() - first - tick * INTERVAL)
    return lags


def lags_beside_a_busy_process(ticks: int) -> list[int]:
    """Tick by absolute deadlines while another process computes without a rest."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            return lags_of_loop(ticks)
        finally:
            busy.kill()


def main() -> None:
    """Measure one way after another."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ticks", type=int, default=1000, help="ticks of each way")
    arguments.add_argument("--quick", action="store_true", help="100 ticks")
    options = arguments.parse_args()
    ticks = 100 if options.quick else options.ticks
    ways: dict[str, Callable[[int], list[int]]] = {
        "fleetgen, absolute deadline": lags_of_loop,
        "fleetgen, beside a busy process": lags_beside_a_busy_process,
        "APScheduler 3, interval job": lags_of_apscheduler,
        "time.sleep(interval)": lags_of_sleep,
    }
    print_head(f"Keeping time: {ticks} ticks at {INTERVAL // 1000} ms")
    measured = {way: np.array(lags(ticks)) / 1000 for way, lags in ways.items()}
    drifts = {way: float(np.polyfit(np.arange(ticks), lags, 1)[0]) for way, lags in measured.items()}
    rows = []
    for way, lags in measured.items():
        lag = [*np.percentile(lags, [50, 95, 99]), lags.max()]
        rows.append([way, *(f"{value:.3f}" for value in lag), f"{drifts[way]:+.5f}"])
    print_table(["way", "lag p50 ms", "p95", "p99", "max", "drift ms/tick"], rows)
    own = "fleetgen, absolute deadline"
    half, most = np.percentile(measured[own], [50, 95])
    busy = np.percentile(measured["fleetgen, beside a busy process"], 99)
    print_goal(f"lag p50 of at most {GOAL_P50_MS} ms on an idle machine", bool(half <= GOAL_P50_MS))
    print_goal(f"lag p95 of at most {GOAL_P95_MS} ms on an idle machine", bool(most <= GOAL_P95_MS))
    print_goal(f"lag p99 of at most {GOAL_BUSY_P99_MS} ms beside a busy process", bool(busy <= GOAL_BUSY_P99_MS))
    print_goal(f"no drift (below {GOAL_DRIFT_MS * 1000:.0f} µs a tick)", abs(drifts[own]) < GOAL_DRIFT_MS)


if __name__ == "__main__":
    main()
