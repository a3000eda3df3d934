"""Owns talking to a running supervisord over its unix socket; leaves what to say to `cli`."""

import socket
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError
from xmlrpc.client import Error, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from fleetgen.errors import Unreachable


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
    """A supervisord, by its socket. Every call raises Unreachable if it does not answer."""

    def __init__(self, socket_path: Path) -> None:
        self._socket = socket_path

    def is_up(self) -> bool:
        """Whether somebody listens on the socket."""
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
            probe.settimeout(2)
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
            return True

    def pid(self) -> int:
        """Return supervisord's pid."""
        return int(self._call("supervisor.getPID"))

    def processes(self) -> list[ProcessState]:
        """Return the states of all processes."""
        return [
            ProcessState(
                name=info["name"],
                state=info["statename"],
                pid=info["pid"],
                uptime_seconds=max(0, info["now"] - info["start"]) if info["pid"] else 0,
                exit_status=info["exitstatus"],
                since=info["start"] if info["pid"] else info["stop"],
            )
            for info in self._call("supervisor.getAllProcessInfo")
        ]

    def apply_changes(self) -> list[str]:
        """Let supervisord read its file again; stop what is gone or changed, start what is new. Returns the names."""
        ((added, changed, removed),) = self._call("supervisor.reloadConfig")
        for name in [*changed, *removed]:
            self._call("supervisor.stopProcessGroup", name)
            self._call("supervisor.removeProcessGroup", name)
        for name in [*changed, *added]:
            self._call("supervisor.addProcessGroup", name)
        return sorted([*added, *changed, *removed])

    def starts(self) -> dict[str, int]:
        """Return how often each process was started since supervisord's own start."""
        return dict(self._call("fleetgen.starts"))

    def deaths(self) -> dict[str, Any]:
        """Return of each process that has died its ``causes`` with their counts, ``recent`` ones, and how the ``last``."""
        return dict(self._call("fleetgen.deaths"))

    def empty_logs(self) -> None:
        """Empty the log file of every process; the processes go on writing."""
        self._call("supervisor.clearAllProcessLogs")

    def shut_down(self) -> None:
        """Ask supervisord to stop every process and end."""
        self._call("supervisor.shutdown")

    def _call(self, method: str, *arguments: Any) -> Any:
        if not self.is_up():
            raise Unreachable("The set is not running: start it with `fleetgen up`.")
        proxy = ServerProxy("http://127.0.0.1", transport=SupervisorTransport(serverurl=f"unix://{self._socket}"))
        try:
            return getattr(proxy, method)(*arguments)
        except (OSError, Error, ExpatError, HTTPException) as fault:
            raise Unreachable(f"supervisord does not answer on {self._socket}: {fault}.") from fault


def empty_logs(folder: Path, supervisor: Supervisor) -> list[str]:
    """Empty the log files in a folder, also the rotated ones; return the names of those that held something."""
    held = [path.name for path in sorted(folder.glob("*.jsonl*")) if path.stat().st_size]
    if supervisor.is_up():
        supervisor.empty_logs()
        doomed = folder.glob("*.jsonl.*")
    else:
        doomed = folder.glob("*.jsonl*")
    for path in doomed:
        path.unlink(missing_ok=True)
    return held
