"""Owns retention: which batches may go, and their going, a few at a time.

The ledger keeps their lines, so `replay`, `verify` and `score` make them again. What a consumer that counts has not
acknowledged stays, also after it has left: it may come back.
"""

from collections.abc import Callable, Iterable

from fleetgen.domain.records import Stream
from fleetgen.generation.dataset import Dataset
from fleetgen.storage.manifest import Manifest
from fleetgen.storage.pruning import note_pruned, pruned_before, remains_before, remove_batch

AT_ONCE = 64
"""So many batches go at once, so that the next one is not late for it."""


def kept_from(manifest: Manifest, stream: Stream, consumers: Iterable[str], keep_batches: int) -> int:
    """Return the number of the first batch that stays; 0 where all do. ``consumers`` are those that count."""
    if not keep_batches:
        return 0
    newest = [_newest_to_go(manifest, stream, name) for name in consumers]
    return max(0, min([manifest.head(stream).next_batch - keep_batches, *(number + 1 for number in newest)]))


def _newest_to_go(manifest: Manifest, stream: Stream, name: str) -> int:
    """Return the number of the newest batch that a consumer has no need of; -1 for none.

    One that was never there needs nothing. A manifest that was made anew does not know who was there.
    """
    known = manifest.consumers.get(name) or manifest.departed.get(name)
    if manifest.rebuilt_at is not None:
        return known.acknowledged.get(stream, -1) if known else -1
    return known.has(stream) if known else manifest.head(stream).next_batch


def prune(dataset: Dataset, stream: Stream, until: int, beat: Callable[[], None] = lambda: None) -> int:
    """Remove some of a stream's batches below a number; return how many. Needs the stream's writing lock."""
    first = pruned_before(dataset.layout, stream)
    until = min(until, first + AT_ONCE)
    if until <= first:
        return 0
    doomed = dataset.ledgers[stream].batches_from(first, until - first)
    note_pruned(dataset.layout, stream, until)
    for entry in doomed:
        remove_batch(dataset.layout, stream, entry.batch_id)
        beat()
    return len(doomed)


def finish_pruning(dataset: Dataset, stream: Stream) -> None:
    """Remove what a kill left of batches that were being pruned; needs the stream's writing lock."""
    if (first := pruned_before(dataset.layout, stream)) == 0:
        return
    for kept in dataset.ledgers[stream].batches_from(first, 1):
        for name in remains_before(dataset.layout, stream, kept.batch_id, dataset.progress):
            remove_batch(dataset.layout, stream, name)
            dataset.progress(f"the batches of {stream} that were being pruned are removed, now {name}")
