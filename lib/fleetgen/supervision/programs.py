"""Owns the expansion of the configuration into supervisord's file. Pure: it returns text; starting is left to `cli`."""

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterator
from configparser import Error as ConfigParserError
from configparser import RawConfigParser
from dataclasses import asdict, dataclass
from pathlib import Path

from fleetgen.config.loading import LoadedConfig
from fleetgen.config.tables.running import Control, Pipeline
from fleetgen.errors import ConfigurationError, UsageError
from fleetgen.storage.files import replace_file
from fleetgen.storage.reading import read_json
from fleetgen.supervision.limits import LEAST_PROCESSES, wanted_descriptors

CONF_FILE = "supervisord.conf"
EXPECTED_EXITS = (0, 71, 75, 78)
"""Statuses after which a process is not started again: done, a lack, held by another, configuration."""

_GREATEST_PORT = 65_535
_LOG_BYTES = 10 * 1024 * 1024
_LOG_BACKUPS = 5
_EXPANDED_TWICE = ("stdout_logfile", "stderr_logfile")
"""Keys whose values supervisord expands when it reads them and then once more."""


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process."""

    name: str
    port: int
    address: str
    section: str
    """The table of the configuration that says where it listens."""

    @property
    def url(self) -> str:
        """Where it serves, as a URL."""
        return f"http://{self.reached_at('127.0.0.1')}"

    def reached_at(self, host: str) -> str:
        """Return where others reach it; ``host`` is this machine's name where it listens on every address."""
        name = host if self.address in ("0.0.0.0", "::", "") else self.address  # noqa: S104 - compared, not listened on
        return f"[{name}]:{self.port}" if ":" in name else f"{name}:{self.port}"

    @property
    def port_key(self) -> str:
        """The key of the configuration that says its port."""
        return f"{self.section}.port" if self.section == self.name else f"{self.section}.{self.name}_port"


def programs(loaded: LoadedConfig, port_offset: int = 0) -> list[Program]:
    """Return the processes of the set and where they listen; raise UsageError for a port that cannot be."""
    metrics, control = loaded.config.metrics, loaded.config.control
    found = [
        Program("company", metrics.company_port + port_offset, metrics.address, "metrics"),
        Program("driver", metrics.driver_port + port_offset, metrics.address, "metrics"),
    ]
    if loaded.config.pipeline.enabled:
        found.append(Program("pipeline", metrics.pipeline_port + port_offset, metrics.address, "metrics"))
    if control.enabled:
        found.append(Program("control", control.port + port_offset, control.address, "control"))
    for program in found:
        if program.port > _GREATEST_PORT:
            raise UsageError(f"--port-offset {port_offset} takes {program.port_key} beyond {_GREATEST_PORT}.")
    return found


def recorded_offset(loaded: LoadedConfig) -> int:
    """Return what `up` added to every port."""
    try:
        return int(loaded.port_offset.read_text())
    except (OSError, ValueError):
        return 0


def record_programs(loaded: LoadedConfig, port_offset: int) -> None:
    """Write down which processes the set has from now on, for those who ask while it runs."""
    loaded.port_offset.write_text(f"{port_offset}\n")
    listed = [asdict(program) for program in programs(loaded, port_offset)]
    replace_file(loaded.programs, json.dumps(listed, indent=1).encode() + b"\n", durable=False)


def recorded_programs(loaded: LoadedConfig) -> list[Program]:
    """Return the processes that the set has; without a record, those that the configuration names."""
    try:
        return [Program(**each) for each in read_json(loaded.programs)]
    except (OSError, ValueError, TypeError):
        return programs(loaded, recorded_offset(loaded))


def render(loaded: LoadedConfig, port_offset: int = 0, token_mark: str = "") -> str:
    """Return supervisord's configuration file; raise ConfigurationError for paths that it cannot express.

    ``token_mark`` changes with the token. A process whose mark changes is started again when supervisord reads the file.
    """
    _check(loaded)
    lines = ["; Written by `fleetgen up` at each start: edit generator.toml instead.", _belongs_to(loaded.file)]
    for title, entries in _sections(loaded, port_offset, token_mark):
        lines += ["", f"[{title}]", *(f"{key}={_escaped(key, value)}" for key, value in entries.items())]
    return "\n".join(lines) + "\n"


def socket_of(conf: Path, file: Path) -> Path | None:
    """Return the socket that a file rendered for this configuration names, or None if there is no such file."""
    parser = RawConfigParser()
    try:
        text = conf.read_text(encoding="utf-8")
        if text.split("\n", 2)[1:2] != [_belongs_to(file)]:  # carried here with a copied folder: another set's
            return None
        parser.read_string(text)
        return Path(parser["unix_http_server"]["file"].replace("%%", "%"))
    except (OSError, KeyError, ConfigParserError, UnicodeError):
        return None


def _sections(loaded: LoadedConfig, port_offset: int, token_mark: str) -> Iterator[tuple[str, dict[str, str]]]:
    yield "unix_http_server", {"file": str(loaded.socket), "chmod": "0600"}
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
        marks = {
            "control": token_mark + _mark_of_access(loaded.config.control),
            "pipeline": _mark_of(loaded.config.pipeline),
        }
        marked = {"environment": f'FLEETGEN_MARK="{marks[program.name]}"'} if program.name in marks else {}
        yield f"program:{program.name}", _program(loaded, program) | marked


def _mark_of_access(control: Control) -> str:
    """Return what changes with the settings about access that a control process reads at its start alone."""
    return "".join(f"-{each}" for each in control.host_names) + "-trusts" * control.trust_network


def _mark_of(pipeline: Pipeline) -> str:
    """Return what changes with the settings that a pipeline process reads at its start alone."""
    memory = str(pipeline.memory or "")
    if pipeline.engine == "embedded":
        return memory
    return memory + "-" + hashlib.sha256(pipeline.model_dump_json().encode()).hexdigest()[:16]


def _supervisord(loaded: LoadedConfig) -> dict[str, str]:
    entries = {
        "nodaemon": "true",
        "silent": "true",
        "identifier": "fleetgen",
        "minfds": str(wanted_descriptors()),
        "minprocs": str(LEAST_PROCESSES),
        "pidfile": str(loaded.pid_file),
        "logfile": str(loaded.run / "supervisord.log"),
        "logfile_maxbytes": "1MB",
        "logfile_backups": "1",
        "childlogdir": str(loaded.run),
    }
    return entries | ({"user": "root"} if os.geteuid() == 0 else {})


def command_of(loaded: LoadedConfig, program: Program) -> list[str]:
    """Return the command that runs one process, whoever starts it."""
    command = [sys.executable, "-m", "fleetgen", "run", program.name, "--config", str(loaded.file)]
    command += ["--address", program.address, "--port", str(program.port)]
    return [*command, "--data", str(loaded.layout.data), "--run", str(loaded.run)]


def _program(loaded: LoadedConfig, program: Program) -> dict[str, str]:
    supervisor = loaded.config.supervisor
    return {
        "command": shlex.join(command_of(loaded, program)),
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


def _escaped(key: str, value: str) -> str:
    return value.replace("%", "%%%%" if key in _EXPANDED_TWICE else "%%")


def _belongs_to(file: Path) -> str:
    return f"; For {file.resolve()}"


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
