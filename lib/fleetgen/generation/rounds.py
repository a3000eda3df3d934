"""Owns committing the batches of a backfill in rounds: one round of syncs for many batches. See ADR 0027.

One batch at a time, as a running set does, is left to `maker`.
"""

from collections.abc import Iterator, Mapping, Sequence

from fleetgen.domain.records import Stream
from fleetgen.generation import recording
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.maker import StreamMaker
from fleetgen.generation.staging import Staged
from fleetgen.storage import rounds
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Head, Manifest
from fleetgen.storage.rounds import Place

ROUND_BATCHES = 256
"""The most batches of a round."""

_ROUND_BYTES = 64 << 20
"""A round ends with the batch that makes it so large: what is staged costs room, and what a kill interrupts is made again."""


def in_rounds(staged: Iterator[Staged]) -> Iterator[list[Staged]]:
    """Yield staged batches in rounds."""
    found: list[Staged] = []
    size = 0
    for each in staged:
        found.append(each)
        size += each.meta["bytes"]
        if len(found) == ROUND_BATCHES or size >= _ROUND_BYTES:
            yield found
            found, size = [], 0
    if found:
        yield found


def commit(dataset: Dataset, dataset_id: str, makers: Mapping[Stream, StreamMaker], staged: Sequence[Staged]) -> None:
    """Publish batches that were made for this dataset, staged in the order of their dues, and record them.

    All are durable before the first is visible, all visible before the ledgers say so, the ledgers before the manifest.

    Raises DatasetChanged, with nothing published, if what they were made from is no longer in force.
    """
    places = [_place(each) for each in staged]
    rounds.sync_staged(dataset.layout, places)
    by_stream = {stream: [each for each in staged if each.inputs.stream is stream] for stream in Stream}
    by_stream = {stream: batches for stream, batches in by_stream.items() if batches}
    with dataset.store.locked() as transaction:
        manifest, permit = transaction.manifest, transaction.permit(dataset_id)
        for stream, batches in by_stream.items():
            makers[stream].still(manifest, batches[0].inputs)
            dataset.keep_ledger(manifest, stream)
        rounds.publish(permit, dataset.layout, places)
        recorded = {stream: _recorded(dataset, manifest, batches) for stream, batches in by_stream.items()}
        for stream, (_, head) in recorded.items():
            manifest = manifest.with_head(stream, head)
        transaction.save(manifest)
    for stream, (entries, head) in recorded.items():
        makers[stream].derived.follow(manifest, head.stands_at, *entries)


def _place(staged: Staged) -> Place:
    inputs = staged.inputs
    return Place(staged.folder, inputs.stream, inputs.interval.batch_id, inputs.segment.settings.quality is not None)


def _recorded(dataset: Dataset, manifest: Manifest, batches: list[Staged]) -> tuple[list[BatchEntry], Head]:
    """Write one stream's batches into its ledger; return the lines and the head after them."""
    stream = batches[0].inputs.stream
    entries = [recording.ledger_entry(each.meta) for each in batches]
    dataset.ledgers[stream].append(*entries)
    head = manifest.head(stream)
    for entry in entries:
        head = recording.head_after(head, stream, entry, published_at=entry.interval.end, late=False)
    return entries, head
