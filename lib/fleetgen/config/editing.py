"""Owns the edits of `generator.toml` by commands and by the page, which keep its comments."""

import errno
import os
import shutil
from itertools import chain, count
from pathlib import Path

import tomlkit

from fleetgen.config.loading import parse, read_text
from fleetgen.errors import CannotCreate
from fleetgen.storage.files import cannot_create, replace_file, write_file

_KEPT_BESIDE = "The present file is kept beside itself: where it is mounted, mount its folder instead."
_NOT_REPLACEABLE = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EROFS}


RUNNING_TABLES = ("paths", "metrics", "control", "pipeline", "supervisor")
"""Tables that say where and how a set runs, and nothing of its data."""


def with_mode(text: str, mode: str) -> str:
    """Return a valid configuration's text with that one line changed."""
    document = tomlkit.parse(text)
    document["mode"] = mode
    return tomlkit.dumps(document)


def with_preset(text: str, preset: str) -> str:
    """Return a preset's text for the place of a valid configuration: where and how the set runs stays as it is there."""
    present, document = tomlkit.parse(text), tomlkit.parse(preset)
    for table in RUNNING_TABLES:
        if table in present:
            document[table] = present[table]
        else:
            document.pop(table, None)
    return tomlkit.dumps(document)


def keep_beside(file: Path) -> Path:
    """Copy a configuration file beside itself, under a name that no earlier copy has; raises CannotCreate."""
    backup = _free_backup(file)
    try:
        shutil.copyfile(file, backup)
    except OSError as fault:
        raise CannotCreate(f"{cannot_create(backup, fault)} {_KEPT_BESIDE}") from fault
    return backup


def _free_backup(file: Path) -> Path:
    """Return a name that no earlier backup has: .bak, then .bak.1 and so on."""
    first = file.with_name(file.name + ".bak")
    numbered = (file.with_name(f"{first.name}.{number}") for number in count(1))
    return next(path for path in chain([first], numbered) if not os.path.lexists(path))


def set_mode(file: Path, mode: str) -> str:
    """Set the mode in a valid configuration file and return the mode it had; raises ConfigurationError, CannotCreate."""
    text = read_text(file)
    before = parse(text, file).mode
    if before != mode:
        write_config(file, with_mode(text, mode))
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
