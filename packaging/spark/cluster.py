"""Owns the processes of a standalone cluster: a master and workers on the loopback address, each with a pid file and a log."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from members import is_there, runs_spark

from fleetgen.errors import FleetgenError, HeldByAnother, SystemLacks
from fleetgen.storage.files import make_folder

ADDRESS = "127.0.0.1"
CLASSES = "org.apache.spark.deploy"
READY_SECONDS = 60
END_SECONDS = 10


@dataclass(frozen=True)
class Ports:
    """Where the master listens: for Spark, and for its page."""

    master: int
    page: int


@dataclass(frozen=True)
class Size:
    """How many workers there are, and what each offers."""

    workers: int
    cores: int
    memory: str


class Cluster:
    """The cluster whose pid files and logs are in a folder."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def up(self, ports: Ports, size: Size) -> str:
        """Start the master and the workers; return the master's URL once all workers are registered with it."""
        if any(alive for _, alive in self._members()):
            raise HeldByAnother(f"A cluster is running, see {self.run}: stop it first with `make spark-down`.")
        make_folder(self.run)
        url = f"spark://{ADDRESS}:{ports.master}"
        try:
            master = ["--port", str(ports.master), "--webui-port", str(ports.page)]
            self._start("master", "master.Master", master)
            self._wait(lambda: self._registered(ports) is not None, "The master did not come up")
            for number in range(1, size.workers + 1):
                self._start_worker(f"worker-{number}", size, url)
            self._wait(lambda: self._registered(ports) == size.workers, "The workers did not register")
        except (FleetgenError, KeyboardInterrupt):
            self.down()
            raise
        return url

    def down(self) -> bool:
        """End all of it, executors included; return whether anything was running.

        Raises FleetgenError if something lives on; its pid file stays.
        """
        groups = [pid for pid, alive in self._members() if alive]
        for number, seconds in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, END_SECONDS)):
            for group in groups:
                _signal(group, number)
            _wait_while(lambda: any(map(is_there, groups)), seconds)
        left = [group for group in groups if is_there(group)]
        for file in self._pid_files():
            if _pid(file) not in left:
                file.unlink(missing_ok=True)
        if left:
            raise FleetgenError(f"Process groups {left} of the cluster live on: call `make spark-down` again.")
        return bool(groups)

    def _start_worker(self, name: str, size: Size, url: str) -> None:
        offered = ["--cores", str(size.cores), "--memory", size.memory]
        places = ["--port", "0", "--webui-port", "0", "--work-dir", str(self.run / name)]
        self._start(name, "worker.Worker", [*offered, *places, url])

    def _start(self, name: str, main: str, arguments: list[str]) -> None:
        """Start a JVM in a session of its own, so that Ctrl-C does not reach it and its executors are found again."""
        home = _spark_home()
        command = [str(home / "bin" / "spark-class"), f"{CLASSES}.{main}", "--host", ADDRESS, *arguments]
        environment = os.environ | {
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": ADDRESS,  # the pages listen there too
            "SPARK_DAEMON_MEMORY": "512m",
            "PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON", sys.executable),
        }
        with (self.run / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started[name] = process
        (self.run / f"{name}.pid").write_text(f"{process.pid}\n")

    def _wait(self, what: Callable[[], bool], fault: str) -> None:
        """Return when something is so; raise SystemLacks if a process ends instead, or it takes too long."""
        deadline = time.monotonic() + READY_SECONDS
        while not what():
            ended = [name for name, process in self._started.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                log = self.run / f"{(ended or ['master'])[0]}.log"
                raise SystemLacks(f"{fault}: {_last_words(log)} (the whole of it: {log}). Perhaps choose other ports.")
            time.sleep(0.1)

    def _registered(self, ports: Ports) -> int | None:
        """Return how many workers the master counts as alive; None while it, and not another's master, does not answer."""
        try:
            with build_opener(ProxyHandler({})).open(f"http://{ADDRESS}:{ports.page}/json/", timeout=5) as answer:
                state = json.load(answer)
        except (URLError, OSError, ValueError):
            return None
        if state.get("url") != f"spark://{ADDRESS}:{ports.master}":
            return None
        states: list[str] = [worker["state"] for worker in state["workers"]]
        return states.count("ALIVE")

    def _members(self) -> Iterator[tuple[int, bool]]:
        for file in self._pid_files():
            yield (pid := _pid(file)), runs_spark(pid)

    def _pid_files(self) -> list[Path]:
        return sorted(self.run.glob("*.pid"), reverse=True)


def _spark_home() -> Path:
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        raise SystemLacks("The package pyspark is not whole: install it anew.")
    return Path(found.origin).parent


def _pid(file: Path) -> int:
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return 0


def _signal(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _wait_while(what: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while what() and time.monotonic() < deadline:
        time.sleep(0.1)


def _last_words(log: Path) -> str:
    """Return the line of a log that tells of a fault, or else its last one."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if "Exception" in line and not line.startswith("at ")]
    return (told or lines or ["nothing was said"])[-1]
