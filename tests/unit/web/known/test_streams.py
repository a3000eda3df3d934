"""Server-sent events: a client gets what it missed, once and in order, and a slow one harms nobody."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetgen.web.known.streams import KEPT_EVENTS, MOST_CLIENTS, Client, Event, Hub


def told(hub: Hub, count: int) -> None:
    for number in range(count):
        hub.tell("state_changed", {"number": number})


def taken(client: Client) -> list[Event]:
    """Return all that a client gets before its stream ends."""

    async def take() -> list[Event]:
        return [event async for event in client.events()]

    return asyncio.run(take())


def after(hub: Hub, last_seen: str | None) -> list[int]:
    client = hub.join(last_seen)
    hub.end()
    return [event.data["number"] for event in taken(client)]


def test_a_new_client_gets_what_comes_from_now_on() -> None:
    hub = Hub("a")
    told(hub, 3)
    client = hub.join(None)
    told(hub, 2)
    hub.end()
    assert [event.id for event in taken(client)] == ["a-4", "a-5"]


@given(count=st.integers(0, 30), seen=st.integers(0, 40))
def test_a_client_that_comes_back_gets_exactly_what_it_missed(count: int, seen: int) -> None:
    hub = Hub("a")
    told(hub, count)
    assert after(hub, f"a-{seen}") == list(range(seen, count))


@pytest.mark.parametrize("last_seen", ["b-2", "2", "a-", "a-x", "a-²", "", "-", "a--1"])
def test_a_client_of_an_earlier_run_gets_all_that_is_kept(last_seen: str) -> None:
    hub = Hub("a")
    told(hub, 3)
    assert after(hub, last_seen) == [0, 1, 2]


def test_an_endless_number_of_a_last_event_costs_nothing() -> None:
    hub = Hub("a")
    told(hub, 3)
    assert after(hub, "a-" + "9" * 5000) == []


def test_only_so_many_events_are_kept() -> None:
    hub = Hub("a")
    told(hub, KEPT_EVENTS + 5)
    assert after(hub, "a-0") == list(range(5, KEPT_EVENTS + 5))


def test_a_client_that_takes_nothing_is_let_go_and_the_others_are_not() -> None:
    hub = Hub("a")
    slow, other = hub.join(None), hub.join(None)
    told(hub, KEPT_EVENTS)
    assert not slow.let_go
    asyncio.run(_take_one(other))
    told(hub, 1)
    assert slow.let_go
    assert not other.let_go
    hub.end()
    assert len(taken(other)) == KEPT_EVENTS
    assert taken(slow) == []


async def _take_one(client: Client) -> Event:
    return await anext(client.events())


def test_a_client_that_was_let_go_does_not_hold_a_place() -> None:
    hub = Hub("a")
    clients = [hub.join(None) for _ in range(MOST_CLIENTS)]
    assert hub.is_full
    hub.leave(clients[0])
    assert not hub.is_full
    told(hub, KEPT_EVENTS + 1)
    assert not hub._clients


def test_who_joins_after_the_end_gets_what_it_missed_and_an_end() -> None:
    hub = Hub("a")
    told(hub, 2)
    hub.end()
    assert [event.id for event in taken(hub.join("a-1"))] == ["a-2"]
