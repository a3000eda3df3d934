"""Owns cleaning: everything of a dataset goes at once, or at the next start if the power went in the middle.

What people asked for (the pause, and how often a resume began anew) outlives the dataset.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from fleetgen.domain.records import Stream
from fleetgen.errors import CannotCreate, DamagedManifest, FleetgenError
from fleetgen.storage.files import move_or_remove, sync_folder
from fleetgen.storage.layout import Layout
from fleetgen.storage.locks import FileLock
from fleetgen.storage.manifest import Manifest, empty_manifest
from fleetgen.storage.progress import Progress, unwatched
from fleetgen.storage.removing import remove_some
from fleetgen.storage.store import ManifestStore, Transaction

WRITER_TIMEOUT_SECONDS = 60.0

_TRASH = ".trash-"
_AT_ONCE = 2000
"""So many files of an old dataset are deleted between two looks at what is due, so that no batch is late for it."""


class PauseRequired(FleetgenError):
    """Nothing was deleted: pause first with `fleetgen pause`, so that nothing is written meanwhile."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a clean removed, relative to the data directory."""

    items: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What of it could not be deleted yet, out of the way; each start tries again."""


def clean(layout: Layout, timeout_seconds: float = WRITER_TIMEOUT_SECONDS) -> Cleaned:
    """Remove the dataset under every writer's lock and leave an empty one; raises PauseRequired, NotYet.

    A pause is required while any process makes a stream, for it would begin a new dataset at once. The locks are held
    while everything is moved out of the way, not while it is deleted, so that nobody waits for a large dataset.
    """
    with ExitStack() as stack:
        for lock in (*(layout.writer_lock(stream) for stream in Stream), layout.tables_lock):
            stack.enter_context(FileLock(lock).held(timeout_seconds))
        transaction = stack.enter_context(ManifestStore(layout).locked())
        manifest = finish_cleaning(layout, transaction)
        if not manifest.desired.paused and any(_is_made(layout, stream) for stream in Stream):
            raise PauseRequired
        found = [str(path.relative_to(layout.data)) for path in layout.dataset_parts if _holds_something(path)]
        if found:
            _refuse_read_only(layout, found)
            _begin_cleaning(transaction)
            finish_cleaning(layout, transaction)
    _, left = empty_trash(layout)
    return Cleaned([name for name in found if not name.startswith(".")], left)


def _holds_something(path: Path) -> bool:
    """Whether there is something to clean; a part that is a mount of its own stays behind, empty."""
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def _refuse_read_only(layout: Layout, found: list[str]) -> None:
    """Raise CannotCreate, while nothing has changed yet, for what this process may not remove."""
    for path in (layout.data / name for name in found):
        for place in (path.parent, path):
            if not os.access(place, os.W_OK):
                raise CannotCreate(f"Nothing was deleted: {place} cannot be written. Grant access, then try again.")


def _begin_cleaning(transaction: Transaction) -> None:
    """Record a new, empty dataset and that the old one is to go: from here on the clean is carried to its end."""
    before, fresh = transaction.manifest, empty_manifest()
    kept = {"desired": before.desired, "reinitialised": before.reinitialised}
    transaction.save(fresh.updated(**kept, cleaning=f"{_TRASH}{fresh.dataset_id}"))


def _is_made(layout: Layout, stream: Stream) -> bool:
    return FileLock(layout.holder_lock(stream)).is_held()


def finish_cleaning(layout: Layout, transaction: Transaction) -> Manifest:
    """Move everything of a dataset whose cleaning has begun out of the way."""
    manifest = transaction.manifest
    if manifest.cleaning is None:
        return manifest
    trash = layout.data / manifest.cleaning
    trash.mkdir(exist_ok=True)
    for path in layout.dataset_parts:
        if path.exists():
            move_or_remove(path, trash / path.name)
    sync_folder(layout.data)
    sync_folder(layout.manifests)
    return transaction.save(manifest.updated(cleaning=None))


def empty_trash(layout: Layout, most: int | None = None, progress: Progress = unwatched) -> tuple[int, list[str]]:
    """Delete what cleaning has moved out of the way, or so many files of it; return how many, and what is still there.

    Needs no lock: a folder that is still being filled is the one that the manifest names.
    """
    found = sorted(layout.data.glob(f"{_TRASH}*"))
    try:
        manifest = ManifestStore(layout).read() if found else None
    except DamagedManifest:
        return 0, [trash.name for trash in found]
    deleted = 0
    for trash in found:
        if manifest is None or trash.name != manifest.cleaning:
            deleted += remove_some(trash, None if most is None else most - deleted, progress)
    return deleted, [trash.name for trash in found if trash.exists()]


class Trash:
    """What cleaning has moved out of the way, deleted by a process that has other things to do as well."""

    def __init__(self, layout: Layout, progress: Progress) -> None:
        self._layout, self._progress = layout, progress
        self._may_be_some = True

    def delete_some(self) -> int:
        """Delete some files; return how many, 0 where there is nothing that could be deleted."""
        if not self._may_be_some:
            return 0
        deleted, left = empty_trash(self._layout, _AT_ONCE, self._progress)
        self._may_be_some = deleted > 0 and bool(left)
        return deleted
