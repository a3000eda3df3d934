"""Owns the look at what every process gets from the machine: Python, limits, memory, a place for temporary files, the clock."""

import platform
import resource
import select
import sys
import tempfile
import time
from collections.abc import Iterator

from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import SECOND, instant, iso
from fleetgen.errors import SystemLacks
from fleetgen.machine import memory_bytes, processors
from fleetgen.supervision.examining.finding import Finding, fault, fine, refusal, warning
from fleetgen.supervision.limits import LEAST_PROCESSES, check_limits, wanted_descriptors

ENOUGH_DESCRIPTORS = 1024
ENOUGH_MEMORY_BYTES = 500_000_000
"""What a set takes, without the work of its pipeline."""

_EARLIEST, _LATEST = instant("2025-01-01T00:00:00Z"), instant("2100-01-01T00:00:00Z")
_WAIT_SECONDS = 0.01
_WAITS = 5
_LATE_SECONDS = 0.05
_READINGS = 5
_STEP_SECONDS = 0.02
"""By how much the clock may leave the monotonic one while it is looked at: more is a step, not a drift."""


def surroundings() -> Iterator[Finding]:
    """Yield what the machine gives to a process."""
    yield _python()
    yield _system()
    yield _clock()
    yield _descriptors()
    yield _processes()
    yield _memory()
    yield _temporary()


def _python() -> Finding:
    named = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if platform.python_implementation() != "CPython":
        return warning("python", f"{named}, which no test has seen", "use CPython 3.11 or newer")
    return fine("python", named)


def _system() -> Finding:
    named = f"{platform.system()} {platform.release()} on {platform.machine()}, processors: {processors()}"
    if platform.system() != "Linux":
        return warning("system", f"{named}: here a set runs with less", "use Linux for what must not stop")
    return fine("system", named)


def _clock() -> Finding:
    """Look whether the clock is right roughly, runs on as the monotonic one does, and how late waits end."""
    began, ahead = system_now(), _ahead()
    if not _EARLIEST <= began < _LATEST:
        return fault("clock", f"it says {iso(began)}", "set the machine's clock, such as by NTP")
    late = 0.0
    for _ in range(_WAITS):
        start = time.monotonic()
        select.select([], [], [], _WAIT_SECONDS)
        late = max(late, time.monotonic() - start - _WAIT_SECONDS)
    stepped = _ahead() - ahead
    if abs(stepped) > _STEP_SECONDS:
        return warning("clock", f"it was set by {stepped:+.3f} s meanwhile", "let NTP slew it instead of setting it")
    if late > _LATE_SECONDS:
        return warning("clock", f"waits end {late * 1000:.0f} ms late", "give the machine less other work")
    return fine("clock", f"{iso(began)}; it runs on, and waits end {late * 1000:.1f} ms late at most")


def _ahead() -> float:
    """Return by how many seconds the clock is ahead of the monotonic one, as the quickest of a few readings says it.

    A process that has to wait between two readings of one would take that for a step.
    """
    readings = []
    for _ in range(_READINGS):
        before, now, after = time.monotonic(), system_now(), time.monotonic()
        readings.append((after - before, now / SECOND - (before + after) / 2))
    return min(readings)[1]


def _descriptors() -> Finding:
    try:
        check_limits()
    except SystemLacks as lacking:
        return refusal("descriptors", lacking)
    there = wanted_descriptors()
    if there < ENOUGH_DESCRIPTORS:
        says = f"a process may open {there} files: enough for the set, not for many who watch"
        return warning("descriptors", says, f"raise the limit, such as with `ulimit -n {ENOUGH_DESCRIPTORS}`")
    return fine("descriptors", f"a process may open at least {there} files")


def _processes() -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    if hard != resource.RLIM_INFINITY and hard < LEAST_PROCESSES:
        says = f"this user may have {hard} processes; the set needs {LEAST_PROCESSES}"
        return fault("processes", says, "raise the hard limit, see `ulimit -Hu`")
    return fine("processes", "unlimited" if hard == resource.RLIM_INFINITY else f"this user may have {hard:,}")


def _memory() -> Finding:
    there = memory_bytes()
    says = f"{there / 1e6:,.0f} MB for this process and its container"
    if there < ENOUGH_MEMORY_BYTES:
        return warning("memory", says, "plan 500 MB for the set and up to 300 MB for the work of its pipeline")
    return fine("memory", says)


def _temporary() -> Finding:
    try:
        return fine("temporary", tempfile.gettempdir())
    except FileNotFoundError:
        return fine("temporary", "no folder can be written to: temporary files go into the run folder")
