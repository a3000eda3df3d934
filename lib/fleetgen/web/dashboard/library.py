"""Owns NiceGUI: how it is set up, and its life within the control process."""

import asyncio
import gc
import logging
from typing import Any

from fastapi import FastAPI
from nicegui import Client, core, ui

from fleetgen.machine import give_memory_back
from fleetgen.web.api.control import Control
from fleetgen.web.dashboard.page import FAVICON, draw
from fleetgen.web.dashboard.viewing import Viewers

RECONNECT_SECONDS = 10.0
"""For so long the state of a page whose connection broke is kept."""

UNCONNECTED_SECONDS = 15.0
"""For so long a page is kept that was asked for and has not connected: by a program, or by a tab closed at once."""

MOST_PAGES = 128
"""Pages that are kept at once, connected or not."""

_PRUNE_SECONDS = 5.0
_CONNECTING_SECONDS = 3.0
_END_SECONDS = 2.0
_TASKS_END_SECONDS = 2.0


async def start(control: Control) -> "Running":
    """Return the application that serves the page, running."""
    logging.getLogger("nicegui").addHandler(_ToLog(control))
    ui.page("/", title="fleetgen", language="en-US", favicon=FAVICON)(draw(control, Viewers(control)))
    core.app.config.socket_io_js_transports = ["websocket"]
    app = FastAPI(openapi_url=None)
    ui.run_with(
        app,
        title="fleetgen",
        favicon=FAVICON,
        dark=False,
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=RECONNECT_SECONDS,
        message_history_length=100,
        show_welcome_message=False,
    )
    running = Running(app)
    await running.begin()
    core.app.timer(_PRUNE_SECONDS, Pruning().perform)
    return running


class Pruning:
    """Lets go of pages that nobody has, and then of what they held: that hangs together in cycles, and its tasks end late."""

    def __init__(self) -> None:
        self._before = 0

    def perform(self) -> None:
        """Look once."""
        Client.prune_instances(client_age_threshold=UNCONNECTED_SECONDS)
        before, self._before = self._before, len(Client.instances)
        if self._before < before:
            asyncio.get_running_loop().call_later(_TASKS_END_SECONDS, _collect)


def _collect() -> None:
    gc.collect()
    give_memory_back()


class Running:
    """An application whose life nobody else begins and ends."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked_to_end = asyncio.Event()

    def is_full(self) -> bool:
        """Whether no further page is made at the moment."""
        if len(Client.instances) >= MOST_PAGES:
            Client.prune_instances(client_age_threshold=_CONNECTING_SECONDS)
        return len(Client.instances) >= MOST_PAGES

    async def begin(self) -> None:
        """Begin; raises RuntimeError if it cannot."""
        self._life = asyncio.create_task(self.app({"type": "lifespan", "state": {}}, self._receive, self._send))
        await self._begun

    async def end(self) -> None:
        """End what runs in the background."""
        self._asked_to_end.set()
        await asyncio.wait([self._life], timeout=_END_SECONDS)

    async def _receive(self) -> dict[str, str]:
        if not self._begun.done():
            return {"type": "lifespan.startup"}
        await self._asked_to_end.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            self._begun.set_result(None)
        elif message["type"] == "lifespan.startup.failed":
            self._begun.set_exception(RuntimeError(message.get("message", "the page could not be started")))


class _ToLog(logging.Handler):
    """Passes the library's own complaints on to the log."""

    def __init__(self, control: Control) -> None:
        super().__init__(logging.WARNING)
        self._log = control.log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.warning(f"The page: {record.getMessage()}", kind="page", exc_info=record.exc_info)
