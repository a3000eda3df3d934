"""Owns the reasons why the set is degraded, each in a sentence that says what helps.

Nothing here scans a folder; the cost does not depend on how much there is on disk.
"""

from collections.abc import Iterator
from typing import Literal

from fleetgen.cadence.schedule import HELD_UP
from fleetgen.config.model import OWN_PIPELINE
from fleetgen.domain.records import SECOND, Stream, iso
from fleetgen.generation.lifecycle import stall
from fleetgen.generation.withholding import behind, free_bytes
from fleetgen.storage.manifest import Manifest
from fleetgen.supervision.deaths import MANY_DEATHS, RECENT_SECONDS
from fleetgen.web.known import facts
from fleetgen.web.known.following import LOST_SHOWN, Follower
from fleetgen.web.known.supervised import Supervised

DISK_FULL_BYTES = 16 * 1024 * 1024
"""With less than this free, the disk counts as full."""

LATE = HELD_UP
"""How long a batch may be overdue before its stream counts as late: from then on, intervals may be given up."""

BEHIND = 30 * SECOND
"""For so long the pipeline may finish none of a backlog."""

CLOCK_TOLERANCE = SECOND
REBUILT_SHOWN = 3600 * SECOND
"""For how long a manifest that had to be made anew is told of."""

_ENDED = ("STOPPED", "EXITED", "FATAL")
_PROCESS = {Stream.COMPANIES: "company", Stream.EVENTS: "driver"}


def reasons_of(follower: Follower, manifest: Manifest, supervised: Supervised, now: int) -> Iterator[facts.Reason]:
    """Yield every reason, each with what helps."""
    yield from _process_reasons(supervised)
    if follower.manifest_fault:
        yield facts.Reason(code="manifest_unreadable", detail=follower.manifest_fault)
    if follower.config_fault:
        yield facts.Reason(
            code="config_invalid",
            detail=f"The last edit is invalid; older settings are in force. {follower.config_fault}",
        )
    yield from _disk_reasons(follower)
    if manifest.rebuilt_at is not None and now - manifest.rebuilt_at < REBUILT_SHOWN:
        detail = (
            f"The manifest was lost or damaged and was made anew from the other files at {iso(manifest.rebuilt_at)}."
        )
        yield facts.Reason(code="manifest_rebuilt", detail=detail)
    if follower.behind_for(now) > BEHIND:
        seconds = follower.behind_for(now) // SECOND
        detail = f"The pipeline has batches to carry and has finished none for {seconds} s; its log says why."
        yield facts.Reason(code="pipeline_behind", detail=detail)
    yield from _consumer_reasons(follower, manifest)
    yield from _time_reasons(follower, manifest, now)


def _disk_reasons(follower: Follower) -> Iterator[facts.Reason]:
    data, least = follower.loaded.layout.data, follower.loaded.config.retention.min_free_bytes
    try:
        free = free_bytes(follower.loaded.layout)
    except OSError as fault:
        detail = f"{data} cannot be looked at: {fault.strerror}. Mount it, or set paths.data to a folder that is there."
        yield facts.Reason(code="data_unreachable", detail=detail)
        return
    if free < least:
        detail = (
            f"Only {free:,} bytes are free in {data}: nothing is published until {least:,} are. Make room, or lower "
            "retention.min_free_bytes."
        )
        yield facts.Reason(code="disk_full", detail=detail)
    elif free < DISK_FULL_BYTES:
        yield facts.Reason(code="disk_full", detail=f"Only {free:,} bytes are free in {data}: make room.")


def _consumer_reasons(follower: Follower, manifest: Manifest) -> Iterator[facts.Reason]:
    """Name the consumers that are behind by the limit, each once, and what helps."""
    limits = follower.loaded.config.backpressure
    slow = [each for stream in Stream for each in behind(manifest, limits, stream)]
    code: Literal["backpressure", "consumer_behind"] = "backpressure" if limits.action == "pause" else "consumer_behind"
    meaning = "nothing of the stream is published until it has" if code == "backpressure" else "publishing goes on"
    for each in slow:
        remedy = (
            "`supervisorctl start pipeline`, or see its log"
            if each.consumer == OWN_PIPELINE
            else f"start it, or let it leave with DELETE /api/consumers/{each.consumer}"
        )
        yield facts.Reason(code=code, detail=f"{str(each).capitalize()}: {meaning}. Remedy: {remedy}.")


def _process_reasons(supervised: Supervised) -> Iterator[facts.Reason]:
    if supervised.fault:
        yield facts.Reason(code="supervisor_unreachable", detail=supervised.fault)
    for each in supervised.processes:
        if each.state not in ("RUNNING", "STARTING"):
            remedy = f": start it with `supervisorctl start {each.name}`" if each.state in _ENDED else ""
            yield facts.Reason(code="process_down", detail=f"{each.name} is {each.state}{remedy}.")
    for name in supervised.hung:
        detail = f"{name} runs but its heartbeat stands still; it is killed and started again after 30 s."
        yield facts.Reason(code="process_hung", detail=detail)
    for name, count in supervised.looping.items():
        detail = f"{name} has failed {count} times in a row; its log says why."
        yield facts.Reason(code="crash_loop", detail=detail)
    for name, known in supervised.deaths.items():
        if known["recent"] >= MANY_DEATHS:
            detail = f"{name} died {known['recent']} times within {RECENT_SECONDS // 60} minutes, the last time {known['last']}."
            yield facts.Reason(code="process_deaths", detail=detail)


def _time_reasons(follower: Follower, manifest: Manifest, now: int) -> Iterator[facts.Reason]:
    ends = {stream: manifest.head(stream).stands_at for stream in Stream}
    if max(ends.values()) > now + CLOCK_TOLERANCE:
        ahead = (max(ends.values()) - now) // SECOND
        detail = f"The clock stands {ahead} s behind the end of the last interval: {stall(iso(max(ends.values())))}."
        yield facts.Reason(code="clock_behind", detail=detail)
    for stream, count in follower.lost(now, LOST_SHOWN).items():
        detail = (
            f"{count} intervals of {stream} could not be made and are left out; the log of {_PROCESS[stream]} says why."
        )
        yield facts.Reason(code="intervals_lost", detail=detail)
    if manifest.desired.paused:
        return
    for stream, name in _PROCESS.items():
        since = max(follower.next_due(stream), manifest.desired.resumed_at or 0)
        if now - since > LATE:
            detail = f"The next batch of {stream} has been due for {int(now - since) // SECOND} s; the log of {name} says why."
            yield facts.Reason(code="stream_late", detail=detail)
