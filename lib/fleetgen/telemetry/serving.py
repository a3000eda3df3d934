"""Owns how metrics are served: in threads, to few connections at once and none for long.

Whoever opens connections and leaves them must not use up the file descriptors that publishing needs. On a loopback
address the `Host` must be this machine's; beyond it every `Host` is served.
"""

import errno
import io
import resource
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from fleetgen.config.tables.running import is_loopback
from fleetgen.telemetry.hosts import is_own_host, own_names

READ_SECONDS = 5
LIFE_SECONDS = 10
MOST_CONNECTIONS = 16

_POLL_SECONDS = 0.25
_ROOM_SECONDS = 1
_RESERVED = 40
"""Descriptors that a process needs whatever is asked of it."""

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_FOREIGN = b"The Host of this request is not this machine: use its own name or address.\n"


def connections_at_once(most: int) -> int:
    """Return how many connections a process may hold: ``most``, or fewer where it may open few files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft == resource.RLIM_INFINITY else max(2, min(most, (soft - _RESERVED) // 2))


def start_serving(registry: CollectorRegistry, address: str, port: int) -> "MetricsServer":
    """Serve /metrics in a thread until ``shutdown``; raises OSError where the address cannot be listened on."""
    server = MetricsServer(registry, address, port)
    threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="metrics", daemon=True).start()
    return server


@dataclass(slots=True)
class _Connection:
    opened: float
    idle: bool = True
    """Whether no whole head of a request has come yet."""


class _Handler(WSGIRequestHandler):
    """Answers one request, and logs nothing."""

    server: "MetricsServer"
    timeout = READ_SECONDS

    def parse_request(self) -> bool:
        """Read the head; answer and return False where that is all there is to do."""
        if not super().parse_request():
            return False
        self.server.request_begins(self.connection)
        if self.server.knows(self.headers.get_all("host", [])):
            return True
        self._refuse()
        return False

    def _refuse(self) -> None:
        self.send_response(403)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(_FOREIGN)))
        self.end_headers()
        self.wfile.write(_FOREIGN)

    def get_stderr(self) -> TextIO:
        return io.StringIO()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing."""


class MetricsServer(ThreadingMixIn, WSGIServer):
    """A server whose connections are few and short: a new one takes the place of the oldest idle one."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, registry: CollectorRegistry, address: str, port: int) -> None:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, place = found[0][0], found[0][4]
        self._address, self._names = address, own_names()
        self._most = connections_at_once(MOST_CONNECTIONS)
        self._open: dict[socket.socket, _Connection] = {}
        self._changed = threading.Condition()
        super().__init__((str(place[0]), port), _Handler)
        self.set_app(_with_head(make_wsgi_app(registry)))

    def knows(self, hosts: list[str]) -> bool:
        """Whether a request with these Host headers is served."""
        return not is_loopback(self._address) or is_own_host(hosts, self._address, self._names)

    def request_begins(self, request: socket.socket) -> None:
        """Take a connection for busy: it is not closed in favour of another one."""
        with self._changed:
            if request in self._open:
                self._open[request].idle = False

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, once there is room for it; raises OSError where there is none."""
        if not self._has_room():
            raise OSError(errno.EMFILE, "All connections are busy")
        try:
            request, client = super().get_request()
        except OSError as fault:
            if fault.errno in _NO_ROOM:
                self._wait_for_descriptors()
            raise
        with self._changed:
            self._open[request] = _Connection(time.monotonic())
        return request, client

    def close_request(self, request: Any) -> None:
        """Close a connection, which makes room."""
        with self._changed:
            self._open.pop(request, None)
            super().close_request(request)
            self._changed.notify_all()

    def service_actions(self) -> None:
        """End what has lived for too long."""
        with self._changed:
            for request, connection in self._open.items():
                if time.monotonic() - connection.opened >= LIFE_SECONDS:
                    _end(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are no event."""

    def _has_room(self) -> bool:
        """Make room at the cap; where every connection is busy, wait a little for one to end."""
        with self._changed:
            if len(self._open) >= self._most:
                self._end_oldest_idle()
            return self._changed.wait_for(lambda: len(self._open) < self._most, _ROOM_SECONDS)

    def _wait_for_descriptors(self) -> None:
        """Give one back if there is an idle connection, and do not try again at once."""
        with self._changed:
            self._end_oldest_idle()
        time.sleep(_POLL_SECONDS)

    def _end_oldest_idle(self) -> None:
        idle = [(each.opened, request) for request, each in self._open.items() if each.idle]
        if idle:
            _end(min(idle, key=lambda each: each[0])[1])


def _with_head(app: Any) -> Any:
    """Return an application that also answers HEAD: as GET, without the body."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] != "HEAD":
            return app(environ, start_response)
        found: list[Any] = []
        size = sum(map(len, app({**environ, "REQUEST_METHOD": "GET"}, lambda *start: found.extend(start))))
        start_response(found[0], [*found[1], ("Content-Length", str(size))])
        return []

    return answer


def _end(request: socket.socket) -> None:
    """Wake the thread that reads from or writes to a connection; it closes it."""
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)
