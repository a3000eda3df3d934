"""A wait that ended is no end: processes that start, work or stop while another one holds the manifest go on."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetgen.config.loading import LoadedConfig, load
from fleetgen.storage.locks import LOCK_TIMEOUT_SECONDS, FileLock
from support.configs import SHIPPED, set_folder
from support.patience import wait_for
from support.sets import free_ports


@contextmanager
def process(name: str, file: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process of a set, run by itself."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "fleetgen", "run", name, "--config", str(file), "--port", str(port)]
    with (
        (file.parent / f"{name}.log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True) as running,
    ):
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize(("name", "works"), [("pipeline", "Starting pipeline"), ("company", "Company batch 0")])
def test_a_process_that_starts_while_the_manifest_stays_locked_works_once_it_is_free(
    tmp_path: Path, name: str, works: str
) -> None:
    file = set_folder(tmp_path, SHIPPED.read_text())
    loaded, said = load(file), file.parent / f"{name}.log"
    lock = FileLock(loaded.layout.manifest_lock)
    lock.acquire()
    with process(name, file) as running:
        wait_for(lambda: "stayed locked" in said.read_text(), LOCK_TIMEOUT_SECONDS + 15, "The end of the first wait")
        beats = loaded.heartbeat(name).read_text()
        wait_for(lambda: loaded.heartbeat(name).read_text() != beats, 3, "The heartbeat while it waits again")
        assert works not in said.read_text()
        lock.release()
        wait_for(lambda: works in said.read_text(), 30, "The work of the process")
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0


def test_a_process_that_waits_for_the_manifest_beats_meanwhile(tmp_path: Path) -> None:
    file = set_folder(tmp_path, SHIPPED.read_text())
    loaded = load(file)
    with FileLock(loaded.layout.manifest_lock).held(), process("company", file) as running:
        wait_for(loaded.heartbeat("company").exists, 15, "The first beat")
        time.sleep(1)
        before = count(loaded)
        time.sleep(4)
        assert count(loaded) >= before + 4
        assert running.poll() is None


def count(loaded: LoadedConfig) -> int:
    return int(loaded.heartbeat("company").read_text().split()[1])
