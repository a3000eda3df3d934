"""A client of a running control process: calls of its API, and open streams of its server-sent events."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Self

from support.patience import wait_for
from support.sets import RunningSet

_TIMEOUT_SECONDS = 20


def ask(running: RunningSet, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    """Call the API, below `/api`; return status and answer. Raises OSError where nobody answers."""
    connection = HTTPConnection("127.0.0.1", running.control_port, timeout=_TIMEOUT_SECONDS)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, f"/api{path}", content, {"Content-Type": "application/json"} if content else {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except HTTPException as fault:
        raise ConnectionError(f"{method} {path} was cut off") from fault
    finally:
        connection.close()


def asked(running: RunningSet, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Call the API; return the answer of a call that goes well."""
    status, answer = ask(running, method, path, body)
    assert status == 200, (method, path, status, answer)
    return answer


def health(running: RunningSet) -> dict[str, Any]:
    """Return how the set is."""
    return asked(running, "GET", "/health")


def reasons(running: RunningSet) -> dict[str, str]:
    """Return the details of the reasons for which the set is degraded, by code; none where it does not answer."""
    with suppress(OSError):
        return {reason["code"]: reason["detail"] for reason in health(running)["reasons"]}
    return {}


def answers(running: RunningSet) -> bool:
    """Whether the API answers."""
    with suppress(OSError):
        return ask(running, "GET", "/health")[0] == 200
    return False


def open_unread(port: int, receive_bytes: int | None = None) -> socket.socket:
    """Ask for a stream and leave it unread, with a receive buffer of about so many bytes."""
    connection = socket.socket()
    if receive_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.settimeout(_TIMEOUT_SECONDS)
    connection.connect(("127.0.0.1", port))
    connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


def vanish(connection: socket.socket) -> None:
    """Reset a connection, as a client that is gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@dataclass(frozen=True)
class Arrived:
    """An event and the instant, by the system's clock, at which it arrived."""

    id: str
    kind: str
    data: dict[str, Any]
    at: float


class EventStream:
    """An open stream that a thread reads."""

    def __init__(self, port: int, last_event_id: str | None = None) -> None:
        self.arrived: list[Arrived] = []
        self.comments = 0
        self.ended = threading.Event()
        """The other side has ended the stream, or it was closed here."""
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self._connection.request("GET", "/api/events", headers=headers)
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        wait_for(lambda: self.comments or self.ended.is_set(), 10, "The beginning of the stream")

    def of_kind(self, kind: str) -> list[Arrived]:
        """Return what has arrived of a kind."""
        return [event for event in list(self.arrived) if event.kind == kind]

    def wait_for(self, what: Callable[[Arrived], bool], seconds: float, why: str) -> Arrived:
        """Return the first event of which this is true; fail if it does not arrive in time."""
        return wait_for(lambda: next((event for event in list(self.arrived) if what(event)), None), seconds, why)

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()

    def _read(self) -> None:
        with suppress(OSError, ValueError, HTTPException):
            fields: dict[str, str] = {}
            while line := self._answer.readline():
                fields = self._taken(line.decode().rstrip("\r\n"), fields)
        self.ended.set()

    def _taken(self, line: str, fields: dict[str, str]) -> dict[str, str]:
        """Take a line; return the fields of the event that is under way."""
        name, _, value = line.partition(":")
        if line and not name:
            self.comments += 1
        elif line:
            return fields | {name: value.removeprefix(" ")}
        if not line and "data" in fields:
            event = Arrived(fields.get("id", ""), fields.get("event", ""), json.loads(fields["data"]), time.time())
            self.arrived.append(event)
        return {} if not line else fields
