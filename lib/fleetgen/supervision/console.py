"""Owns what the terminal of `fleetgen up` shows: log lines as sentences, and what became of processes.

A terminal that takes no more loses lines (the log files keep them) but stops nobody.
"""

import json
import os
import select
from datetime import UTC, datetime
from typing import Any

from fleetgen.storage.reading import parse_json
from fleetgen.telemetry.logs import sentence

_LONGEST_LINE = 1 << 20


class Console:
    """Prints to a descriptor what the supervised processes say and what becomes of them."""

    def __init__(self, descriptor: int, colour: bool, as_json: bool = False) -> None:
        self._descriptor = descriptor
        self._colour = colour
        self._as_json = as_json
        self._unfinished: dict[str, bytes] = {}

    def said(self, event: Any) -> None:
        """Print the whole lines of what a process has written."""
        name = event.process.config.name
        *lines, rest = (self._unfinished.get(name, b"") + event.data).split(b"\n")
        self._unfinished[name] = rest[:_LONGEST_LINE]
        for line in lines:
            self._print(_line_of_json(name, line) if self._as_json else _readable(line, self._colour))

    def exited(self, event: Any, how: str) -> None:
        """Print that a process has ended by itself; ``how`` it did if that was not expected."""
        name = event.process.config.name
        status = event.process.exitstatus
        self._unfinished.pop(name, None)
        if event.expected and status == 0:
            self._tell(f"{name} has ended", "info")
        elif event.expected:
            told = (
                f"{name} ended with status {status} and is not started again; see {name}.stderr.log in the run folder"
            )
            self._tell(told, "error")
        else:
            self._tell(f"{name} died (process {event.process.pid}): {how}; it is started again", "warning")

    def stopped(self, event: Any) -> None:
        self._unfinished.pop(event.process.config.name, None)
        self._tell(f"{event.process.config.name} is stopped", "info")

    def failed(self, event: Any) -> None:
        name = event.process.config.name
        self._tell(f"{name} cannot be started; see {name}.stderr.log in the run folder", "error")

    def stopping(self, event: Any) -> None:
        self._tell("stopping the set", "info")

    def warn(self, text: str) -> None:
        """Print a warning of supervisord's side."""
        self._tell(text, "warning")

    def _tell(self, text: str, level: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = {"timestamp": now, "level": level, "logger": "supervisor", "event": text}
        self._print(json.dumps(line) if self._as_json else sentence(line, self._colour))

    def _print(self, text: str) -> None:
        if select.select([], [self._descriptor], [], 0)[1]:
            os.write(self._descriptor, text.encode(errors="replace")[: select.PIPE_BUF - 1] + b"\n")


def _line_of_json(name: str, line: bytes) -> str:
    """Return a log line as it is, and what is none, such as a library's own words, as the event of one."""
    text = line.decode(errors="replace")
    try:
        if isinstance(parse_json(line, "a log line"), dict):
            return text
    except ValueError:
        pass
    return json.dumps({"level": "info", "logger": name, "event": text})


def _readable(line: bytes, colour: bool) -> str:
    """Return a log line as a sentence, and what is none, such as a library's own words, as it is."""
    try:
        return sentence(parse_json(line, "a log line"), colour)
    except (ValueError, TypeError, LookupError, AttributeError):
        return line.decode(errors="replace")
