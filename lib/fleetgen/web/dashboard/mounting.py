"""Owns the page as an ASGI application beside the API: which paths are its, and the life of the library behind it.

The library is loaded when somebody first opens the page, so that a set without an open page costs nothing for it.
"""

import asyncio
import importlib
import os
from collections.abc import MutableMapping
from typing import Any

from starlette.responses import PlainTextResponse

from fleetgen.web.api.control import Control
from fleetgen.web.edge.guard import Receive, Scope, Send

MOST_TABS = 64
"""Websockets that are open at once."""

SECURITY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""Nothing is loaded from, or sent to, another host. The library compiles its templates in the browser: hence eval."""

_HEADERS = (
    (b"content-security-policy", SECURITY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_TRY_LATER = 1013
_BROKEN = "The page cannot be shown: the log of control says why. The API is at /api/health.\n"
_FULL = "There are too many open pages: close one, and load this again.\n"


class Page:
    """The application: the page and what belongs to it, and for all other paths the API."""

    def __init__(self, api: Any, control: Control) -> None:
        self._api, self._control = api, control
        self._loading = asyncio.Lock()
        self._page: Any = None
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on to the API."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif self._is_on and scope["method"] == "GET" and _is_own(scope["path"]):
            await self._answer(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    @property
    def _is_on(self) -> bool:
        return self._control.follower.loaded.config.control.dashboard

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            page = await self._loaded()
        except Exception as fault:  # whatever is wrong with the library, the API goes on
            self._control.log.error("The page cannot be shown", kind="failed", exc_info=fault)
            await PlainTextResponse(_BROKEN, 503)(scope, receive, send)
            return
        if scope["path"] == "/" and page.is_full():
            await PlainTextResponse(_FULL, 503, {"retry-after": "15"})(scope, receive, send)
        else:
            await page.app(scope, receive, _secured(send))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not (self._is_on and scope["path"].startswith("/_nicegui_ws/") and self._open < MOST_TABS):
            await send({"type": "websocket.close", "code": _TRY_LATER})
            return
        self._open += 1
        try:
            page = await self._loaded()  # one that was open before a restart comes back
            await page.app(scope, receive, send)
        finally:
            self._open -= 1

    async def end(self) -> None:
        """End what runs in the background."""
        if self._page is not None:
            await self._page.end()

    async def _loaded(self) -> Any:
        """Return the page, running; the first call loads the library."""
        async with self._loading:
            if self._page is None:
                os.environ.setdefault("NICEGUI_STORAGE_PATH", str(self._control.follower.loaded.run / "page"))
                library = await asyncio.to_thread(importlib.import_module, "fleetgen.web.dashboard.library")
                self._page = await library.start(self._control)
            return self._page


def _is_own(path: str) -> bool:
    """Whether a path is the page's; asking again and again, instead of a websocket, is not offered."""
    return path in ("/", "/favicon.ico") or path.startswith("/_nicegui/")


def _secured(send: Send) -> Send:
    async def with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_HEADERS]}
        await send(message)

    return with_headers
