"""Talking to the control API of a set, politely and otherwise: a client, raw requests, events, and the form of errors."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from fleetgen.domain.records import instant
from support.sets import RunningSet

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def client_of(running: RunningSet, offset: int = 0, headers: dict[str, str] | None = None) -> httpx.Client:
    """Return a client of the control process; paths start at its root. It spares the 30 ms of preparing TLS."""
    url = f"http://127.0.0.1:{running.control_port + offset}"
    return httpx.Client(base_url=url, headers=headers, timeout=60, verify=False, trust_env=False)


# no TLS: spares 30 ms


def problem(answer: httpx.Response) -> str:
    """Return the code of an error, which must have the form that every error has."""
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert list(told) == ["error", "detail", "timestamp"]
    assert told["error"] == told["error"].lower().replace(" ", "_")
    assert told["detail"]
    assert instant(told["timestamp"]) > 0
    return str(told["error"])


def raw(port: int, request: bytes) -> httpx.Response:
    """Send these bytes as they are, and return the answer; the server must close the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return httpx.Response(int(status.split()[1]), headers=headers, content=body)


def samples(exposition: str) -> Samples:
    """Return the values of an exposition by name and labels."""
    families = text_string_to_metric_families(exposition)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """A server-sent event."""

    id: str
    kind: str
    data: dict[str, Any]


def server_events(answer: httpx.Response) -> Iterator[ServerEvent]:
    """Yield the events of an open stream."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield ServerEvent(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}
