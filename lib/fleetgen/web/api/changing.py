"""Owns the routes that change something: pause, resume, clean, and what consumers acknowledge."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Path
from pydantic import BaseModel, ConfigDict, Field

from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import Stream, iso
from fleetgen.generation import lifecycle
from fleetgen.generation.cleaning import PauseRequired, clean
from fleetgen.generation.lifecycle import OWN_PIPELINE, Resumed
from fleetgen.storage.manifest import Manifest
from fleetgen.supervision.client import empty_logs
from fleetgen.web.api import answers
from fleetgen.web.api.control import Control, Of
from fleetgen.web.known.health import auto_reinit

BASELINE_WAIT_SECONDS = 1.5
"""How long a resume waits for the first batches, so that its answer comes within 2 s."""

_PROCESS = {Stream.COMPANIES: "company", Stream.EVENTS: "driver"}

ConsumerName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.\-]{0,63}$")]

changing = APIRouter(
    responses={status: {"model": answers.Problem} for status in (400, 401, 403, 409, 413, 414, 422, 431, 503)}
)


class PauseRequest(BaseModel):
    """Why, for those who look later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    reason: Annotated[str | None, Field(max_length=200)] = None


class Acknowledgement(BaseModel):
    """The newest batch of a stream that a consumer has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_id: Annotated[str, Field(max_length=64)]
    stream: Stream
    batch_number: Annotated[int, Field(ge=0, lt=2**53, strict=True)]


@changing.post("/pause")
def post_pause(control: Of, asked: Annotated[PauseRequest | None, Body()] = None) -> answers.Changed:
    """Let nothing be published until a resume; survives restarts."""
    reason = asked.reason if asked else None
    changed = lifecycle.pause(control.follower.dataset, system_now(), reason)
    if changed:
        control.log.info("Paused over HTTP", kind="paused", reason=reason)
    message = "Paused: no batch is published until a resume." if changed else "Already paused."
    return _changed("pause", message, None)


@changing.post("/resume")
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


@changing.post("/clean")
def post_clean(control: Of, logs: bool = False) -> answers.Cleaned:
    """Delete the whole dataset, and the logs if asked. A running set must be paused first."""
    began = time.monotonic()
    layout = control.follower.dataset.layout
    try:
        cleaned = clean(layout)
    except PauseRequired as fault:
        raise HTTPException(400, {"error": "pause_required", "detail": str(fault)}) from fault
    emptied = empty_logs(layout.logs, control.supervisor) if logs else []
    items = [*cleaned.items, *(str((layout.logs / name).relative_to(layout.data)) for name in emptied)]
    control.log.info(f"Cleaned over HTTP: {len(items)} items", kind="cleaned", items=items)
    return answers.Cleaned(
        success=not cleaned.left,
        deleted_count=len(items),
        deleted_items=items,
        duration_ms=round((time.monotonic() - began) * 1000, 3),
        errors=[f"{name} could not be deleted yet; the next start tries again." for name in cleaned.left],
    )


@changing.put("/consumers/{name}")
def put_consumer(control: Of, name: ConsumerName, asked: Acknowledgement) -> answers.ConsumerChanged:
    """Acknowledge every batch of a stream up to this one; the first acknowledgement makes the consumer known."""
    _check_foreign(control, name)
    manifest = lifecycle.acknowledge(
        control.follower.dataset, name, asked.dataset_id, {asked.stream: asked.batch_number}, system_now()
    )
    return _consumer(manifest, name)


@changing.delete("/consumers/{name}")
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
