"""How metrics and the API are served while others hold connections: real sockets, and real servers in threads."""

import asyncio
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from prometheus_client import CollectorRegistry, Gauge

from fleetgen.errors import HeldByAnother
from fleetgen.telemetry import serving
from fleetgen.telemetry.metrics import serve_metrics
from fleetgen.web.edge import wire
from support.patience import BESIDE_OTHERS

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("answer", "An answer.", registry=registry).set(42)
    return registry


@contextmanager
def served(address: str = "127.0.0.1") -> Iterator[int]:
    server = serve_metrics(registry(), address, 0)
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@contextmanager
def api_served() -> Iterator[int]:
    """Serve a trivial application with the protocol of the control process."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"42"})

    config = uvicorn.Config(
        app, http=wire.Http, ws="none", lifespan="off", log_config=None, backlog=wire.accepted_at_once()
    )
    server = wire.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def asked(port: int, request: bytes = SCRAPE, address: str = "127.0.0.1", seconds: float = 2) -> bytes:
    """Return the whole answer, which must come within so many seconds."""
    seconds *= BESIDE_OTHERS
    until, answer = time.monotonic() + seconds, b""
    with socket.create_connection((address, port), timeout=seconds) as connection:
        connection.sendall(request)
        while piece := connection.recv(65_536):
            answer += piece
            connection.settimeout(max(0.01, until - time.monotonic()))
    return answer


def idle(stack: ExitStack, port: int, number: int, says: bytes = b"") -> list[socket.socket]:
    """Open connections and leave them, with a piece of a request."""
    opened = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5)) for _ in range(number)]
    for each in opened:
        try:
            each.sendall(says)
        except OSError:
            assert says, "Sending nothing cannot fail"
    return opened


def held(port: int) -> int:
    """Return how many established connections to this port this process holds at the serving end."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = {name for fd in descriptors() if (name := target(fd))}
    return sum(each[1].endswith(f":{port:04X}") and each[3] != "0A" and f"socket:[{each[9]}]" in ours for each in lines)


def descriptors() -> list[Path]:
    return [fd for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]


def target(fd: Path) -> str | None:
    """Return what a descriptor is of, or None if it was closed meanwhile."""
    with suppress(FileNotFoundError):
        return fd.readlink().name
    return None


def let_go_after(connection: socket.socket, says: bytes, most: float) -> float:
    """Send a byte a second until the other side closes; return how long that took."""
    began = time.monotonic()
    connection.settimeout(1)
    for byte in says * 100:
        try:
            connection.sendall(bytes([byte]))
            if not connection.recv(1000):
                break
        except TimeoutError:
            assert time.monotonic() - began < most
        except OSError:
            break
    return time.monotonic() - began


@pytest.mark.parametrize("says", [b"", b"GET /metrics HTT"])
def test_a_scrape_is_answered_whoever_holds_connections_and_few_are_open(says: bytes) -> None:
    with served() as port, ExitStack() as stack:
        idle(stack, port, 300, says)
        assert b"answer 42.0" in asked(port)
        assert held(port) <= serving.MOST_CONNECTIONS


def test_a_client_that_sends_a_byte_a_second_is_let_go() -> None:
    with served() as port, ExitStack() as stack:
        (slow,) = idle(stack, port, 1)
        assert let_go_after(slow, b"GET /metrics", 25) > serving.READ_SECONDS + 1


def test_a_client_that_sends_nothing_is_let_go_after_the_read_timeout() -> None:
    with served() as port, ExitStack() as stack:
        (silent,) = idle(stack, port, 1)
        silent.settimeout(serving.READ_SECONDS + 15)
        assert silent.recv(1) == b""


@pytest.mark.parametrize(
    "hosts", [["evil.example"], ["192.0.2.1:9101"], [], ["localhost", "evil.example"], ["localhost", "localhost"]]
)
def test_on_loopback_a_foreign_host_reads_no_metrics(hosts: list[str]) -> None:
    headers = "".join(f"Host: {host}\r\n" for host in hosts)
    with served() as port:
        answer = asked(port, f"GET /metrics HTTP/1.1\r\n{headers}\r\n".encode())
    assert answer.split()[1] == b"403"
    assert answer.endswith(b"use its own name or address.\n")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9101", "[::1]:9101", socket.gethostname()])
def test_on_loopback_the_own_names_read_metrics(host: str) -> None:
    with served() as port:
        assert b"answer 42.0" in asked(port, f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())


def test_beyond_loopback_every_host_reads_metrics() -> None:
    with served("0.0.0.0") as port:
        assert b"answer 42.0" in asked(port, b"GET /metrics HTTP/1.1\r\nHost: depot.example\r\n\r\n")


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="There is no IPv6 here.")
def test_metrics_are_served_over_ipv6() -> None:
    with served("::1") as port:
        assert b"answer 42.0" in asked(port, address="::1")


def test_a_port_that_is_taken_and_an_address_that_is_not_here_are_told() -> None:
    with served() as port, pytest.raises(HeldByAnother):
        serve_metrics(registry(), "127.0.0.1", port)
    with pytest.raises(HeldByAnother):
        serve_metrics(registry(), "192.0.2.1", 0)


_WITHOUT_DESCRIPTORS = """
import os, resource, sys, time
from prometheus_client import CollectorRegistry
from fleetgen.telemetry.metrics import serve_metrics
server = serve_metrics(CollectorRegistry(), "127.0.0.1", 0)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0), hard))
print(server.server_address[1], flush=True)
sys.stdin.readline()
print(time.process_time(), flush=True)
sys.stdin.readline()
print(time.process_time(), flush=True)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
sys.stdin.readline()
"""


def test_without_descriptors_accepting_does_not_spin() -> None:
    command = [sys.executable, "-c", _WITHOUT_DESCRIPTORS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with ExitStack() as stack:
            idle(stack, port, 3)
            process.stdin.write("\n")
            before = float(process.stdout.readline())
            time.sleep(2)
            process.stdin.write("\n")
            assert float(process.stdout.readline()) - before < 0.5
            assert b"200 OK" in asked(port)
        process.stdin.write("\n")


@pytest.mark.parametrize(("soft", "expected"), [(1024, 16), (60, 10), (45, 2), (40, 2)])
def test_where_few_files_may_be_open_there_are_fewer_connections(soft: int, expected: int) -> None:
    program = "from fleetgen.telemetry.serving import connections_at_once; print(connections_at_once(16))"
    told = subprocess.run(
        [sys.executable, "-c", program],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft)),
        capture_output=True,
        check=True,
    )
    assert int(told.stdout) == expected


@pytest.mark.parametrize("says", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"])
def test_the_api_answers_whoever_holds_connections(says: bytes) -> None:
    with api_served() as port, ExitStack() as stack:
        idle(stack, port, 400, says)
        assert asked(port).endswith(b"42")
        assert held(port) <= wire.MOST_CONNECTIONS


def test_the_api_lets_go_of_who_sends_no_whole_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 2)
    with api_served() as port, ExitStack() as stack:
        silent, slow, later = idle(stack, port, 3)
        later.sendall(SCRAPE.replace(b"Connection: close\r\n", b""))
        assert later.recv(1000).startswith(b"HTTP/1.1 200")
        for each in (slow, later):
            assert 1 < let_go_after(each, b"GET /metrics", 5) < 5
        assert silent.recv(1) == b""


def test_the_api_keeps_who_has_asked_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 1)
    kept = SCRAPE.replace(b"Connection: close\r\n", b"")
    with api_served() as port, ExitStack() as stack:
        (connection,) = idle(stack, port, 1)
        for _ in range(3):
            connection.sendall(kept)
            time.sleep(0.7)
            answer = connection.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"42")
