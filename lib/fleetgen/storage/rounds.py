"""Owns what makes many batches durable and visible at once; why in this order, says ADR 0027.

One batch at a time is left to `bronze`.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fleetgen.domain.records import Stream
from fleetgen.errors import InTheWay
from fleetgen.storage.bronze import META_FILE, discard_truth, rename_to_free, staged_batch, staged_truth
from fleetgen.storage.files import make_folder, put_in_place, remove_tree, sync_folder
from fleetgen.storage.layout import Layout
from fleetgen.storage.permits import Permit
from fleetgen.storage.reading import read_json

_FIRST_TO_TELL_OF_FAULTS = (5, 8)
"""Version of Linux from which on syncfs(2) fails if something could not be written."""


@dataclass(frozen=True, slots=True)
class Place:
    """A staged batch and where it goes."""

    folder: Path
    """The staging folder."""
    stream: Stream
    batch_id: str
    with_truth: bool


def sync_staged(layout: Layout, places: Sequence[Place]) -> None:
    """Make staged batches durable: by one call for the whole file system where it can, else file by file."""
    if not _sync_file_system(layout.staging):
        for place in places:
            _sync_files(staged_batch(place.folder))
            if place.with_truth:
                _sync_files(staged_truth(place.folder))


def publish(permit: Permit, layout: Layout, places: Sequence[Place]) -> None:
    """Rename durable batches into place, in their order: first all truths, then the batches, each a commit."""
    permit.check()
    truths = [place for place in places if place.with_truth]
    folders = {each.stream: layout.truths(each.stream) for each in truths}
    with _durable_names(folders.values()):
        for each in truths:
            discard_truth(layout, each.stream, each.batch_id)
            rename_to_free(staged_truth(each.folder), folders[each.stream] / each.batch_id)
    folders = {each.stream: layout.stream(each.stream) for each in places}
    with _durable_names(folders.values()):
        for each in places:
            _put(staged_batch(each.folder), folders[each.stream] / each.batch_id)


@contextmanager
def _durable_names(folders: Collection[Path]) -> Iterator[None]:
    """Let there be these folders, and make the names in them durable after a block."""
    for folder in folders:
        make_folder(folder)
    yield
    for folder in folders:
        sync_folder(folder)


def _put(source: Path, target: Path) -> None:
    """Rename a batch into place.

    After a power cut the same batch may be there already, beyond one whose name was lost: it is replaced. Another one, or
    something else, stays, and InTheWay is raised.
    """
    try:
        rename_to_free(source, target)
    except InTheWay:
        if _hash(target) != _hash(source):
            raise
        put_in_place(source, target)
        remove_tree(source)


def _hash(folder: Path) -> object:
    """Return the hash that a batch's meta tells; None where there is none."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return read_json(folder / META_FILE)["sha256"]
    return None


def _sync_files(folder: Path) -> None:
    for entry in os.scandir(folder):
        descriptor = os.open(entry.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_folder(folder)


def _sync_file_system(folder: Path) -> bool:
    """Make all that was written to a folder's file system durable; return False where the system cannot, or would not
    tell of a fault.
    """
    if not _tells_of_faults():
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) == 0:
            return True
        number = ctypes.get_errno()
    except AttributeError:  # a C library without it
        return False
    finally:
        os.close(descriptor)
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(folder))


def _tells_of_faults() -> bool:
    version = _release().split(".")[:2]
    known = sys.platform == "linux" and all(part.isdecimal() for part in version)
    return known and tuple(map(int, version)) >= _FIRST_TO_TELL_OF_FAULTS


def _release() -> str:
    return os.uname().release
