"""Owns how a request that is no HTTP is answered: in the form that every error has."""

import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import iso


class Http(H11Protocol):
    """uvicorn's HTTP/1.1."""

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
