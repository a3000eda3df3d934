"""Owns what HTTP asks of every answer, whichever route gives it: HEAD, a tag to ask again with, the end of a connection.

What is answered is the application's. Sources: RFC 9110 §9.3.2 (HEAD) and §13.1.2 (If-None-Match), RFC 9112 §6.1.
"""

import asyncio
import hashlib
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

from fleetgen.web.edge.guard import Receive, Scope, Send

Message = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]

_TAGGED = b"application/json"


class Exchange:
    """An ASGI application around another one."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; what comes back is made what was asked for."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _has_two_lengths(scope["headers"]):
            send = _closing(send)
        if scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        known = _header(scope["headers"], b"if-none-match")
        if scope["method"] == "GET":
            await self._app(scope, receive, _Tagging(known, send).send)
        else:
            await self._head(scope, receive, send, known)

    async def _head(self, scope: Scope, receive: Receive, send: Send, known: bytes | None) -> None:
        """Answer as to a GET, without its body; a stream, which has no end, is ended with its headers."""
        begun = asyncio.Event()

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                if begun.is_set():
                    return
                begun.set()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        as_get = {**scope, "method": "GET"}
        answering = asyncio.ensure_future(self._app(as_get, receive, _Tagging(known, without_body).send))
        waiting = asyncio.ensure_future(begun.wait())
        try:
            await asyncio.wait((answering, waiting), return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                await answering
        finally:
            for each in (answering, waiting):
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each


class _Tagging:
    """Gives a whole JSON answer a tag, and leaves its body out for whoever has it already."""

    def __init__(self, known: bytes | None, send: Send) -> None:
        self._known, self._send = known, send
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        """Pass a message of the answer on, its first one together with the body."""
        if message["type"] == "http.response.start" and _is_tagged(message):
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None and not message.get("more_body"):
            start, message = _tagged(start, message, self._known)
        if start is not None:
            await self._send(start)
        await self._send(message)


def _is_tagged(start: Message) -> bool:
    kind = (_header(start["headers"], b"content-type") or b"").partition(b";")[0]
    return start["status"] == 200 and kind == _TAGGED


def _tagged(start: Message, message: Message, known: bytes | None) -> tuple[Message, Message]:
    """Return the answer with its tag; 304 without a body if the tag is among those that are known."""
    tag = b'"%s"' % hashlib.blake2b(message.get("body", b""), digest_size=16).hexdigest().encode()
    headers = [*start["headers"], (b"etag", tag), (b"cache-control", b"no-cache")]
    if known is None or not _names(known, tag):
        return {**start, "headers": headers}, message
    headers = [(name, value) for name, value in headers if name not in (b"content-length", b"content-type")]
    return {**start, "status": 304, "headers": headers}, {**message, "body": b""}


def _names(known: bytes, tag: bytes) -> bool:
    """Whether If-None-Match names a tag; weak ones are compared like others."""
    return known.strip() == b"*" or tag in (each.strip().removeprefix(b"W/") for each in known.split(b","))


def _closing(send: Send) -> Send:
    """Let the connection end with the answer: what follows on it may be read in two ways."""

    async def close(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [each for each in message["headers"] if each[0].lower() != b"connection"]
            message = {**message, "headers": [*kept, (b"connection", b"close")]}
        await send(message)

    return close


def _has_two_lengths(headers: Headers) -> bool:
    names = {name.lower() for name, _ in headers}
    return {b"content-length", b"transfer-encoding"} <= names


def _header(headers: Headers, name: bytes) -> bytes | None:
    values = [value for each, value in headers if each.lower() == name]
    return b", ".join(values) if values else None
