"""Owns reading `generator.toml`: from a file to a valid configuration, or one message that names every fault."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fleetgen.config.model import SOCKET_PATH_BYTES, Config, folder
from fleetgen.errors import ConfigurationError
from fleetgen.storage.layout import Layout

_GREATEST_BYTES = 1 << 20
_SHOWN_LENGTH = 80
_PLAIN = {
    "Cannot overwrite a value": "This key or table is there twice",
    "Invalid value": 'Invalid value; texts are written in straight quotes ("…"), truths as true and false',
}


LAST_GOOD = "last-good.toml"
"""Name of the copy of the last valid configuration, in the run folder."""


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid configuration, the file it came from, and the folders it names."""

    file: Path
    config: Config
    text: str = field(repr=False)
    """What was found valid."""
    content: bytes | None = field(compare=False, repr=False)
    """What stood in the file before it was read; None if it could not be read."""
    fixed_data: Path | None = None
    """The data directory that a running process keeps, whatever the file says meanwhile."""
    fixed_run: Path | None = None
    """The run folder that it keeps."""

    @property
    def layout(self) -> Layout:
        return Layout(self.fixed_data or folder(self.file, self.config.paths.data))

    @property
    def run(self) -> Path:
        return self.fixed_run or folder(self.file, self.config.paths.run)

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
        return self.run / LAST_GOOD

    @property
    def port_offset(self) -> Path:
        """The file that says what `up` added to every port."""
        return self.run / "port-offset"

    @property
    def programs(self) -> Path:
        """The file that says which processes the set has and where they listen."""
        return self.run / "programs.json"

    def failures(self, process: str) -> Path:
        """The file in which a process that fails again and again is counted."""
        return self.run / f"{process}.failures.json"

    def heartbeat(self, process: str) -> Path:
        """The file in which a process counts its slices."""
        return self.run / f"{process}.heartbeat"


def load(path: Path) -> LoadedConfig:
    """Read and validate a configuration file; raise ConfigurationError with all faults."""
    file = in_full(path)
    content = content_of(file)
    text = read_text(file)
    loaded = LoadedConfig(file, parse(text, file), text, content)
    _check_paths(loaded)
    return loaded


def content_of(file: Path) -> bytes | None:
    """Return what stands in a file, as far as a configuration may go; None where no file can be read.

    This tells one state of a file from another: an edit may keep size and times, on a disk with coarse times for one.
    """
    try:
        if not file.is_file():  # a pipe would block
            return None
        with file.open("rb") as opened:
            return opened.read(_GREATEST_BYTES + 1)
    except OSError:
        return None


def in_full(path: Path) -> Path:
    """Return a configuration file's absolute path, `~` resolved; raise ConfigurationError without such a home."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as fault:
        raise ConfigurationError(f"{path} is in no home of this machine: name another file with --config.") from fault


def read_text(file: Path) -> str:
    """Return the file's text; raise ConfigurationError if there is none to be had."""
    try:
        if file.is_dir():
            raise ConfigurationError(f"{file} is a folder: name the configuration file in it.")
        if file.stat().st_size > _GREATEST_BYTES:
            raise ConfigurationError(f"{file} is larger than 1 MiB: this is no configuration file.")
        if file.exists() and not file.is_file():
            raise ConfigurationError(f"{file} is a pipe or a device: name a file.")
        text = file.read_bytes().decode()
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
    if text.startswith("\ufeff"):
        raise ConfigurationError(f"{file} begins with a byte order mark: save it as UTF-8 without one.")
    return text


def parse(text: str, file: Path) -> Config:
    """Return the configuration that a text describes; raise ConfigurationError with all faults."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ConfigurationError(f"{file} is no valid TOML: {_explained(str(fault), text)}") from fault
    except ValueError as fault:  # Python's limit on the digits of a number
        raise ConfigurationError(f"{file} has a number of thousands of digits: write a shorter one.") from fault
    except RecursionError as fault:
        raise ConfigurationError(f"{file} is nested too deeply: this is no configuration file.") from fault
    return _validated(values, text, file)


def _explained(fault: str, text: str) -> str:
    """Return what the parser found, in the words of the file, with the line that it stumbled over."""
    for technical, plain in _PLAIN.items():
        fault = fault.replace(technical, plain)
    fault = re.sub(
        r"Cannot declare \((.*?),?\) twice", lambda match: f"The table [{_joined(match[1])}] is there twice", fault
    )
    if fault.startswith("Unclosed") and (opened := _opened_on(text)) is not None:
        fault = f"{fault.partition(' (')[0]} (opened at line {opened})"
    place = re.search(r"at line (\d+)", fault)
    line = text.split("\n")[int(place[1]) - 1].strip() if place else ""
    shown = "".join(sign if sign.isprintable() else "�" for sign in line[:_SHOWN_LENGTH])
    return f"{fault}: {shown}\n  Correct that line." if shown else f"{fault}. Correct that place."


_SIGNS = re.compile(r"""\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[\[\]{}]|=|\n""", re.DOTALL)
"""What matters to whether a bracket is closed; texts and comments are passed over whole."""


def _opened_on(text: str) -> int | None:
    """Return the line on which the first value begins whose bracket is not closed before the next table or key."""
    line, depth, opened, is_value = 1, 0, None, False
    for sign in _SIGNS.findall(text):
        if sign == "\n":
            is_value = is_value and depth > 0
        elif sign == "=":
            if depth == 0:
                is_value = True
        elif is_value and sign in "[{":
            opened = line if depth == 0 else opened
            depth += 1
        elif is_value and sign in "]}":
            depth -= 1
        line += sign.count("\n")
        if depth <= 0:
            opened = None
    return opened


def _joined(names: str) -> str:
    return ".".join(name.strip("'\"") for name in names.split(", "))


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
    for name in ("data", "run"):
        given = getattr(loaded.config.paths, name)
        try:
            folder(loaded.file, given)
        except (OSError, RuntimeError) as fault:
            raise ConfigurationError(
                f"{loaded.file} has 1 fault:\n  paths.{name} = {given!r} leads nowhere ({fault}): it must be the path of a folder"
            ) from fault
    length = len(bytes(loaded.socket))
    if length > SOCKET_PATH_BYTES:
        raise ConfigurationError(
            f"{loaded.file} has 1 fault:\n  paths.run gives the socket a path of {length} bytes ({loaded.socket}), "
            f"but a socket's path has at most {SOCKET_PATH_BYTES}: set paths.run to a shorter folder, such as /tmp/fleetgen"
        )
