"""Owns publishing again, with the same bytes, what was deleted or damaged by hand."""

import shutil
from contextlib import suppress

from fleetgen.domain.records import Stream
from fleetgen.generation import recording
from fleetgen.generation.checking import Difference, remake
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.staging import finish, stage
from fleetgen.storage.bronze import discard_batch, publish_batch, read_meta
from fleetgen.storage.files import FileLock, move_or_remove
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Manifest


def repair(dataset: Dataset, manifest: Manifest, difference: Difference) -> bool:
    """Publish again a batch that was deleted or damaged by hand; return whether the difference is one of a batch."""
    stream = difference.stream
    entry = next((each for each in dataset.ledgers[stream].batches() if each.batch_id == difference.batch_id), None)
    if entry is None:
        return False
    layout = dataset.layout
    inputs, _ = remake(dataset, manifest, stream, entry)
    with FileLock(layout.writer_lock(stream)).held():
        staged = stage(layout.staging / f"{stream}-repair", inputs, schema_version=entry.schema_version)
        if staged.meta["sha256"] != entry.sha256:
            discard_batch(staged.folder)
            return False
        finish(staged, _clock_meta(layout, stream, entry))
        target = layout.batch(stream, entry.batch_id)
        trash = layout.data / f".trash-repair-{stream}-{entry.batch_id}"
        if target.exists():
            shutil.rmtree(trash, ignore_errors=True)  # of an earlier repair that was killed
            move_or_remove(target, trash)
        publish_batch(layout, staged.folder, stream, entry.batch_id)
        shutil.rmtree(trash, ignore_errors=True)
    return True


def _clock_meta(layout: Layout, stream: Stream, entry: BatchEntry) -> dict[str, object]:
    """Return when the batch was first made, as far as its meta still tells."""
    with suppress(ValueError, KeyError):
        if (meta := read_meta(layout, stream, entry.batch_id)) is not None:
            return {key: meta[key] for key in recording.CLOCK_KEYS}
    end = entry.interval.end
    return recording.clock_meta(end, end, end)
