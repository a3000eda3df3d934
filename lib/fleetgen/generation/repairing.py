"""Owns publishing again, with the same bytes, what was deleted or damaged by hand."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from fleetgen.domain.records import Stream
from fleetgen.errors import DatasetChanged
from fleetgen.generation import recording
from fleetgen.generation.checking import MANIFEST, Difference, find_entry, remake
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.staging import finish, stage
from fleetgen.storage.bronze import discard_batch, publish_again, read_meta
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.locks import FileLock
from fleetgen.storage.manifest import Manifest
from fleetgen.storage.pruning import pruned_before


def repair_all(
    dataset: Dataset, manifest: Manifest, differences: Sequence[Difference], progress: Callable[[int], None]
) -> list[bool]:
    """Repair what has differences, a batch once for all of its own; return of each difference whether it is mended.

    ``progress`` is told how many differences have been dealt with. Raises as `repair` does.
    """
    done: dict[tuple[Stream, str], bool] = {}
    for number, each in enumerate(differences, 1):
        if (place := (each.stream, each.batch_id)) not in done:
            done[place] = repair(dataset, manifest, each)
        progress(number)
    return [done[each.stream, each.batch_id] for each in differences]


def repair(dataset: Dataset, manifest: Manifest, difference: Difference) -> bool:
    """Publish again a batch that was deleted or damaged by hand; return whether the difference is one of a batch.

    A manifest that is older than its ledger gets the lines that it lacks.

    Raises DatasetChanged if the dataset was cleaned since the manifest was read. Nobody cleans or prunes meanwhile.
    """
    stream, layout = difference.stream, dataset.layout
    with FileLock(layout.writer_lock(stream)).held():
        if dataset.manifest().dataset_id != manifest.dataset_id:
            raise DatasetChanged
        if difference.batch_id == MANIFEST:
            return _bring_up_to_date(dataset, stream)
        entry = find_entry(dataset, stream, difference.batch_id)
        if entry is None:
            return False
        if entry.batch_number < pruned_before(layout, stream):
            return True  # retention has let it go meanwhile: there is nothing to repair any more
        return _publish_again(dataset, manifest, stream, entry)


def _bring_up_to_date(dataset: Dataset, stream: Stream) -> bool:
    with dataset.store.locked() as transaction:
        transaction.save(dataset.settle(transaction.manifest, stream))
    return True


def _publish_again(dataset: Dataset, manifest: Manifest, stream: Stream, entry: BatchEntry) -> bool:
    """Make a batch again and put it in place; return False if other bytes follow than the ledger records."""
    layout = dataset.layout
    inputs, _ = remake(dataset, manifest, stream, entry)
    staged = stage(layout.staging / f"{stream}-repair", inputs, schema_version=entry.schema_version)
    try:
        if staged.meta["sha256"] != entry.sha256:
            return False
        finish(staged, _clock_meta(layout, stream, entry))
        with dataset.store.locked() as transaction:
            publish_again(transaction.permit(manifest.dataset_id), layout, staged.folder, stream, entry.batch_id)
    finally:
        discard_batch(staged.folder)
    return True


def _clock_meta(layout: Layout, stream: Stream, entry: BatchEntry) -> dict[str, object]:
    """Return when the batch was first made, as far as its meta still tells."""
    with suppress(ValueError, KeyError):
        if (meta := read_meta(layout, stream, entry.batch_id)) is not None:
            return {key: meta[key] for key in recording.CLOCK_KEYS}
    end = entry.interval.end
    return recording.clock_meta(end, end, end)
