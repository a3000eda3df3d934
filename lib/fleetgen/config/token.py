"""Owns reading the token that changes over HTTP must bear. It is never logged; comparing it is left to `web`."""

import shlex
from pathlib import Path

from fleetgen.config.loading import LoadedConfig
from fleetgen.config.model import folder
from fleetgen.errors import ConfigurationError

LEAST_LENGTH = 16

_REMEDY = "Make one with: (umask 077; openssl rand -hex 32 > {file})"


def token_mark(loaded: LoadedConfig) -> str:
    """Return something that changes with the token and tells nothing of it."""
    control = loaded.config.control
    return _mark(folder(loaded.file, control.token_file)) if control.token_file else ""


def _mark(file: Path) -> str:
    """Return the times, number and size of a file; the time of its last change is set by no tool that restores times."""
    try:
        status = file.stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}-{status.st_size}"


def read_token(loaded: LoadedConfig) -> str | None:
    """Return the token, or None where none is set; raise ConfigurationError for a file that holds no good one."""
    control = loaded.config.control
    if not control.enabled or control.token_file is None:
        return None
    file = folder(loaded.file, control.token_file)
    remedy = _REMEDY.format(file=shlex.quote(str(file)))
    try:
        token = file.read_text(encoding="ascii").strip()
    except OSError as fault:
        raise ConfigurationError(f"control.token_file {file} cannot be read: {fault.strerror}. {remedy}") from fault
    except UnicodeDecodeError as fault:
        raise ConfigurationError(f"control.token_file {file} holds more than plain ASCII text. {remedy}") from fault
    if len(token) < LEAST_LENGTH or not token.isprintable() or " " in token:
        raise ConfigurationError(
            f"control.token_file {file} must hold one word of at least {LEAST_LENGTH} characters. {remedy}"
        )
    return token
