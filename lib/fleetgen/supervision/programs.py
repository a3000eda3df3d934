"""Owns the expansion of the configuration into supervisord's file. Pure: it returns text; starting is left to `cli`."""

import os
import shlex
import sys
from collections.abc import Iterator
from configparser import Error as ConfigParserError
from configparser import RawConfigParser
from dataclasses import dataclass
from pathlib import Path

from fleetgen.config.loading import LoadedConfig
from fleetgen.errors import ConfigurationError, UsageError

CONF_FILE = "supervisord.conf"
EXPECTED_EXITS = (0, 75, 78)
"""Statuses after which a process is not started again: done, held by another, configuration."""

_GREATEST_PORT = 65_535
_LOG_BYTES = 10 * 1024 * 1024
_LOG_BACKUPS = 5


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process."""

    name: str
    port: int


def programs(loaded: LoadedConfig, port_offset: int = 0) -> list[Program]:
    """Return the processes of the set and the ports of their metrics; raise UsageError for a port that cannot be."""
    metrics = loaded.config.metrics
    ports = {"company": metrics.company_port, "driver": metrics.driver_port}
    for name, port in ports.items():
        if port + port_offset > _GREATEST_PORT:
            raise UsageError(f"--port-offset {port_offset} takes metrics.{name}_port beyond {_GREATEST_PORT}.")
    return [Program(name, port + port_offset) for name, port in ports.items()]


def render(loaded: LoadedConfig, port_offset: int = 0) -> str:
    """Return supervisord's configuration file; raise ConfigurationError for paths that it cannot express."""
    _check(loaded)
    lines = ["; Written by `fleetgen up` at each start: edit generator.toml instead."]
    for title, entries in _sections(loaded, port_offset):
        lines += ["", f"[{title}]", *(f"{key}={_escaped(value)}" for key, value in entries.items())]
    return "\n".join(lines) + "\n"


def socket_of(conf: Path) -> Path | None:
    """Return the socket that a rendered file names, or None if there is no such file."""
    parser = RawConfigParser()
    try:
        parser.read_string(conf.read_text())
        return Path(parser["unix_http_server"]["file"].replace("%%", "%"))
    except (OSError, KeyError, ConfigParserError):
        return None


def _sections(loaded: LoadedConfig, port_offset: int) -> Iterator[tuple[str, dict[str, str]]]:
    yield "unix_http_server", {"file": str(loaded.socket), "chmod": "0700"}
    yield "supervisord", _supervisord(loaded)
    yield (
        "rpcinterface:supervisor",
        {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
    )
    yield (
        "rpcinterface:fleetgen",
        {
            "supervisor.rpcinterface_factory": "fleetgen.supervision.plugin:make_plugin",
            "run": str(loaded.run),
        },
    )
    yield "supervisorctl", {"serverurl": f"unix://{loaded.socket}"}
    for program in programs(loaded, port_offset):
        yield f"program:{program.name}", _program(loaded, program)


def _supervisord(loaded: LoadedConfig) -> dict[str, str]:
    entries = {
        "nodaemon": "true",
        "silent": "true",
        "identifier": "fleetgen",
        "pidfile": str(loaded.pid_file),
        "logfile": str(loaded.run / "supervisord.log"),
        "logfile_maxbytes": "1MB",
        "logfile_backups": "1",
        "childlogdir": str(loaded.run),
    }
    return entries | ({"user": "root"} if os.geteuid() == 0 else {})


def _program(loaded: LoadedConfig, program: Program) -> dict[str, str]:
    command = [sys.executable, "-m", "fleetgen", "run", program.name, "--config", str(loaded.file)]
    command += ["--address", loaded.config.metrics.address, "--port", str(program.port)]
    command += ["--data", str(loaded.layout.data), "--run", str(loaded.run)]
    supervisor = loaded.config.supervisor
    return {
        "command": shlex.join(command),
        "autostart": "true",
        "autorestart": "unexpected",
        "exitcodes": ",".join(map(str, EXPECTED_EXITS)),
        "startsecs": "0",
        "startretries": str(supervisor.start_retries),
        "stopsignal": "TERM",
        "stopwaitsecs": str(supervisor.stop_wait_seconds),
        "killasgroup": "true",
        "stdout_logfile": str(loaded.layout.logs / f"{program.name}.jsonl"),
        "stdout_logfile_maxbytes": str(_LOG_BYTES),
        "stdout_logfile_backups": str(_LOG_BACKUPS),
        "stdout_events_enabled": "true",
        "stderr_logfile": str(loaded.run / f"{program.name}.stderr.log"),
        "stderr_logfile_maxbytes": "1MB",
        "stderr_logfile_backups": "1",
    }


def _escaped(value: str) -> str:
    return value.replace("%", "%%")


def _check(loaded: LoadedConfig) -> None:
    paths: list[tuple[str, Path]] = [
        ("the configuration file", loaded.file),
        ("paths.data", loaded.layout.data),
        ("paths.run", loaded.run),
        ("Python", Path(sys.executable)),
    ]
    for name, path in paths:
        text = str(path)
        if any(mark in text for mark in (" ;", " #", "\t;", "\t#", "\n", "\r")):
            raise ConfigurationError(
                f"The path of {name}, {text!r}, has a ';' or '#' behind a space, or a line break, which supervisord "
                "takes for a comment: rename the folder."
            )
