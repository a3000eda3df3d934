"""Owns which batches of a stream were removed on purpose: all below a number that is written down before they go.

The number lies beside the ledger, which keeps the lines of every batch. Which batches may go is `generation.retention`'s.
"""

import shutil
from contextlib import suppress

from fleetgen.domain.records import Stream, is_batch_id
from fleetgen.storage.files import move_or_remove, replace_file
from fleetgen.storage.layout import Layout
from fleetgen.storage.progress import Progress, names_in, unwatched


def pruned_before(layout: Layout, stream: Stream) -> int:
    """Return the number of the first batch that has not been pruned; 0 where none has, or nobody knows."""
    with suppress(OSError, ValueError):
        return max(0, int(layout.pruned(stream).read_text()))
    return 0


def note_pruned(layout: Layout, stream: Stream, before: int) -> None:
    """Write down, durably, that the batches below a number go."""
    replace_file(layout.pruned(stream), b"%d\n" % before)


def remove_batch(layout: Layout, stream: Stream, batch_id: str) -> None:
    """Remove a batch and its truth: a reader sees the whole batch or none of it."""
    for kind, folder in (("batch", layout.batch(stream, batch_id)), ("truth", layout.truth(stream, batch_id))):
        trash = layout.data / f".trash-pruned-{kind}-{stream}-{batch_id}"
        with suppress(FileNotFoundError):
            move_or_remove(folder, trash)
        shutil.rmtree(trash, ignore_errors=True)


def remains_before(layout: Layout, stream: Stream, batch_id: str, progress: Progress = unwatched) -> list[str]:
    """Return the ids of batches before this one of which something is still there."""
    folders = (layout.stream(stream), layout.truths(stream))
    names = (name for folder in folders for name in names_in(folder, progress))
    return sorted({name for name in names if is_batch_id(name) and name < batch_id})
