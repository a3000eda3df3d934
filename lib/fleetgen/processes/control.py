"""The control process: serves the HTTP API and its own metrics, and follows the dataset to tell of it."""

import asyncio
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from fleetgen.cadence.clock import system_now
from fleetgen.config.loading import LoadedConfig
from fleetgen.config.tables.running import is_loopback
from fleetgen.config.token import read_token
from fleetgen.domain.records import SECOND
from fleetgen.errors import ConfigurationError, FleetgenError, HeldByAnother
from fleetgen.logbook.files import LogFiles
from fleetgen.processes.worker import Worker
from fleetgen.supervision.client import Supervisor
from fleetgen.supervision.extras import has_page
from fleetgen.supervision.orphans import own_supervisor
from fleetgen.supervision.programs import recorded_programs
from fleetgen.telemetry.background import Background
from fleetgen.telemetry.hosts import own_names
from fleetgen.web.api.app import create_app
from fleetgen.web.api.control import Control
from fleetgen.web.dashboard.mounting import Page
from fleetgen.web.edge.exchange import Exchange
from fleetgen.web.edge.guard import LONGEST_BODY, Guard, Policy
from fleetgen.web.edge.wire import Http, Server, accepted_at_once
from fleetgen.web.known.following import Follower
from fleetgen.web.known.metrics import control_registry, error_counter
from fleetgen.web.known.streams import Hub
from fleetgen.web.known.supervised import SupervisedWatch

LOOK_SECONDS = 0.04
"""The longest time for which a change goes unnoticed."""

_GRACE_SECONDS = 2
_INDEXED_BYTES = 4 << 20
_INDEX_PAUSE_SECONDS = 0.02
_LOOKING = "looking around"
_LONGEST_HEADERS = 16 * 1024


class ControlProcess:
    """A running control process."""

    def __init__(self, worker: Worker, address: str, port: int, fault: str | None) -> None:
        loaded = worker.loaded
        self.loaded, self.log, self.address, self.port = loaded, worker.log, address, port
        self._worker = worker
        self._came_up = system_now()
        self._told_fault: str | None = None
        self.hub = Hub(f"{self._came_up:x}")
        self.follower = Follower(loaded, fault, self.hub)
        self.watch = SupervisedWatch(loaded, supervised=own_supervisor() is not None)
        self.logs = LogFiles(loaded.layout.logs)
        self.registry = control_registry(self.follower, self.watch.last)
        self.background = Background("control", worker.log, error_counter(self.registry))
        policy = Policy(address, own_names(loaded.config.control.host_names), self._token())
        self._app = _with_page(self._control(policy))
        self.server = _Server(self._server_config(policy), self.hub)

    def serve(self) -> None:
        """Serve until asked to stop; raises HeldByAnother for a busy port."""
        listener = _listen(self.address, self.port)
        self.follower.look()
        self.watch.start(self.background)
        self.background.start("the index of the logs", self._index_logs)
        self._worker.worked()
        self.log.info(f"Starting control process on {self._url()}", kind="starting")
        with listener:
            asyncio.run(self._live(listener))
        self._worker.heartbeat.stopping()
        self.log.info("Stopping control process", kind="stopping")

    def _index_logs(self) -> float:
        """Keep track of where in the logs rare levels occur, a small piece at a time."""
        whole = True
        with suppress(OSError, FleetgenError):
            whole = self.logs.extend_index(_INDEXED_BYTES)
        return 1 if whole else _INDEX_PAUSE_SECONDS

    async def _live(self, listener: socket.socket) -> None:
        following = asyncio.create_task(self._follow())
        await self.server.serve(sockets=[listener])
        following.cancel()
        if isinstance(self._app, Page):
            await self._app.end()

    async def _follow(self) -> None:
        """Look again and again; whatever fails is logged and tried again."""
        while True:
            try:
                self._look_around()
            except Exception as fault:  # noqa: BLE001 - whoever looks around outlives every fault
                self.background.failed(_LOOKING, fault, 1)
                await asyncio.sleep(1)
            await asyncio.sleep(LOOK_SECONDS)

    def _look_around(self) -> None:
        self._worker.beat()
        self._worker.pass_over()
        if self._worker.wake_up.stopping:  # asked for before the server took the signals over
            self.server.should_exit = True
        self.follower.look()
        fault = self.follower.config_fault
        if fault not in (None, self._told_fault):
            self.log.error(f"The configuration is invalid; the old settings stay in force. {fault}", kind="config")
        self._told_fault = fault

    def _control(self, policy: Policy) -> Control:
        return Control(
            policy=policy,
            follower=self.follower,
            hub=self.hub,
            supervised=self.watch.last,
            supervisor=Supervisor(self.loaded.socket),
            programs=partial(recorded_programs, self.loaded),
            registry=self.registry,
            logs=self.logs,
            log=self.log,
            started_at=self._up_since,
            stopping=lambda: self.server.should_exit,
        )

    def _server_config(self, policy: Policy) -> uvicorn.Config:
        return uvicorn.Config(
            Exchange(Guard(self._app, policy, self.log)),
            http=Http,
            ws="websockets-sansio" if has_page() else "none",
            ws_max_size=LONGEST_BODY,
            ws_per_message_deflate=False,  # most readers sit at this machine
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=_LONGEST_HEADERS,
            backlog=accepted_at_once(),
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )

    def _token(self) -> str | None:
        """Return the token; raise ConfigurationError for none where others reach the address, wherever it was given."""
        token = read_token(self.loaded)
        if token is None and not self.loaded.config.control.trust_network and not is_loopback(self.address):
            raise ConfigurationError(
                f"control listens on {self.address!r}, which other machines may reach: set control.token_file."
            )
        return token

    def _up_since(self) -> int:
        """Return when the set came up: supervisord, or this process where there is none."""
        return _changed_at(self.loaded.pid_file) or self._came_up

    def _url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}"


def _with_page(control: Control) -> Any:
    """Return the API, and the page beside it where its packages are installed."""
    api = create_app(control)
    return Page(api, control) if has_page() else api


class _Server(Server):
    """A server that ends its streams when it is asked to stop: they would hold it up otherwise."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        ending = await super().on_tick(counter)
        if ending:
            self._hub.end()
        return ending


def main(loaded: LoadedConfig, address: str | None, port: int | None, fault: str | None) -> None:
    """Run until asked to stop; ``fault`` is what is wrong with the file if ``loaded`` is an older one."""
    config = loaded.config.control
    worker = Worker("control", loaded, title="control process")
    with worker.telling():
        process = ControlProcess(worker, address or config.address, port or config.port, fault)
        worker.start()
        if not worker.wake_up.stopping:
            process.serve()


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # TCP by name makes asyncio switch Nagle's algorithm off; without it each answer on a kept connection takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(128)
    except OSError as fault:
        listener.close()
        raise HeldByAnother(
            f"Port {port} on {address} cannot be listened on ({fault.strerror}): set control.port to a free one."
        ) from fault
    return listener


def _changed_at(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns * SECOND // 1_000_000_000
    except OSError:
        return None
