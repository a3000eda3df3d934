"""Owns removing folders with any number of files in them, a limited number at a time: no list of them is made."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from fleetgen.storage.progress import Progress, unwatched

_STEP = 100
"""So many are removed between two calls of ``progress``: disks far away take milliseconds for each."""


def remove_some(folder: Path, most: int | None = None, progress: Progress = unwatched) -> int:
    """Remove up to so many files and folders in a folder, and then itself; return how many went. None removes all.

    What cannot be removed stays, and is passed over.
    """
    count = 0
    for _ in islice(_removals(folder), most):
        count += 1
        if count % _STEP == 0:
            progress(f"{count:,} files and folders in {folder.name} are removed")
    return count


def _removals(folder: Path) -> Iterator[None]:
    """Remove one after the other, the contents of a folder before itself; yield after each."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _removals(Path(entry.path))
            elif _is_gone(os.unlink, entry.path):
                yield
    if _is_gone(os.rmdir, folder):
        yield


def _is_gone(remove: Callable[[str | Path], None], path: str | Path) -> bool:
    with suppress(OSError):
        remove(path)
        return True
    return False
