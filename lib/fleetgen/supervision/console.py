"""Owns what the terminal of `fleetgen up` shows: log lines as sentences, and what became of processes.

It runs inside supervisord as an rpcinterface plugin, whose exceptions and delays would be supervisord's own: every
callback catches everything, and a terminal that takes no more loses lines (the log files keep them) but stops nobody.
"""

import json
import os
import select
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from supervisor import events

from fleetgen.telemetry.logs import sentence

_LONGEST_LINE = 1 << 20


class Console:
    """Prints to a descriptor what the supervised processes say. Has no methods that can be called from outside."""

    def __init__(self, descriptor: int, colour: bool) -> None:
        self._descriptor = descriptor
        self._colour = colour
        self._unfinished: dict[str, bytes] = {}

    def _said(self, event: Any) -> None:
        """Print the whole lines of what a process has written."""
        name = event.process.config.name
        *lines, rest = (self._unfinished.get(name, b"") + event.data).split(b"\n")
        self._unfinished[name] = rest[:_LONGEST_LINE]
        for line in lines:
            self._print(sentence(json.loads(line), self._colour))

    def _exited(self, event: Any) -> None:
        name = event.process.config.name
        if event.expected:
            self._tell(f"{name} has ended", "info")
        else:
            self._tell(f"{name} died (process {event.pid}); it is started again", "warning")

    def _stopped(self, event: Any) -> None:
        self._tell(f"{event.process.config.name} is stopped", "info")

    def _failed(self, event: Any) -> None:
        name = event.process.config.name
        self._tell(f"{name} cannot be started; see {name}.stderr.log in the run folder", "error")

    def _stopping(self, event: Any) -> None:
        self._tell("stopping the set", "info")

    def _tell(self, text: str, level: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = {"timestamp": now, "level": level, "logger": "supervisor", "event": text}
        self._print(sentence(line, self._colour))

    def _print(self, text: str) -> None:
        if select.select([], [self._descriptor], [], 0)[1]:
            os.write(self._descriptor, text.encode(errors="replace")[: select.PIPE_BUF - 1] + b"\n")


def make_console(supervisord: Any, **settings: str) -> Console:
    """Return the plugin, listening; called by supervisord at its start."""
    console = Console(sys.stdout.fileno(), sys.stdout.isatty())
    listeners: list[tuple[type, Callable[[Any], None]]] = [
        (events.ProcessLogStdoutEvent, console._said),
        (events.ProcessStateExitedEvent, console._exited),
        (events.ProcessStateStoppedEvent, console._stopped),
        (events.ProcessStateFatalEvent, console._failed),
        (events.SupervisorStoppingEvent, console._stopping),
    ]
    for event, listener in listeners:
        events.subscribe(event, _harmless(listener))
    return console


def _harmless(listener: Callable[[Any], None]) -> Callable[[Any], None]:
    def call(event: Any) -> None:
        try:
            listener(event)
        except Exception:  # noqa: BLE001 - an exception would end supervisord's loop
            return

    return call
