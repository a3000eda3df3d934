"""Owns writing a small dataset at once, for tests: in place and without waiting for the disk.

In the end there lies what a backfill leaves. Until then nobody may look, and a crash leaves a folder to be thrown away:
what is in `maker` against kills, power cuts and readers costs most of a small batch's time, and a test needs none of it.
"""

import json
from collections import Counter

from fleetgen.domain.batches import Batch, BatchInputs, make_batch
from fleetgen.domain.records import Stream
from fleetgen.generation import deriving, recording
from fleetgen.generation.backfilling import Backfill
from fleetgen.storage.bronze import TRUTH_FILE, Part, part_name
from fleetgen.storage.hashing import BatchHash
from fleetgen.storage.layout import Layout
from fleetgen.storage.ledger import BatchEntry


def write_at_once(history: Backfill) -> None:
    """Write every batch of an empty dataset's history; the manifest, and one sync of each ledger, come last."""
    dataset, end = history.dataset, history.begin()
    entries: dict[Stream, list[BatchEntry]] = {stream: [] for stream in Stream}
    with dataset.store.locked() as transaction:
        manifest = transaction.manifest
        for inputs in history.planned(manifest, end):
            entry = _write_batch(dataset.layout, inputs)
            entries[inputs.stream].append(entry)
            head = recording.head_after(
                manifest.head(inputs.stream), inputs.stream, entry, inputs.interval.end, late=False
            )
            manifest = manifest.with_head(inputs.stream, head)
        for stream, made in entries.items():
            dataset.ledgers[stream].append(*made)
        transaction.save(manifest)
    deriving.put_right(dataset)


def _write_batch(layout: Layout, inputs: BatchInputs) -> BatchEntry:
    folder = layout.batch(inputs.stream, inputs.interval.batch_id)
    folder.mkdir(parents=True)
    batch = make_batch(inputs)
    parts, contents, truth, issues = _written_parts(layout, inputs, batch)
    if batch.corrupt_block is not None:
        place = layout.truth(inputs.stream, inputs.interval.batch_id)
        place.mkdir(parents=True)
        (place / TRUTH_FILE).write_bytes(truth)
    meta = recording.batch_meta(inputs, parts, contents, issues)
    clock = recording.clock_meta(*[inputs.interval.end] * 3)
    layout.batch_meta(inputs.stream, inputs.interval.batch_id).write_bytes(
        json.dumps(meta | clock, indent=1).encode() + b"\n"
    )
    return recording.ledger_entry(meta)


def _written_parts(layout: Layout, inputs: BatchInputs, batch: Batch) -> tuple[list[Part], str, bytes, Counter[str]]:
    """Write a batch's data files; return their facts, the hash of all, the truth, and the count of issues."""
    hashed, truth = BatchHash(), b""
    issues: Counter[str] = Counter()
    parts: list[Part] = []
    blocks = batch.parts()
    for number, part_blocks in enumerate(blocks):
        pieces = list(batch.pieces(part_blocks))
        content = b"".join(piece.lines for piece in pieces)
        name = part_name(inputs.stream, number, len(blocks))
        (layout.batch(inputs.stream, inputs.interval.batch_id) / name).write_bytes(content)
        if inputs.stream is Stream.COMPANIES:
            with layout.all_companies.open("ab") as file:
                file.write(content)
        hashed.update(content)
        truth += b"".join(piece.truth for piece in pieces)
        issues = sum((piece.issues for piece in pieces), issues)
        rows = sum(batch.block_rows[block] for block in part_blocks)
        parts.append(Part(name, rows, len(content), hashed.end_part()))
    return parts, hashed.hexdigest(), truth, issues
