"""Owns cleaning: everything of a dataset goes at once, or at the next start if the power went in the middle."""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field

from fleetgen.domain.records import Stream
from fleetgen.errors import FleetgenError, HeldByAnother
from fleetgen.storage.files import FileLock, sync_folder
from fleetgen.storage.layout import Layout
from fleetgen.storage.manifest import Manifest, ManifestStore, Transaction, empty_manifest

WRITER_TIMEOUT_SECONDS = 60.0


class PauseRequired(FleetgenError):
    """Nothing was deleted: pause first with `fleetgen pause`, so that nothing is written meanwhile."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a clean removed, relative to the data directory."""

    items: list[str] = field(default_factory=list)


def clean(layout: Layout) -> Cleaned:
    """Remove the dataset under every writer's lock and leave an empty one; raises PauseRequired, HeldByAnother.

    A pause is required while any process makes a stream, for it would begin a new dataset at once.
    """
    with ExitStack() as stack:
        for stream in Stream:
            stack.enter_context(FileLock(layout.writer_lock(stream)).held(WRITER_TIMEOUT_SECONDS))
        transaction = stack.enter_context(ManifestStore(layout).locked())
        manifest = finish_cleaning(layout, transaction)
        if not manifest.desired.paused and any(_is_made(layout, stream) for stream in Stream):
            raise PauseRequired
        items = [str(path.relative_to(layout.data)) for path in layout.dataset_parts if path.exists()]
        if items:
            fresh = empty_manifest()
            transaction.save(fresh.updated(desired=manifest.desired, cleaning=f".trash-{fresh.dataset_id}"))
            finish_cleaning(layout, transaction)
    return Cleaned(items)


def _is_made(layout: Layout, stream: Stream) -> bool:
    holder = FileLock(layout.holder_lock(stream))
    try:
        holder.acquire(timeout_seconds=0)
    except HeldByAnother:
        return True
    holder.release()
    return False


def finish_cleaning(layout: Layout, transaction: Transaction) -> Manifest:
    """Carry a clean that has begun to its end: move everything out of the way, then delete it."""
    manifest = transaction.manifest
    if manifest.cleaning is not None:
        trash = layout.data / manifest.cleaning
        trash.mkdir(exist_ok=True)
        for path in layout.dataset_parts:
            if path.exists():
                path.replace(trash / path.name)
        sync_folder(layout.data)
        sync_folder(layout.manifests)
        manifest = transaction.save(manifest.updated(cleaning=None))
    for trash in layout.data.glob(".trash-*"):
        shutil.rmtree(trash, ignore_errors=True)
    return manifest
