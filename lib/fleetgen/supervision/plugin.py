"""Owns what of fleetgen runs inside supervisord: an rpcinterface plugin that prints, watches, and offers no method.

Its exceptions and delays would be supervisord's own, so every callback catches everything and never blocks.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor import events

from fleetgen.supervision.console import Console
from fleetgen.supervision.watchdog import Watchdog

Listener = Callable[[Any], None]


class Plugin:
    """What supervisord keeps; it has nothing that can be called from outside."""


def make_plugin(supervisord: Any, run: str) -> Plugin:
    """Listen from now on; called by supervisord at its start with what its file says."""
    console = Console(sys.stdout.fileno(), sys.stdout.isatty())
    watchdog = Watchdog(supervisord, Path(run), os.environ.get("NOTIFY_SOCKET"), console.warn)
    listeners: list[tuple[type, Listener]] = [
        (events.ProcessLogStdoutEvent, console.said),
        (events.ProcessStateExitedEvent, console.exited),
        (events.ProcessStateStoppedEvent, console.stopped),
        (events.ProcessStateFatalEvent, console.failed),
        (events.SupervisorStoppingEvent, console.stopping),
        (events.SupervisorStoppingEvent, watchdog.stopping),
        (events.Tick5Event, watchdog.tick),
    ]
    for event, listener in listeners:
        events.subscribe(event, harmless(listener))
    return Plugin()


def harmless(listener: Listener) -> Listener:
    """Return a listener that never raises: an exception would end supervisord's loop."""

    def call(event: Any) -> None:
        with suppress(Exception):
            listener(event)

    return call
