"""Owns the routes of the control API: what can be asked, what can be changed, and how a fault is answered."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, Header, HTTPException, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from fleetgen import __version__
from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import Stream, iso
from fleetgen.errors import FleetgenError, HeldByAnother, UsageError
from fleetgen.generation import lifecycle
from fleetgen.generation.cleaning import PauseRequired, clean
from fleetgen.generation.lifecycle import OWN_PIPELINE, Resumed, WrongDataset
from fleetgen.storage.bronze import read_meta
from fleetgen.storage.files import is_disk_fault
from fleetgen.storage.manifest import Manifest
from fleetgen.supervision.client import Supervisor, empty_logs
from fleetgen.supervision.programs import Program
from fleetgen.telemetry.log_files import LogFiles
from fleetgen.telemetry.logs import Logger
from fleetgen.web import answers
from fleetgen.web.following import Follower
from fleetgen.web.health import auto_reinit, health
from fleetgen.web.streams import Hub
from fleetgen.web.supervised import Supervised

BASELINE_WAIT_SECONDS = 1.5
"""How long a resume waits for the first batches, so that its answer comes within 2 s."""

_PROCESS = {Stream.COMPANIES: "company", Stream.EVENTS: "driver"}
_PROBLEM = {"model": answers.Problem}
_CHANGE_PROBLEMS: dict[int | str, dict[str, Any]] = dict.fromkeys((400, 401, 403, 409, 413, 422, 503), _PROBLEM)
_READ_PROBLEMS: dict[int | str, dict[str, Any]] = dict.fromkeys((414, 422, 503), _PROBLEM)


@dataclass(frozen=True, slots=True)
class Control:
    """What the routes need of the control process."""

    follower: Follower
    hub: Hub
    supervised: Callable[[], Supervised]
    supervisor: Supervisor
    programs: list[Program]
    registry: CollectorRegistry
    logs: LogFiles
    log: Logger
    started_at: Callable[[], int]
    stopping: Callable[[], bool]


class _Asked(BaseModel):
    """The base of all bodies: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PauseRequest(_Asked):
    """Why, for those who look later."""

    reason: Annotated[str | None, Field(max_length=200)] = None


class Acknowledgement(BaseModel):
    """The newest batch of a stream that a consumer has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_id: Annotated[str, Field(max_length=64)]
    stream: Stream
    batch_number: Annotated[int, Field(ge=0, lt=2**63, strict=True)]


ConsumerName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.\-]{0,63}$")]
Limit = Annotated[int, Query(ge=1, le=1000)]


def control_of(request: Request) -> Control:
    """Return the control process that serves this request."""
    control: Control = request.app.state.control
    return control


Of = Annotated[Control, Depends(control_of)]


def create_app(control: Control) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="fleetgen control", version=__version__, openapi_url="/api/openapi.json", docs_url=None, redoc_url=None
    )
    app.state.control = control
    app.include_router(_reading, prefix="/api")
    app.include_router(_changing, prefix="/api")
    app.add_api_route("/metrics", _metrics, include_in_schema=False)
    app.add_api_route("/", _root, include_in_schema=False)
    app.add_exception_handler(StarletteHTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(FleetgenError, _fleetgen_problem)
    app.add_exception_handler(OSError, _system_problem)
    app.add_exception_handler(Exception, _failure)
    return app


_reading = APIRouter(responses=_READ_PROBLEMS)
_changing = APIRouter(responses=_CHANGE_PROBLEMS)


@_reading.get("/health")
async def get_health(control: Of) -> answers.EmulatedHealth | answers.Health:
    """How the set is. Always 200; `status` and `reasons` tell what is wrong."""
    now = system_now()
    return health(control.follower, control.supervised(), control.started_at(), control.stopping(), now)


@_reading.get("/logs")
def get_logs(
    control: Of,
    limit: Limit = 100,
    since: Annotated[str | None, Query(max_length=200)] = None,
    before: Annotated[str | None, Query(max_length=200)] = None,
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


@_reading.get("/batches")
def get_batches(
    control: Of, stream: Stream | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 20
) -> answers.Batches:
    """The newest batches of one stream, or of both, by the ends of their intervals."""
    streams = tuple(Stream) if stream is None else (stream,)
    newest = [(each, entry.batch_id) for each in streams for entry in control.follower.newest(each, limit)]
    found = [meta for each in newest if (meta := _meta(control, *each))]
    found.sort(key=lambda meta: (meta["interval_end"], meta["stream"]), reverse=True)
    return answers.Batches(batches=[answers.BatchMeta(**meta) for meta in found[:limit]])


@_reading.get("/targets")
async def get_targets(request: Request, control: Of) -> list[answers.Target]:
    """Every process that serves /metrics, in the form of Prometheus' HTTP service discovery."""
    return [
        answers.Target(
            targets=[program.reached_at(request.url.hostname or "localhost")], labels={"process": program.name}
        )
        for program in control.programs
    ]


def _room(control: Of) -> None:
    if control.hub.is_full:
        raise HTTPException(503, "There are too many open streams: close one first.")


@_reading.get("/events", response_class=EventSourceResponse, dependencies=[Depends(_room)])
async def get_events(
    control: Of, last_event_id: Annotated[str | None, Header(max_length=100)] = None
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: batch_generated, batch_processed, state_changed, config_reloaded.

    A client that comes back with Last-Event-ID gets what it missed, as far as the newest 1,000 events go.
    """
    client = control.hub.join(last_event_id)
    try:
        yield ServerSentEvent(comment="fleetgen")
        async for event in client.events():
            yield ServerSentEvent(id=event.id, event=event.kind, data=event.data)
    finally:
        control.hub.leave(client)


@_changing.post("/pause")
def post_pause(control: Of, asked: Annotated[PauseRequest | None, Body()] = None) -> answers.Changed:
    """Let nothing be published until a resume; survives restarts."""
    reason = asked.reason if asked else None
    changed = lifecycle.pause(control.follower.dataset, system_now(), reason)
    if changed:
        control.log.info("Paused over HTTP", kind="paused", reason=reason)
    message = "Paused: no batch is published until a resume." if changed else "Already paused."
    return _changed("pause", message, None)


@_changing.post("/resume")
def post_resume(control: Of) -> answers.Changed:
    """Go on with the next interval; an empty dataset gets its first batches at once, sized by the mode."""
    dataset = control.follower.dataset
    resumed = lifecycle.resume(dataset, system_now(), control.follower.loaded.config)
    if not resumed.changed:
        return _changed("resume", "Not paused.", None)
    control.log.info("Resumed over HTTP", kind="resumed", baseline_actions=list(resumed.actions))
    pending = _await_baseline(control, resumed)
    manifest = dataset.manifest()
    extra = answers.ResumeExtra(
        baseline_actions=list(resumed.actions), pending=pending, auto_reinit=auto_reinit(manifest.reinitialised)
    )
    return _changed("resume", _resumed_message(control, resumed, pending), extra)


@_changing.post("/clean")
def post_clean(control: Of, logs: bool = False) -> answers.Cleaned:
    """Delete the whole dataset, and the logs if asked. A running set must be paused first."""
    began = time.monotonic()
    layout = control.follower.loaded.layout
    try:
        cleaned = clean(layout)
    except PauseRequired as fault:
        raise HTTPException(400, {"error": "pause_required", "detail": str(fault)}) from fault
    items = cleaned.items + (empty_logs(layout.logs, control.supervisor) if logs else [])
    control.log.info(f"Cleaned over HTTP: {len(items)} items", kind="cleaned", items=items)
    return answers.Cleaned(
        success=not cleaned.left,
        deleted_count=len(items),
        deleted_items=items,
        duration_ms=round((time.monotonic() - began) * 1000, 3),
        errors=[f"{name} could not be deleted yet; the next start tries again." for name in cleaned.left],
    )


@_changing.put("/consumers/{name}")
def put_consumer(control: Of, name: ConsumerName, asked: Acknowledgement) -> answers.ConsumerChanged:
    """Acknowledge every batch of a stream up to this one; the first acknowledgement makes the consumer known."""
    _check_foreign(control, name)
    manifest = lifecycle.acknowledge(
        control.follower.dataset, name, asked.dataset_id, {asked.stream: asked.batch_number}, system_now()
    )
    return _consumer(manifest, name)


@_changing.delete("/consumers/{name}")
def delete_consumer(control: Of, name: ConsumerName) -> answers.ConsumerChanged:
    """Forget a consumer; nobody waits for it any more."""
    _check_foreign(control, name)
    lifecycle.leave(control.follower.dataset, name)
    return answers.ConsumerChanged(success=True, name=name, registered=False, acknowledged={}, backlog={})


def _check_foreign(control: Control, name: str) -> None:
    if name == OWN_PIPELINE and control.follower.loaded.config.pipeline.enabled:
        detail = f"{name} is the set's own pipeline: use another name, or set pipeline.enabled = false."
        raise HTTPException(409, {"error": "reserved_name", "detail": detail})


def _consumer(manifest: Manifest, name: str) -> answers.ConsumerChanged:
    acknowledged = manifest.consumers[name].acknowledged
    backlog = {stream: manifest.backlog(name, stream) for stream in Stream}
    return answers.ConsumerChanged(success=True, name=name, registered=True, acknowledged=acknowledged, backlog=backlog)


def _changed(action: Any, message: str, extra: answers.ResumeExtra | None) -> answers.Changed:
    return answers.Changed(
        success=True,
        action=action,
        status="paused" if action == "pause" else "running",
        timestamp=iso(system_now()),
        message=message,
        error=None,
        extra=extra,
    )


def _await_baseline(control: Control, resumed: Resumed) -> list[Stream]:
    """Wait a moment for the first batches; return the streams that have none yet."""
    store, deadline = control.follower.dataset.store, time.monotonic() + BASELINE_WAIT_SECONDS
    pending = list(resumed.missing)
    while pending and time.monotonic() < deadline:
        time.sleep(0.02)
        if manifest := store.read():
            pending = [stream for stream in pending if not manifest.head(stream).next_batch]
    return pending


def _resumed_message(control: Control, resumed: Resumed, pending: list[Stream]) -> str:
    if not resumed.missing:
        return "Resumed: each stream goes on with its next interval."
    running = {each.name for each in control.supervised().processes if each.state == "RUNNING"}
    stopped = [name for stream in pending if (name := _PROCESS[stream]) not in running]
    if stopped:
        return f"Resumed, but {' and '.join(stopped)} does not run: start it with `supervisorctl start {stopped[0]}`."
    return f"Resumed: {', '.join(resumed.actions)} {'will be' if pending else 'are'} made."


def _meta(control: Control, stream: Stream, batch_id: str) -> dict[str, Any] | None:
    try:
        return read_meta(control.follower.loaded.layout, stream, batch_id)
    except (OSError, ValueError):
        return None


async def _root() -> RedirectResponse:
    return RedirectResponse("/api/health")


async def _metrics(control: Of) -> PlainTextResponse:
    return PlainTextResponse(generate_latest(control.registry), media_type=CONTENT_TYPE_LATEST)


def _problem(status: int, error: str, detail: str, headers: Any = None) -> JSONResponse:
    return JSONResponse(
        {"error": error, "detail": detail, "timestamp": iso(system_now())}, status_code=status, headers=headers
    )


async def _http_problem(request: Request, fault: Any) -> JSONResponse:
    if isinstance(fault.detail, dict):
        return _problem(fault.status_code, fault.detail["error"], fault.detail["detail"], fault.headers)
    code = HTTPStatus(fault.status_code).phrase.lower().replace(" ", "_")
    detail = fault.detail
    if fault.status_code == HTTPStatus.NOT_FOUND:
        detail = "There is nothing here; /api/openapi.json lists what there is."
    return _problem(fault.status_code, code, detail, fault.headers)


async def _bad_request(request: Request, fault: Any) -> JSONResponse:
    told = "; ".join(f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}" for each in fault.errors())
    return _problem(422, "invalid_request", told)


async def _fleetgen_problem(request: Request, fault: Any) -> JSONResponse:
    if isinstance(fault, WrongDataset):
        return _problem(409, "wrong_dataset", str(fault))
    if isinstance(fault, UsageError):
        return _problem(422, "invalid_request", str(fault))
    if isinstance(fault, HeldByAnother):
        return _problem(503, "busy", str(fault), {"retry-after": "1"})
    return _problem(503, "unavailable", str(fault))


async def _system_problem(request: Request, fault: Any) -> JSONResponse:
    if not is_disk_fault(fault):
        return await _failure(request, fault)
    return _problem(503, "cannot_write", f"Cannot write: {fault.strerror}. Make room or grant access, then try again.")


async def _failure(request: Request, fault: Any) -> JSONResponse:
    control_of(request).log.error("A request failed", kind="failed", path=request.url.path[:200], exc_info=fault)
    return _problem(500, "internal_error", "The request failed; the log of control says why.")
