"""A real set under a real supervisord, in a folder of its own with ports of its own."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import urlopen

import tomlkit

from fleetgen.config.laying_out import lay_out
from support.patience import wait_for

_PORTS_OF_A_WORKER = 5000

FLEETGEN = [sys.executable, "-m", "fleetgen"]


_GIVEN: deque[int] = deque(maxlen=100)
"""The ports that were given last."""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on.

    They lie below those that the system gives to clients, and each worker of a test run has a range of its own: so
    nobody takes one before its set does. Nor is one given again soon: of several sets, none may have started yet.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 10_000 + worker % 4 * _PORTS_OF_A_WORKER
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(first, first + _PORTS_OF_A_WORKER)
        if port not in _GIVEN and _is_free(port):
            found.add(port)
    _GIVEN.extend(found)
    return sorted(found)


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class RunningSet:
    """`fleetgen up` and what can be seen of it. The folder's path is short, for the sake of the socket's."""

    def __init__(
        self, control: bool | str = False, pipeline: bool | str = False, named: str = "", **settings: str
    ) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="fg-", dir="/tmp"))
        self.folder = self._place / named
        self.config = self.folder / "etc" / "generator.toml"
        list(lay_out(self.folder / "etc", "emulated"))  # as `fleetgen init` does
        *ports, self.control_port, self.pipeline_port = free_ports(4)
        self.ports = dict(zip(("company", "driver"), ports, strict=True))
        self.configure(**{f"{name}_port": str(port) for name, port in self.ports.items()}, **settings)
        self.configure(pipeline_port=str(self.pipeline_port))
        self.configure_table("pipeline", enabled=str(pipeline).lower())
        self.configure_table("control", enabled=str(control).lower(), port=str(self.control_port))
        self._programs = 2 + bool(control) + bool(pipeline)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def output(self) -> str:
        """What the terminal of `fleetgen up` has shown."""
        path = self.folder / "output"
        return path.read_text() if path.exists() else ""

    def configure(self, **settings: str) -> None:
        """Replace the lines of these keys."""
        lines = self.config.read_text().splitlines()
        for key, value in settings.items():
            places = [place for place, line in enumerate(lines) if line.split("=")[0].strip() == key]
            assert places, key
            for place in places:
                lines[place] = f"{key} = {value}"
        self.config.write_text("\n".join(lines) + "\n")

    def configure_table(self, table: str, **settings: str) -> None:
        """Replace, or add, keys of one table."""
        document = tomlkit.parse(self.config.read_text())
        for key, value in settings.items():
            document[table][key] = tomlkit.value(value)
        self.config.write_text(tomlkit.dumps(document))

    @property
    def api(self) -> str:
        """Where the control API is."""
        return f"http://127.0.0.1:{self.control_port}/api"

    def start(self, wait: bool = True) -> None:
        """Start the set; wait until its processes have told that they start."""
        told = self.output.count("Starting ")
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [*FLEETGEN, "up", "--config", str(self.config)],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait:
            wait_for(lambda: self.output.count("Starting ") >= told + self._programs, 30, "The start")

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send supervisord a signal, as Ctrl-C does, and return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def call(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Call the command line about this set."""
        command = [*FLEETGEN, *arguments, "--config", str(self.config)]
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=120)

    def ctl(self, *arguments: str) -> str:
        """Call the environment's supervisorctl."""
        conf = self.config.with_name("supervisord.conf")
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(conf), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    def pids(self) -> dict[str, int]:
        """Return the pids of the generator processes."""
        return {name: pid for name in self.ports for pid in self._pids_of(name)}

    def descendants(self) -> list[int]:
        """Return every process that mentions this set's folder."""
        return [pid for pid in _all_pids() if str(self.folder) in _command(pid) and pid != os.getpid()]

    def log(self, process: str) -> list[dict[str, Any]]:
        """Return a process's log lines."""
        path = self.data / "manifests" / "logs" / f"{process}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def metrics(self, process: str) -> str:
        """Return what a process's /metrics says."""
        with urlopen(f"http://127.0.0.1:{self.ports[process]}/metrics", timeout=30) as answer:
            return str(answer.read().decode())

    def manifest(self) -> dict[str, Any]:
        """Return the manifest."""
        loaded: dict[str, Any] = json.loads((self.data / "manifests" / "generator_state.json").read_text())
        return loaded

    def batch_count(self, stream: str) -> int:
        """Return how many batches of a stream are visible."""
        folder = self.data / "raw" / stream
        return len(list(folder.iterdir())) if folder.exists() else 0

    def _pids_of(self, name: str) -> list[int]:
        mark = f"fleetgen\0run\0{name}\0--config\0{self.config}"
        return [pid for pid in _all_pids() if mark in _command(pid, raw=True)]

    def __enter__(self) -> "RunningSet":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.stop()
        for pid in self.descendants():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self._place, ignore_errors=True)


@contextmanager
def running_set(control: bool | str = False, pipeline: bool | str = False, **settings: str) -> Iterator[RunningSet]:
    """A set that is up, and gone afterwards; with a control or a pipeline process if asked."""
    with RunningSet(control, pipeline, **settings) as running:
        running.start()
        yield running


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command(pid: int, raw: bool = False) -> str:
    try:
        content = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
    return content if raw else content.replace("\0", " ")
