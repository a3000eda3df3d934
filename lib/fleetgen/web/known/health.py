"""Owns the answer to "how is the set?": facts that were seen, and the reasons why it is degraded.

Nothing here scans a folder; the cost does not depend on how much there is on disk.
"""

import math
import shutil
from collections.abc import Iterator

from fleetgen.cadence.schedule import HELD_UP
from fleetgen.domain.records import ISSUE_TYPES, SECOND, Settings, Stream, iso
from fleetgen.generation.lifecycle import OWN_PIPELINE, stall
from fleetgen.storage.manifest import Manifest, Reinitialisation, empty_manifest
from fleetgen.supervision.client import ProcessState
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


def health(follower: Follower, supervised: Supervised, started_at: int, stopping: bool, now: int) -> facts.Health:
    """Return how the set is; ``started_at`` is when it came up."""
    manifest = follower.manifest or empty_manifest()
    settings = follower.settings
    reasons = list(_reasons(follower, manifest, supervised, now))
    paused = manifest.desired.paused
    common = facts.Health(
        status="degraded" if reasons else "paused" if paused else "running",
        reasons=reasons,
        timestamp=iso(now),
        generation_mode=settings.mode,
        dataset_id=follower.manifest.dataset_id if follower.manifest else None,
        base_seed=settings.seed if manifest.segments else None,
        uptime=_uptime(started_at, now),
        company_generator=facts.StreamFacts(**_stream_facts(follower, manifest, Stream.COMPANIES, now)),
        driver_generator=_events(follower, manifest, now),
        lifecycle=_lifecycle(manifest, stopping),
        state=_saved(follower),
        processes=[_process(each, supervised) for each in supervised.processes],
        quality=_quality(manifest, settings),
        pipeline=_pipeline(manifest),
        cadence=_cadence(follower, now),
        config=_config(follower),
        auto_reinit=auto_reinit(manifest.reinitialised),
        auto_reinit_count=manifest.reinitialised.count,
        verification=_verification(follower, manifest),
    )
    if settings.mode != "emulated":
        return common
    return facts.EmulatedHealth.model_construct(**common.__dict__, emulated_config=_emulated(settings))


def auto_reinit(noted: Reinitialisation) -> facts.AutoReinit:
    """Return the last time that a resume had an empty dataset begun."""
    return facts.AutoReinit(
        performed=noted.count > 0,
        at=_iso(noted.at),
        actions=list(noted.actions),
        missing_files=list(noted.missing_files),
    )


def _reasons(follower: Follower, manifest: Manifest, supervised: Supervised, now: int) -> Iterator[facts.Reason]:
    yield from _process_reasons(supervised)
    if follower.manifest_fault:
        yield facts.Reason(code="manifest_unreadable", detail=follower.manifest_fault)
    if follower.config_fault:
        yield facts.Reason(
            code="config_invalid",
            detail=f"The last edit is invalid; older settings are in force. {follower.config_fault}",
        )
    free = free_bytes(follower)
    if free < DISK_FULL_BYTES:
        detail = f"Only {free:,} bytes are free in {follower.loaded.layout.data}: make room."
        yield facts.Reason(code="disk_full", detail=detail)
    if manifest.rebuilt_at is not None and now - manifest.rebuilt_at < REBUILT_SHOWN:
        detail = (
            f"The manifest was lost or damaged and was made anew from the other files at {iso(manifest.rebuilt_at)}."
        )
        yield facts.Reason(code="manifest_rebuilt", detail=detail)
    if follower.behind_for(now) > BEHIND:
        seconds = follower.behind_for(now) // SECOND
        detail = f"The pipeline has batches to carry and has finished none for {seconds} s; its log says why."
        yield facts.Reason(code="pipeline_behind", detail=detail)
    yield from _time_reasons(follower, manifest, now)


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


def free_bytes(follower: Follower) -> int:
    """Return the free space where the data lies."""
    data = follower.loaded.layout.data
    return shutil.disk_usage(data if data.exists() else data.parent).free


def _uptime(started_at: int, now: int) -> facts.Uptime:
    seconds = max(0, now - started_at) / SECOND
    return facts.Uptime(seconds=round(seconds, 3), hours=round(seconds / 3600, 4), start_time=iso(started_at))


def _events(follower: Follower, manifest: Manifest, now: int) -> facts.EventStreamFacts:
    head = manifest.head(Stream.EVENTS)
    last = iso(head.stands_at) if head.next_batch else None
    told = _stream_facts(follower, manifest, Stream.EVENTS, now)
    return facts.EventStreamFacts(**told, last_interval_end=last)


def _stream_facts(follower: Follower, manifest: Manifest, stream: Stream, now: int) -> dict[str, object]:
    head = manifest.head(stream)
    at, due = head.last_published_at, math.inf if manifest.desired.paused else follower.next_due(stream)
    return {
        "total_batches": sum(head.totals.batches.values()),
        "total_records": head.totals.records,
        "last_batch_id": head.last_batch_id,
        "last_batch_time": _iso(at),
        "idle_seconds": None if at is None else max(0, now - at) / SECOND,
        "next_batch_time": None if math.isinf(due) else iso(int(due)),
    }


def _lifecycle(manifest: Manifest, stopping: bool) -> facts.Lifecycle:
    desired = manifest.desired
    return facts.Lifecycle(
        paused=desired.paused,
        paused_at=_iso(desired.paused_at) if desired.paused else None,
        pause_reason=desired.pause_reason,
        shutdown_requested=stopping,
    )


def _saved(follower: Follower) -> facts.SavedState:
    path = follower.dataset.store.path
    try:
        saved = iso(path.stat().st_mtime_ns // 1000)
    except OSError:
        saved = None
    return facts.SavedState(last_saved=saved, state_file=str(path.relative_to(follower.loaded.layout.data)))


def _process(each: ProcessState, supervised: Supervised) -> facts.ProcessFacts:
    name = each.name
    return facts.ProcessFacts(
        name=name,
        state=each.state,
        pid=each.pid or None,
        uptime_seconds=each.uptime_seconds,
        restarts=supervised.restarts.get(name, 0),
        since=iso(each.since * SECOND) if each.since else None,
    )


def _quality(manifest: Manifest, settings: Settings) -> facts.QualityFacts:
    issues = {stream: manifest.head(stream).totals.issues for stream in Stream}
    return facts.QualityFacts(
        enabled=settings.quality is not None,
        event_error_rate=settings.quality.error_rate(Stream.EVENTS) if settings.quality else 0.0,
        company_error_rate=settings.quality.error_rate(Stream.COMPANIES) if settings.quality else 0.0,
        records_corrupted={stream: sum(counts.values()) for stream, counts in issues.items()},
        issue_counts={kind: sum(counts.get(kind, 0) for counts in issues.values()) for kind in ISSUE_TYPES},
    )


def _pipeline(manifest: Manifest) -> facts.PipelineFacts:
    own = manifest.consumers.get(OWN_PIPELINE)
    return facts.PipelineFacts(
        latencies=own.latencies if own else None,
        backlog=_backlog(manifest, OWN_PIPELINE) if own else None,
        lines=own.outcome.lines if own and own.outcome else None,
        rejected=own.outcome.rules if own and own.outcome else None,
        consumers=[
            facts.ConsumerFacts(
                name=name,
                acknowledged=consumer.acknowledged,
                backlog=_backlog(manifest, name),
                acknowledged_at=_iso(consumer.acknowledged_at),
            )
            for name, consumer in sorted(manifest.consumers.items())
        ],
    )


def _backlog(manifest: Manifest, name: str) -> dict[Stream, int]:
    return {stream: manifest.backlog(name, stream) for stream in Stream}


def _cadence(follower: Follower, now: int) -> facts.Cadence:
    pace = follower.pace
    return facts.Cadence(
        batches_per_minute=pace.batches_per_minute(now),
        records_per_second=pace.records_per_second(now),
        start_lag_p99_seconds=pace.start_lag_p99_seconds(),
    )


def _config(follower: Follower) -> facts.ConfigFacts:
    fault = follower.config_fault
    loaded_at = iso(follower.config_loaded_at)
    return facts.ConfigFacts(valid=fault is None, error=fault, digest=follower.digest, loaded_at=loaded_at)


def _verification(follower: Follower, manifest: Manifest) -> facts.Verification:
    layout, events = follower.loaded.layout, manifest.head(Stream.EVENTS)
    there = {
        "raw/companies.jsonl": layout.all_companies.exists(),
        "raw/events": events.last_batch_id is not None and layout.batch(Stream.EVENTS, events.last_batch_id).exists(),
    }
    return facts.Verification(
        companies_exists=there["raw/companies.jsonl"],
        events_exists=there["raw/events"],
        missing=[name for name, exists in there.items() if not exists],
        event_file_count=sum(events.totals.batches.values()),
    )


def _emulated(settings: Settings) -> facts.EmulatedConfig:
    least, most = settings.events_per_batch or (0, 0)
    return facts.EmulatedConfig(
        company_interval_seconds=settings.company_interval_seconds,
        driver_interval_seconds=settings.driver_interval_seconds,
        companies_per_batch=settings.companies_per_batch,
        events_per_batch_range=facts.EventsRange(min=least, max=most),
    )


def _iso(at: int | None) -> str | None:
    return None if at is None else iso(at)
