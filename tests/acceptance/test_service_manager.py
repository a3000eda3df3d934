"""What a service manager hears from a real set, and what a container's output holds."""

import json
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from support.patience import wait_for
from support.sets import FLEETGEN, RunningSet


def test_a_set_tells_its_service_manager_and_shows_log_lines_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = RunningSet()
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(40)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with (tmp_path / "output").open("wb") as output:
            running = subprocess.Popen([*FLEETGEN, "up", "--log", "json", "--config", str(place.config)], stdout=output)
        try:
            assert manager.recv(100) == b"READY=1"
            assert manager.recv(100) == b"WATCHDOG=1"
            wait_for(lambda: b"batch 0" in (tmp_path / "output").read_bytes(), 30, "The first batch")
        finally:
            running.terminate()
        told = manager.recv(100)
        assert told in (b"STOPPING=1", b"WATCHDOG=1")
        assert running.wait(40) == 0
    lines = [json.loads(line) for line in (tmp_path / "output").read_text().splitlines()]
    assert {"company", "driver", "supervisor"} <= {line["logger"] for line in lines}
