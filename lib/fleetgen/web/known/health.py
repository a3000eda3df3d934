"""Owns the answer to "how is the set?": the facts that were seen. Why it is degraded is in `reasons`.

Nothing here scans a folder; the cost does not depend on how much there is on disk.
"""

import math
from contextlib import suppress

from fleetgen.config.model import OWN_PIPELINE
from fleetgen.domain.records import ISSUE_TYPES, SECOND, Settings, Stream, iso
from fleetgen.generation.withholding import behind, free_bytes
from fleetgen.storage.manifest import Manifest, Reinitialisation, ScoreTold, empty_manifest
from fleetgen.storage.pruning import pruned_before
from fleetgen.supervision.client import ProcessState
from fleetgen.web.known import facts
from fleetgen.web.known.following import Follower
from fleetgen.web.known.reasons import reasons_of
from fleetgen.web.known.supervised import Supervised


def health(follower: Follower, supervised: Supervised, started_at: int, stopping: bool, now: int) -> facts.Health:
    """Return how the set is; ``started_at`` is when it came up."""
    manifest = follower.manifest or empty_manifest()
    settings = follower.settings
    reasons = list(reasons_of(follower, manifest, supervised, now))
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
        backpressure=_backpressure(follower, manifest),
        disk=_disk(follower),
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
        score=_score(own.outcome.score if own and own.outcome else None),
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


def _score(told: ScoreTold | None) -> facts.ScoreFacts | None:
    return None if told is None else facts.ScoreFacts(**told.model_dump())


def _backpressure(follower: Follower, manifest: Manifest) -> facts.BackpressureFacts:
    limits = follower.loaded.config.backpressure
    slow = [each for stream in Stream for each in behind(manifest, limits, stream)]
    return facts.BackpressureFacts(
        active=bool(slow) and limits.action == "pause",
        action=limits.action,
        max_backlog_batches=limits.max_backlog_batches,
        behind=[facts.BlockingConsumer(name=each.consumer, stream=each.stream, backlog=each.backlog) for each in slow],
    )


def _disk(follower: Follower) -> facts.DiskFacts:
    free: int | None = None
    with suppress(OSError):
        free = free_bytes(follower.loaded.layout)
    return facts.DiskFacts(free_bytes=free, min_free_bytes=follower.loaded.config.retention.min_free_bytes)


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
        event_file_count=max(0, sum(events.totals.batches.values()) - pruned_before(layout, Stream.EVENTS)),
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
