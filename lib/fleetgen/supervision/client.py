"""Owns talking to a running supervisord over its unix socket; leaves what to say to `cli`."""

import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar
from xml.parsers.expat import ExpatError
from xmlrpc.client import Error, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from fleetgen.errors import NotRunning, Unreachable
from fleetgen.supervision.deeds import deeds_file

ANSWER_SECONDS = 5.0
"""supervisord answers from a loop that waits for nothing: one that is silent for so long is stopped or stuck."""

_STOPPED = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")
_POLL_SECONDS = 0.1
_ODD = (ValueError, LookupError, TypeError, AttributeError)
"""What comes of an answer that is XML-RPC, or nearly, but not what was asked for."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What supervisord says of a process."""

    name: str
    state: str
    pid: int
    uptime_seconds: int
    exit_status: int
    since: int
    """Since when it is in this state, in seconds since the epoch; 0 if it was never started."""


class Supervisor:
    """A supervisord, by its socket. Every call raises Unreachable if it does not answer, or not in time."""

    def __init__(self, socket_path: Path, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._socket, self._answer_seconds = socket_path, answer_seconds

    def is_up(self) -> bool:
        """Whether somebody listens on the socket."""
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
            probe.settimeout(2)
            try:
                probe.connect(str(self._socket))
            except (BlockingIOError, TimeoutError):
                return True  # so many wait to be heard that the queue is full
            except OSError:
                return False
            return True

    def pid(self) -> int:
        """Return supervisord's pid."""
        return self._call("supervisor.getPID", read=int)

    def processes(self) -> list[ProcessState]:
        """Return the states of all processes."""
        return self._call("supervisor.getAllProcessInfo", read=lambda infos: [_state(info) for info in infos])

    def apply_changes(self) -> list[str]:
        """Let supervisord read its file again; stop what is gone or changed, start what is new. Returns the names."""
        added, changed, removed = self._call("supervisor.reloadConfig", read=_changes)
        for name in [*changed, *removed]:
            self._call("supervisor.stopProcessGroup", name, False, read=_whatever)
            while not self._has_stopped(name):  # supervisord kills it in the end
                time.sleep(_POLL_SECONDS)
            self._call("supervisor.removeProcessGroup", name, read=_whatever)
        for name in [*changed, *added]:
            self._call("supervisor.addProcessGroup", name, read=_whatever)
        return sorted([*added, *changed, *removed])

    def starts(self) -> dict[str, int]:
        """Return how often each process was started since supervisord's own start."""
        return self._call("fleetgen.starts", read=dict)

    def deaths(self) -> dict[str, Any]:
        """Return of each process that has died its ``causes`` with their counts, ``recent`` ones, and how the ``last``."""
        return self._call("fleetgen.deaths", read=dict)

    def empty_logs(self) -> None:
        """Empty the log file of every process; the processes go on writing."""
        self._call("supervisor.clearAllProcessLogs", read=_whatever)

    def shut_down(self) -> None:
        """Ask supervisord to stop every process and end."""
        self._call("supervisor.shutdown", read=_whatever)

    def _has_stopped(self, name: str) -> bool:
        return all(each.state in _STOPPED for each in self.processes() if each.name == name)

    def _call(self, method: str, *arguments: Any, read: Callable[[Any], T]) -> T:
        if not self.is_up():
            raise NotRunning
        proxy = ServerProxy("http://127.0.0.1", transport=_Transport(self._socket, self._answer_seconds))
        try:
            return read(getattr(proxy, method)(*arguments))
        except (TimeoutError, BlockingIOError) as fault:
            raise Unreachable(
                f"supervisord does not answer on {self._socket} within {self._answer_seconds:g} s: if its process is "
                "stopped, continue it with `kill -CONT`, or else end it with `kill -9`."
            ) from fault
        except (OSError, Error, ExpatError, HTTPException) as fault:
            raise Unreachable(f"supervisord does not answer on {self._socket}: {fault}.") from fault
        except _ODD as fault:
            raise Unreachable(f"supervisord does not answer as it should on {self._socket}: {fault!r}.") from fault


class _Connection(HTTPConnection):
    """A connection to a socket of this machine, on which nothing takes longer than its timeout."""

    def __init__(self, place: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._place = place

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._place))


class _Transport(SupervisorTransport):  # type: ignore[misc]
    """supervisor's way to talk, with a limit to how long it waits."""

    def __init__(self, place: Path, seconds: float) -> None:
        super().__init__(serverurl=f"unix://{place}")
        self._get_connection = lambda: _Connection(place, seconds)


def _state(info: Any) -> ProcessState:
    """Return what one of supervisord's answers says of a process."""
    return ProcessState(
        name=info["name"],
        state=info["statename"],
        pid=info["pid"],
        uptime_seconds=max(0, info["now"] - info["start"]) if info["pid"] else 0,
        exit_status=info["exitstatus"],
        since=info["start"] if info["pid"] else info["stop"],
    )


def _changes(answer: Any) -> tuple[list[str], list[str], list[str]]:
    ((added, changed, removed),) = answer
    return added, changed, removed


def _whatever(answer: Any) -> None:
    """Read nothing from an answer."""


def empty_logs(folder: Path, supervisor: Supervisor) -> list[str]:
    """Empty the log files in a folder, also the rotated ones; return the names of those that held something."""
    held = [path.name for path in sorted(folder.glob("*.jsonl*")) if path.stat().st_size]
    if supervisor.is_up():
        supervisor.empty_logs()
        doomed = chain(folder.glob("*.jsonl.*"), [deeds_file(folder)])
    else:
        doomed = chain(folder.glob("*.jsonl*"))
    for path in doomed:
        path.unlink(missing_ok=True)
    return held
