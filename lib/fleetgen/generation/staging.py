"""Owns making a batch's files in a staging folder; a worker of a backfill does it just as a generator process does."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetgen.cadence.clock import StopWatch
from fleetgen.domain import together
from fleetgen.domain.batches import Batch, BatchInputs, Piece, make_batch
from fleetgen.domain.encoding import CHUNK_ROWS
from fleetgen.domain.records import SCHEMA_VERSION
from fleetgen.generation import recording
from fleetgen.machine import processors
from fleetgen.storage import bronze

_LARGE_ROWS = 4 * CHUNK_ROWS
"""Lines from which on a batch is worth a thread that hashes what is written."""

Placed = tuple[Path, BatchInputs]
"""A batch's inputs and the staging folder to make it in."""

Progress = Callable[[], None]
"""Called with every chunk; may raise to give the batch up."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A batch whose files lie in a staging folder; only its commit is missing."""

    folder: Path
    inputs: BatchInputs
    meta: dict[str, Any]
    """The meta without the clock's keys."""
    phases: dict[str, float]
    """Seconds spent in each phase so far."""


def stage(
    folder: Path,
    inputs: BatchInputs,
    progress: Progress = lambda: None,
    schema_version: int = SCHEMA_VERSION,
    durable: bool = True,
    batch: Batch | None = None,
) -> Staged:
    """Make a batch's data files in a folder that is emptied before; ``batch`` is what follows from the inputs, if known."""
    watch = StopWatch()
    batch = batch or make_batch(inputs)
    watch.lap("generate")
    with_truth = inputs.segment.settings.quality is not None
    bronze.start_batch(folder, with_truth)
    parts = batch.parts()
    rows = tuple(sum(batch.block_rows[block] for block in blocks) for blocks in parts)
    two_cores = batch.rows >= _LARGE_ROWS and processors() > 1
    content = bronze.BatchContent(folder, inputs.stream, rows, with_truth, schema_version, two_cores, durable)
    for blocks in parts:
        content.write_part(_pieces(batch, blocks, progress))
    watch.lap("encode")
    meta = recording.batch_meta(inputs, content.parts, content.sha256, content.issues, schema_version)
    return Staged(folder, inputs, meta, watch.phases)


def finish(staged: Staged, clock_meta: dict[str, Any], durable: bool = True) -> None:
    """Add the whole meta and make the folder durable."""
    bronze.finish_batch(staged.folder, staged.meta | clock_meta, durable)


def stage_for_round(placed: Iterable[Placed], durable: bool = False) -> Iterator[Staged]:
    """Make the files of batches and their whole metas; usually they are made durable with those of the round.

    Small neighbours are made at once, when the first of them is asked for.
    """
    for group in together.groups(placed, lambda each: each[1]):
        batches = together.make_batches([inputs for _, inputs in group])
        for (folder, inputs), batch in zip(group, batches, strict=True):
            end = inputs.interval.end
            staged = stage(folder, inputs, durable=durable, batch=batch)
            finish(staged, recording.clock_meta(end, end, end), durable=durable)
            yield staged


def _pieces(batch: Batch, blocks: range, progress: Progress) -> Iterator[Piece]:
    for piece in batch.pieces(blocks, CHUNK_ROWS):
        progress()
        yield piece
