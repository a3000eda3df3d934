"""What the watchdog does with real processes, heartbeat files and a service manager's socket."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from supervisor.states import ProcessStates

from fleetgen.supervision.watchdog import SILENT_TICKS, Watchdog


class World:
    """A process that somebody supervises, its heartbeat, and who is told of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "notify"))
        self.manager.setblocking(False)
        self.child = subprocess.Popen(["sleep", "60"])
        self.state = ProcessStates.RUNNING
        self.process = SimpleNamespace(
            config=SimpleNamespace(name="driver"), pid=self.child.pid, get_state=lambda: self.state
        )
        self.group = SimpleNamespace(processes={"driver": self.process})
        self.hung: list[Any] = []
        supervisord = SimpleNamespace(process_groups={"driver": self.group})
        self.watchdog = Watchdog(supervisord, folder, str(folder / "notify"), self.hung.append)

    def beats(self, count: int, pid: int | None = None) -> None:
        (self.folder / "driver.heartbeat").write_text(f"{pid or self.child.pid} {count}\n")

    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.watchdog.tick(None)

    def told(self) -> list[bytes]:
        found = []
        try:
            while True:
                found.append(self.manager.recv(100))
        except BlockingIOError:
            return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.child.kill()
    world.child.wait()
    world.manager.close()


def test_a_process_whose_heartbeat_stands_still_is_killed_and_told_of(world: World) -> None:
    world.beats(1)
    world.ticks(SILENT_TICKS)
    assert world.child.poll() is None
    world.ticks(1)
    assert world.child.wait(10) == -signal.SIGKILL
    assert world.hung == [world.process]


def test_a_process_that_beats_lives(world: World) -> None:
    for count in range(3 * SILENT_TICKS):
        world.beats(count)
        world.ticks(1)
    assert world.child.poll() is None
    assert world.hung == []


def test_the_silence_before_a_process_was_started_is_not_its_own(world: World) -> None:
    world.beats(1)
    world.ticks(SILENT_TICKS)
    world.process.pid += 1  # another life: it has not beaten yet, and this pid is not killed
    world.ticks(SILENT_TICKS)
    assert world.hung == []


def test_a_process_that_is_stopped_may_be_silent(world: World) -> None:
    world.state = ProcessStates.STOPPED
    world.ticks(3 * SILENT_TICKS)
    assert world.child.poll() is None


def test_a_service_manager_hears_of_readiness_once_and_of_health_at_each_tick(world: World) -> None:
    world.ticks(1)
    assert world.told() == []
    world.beats(1, pid=1)  # that of an earlier life
    world.ticks(1)
    assert world.told() == []
    world.beats(1)
    world.ticks(2)
    assert world.told() == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    world.watchdog.stopping(None)
    world.ticks(1)
    assert world.told() == [b"STOPPING=1"]


def test_a_set_is_not_ready_while_one_of_its_processes_does_not_run(world: World) -> None:
    down = SimpleNamespace(config=SimpleNamespace(name="company"), pid=0, get_state=lambda: ProcessStates.BACKOFF)
    world.group.processes["company"] = down
    world.beats(1)
    world.ticks(2)
    assert world.told() == []
    del world.group.processes["company"]
    world.ticks(1)
    assert world.told() == [b"READY=1", b"WATCHDOG=1"]


def test_a_service_manager_hears_nothing_while_a_process_is_hung(world: World) -> None:
    world.beats(1)
    world.ticks(SILENT_TICKS)
    world.told()
    world.ticks(1)
    assert world.told() == []
