"""Owns what the benchmarks have in common: timing, machine facts, and a table for people."""

import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np


def print_head(title: str) -> None:
    """Print what is measured and on what."""
    now = datetime.now(UTC)
    python = platform.python_version()
    print(f"\n{title}")
    print(
        f"{now:%Y-%m-%d %H:%M} UTC, {_processor()}, {os.cpu_count()} cores, Python {python}, numpy {np.__version__}\n"
    )


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, ["-" * width for width in widths], *rows):
        first, *others = row
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        print("  ".join(cells).rstrip())
    print(flush=True)


def print_goal(text: str, reached: bool) -> None:
    """Print a goal and whether this run reached it."""
    print(f"goal: {text}: {'reached' if reached else 'missed'}", flush=True)


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = perf_counter()
    work()
    return perf_counter() - start


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the median of how long calls take."""
    return statistics.median(seconds_of(work) for _ in range(repeats))


def pin_to_one_core() -> str:
    """Keep this process on one core where the system can; return what became of it."""
    if sys.platform != "linux":
        return "not pinned"
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return f"pinned to core {core}"


def usable_cores() -> set[int]:
    """Return the cores that this process may use; none where the system does not tell."""
    return set(os.sched_getaffinity(0)) if sys.platform == "linux" else set()


@contextmanager
def unpinned(cores: set[int]) -> Iterator[None]:
    """Let a block run on these cores, and go back to those before."""
    before = usable_cores()
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open() as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
