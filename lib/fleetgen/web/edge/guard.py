"""Owns what is refused before anything else looks at a request: too large ones, foreign ones, and forbidden changes.

A web page must not be able to read or change anything, even one whose own name resolves to this machine: every request
needs a Host that is this machine's; a change, and a websocket, need also no foreign Origin; a change, and whoever steers
by a websocket, the token where one is set.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import iso
from fleetgen.telemetry.hosts import is_own_host
from fleetgen.telemetry.logs import Logger

LONGEST_BODY = 64 * 1024
LONGEST_QUERY = 2048
LONGEST_PATH = 1024
LONGEST_HEADERS = 16 * 1024

_HARMLESS = {"GET", "HEAD", "OPTIONS"}
_VIOLATION = 1008

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused."""

    status: int
    error: str
    detail: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may ask, and who may make changes: the address listened on, this machine's own names, and the token."""

    address: str
    host_names: frozenset[str] = frozenset()
    token: str | None = None

    def refusal(self, method: str, headers: Iterable[tuple[bytes, bytes]]) -> Refusal | None:
        """Return why this request may not be made, or None."""
        found = _decoded(headers)
        if method in _HARMLESS:
            return self._foreign_host(found)
        if refusal := self._foreign_host(found) or _foreign_origin(found):
            return refusal
        if self.token is not None and not self._bears_token(_one(found, b"authorization")):
            return Refusal(
                401, "token_required", "Changes need the header `Authorization: Bearer TOKEN` with the right token."
            )
        return None

    def refusal_of_handshake(self, headers: Iterable[tuple[bytes, bytes]]) -> Refusal | None:
        """Return why this websocket may not be opened, or None. A browser cannot send a token with it."""
        found = _decoded(headers)
        return self._foreign_host(found) or _foreign_origin(found)

    def is_token(self, given: str) -> bool:
        """Whether this is the token; any text is where none is set."""
        return self.token is None or hmac.compare_digest(given.strip().encode(), self.token.encode())

    def _foreign_host(self, found: list[tuple[bytes, str]]) -> Refusal | None:
        hosts = [value for name, value in found if name == b"host"]
        if is_own_host(hosts, self.address, self.host_names):
            return None
        return Refusal(
            403, "foreign_host", "The Host of this request is not this machine: use its own name or address."
        )

    def _bears_token(self, given: str | None) -> bool:
        scheme, _, token = (given or "").partition(" ")
        return self.is_token(token) and scheme.lower() == "bearer"


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, str]]:
    return [(name.lower(), value.decode("latin-1")) for name, value in headers]


def _foreign_origin(found: list[tuple[bytes, str]]) -> Refusal | None:
    host = _one(found, b"host") or ""
    if not _is_foreign(found, host, _one(found, b"origin")):
        return None
    return Refusal(403, "foreign_origin", "Changes are not taken from pages of another origin.")


def _one(headers: list[tuple[bytes, str]], name: bytes) -> str | None:
    """Return a header's value; None where it is missing or there more than once."""
    values = [value for each, value in headers if each == name]
    return values[0] if len(values) == 1 else None


def _is_foreign(headers: list[tuple[bytes, str]], host: str, origin: str | None) -> bool:
    names = [name for name, _ in headers]
    if names.count(b"origin") > 1:
        return True
    if _one(headers, b"sec-fetch-site") in ("cross-site", "same-site"):
        return True
    return origin is not None and _authority(origin) != host.lower()


def _authority(origin: str) -> str:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: Any, policy: Policy, log: Logger) -> None:
        self._app, self._policy, self._log = app, policy, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "websocket" and (refusal := self._policy.refusal_of_handshake(scope["headers"])):
            self._tell(refusal, "websocket")
            await send({"type": "websocket.close", "code": _VIOLATION})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := _bounds(scope) or self._policy.refusal(scope["method"], scope["headers"]):
            await self._refuse(refusal, scope, send)
            return
        body = _Body(receive)
        started = False

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if not body.too_large:
                started = True
                await send(message)

        try:
            await self._app(scope, body.receive, answer)
        except Exception:
            if not body.too_large:
                raise
        if body.too_large and not started:
            await self._refuse(_body_refusal(), scope, send)

    def _tell(self, refusal: Refusal, method: str) -> None:
        if refusal.status in (401, 403):
            self._log.warning(
                f"A request was refused: {refusal.detail}", kind="refused", error=refusal.error, method=method
            )

    async def _refuse(self, refusal: Refusal, scope: Scope, send: Send) -> None:
        self._tell(refusal, scope["method"])
        body = json.dumps({"error": refusal.error, "detail": refusal.detail, "timestamp": iso(system_now())}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if refusal.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if refusal.status in (413, 414, 431):
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _bounds(scope: Scope) -> Refusal | None:
    if len(scope["query_string"]) > LONGEST_QUERY:
        return Refusal(414, "query_too_long", f"A query has at most {LONGEST_QUERY} bytes.")
    if len(scope.get("raw_path") or b"") > LONGEST_PATH:
        return Refusal(414, "path_too_long", f"A path has at most {LONGEST_PATH} bytes.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LONGEST_HEADERS:
        return Refusal(431, "headers_too_long", f"Headers have at most {LONGEST_HEADERS} bytes.")
    length = _one(_decoded(scope["headers"]), b"content-length")
    if length is not None and (not length.isascii() or not length.isdigit() or int(length[:20]) > LONGEST_BODY):
        return _body_refusal()
    return None


def _body_refusal() -> Refusal:
    return Refusal(413, "body_too_large", f"A body has at most {LONGEST_BODY} bytes.")


class _Body:
    """The body of a request, which ends early once it is too large, whatever the headers say."""

    def __init__(self, receive: Receive) -> None:
        self.too_large = False
        self._receive = receive
        self._taken = 0

    async def receive(self) -> MutableMapping[str, Any]:
        """Return the next message."""
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        self.too_large = self._taken > LONGEST_BODY
        return {"type": "http.disconnect"} if self.too_large else message
