"""Owns what becomes of connections: how many there are, how long one waits, and the answer to what is no HTTP.

Whoever opens connections and leaves them must not use up the file descriptors of the control process.
"""

import asyncio
import json
import socket

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import iso
from fleetgen.telemetry.serving import connections_at_once

HEAD_SECONDS = 10
"""The longest time from the opening of a connection, or the first byte of a later request, to a whole head."""

MOST_CONNECTIONS = 256

_QUEUED = 128
_IDLE, _UNFINISHED, _IN_PROGRESS = range(3)


def accepted_at_once() -> int:
    """Return how many connections asyncio may accept in one go.

    It accepts up to three times more before the first of them is counted, and before a closed one gives back its descriptor.
    """
    return max(1, connections_at_once(MOST_CONNECTIONS) // 4)


class Server(uvicorn.Server):
    """uvicorn's server, with more connections waiting in the kernel than asyncio accepts in one go."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; in a queue as short as asyncio makes it, those that find it full would come back only after a second."""
        await super().startup(sockets)
        for each in sockets or ():
            each.listen(_QUEUED)


class Http(H11Protocol):
    """uvicorn's HTTP/1.1, with a limit to the number of connections and to the wait for a request."""

    _opened = 0.0
    _let_go = False
    _upgraded = False
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it; at the cap, close the oldest one on which no request is in progress, or else this one."""
        super().connection_made(transport)
        self._opened = self.loop.time()
        self._set_deadline()
        others = [each for each in self.connections if isinstance(each, Http) and each is not self and not each._let_go]
        if len(others) >= connections_at_once(MOST_CONNECTIONS):
            spare = [each for each in others if each._rank() < _IN_PROGRESS]
            min(spare, key=lambda each: (each._rank(), each._opened), default=self)._abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those that begin a later request on a kept connection have to become a whole head, too."""
        super().data_received(data)
        if self._upgraded or self._has_request():
            self._clear_deadline()
        elif self._deadline is None and not self.transport.is_closing():
            self._set_deadline()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over: its life is no longer this protocol's."""
        self._upgraded = True
        super().handle_websocket_upgrade(event)

    def _has_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _rank(self) -> int:
        """Return how much would be lost with this connection."""
        if self._has_request():
            return _UNFINISHED if self.cycle.more_body else _IN_PROGRESS
        return _UNFINISHED if self.transport.get_write_buffer_size() else _IDLE

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._abort)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _abort(self) -> None:
        """Close at once, whatever is unsent."""
        self._let_go = True
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer and close."""
        body = json.dumps({"error": "bad_request", "detail": msg, "timestamp": iso(system_now())}).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event))
        self.transport.close()
