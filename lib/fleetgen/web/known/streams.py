"""Owns the open streams of server-sent events: each client has a bounded queue of its own, so a slow one harms nobody.

A client that falls too far behind is let go; it comes back with the id of the last event it saw and gets what it
missed, as far as that is still kept. Everything here runs in the event loop's one thread.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["batch_generated", "batch_processed", "state_changed", "config_reloaded"]

MOST_CLIENTS = 100
KEPT_EVENTS = 1000
_QUEUE_LENGTH = KEPT_EVENTS + 1


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; ``id`` is the run of the process and a number that grows."""

    id: str
    kind: Kind
    data: dict[str, Any]


class Client:
    """One open stream."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(_QUEUE_LENGTH)
        self.let_go = False

    def give(self, event: Event) -> None:
        """Hand over an event, or let the client go if it has not taken the ones before."""
        if self._queue.qsize() >= KEPT_EVENTS:
            self.let_go = True
        else:
            self._queue.put_nowait(event)

    def end(self) -> None:
        """End the stream after what is queued."""
        self._queue.put_nowait(None)

    async def taken(self, seconds: float) -> list[Event]:
        """Wait so long for an event; return all that there are then."""
        found: list[Event | None] = []
        with suppress(TimeoutError):
            found.append(await asyncio.wait_for(self._queue.get(), seconds))
        while not self._queue.empty():
            found.append(self._queue.get_nowait())
        return [event for event in found if event is not None]

    async def events(self) -> AsyncIterator[Event]:
        """Yield events until the stream ends or the client is let go."""
        while not self.let_go and (event := await self._queue.get()) is not None:
            yield event


class Hub:
    """Tells every client of every event. ``run`` tells the ids of this process's events from those of earlier ones."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._count = 0
        self._kept: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._clients: set[Client] = set()
        self.ended = False

    @property
    def is_full(self) -> bool:
        """Whether no further client is admitted."""
        return len(self._clients) >= MOST_CLIENTS

    def tell(self, kind: Kind, data: dict[str, Any]) -> None:
        """Tell of something that happened."""
        self._count += 1
        event = Event(f"{self._run}-{self._count}", kind, data)
        self._kept.append(event)
        for client in self._clients:
            client.give(event)
        self._clients = {client for client in self._clients if not client.let_go}

    def join(self, last_seen: str | None) -> Client:
        """Admit a client; one that names the last event it saw gets those after it first."""
        client = Client()
        for event in self._missed(last_seen):
            client.give(event)
        self._clients.add(client)
        if self.ended:
            client.end()
        return client

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)

    def end(self) -> None:
        """End all streams; those who join later end at once."""
        self.ended = True
        for client in self._clients:
            client.end()

    def _missed(self, last_seen: str | None) -> list[Event]:
        """Return the kept events after this one; of another run's, all that are kept; without one, none."""
        if last_seen is None:
            return []
        run, _, number = last_seen.rpartition("-")
        if run != self._run or not number.isascii() or not number.isdigit():
            return list(self._kept)
        return [event for event in self._kept if int(event.id.rpartition("-")[2]) > int(number[:18])]
