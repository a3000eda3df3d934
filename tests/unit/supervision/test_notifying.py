"""What a service manager hears from a process that it started, over a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetgen.processes.heartbeat import Heartbeat
from fleetgen.supervision.notifying import notify
from fleetgen.supervision.orphans import SUPERVISOR_MARK


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A manager's socket, which the environment names."""
    name = f"@fleetgen-test-{os.getpid()}" if request.param == "an abstract name" else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.delenv(SUPERVISOR_MARK, raising=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if name.startswith("@") else name)
        listening.setblocking(False)
        yield listening


def told(manager: socket.socket) -> list[bytes]:
    found = []
    try:
        while True:
            found.append(manager.recv(100))
    except BlockingIOError:
        return found


def test_a_process_says_that_it_is_ready_that_it_is_well_and_that_it_stops(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetgen.supervision.notifying._EVERY_SECONDS", 0.0)
    heartbeat = Heartbeat(tmp_path / "run" / "driver.heartbeat")
    for _ in range(3):
        heartbeat.beat()
    heartbeat.stopping()
    assert told(manager) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_process_that_beats_often_speaks_seldom(manager: socket.socket, tmp_path: Path) -> None:
    heartbeat = Heartbeat(tmp_path / "driver.heartbeat")
    for _ in range(100):
        heartbeat.beat()
    assert told(manager) == [b"READY=1"]


def test_a_process_of_a_set_leaves_speaking_to_its_supervisord(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SUPERVISOR_MARK, str(os.getppid()))
    heartbeat = Heartbeat(tmp_path / "driver.heartbeat")
    heartbeat.beat()
    heartbeat.stopping()
    assert told(manager) == []


def test_a_manager_that_is_gone_or_does_not_read_stops_nobody(tmp_path: Path) -> None:
    notify(str(tmp_path / "none"), "READY=1")
    name = str(tmp_path / "full")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name)
        for _ in range(2000):
            notify(name, "WATCHDOG=1")
