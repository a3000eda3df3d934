"""Owns what the routes need of the control process that serves them, and how they get it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from fleetgen.logbook.files import LogFiles
from fleetgen.supervision.client import Supervisor
from fleetgen.supervision.programs import Program
from fleetgen.telemetry.logs import Logger
from fleetgen.web.edge.guard import Policy
from fleetgen.web.known.following import Follower
from fleetgen.web.known.streams import Hub
from fleetgen.web.known.supervised import Supervised


@dataclass(frozen=True, slots=True)
class Control:
    """The control process, as its routes see it."""

    policy: Policy
    follower: Follower
    hub: Hub
    supervised: Callable[[], Supervised]
    supervisor: Supervisor
    programs: Callable[[], list[Program]]
    registry: CollectorRegistry
    logs: LogFiles
    log: Logger
    started_at: Callable[[], int]
    stopping: Callable[[], bool]


def control_of(request: Request) -> Control:
    """Return the control process that serves this request."""
    control: Control = request.app.state.control
    return control


Of = Annotated[Control, Depends(control_of)]
