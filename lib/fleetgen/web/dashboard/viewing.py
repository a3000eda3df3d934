"""Owns what the open pages show: one view of the set for all of them, made when something happens and once a second.

Every page gets the same view, so two tabs cannot disagree; without an open page nothing is made.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import SECOND, Settings, Stream
from fleetgen.web.api.control import Control
from fleetgen.web.known.facts import Health
from fleetgen.web.known.health import health
from fleetgen.web.known.history import History, Past
from fleetgen.web.known.streams import Client

PERIOD_SECONDS = 1.0
"""The longest time for which a page shows a state that is over."""

_PAUSE_SECONDS = 0.1
"""Of a burst of events, pages show no more than ten views a second."""


@dataclass(frozen=True, slots=True)
class View:
    """What is known of the set at one instant, in microseconds."""

    now: int
    health: Health
    settings: Settings
    past: dict[Stream, list[Past]]
    """The newest intervals of each stream, oldest first."""
    needs_token: bool
    drawn: dict[str, Any]
    """What was made of these intervals and settings, for all pages."""

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what was made under this name, made by the first page that asks for it."""
        if name not in self.drawn:
            self.drawn[name] = make()
        return self.drawn[name]


Show = Callable[[View], None]


class Viewers:
    """The open pages."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._history = History(control.follower)
        self._open: set[Show] = set()
        self._drawn: dict[str, Any] = {}
        self._settings: Settings | None = None
        self._showing: asyncio.Task[None] | None = None

    def join(self, show: Show) -> None:
        """Show every view from now on, and the present one at once."""
        self._open.add(show)
        show(self.view())
        if self._showing is None:
            self._showing = asyncio.create_task(self._show(self._control.hub.join(None)))

    def leave(self, show: Show) -> None:
        """Forget a page."""
        self._open.discard(show)

    def view(self) -> View:
        """Return the present view."""
        control, now = self._control, system_now()
        settings = control.follower.settings
        if self._history.refresh() or settings != self._settings:
            self._drawn, self._settings = {}, settings
        seen = health(control.follower, control.supervised(), control.started_at(), control.stopping(), now)
        past = {stream: self._history.of(stream) for stream in Stream}
        return View(now, seen, settings, past, control.policy.token is not None, self._drawn)

    async def _show(self, client: Client) -> None:
        """Show views for as long as there are pages."""
        try:
            while self._open and not self._control.hub.ended:
                await client.taken(PERIOD_SECONDS)
                self._show_all(self.view())
                await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            self._control.hub.leave(client)
            self._showing = None

    def _show_all(self, view: View) -> None:
        for show in list(self._open):
            try:
                show(view)
            except Exception as fault:
                self._control.log.error("A page could not be brought up to date", kind="error", exc_info=fault)


def milliseconds(instant: int) -> int:
    """Return an instant as browsers count it."""
    return instant // (SECOND // 1000)
