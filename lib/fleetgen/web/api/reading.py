"""Owns the routes that only read."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from fleetgen.cadence.clock import system_now
from fleetgen.config.model import OWN_PIPELINE
from fleetgen.domain.records import Stream
from fleetgen.errors import UsageError
from fleetgen.generation.inspecting import batch_facts
from fleetgen.storage.bronze import read_meta
from fleetgen.web.api import answers
from fleetgen.web.api.control import Control, Of
from fleetgen.web.known.facts import EmulatedHealth, Health
from fleetgen.web.known.following import Follower
from fleetgen.web.known.health import health
from fleetgen.web.known.judged import rejected_lines
from fleetgen.web.known.streams import Client

BATCH_ID = r"^\d{8}T\d{6}Z$"
MOST_ISSUES = 200
"""Issues of a batch that are told, and so many rejected lines more."""

Limit = Annotated[int, Query(ge=1, le=1000)]

_PROBLEMS = (403, 413, 414, 422, 431, 503)
_AS_JSON = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}

reading = APIRouter(responses={status: {"model": answers.Problem} for status in _PROBLEMS})


@reading.get("/health")
async def get_health(control: Of) -> EmulatedHealth | Health:
    """How the set is. Always 200; `status` and `reasons` tell what is wrong."""
    now = system_now()
    control.follower.look()
    return health(control.follower, control.supervised(), control.started_at(), control.stopping(), now)


@reading.get("/logs")
def get_logs(
    control: Of,
    limit: Limit = 100,
    since: Annotated[str | None, Query(max_length=1000)] = None,
    before: Annotated[str | None, Query(max_length=1000)] = None,
    level: Annotated[list[str] | None, Query(max_length=5)] = None,
) -> answers.LogPage:
    """Log lines of all processes, newest first. `nextBefore` leads to older lines, `nextSince` to newer ones."""
    page = control.logs.newest(limit, since=since, before=before, levels=level)
    entries = [
        answers.LogEntry(
            timestamp=line.timestamp,
            ts=line.timestamp,
            level=line.level,
            logger=line.logger,
            message=line.event,
            extra=dict(line.extra),
        )
        for line in page.lines
    ]
    return answers.LogPage(
        entries=entries, totalReturned=len(entries), nextSince=page.next_since, nextBefore=page.next_before
    )


@reading.get("/batches")
def get_batches(
    control: Of, stream: Stream | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 20
) -> answers.Batches:
    """The newest batches of one stream, or of both, by the ends of their intervals."""
    streams = tuple(Stream) if stream is None else (stream,)
    newest = [(each, entry.batch_id) for each in streams for entry in control.follower.newest(each, limit)]
    found = [meta for each in newest if (meta := _meta(control, *each))]
    found.sort(key=lambda meta: (meta["interval_end"], meta["stream"]), reverse=True)
    return answers.Batches(batches=[answers.BatchMeta(**meta) for meta in found[:limit]])


@reading.get("/batches/{stream}/{batch_id}", responses={404: {"model": answers.Problem}})
def get_batch(
    control: Of,
    stream: Stream,
    batch_id: Annotated[str, Path(pattern=BATCH_ID)],
    lines: Annotated[int, Query(ge=0, le=100)] = 5,
) -> answers.BatchDetail:
    """One batch: its meta, its first lines, what was injected into it, and what the own pipeline rejected of it."""
    follower = control.follower
    try:
        seen = batch_facts(follower.dataset.layout, stream, batch_id, lines, MOST_ISSUES)
    except UsageError as fault:
        raise HTTPException(404, {"error": "not_found", "detail": str(fault)}) from fault
    rejected = None
    if _is_carried(follower, stream, seen["meta"]):
        with_issues = [issue["line"] for issue in seen["issues"]]
        rejected = rejected_lines(follower.loaded.file, stream, batch_id, with_issues, 2 * MOST_ISSUES)
    return answers.BatchDetail(**seen, rejected=rejected)


def _is_carried(follower: Follower, stream: Stream, meta: dict[str, Any]) -> bool:
    """Whether the own pipeline has the batch, in the tables that the configuration file leads to."""
    if (
        replace(follower.loaded, fixed_data=None).layout != follower.dataset.layout
    ):  # it was edited, and waits for a reload
        return False
    own = follower.manifest.consumers.get(OWN_PIPELINE) if follower.manifest else None
    return own is not None and own.acknowledged.get(stream, -1) >= meta["batch_number"]


@reading.get("/targets")
async def get_targets(request: Request, control: Of) -> list[answers.Target]:
    """Every process that serves /metrics, in the form of Prometheus' HTTP service discovery."""
    return [
        answers.Target(
            targets=[program.reached_at(request.url.hostname or "localhost")], labels={"process": program.name}
        )
        for program in control.programs()
    ]


async def _admitted(
    control: Of, last_event_id: Annotated[str | None, Header(max_length=100)] = None
) -> AsyncIterator[Client]:
    """Admit a client until its stream has ended; counted at once, so that no burst gets past the limit."""
    if control.hub.is_full:
        raise HTTPException(503, "There are too many open streams: close one first.")
    client = control.hub.join(last_event_id)
    try:
        yield client
    finally:
        control.hub.leave(client)


@reading.get(
    "/events",
    response_class=EventSourceResponse,
    responses=dict.fromkeys(_PROBLEMS, _AS_JSON),  # a refusal is no stream
)
async def get_events(client: Annotated[Client, Depends(_admitted)]) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: batch_generated, batch_processed, state_changed, config_reloaded.

    A client that comes back with Last-Event-ID gets what it missed, as far as the newest 1,000 events go.
    """
    yield ServerSentEvent(comment="fleetgen")
    async for event in client.events():
        yield ServerSentEvent(id=event.id, event=event.kind, data=event.data)


def _meta(control: Control, stream: Stream, batch_id: str) -> dict[str, Any] | None:
    try:
        return read_meta(control.follower.dataset.layout, stream, batch_id)
    except (OSError, ValueError):
        return None
