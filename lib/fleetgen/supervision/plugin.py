"""Owns what of fleetgen runs inside supervisord: an rpcinterface plugin that prints, watches, and counts starts and deaths.

Its exceptions and delays would be supervisord's own, so every callback catches everything and never blocks.
"""

import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor import events

from fleetgen.supervision.console import Console
from fleetgen.supervision.deaths import Deaths
from fleetgen.supervision.losses import LOSSES
from fleetgen.supervision.watchdog import Watchdog
from fleetgen.telemetry.colours import coloured

AS_JSON = "FLEETGEN_LOG"
"""The variable in which `up` says in which form its output shows log lines."""

Listener = Callable[[Any], None]


class Plugin:
    """What supervisord keeps; its public methods can be called over the socket, below the name `fleetgen`."""

    def __init__(self, console: Console, deaths: Deaths) -> None:
        self._console, self._deaths = console, deaths
        self._starts: Counter[str] = Counter()

    def starts(self) -> dict[str, int]:
        """Return how often each process was started."""
        return dict(self._starts)

    def deaths(self) -> dict[str, dict[str, Any]]:
        """Return of each process that has died how often it did, by cause and lately, and how it did last."""
        return self._deaths.told()

    def _started(self, event: Any) -> None:
        self._starts[event.process.config.name] += 1

    def _exited(self, event: Any) -> None:
        how = "" if event.expected else self._deaths.note(event.process)
        self._console.exited(event, how)

    def _hung(self, process: Any) -> None:
        self._deaths.hung.add(process.pid)
        self._console.warn(f"{process.config.name} is hung (process {process.pid}); it is killed and started again")


def make_plugin(supervisord: Any, run: str) -> Plugin:
    """Listen from now on; called by supervisord at its start with what its file says."""
    console = Console(*_terminal(), as_json=os.environ.get(AS_JSON) == "json")
    plugin = Plugin(console, Deaths(Path(run)))
    watchdog = Watchdog(supervisord, Path(run), os.environ.get("NOTIFY_SOCKET"), plugin._hung)
    listeners: list[tuple[type, Listener]] = [
        (events.ProcessStateStartingEvent, plugin._started),
        (events.ProcessLogStdoutEvent, console.said),
        (events.ProcessStateExitedEvent, plugin._exited),
        (events.ProcessStateStoppedEvent, console.stopped),
        (events.ProcessStateFatalEvent, console.failed),
        (events.SupervisorStoppingEvent, console.stopping),
        (events.SupervisorStoppingEvent, watchdog.stopping),
        (events.Tick5Event, watchdog.tick),
        (events.Tick5Event, lambda event: LOSSES.tick(console.warn)),
    ]
    for event, listener in listeners:
        events.subscribe(event, harmless(listener))
    return plugin


def _terminal() -> tuple[int, bool]:
    """Return the descriptor of standard output, or of nothing where it is closed, and whether it has colours."""
    try:
        return sys.stdout.fileno(), coloured(sys.stdout)
    except (AttributeError, OSError, ValueError):  # closed by whoever started us: then it is None
        return os.open(os.devnull, os.O_WRONLY), False


def harmless(listener: Listener) -> Listener:
    """Return a listener that never raises: an exception would end supervisord's loop."""

    def call(event: Any) -> None:
        with suppress(Exception):
            listener(event)

    return call
