"""Owns the files that follow from published batches: the summary of the events, and the one file of all companies.

They are conveniences: written after the commit, not durably, and put right by whoever publishes next.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from fleetgen.domain.records import Stream, iso
from fleetgen.generation.checking import remake
from fleetgen.generation.dataset import Dataset
from fleetgen.generation.recording import data_files
from fleetgen.storage.files import replace_file
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry
from fleetgen.storage.manifest import Head
from fleetgen.storage.pruning import pruned_before
from fleetgen.storage.reading import read_json

_READ_BYTES = 1 << 20


def follow(dataset: Dataset, stream: Stream, entries: Sequence[BatchEntry], head: Head, at: int) -> None:
    """Let the derived file of a stream follow batches that were just recorded, after which the head is this one."""
    if stream is Stream.EVENTS:
        _write_summary(dataset.layout, head, at)
    else:
        _append_companies(dataset, entries, head.totals.bytes)


def put_right(dataset: Dataset) -> None:
    """Write anew what a crash kept from following the last batches."""
    heads = dataset.manifest().heads
    _append_companies(dataset, (), heads[Stream.COMPANIES].totals.bytes)
    events = heads[Stream.EVENTS]
    if events.next_batch and _summed_up(dataset.layout) != _summary(events):
        _write_summary(dataset.layout, events, events.stands_at)


def _summary(head: Head) -> dict[str, object]:
    return {"last_batch_id": head.last_batch_id, "total_events": head.totals.records}


def _summed_up(layout: Layout) -> dict[str, object]:
    """Return what the summary says apart from the clock; nothing where it cannot be read."""
    try:
        found = read_json(layout.batch_manifest)
    except (FileNotFoundError, ValueError):
        return {}
    return {key: value for key, value in found.items() if key != "last_updated"} if isinstance(found, dict) else {}


def _write_summary(layout: Layout, head: Head, at: int) -> None:
    summary = {**_summary(head), "last_updated": iso(at)}
    replace_file(layout.batch_manifest, json.dumps(summary, indent=1).encode() + b"\n", durable=False)


def _append_companies(dataset: Dataset, entries: Sequence[BatchEntry], total_bytes: int) -> None:
    """Add batches to the one file of all companies, whose size is then ``total_bytes``.

    If it is off, it is written anew from the lines of all batches.
    """
    path = dataset.layout.all_companies
    size = path.stat().st_size if path.exists() else 0
    if size == total_bytes:
        return
    if size != total_bytes - sum(entry.bytes for entry in entries):
        _rewrite_companies(dataset)
        return
    with path.open("ab") as target:
        for entry in entries:
            target.writelines(_batch_lines(dataset.layout, entry))


def _rewrite_companies(dataset: Dataset) -> None:
    temporary = dataset.layout.raw / ".companies.jsonl.new"
    with temporary.open("wb") as target:
        for lines in _company_batches(dataset):
            target.writelines(lines)
    temporary.replace(dataset.layout.all_companies)


def _company_batches(dataset: Dataset) -> Iterator[Iterable[bytes]]:
    """Yield the lines of every batch of companies; those of a batch that was pruned are made again."""
    first = pruned_before(dataset.layout, Stream.COMPANIES)
    for entry in dataset.ledgers[Stream.COMPANIES].batches():
        if entry.batch_number >= first:
            yield _batch_lines(dataset.layout, entry)
        else:
            _, batch = remake(dataset, dataset.manifest(), Stream.COMPANIES, entry)
            yield (bytes(piece.lines) for blocks in batch.parts() for piece in batch.pieces(blocks))


def _batch_lines(layout: Layout, entry: BatchEntry) -> Iterator[bytes]:
    """Yield the content of a batch of companies, in pieces."""
    for file in data_files(layout.batch(Stream.COMPANIES, entry.batch_id), Stream.COMPANIES):
        with file.open("rb") as source:
            while piece := source.read(_READ_BYTES):
                yield piece
