"""Owns the look at the disks of the data and run folders, by trying; what is made for that is removed again."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from fleetgen.config.loading import LoadedConfig
from fleetgen.config.model import SOCKET_PATH_BYTES
from fleetgen.errors import SystemLacks
from fleetgen.storage.files import remedy_of
from fleetgen.storage.probing import can_link, locks_exclude, mounts_within, require_path_for_tables
from fleetgen.supervision.examining.finding import Finding, fault, fine, refusal, warning

_LOCAL = "put paths.data on a local disk"
_SPARE_BYTES = 1 << 30
"""Room beyond what must stay free with which nobody needs to be warned."""

_LEAST_INODES = 1000
_SPARE_INODES = 100_000
"""A batch takes three to five; a day of a batch every ten seconds in each stream takes about so many."""


def disks(loaded: LoadedConfig) -> Iterator[Finding]:
    """Yield what the disks of a configuration's folders can do."""
    place = existing(loaded.layout.data)
    yield from _data(loaded, place)
    yield _space(place, loaded.config.retention.min_free_bytes)
    yield _inodes(place)
    yield from _run(loaded)


def existing(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _data(loaded: LoadedConfig, place: Path) -> Iterator[Finding]:
    data = loaded.layout.data
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as made:
            yield fine("data", str(data) if place == data else f"{data}, which the set makes")
            yield _locks(Path(made), data)
            yield _links(Path(made))
    except OSError as refused:
        yield fault("data", f"{place} cannot be written: {refused.strerror}", _remedy(refused))
    for folder in mounts_within(loaded.layout):
        yield fault("mounts", f"{folder} is a mount of its own", f"mount all of {data} instead")
    if loaded.config.pipeline.enabled:
        try:
            require_path_for_tables(data)
        except SystemLacks as lacking:
            yield refusal("tables", lacking)


def _locks(folder: Path, data: Path) -> Finding:
    try:
        if not locks_exclude(folder / "lock"):
            return fault("locks", f"the disk of {data} gives one lock to two at once", _LOCAL)
    except SystemLacks as lacking:
        return refusal("locks", lacking)
    return fine("locks", "a lock on a file is given to one at a time")


def _links(folder: Path) -> Finding:
    made = "are made" if can_link(folder / "links") else "are not made: tables are committed by renames, which is safe"
    return fine("links", f"hard links {made}")


def _space(place: Path, least: int) -> Finding:
    free = shutil.disk_usage(place).free
    says = f"{free / 1e9:,.1f} GB free at {place}; with less than {least / 1e9:,.1f} GB nothing is published"
    remedy = "make room, or put paths.data on another disk"
    if free < least:
        return fault("space", says, remedy)
    return warning("space", says, remedy) if free < least + _SPARE_BYTES else fine("space", says)


def _inodes(place: Path) -> Finding:
    disk = os.statvfs(place)
    if not disk.f_files:
        return fine("inodes", "this file system has no fixed number of them")
    says = f"{disk.f_favail:,} free of {disk.f_files:,}; a batch takes up to 5"
    remedy = "remove small files, set retention.keep_batches, or put paths.data on another disk"
    if disk.f_favail < _LEAST_INODES:
        return fault("inodes", says, remedy)
    return warning("inodes", says, remedy) if disk.f_favail < _SPARE_INODES else fine("inodes", says)


def _run(loaded: LoadedConfig) -> Iterator[Finding]:
    place = existing(loaded.run)
    length = len(bytes(loaded.socket))
    if length > SOCKET_PATH_BYTES:
        says = f"paths.run gives it a path of {length} bytes, but a socket's path has at most {SOCKET_PATH_BYTES}"
        yield fault("socket", says, "set paths.run to a shorter folder, such as /tmp/fleetgen")
        return
    try:
        with tempfile.TemporaryDirectory(prefix=".d", dir=place) as made:
            _bind(Path(made) / "s")
            yield fine("socket", f"{loaded.socket}: {length} of {SOCKET_PATH_BYTES} bytes")
    except OSError as refused:
        says = f"none can be made in {place}: {refused.strerror}"
        yield fault("socket", says, "set paths.run to a folder on a local disk that can be written")


def _bind(path: Path) -> None:
    if len(bytes(path)) > SOCKET_PATH_BYTES:  # longer than the set's own: then that is all there is to know
        return
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.bind(str(path))


def _remedy(refused: OSError) -> str:
    return remedy_of(refused) or "set paths.data to a folder that can be written"
