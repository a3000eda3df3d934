"""The views of open pages: one for all, made when something happens, and by nobody's fault kept from the others."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from fleetgen.domain.records import Stream
from fleetgen.logbook.files import LogFiles
from fleetgen.supervision.client import Supervisor
from fleetgen.telemetry.logs import start_logging
from fleetgen.web.api.control import Control
from fleetgen.web.dashboard.viewing import View, Viewers
from fleetgen.web.edge.guard import Policy
from fleetgen.web.known.following import Follower
from fleetgen.web.known.streams import Hub
from fleetgen.web.known.supervised import Supervised
from support.simulation import Simulation, simulated


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[Simulation]:
    with simulated(tmp_path, company_interval='"PT10S"', driver_interval='"PT5S"') as each:
        yield each


@pytest.fixture
def said() -> io.StringIO:
    """What is logged."""
    return io.StringIO()


@pytest.fixture
def control(simulation: Simulation, said: io.StringIO) -> Control:
    """A control process's parts, over a dataset that the test moves on."""
    hub = Hub("run")
    loaded = simulation.loaded
    return Control(
        policy=Policy("127.0.0.1"),
        follower=Follower(loaded, None, hub),
        hub=hub,
        supervised=Supervised,
        supervisor=Supervisor(loaded.socket),
        programs=list,
        registry=CollectorRegistry(),
        logs=LogFiles(loaded.layout.logs),
        log=start_logging("control", said),
        started_at=lambda: simulation.clock.moment,
        stopping=lambda: False,
    )


async def soon() -> None:
    """Let what waits in the event loop have its turns."""
    await asyncio.sleep(0.3)


def test_who_joins_sees_the_present_and_then_what_happens(simulation: Simulation, control: Control) -> None:
    seen: list[View] = []

    async def watch() -> None:
        viewers = Viewers(control)
        viewers.join(seen.append)
        assert len(seen) == 1
        simulation.run_for(12)
        control.follower.look()  # tells the hub
        await soon()
        viewers.leave(seen.append)

    control.follower.look()
    asyncio.run(watch())
    assert len(seen[0].past[Stream.EVENTS]) < len(seen[-1].past[Stream.EVENTS]) == len(simulation.metas(Stream.EVENTS))
    assert seen[-1].health.driver_generator.total_batches == len(simulation.metas(Stream.EVENTS))


def test_a_page_that_fails_keeps_nobody_from_seeing(control: Control, said: io.StringIO) -> None:
    seen: list[View] = []

    def fails(view: View) -> None:
        if seen:
            raise ValueError("cannot be drawn")

    async def watch() -> None:
        viewers = Viewers(control)
        viewers.join(fails)
        viewers.join(seen.append)
        for _ in range(2):
            control.hub.tell("state_changed", {})
            await soon()

    asyncio.run(watch())
    assert len(seen) >= 3
    assert "A page could not be brought up to date" in said.getvalue()


def test_without_a_page_nothing_is_made(control: Control) -> None:
    seen: list[View] = []

    async def watch() -> int:
        viewers = Viewers(control)
        viewers.join(seen.append)
        viewers.leave(seen.append)
        control.hub.tell("state_changed", {})
        await soon()
        count = len(seen)
        control.hub.tell("state_changed", {})
        await soon()
        return len(seen) - count

    assert asyncio.run(watch()) == 0
    assert len(seen) == 1


def test_what_is_drawn_of_the_past_is_drawn_once_for_all(simulation: Simulation, control: Control) -> None:
    drawn: list[int] = []
    simulation.run_for(12)
    control.follower.look()
    viewers = Viewers(control)
    views = [viewers.view() for _ in range(3)]
    for view in views:
        view.once("a chart", lambda: drawn.append(1))
    assert len(drawn) == 1
    simulation.run_for(10)
    control.follower.look()
    viewers.view().once("a chart", lambda: drawn.append(1))
    assert len(drawn) == 2
