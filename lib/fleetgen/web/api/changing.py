"""Owns the routes that change something: pause, resume, clean, and what consumers acknowledge."""

from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Path
from pydantic import BaseModel, ConfigDict, Field

from fleetgen.cadence.clock import system_now
from fleetgen.config.model import OWN_PIPELINE
from fleetgen.domain.records import Stream
from fleetgen.generation import lifecycle
from fleetgen.generation.cleaning import PauseRequired
from fleetgen.storage.manifest import Manifest
from fleetgen.web.api import answers, steering
from fleetgen.web.api.control import Control, Of

_BY = "over HTTP"

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
    return steering.pause(control, asked.reason if asked else None, _BY)


@changing.post("/resume")
def post_resume(control: Of) -> answers.Changed:
    """Go on with the next interval; an empty dataset gets its first batches at once, sized by the mode."""
    return steering.resume(control, _BY)


@changing.post("/clean")
def post_clean(control: Of, logs: bool = False) -> answers.Cleaned:
    """Delete the whole dataset, and the logs if asked. A running set must be paused first."""
    try:
        return steering.clean_data(control, logs, _BY)
    except PauseRequired as fault:
        raise HTTPException(400, {"error": "pause_required", "detail": str(fault)}) from fault


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
