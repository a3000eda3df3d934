"""Owns reading `generator.toml`: from a file to a valid configuration, or one message that names every fault."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fleetgen.config.model import SOCKET_PATH_BYTES, Config, folder
from fleetgen.errors import ConfigurationError
from fleetgen.storage.layout import Layout

_GREATEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid configuration, the file it came from, and the folders it names."""

    file: Path
    config: Config

    @property
    def layout(self) -> Layout:
        return Layout(folder(self.file, self.config.paths.data))

    @property
    def run(self) -> Path:
        return folder(self.file, self.config.paths.run)

    @property
    def socket(self) -> Path:
        """supervisord's unix socket."""
        return self.run / "supervisor.sock"

    @property
    def pid_file(self) -> Path:
        """supervisord's pid file."""
        return self.run / "supervisord.pid"

    @property
    def last_good(self) -> Path:
        """The copy of the last valid configuration."""
        return self.run / "last-good.toml"

    @property
    def port_offset(self) -> Path:
        """The file that says what `up` added to every port."""
        return self.run / "port-offset"

    def failures(self, process: str) -> Path:
        """The file in which a process that fails again and again is counted."""
        return self.run / f"{process}.failures.json"

    def heartbeat(self, process: str) -> Path:
        """The file in which a process counts its slices."""
        return self.run / f"{process}.heartbeat"


def load(path: Path) -> LoadedConfig:
    """Read and validate a configuration file; raise ConfigurationError with all faults."""
    file = path.expanduser().absolute()
    loaded = LoadedConfig(file, parse(read_text(file), file))
    _check_paths(loaded)
    return loaded


def read_text(file: Path) -> str:
    """Return the file's text; raise ConfigurationError if there is none to be had."""
    try:
        if file.is_dir():
            raise ConfigurationError(f"{file} is a folder: name the configuration file in it.")
        if file.stat().st_size > _GREATEST_BYTES:
            raise ConfigurationError(f"{file} is larger than 1 MiB: this is no configuration file.")
        return file.read_bytes().decode()
    except FileNotFoundError as fault:
        raise ConfigurationError(
            f"There is no {file}. Make one with `fleetgen init DIR`, or name one with --config."
        ) from fault
    except OSError as fault:
        raise ConfigurationError(
            f"{file} cannot be read: {fault.strerror}. Grant access, or name another file."
        ) from fault
    except UnicodeDecodeError as fault:
        raise ConfigurationError(f"{file} is no UTF-8 text (byte {fault.start}): save it as UTF-8.") from fault


def parse(text: str, file: Path) -> Config:
    """Return the configuration that a text describes; raise ConfigurationError with all faults."""
    try:
        values = tomllib.loads(text)
    except ValueError as fault:
        raise ConfigurationError(f"{file} is no valid TOML: {fault}. Correct that place.") from fault
    except RecursionError as fault:
        raise ConfigurationError(f"{file} is nested too deeply: this is no configuration file.") from fault
    return _validated(values, text, file)


def _validated(values: dict[str, Any], text: str, file: Path) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as failure:
        from fleetgen.config.faults import faults_of

        faults = faults_of(failure, text, values)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise ConfigurationError(f"{file} has {count}:\n{listed}") from failure


def _check_paths(loaded: LoadedConfig) -> None:
    length = len(bytes(loaded.socket))
    if length > SOCKET_PATH_BYTES:
        raise ConfigurationError(
            f"{loaded.file} has 1 fault:\n  paths.run gives the socket a path of {length} bytes ({loaded.socket}), "
            f"but a socket's path has at most {SOCKET_PATH_BYTES}: set paths.run to a shorter folder, such as /tmp/fleetgen"
        )
