"""Owns the one-line edit of `generator.toml` that keeps every comment."""

import errno
from pathlib import Path

import tomlkit

from fleetgen.config.loading import parse, read_text
from fleetgen.errors import CannotCreate
from fleetgen.storage.files import cannot_create, replace_file, write_file

_NOT_REPLACEABLE = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EROFS}


def set_mode(file: Path, mode: str) -> str:
    """Set the mode in a valid configuration file and return the mode it had; raises ConfigurationError, CannotCreate."""
    text = read_text(file)
    before = parse(text, file).mode
    if before != mode:
        document = tomlkit.parse(text)
        document["mode"] = mode
        write_config(file, tomlkit.dumps(document))
    return before


def write_config(file: Path, text: str) -> None:
    """Replace a configuration file whole; through a link, the file it points to.

    One that is a mount of its own, as in a container, or lies in a folder that cannot be written, is written in place.
    """
    target = file
    try:
        target = file.resolve()
        mode = target.stat().st_mode if target.exists() else None
        try:
            replace_file(target, text.encode(), mode=mode)
        except OSError as fault:
            if fault.errno not in _NOT_REPLACEABLE or not target.is_file():
                raise
            write_file(target, text.encode())
    except RuntimeError as fault:
        raise CannotCreate(f"Cannot write {file}: it is a link to itself. Name another file.") from fault
    except OSError as fault:
        raise cannot_create(target, fault) from fault
